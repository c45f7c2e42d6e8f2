//! Lambda: says hello. What our functions are measured against.
//!
//! A crate of its own, because what counts is a binary with the runtime in it and nothing else. There is deliberately
//! nothing of the product here.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|_: LambdaEvent<Value>| async { Ok::<_, Error>("hello") })).await
}
