//! What a finding says, in the words of a person: who, does what, to which target, and what to do next.
//!
//! Everyday calls have everyday verbs (reads, writes to, deletes from, calls, sends to); all other calls are named as AWS
//! names them, because a wrong paraphrase of a control-plane call costs more than a technical word. Every name is cleaned and
//! cut by itself, so that a long one can't push the verb out of sight. Deliberately absent: numbers, which stand beside.

use crate::detect::{Again, Detail, Finding, FlowDetail, RateDetail};
use crate::entity::{Arn, Entity, EntityKind};
use crate::observe::{Verb, verb};

use super::clean;
use super::text::columns;
use super::words::{count, date, day, ordinal, times};

/// Characters of one name: the longest function names have 64, and two must fit beside a verb.
const NAME_CHARS_MAX: usize = 44;

/// Expected or observed amounts below it count as none.
const NOTHING: f64 = 0.05;

/// What a sentence about a new flow ends with.
const FIRST: &str = " for the first time";

/// Kinds of targets that have an everyday word, with its article.
const KINDS: [(&str, &str); 18] = [
    ("bucket", "a bucket"),
    ("event bus", "an event bus"),
    ("function", "a function"),
    ("group", "a group"),
    ("key", "a key"),
    ("layer", "a layer"),
    ("log group", "a log group"),
    ("parameter", "a parameter"),
    ("policy", "a policy"),
    ("queue", "a queue"),
    ("role", "a role"),
    ("rule", "a rule"),
    ("secret", "a secret"),
    ("stack", "a stack"),
    ("state machine", "a state machine"),
    ("table", "a table"),
    ("topic", "a topic"),
    ("user", "a user"),
];

/// A name, cleaned and cut.
pub(super) fn name(text: &str) -> String {
    name_in(text, NAME_CHARS_MAX)
}

fn name_in(text: &str, chars_max: usize) -> String {
    clean(text, chars_max).into_owned()
}

/// The entity as a person calls it: `author-handler`, `rule nightly`, `bucket uploads`.
pub(super) fn who(entity: &Entity) -> String {
    who_in(entity, NAME_CHARS_MAX)
}

fn who_in(entity: &Entity, chars_max: usize) -> String {
    let arn = Arn::parse(&entity.id).filter(|arn| entity.kind == EntityKind::Source && !arn.resource.is_empty());
    let said = match arn {
        Some(arn) if arn.service == "s3" => format!("bucket {}", arn.resource),
        Some(arn) if arn.service == "execute-api" => format!("API {}", arn.resource),
        Some(arn) if arn.service == "iam" => format!("role {}", arn.last()),
        Some(arn) => arn.resource.replacen('/', " ", 1),
        None => entity.name().to_owned(),
    };
    name_in(&said, chars_max)
}

/// Another entity that is known by its id only.
pub(super) fn who_by_id(id: &str) -> String {
    let is_function = Arn::parse(id).is_some_and(|arn| arn.service == "lambda");
    let kind = if is_function { EntityKind::Function } else { EntityKind::Principal };
    who(&Entity { kind, id: id.to_owned() })
}

/// A target: `bucket statistics-raw`; a call that names no resource has its service's name.
pub(super) fn target(id: &str) -> String {
    target_in(id, NAME_CHARS_MAX)
}

fn target_in(id: &str, chars_max: usize) -> String {
    name_in(id.strip_prefix("service ").unwrap_or(id), chars_max)
}

/// The kind of a target, with its article; nothing for kinds without an everyday word.
fn kind_of(id: &str) -> Option<(&'static str, &'static str)> {
    KINDS.into_iter().find(|(kind, _)| id.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))
}

/// The title of a finding alone.
pub(super) fn title(finding: &Finding) -> String {
    told(finding, true, NAME_CHARS_MAX)
}

/// The same with every name, for where no other line has them.
pub(super) fn sentence(finding: &Finding) -> String {
    told(finding, false, NAME_CHARS_MAX)
}

