//! CloudTrail records → observations.
//!
//! Attribution follows the order that CloudTrail's own fields allow: what Lambda itself does with a function's role is the
//! service's; then `inScopeOf`; then the session of a role, which `directory` may know as a function's; then the principal.
//! Lambda names its sessions after the function (a key minted by Lambda's `AssumeRole` carries that name in every call),
//! so the session stands for the key. There is deliberately no judgement of keys used elsewhere: another detector's.

use std::borrow::Cow;

use super::target::{Target, from_arn, function, targets};
use super::{Actor, ChangeKind, Class, Identity, Observation, Outcome, Subject, What};
use crate::decode::TrailRecord;
use crate::entity::{Arn, assumed_role, function_arn, partition, pathless_role};
use crate::limits::GRANTS_MAX;
use crate::time::Timestamp;

/// Says everything that a CloudTrail record says. `raw`: the record's own bytes, its identity where it has no id. Gives how
/// many of the targets and permissions that it names were left out.
pub fn observe_trail(record: &TrailRecord<'_>, raw: &[u8], out: &mut dyn FnMut(Observation<'_>)) -> u64 {
    let service = record.event_source.strip_suffix(".amazonaws.com").unwrap_or(&record.event_source);
    let action = fold_name(&record.event_name);
    let outcome = outcome(&record.error_code);
    let mut emit = Emitter { record, raw, time: record.time(), ordinal: 0, out };
    if matches!(&*record.event_category, "Aggregated" | "Insight") {
        // Summaries of calls are no calls; each call has a record of its own.
        emit.put(Actor::Service(Cow::Borrowed("cloudtrail.amazonaws.com")), What::Seen, 0.0);
        return 0;
    }
    if service == "lambda" && invocation(&mut emit, action, outcome) {
        return 0;
    }
    let actor = actor(record);
    let mut cut = 0;
    if outcome == Outcome::Ok {
        bindings(&mut emit, service, action, &actor);
        if let Some(change) = change(record, service, action, &mut cut) {
            let changed = changed_function(record, &change);
            emit.put(actor.clone(), change, 0.0);
            // A function is changed in its own Region, which a target doesn't say.
            if let Some(function) = changed {
                emit.put(function, What::Seen, 0.0);
            }
        }
    }
    let bytes = record.additional_event_data.bytes_transferred_out + record.additional_event_data.bytes_transferred_in;
    let data = is_data(record);
    let flow = |target| What::Flow { service: Cow::Borrowed(service), action: Cow::Borrowed(action), target, outcome, data };
    let mut named = false;
    cut += targets(record, service, &mut |target| {
        emit.put(actor.clone(), flow(Some(target)), if named { 0.0 } else { bytes });
        named = true;
    });
    if !named {
        emit.put(actor, flow(None), bytes);
    }
    cut
}

/// An account id is digits; whatever else stands there is none, since it would become part of a key.
pub(super) fn account_id(text: &str) -> &str {
    if text.bytes().all(|c| c.is_ascii_digit()) && text.len() <= 12 { text } else { "" }
}

/// Numbers the observations of one record.
struct Emitter<'r, 'o> {
    record: &'r TrailRecord<'r>,
    raw: &'r [u8],
    time: Option<Timestamp>,
    ordinal: u64,
    out: &'o mut dyn FnMut(Observation<'_>),
}

impl Emitter<'_, '_> {
    fn put(&mut self, actor: Actor<'_>, what: What<'_>, value: f64) {
        let record = self.record;
        let id = record.event_id.some().map_or(self.raw, str::as_bytes);
        let account = account_id(record.recipient_account_id.some().unwrap_or(&record.user_identity.account_id));
        (self.out)(Observation {
            subject: Subject { class: Class::Trail, account: Cow::Borrowed(account), actor, what },
            time: self.time,
            identity: Identity { id, ordinal: self.ordinal, scope: b"trail", primary: self.ordinal == 0 },
            event_id: record.event_id.some().unwrap_or_default(),
            values: [value, 0.0],
        });
        self.ordinal += 1;
    }
}

