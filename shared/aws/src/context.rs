//! What a function knows when it starts: Region, credentials, endpoints, and one HTTP client for all of them.
//!
//! Endpoints are read as every AWS tool reads them (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_DYNAMODB`, …). TLS is rustls with
//! ring. There is deliberately no provider of credentials but the environment: Lambda has no other.

use std::time::{Duration, UNIX_EPOCH};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use outflow_core::time::Timestamp;

/// Tries of one request, the first included.
const ATTEMPTS_MAX: u32 = 3;
/// How long one try may take, and all of them.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);

/// What the clients of one process share.
#[derive(Clone, Debug)]
pub struct Context {
    /// For the clients of the SDK.
    pub sdk: SdkConfig,
    /// `OUTFLOW_TABLE`: the table; empty where it isn't set.
    pub table: String,
    /// `OUTFLOW_OWN`: how the names of our own functions and roles begin; empty: nothing is left out.
    pub own_prefix: String,
    /// `OUTFLOW_TOPIC_ARN`: the topic of alerts.
    pub topic: Option<String>,
    /// `OUTFLOW_SETTINGS`: the parameter that holds `outflow.toml`.
    pub settings: Option<String>,
    /// `OUTFLOW_SLACK_SECRET`: name or ARN of what holds the webhook or the token.
    pub slack_secret: Option<String>,
    /// `OUTFLOW_SLACK_CHANNEL`, `OUTFLOW_SLACK_ENDPOINT`.
    pub slack: crate::slack::Settings,
}

impl Context {
    /// Reads the environment; once per cold start.
    pub async fn from_env() -> Context {
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(OPERATION_TIMEOUT);
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts.build())
            .credentials_provider(aws_config::environment::EnvironmentVariableCredentialsProvider::new())
            .load()
            .await;
        let setting = |name| std::env::var(name).unwrap_or_default();
        let stated = |name| Some(setting(name)).filter(|value| !value.trim().is_empty());
        Context {
            sdk,
            table: setting("OUTFLOW_TABLE"),
            own_prefix: setting("OUTFLOW_OWN"),
            topic: stated("OUTFLOW_TOPIC_ARN"),
            settings: stated("OUTFLOW_SETTINGS"),
            slack_secret: stated("OUTFLOW_SLACK_SECRET"),
            slack: crate::slack::Settings {
                channel: stated("OUTFLOW_SLACK_CHANNEL"),
                endpoint: stated("OUTFLOW_SLACK_ENDPOINT"),
                timeout: None,
            },
        }
    }

    /// The stack that our functions are named after, for metrics.
    pub fn stack(&self) -> String {
        self.own_prefix.trim_end_matches('-').to_owned()
    }

    /// The Region of the function, as Lambda states it.
    pub fn region(&self) -> String {
        self.sdk.region().map(|region| region.as_ref().to_owned()).unwrap_or_default()
    }

    /// A client of DynamoDB.
    pub fn dynamo(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk)
    }

    /// A client of SNS.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.sdk)
    }

    /// A client of SSM.
    pub fn ssm(&self) -> aws_sdk_ssm::Client {
        aws_sdk_ssm::Client::new(&self.sdk)
    }

    /// A client of SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk)
    }

    /// A client of S3.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(&self.sdk)
    }
}

/// The machine's clock is before 1970 or beyond what times can be.
#[derive(Debug, thiserror::Error)]
#[error("the clock is wrong")]
pub struct WrongClock;

/// The time by the machine's clock.
pub fn now() -> Result<Timestamp, WrongClock> {
    let ms = UNIX_EPOCH.elapsed().ok().and_then(|elapsed| i64::try_from(elapsed.as_millis()).ok());
    ms.and_then(Timestamp::from_ms).ok_or(WrongClock)
}
