//! A message as it goes to the topic: one text for each kind of subscriber, within SNS's bounds.
//!
//! `MessageStructure` json lets one publish say different things: OCSF for machines (`default`), a screen for mailboxes
//! (`email`), the whole [`Message`] for notify (`sqs`). A topic takes 256 KiB with attributes; an incident of many findings
//! with hostile names could be larger, so it is cut until it fits: first hours, then long texts, then findings, which are
//! counted. It never fails, since an alert that was too long is worse than a short one. Attributes let subscribers filter.
//! Deliberately absent: the network, and texts for telephones.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::batch::EventId;
use crate::detect::{Detail, Finding};
use crate::entity::{Arn, EntityKind};
use crate::incident::Incident;
use crate::limits::{SNS_MESSAGE_BYTES_MAX, SNS_SUBJECT_CHARS_MAX};

use super::json::detector;
use super::links::links;
use super::message::{Event, Message};
use super::ocsf::{self, Product};
use super::{clean, text, title};

/// Characters of an attribute: what people filter by is short.
const ATTRIBUTE_CHARS_MAX: usize = 128;
/// Findings and characters of one text that are tried, the most first; the first row is no cut at all in practice, the last
/// fits whatever the texts hold: 12 bytes for a character, escaped twice, and three renderings.
const CUTS: [(usize, usize); 7] = [(64, 2048), (64, 512), (64, 128), (32, 128), (16, 64), (4, 64), (1, 32)];

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// For `MessageStructure` json.
    pub message: String,
    /// ASCII, at most 100 characters, one line.
    pub subject: String,
    /// Name → type and value, none of them empty.
    pub attributes: BTreeMap<&'static str, (&'static str, String)>,
}

impl Published {
    /// Bytes that count against the topic's bound.
    pub fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, (kind, value))| name.len() + kind.len() + value.len());
        self.message.len() + attributes.sum::<usize>()
    }
}

#[derive(Serialize)]
struct Structure {
    default: String,
    email: String,
    sqs: String,
}

/// A message for the topic.
pub fn publish(message: &Message, product: &Product<'_>) -> Published {
    let (subject, attributes) = (subject(message), attributes(message));
    let render =
        |message: &Message| Published { message: structure(message, product), subject: subject.clone(), attributes: attributes.clone() };
    let mut published = render(message);
    for (step, (findings_max, chars_max)) in CUTS.into_iter().enumerate() {
        if published.bytes() <= SNS_MESSAGE_BYTES_MAX {
            break;
        }
        published = render(&cut(message, findings_max, chars_max, step > 0));
    }
    published
}

fn structure(message: &Message, product: &Product<'_>) -> String {
    let whole = Structure { default: ocsf::message(message, product), email: email(message), sqs: message.to_json() };
    // Strings into memory: this can't fail.
    serde_json::to_string(&whole).unwrap_or_default()
}

/// The screen, and where to look next.
fn email(message: &Message) -> String {
    let mut out = match &message.event {
        Event::Opened => String::new(),
        Event::Updated => "Something was added to this incident.\n\n".to_owned(),
        Event::Resolved => "This incident is over: nothing was added to it for a while.\n\n".to_owned(),
        Event::Withdrawn { reason } => format!("This incident is withdrawn: {}.\n\n", clean(reason, ATTRIBUTE_CHARS_MAX)),
    };
    out.push_str(&text::incident(&message.incident, &text::Style::default()));
    for (i, link) in links(&message.incident).iter().enumerate() {
        let _ = write!(out, "{}{}\n{}\n", if i == 0 { "\n" } else { "" }, link.label, link.url);
    }
    out
}

/// `[HIGH] author-handler reads a bucket it never touched`. Whatever is not ASCII becomes `?`.
fn subject(message: &Message) -> String {
    let word = match message.event {
        Event::Opened => message.incident.severity().word().to_uppercase(),
        Event::Updated => format!("{}, update", message.incident.severity().word().to_uppercase()),
        Event::Resolved | Event::Withdrawn { .. } => message.event.word().to_owned(),
    };
    let said = format!("[{word}] {}", title(&message.incident));
    let mut ascii: String = said.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    if ascii.len() > SNS_SUBJECT_CHARS_MAX {
        ascii.truncate(SNS_SUBJECT_CHARS_MAX - 3);
        ascii.push_str("...");
    }
    ascii
}

