//! Slack over the SDK's own HTTP connector: an incoming webhook, or a bot's token.
//!
//! What the secret holds tells which: a URL is a webhook, which can only post; a token posts, answers in threads and edits. A
//! request goes to Slack's hosts over https and nowhere else, unless an endpoint for tests or a proxy is stated; redirects are
//! not followed, the answer is bounded, everything has a time. Errors hold Slack's code and never a URL, a token or a body. A
//! secret that is refused is read again once, because it may have been changed. Deliberately absent: retries (the queue's), and
//! what is said (core's).

use std::time::{Duration, Instant};

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use outflow_pipeline::sender::{Place, Post, Posted, SendError, Sender, Standing};
use serde_json::{Value, json};

use crate::secrets::{Kept, Secret, SecretError, Source};
use crate::slack_codes::{Kind, kind, remedy};

/// Time of one request, the answer included: Slack answers within a second or is in trouble.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Bytes of an answer that are read: Slack's are some hundred.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Where webhooks live.
const WEBHOOK_HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];
/// Where a token is used, unless an endpoint is stated.
const API: &str = "https://slack.com";

/// What is stated beside the secret.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where a token posts to: a channel's id.
    pub channel: Option<String>,
    /// `http://127.0.0.1:9999` or `https://slack-gov.com`: takes the place of Slack's scheme and host.
    pub endpoint: Option<String>,
    /// Time of one request; eight seconds if none is stated.
    pub timeout: Option<Duration>,
}

/// A channel in Slack.
pub struct Slack<S> {
    secret: Kept<S>,
    settings: Settings,
    connector: Connector,
}

/// Where a request goes, and how it shows who it is.
struct Route<'a> {
    url: String,
    token: Option<&'a str>,
}

/// What came back.
struct Answer {
    status: u16,
    retry_after_s: Option<u32>,
    body: String,
}

impl<S: Source> Slack<S> {
    /// A channel by its secret.
    pub fn new(source: S, settings: Settings) -> Slack<S> {
        let plain = settings.endpoint.as_ref().is_some_and(|base| base.starts_with("http://"));
        let builder = Connector::builder();
        let connector = match plain {
            true => builder.build_http(),
            false => builder.tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build(),
        };
        Slack { secret: Kept::new(source), settings, connector }
    }

    async fn attempt(&self, secret: &Secret, post: &Post) -> Result<Posted, SendError> {
        let route = route(secret, post, &self.settings)?;
        let body = body(post, route.token.is_some(), self.settings.channel.as_deref())?;
        let request = request(&route, body)?;
        let answer = tokio::time::timeout(self.settings.timeout.unwrap_or(TIMEOUT), self.ask(request)).await;
        let answer = answer.map_err(|_| later("timeout", None))??;
        match route.token {
            Some(_) => api_answer(&answer, &post.place),
            None => webhook_answer(&answer),
        }
    }

    async fn ask(&self, request: HttpRequest) -> Result<Answer, SendError> {
        let response = self.connector.call(request).await.map_err(|e| {
            // Its words may hold the URL, which is the secret.
            let why = if e.is_timeout() { "timeout" } else { "no connection" };
            later(why, None)
        })?;
        answer(response).await
    }
}

impl<S: Source> Sender for Slack<S> {
    async fn post(&self, post: &Post) -> Result<Posted, SendError> {
        let secret = self.secret.get(Instant::now()).await.map_err(|e| unread(&e))?;
        match self.attempt(&secret, post).await {
            Err(SendError::Refused { code, remedy }) => match self.secret.other_than(&secret, Instant::now()).await {
                Ok(Some(other)) => self.attempt(&other, post).await,
                _ => Err(SendError::Refused { code, remedy }),
            },
            done => done,
        }
    }
}

/// A secret that can't be read may be read later: permissions and services come back.
fn unread(error: &SecretError) -> SendError {
    SendError::Later { why: error.to_string(), after_s: None }
}

fn later(why: &str, after_s: Option<u32>) -> SendError {
    SendError::Later { why: why.to_owned(), after_s }
}

fn refused(code: &str) -> SendError {
    SendError::Refused { code: code.to_owned(), remedy: remedy(code).to_owned() }
}

fn route<'a>(secret: &'a Secret, post: &Post, settings: &Settings) -> Result<Route<'a>, SendError> {
    let text = secret.expose();
    let fits = text.bytes().all(|b| b.is_ascii_graphic());
    let endpoint = settings.endpoint.as_deref().map(|base| base.trim_end_matches('/'));
    if fits && text.starts_with("xox") {
        let method = if matches!(post.place, Place::Instead(_)) { "chat.update" } else { "chat.postMessage" };
        return Ok(Route { url: format!("{}/api/{method}", endpoint.unwrap_or(API)), token: Some(text) });
    }
    let webhook = text.strip_prefix("https://").and_then(|rest| rest.split_once('/')).filter(|_| fits);
    match webhook {
        Some((host, path)) if WEBHOOK_HOSTS.contains(&host) && !path.is_empty() => {
            if post.place != Place::Channel {
                return Err(SendError::Gone { code: "a webhook can neither answer nor edit".to_owned() });
            }
            let url = endpoint.map_or_else(|| text.to_owned(), |base| format!("{base}/{path}"));
            Ok(Route { url, token: None })
        }
        _ => Err(refused("unusable_secret")),
    }
}