/// The same without saying that it is the first time, for where that stands beside or there is no room; names are cut no
/// more than the line asks for.
pub(super) fn deed_alone(finding: &Finding, columns_max: usize) -> String {
    let alone = |chars_max| {
        let said = told(finding, false, chars_max);
        said.strip_suffix(FIRST).map_or_else(|| said.clone(), str::to_owned)
    };
    let fitting = (NAME_CHARS_MAX..=columns_max).rev().step_by(4).map(alone).find(|said| columns(said) <= columns_max);
    fitting.unwrap_or_else(|| alone(NAME_CHARS_MAX))
}

/// `short`: the kind stands for a target that was never touched.
fn told(finding: &Finding, short: bool, chars_max: usize) -> String {
    match &finding.detail {
        Detail::NewFlow(flow) => new_flow(&finding.entity, flow, short, chars_max),
        Detail::Rate(rate) => rate_of(&finding.entity, rate, is_silence(finding), chars_max),
        Detail::Quiet { functions } => format!("{} functions of the account went quiet together", count(*functions)),
    }
}

/// `first on Fri 3 Oct 2025, now for the 2nd time`.
pub(super) fn again(again: &Again) -> String {
    let end = if again.last { " and the last: it counts as usual from now on" } else { "" };
    format!("first on {}, now for the {} time{end}", day(again.first), ordinal(u64::from(again.times)))
}

fn new_flow(entity: &Entity, flow: &FlowDetail, short: bool, chars_max: usize) -> String {
    let who = who_in(entity, chars_max);
    let listing = flow.target == format!("service {}", flow.service);
    let (service, action) = (name_in(&flow.service, chars_max), name_in(&flow.action, chars_max));
    if flow.denied {
        let on = if listing { format!("{service}:{action}") } else { format!("{action} on {}", target_in(&flow.target, chars_max)) };
        return format!("{who} was refused {on}{}", first(flow));
    }
    if listing {
        return format!("{who} {}{}", look_around(flow), first(flow));
    }
    let (deed, everyday) = deed(flow);
    let kind = kind_of(&flow.target).filter(|_| everyday);
    match kind {
        Some((_, a_kind)) if flow.outside && short && flow.again.is_none() => format!("{who} {deed} {a_kind} of another account"),
        _ if flow.again.is_some() => format!("{who} {deed} {}{}", target_in(&flow.target, chars_max), first(flow)),
        _ if flow.outside => format!("{who} {deed} {} of another account", target_in(&flow.target, chars_max)),
        Some((kind, a_kind)) if short && is_better_unnamed(flow, kind, &deed) => {
            let never = if entity.kind == EntityKind::Function { "it never touched" } else { "never touched before" };
            format!("{who} {deed} {a_kind} {never}")
        }
        _ => format!("{who} {deed} {}{FIRST}", target_in(&flow.target, chars_max)),
    }
}

fn first(flow: &FlowDetail) -> String {
    flow.again.map_or_else(|| FIRST.to_owned(), |again| format!(" again, first told on {}", date(again.first)))
}

/// Whether the kind says more than the name: something new and strange is read, written or used. What is known by another
/// verb, what is called, and what comes or goes as a whole is named.
fn is_better_unnamed(flow: &FlowDetail, kind: &str, deed: &str) -> bool {
    flow.again.is_none() && flow.relation != "known" && !matches!(kind, "function" | "role") && !matches!(deed, "creates" | "deletes")
}

/// A call that names no resource: `lists users of the whole account`.
fn look_around(flow: &FlowDetail) -> String {
    if flow.action == "GetCallerIdentity" {
        return "asks whose keys it holds (GetCallerIdentity)".to_owned();
    }
    if (flow.service.as_str(), flow.action.as_str()) == ("signin", "ConsoleLogin") {
        return "signs in to the console".to_owned();
    }
    let what = ["List", "Describe"].iter().find_map(|verb| flow.action.strip_prefix(verb)).filter(|rest| !rest.is_empty());
    match what {
        Some(what) if verb(&flow.service, &flow.action, false) == Verb::List => {
            format!("lists {} of the whole account", name(&spaced(what)))
        }
        _ => format!("calls {}:{}", name(&flow.service), name(&flow.action)),
    }
}