fn attributes(message: &Message) -> BTreeMap<&'static str, (&'static str, String)> {
    let incident = &message.incident;
    let lead = incident.lead();
    let functions = lead.into_iter().chain(&incident.findings).filter(|f| f.entity.kind == EntityKind::Function);
    let function = functions.map(|f| f.entity.name()).next().unwrap_or_default();
    let region = lead.and_then(|f| Arn::parse(&f.entity.id)).map_or("", |arn| arn.region);
    [
        ("severity", incident.severity().word()),
        ("account", incident.account.as_str()),
        ("region", region),
        ("function", function),
        ("detector", lead.map_or("", detector)),
        ("event", message.event.word()),
    ]
    .into_iter()
    .map(|(name, value)| (name, ("String", clean(value, ATTRIBUTE_CHARS_MAX).into_owned())))
    // SNS refuses an empty value, and a filter finds the absence of one as well.
    .filter(|(_, (_, value))| !value.trim().is_empty())
    .collect()
}

/// The message with so many findings, its lead among them, and texts of so many characters. What is left out is counted.
fn cut(message: &Message, findings_max: usize, chars_max: usize, shorten: bool) -> Message {
    let incident = &message.incident;
    let kept = kept(incident, findings_max);
    let more = incident.more.saturating_add((incident.findings.len() - kept.len()) as u64);
    let mut findings: Vec<Finding> = kept.into_iter().cloned().collect();
    for finding in &mut findings {
        finding.hours.clear();
        finding.before.truncate(crate::limits::CHANGES_MAX);
        texts(finding, &|text: &mut String| trim(text, chars_max));
    }
    let (mut uid, mut account) = (incident.uid.clone(), incident.account.clone());
    let mut event = message.event.clone();
    if shorten {
        trim(&mut uid, crate::limits::EVENT_ID_MAX);
        trim(&mut account, crate::limits::EVENT_ID_MAX);
        if let Event::Withdrawn { reason } = &mut event {
            trim(reason, chars_max);
        }
    }
    Message { event, incident: Incident { uid, account, findings, more, ..incident.clone() }, ..message.clone() }
}

/// The first findings and, where it would be left out, the one that says most.
fn kept(incident: &Incident, findings_max: usize) -> Vec<&Finding> {
    let mut kept: Vec<&Finding> = incident.findings.iter().take(findings_max).collect();
    let lead = incident.lead().filter(|lead| !kept.iter().any(|f| std::ptr::eq(*f, *lead)));
    if let (Some(lead), Some(last)) = (lead, kept.last_mut()) {
        *last = lead;
    }
    kept
}

/// Every text of a finding.
fn texts(finding: &mut Finding, change: &dyn Fn(&mut String)) {
    change(&mut finding.entity.id);
    change(&mut finding.subject);
    finding.before.iter_mut().for_each(change);
    for moment in finding.span.iter_mut().flat_map(|s| [&mut s.first, &mut s.last]) {
        if let EventId::Text(id) = &mut moment.event {
            change(id);
        }
    }
    match &mut finding.detail {
        Detail::NewFlow(flow) => {
            [&mut flow.service, &mut flow.action, &mut flow.target, &mut flow.relation].into_iter().for_each(change);
            flow.usual.0.iter_mut().for_each(change);
            flow.users.0.iter_mut().for_each(|(id, _)| change(id));
        }
        Detail::Rate(rate) => {
            change(&mut rate.family);
            rate.target.iter_mut().for_each(change);
        }
        Detail::Quiet { .. } => {}
    }
}

