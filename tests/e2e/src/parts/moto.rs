//! moto: S3, SQS, SNS, secrets and tables on loopback.
//!
//! Good enough for what one client does after another; it has no order of writers, no limits of sizes and no rights.
//! Started on a free port, ready when it answers, ended by its pid. There is deliberately no reset: every test has its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

use super::{Process, skip, tools};

/// How long it may take to start on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// A server.
pub struct Moto {
    /// Its endpoint for every service.
    pub url: String,
    _process: Process,
}

impl Moto {
    /// What clients of its services are made with.
    pub fn sdk(&self) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&self.url)
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("AKIDLOCAL", "secret", None, None, "tests")))
            .build()
    }
}

/// Starts one; nothing where it isn't installed.
pub fn start() -> Option<Moto> {
    let program = tools().join("venv/bin/moto_server");
    if !program.is_file() {
        skip("moto");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process(command.spawn().unwrap());
    let started = Instant::now();
    while !answers(port) {
        assert!(started.elapsed() < START_MAX, "moto does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(Moto { url: format!("http://127.0.0.1:{port}"), _process: process })
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /moto-api/data.json HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b"200"))
    };
    ask().unwrap_or(false)
}
