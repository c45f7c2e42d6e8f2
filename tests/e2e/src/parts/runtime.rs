//! Lambda's Runtime API on loopback, and one function's process under it.
//!
//! "Using the Lambda runtime API for custom runtimes" of the Lambda guide: the process asks for the next invocation and
//! posts a response or an error. One server serves one function, one invocation at a time, as an execution environment
//! does. Head and body of an answer go out at once (`TCP_NODELAY`): otherwise every call costs 40 ms. There is
//! deliberately no retry, no queue's redelivery and no timeout of the function: tests play those themselves.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Process;

/// How long a test waits for an answer or a line before it fails.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// What Lambda says the function may take.
const TIMEOUT_MS: u128 = 60_000;

/// What a function answered: its response, or its error as the runtime reports it. Also an error: it died.
pub type Answer = Result<Value, Value>;

/// A function under its Runtime API.
pub struct Function {
    binary: PathBuf,
    env: Vec<(String, String)>,
    address: SocketAddr,
    shared: Arc<Shared>,
    process: Option<Process>,
    lines: Arc<Mutex<Vec<String>>>,
    invocations: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    /// Raised with every process: what an earlier one left waiting gets nothing.
    generation: u64,
    waiting: VecDeque<(String, Bytes)>,
    answers: HashMap<String, Sender<Answer>>,
    init_error: Option<Value>,
}

impl Function {
    /// Starts a function's process with an environment of its own.
    pub fn start(binary: &Path, env: &[(&str, &str)]) -> Function {
        let shared = Arc::new(Shared::default());
        let mut function = Function {
            binary: binary.to_owned(),
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            address: serve(shared.clone()),
            shared,
            process: None,
            lines: Arc::default(),
            invocations: 0,
        };
        function.restart();
        function
    }

    /// Ends the process, if there is one, and starts it again: a cold start.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(&self.binary);
        command.env_clear().envs([
            ("AWS_LAMBDA_RUNTIME_API", &*self.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "function"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDLOCAL"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]);
        command.envs(self.env.iter().map(|(name, value)| (name, value))).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        keep(child.stdout.take().unwrap(), self.lines.clone());
        keep(child.stderr.take().unwrap(), self.lines.clone());
        self.process = Some(Process(child));
    }

    /// SIGKILL. An invocation under way ends with an error.
    pub fn kill(&mut self) {
        drop(self.process.take());
        let mut state = self.shared.state.lock().unwrap();
        state.generation += 1;
        state.waiting.clear();
        state.answers.clear();
        drop(state);
        self.shared.arrived.notify_waiters();
    }

    /// Gives the function an event; its answer comes later.
    pub fn send(&mut self, event: impl Into<Bytes>) -> Receiver<Answer> {
        self.invocations += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.invocations);
        let (sender, receiver) = channel();
        let mut state = self.shared.state.lock().unwrap();
        state.answers.insert(id.clone(), sender);
        state.waiting.push_back((id, event.into()));
        drop(state);
        self.shared.arrived.notify_one();
        receiver
    }

    /// Invokes the function and waits.
    pub fn invoke(&mut self, event: impl Into<Bytes>) -> Answer {
        let answer = self.send(event);
        let started = Instant::now();
        loop {
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(answer) => return answer,
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Err(json!("killed")),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            }
            let ended = self.process.as_mut().is_none_or(|process| process.0.try_wait().unwrap().is_some());
            assert!(started.elapsed() < WAIT_MAX, "no answer:\n{}", self.log());
            if ended {
                return Err(self.shared.state.lock().unwrap().init_error.take().unwrap_or_else(|| json!("exited")));
            }
        }
    }

    /// All that the function wrote, of every process it had.
    pub fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits until so many lines were written that hold a text; gives the last of them.
    pub fn line(&self, count: usize, text: &str) -> String {
        let started = Instant::now();
        loop {
            let lines = self.lines.lock().unwrap();
            let found: Vec<&String> = lines.iter().filter(|line| line.contains(text)).collect();
            if found.len() >= count {
                return found.last().map(|line| (*line).clone()).unwrap_or_default();
            }
            drop(lines);
            assert!(started.elapsed() < WAIT_MAX, "no {text} in:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The most memory that the process had, in KiB, where the system tells.
    pub fn peak_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.as_ref()?.0.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }
}

fn keep(output: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
}

/// Serves on a free port, as long as this process lives.
fn serve(shared: Arc<Shared>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, accept(listener, shared));
    });
    address
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let shared = shared.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| answer(request, &shared));
            // A process that is killed breaks its connection off.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_start_matches("/2018-06-01/runtime/").split('/').collect();
    Ok(match parts[..] {
        ["invocation", "next"] => next(shared).await,
        ["invocation", id, how @ ("response" | "error")] => {
            let value = body(request).await;
            let answer = if how == "response" { Ok(value) } else { Err(value) };
            match shared.state.lock().unwrap().answers.remove(id) {
                Some(waiting) => drop(waiting.send(answer)),
                None => return Ok(status(StatusCode::BAD_REQUEST)),
            }
            status(StatusCode::ACCEPTED)
        }
        ["init", "error"] => {
            let value = body(request).await;
            shared.state.lock().unwrap().init_error = Some(value);
            status(StatusCode::ACCEPTED)
        }
        _ => status(StatusCode::NOT_FOUND),
    })
}

async fn body(request: Request<Incoming>) -> Value {
    let bytes = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into())
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}

/// Waits for an event; the process that is dead meanwhile gets none.
async fn next(shared: &Shared) -> Response<Full<Bytes>> {
    let generation = shared.state.lock().unwrap().generation;
    loop {
        let arrived = shared.arrived.notified();
        {
            let mut state = shared.state.lock().unwrap();
            if state.generation != generation {
                return status(StatusCode::GONE);
            }
            if let Some((id, event)) = state.waiting.pop_front() {
                let deadline = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() + TIMEOUT_MS;
                let response = Response::builder()
                    .header("Content-Type", "application/json")
                    .header("Lambda-Runtime-Aws-Request-Id", id)
                    .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
                    .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:function")
                    .header("Lambda-Runtime-Trace-Id", "Root=1-5e7d0f00-000000000000000000000000;Sampled=0");
                return response.body(Full::new(event)).unwrap();
            }
        }
        arrived.await;
    }
}