/// The name of an API call without the version that some services append: `UpdateFunctionCode20150331v2`,
/// `CreateDistribution2020_05_31`.
pub fn fold_name(name: &str) -> &str {
    let b = name.as_bytes();
    let end = match b {
        [.., b'v', v] if v.is_ascii_digit() => b.len() - 2,
        _ => b.len(),
    };
    let dated = |len: usize| end.checked_sub(len).filter(|&start| start > 0 && b[start..].starts_with(b"20"));
    let digits = |s: &[u8]| s.iter().all(u8::is_ascii_digit);
    match (dated(8), dated(10)) {
        (Some(start), _) if digits(&b[start..end]) => &name[..start],
        (_, Some(start))
            if b[start..end].iter().enumerate().all(|(i, c)| if i == 4 || i == 7 { *c == b'_' } else { c.is_ascii_digit() }) =>
        {
            &name[..start]
        }
        _ => name,
    }
}

/// Management events are on in every trail; all others must be switched on, by type of resource.
fn is_data(record: &TrailRecord<'_>) -> bool {
    !matches!(&*record.event_category, "Management" | "")
}

fn outcome(error_code: &str) -> Outcome {
    let has = |words: &[&str]| words.iter().any(|w| error_code.contains(w));
    if error_code.is_empty() {
        Outcome::Ok
    } else if has(&["AccessDenied", "Unauthorized", "Forbidden", "NotAuthorized"]) {
        Outcome::Denied
    } else if has(&["Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown", "ThroughputExceeded"]) {
        Outcome::Throttled
    } else {
        Outcome::Failed
    }
}

/// `awslambda_<n>_<yyyyMMddHHmmssSSS>`: how Lambda names the session of an event source poller. Whoever may take a role may
/// choose such a name, too: it is Lambda's only in a role that Lambda takes, which `directory` knows.
pub fn is_poller(session: &str) -> bool {
    session.strip_prefix("awslambda_").and_then(|rest| rest.split_once('_')).is_some_and(|(n, stamp)| {
        !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()) && stamp.len() == 17 && stamp.bytes().all(|c| c.is_ascii_digit())
    })
}

/// What the pollers of event sources do with a function's role: read from the source, look up what stands around it, and
/// hand on what failed. What else is done in a session with such a name, its role does.
pub fn is_pollers_call(service: &str, action: &str) -> bool {
    match service {
        "sqs" => {
            ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueue", "SendMessage"].iter().any(|a| action.starts_with(a))
        }
        "kinesis" => ["GetRecords", "GetShardIterator", "Describe", "List", "SubscribeToShard"].iter().any(|a| action.starts_with(a)),
        "dynamodb" => matches!(action, "GetRecords" | "GetShardIterator" | "DescribeStream" | "ListStreams"),
        "kafka" | "mq" | "rds" | "glue" => ["Describe", "Get", "List"].iter().any(|a| action.starts_with(a)),
        "ec2" => action.starts_with("Describe") || action.ends_with("NetworkInterface"),
        "secretsmanager" => action == "GetSecretValue",
        "kms" => matches!(action, "Decrypt" | "GenerateDataKey"),
        "sns" => action == "Publish",
        _ => false,
    }
}

/// The service that acts for itself in this record, or for somebody, if one does.
fn service_of<'a>(record: &'a TrailRecord<'a>) -> Option<&'a str> {
    let identity = &record.user_identity;
    if let Some(service) = identity.invoked_by.some() {
        return Some(service);
    }
    if &*identity.kind == "AWSService" || record.source_ip_address.ends_with(".amazonaws.com") {
        return Some(record.source_ip_address.some().unwrap_or("AWS Internal"));
    }
    if session_of_service(record) {
        return Some(record.source_ip_address.some().filter(|a| a.ends_with(".amazonaws.com")).unwrap_or("AWS Internal"));
    }
    None
}

/// Whether a service reads or writes data for a user or a role: Athena's reads of a bucket are those of whoever asked. What
/// services do beside that for somebody (a key's `Decrypt` for each encrypted table) would say everything twice, and what a
/// service does to itself (S3 that replicates a bucket) is its own work.
fn is_on_behalf(record: &TrailRecord<'_>) -> bool {
    let identity = &record.user_identity;
    let of_service = matches!(&*identity.kind, "AWSService" | "AWSAccount") || session_of_service(record);
    is_data(record)
        && *identity.invoked_by != *record.event_source
        && !identity.invoked_by.is_empty()
        && !identity.arn.is_empty()
        && !of_service
}

