//! `coverage.json` against the truth, counted here a second way: through `serde_json::Value` and a CSV reader.
//!
//! Every published set is replayed; then a folder twice; then what is broken on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may fail")]

mod common;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use common::replay;
use outflow_tests::data::{LOG_SETS, TRAIL_SETS, WRAPPED_SETS, folder, packed, rows, trail_events};
use outflow_tests::{files_under, forms};
use serde_json::{Value, json};

/// Milliseconds of a window, within which the same event counts once.
const WINDOW_MS: i64 = 300_000;

fn coverage(logs: &Path) -> Value {
    let out = tempfile::tempdir().unwrap();
    let ran = replay(logs, &["--out", out.path().to_str().unwrap()]);
    assert!(ran.code < 2, "{}: {}", logs.display(), ran.err);
    serde_json::from_str(&std::fs::read_to_string(out.path().join("coverage.json")).unwrap()).unwrap()
}

/// What is counted of raw CloudTrail events, by the rules of `FACTS.md` as far as they are simple.
#[derive(Default)]
struct Truth {
    records: u64,
    rejects: u64,
    /// Identity and window of each.
    seen: BTreeSet<(String, Option<i64>)>,
    /// Records with the id of another.
    duplicates: u64,
    /// Of those, such as say the same in every letter.
    copies: u64,
    written: BTreeSet<String>,
    untimed: u64,
    functions: BTreeSet<String>,
    principals: BTreeSet<String>,
    from: Option<String>,
    to: Option<String>,
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Seconds since 1970 of a time as AWS writes it, read here without the product's reader: days by the civil calendar.
fn seconds(time: &str) -> Option<i64> {
    let n = |from: usize, to: usize| time.get(from..to).and_then(|t| t.parse::<i64>().ok());
    let (y, m, d, h, min, s) = (n(0, 4)?, n(5, 7)?, n(8, 10)?, n(11, 13)?, n(14, 16)?, n(17, 19)?);
    let years = y - i64::from(m <= 2);
    let day_of_year = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
    let days = 365 * years + years / 4 - years / 100 + years / 400 + day_of_year - 719_468;
    Some(days * 86_400 + h * 3_600 + min * 60 + s)
}

impl Truth {
    fn of(events: &[Value]) -> Truth {
        let mut truth = Truth::default();
        let roles = roles_of_functions(events);
        for event in events {
            truth.event(event, &roles);
        }
        truth
    }

