//! Lambda: judges windows, every minute.
//!
//! Trigger: a schedule. There is deliberately nothing else here: what is done stands in `evaluate`.

use anyhow::Context as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use outflow_aws::context::{Context, now};
use outflow_aws::dynamo::DynamoStore;
use outflow_aws::evaluate::{AlertTopic, Minutes, Parameter, Tick};
use outflow_aws::own_log;
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    own_log::quiet_panics();
    let context = Context::from_env().await;
    let topic = context.topic.clone().context("OUTFLOW_TOPIC_ARN must name the topic that alerts go to")?;
    let store = DynamoStore::new(&context.dynamo(), &context.table);
    let parameter = Parameter::new(context.ssm(), context.settings.clone());
    let minutes = Mutex::new(Minutes::new(&store, AlertTopic::new(context.sns(), topic), parameter));
    let minutes = &minutes;
    let stack = &context.stack();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Tick>| async move {
        let now = event.payload.now(now()?);
        let run = minutes.lock().await.run(now).await.map_err(|e| anyhow::Error::new(e).context("the table could not be used"))?;
        run.line().write(stack, now);
        Ok::<_, Error>(())
    }))
    .await
}
