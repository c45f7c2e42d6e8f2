//! An incident as an OCSF 1.8.0 Detection Finding (class 2004), one JSON object on one line.
//!
//! OCSF is what security tools read. The structs below are the part of the class that we have something to say for, in the
//! order in which it is written; a test holds every line to the published schema, unknown attributes included. `uid` stays
//! the same over the life of an incident, `metadata.sequence` grows. The profile `cloud` is always stated, because the
//! provider is always known, account and Region where the logs name them. Deliberately absent: `attacks`, until a detector
//! can tell a MITRE technique from what merely looks like one; `confidence`, since rarity is what we know; `comment` and
//! other deprecated attributes.

use serde::Serialize;

use crate::detect::{Detail, Finding, FlowDetail, RateDetail};
use crate::entity::{Arn, Entity, EntityKind};
use crate::incident::{Incident, Severity};
use crate::time::{Timestamp, WindowId};

use super::json::{detector, event_id, plain};
use super::message::{Event, Message};
use super::{say, text, title, words};

const VERSION: &str = "1.8.0";
const CLASS_UID: u32 = 2004;
/// Account types and resource roles of the schema.
const AWS_ACCOUNT: u8 = 10;
const ROLE_ACTOR: u8 = 2;
const ROLE_AFFECTED: u8 = 3;
const ROLE_TARGET: u8 = 1;
/// `timespan.type_id`: minutes, days.
const IN_MINUTES: u8 = 3;
const IN_DAYS: u8 = 5;
const STATISTICAL: u8 = 3;
/// From this factor on, a volume is a surge and not only high.
const SURGE: f64 = 10.0;

/// Who writes the finding.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Version of the program: `0.1.0`.
    pub version: &'a str,
}

#[derive(Serialize)]
struct DetectionFinding {
    activity_id: u8,
    activity_name: &'static str,
    category_uid: u8,
    category_name: &'static str,
    class_uid: u32,
    class_name: &'static str,
    type_uid: u32,
    type_name: String,
    severity_id: u8,
    severity: &'static str,
    status_id: u8,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<String>,
    time: i64,
    start_time: i64,
    end_time: i64,
    message: String,
    is_alert: bool,
    metadata: Metadata,
    finding_info: FindingInfo,
    resources: Vec<Resource>,
    evidences: Vec<Evidence>,
    anomaly_analyses: Vec<AnomalyAnalysis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<Remediation>,
    cloud: Cloud,
}

