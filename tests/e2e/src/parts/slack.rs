//! A server that stands for Slack: incoming webhooks, `chat.postMessage`, `chat.update`.
//!
//! It holds every message to the documented limits, and to the sum of all texts that Slack enforces without saying so, refuses
//! with Slack's own codes and keeps what it accepted. Trouble is planned: one act for each of the next requests. It is stricter than Slack where a
//! text could speak to people: markup that mentions somebody is refused as `mentions`. There is deliberately no rate of its own and no
//! block that Outflow doesn't use.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

/// The channel that exists.
pub const CHANNEL: &str = "C0ALERTS";
const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3_000;
const ELEMENTS_MAX: usize = 10;
const BLOCKS_MAX: usize = 50;
const TEXT_MAX: usize = 4_000;
/// At which Slack was seen to refuse the sum of all texts of blocks.
const SUM_MAX: usize = 11_000;

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// This status and body, and nothing is kept.
    Answer(u16, &'static str),
    /// 429 with so many seconds.
    Limited(u32),
    /// The API's refusal, with status 200.
    Refuse(&'static str),
    /// Kept, and answered after so long.
    Slow(Duration),
    /// Kept; the connection ends without an answer.
    LoseAnswer,
    /// Kept; the answer is a status and bytes without an end in sight.
    Endless,
    /// To another place, which must not be asked.
    Redirect,
}

/// A message that was accepted.
#[derive(Clone, Debug)]
pub struct Kept {
    /// `webhook`, `chat.postMessage`, `chat.update`.
    pub how: &'static str,
    /// As it was sent.
    pub body: Value,
    /// Its number in the channel.
    pub ts: String,
}

/// A Slack on loopback.
#[derive(Clone)]
pub struct Slack {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    webhook: String,
    token: String,
    plan: VecDeque<Act>,
    kept: Vec<Kept>,
    requests: usize,
}

impl Slack {
    /// Knows one webhook and one token.
    pub fn start() -> Slack {
        let state = State {
            webhook: "/services/T0/B0/valid".to_owned(),
            token: "xoxb-valid".to_owned(),
            plan: VecDeque::new(),
            kept: Vec::new(),
            requests: 0,
        };
        let state = Arc::new(Mutex::new(state));
        Slack { address: serve(state.clone()), state }
    }

    /// For `OUTFLOW_SLACK_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests go so.
    pub fn plan(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.lock().unwrap().plan.extend(acts);
    }

    /// From now on only this path is a webhook and only this token is known.
    pub fn change(&self, webhook: &str, token: &str) {
        let mut state = self.state.lock().unwrap();
        (state.webhook, state.token) = (webhook.to_owned(), token.to_owned());
    }

    /// Forgets a message, as if a person had deleted it.
    pub fn delete(&self, ts: &str) {
        self.state.lock().unwrap().kept.retain(|kept| kept.ts != ts);
    }

    /// What was accepted.
    pub fn kept(&self) -> Vec<Kept> {
        self.state.lock().unwrap().kept.clone()
    }

    /// How often it was asked.
    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }
}

fn serve(state: Arc<Mutex<State>>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, accept(listener, state));
    });
    address
}

async fn accept(listener: std::net::TcpListener, state: Arc<Mutex<State>>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| answer(request, &state));
            // A planned loss ends the connection with an error.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let path = request.uri().path().to_owned();
    let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (token, kind) = (header("authorization"), header("content-type"));
    let bytes = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = serde_json::from_slice::<Value>(&bytes).ok().filter(|_| kind.starts_with("application/json"));
    let act = {
        let mut state = state.lock().unwrap();
        state.requests += 1;
        state.plan.pop_front()
    };
    match act {
        Some(Act::Answer(status, text)) => return Ok(respond(status, text.to_owned())),
        Some(Act::Limited(seconds)) => {
            let mut response = respond(429, String::new());
            response.headers_mut().insert("retry-after", seconds.into());
            return Ok(response);
        }
        Some(Act::Refuse(code)) => return Ok(respond(200, json!({"ok": false, "error": code}).to_string())),
        Some(Act::Redirect) => {
            let mut response = respond(302, String::new());
            response.headers_mut().insert("location", "/services/T0/B0/valid".parse().unwrap());
            return Ok(response);
        }
        _ => {}
    }
    let done = match path.strip_prefix("/api/") {
        Some(method) => api(method, &token, body, &mut state.lock().unwrap()),
        None => webhook(&path, body, &mut state.lock().unwrap()),
    };
    match act {
        Some(Act::Slow(long)) => tokio::time::sleep(long).await,
        Some(Act::LoseAnswer) => return Err(std::io::Error::other("the answer is lost")),
        Some(Act::Endless) => return Ok(respond(200, "x".repeat(8 << 20))),
        _ => {}
    }
    Ok(done)
}

