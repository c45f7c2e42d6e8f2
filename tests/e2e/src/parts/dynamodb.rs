//! DynamoDB as AWS's own emulator, in memory, on a free port of loopback.
//!
//! It is right about conditions, transactions, limits and the capacity of single operations, and never throttles:
//! `trouble` does. It ends with its guard, and with the process that started it. Deliberately absent: the table's template,
//! which is the deployment's; a table here has the same keys and nothing more.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};

use super::{Process, skip, tools};

/// The emulator.
pub struct DynamoDb {
    _process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl DynamoDb {
    /// Starts it; nothing, said plainly, where it isn't installed.
    pub fn start() -> Option<DynamoDb> {
        let library = tools().join("dynamodb/lib");
        if !library.exists() {
            skip("DynamoDB's emulator");
            return None;
        }
        let mut child = Command::new("java")
            .args(["-Xmx512m", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Djava.library.path={}", library.display()))
            .arg("-cp")
            .arg(format!("{}/*", library.display()))
            .arg("Loop")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("java starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let process = Process(child);
        let address = lines.find_map(|line| line.strip_prefix("listening on ")?.parse().ok()).expect("the emulator listens");
        Some(DynamoDb { _process: process, address })
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        client(self.address, Duration::from_secs(10))
    }
}

/// A client of whatever listens there, as the functions have one: a try may last so long, and is repeated twice.
pub fn client(address: SocketAddr, attempt: Duration) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(format!("http://{address}"))
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("AKIDLOCAL", "secret", None, None, "tests"))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).build());
    Client::from_conf(config.build())
}

/// Makes a table as the store expects it.
pub async fn create_table(client: &Client, name: &str) {
    let attribute = |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("p").unwrap())
        .attribute_definitions(attribute("s").unwrap())
        .key_schema(key("p", KeyType::Hash).unwrap())
        .key_schema(key("s", KeyType::Range).unwrap())
        .send()
        .await
        .expect("a table");
}
