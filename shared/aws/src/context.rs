//! What a function knows when it starts: Region, credentials, endpoints, and one HTTP client for all of them.
//!
//! Endpoints are read as every AWS tool reads them (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_DYNAMODB`, …). TLS is rustls with
//! ring. There is deliberately no provider of credentials but the environment: Lambda has no other.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

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
}

/// A setting of the environment; an empty one is none.
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
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
        Context { sdk }
    }
}