fn trim(text: &mut String, chars_max: usize) {
    if let Some((at, _)) = text.char_indices().nth(chars_max) {
        text.truncate(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::{foreign_bucket, one, sample, samples};
    use expect_test::expect;
    use proptest::prelude::*;
    use serde_json::Value;

    const PRODUCT: Product<'_> = Product { version: "0.1.0" };

    fn publish_as(event: Event, incident: Incident) -> Published {
        publish(&Message::new(event, incident), &PRODUCT)
    }

    #[test]
    fn each_subscriber_has_its_text() {
        let message = Message::new(Event::Opened, foreign_bucket());
        let published = publish(&message, &PRODUCT);
        let said: Value = serde_json::from_str(&published.message).unwrap();
        assert_eq!(Message::from_json(said["sqs"].as_str().unwrap()), Ok(message));
        let finding: Value = serde_json::from_str(said["default"].as_str().unwrap()).unwrap();
        assert_eq!((&finding["class_uid"], &finding["activity_id"]), (&Value::from(2004), &Value::from(1)));
        expect![[r#"
            HIGH  author-handler reads a bucket it never touched    123456789012 · eu-west-1
                  since    Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going
                  flow     author-handler → GetObject ×214, ListObjects
                           → bucket statistics-raw
                  usual    in 21 days 3 targets: table books, topic authors, key alias/books
                           bucket statistics-raw: only statistics-handler, for 19+ days
                  rarity   by chance about once in 3 years in this account
                  before   in the day before: code updated by ci-deploy
                  events   first 17:05:12 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f
                           last  17:17:40 b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2
                  next     if nobody planned this, take the permission from its role and
                           look at its last change
                  id       7c1f90ab2233445566778899aabbccdd

            Its log
            https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000
            Function
            https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/author-handler
        "#]].assert_eq(said["email"].as_str().unwrap());
        expect![[r#"
            [HIGH] author-handler reads a bucket it never touched
            {
                "account": (
                    "String",
                    "123456789012",
                ),
                "detector": (
                    "String",
                    "new flow",
                ),
                "event": (
                    "String",
                    "opened",
                ),
                "function": (
                    "String",
                    "author-handler",
                ),
                "region": (
                    "String",
                    "eu-west-1",
                ),
                "severity": (
                    "String",
                    "high",
                ),
            }
        "#]]
        .assert_eq(&format!("{}\n{:#?}\n", published.subject, published.attributes));
    }

    #[test]
    fn what_happened_is_said_first() {
        let mut shown = String::new();
        for event in [Event::Updated, Event::Resolved, Event::Withdrawn { reason: "explained by the deployment of 17:02".to_owned() }] {
            let published = publish_as(event, foreign_bucket());
            let said: Value = serde_json::from_str(&published.message).unwrap();
            let finding: Value = serde_json::from_str(said["default"].as_str().unwrap()).unwrap();
            let email = said["email"].as_str().unwrap().lines().next().unwrap().to_owned();
            let detail = format!("{} {} {}", finding["activity_name"], finding["status"], finding["status_detail"]);
            shown += &format!("{}\n  {email}\n  {detail}\n", published.subject);
        }
        for name in ["hostile", "quiet", "no account"] {
            shown += &format!("{}\n", publish_as(Event::Opened, sample(name)).subject);
        }
        expect![[r#"
            [HIGH, update] author-handler reads a bucket it never touched
              Something was added to this incident.
              "Update" "In Progress" null
            [resolved] author-handler reads a bucket it never touched
              This incident is over: nothing was added to it for a while.
              "Close" "Resolved" null
            [withdrawn] author-handler reads a bucket it never touched
              This incident is withdrawn: explained by the deployment of 17:02.
              "Close" "Suppressed" "withdrawn: explained by the deployment of 17:02"
            [HIGH] evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx? calls evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxx...
            [LOW] 12 functions of the account went quiet together
            [HIGH] slack-invitor is throttled 27 times as often as usual
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn nothing_is_cut_that_fits() {
        for (name, incident) in samples().into_iter().filter(|s| s.0 != "hostile") {
            let message = Message::new(Event::Updated, incident);
            let said: Value = serde_json::from_str(&publish(&message, &PRODUCT).message).unwrap();
            assert_eq!(Message::from_json(said["sqs"].as_str().unwrap()), Ok(message), "{name}");
        }
    }

    #[test]
    fn what_is_cut_is_counted_and_the_lead_stays() {
        let mut incident = foreign_bucket();
        let lead = incident.findings[0].clone();
        let other = |i: usize| Finding { subject: format!("{i}{}", "\u{1}".repeat(4000)), years: 0.1, ..lead.clone() };
        incident.findings = (0..63).map(other).collect();
        incident.findings.push(Finding { subject: "the lead".to_owned(), years: 900.0, ..lead });
        incident.more = 5;
        let message = Message::new(Event::Opened, incident);
        let said: Value = serde_json::from_str(&publish(&message, &PRODUCT).message).unwrap();
        let got = Message::from_json(said["sqs"].as_str().unwrap()).unwrap().incident;
        assert_eq!(got.lead().unwrap().subject, "the lead");
        assert_eq!(got.findings.len() as u64 + got.more, 64 + 5);
    }

    /// Texts that grow most when they are escaped, and others.
    fn hostile() -> impl Strategy<Value = String> {
        let pattern = prop::sample::select(vec!["\u{1}", "\"", "\\", "\n", "\u{2028}", "日", "😀", "x", "<!channel>", "&", "\u{1b}[2J"]);
        (pattern, 0_usize..12_000, any::<u8>()).prop_map(|(text, n, salt)| format!("{salt}{}", text.repeat(n / text.len().max(1))))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn always_fits(texts_of in prop::collection::vec(hostile(), 8), findings in 0_usize..64, sample_at in 0_usize..17, end in any::<bool>()) {
            let incident = samples().swap_remove(sample_at).1;
            let mut all = Incident { findings: Vec::new(), more: 0, ..incident.clone() };
            for i in 0..findings {
                let mut finding = incident.findings[i % incident.findings.len()].clone();
                let n = std::cell::Cell::new(i);
                texts(&mut finding, &|text: &mut String| {
                    n.set(n.get() + 1);
                    *text = format!("{text}{}", texts_of[n.get() % 8]);
                });
                finding.hours = vec![0.123_456; 500];
                all.findings.push(finding);
            }
            all.account.clone_from(&texts_of[0]);
            all.uid.clone_from(&texts_of[1]);
            let event = if end { Event::Withdrawn { reason: texts_of[2].clone() } } else { Event::Updated };
            let published = publish_as(event, all);
            prop_assert!(published.bytes() <= SNS_MESSAGE_BYTES_MAX, "{}", published.bytes());
            let subject = &published.subject;
            prop_assert!(!subject.is_empty() && subject.len() <= 100 && subject.bytes().all(|b| (b' '..=b'~').contains(&b)), "{subject:?}");
            prop_assert!(published.attributes.values().all(|(_, v)| !v.trim().is_empty() && v.chars().count() <= ATTRIBUTE_CHARS_MAX));
            let said: Value = serde_json::from_str(&published.message).unwrap();
            let got = Message::from_json(said["sqs"].as_str().unwrap()).unwrap().incident;
            prop_assert_eq!(got.findings.len() as u64 + got.more, findings as u64);
            prop_assert!(serde_json::from_str::<Value>(said["default"].as_str().unwrap()).is_ok());
        }
    }

    #[test]
    fn the_worst_still_fits() {
        let mut incident = one(foreign_bucket().findings[0].clone());
        let worst = "\u{1}".repeat(300_000);
        texts(&mut incident.findings[0], &|text: &mut String| *text = worst.clone());
        incident.findings = vec![incident.findings[0].clone(); 64];
        (incident.uid, incident.account) = (worst.clone(), worst.clone());
        let published = publish_as(Event::Withdrawn { reason: worst }, incident);
        assert!(published.bytes() <= SNS_MESSAGE_BYTES_MAX, "{}", published.bytes());
    }
}