fn body(post: &Post, token: bool, channel: Option<&str>) -> Result<String, SendError> {
    let mut body = json!(post.payload);
    let Some(fields) = body.as_object_mut() else { return Err(refused("unknown")) };
    if token {
        match &post.place {
            Place::Channel => {
                let channel = channel.ok_or_else(|| refused("no_channel"))?;
                fields.insert("channel".to_owned(), channel.into());
            }
            Place::Thread(at) => {
                fields.insert("channel".to_owned(), at.channel.as_str().into());
                fields.insert("thread_ts".to_owned(), at.ts.as_str().into());
            }
            Place::Instead(at) => {
                fields.insert("channel".to_owned(), at.channel.as_str().into());
                fields.insert("ts".to_owned(), at.ts.as_str().into());
                // Without them the blocks that were there would stay; and what only a new message knows is left out.
                fields.entry("blocks").or_insert_with(|| json!([]));
                fields.retain(|name, _| !matches!(name.as_str(), "mrkdwn" | "unfurl_links" | "unfurl_media"));
            }
        }
    }
    Ok(body.to_string())
}

fn request(route: &Route<'_>, body: String) -> Result<HttpRequest, SendError> {
    let mut request = HttpRequest::new(SdkBody::from(body));
    let built = request.set_method("POST").is_ok() && request.set_uri(route.url.as_str()).is_ok();
    let headers = request.headers_mut();
    headers.insert("content-type", "application/json; charset=utf-8");
    let bearer = route.token.map(|token| headers.try_insert("authorization", format!("Bearer {token}")).is_ok());
    if built && bearer.unwrap_or(true) { Ok(request) } else { Err(refused("unusable_secret")) }
}

/// Status, delay and as much of the body as is needed.
async fn answer(mut response: HttpResponse) -> Result<Answer, SendError> {
    let status = response.status().as_u16();
    let retry_after_s = response.headers().get("retry-after").and_then(|text| text.trim().parse().ok());
    let mut stream = ByteStream::new(response.take_body());
    let mut bytes = Vec::new();
    while let Some(part) = stream.next().await {
        // Where it was accepted and the answer is cut, it is not known what became of it.
        let part = part.map_err(|_| later("the answer was cut", retry_after_s))?;
        let room = ANSWER_BYTES_MAX - bytes.len();
        bytes.extend(part.iter().take(room));
        if bytes.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(Answer { status, retry_after_s, body: String::from_utf8_lossy(&bytes).into_owned() })
}

/// What is retried whatever the body says.
fn busy(answer: &Answer) -> Option<SendError> {
    match answer.status {
        429 => Some(later("429", answer.retry_after_s)),
        408 | 500..=599 => Some(later(&answer.status.to_string(), answer.retry_after_s)),
        _ => None,
    }
}

/// A code as Slack writes them: whatever else may stand there is not repeated.
fn code(text: &str) -> Option<&str> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    fits.then_some(text)
}

fn webhook_answer(answer: &Answer) -> Result<Posted, SendError> {
    if let Some(error) = busy(answer) {
        return Err(error);
    }
    if answer.status == 200 {
        return Ok(Posted { standing: None });
    }
    let status = format!("http_{}", answer.status);
    // A redirect's body is not Slack's.
    let said = code(&answer.body).filter(|_| answer.status >= 400);
    Err(error(said.unwrap_or(&status), &Place::Channel))
}

fn api_answer(answer: &Answer, place: &Place) -> Result<Posted, SendError> {
    if let Some(error) = busy(answer) {
        return Err(error);
    }
    let said: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    if answer.status == 200 && said["ok"] == true {
        let standing = said["channel"].as_str().zip(said["ts"].as_str());
        let standing = standing.map(|(channel, ts)| Standing { channel: channel.to_owned(), ts: ts.to_owned() });
        return Ok(Posted { standing });
    }
    if answer.status == 200 && said.is_null() {
        return Err(later("the answer can't be read", None));
    }
    let status = format!("http_{}", answer.status);
    Err(error(said["error"].as_str().and_then(code).unwrap_or(&status), place))
}

fn error(code: &str, place: &Place) -> SendError {
    let code = code.to_owned();
    match kind(&code) {
        Kind::Unfit => SendError::Unfit { code },
        Kind::Later => SendError::Later { why: code, after_s: None },
        Kind::Gone => SendError::Gone { code },
        // The channel of the first message may be gone while another is stated by now.
        Kind::Channel if *place != Place::Channel => SendError::Gone { code },
        Kind::Channel | Kind::Theirs => SendError::Refused { remedy: remedy(&code).to_owned(), code },
    }
}

#[cfg(test)]
mod tests;