    fn event(&mut self, e: &Value, roles: &BTreeSet<(String, String)>) {
        if ["eventName", "eventSource"].iter().any(|k| text(e, &format!("/{k}")).is_empty()) {
            self.rejects += 1;
            return;
        }
        self.records += 1;
        let time = ["/eventTime", "/@timestamp"].into_iter().map(|k| text(e, k)).find(|t| !t.is_empty()).unwrap_or_default();
        let at = seconds(time);
        let id = Some(text(e, "/eventID")).filter(|id| !id.is_empty()).map_or_else(|| e.to_string(), str::to_owned);
        if !self.seen.insert((id, at.map(|s| s * 1_000 / WINDOW_MS))) {
            self.duplicates += 1;
        }
        self.copies += u64::from(!self.written.insert(e.to_string()));
        self.untimed += u64::from(at.is_none());
        if at.is_some() {
            let second = format!("{}T{}Z", &time[..10], &time[11..19]);
            self.from = Some(self.from.take().map_or(second.clone(), |f| f.min(second.clone())));
            self.to = Some(self.to.take().map_or(second.clone(), |t| t.max(second)));
        }
        match actor(e, roles) {
            Who::Function(name) => drop(self.functions.insert(name)),
            Who::Principal(name) => drop(self.principals.insert(name)),
            Who::Service => {}
        }
        self.functions.extend(changed_function(e));
    }
}

enum Who {
    Function(String),
    Principal(String),
    Service,
}

fn last(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or(arn)
}

/// A role of a session: the issuer's ARN without its path, or as the session's ARN names it.
fn role(e: &Value) -> String {
    let issuer = text(e, "/userIdentity/sessionContext/sessionIssuer/arn");
    if !issuer.is_empty() {
        let role = issuer.split_once(":role/").map(|(head, rest)| format!("{head}:role/{}", last(rest)));
        return role.unwrap_or_else(|| issuer.to_owned());
    }
    let arn = text(e, "/userIdentity/arn").replace(":sts:", ":iam:").replace(":assumed-role/", ":role/");
    arn.rsplit_once('/').map_or(arn.clone(), |(role, _)| role.to_owned())
}

fn actor(e: &Value, roles: &BTreeSet<(String, String)>) -> Who {
    let u = |path: &str| text(e, &format!("/userIdentity/{path}"));
    let address = text(e, "/sourceIPAddress");
    let session = last(u("arn"));
    let assumed = u("type") == "AssumedRole" || u("arn").contains(":assumed-role/");
    let own = u("sessionContext/sessionIssuer/arn").contains(":role/aws-service-role/");
    let poller = session.starts_with("awslambda_") && session.len() > 27 && roles.iter().any(|(r, _)| *r == role(e));
    // Data that a service reads for somebody is read by somebody.
    let category = text(e, "/eventCategory");
    let on_behalf =
        !u("invokedBy").is_empty() && u("type") != "AWSService" && !u("arn").is_empty() && !["Management", ""].contains(&category);
    let of_service = !u("invokedBy").is_empty() || u("type") == "AWSService" || address.ends_with(".amazonaws.com");
    if (of_service && !on_behalf) || own || poller {
        return Who::Service;
    }
    let scope = u("inScopeOf/credentialsIssuedTo");
    if scope.contains(":function:") {
        return Who::Function(function_name(scope).to_owned());
    }
    if assumed && !role(e).is_empty() {
        let role = role(e);
        let mut of_role = roles.iter().filter(|(r, f)| *r == role && !f.starts_with("awslambda_")).map(|(_, f)| f.clone());
        let functions: Vec<String> = of_role.by_ref().collect();
        if functions.iter().any(|f| f == session) {
            return Who::Function(session.to_owned());
        }
        if let [only] = &functions[..] {
            return Who::Function(only.clone());
        }
        return Who::Principal(if last(&role).starts_with("AWSReservedSSO_") { format!("{}/{session}", last(&role)) } else { role });
    }
    let account = [u("accountId"), text(e, "/recipientAccountId")].into_iter().find(|a| !a.is_empty()).unwrap_or_default();
    let named = [u("arn"), u("userName"), u("principalId")].into_iter().find(|t| !t.is_empty());
    Who::Principal(match (u("type"), named) {
        ("Root", _) => format!("arn:aws:iam::{account}:root"),
        ("IAMUser", Some(name)) if !name.starts_with("arn:") => format!("arn:aws:iam::{account}:user/{name}"),
        (_, Some(name)) if name.starts_with("AROA") => name.split(':').next().unwrap().to_owned(),
        (_, Some(name)) => name.to_owned(),
        (kind, None) => format!("{kind} {account}"),
    })
}

/// Role and session, where Lambda takes a role for a function or a poller.
fn roles_of_functions(events: &[Value]) -> BTreeSet<(String, String)> {
    let by_lambda = |e: &&Value| text(e, "/eventName") == "AssumeRole" && text(e, "/userIdentity/invokedBy") == "lambda.amazonaws.com";
    let bound = events.iter().filter(by_lambda).filter(|e| text(e, "/errorCode").is_empty());
    let pair = |e: &Value| (text(e, "/requestParameters/roleArn").to_owned(), text(e, "/requestParameters/roleSessionName").to_owned());
    bound.map(pair).filter(|(_, session)| !session.is_empty()).collect()
}

fn function_name(arn: &str) -> &str {
    let rest = arn.rsplit_once("function:").map_or(arn, |(_, rest)| rest);
    rest.split([':', '/']).next().unwrap_or(rest)
}

/// The function that a call of the Lambda API changes, invokes, or that Lambda takes a role for.
fn changed_function(e: &Value) -> Option<String> {
    if !text(e, "/errorCode").is_empty() {
        return None;
    }
    if text(e, "/eventName") == "AssumeRole" && text(e, "/userIdentity/invokedBy") == "lambda.amazonaws.com" {
        let session = text(e, "/requestParameters/roleSessionName");
        return (!session.is_empty() && !session.starts_with("awslambda_")).then(|| session.to_owned());
    }
    let changes = [
        "CreateFunction",
        "UpdateFunction",
        "DeleteFunction",
        "AddPermission",
        "RemovePermission",
        "Publish",
        "Put",
        "Invoke",
        "CreateAlias",
        "UpdateAlias",
        "CreateEventSourceMapping",
    ];
    let name = text(e, "/eventName");
    if text(e, "/eventSource") != "lambda.amazonaws.com" || !changes.iter().any(|c| name.starts_with(c)) {
        return None;
    }
    // A call that failed may name a function that there is not.
    if name.starts_with("Invoke") && !["", "TooManyRequestsException"].contains(&text(e, "/errorCode")) {
        return None;
    }
    let of_resources = e["resources"].as_array().into_iter().flatten().map(|r| text(r, "/ARN")).find(|a| a.contains(":function:"));
    let parameters = [text(e, "/requestParameters/functionName"), text(e, "/responseElements/functionArn")];
    of_resources.or(parameters.into_iter().find(|p| !p.is_empty())).map(|name| function_name(name).to_owned())
}

fn equals(set: &str, coverage: &Value, truth: &Truth, files: usize, not_logs: usize) {
    let keys: Vec<&str> = coverage.as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = [
        "files",
        "not_logs",
        "records",
        "observations",
        "duplicates",
        "rejects",
        "rejects_by_code",
        "functions",
        "principals",
        "from",
        "to",
        "baseline_overlaps_to",
        "accounts",
        "accounts_too_young",
        "late",
        "not_plain",
        "read_before",
        "unreadable",
        "foreign",
        "untimed",
        "controls",
        "mistimed",
        "beyond",
    ];
    wanted.sort_unstable();
    assert_eq!(keys, wanted, "{set}");
    let counted = json!({
        "files": files, "not_logs": not_logs, "records": truth.records, "rejects": truth.rejects, "duplicates": truth.duplicates,
        "functions": truth.functions.len(), "principals": truth.principals.len(), "from": truth.from, "to": truth.to,
        "observations": coverage["observations"], "rejects_by_code": coverage["rejects_by_code"], "baseline_overlaps_to": null,
        "accounts": coverage["accounts"], "accounts_too_young": coverage["accounts_too_young"],
        "late": 0, "not_plain": 0, "read_before": 0, "unreadable": 0,
        "untimed": truth.untimed, "controls": 0, "beyond": 0, "foreign": coverage["foreign"], "mistimed": coverage["mistimed"],
    });
    assert_eq!(*coverage, counted, "{set}\nfunctions {:?}\nprincipals {:#?}", truth.functions, truth.principals);
    let by_code = coverage["rejects_by_code"].as_object().unwrap();
    assert_eq!(by_code.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), truth.rejects, "{set}");
    // Each record says at least one thing, once.
    assert!(coverage["observations"].as_u64().unwrap() >= truth.records - truth.duplicates, "{set}");
    println!("{set}: {coverage}");
}