/// Only AWS can make a role of this path; anybody can give one such a name.
fn session_of_service(record: &TrailRecord<'_>) -> bool {
    record.user_identity.session_context.session_issuer.arn.contains(":role/aws-service-role/")
}

fn actor<'a>(record: &'a TrailRecord<'a>) -> Actor<'a> {
    if let Some(service) = service_of(record).filter(|_| !is_on_behalf(record)) {
        return Actor::Service(Cow::Borrowed(service));
    }
    let identity = &record.user_identity;
    if let Some((arn, _)) = function_arn(&identity.in_scope_of.credentials_issued_to) {
        return Actor::Function(Cow::Borrowed(arn));
    }
    let of_role = &*identity.kind == "AssumedRole" || identity.arn.contains(":assumed-role/");
    if let Some((role, session)) = session(record).filter(|_| of_role) {
        return Actor::Session { role, session: Cow::Borrowed(session) };
    }
    Actor::Principal(principal(record))
}

fn session<'a>(record: &'a TrailRecord<'a>) -> Option<(Cow<'a, str>, &'a str)> {
    let identity = &record.user_identity;
    let issuer = identity.session_context.session_issuer.arn.some();
    let session = Arn::parse(&identity.arn).map_or("", |a| a.last());
    match issuer {
        Some(issuer) => Some((pathless_role(issuer), session)),
        None => assumed_role(&identity.arn),
    }
}

/// The canonical id of a caller that is neither a role nor a service.
fn principal<'a>(record: &'a TrailRecord<'a>) -> Cow<'a, str> {
    let identity = &record.user_identity;
    if let Some(arn) = identity.arn.some() {
        return Cow::Borrowed(arn);
    }
    let account = identity.account_id.some().or(record.recipient_account_id.some()).unwrap_or_default();
    match (&*identity.kind, identity.user_name.some(), identity.principal_id.some()) {
        ("Root", _, _) => Cow::Owned(format!("arn:aws:iam::{account}:root")),
        ("IAMUser", Some(name), _) => Cow::Owned(format!("arn:aws:iam::{account}:user/{name}")),
        (_, Some(name), _) => Cow::Borrowed(name),
        // Sessions of one role are one principal.
        (_, None, Some(id)) => Cow::Borrowed(if id.starts_with("AROA") { id.split(':').next().unwrap_or(id) } else { id }),
        ("", None, None) => Cow::Owned(format!("unknown principal {account}")),
        (kind, None, None) => Cow::Owned(format!("{kind} {account}")),
    }
}

/// Lambda's own records of invocations. True when the record was one.
///
/// An asynchronous invocation is one `Invoke` by its caller and one `InvokeExecution` for each attempt: callers are
/// counted by the first, runs by the second, so neither is a second call.
fn invocation(emit: &mut Emitter<'_, '_>, action: &str, outcome: Outcome) -> bool {
    let record = emit.record;
    if !matches!(action, "Invoke" | "InvokeExecution" | "InvokeFunctionUrl" | "InvokeWithResponseStream" | "InvokeAsync") {
        return false;
    }
    let Some(target) = function(record) else { return false };
    let arn = record.resources.iter().find_map(|r| function_arn(&r.arn));
    let callee = match arn {
        Some((arn, _)) => Actor::Function(Cow::Borrowed(arn)),
        None => Actor::Named {
            account: target.account.clone(),
            region: Cow::Borrowed(&*record.aws_region),
            name: target.name.clone(),
            assumed: false,
        },
    };
    // Anybody may call a function that there is not: only what Lambda did names one.
    match outcome {
        Outcome::Throttled => emit.put(callee, What::Throttle, 0.0),
        Outcome::Ok if action == "InvokeExecution" || !is_asynchronous(record) => emit.put(callee, What::Run, 0.0),
        Outcome::Failed if action == "InvokeExecution" => emit.put(callee, What::Run, 0.0),
        _ => {}
    }
    if action != "InvokeExecution" {
        let (service, action, data) = (Cow::Borrowed("lambda"), Cow::Borrowed("Invoke"), is_data(record));
        let flow = What::Flow { service, action, target: Some(target), outcome, data };
        emit.put(caller(record), flow, 0.0);
    }
    true
}

