//! The least that a Lambda can be: what our functions' starts, latencies, memory and zips stand beside in `make bench-start`.
//!
//! Built as they are. There is deliberately no client of AWS here: what those cost is what the comparison shows.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|_: LambdaEvent<Value>| async { Ok::<_, Error>(json!("hello")) })).await
}