/// `AccessKeys` → `access keys`; `DBInstances` → `DB instances`.
fn spaced(camel: &str) -> String {
    let chars: Vec<char> = camel.chars().take(NAME_CHARS_MAX + 1).collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| chars.get(i));
        let after_is_small = chars.get(i + 1).is_some_and(|c| c.is_lowercase());
        let before_is_small = before.is_some_and(|c| !c.is_uppercase());
        if c.is_uppercase() && before.is_some() && (before_is_small || after_is_small) {
            out.push(' ');
        }
        if c.is_uppercase() && (after_is_small || before_is_small) {
            out.extend(c.to_lowercase());
        } else {
            out.push(*c);
        }
    }
    out
}

/// The verb before the target, and whether it is an everyday one.
fn deed(flow: &FlowDetail) -> (String, bool) {
    match everyday(flow) {
        Some(verb) => (verb.to_owned(), true),
        None => (format!("calls {}:{} on", name(&flow.service), name(&flow.action)), false),
    }
}

fn everyday(flow: &FlowDetail) -> Option<&'static str> {
    let (service, action) = (flow.service.as_str(), flow.action.as_str());
    let kind = kind_of(&flow.target).map_or("", |k| k.0);
    let starts = |words: &[&str]| words.iter().any(|w| action.starts_with(w));
    let whole = |verb: &str| action.strip_prefix(verb).is_some_and(|rest| rest.eq_ignore_ascii_case(&kind.replace(' ', "")));
    if !kind.is_empty() && whole("Delete") {
        return Some("deletes");
    }
    if !kind.is_empty() && whole("Create") {
        return Some("creates");
    }
    let class = verb(service, action, true);
    match (service, class) {
        ("s3", _) if !(action.contains("Object") || action.contains("Part") || starts(&["ListBucket", "ListMulti"])) => None,
        ("s3", _) if action.contains("Acl") || action.contains("Retention") || action.contains("LegalHold") => None,
        ("s3", Verb::ReadOne | Verb::ReadMany) => Some("reads"),
        ("s3", Verb::Write) => Some("writes to"),
        ("s3", Verb::Delete) => Some("deletes from"),
        ("dynamodb", Verb::Write) if starts(&["PutItem", "UpdateItem", "BatchWrite", "TransactWrite"]) => Some("writes to"),
        ("dynamodb", Verb::Delete) if action == "DeleteItem" => Some("deletes from"),
        ("dynamodb", _) if starts(&["GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems", "GetRecords", "ExportTable"]) => {
            Some("reads")
        }
        ("secretsmanager", Verb::Secret) | ("ssm", Verb::Secret) => Some("reads"),
        ("sqs", Verb::ReadOne) if action == "ReceiveMessage" => Some("reads from"),
        ("sqs" | "sns" | "events" | "kinesis" | "firehose", Verb::Publish) => Some("sends to"),
        ("lambda", Verb::Publish) if kind == "function" => Some("calls"),
        ("states", Verb::Publish) if starts(&["Start"]) => Some("starts"),
        ("sts", Verb::Secret) if kind == "role" => Some("takes"),
        ("kms", Verb::ReadOne) if starts(&["Decrypt", "Encrypt", "ReEncrypt", "GenerateDataKey", "Sign"]) => Some("uses"),
        _ => None,
    }
}

/// Hours without a call at the end of those that a finding shows; the last is not over yet.
pub(super) fn hours_without(finding: &Finding) -> usize {
    finding.hours.iter().rev().take_while(|calls| **calls <= 0.0).count()
}

/// Nothing comes any more. A long sum still holds what came before, so its last hours count too.
pub(super) fn is_silence(finding: &Finding) -> bool {
    match &finding.detail {
        Detail::Rate(rate) if rate.family == "silence" => true,
        Detail::Rate(rate) => rate.family == "volume down" && (rate.observed < NOTHING || hours_without(finding) >= 2),
        Detail::Quiet { .. } => true,
        Detail::NewFlow(_) => false,
    }
}