fn respond(status: u16, body: String) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

fn webhook(path: &str, body: Option<Value>, state: &mut State) -> Response<Full<Bytes>> {
    if path != state.webhook {
        return respond(404, "no_service".to_owned());
    }
    let Some(body) = body else { return respond(400, "invalid_payload".to_owned()) };
    match refusal(&body) {
        Some(code) => respond(400, code.to_owned()),
        None => {
            keep("webhook", body, state);
            respond(200, "ok".to_owned())
        }
    }
}

fn api(method: &str, token: &str, body: Option<Value>, state: &mut State) -> Response<Full<Bytes>> {
    let refuse = |code: &str| respond(200, json!({"ok": false, "error": code}).to_string());
    if token.strip_prefix("Bearer ") != Some(&state.token) {
        return refuse("invalid_auth");
    }
    let Some(body) = body else { return refuse("invalid_json") };
    if body["channel"] != CHANNEL {
        return refuse("channel_not_found");
    }
    if let Some(code) = refusal(&body) {
        return refuse(code);
    }
    let stands = |ts: &Value| state.kept.iter().any(|kept| kept.ts == *ts);
    let ts = match method {
        "chat.update" if !stands(&body["ts"]) => return refuse("message_not_found"),
        "chat.update" => {
            let ts = body["ts"].as_str().unwrap_or_default().to_owned();
            state.kept.push(Kept { how: "chat.update", body, ts: ts.clone() });
            ts
        }
        "chat.postMessage" if !body["thread_ts"].is_null() && !stands(&body["thread_ts"]) => return refuse("thread_not_found"),
        "chat.postMessage" => keep("chat.postMessage", body, state),
        _ => return refuse("unknown_method"),
    };
    respond(200, json!({"ok": true, "channel": CHANNEL, "ts": ts}).to_string())
}

fn keep(how: &'static str, body: Value, state: &mut State) -> String {
    let ts = format!("1760461860.{:06}", state.kept.len() + 1);
    state.kept.push(Kept { how, body, ts: ts.clone() });
    ts
}

/// Slack's code for what it would not take.
pub fn refusal(body: &Value) -> Option<&'static str> {
    if !body.is_object() {
        return Some("invalid_payload");
    }
    let text = body["text"].as_str().unwrap_or_default();
    let none = Vec::new();
    let blocks = body["blocks"].as_array().unwrap_or(&none);
    if text.is_empty() && blocks.is_empty() {
        return Some("no_text");
    }
    if text.chars().count() > TEXT_MAX {
        return Some("msg_too_long");
    }
    if blocks.len() > BLOCKS_MAX || !blocks.iter().all(is_block) {
        return Some("invalid_blocks");
    }
    let texts: Vec<&str> = blocks.iter().flat_map(texts).collect();
    if texts.iter().map(|t| t.chars().count()).sum::<usize>() > SUM_MAX {
        return Some("msg_blocks_too_long");
    }
    let speaks = |text: &str| ["<!", "<@", "<#"].iter().any(|mark| text.contains(mark));
    texts.iter().chain([&text]).any(|text| speaks(text)).then_some("mentions")
}

fn is_block(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("header") => is_text(&block["text"], HEADER_MAX) && block["text"]["type"] == "plain_text",
        Some("section") => is_text(&block["text"], SECTION_MAX),
        Some("context") => block["elements"]
            .as_array()
            .is_some_and(|all| (1..=ELEMENTS_MAX).contains(&all.len()) && all.iter().all(|t| is_text(t, SECTION_MAX))),
        _ => false,
    }
}

fn is_text(text: &Value, max: usize) -> bool {
    let long = text["text"].as_str().map_or(0, |t| t.chars().count());
    let fields: &[&str] = if text["type"] == "plain_text" { &["type", "text", "emoji"] } else { &["type", "text", "verbatim"] };
    let known = text.as_object().is_some_and(|all| all.keys().all(|key| fields.contains(&key.as_str())));
    known && (text["type"] == "plain_text" || text["type"] == "mrkdwn") && (1..=max).contains(&long)
}

fn texts(block: &Value) -> Vec<&str> {
    let elements = block["elements"].as_array().into_iter().flatten();
    elements.chain([&block["text"]]).filter_map(|text| text["text"].as_str()).collect()
}