fn is_asynchronous(record: &TrailRecord<'_>) -> bool {
    &*record.request_parameters.invocation_type == "Event"
}

/// Who invokes: the rule, bucket or API that an event came from before the service that carried it.
fn caller<'a>(record: &'a TrailRecord<'a>) -> Actor<'a> {
    if let Some(source) = record.request_parameters.source_arn.some() {
        // An API is one caller, whatever stage, method and path a request came by.
        let api = source.contains(":execute-api:").then(|| source.split_once('/')).flatten();
        return Actor::Source(Cow::Borrowed(api.map_or(source, |(api, _)| api)));
    }
    let session = session(record);
    match service_of(record) {
        None => match session {
            Some((role, name)) if is_poller(name) => Actor::Source(role),
            _ => actor(record),
        },
        Some(service) => match session {
            Some((role, _)) => Actor::Source(role),
            None => Actor::Source(Cow::Borrowed(service)),
        },
    }
}

/// Which function works with which role, as far as this record shows it.
fn bindings(emit: &mut Emitter<'_, '_>, service: &str, action: &str, actor: &Actor<'_>) {
    let record = emit.record;
    if let (Actor::Function(_), Some((role, _))) = (actor, session(record)) {
        emit.put(actor.clone(), What::Binding { role }, 0.0);
    }
    let p = &record.request_parameters;
    let by_lambda = &*record.user_identity.invoked_by == "lambda.amazonaws.com";
    if service == "sts" && action == "AssumeRole" && by_lambda && is_poller(&p.role_session_name) {
        let role = pathless_role(&p.role_arn);
        emit.put(Actor::Service(Cow::Borrowed("lambda.amazonaws.com")), What::Binding { role }, 0.0);
    } else if service == "sts" && action == "AssumeRole" && by_lambda {
        let account = Arn::parse(&p.role_arn).map_or("", |a| a.account);
        if let (Some(role), Some(name)) = (p.role_arn.some(), p.role_session_name.some()) {
            let function = Actor::Named {
                account: Cow::Borrowed(account),
                region: Cow::Borrowed(&*record.aws_region),
                name: Cow::Borrowed(name),
                assumed: false,
            };
            emit.put(function, What::Binding { role: pathless_role(role) }, 0.0);
        }
    }
}

fn change<'a>(record: &'a TrailRecord<'a>, service: &str, action: &str, cut: &mut u64) -> Option<What<'a>> {
    let kind = change_kind(service, action)?;
    let p = &record.request_parameters;
    let mut role = p.role.some().or(record.response_elements.role.some()).map_or(Cow::Borrowed(""), pathless_role);
    let mut target = None;
    if service == "lambda" {
        target = function(record);
    } else {
        targets(record, service, &mut |t| target = Some(t));
    }
    let mut grants = Vec::new();
    if service == "iam" {
        let account = record.recipient_account_id.some().unwrap_or_default();
        role = p
            .role_name
            .some()
            .map_or(Cow::Borrowed(""), |n| Cow::Owned(format!("arn:{}:iam::{account}:role/{n}", partition(&record.aws_region))));
        (grants, *cut) = granted(&p.policy_document);
    }
    let stack = p.tags.stack_name.some().map_or(Cow::Borrowed(""), Cow::Borrowed);
    Some(What::Change { kind, target: target?, role, stack, grants })
}

fn changed_function<'a>(record: &'a TrailRecord<'a>, change: &What<'a>) -> Option<Actor<'a>> {
    let What::Change { target, .. } = change else { return None };
    let own = account_id(&record.recipient_account_id);
    let account = if target.account.is_empty() { Cow::Borrowed(own) } else { target.account.clone() };
    let region = Cow::Borrowed(&*record.aws_region);
    (target.kind == "function").then(|| Actor::Named { account, region, name: target.name.clone(), assumed: false })
}