#[test]
fn trail_sets_are_counted_as_they_are() {
    for set in TRAIL_SETS {
        let Some(folder) = folder(&format!("cloudtrail/{set}")) else { return };
        let files = files_under(&folder).len();
        let logs = packed(&format!("cloudtrail/{set}")).len();
        let truth = Truth::of(&trail_events(set));
        assert_eq!(truth.rejects, 0, "{set}");
        equals(set, &coverage(&folder), &truth, files, files - logs);
    }
}

#[test]
fn wrapped_sets_are_counted_once_unwrapped() {
    for set in WRAPPED_SETS {
        let events = trail_events(set);
        if events.is_empty() {
            return;
        }
        // Some are whole events written as text.
        let events: Vec<Value> = events.into_iter().map(|e| e.as_str().and_then(|t| serde_json::from_str(t).ok()).unwrap_or(e)).collect();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("records.json"), forms::trail_file(&events)).unwrap();
        let (said, mut truth) = (coverage(folder.path()), Truth::of(&events));
        // Publishers of examples write one id into many events: what says something else is no duplicate.
        let duplicates = said["duplicates"].as_u64().unwrap();
        assert!((truth.copies..=truth.duplicates).contains(&duplicates), "{set}: {} to {}", truth.copies, truth.duplicates);
        truth.duplicates = duplicates;
        equals(set, &said, &truth, 1, 0);
    }
}

