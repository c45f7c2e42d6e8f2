//! Lambda: CloudTrail files and events into batches.
//!
//! Triggers: a queue of notices of objects and of calls (with `ReportBatchItemFailures`), or such a thing alone. What fails is
//! answered as failed, so that the queue keeps it. There is deliberately nothing else here: what is read stands in
//! `feed`, what is done in `ingest`.

use anyhow::Context as _;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use outflow_aws::context::{Context, now};
use outflow_aws::dynamo::DynamoStore;
use outflow_aws::ingest::Ingest;
use outflow_aws::{feed, own_log};
use outflow_pipeline::ingest::Own;
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    own_log::quiet_panics();
    let context = Context::from_env().await;
    let store = DynamoStore::new(&context.dynamo(), &context.table);
    let ingest = Ingest::open(store, Own::of_stack(&context.own_prefix), &context.region())
        .await
        .context("the table of OUTFLOW_TABLE can't be used")?;
    let (ingest, objects) = (&ingest, &context.s3());
    let stack = &context.stack();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let now = now().map_err(failed)?;
        let messages = feed::of_trail_event(event.payload.get().as_bytes());
        let outcome = ingest.take(objects, &messages, now).await;
        outcome.line("ingest-trail", now).write(stack, now);
        outcome.answer().map_err(failed)
    }))
    .await
}

fn failed(why: impl std::fmt::Display) -> Diagnostic {
    Diagnostic { error_type: "Outflow.Failed".to_owned(), error_message: why.to_string() }
}