fn change_kind(service: &str, action: &str) -> Option<ChangeKind> {
    Some(match (service, action) {
        ("lambda", "CreateFunction") => ChangeKind::Created,
        ("lambda", "UpdateFunctionCode") => ChangeKind::Code,
        ("lambda", "UpdateFunctionConfiguration") => ChangeKind::Configuration,
        ("lambda", "AddPermission" | "RemovePermission") => ChangeKind::Permission,
        ("lambda", "PublishLayerVersion" | "DeleteLayerVersion" | "AddLayerVersionPermission") => ChangeKind::Layer,
        ("lambda", "CreateFunctionUrlConfig" | "UpdateFunctionUrlConfig" | "DeleteFunctionUrlConfig") => ChangeKind::Url,
        ("lambda", "PutFunctionConcurrency" | "DeleteFunctionConcurrency" | "PutProvisionedConcurrencyConfig") => ChangeKind::Concurrency,
        ("lambda", "PublishVersion" | "CreateAlias" | "UpdateAlias" | "DeleteAlias") => ChangeKind::Version,
        ("lambda", "CreateEventSourceMapping" | "UpdateEventSourceMapping" | "DeleteEventSourceMapping") => ChangeKind::EventSource,
        ("lambda", "DeleteFunction") => ChangeKind::Deleted,
        ("iam", "CreateRole" | "DeleteRole" | "UpdateAssumeRolePolicy") => ChangeKind::Role,
        ("iam", "PutRolePolicy" | "AttachRolePolicy" | "DetachRolePolicy" | "DeleteRolePolicy") => ChangeKind::Policy,
        ("s3", "CreateBucket")
        | ("dynamodb", "CreateTable")
        | ("sqs", "CreateQueue")
        | ("sns", "CreateTopic")
        | ("secretsmanager", "CreateSecret")
        | ("kms", "CreateKey")
        | ("states", "CreateStateMachine") => ChangeKind::Resource,
        _ => return None,
    })
}

/// The resources that a policy names, and how many were left out. A prefix that ends in `*` names nothing, except all objects
/// of a bucket.
fn granted(document: &str) -> (Vec<Target<'static>>, u64) {
    let decoded = percent_decoded(document);
    let Ok(policy) = serde_json::from_str::<serde_json::Value>(&decoded) else { return (Vec::new(), 0) };
    let (mut all, mut cut) = (Vec::new(), 0);
    for statement in one_or_many(&policy["Statement"]) {
        if statement["Effect"] != "Allow" {
            continue;
        }
        for arn in one_or_many(&statement["Resource"]).filter_map(|r| r.as_str()) {
            let named = arn.strip_suffix("/*").unwrap_or(arn);
            if named.contains('*') {
                continue;
            }
            if all.len() < GRANTS_MAX {
                all.extend(from_arn(named).as_ref().map(Target::to_owned));
            } else {
                cut += 1;
            }
        }
    }
    all.sort();
    all.dedup();
    (all, cut)
}

