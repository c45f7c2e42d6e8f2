//! IAM, as far as our functions meet it: a proxy that lets through what a function's policy allows, and refuses the rest.
//!
//! The policies are those of `infra/template.yaml`, resolved by `tests/tools/template.py`. Each request is read as the action
//! and resource that it is, so a call that nobody thought of is refused and fails the run. Deliberately absent: conditions,
//! of which the functions' policies have none, policies of resources, and what a boundary takes away.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::trouble::{forward, read_request};
use super::{root, skip, tools};

/// Region and account of the tests.
const PLACE: &str = "eu-west-1:123456789012";

/// What the template gives.
#[derive(Clone, Debug)]
pub struct Template(Value);

/// A call of AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// `service:Action`.
    pub action: String,
    /// ARN.
    pub resource: String,
}

impl Template {
    /// Resolves the template for parameters and names of resources; nothing where the tool isn't installed.
    pub fn resolve(given: &[(&str, &str)]) -> Option<Template> {
        let python = tools().join("template/bin/python");
        if !python.is_file() {
            skip("SAM's translator");
            return None;
        }
        let mut command = Command::new(python);
        command.arg(root().join("tests/tools/template.py")).env("AWS_DEFAULT_REGION", "eu-west-1");
        let output = command.args(given.iter().map(|(name, value)| format!("{name}={value}"))).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Template(serde_json::from_slice(&output.stdout).unwrap()))
    }

    /// Names of log groups that are ours, and of those that the subscription leaves out.
    pub fn groups(&self) -> [BTreeSet<&str>; 2] {
        ["groups", "left_out"].map(|name| self.0[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect())
    }

    /// Names of functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.0["functions"].as_object().into_iter().flat_map(|all| all.keys().map(String::as_str))
    }

    /// Statements of a function's role.
    pub fn statements(&self, function: &str) -> &[Value] {
        self.0["functions"][function].as_array().map_or(&[], Vec::as_slice)
    }

    /// Whether a function's role may do this.
    pub fn allows(&self, function: &str, call: &Call) -> bool {
        let all = |value: &Value, is: &dyn Fn(&str) -> bool| match value {
            Value::String(text) => is(text),
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).any(is),
            _ => false,
        };
        self.statements(function).iter().any(|statement| {
            statement["Effect"] == "Allow"
                && statement["Condition"].is_null()
                && all(&statement["Action"], &|pattern| matches(&pattern.to_lowercase(), &call.action.to_lowercase()))
                && all(&statement["Resource"], &|pattern| matches(pattern, &call.resource))
        })
    }
}

/// IAM's wildcards: `*` any text, `?` one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    loop {
        match (pattern.next(), text.clone().next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                let rest = pattern.as_str();
                return (0..=text.as_str().len())
                    .filter(|&i| text.as_str().is_char_boundary(i))
                    .any(|i| matches(rest, text.as_str().get(i..).unwrap_or_default()));
            }
            (Some('?'), Some(_)) => {}
            (Some(p), Some(t)) if p == t => {}
            _ => return false,
        }
        text.next();
    }
}

/// The proxy before one part, for one function.
pub struct Gate {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    allowed: BTreeSet<Call>,
    refused: BTreeSet<Call>,
}

impl Gate {
    /// Listens before the part at `upstream`.
    pub fn start(upstream: SocketAddr, template: &Template, function: &str) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let (template, function, seen) = (template.clone(), function.to_owned(), Arc::clone(&gate.seen));
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let (template, function, seen) = (template.clone(), function.clone(), Arc::clone(&seen));
                thread::spawn(move || -> std::io::Result<()> {
                    let request = read_request(&mut client)?;
                    let calls = calls(&request);
                    let refused: Vec<Call> = calls.iter().filter(|call| !template.allows(&function, call)).cloned().collect();
                    if refused.is_empty() {
                        seen.lock().unwrap().allowed.extend(calls);
                        client.write_all(&forward(&request, upstream)?)
                    } else {
                        seen.lock().unwrap().refused.extend(refused);
                        let json = r#"{"__type":"AccessDeniedException","message":"the policy does not allow it"}"#;
                        let head = "HTTP/1.1 403 -\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\n";
                        client.write_all(format!("{head}content-length: {}\r\n\r\n{json}", json.len()).as_bytes())
                    }
                });
            }
        });
        gate
    }

    /// What was let through.
    pub fn allowed(&self) -> BTreeSet<Call> {
        self.seen.lock().unwrap().allowed.clone()
    }

    /// What was refused.
    pub fn refused(&self) -> BTreeSet<Call> {
        self.seen.lock().unwrap().refused.clone()
    }
}

/// The actions and resources of a request: a transaction is allowed where each of its parts is ("Using IAM with DynamoDB
/// transactions" of the DynamoDB guide).
fn calls(request: &[u8]) -> Vec<Call> {
    let whole = call(request);
    if whole.action != "dynamodb:TransactWriteItems" {
        return vec![whole];
    }
    let body = request.windows(4).position(|w| w == b"\r\n\r\n").and_then(|end| request.get(end + 4..)).unwrap_or_default();
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = json["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
    let part = |(kind, what): (&String, &Value)| Call {
        action: format!("dynamodb:{kind}Item"),
        resource: format!("arn:aws:dynamodb:{PLACE}:table/{}", what["TableName"].as_str().unwrap_or_default()),
    };
    items.map(part).collect()
}

/// The action and resource of a request.
fn call(request: &[u8]) -> Call {
    let end = request.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(request.len());
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let body = request.get(end + 4..).unwrap_or_default();
    let target = head.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("x-amz-target")));
    let of = |action: String, resource: String| Call { action, resource };
    let Some((service, action)) = target.and_then(|(_, value)| value.trim().split_once('.')) else {
        let mut words = head.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let form = String::from_utf8_lossy(body).into_owned();
        let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(decoded);
        if let (Some(action), Some(topic)) = (field("Action"), field("TopicArn")) {
            return of(format!("sns:{action}"), topic);
        }
        let path = path.split('?').next().unwrap_or_default();
        let action = if method == "GET" { "GetObject".to_owned() } else { format!("{method}Object") };
        return of(format!("s3:{action}"), format!("arn:aws:s3:::{}", path.trim_start_matches('/')));
    };
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    match service.split('_').next().unwrap_or_default() {
        "DynamoDB" => of(format!("dynamodb:{action}"), format!("arn:aws:dynamodb:{PLACE}:table/{}", text("TableName"))),
        "AmazonSQS" => {
            let queue = text("QueueUrl");
            of(format!("sqs:{action}"), format!("arn:aws:sqs:{PLACE}:{}", queue.rsplit('/').next().unwrap_or_default()))
        }
        "AmazonSSM" => of(format!("ssm:{action}"), format!("arn:aws:ssm:{PLACE}:parameter/{}", text("Name").trim_start_matches('/'))),
        "secretsmanager" => {
            of(format!("secretsmanager:{action}"), format!("arn:aws:secretsmanager:{PLACE}:secret:{}-AbCdEf", text("SecretId")))
        }
        other => of(format!("{other}:{action}"), "unknown".to_owned()),
    }
}

/// A value of a form as it was.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        let value = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok()).and_then(|two| u8::from_str_radix(two, 16).ok());
        (rest, _) = match (byte, value) {
            (b'%', Some(value)) => (&behind[2..], out.push(value)),
            (b'+', _) => (behind, out.push(b' ')),
            (other, _) => (behind, out.push(other)),
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}
