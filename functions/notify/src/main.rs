//! Lambda: alerts to Slack.
//!
//! Trigger: the queue behind the topic, with `ReportBatchItemFailures`; bodies are the topic's envelopes or raw. What fails is
//! answered as failed and stays in the queue. There is deliberately nothing else here: what is done stands in `notify`.

use anyhow::Context as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use outflow_aws::context::{Context, now};
use outflow_aws::dynamo::DynamoStore;
use outflow_aws::notify::{Notify, received};
use outflow_aws::own_log;
use outflow_aws::secrets::Stored;
use outflow_aws::slack::Slack;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    own_log::quiet_panics();
    let context = Context::from_env().await;
    let secret = context.slack_secret.clone().context("OUTFLOW_SLACK_SECRET must name the secret that holds the webhook or token")?;
    let slack = Slack::new(Stored::new(&context.sdk, secret), context.slack.clone());
    let store = DynamoStore::new(&context.dynamo(), &context.table);
    let notify = Notify::new(store, slack, context.sqs(), context.topic.clone());
    let notify = &notify;
    let stack = &context.stack();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let now = now()?;
        let received = received(&event.payload).context("this is no event of a queue")?;
        // The SDK's futures are nested so deep that the compiler wants them in pieces.
        let report = Box::pin(notify.take(&received, now)).await;
        report.line("notify").write(stack, now);
        Ok::<_, Error>(report.answer())
    }))
    .await
}