fn one_or_many(value: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    let many = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let one = (!value.is_array() && !value.is_null()).then_some(value);
    many.iter().chain(one)
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.starts_with('%') {
        return Cow::Borrowed(text);
    }
    let b = text.as_bytes();
    let mut out = Vec::with_capacity(b.len());
    let mut i = 0;
    while i < b.len() {
        let byte = (b[i] == b'%').then(|| text.get(i + 1..i + 3).and_then(|h| u8::from_str_radix(h, 16).ok())).flatten();
        out.push(byte.unwrap_or(b[i]));
        i += if byte.is_some() { 3 } else { 1 };
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versioned_names_fold_to_one() {
        for (name, want) in [
            ("UpdateFunctionCode20150331v2", "UpdateFunctionCode"),
            ("PutFunctionConcurrency20171031", "PutFunctionConcurrency"),
            ("CreateDistribution2020_05_31", "CreateDistribution"),
            ("CreateFunctionUrlConfig", "CreateFunctionUrlConfig"),
            ("ListObjectsV2", "ListObjectsV2"),
            ("20150331", "20150331"),
            ("V2v2", "V2v2"),
            ("Get201503310", "Get201503310"),
            ("", ""),
        ] {
            assert_eq!(fold_name(name), want);
        }
    }

    #[test]
    fn pollers_are_lambdas() {
        assert!(is_poller("awslambda_11_20250901120000123"));
        assert!(!is_poller("awslambda_11_2025"));
        assert!(!is_poller("author-handler"));
    }

    fn said(record: &str) -> Vec<Subject<'static>> {
        let record: TrailRecord<'_> = serde_json::from_str(record).unwrap();
        let mut all = Vec::new();
        observe_trail(&record, b"", &mut |o| all.push(o.subject.to_owned()));
        all
    }

    /// Nobody makes up a function by calling it.
    #[test]
    fn only_what_was_done_names_a_function() {
        for (error, want) in [("", 2), ("TooManyRequestsException", 2), ("ResourceNotFoundException", 1), ("AccessDeniedException", 1)] {
            let all = said(&format!(
                r#"{{"eventSource":"lambda.amazonaws.com","eventName":"Invoke","awsRegion":"us-west-2","eventCategory":"Data","errorCode":"{error}",
                "recipientAccountId":"1","requestParameters":{{"functionName":"f"}},"userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::1:user/eve"}}}}"#
            ));
            let named = all.iter().filter(|s| matches!(s.actor, Actor::Named { .. } | Actor::Function(_))).count();
            assert_eq!((all.len(), named), (want, want - 1), "{error}");
        }
    }

    #[test]
    fn a_service_that_reads_for_somebody_is_somebody() {
        let user = r#""type":"IAMUser","arn":"arn:aws:iam::1:user/u""#;
        let linked = r#""type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/R/s","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:role/aws-service-role/x/R"}}"#;
        let athena = "athena.amazonaws.com";
        for (identity, by, category, address, want) in [
            (user, athena, "Data", "203.0.113.1", "user/u"),
            (user, athena, "Data", athena, "user/u"),
            (user, athena, "Management", athena, athena),
            (user, "s3.amazonaws.com", "Data", "s3.amazonaws.com", "s3.amazonaws.com"),
            (r#""type":"AWSService""#, athena, "Data", athena, athena),
            (linked, athena, "Data", athena, athena),
        ] {
            let all = said(&format!(
                r#"{{"eventSource":"s3.amazonaws.com","eventName":"GetObject","eventCategory":"{category}","sourceIPAddress":"{address}",
                "requestParameters":{{"bucketName":"b"}},"userIdentity":{{{identity},"invokedBy":"{by}"}}}}"#
            ));
            let (Actor::Principal(who) | Actor::Service(who)) = &all[0].actor else { panic!("{:?}", all[0].actor) };
            assert!(who.ends_with(want), "{who}, not {want}");
        }
    }

    #[test]
    fn policies_name_what_they_grant() {
        let policy = r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::raw","arn:aws:s3:::raw/*","arn:aws:s3:::x*"]},
            {"Effect":"Deny","Resource":"arn:aws:s3:::no"},{"Effect":"Allow","Resource":"arn:aws:dynamodb:r:1:table/books"}]}"#;
        let ids = |p: &str| granted(p).0.iter().map(Target::id).collect::<Vec<_>>();
        assert_eq!(ids(policy), ["bucket raw", "table books of 1"]);
        assert_eq!(ids(&format!("%7B{}", &policy[1..])), ["bucket raw", "table books of 1"]);
        assert!(ids("%zz{").is_empty());
        let many: Vec<String> = (0..GRANTS_MAX + 3).map(|n| format!("arn:aws:s3:::b{n}")).collect();
        let policy = serde_json::json!({"Statement": {"Effect": "Allow", "Resource": many}}).to_string();
        let (kept, cut) = granted(&policy);
        assert_eq!((kept.len(), cut), (GRANTS_MAX, 3));
    }

    #[test]
    fn targets_beyond_the_bound_are_counted() {
        let items: Vec<_> = (0..20).map(|n| serde_json::json!({"tableName": format!("t{n}")})).collect();
        let text = serde_json::json!({"eventSource": "dynamodb.amazonaws.com", "eventName": "TransactGetItems",
            "requestParameters": {"requestItems": items}})
        .to_string();
        let record: TrailRecord<'_> = serde_json::from_str(&text).unwrap();
        let mut said = 0;
        let cut = observe_trail(&record, b"", &mut |_| said += 1);
        assert_eq!((said, cut), (16, 4));
    }
}