#[derive(Serialize)]
struct Metadata {
    version: &'static str,
    product: ProductInfo,
    profiles: [&'static str; 1],
    uid: String,
    sequence: u32,
}

#[derive(Serialize)]
struct ProductInfo {
    name: &'static str,
    vendor_name: &'static str,
    version: String,
}

#[derive(Serialize)]
struct FindingInfo {
    uid: String,
    title: String,
    desc: String,
    analytic: Analytic,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_analytics: Vec<Analytic>,
    types: Vec<&'static str>,
    created_time: i64,
    modified_time: i64,
    first_seen_time: i64,
    last_seen_time: i64,
}

#[derive(Serialize)]
struct Analytic {
    name: &'static str,
    uid: String,
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u8,
}

#[derive(Serialize)]
struct Resource {
    uid: String,
    name: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_partition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    role_id: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
}

#[derive(Serialize)]
struct Owner {
    account: Account,
}

#[derive(Serialize)]
struct Account {
    uid: String,
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u8,
}

#[derive(Serialize)]
struct Evidence {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Api>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Resource>,
    data: EvidenceData,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Actor {
    App { app_name: String, app_uid: String },
    User { user: User },
    Service { invoked_by: String },
}

#[derive(Serialize)]
struct User {
    name: String,
    uid: String,
}

#[derive(Serialize)]
struct Api {
    operation: String,
    service: Service,
}

#[derive(Serialize)]
struct Service {
    name: String,
}

/// The attribute is free; ours holds what the schema has no place for.
#[derive(Serialize)]
struct EvidenceData {
    first_event_uid: Option<String>,
    first_event_time: Option<i64>,
    last_event_uid: Option<String>,
    last_event_time: Option<i64>,
    count: u64,
    denied: bool,
    years_between_chance_events: f64,
    learnt_days: f64,
}

#[derive(Serialize)]
struct AnomalyAnalysis {
    analysis_targets: [AnalysisTarget; 1],
    anomalies: [Observed; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    baselines: Vec<Observed>,
}

#[derive(Serialize)]
struct AnalysisTarget {
    name: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

/// An anomaly and a baseline have the same attributes.
#[derive(Serialize)]
struct Observed {
    observation_parameter: String,
    observation_type: &'static str,
    observed_pattern: &'static str,
    observations: Vec<Observation>,
}

#[derive(Serialize)]
struct Observation {
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    timespan: Timespan,
}

#[derive(Serialize)]
struct Timespan {
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_mins: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_days: Option<u64>,
}

#[derive(Serialize)]
struct Remediation {
    desc: &'static str,
}

#[derive(Serialize)]
struct Cloud {
    provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_partition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

/// What is done to the finding: activity and its name, status and its name.
type Activity = (u8, &'static str, u8, &'static str);

const CREATE: Activity = (1, "Create", 1, "New");
const UPDATE: Activity = (2, "Update", 2, "In Progress");
const CLOSE: Activity = (3, "Close", 4, "Resolved");
const SUPPRESS: Activity = (3, "Close", 3, "Suppressed");

/// An incident as it is now; one line without its newline.
pub fn finding(incident: &Incident, ctx: &Product<'_>) -> String {
    let activity = match (incident.resolved, incident.sequence) {
        (true, _) => CLOSE,
        (false, 0 | 1) => CREATE,
        (false, _) => UPDATE,
    };
    line(incident, activity, None, ctx)
}

/// What happened to an incident; one line without its newline.
pub fn message(message: &Message, ctx: &Product<'_>) -> String {
    match &message.event {
        Event::Opened => line(&message.incident, CREATE, None, ctx),
        Event::Updated => line(&message.incident, UPDATE, None, ctx),
        Event::Resolved => line(&message.incident, CLOSE, None, ctx),
        Event::Withdrawn { reason } => line(&message.incident, SUPPRESS, Some(format!("withdrawn: {}", plain(reason))), ctx),
    }
}

fn line(incident: &Incident, activity: Activity, status_detail: Option<String>, ctx: &Product<'_>) -> String {
    let (activity_id, activity_name, status_id, status) = activity;
    let (severity_id, severity) = match incident.severity() {
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
    };
    let title = title(incident);
    let shown = DetectionFinding {
        activity_id,
        activity_name,
        category_uid: 2,
        category_name: "Findings",
        class_uid: CLASS_UID,
        class_name: "Detection Finding",
        type_uid: CLASS_UID * 100 + u32::from(activity_id),
        type_name: format!("Detection Finding: {activity_name}"),
        severity_id,
        severity,
        status_id,
        status,
        status_detail,
        time: incident.until().ms(),
        start_time: incident.since().ms(),
        end_time: incident.until().ms(),
        message: title.clone(),
        is_alert: incident.severity() > Severity::Low,
        metadata: metadata(incident, ctx),
        finding_info: finding_info(incident, title),
        resources: incident.entities().into_iter().map(|e| resource(e, role(incident, e))).collect(),
        evidences: incident.findings.iter().map(evidence).collect(),
        anomaly_analyses: incident.findings.iter().map(|f| analysis(f, f.judged)).collect(),
        remediation: incident.lead().map(|f| Remediation { desc: say::next(f) }),
        cloud: cloud(incident),
    };
    // Strings and numbers into memory: this can't fail.
    serde_json::to_string(&shown).unwrap_or_default()
}

fn metadata(incident: &Incident, ctx: &Product<'_>) -> Metadata {
    Metadata {
        version: VERSION,
        product: ProductInfo { name: "Outflow", vendor_name: "Outflow", version: plain(ctx.version) },
        profiles: ["cloud"],
        uid: format!("{}-{}", plain(&incident.uid), incident.sequence),
        sequence: incident.sequence,
    }
}

fn finding_info(incident: &Incident, title: String) -> FindingInfo {
    let mut types: Vec<&'static str> = Vec::new();
    for name in incident.lead().into_iter().chain(&incident.findings).map(detector) {
        if !types.contains(&name) {
            types.push(name);
        }
    }
    let analytic = |name: &'static str| Analytic { name, uid: name.replace(' ', "-"), kind: "Statistical", type_id: STATISTICAL };
    FindingInfo {
        uid: plain(&incident.uid),
        title,
        desc: describe(incident),
        analytic: analytic(types.first().copied().unwrap_or("none")),
        related_analytics: types.iter().skip(1).map(|name| analytic(name)).collect(),
        types,
        created_time: incident.opened.end().ms(),
        modified_time: incident.updated.end().ms(),
        first_seen_time: incident.since().ms(),
        last_seen_time: incident.until().ms(),
    }
}

/// Every finding in a sentence, the one that says most first, and how rare that is.
fn describe(incident: &Incident) -> String {
    let Some(lead) = incident.lead() else { return String::new() };
    let tell = |f: &Finding| match &f.detail {
        Detail::Rate(rate) => format!("{} ({}).", say::sentence(f), text::measured(rate)),
        Detail::NewFlow(flow) => {
            let told = flow.again.map_or_else(String::new, |again| format!(" Told {}.", say::again(&again)));
            format!("{} ({}:{}).{told}", say::sentence(f), say::name(&flow.service), say::name(&flow.action))
        }
        Detail::Quiet { .. } => format!("{}.", say::sentence(f)),
    };
    let others = incident.findings.iter().filter(|f| !(f.entity == lead.entity && f.subject == lead.subject));
    let mut said: Vec<String> = std::iter::once(lead).chain(others).map(tell).collect();
    said.insert(
        1,
        match words::rarity(lead.years) {
            Some(rarity) => format!("By chance {rarity} in this account; learnt from {}.", words::days(lead.learnt_days)),
            None => format!("Learnt from {}.", words::days(lead.learnt_days)),
        },
    );
    if incident.more > 0 {
        said.push(format!("And {} more.", words::count(incident.more)));
    }
    said.join(" ")
}

/// An entity that did something new is an actor; one whose rates moved is affected.
fn role(incident: &Incident, entity: &Entity) -> u8 {
    let acts = |f: &Finding| f.entity == *entity && matches!(f.detail, Detail::NewFlow(_));
    if incident.findings.iter().any(acts) { ROLE_ACTOR } else { ROLE_AFFECTED }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| plain(text))
}

fn account(uid: &str) -> Option<Account> {
    some(uid).map(|uid| Account { uid, kind: "AWS Account", type_id: AWS_ACCOUNT })
}

fn resource(entity: &Entity, role_id: u8) -> Resource {
    let arn = Arn::parse(&entity.id);
    let part = |of: fn(&Arn<'_>) -> String| arn.as_ref().map(of).filter(|text| !text.is_empty());
    Resource {
        uid: plain(&entity.id),
        name: plain(entity.name()),
        kind: resource_type(entity),
        cloud_partition: part(|a| plain(a.partition)),
        region: part(|a| plain(a.region)),
        role_id,
        owner: arn.and_then(|a| account(a.account)).map(|account| Owner { account }),
    }
}

/// The resource type as AWS CloudFormation and Config name it; nothing where they have no name for it.
fn resource_type(entity: &Entity) -> Option<&'static str> {
    if entity.kind == EntityKind::Function {
        return Some("AWS::Lambda::Function");
    }
    let Some(arn) = Arn::parse(&entity.id) else { return entity.id.starts_with("account ").then_some("AWS::::Account") };
    let begins = |prefix: &str| arn.resource.starts_with(prefix);
    match arn.service {
        "lambda" if begins("function:") => Some("AWS::Lambda::Function"),
        "iam" if begins("user/") => Some("AWS::IAM::User"),
        "iam" if begins("role/") => Some("AWS::IAM::Role"),
        "iam" if arn.resource == "root" => Some("AWS::::Account"),
        "sts" if begins("assumed-role/") => Some("AWS::IAM::Role"),
        "events" if begins("rule/") => Some("AWS::Events::Rule"),
        "s3" => Some("AWS::S3::Bucket"),
        "sns" => Some("AWS::SNS::Topic"),
        "sqs" => Some("AWS::SQS::Queue"),
        "execute-api" => Some("AWS::ApiGateway::RestApi"),
        _ => None,
    }
}

fn evidence(finding: &Finding) -> Evidence {
    let entity = &finding.entity;
    let span = finding.span.as_ref();
    let (api, denied, target) = match &finding.detail {
        Detail::NewFlow(flow) => {
            let api = Api { operation: plain(&flow.action), service: Service { name: plain(&flow.service) } };
            (Some(api), flow.denied, Some(flow.target.as_str()))
        }
        Detail::Rate(rate) => (None, rate.family == "denials", rate.target.as_deref()),
        Detail::Quiet { .. } => (None, false, None),
    };
    let actor = match entity.kind {
        EntityKind::Function => Some(Actor::App { app_name: plain(entity.name()), app_uid: plain(&entity.id) }),
        EntityKind::Principal => Some(Actor::User { user: User { name: plain(entity.name()), uid: plain(&entity.id) } }),
        EntityKind::Source => Some(Actor::Service { invoked_by: plain(&entity.id) }),
        // The account as a whole acts on nothing.
        EntityKind::Service => None,
    };
    Evidence {
        name: plain(&finding.subject),
        actor,
        api,
        resources: target.map(target_resource).into_iter().collect(),
        data: EvidenceData {
            first_event_uid: span.and_then(|s| event_id(&s.first.event)),
            first_event_time: span.map(|s| s.first.at.ms()),
            last_event_uid: span.and_then(|s| event_id(&s.last.event)),
            last_event_time: span.map(|s| s.last.at.ms()),
            count: finding.count,
            denied,
            years_between_chance_events: finding.years,
            learnt_days: finding.learnt_days,
        },
    }
}

/// `bucket statistics-raw`: its record gives no ARN, so the name is how it is known.
fn target_resource(id: &str) -> Resource {
    let kinds = [
        ("bucket ", "AWS::S3::Bucket"),
        ("function ", "AWS::Lambda::Function"),
        ("key ", "AWS::KMS::Key"),
        ("queue ", "AWS::SQS::Queue"),
        ("role ", "AWS::IAM::Role"),
        ("secret ", "AWS::SecretsManager::Secret"),
        ("table ", "AWS::DynamoDB::Table"),
        ("topic ", "AWS::SNS::Topic"),
        ("user ", "AWS::IAM::User"),
    ];
    let known = kinds.into_iter().find_map(|(prefix, kind)| id.strip_prefix(prefix).map(|name| (name, kind)));
    let name = known.map_or(id, |k| k.0);
    Resource {
        uid: plain(name),
        name: plain(name),
        kind: known.map(|k| k.1),
        cloud_partition: None,
        region: None,
        role_id: ROLE_TARGET,
        owner: None,
    }
}

fn analysis(finding: &Finding, judged: WindowId) -> AnomalyAnalysis {
    let (anomaly, baselines) = match &finding.detail {
        Detail::NewFlow(flow) => unseen(finding, flow),
        Detail::Rate(rate) => out_of_range(rate, judged),
        Detail::Quiet { functions } => {
            let observation = Observation { value: functions.to_string(), count: Some(*functions), timespan: seen(finding) };
            (observed("quiet functions", "Volume Analysis", "SURGE", vec![observation]), Vec::new())
        }
    };
    let target = AnalysisTarget { name: plain(finding.entity.name()), kind: resource_type(&finding.entity) };
    AnomalyAnalysis { analysis_targets: [target], anomalies: [anomaly], baselines }
}

fn unseen(finding: &Finding, flow: &FlowDetail) -> (Observed, Vec<Observed>) {
    let denied = if flow.denied { " denied" } else { "" };
    let value = plain(&format!("{}:{} {}{denied}", flow.service, flow.action, flow.target));
    let observation = Observation { value, count: Some(finding.count), timespan: seen(finding) };
    let usual = |t: &String| Observation { value: plain(t), count: None, timespan: learnt(finding) };
    let targets: Vec<Observation> = flow.usual.0.iter().map(usual).collect();
    let baseline = (!targets.is_empty()).then(|| observed("target", "Frequency Analysis", "FREQUENT", targets));
    (observed("flow", "Frequency Analysis", "UNSEEN", vec![observation]), baseline.into_iter().collect())
}

/// Values are plain numbers in the unit that the parameter names.
fn out_of_range(rate: &RateDetail, judged: WindowId) -> (Observed, Vec<Observed>) {
    let on = rate.target.as_ref().map_or_else(String::new, |t| format!(" {t}"));
    let unit = match rate.family.as_str() {
        "median duration" => "duration_ms_median",
        "tail duration" => "duration_ms_p99",
        "cost" => "cost_usd",
        "bytes" => "bytes",
        "errors" => "errors",
        "throttles" => "throttles",
        "denials" => "denials",
        "lines" => "lines",
        "slow shift" => "calls a day",
        "silence" => "pause_minutes",
        _ => "calls",
    };
    let parameter = plain(&format!("{unit}{on}"));
    // The schema suggests no word for a drop.
    let pattern = match rate.observed / rate.expected {
        _ if rate.family == "silence" || rate.observed <= 0.0 => "SILENCE",
        factor if factor < 1.0 => "DROP",
        factor if factor >= SURGE => "SURGE",
        _ => "HIGH_VOLUME",
    };
    let observation = |value: f64| Observation { value: decimal(value), count: None, timespan: looked_at(rate.minutes, judged) };
    let baseline = observed(&parameter, "Volume Analysis", "NORMAL_VOLUME", vec![observation(rate.expected)]);
    (observed(&parameter, "Volume Analysis", pattern, vec![observation(rate.observed)]), vec![baseline])
}

fn observed(parameter: &str, kind: &'static str, pattern: &'static str, observations: Vec<Observation>) -> Observed {
    Observed { observation_parameter: parameter.to_owned(), observation_type: kind, observed_pattern: pattern, observations }
}

/// Up to six decimals: cents of a window are small.
fn decimal(n: f64) -> String {
    let text = format!("{n:.6}");
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    short.to_owned()
}

/// From the first to the last event; without any, the finding's window.
fn seen(finding: &Finding) -> Timespan {
    let (start, end) = match &finding.span {
        Some(span) => (span.first.at, span.last.at),
        None => (finding.window.start(), finding.window.end()),
    };
    let minutes = (end.ms() - start.ms()).max(0) as u64 / 60_000;
    in_minutes(minutes, Some((start, end)))
}

/// The minutes that a rate was summed over, with their place in time.
fn looked_at(minutes: u32, judged: WindowId) -> Timespan {
    let end = judged.end();
    in_minutes(minutes.into(), Some((end.plus_ms(-i64::from(minutes) * 60_000), end)))
}

fn in_minutes(minutes: u64, ends: Option<(Timestamp, Timestamp)>) -> Timespan {
    Timespan {
        kind: "Minutes",
        type_id: IN_MINUTES,
        start_time: ends.map(|e| e.0.ms()),
        end_time: ends.map(|e| e.1.ms()),
        duration_mins: Some(minutes),
        duration_days: None,
    }
}

/// How long the baseline has learnt.
fn learnt(finding: &Finding) -> Timespan {
    let days = finding.learnt_days.max(0.0) as u64;
    Timespan { kind: "Days", type_id: IN_DAYS, start_time: None, end_time: None, duration_mins: None, duration_days: Some(days) }
}

fn cloud(incident: &Incident) -> Cloud {
    let arn = incident.lead().and_then(|f| Arn::parse(&f.entity.id));
    Cloud {
        provider: "AWS",
        account: account(&incident.account),
        cloud_partition: arn.and_then(|a| some(a.partition)),
        region: arn.and_then(|a| some(a.region)),
    }
}