fn rate_of(entity: &Entity, rate: &RateDetail, silent: bool, chars_max: usize) -> String {
    let who = who_in(entity, chars_max);
    let function = entity.kind == EntityKind::Function;
    let factor = times(rate.observed, rate.expected);
    let often = factor.as_ref().map_or_else(|| "more often than ever".to_owned(), |f| format!("{f} as often as usual"));
    let as_usual = |what: &str| factor.as_ref().map_or_else(|| "more than ever".to_owned(), |f| format!("{f} as {what} as usual"));
    let on = rate.target.as_deref().map_or_else(|| "one target".to_owned(), |target| target_in(target, chars_max));
    match rate.family.as_str() {
        "volume up" if rate.expected < NOTHING => format!("{who} is active when it is usually quiet"),
        "volume up" | "slow shift" if function => format!("{who} is called {often}"),
        "volume up" if rate.target.is_some() => format!("{who} makes calls {often}, most of {on}"),
        "volume up" | "slow shift" => format!("{who} makes calls {often}"),
        "silence" | "volume down" if silent => format!("{who} has gone quiet"),
        "volume down" => format!("{who} does only {} of its usual work", percent(rate.observed, rate.expected)),
        "errors" if rate.expected < NOTHING => format!("{who} fails, which it hardly ever does"),
        "errors" => format!("{who} fails {often}"),
        "throttles" if rate.expected < NOTHING => format!("{who} is throttled, which hardly ever happens"),
        "throttles" => format!("{who} is throttled {often}"),
        "lines" => format!("{who} logs {}", as_usual("many lines")),
        "median duration" => format!("{who} takes {}", as_usual("long")),
        "tail duration" => format!("the slowest calls of {who} take {}", as_usual("long")),
        "cost" => format!("{who} costs {}", as_usual("much")),
        "denials" if rate.expected < NOTHING => format!("{who} is refused access, which hardly ever happens"),
        "denials" => format!("{who} is refused access {often}"),
        "calls" => format!("{who} uses {on} {often}"),
        "bytes" => format!("{who} moves {} to or from {on}", as_usual("much data")),
        _ => format!("{who} is out of its usual range ({})", name(&rate.family)),
    }
}

fn percent(part: f64, whole: f64) -> String {
    let share = (part / whole * 100.0).clamp(0.0, 100.0);
    if share < 1.0 { "under 1 %".to_owned() } else { format!("{share:.0} %") }
}