#[test]
fn log_sets_are_counted_as_they_are() {
    for set in LOG_SETS {
        let Some(folder) = folder(&format!("cloudwatch/{set}")) else { return };
        let files = files_under(&folder).len();
        let rows = rows(set);
        let mut truth = Truth { records: rows.len() as u64, ..Truth::default() };
        truth.functions.insert("the file's".to_owned());
        let mut seen = BTreeSet::new();
        let mut times = Vec::new();
        for row in &rows {
            truth.duplicates += u64::from(!seen.insert((row[0].to_owned(), row[1].trim_end().to_owned())));
            // The console writes milliseconds since 1970, the publisher of the others a date.
            times.push(row[0].parse::<i64>().map_or_else(|_| seconds(&row[0]).unwrap(), |ms| ms / 1_000));
        }
        let said = coverage(&folder);
        for (key, wanted) in [("from", times.iter().min()), ("to", times.iter().max())] {
            assert_eq!(seconds(said[key].as_str().unwrap()), wanted.copied(), "{set} {key}");
        }
        (truth.from, truth.to) = (said["from"].as_str().map(str::to_owned), said["to"].as_str().map(str::to_owned));
        equals(set, &said, &truth, files, files - packed(&format!("cloudwatch/{set}")).len());
    }
    for path in packed("cloudwatch/lambda-lines") {
        let lines: Vec<Value> = forms::gunzip(&std::fs::read(path).unwrap()).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let stream = forms::Stream { owner: "111122223333".into(), group: "/aws/lambda/f".into(), name: "2025/09/01/[1]x".into() };
        let event = |(i, l): (usize, &Value)| forms::Event {
            id: format!("{i:056}"),
            at_ms: 1_756_903_221_209 + i as i64,
            message: text(l, "/line").to_owned(),
        };
        let events: Vec<forms::Event> = lines.iter().enumerate().map(event).collect();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("message"), forms::subscription(&stream, &events)).unwrap();
        let said = coverage(folder.path());
        let got = ["records", "duplicates", "rejects", "functions", "principals"].map(|k| said[k].as_u64().unwrap());
        // Publishers took the same line of the same invocation from each other: it says the same in the same milliseconds
        // only where the text is the same, and those were left out by the set.
        assert_eq!(got, [96, 0, 0, 1, 0], "{said}");
    }
}

#[test]
fn a_second_copy_is_all_duplicates() {
    for set in
        ["cloudtrail/invictus-aws_dataset", "cloudtrail/doc-examples", "cloudwatch/slack_invitor", "cloudwatch/slack_invitor_convention"]
    {
        let files = packed(set);
        let folder = tempfile::tempdir().unwrap();
        let name = set.rsplit('/').next().unwrap();
        let copy = |to: &str| {
            let to = folder.path().join(to).join(name);
            std::fs::create_dir_all(&to).unwrap();
            for file in &files {
                std::fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
            }
        };
        if files.is_empty() {
            return;
        }
        copy("once");
        let mut once = coverage(folder.path());
        copy("twice");
        let mut twice = coverage(folder.path());
        let n = |c: &Value, k: &str| c[k].as_u64().unwrap();
        assert_eq!(n(&twice, "duplicates") - n(&once, "duplicates"), n(&once, "records"), "{set}");
        for key in ["files", "not_logs", "records", "rejects"] {
            assert_eq!(n(&twice, key), 2 * n(&once, key), "{set} {key}");
        }
        for key in ["files", "not_logs", "records", "rejects", "duplicates"] {
            (once[key], twice[key]) = (Value::Null, Value::Null);
        }
        assert_eq!(once, twice, "{set}");
    }
}

fn good_record() -> Value {
    json!({"eventVersion": "1.11", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/a", "accountId": "1", "userName": "a"},
        "eventTime": "2025-09-01T10:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7", "eventID": "00000000-0000-4000-8000-000000000001", "recipientAccountId": "1",
        "requestParameters": {"bucketName": "b"}})
}

/// A gigabyte of zeros, packed as one stream without holding it.
fn bomb() -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let part = vec![0; 1 << 20];
    (0..1 << 10).for_each(|_| packer.write_all(&part).unwrap());
    packer.finish().unwrap()
}

