//! An incident with all its numbers, one JSON object on one line.
//!
//! The names of its fields are a promise to scripts: fields are added and never renamed. Their order is fixed. Texts are
//! cleaned like those of the terminal, because JSON lines are read in terminals too; ids that AWS would accept stay as they
//! are. A number that is none (not a number, endless) is null. Deliberately absent: a version, since unknown fields are to
//! be ignored.

use serde::Serialize;

use crate::batch::EventId;
use crate::detect::{Detail, Finding, Level};
use crate::entity::{Entity, EntityKind};
use crate::facts::{Moment, Span};
use crate::incident::Incident;
use crate::time::Timestamp;

use super::{clean, title};

/// Characters of one text: the longest ARN that IAM accepts has 2,048.
pub(super) const TEXT_CHARS_MAX: usize = 2048;

#[derive(Serialize)]
struct Shown {
    uid: String,
    account: String,
    sequence: u32,
    severity: &'static str,
    title: String,
    since: String,
    until: String,
    resolved: bool,
    entities: Vec<Who>,
    findings: Vec<Found>,
    more: u64,
}

#[derive(Serialize)]
struct Who {
    kind: &'static str,
    id: String,
    name: String,
}

#[derive(Serialize)]
struct Found {
    detector: &'static str,
    entity: String,
    subject: String,
    level: &'static str,
    window: String,
    years: f64,
    learnt_days: f64,
    count: u64,
    first: Option<Event>,
    last: Option<Event>,
    #[serde(flatten)]
    detail: Numbers,
    before: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    changes_unknown: bool,
    hours: Vec<f32>,
    hours_to: String,
}

#[derive(Serialize)]
struct Event {
    time: String,
    id: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers {
    NewFlow {
        service: String,
        action: String,
        target: String,
        denied: bool,
        outside: bool,
        relation: String,
        usual_targets: Vec<String>,
        usual_targets_count: u64,
        users: Vec<User>,
        users_count: u64,
        score: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        again: Option<Told>,
    },
    Rate {
        family: String,
        target: Option<String>,
        minutes: u32,
        observed: f64,
        expected: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        back: Option<String>,
        score: f64,
    },
    Quiet {
        functions: u64,
    },
}

/// It was told before and not answered.
#[derive(Serialize)]
struct Told {
    first: String,
    times: u32,
    usual_from_now: bool,
}

#[derive(Serialize)]
struct User {
    id: String,
    since_day: f64,
}

/// One line without its newline.
pub fn incident(incident: &Incident) -> String {
    let shown = Shown {
        uid: plain(&incident.uid),
        account: plain(&incident.account),
        sequence: incident.sequence,
        severity: incident.severity().word(),
        title: title(incident),
        since: incident.since().to_rfc3339(),
        until: incident.until().to_rfc3339(),
        resolved: incident.resolved,
        entities: incident.entities().into_iter().map(who).collect(),
        findings: incident.findings.iter().map(found).collect(),
        more: incident.more,
    };
    // Strings and numbers into memory: this can't fail.
    serde_json::to_string(&shown).unwrap_or_default()
}

/// A text of a machine form.
pub(super) fn plain(text: &str) -> String {
    clean(text, TEXT_CHARS_MAX).into_owned()
}

/// The detector's name.
pub(super) fn detector(finding: &Finding) -> &'static str {
    match finding.detail {
        Detail::NewFlow(_) => "new flow",
        Detail::Rate(_) => "rate",
        Detail::Quiet { .. } => "quiet together",
    }
}

/// An event's id, if it has one.
pub(super) fn event_id(id: &EventId) -> Option<String> {
    (*id != EventId::None).then(|| plain(&id.to_string()))
}

fn who(entity: &Entity) -> Who {
    let kind = match entity.kind {
        EntityKind::Function => "function",
        EntityKind::Principal => "principal",
        EntityKind::Source => "source",
        EntityKind::Service => "service",
    };
    Who { kind, id: plain(&entity.id), name: plain(entity.name()) }
}

fn found(finding: &Finding) -> Found {
    let event = |moment: &Moment| Event { time: moment.at.to_rfc3339(), id: event_id(&moment.event) };
    let span: Option<&Span> = finding.span.as_ref();
    Found {
        detector: detector(finding),
        entity: plain(&finding.entity.id),
        subject: plain(&finding.subject),
        level: match finding.level {
            Level::Rare => "rare",
            Level::Alert => "alert",
        },
        window: finding.window.start().to_rfc3339(),
        years: finding.years,
        learnt_days: finding.learnt_days,
        count: finding.count,
        first: span.map(|s| event(&s.first)),
        last: span.map(|s| event(&s.last)),
        detail: numbers(&finding.detail),
        before: finding.before.iter().map(|c| plain(c)).collect(),
        changes_unknown: finding.changes_unknown,
        hours: finding.hours.clone(),
        hours_to: finding.hours_to.end().to_rfc3339(),
    }
}

fn numbers(detail: &Detail) -> Numbers {
    match detail {
        Detail::NewFlow(flow) => Numbers::NewFlow {
            service: plain(&flow.service),
            action: plain(&flow.action),
            target: plain(&flow.target),
            denied: flow.denied,
            outside: flow.outside,
            relation: plain(&flow.relation),
            usual_targets: flow.usual.0.iter().map(|t| plain(t)).collect(),
            usual_targets_count: flow.usual.1,
            users: flow.users.0.iter().map(|(id, since)| User { id: plain(id), since_day: *since }).collect(),
            users_count: flow.users.1,
            score: flow.score,
            again: flow.again.map(|a| Told { first: a.first.to_rfc3339(), times: a.times, usual_from_now: a.last }),
        },
        Detail::Rate(rate) => Numbers::Rate {
            family: plain(&rate.family),
            target: rate.target.as_deref().map(plain),
            minutes: rate.minutes,
            observed: rate.observed,
            expected: rate.expected,
            extra: rate.extra,
            back: rate.back.map(Timestamp::to_rfc3339),
            score: rate.score,
        },
        Detail::Quiet { functions } => Numbers::Quiet { functions: *functions },
    }
}