/// What to do next, for the one who is on call and knows neither the function nor this program.
pub(super) fn next(finding: &Finding) -> &'static str {
    let function = finding.entity.kind == EntityKind::Function;
    match &finding.detail {
        Detail::NewFlow(flow) if flow.denied => "find out who uses these credentials and what else they tried",
        Detail::NewFlow(flow) if flow.service == "sts" && kind_of(&flow.target).is_some_and(|k| k.0 == "role") => {
            "if nobody planned this, revoke the sessions of that role and narrow who may take it"
        }
        Detail::NewFlow(flow) if matches!(verb(&flow.service, &flow.action, true), Verb::Secret) => {
            "if nobody planned this, rotate the credentials it was given, then take the permission away"
        }
        Detail::NewFlow(_) if function => "if nobody planned this, take the permission from its role and look at its last change",
        Detail::NewFlow(_) => "if nobody planned this, disable the credentials and look at what else they did",
        Detail::Rate(rate) => match rate.family.as_str() {
            "volume up" | "slow shift" if function => "find out who calls it; reserved concurrency puts a lid on a storm",
            "volume up" | "slow shift" | "calls" | "bytes" if !function => {
                "ask who uses these credentials; if nobody planned this, disable them"
            }
            "silence" | "volume down" if function => "look at what calls it (schedule, event source, API) and at its last change",
            "silence" | "volume down" => "ask who uses these credentials whether this is on purpose",
            "errors" => "read its log from the first event on",
            "throttles" => "see whether it reached its own or the account's limit of concurrency",
            "lines" => "read which line of its log repeats",
            "median duration" | "tail duration" => "see what it waits for: a service that it calls, more data, a cold start",
            "cost" => "see whether calls, duration or memory went up",
            "denials" => "compare its role with what it calls; if nobody changed it, ask who uses its credentials",
            _ => "compare with its last change and with who calls it",
        },
        Detail::Quiet { .. } => "check first that their logs still arrive, then what they have in common",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(service: &str, action: &str, target: &str, short: bool) -> String {
        let flow = FlowDetail {
            service: service.to_owned(),
            action: action.to_owned(),
            target: target.to_owned(),
            denied: false,
            outside: false,
            relation: "foreign".to_owned(),
            usual: (Vec::new(), 0),
            users: (Vec::new(), 0),
            score: 0.0,
            again: None,
        };
        new_flow(&Entity::function("eu-west-1", "1", "f"), &flow, short, NAME_CHARS_MAX)
    }

    #[test]
    fn deeds() {
        for (service, action, target, want) in [
            ("s3", "GetObject", "bucket b", "f reads a bucket it never touched"),
            ("s3", "ListObjectsV2", "bucket b", "f reads a bucket it never touched"),
            ("s3", "UploadPart", "bucket b", "f writes to a bucket it never touched"),
            ("s3", "DeleteObjects", "bucket b", "f deletes from a bucket it never touched"),
            ("s3", "PutBucketPolicy", "bucket b", "f calls s3:PutBucketPolicy on bucket b for the first time"),
            ("s3", "PutObjectAcl", "bucket b", "f calls s3:PutObjectAcl on bucket b for the first time"),
            ("s3", "DeleteBucket", "bucket b", "f deletes bucket b for the first time"),
            ("dynamodb", "Query", "table t", "f reads a table it never touched"),
            ("dynamodb", "UpdateItem", "table t", "f writes to a table it never touched"),
            ("dynamodb", "DeleteItem", "table t", "f deletes from a table it never touched"),
            ("dynamodb", "DeleteTable", "table t", "f deletes table t for the first time"),
            ("dynamodb", "UpdateTable", "table t", "f calls dynamodb:UpdateTable on table t for the first time"),
            ("secretsmanager", "GetSecretValue", "secret s", "f reads a secret it never touched"),
            ("ssm", "GetParametersByPath", "parameter /p", "f reads a parameter it never touched"),
            ("lambda", "Invoke", "function g", "f calls function g for the first time"),
            ("lambda", "UpdateFunctionCode", "function g", "f calls lambda:UpdateFunctionCode on function g for the first time"),
            ("sqs", "SendMessage", "queue q", "f sends to a queue it never touched"),
            ("sqs", "ReceiveMessage", "queue q", "f reads from a queue it never touched"),
            ("sns", "Publish", "topic t", "f sends to a topic it never touched"),
            ("events", "PutEvents", "event bus b", "f sends to an event bus it never touched"),
            ("states", "StartExecution", "state machine m", "f starts a state machine it never touched"),
            ("sts", "AssumeRole", "role admin", "f takes role admin for the first time"),
            ("kms", "Decrypt", "key k", "f uses a key it never touched"),
            ("iam", "CreateUser", "user eve", "f creates user eve for the first time"),
            ("iam", "AttachUserPolicy", "user eve", "f calls iam:AttachUserPolicy on user eve for the first time"),
            ("iam", "ListUsers", "service iam", "f lists users of the whole account for the first time"),
            ("rds", "DescribeDBInstances", "service rds", "f lists DB instances of the whole account for the first time"),
            ("sts", "GetCallerIdentity", "service sts", "f asks whose keys it holds (GetCallerIdentity) for the first time"),
            ("signin", "ConsoleLogin", "service signin", "f signs in to the console for the first time"),
            ("cloudtrail", "StopLogging", "service cloudtrail", "f calls cloudtrail:StopLogging for the first time"),
        ] {
            assert_eq!(said(service, action, target, true), want);
        }
        assert_eq!(said("s3", "GetObject", "bucket b", false), "f reads bucket b for the first time");
    }

    #[test]
    fn sources_have_their_kind() {
        let source = |id: &str| who(&Entity { kind: EntityKind::Source, id: id.to_owned() });
        assert_eq!(source("arn:aws:events:eu-west-1:1:rule/nightly"), "rule nightly");
        assert_eq!(source("arn:aws:s3:::uploads"), "bucket uploads");
        assert_eq!(source("arn:aws:execute-api:eu-west-1:1:abc/prod/GET/x"), "API abc/prod/GET/x");
        assert_eq!(source("apigateway.amazonaws.com"), "apigateway.amazonaws.com");
    }
}