/// The same as a thousand packed parts that follow each other, as gzip allows.
fn bomb_of_parts() -> Vec<u8> {
    std::iter::repeat_n(forms::gzip(&vec![0; 1 << 20]), 1 << 10).flatten().collect()
}

/// What must be said of a broken file.
#[derive(Clone, Copy, PartialEq)]
enum Must {
    Reject,
    NotALog,
}

/// Name, bytes, and what must be said of it.
fn malformed() -> Vec<(&'static str, Vec<u8>, Must)> {
    let whole = forms::trail_file(&vec![good_record(); 20]);
    let packed = forms::gzip(&whole);
    let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let not_utf8 = [&[0xff, 0xfe, 0xfa][..], &whole[..], &[0x80; 40]].concat();
    let unread = format!(r#"{{"Records":[{{"eventName":7,"eventSource":["x"],"eventTime":{},"userIdentity":"nobody"}}]}}"#, nest(10));
    vec![
        ("truncated.json.gz", packed[..packed.len() / 2].to_vec(), Must::Reject),
        (
            "flipped.json.gz",
            packed.iter().enumerate().map(|(i, b)| if i == packed.len() / 2 { b ^ 0x55 } else { *b }).collect(),
            Must::Reject,
        ),
        ("cut.json", whole[..whole.len() - 40].to_vec(), Must::Reject),
        ("wrong-types.json", unread.into_bytes(), Must::Reject),
        ("numbers.json", br#"{"Records":[1,"x",null,[]]}"#.to_vec(), Must::Reject),
        ("not-utf8.json", not_utf8, Must::Reject),
        ("deep.json", format!(r#"{{"Records":[{}]}}"#, nest(200_000)).into_bytes(), Must::Reject),
        ("deep-unpacked", nest(200_000).into_bytes(), Must::NotALog),
        ("bomb.json.gz", bomb(), Must::Reject),
        ("bomb-of-parts.json.gz", bomb_of_parts(), Must::Reject),
        ("empty", Vec::new(), Must::NotALog),
        ("empty.gz", forms::gzip(b""), Must::NotALog),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0".to_vec(), Must::NotALog),
        ("archive.zip", b"PK\x03\x04\x14\0\0\0\x08\0\0\0!\0\x01\x02\x03\x04\x05\0\0\0\x05\0\0\0\x05\0\0\0a.txt".to_vec(), Must::NotALog),
        ("words.txt", b"Dear all,\nplease find the logs attached.\n".to_vec(), Must::NotALog),
    ]
}

#[test]
fn what_is_broken_is_a_reject_or_no_log() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.json"), forms::trail_file(&[good_record()])).unwrap();
    let alone = coverage(folder.path());
    let (mut rejected, mut foreign) = (0, 0);
    for (name, bytes, must) in malformed() {
        assert!(bytes.len() < 16 << 20, "{name} is small on disk");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let ran = replay(folder.path(), &[]);
        assert_eq!(ran.code, 0, "{name}: {}", ran.err);
        assert!(ran.out.contains(name), "{name} is not told of:\n{}", ran.out);
        let said = coverage(folder.path());
        let told = (said["rejects"].as_u64().unwrap() > 0, said["not_logs"].as_u64().unwrap());
        println!("{name}: {said}");
        assert!(told.0 || told.1 == 1, "{name}: {said}");
        if must == Must::Reject {
            assert!(told.0, "{name}: {said}");
        } else {
            assert_eq!((said["rejects"].as_u64(), told.1), (Some(0), 1), "{name}: {said}");
            assert_eq!(said["records"], alone["records"], "{name}");
        }
        rejected += u32::from(told.0);
        foreign += told.1;
        std::fs::remove_file(path).unwrap();
    }
    println!("{rejected} with rejects, {foreign} no logs");
    // All of it beside a good record, and the record is read.
    for (name, bytes, _) in malformed() {
        std::fs::File::create(folder.path().join(name)).unwrap().write_all(&bytes).unwrap();
    }
    let ran = replay(folder.path(), &["--format", "ocsf"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    // A record that came before the damage counts.
    assert!(coverage(folder.path())["records"].as_u64().unwrap() > 1);
}
