//! Where a person looks next: the function, its log, the event, in the console of AWS.
//!
//! Links are built from the function's ARN alone, never from text of a log, and every part of them is percent-encoded: a
//! hostile name can't leave its place in the URL. Each partition has its own console. The log group is the one that Lambda
//! makes unless told otherwise. Deliberately absent: links for what names no Region, and for partitions whose console is not
//! public; a wrong link costs more than none.

use std::fmt::Write as _;

use crate::batch::EventId;
use crate::detect::{Detail, Finding};
use crate::entity::{Arn, EntityKind};
use crate::incident::Incident;

/// Bytes of a Region, and of a name: Lambda's own bound is 64, and 140 where the name is part of an ARN.
const REGION_BYTES_MAX: usize = 25;
const NAME_BYTES_MAX: usize = 140;
/// A log is shown from so long before the first event to so long after the last.
const AROUND_MS: i64 = 5 * MINUTE_MS;
const MINUTE_MS: i64 = 60_000;

/// A place in the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// `Its log`.
    pub label: &'static str,
    /// ASCII, https, to a console of AWS.
    pub url: String,
}

/// What there is to look at, the most useful first.
pub fn links(incident: &Incident) -> Vec<Link> {
    let Some(lead) = incident.lead() else { return Vec::new() };
    // Of several entities, the first function is the one that has a log.
    let functions = std::iter::once(lead).chain(&incident.findings).filter(|f| f.entity.kind == EntityKind::Function);
    let place = functions.filter_map(|f| Place::of(&f.entity.id)).next();
    let Some(place) = place else { return Vec::new() };
    // A rate looks back over its minutes, a silence over its whole length.
    let looked = match &lead.detail {
        Detail::Rate(rate) => lead.judged.end().plus_ms(-i64::from(rate.minutes) * MINUTE_MS),
        _ => incident.since(),
    };
    let (from, to) = (incident.since().min(looked).plus_ms(-AROUND_MS).ms(), incident.until().plus_ms(AROUND_MS).ms());
    let mut all = vec![place.log(from, to), place.function()];
    all.extend(event(lead).map(|id| place.event(&id)));
    all
}

/// The id of a CloudTrail event that the console can open: of a flow, since rates may come from a log, and of management, since
/// the event history holds no data events.
fn event(finding: &Finding) -> Option<String> {
    let Detail::NewFlow(flow) = &finding.detail else { return None };
    let opens = finding.entity.kind == EntityKind::Function && is_management(&flow.service, &flow.action);
    let span = finding.span.as_ref().filter(|_| opens)?;
    matches!(span.first.event, EventId::Uuid(_)).then(|| span.first.event.to_string())
}

/// Whether a call is one that CloudTrail logs without being asked to.
fn is_management(service: &str, action: &str) -> bool {
    match service {
        "s3" => action.contains("Bucket"),
        "dynamodb" => action.contains("Table") || action.contains("Backup"),
        "lambda" => !action.starts_with("Invoke"),
        "sqs" => action.contains("Queue"),
        "sns" => !action.starts_with("Publish"),
        "events" => !action.starts_with("PutEvents"),
        "iam" | "sts" | "secretsmanager" | "ssm" | "kms" | "ec2" | "rds" | "cloudtrail" | "logs" | "cloudformation" | "states" => true,
        _ => false,
    }
}

struct Place<'a> {
    console: &'static str,
    region: &'a str,
    name: &'a str,
}

impl<'a> Place<'a> {
    fn of(id: &'a str) -> Option<Place<'a>> {
        let arn = Arn::parse(id)?;
        let console = match arn.partition {
            "aws" => "console.aws.amazon.com",
            "aws-cn" => "console.amazonaws.cn",
            "aws-us-gov" => "console.amazonaws-us-gov.com",
            _ => return None,
        };
        let name = arn.resource.strip_prefix("function:")?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let region_fits = !arn.region.is_empty() && arn.region.len() <= REGION_BYTES_MAX && arn.region.chars().all(plain);
        let name_fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        (region_fits && name_fits).then_some(Place { console, region: arn.region, name })
    }

    fn log(&self, from_ms: i64, to_ms: i64) -> Link {
        // The console wants what stands behind its `#` encoded once more, with `$` for the percent sign: names then are
        // encoded twice, its own question once.
        let group = dollars(&percent(&format!("/aws/lambda/{}", self.name)));
        let time = dollars(&format!("?start={from_ms}&end={to_ms}"));
        self.link("Its log", "cloudwatch", &format!("logsV2:log-groups/log-group/{group}/log-events{time}"))
    }

    fn function(&self) -> Link {
        self.link("Function", "lambda", &format!("/functions/{}", percent(self.name)))
    }

    fn event(&self, id: &str) -> Link {
        self.link("CloudTrail event", "cloudtrailv2", &format!("/events/{}", percent(id)))
    }

    fn link(&self, label: &'static str, service: &str, rest: &str) -> Link {
        let (console, region) = (self.console, self.region);
        // The Region's own host spares a redirect that loses what stands behind the `#` in some browsers.
        Link { label, url: format!("https://{region}.{console}/{service}/home?region={region}#{rest}") }
    }
}

/// Everything but letters, digits, `-`, `_` and `.` as `%XX`.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn dollars(text: &str) -> String {
    percent(text).replace('%', "$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::sample;
    use expect_test::{Expect, expect};

    fn check(id: &str, expected: Expect) {
        let mut incident = sample("secret");
        incident.findings.iter_mut().for_each(|f| f.entity.id = id.to_owned());
        let lines: Vec<String> = links(&incident).into_iter().map(|l| format!("{} {}\n", l.label, l.url)).collect();
        expected.assert_eq(&lines.concat());
    }

    #[test]
    fn each_partition_has_its_console() {
        check(
            "arn:aws:lambda:eu-west-1:123456789012:function:author-handler",
            expect![[r#"
                Its log https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000
                Function https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/author-handler
                CloudTrail event https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f
            "#]],
        );
        check(
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:author-handler",
            expect![[r#"
                Its log https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000
                Function https://cn-north-1.console.amazonaws.cn/lambda/home?region=cn-north-1#/functions/author-handler
                CloudTrail event https://cn-north-1.console.amazonaws.cn/cloudtrailv2/home?region=cn-north-1#/events/3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f
            "#]],
        );
        check(
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:author-handler",
            expect![[r#"
                Its log https://us-gov-west-1.console.amazonaws-us-gov.com/cloudwatch/home?region=us-gov-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000
                Function https://us-gov-west-1.console.amazonaws-us-gov.com/lambda/home?region=us-gov-west-1#/functions/author-handler
                CloudTrail event https://us-gov-west-1.console.amazonaws-us-gov.com/cloudtrailv2/home?region=us-gov-west-1#/events/3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f
            "#]],
        );
    }

    #[test]
    fn a_hostile_name_stays_in_its_place() {
        check(
            "arn:aws:lambda:eu-west-1:1:function:a/b?c#d&e|f>g <h>\"é",
            expect![[r#"
                Its log https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fa$252Fb$253Fc$2523d$2526e$257Cf$253Eg$2520$253Ch$253E$2522$25C3$25A9/log-events$3Fstart$3D1760461212000$26end$3D1760462560000
                Function https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/a%2Fb%3Fc%23d%26e%7Cf%3Eg%20%3Ch%3E%22%C3%A9
                CloudTrail event https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f
            "#]],
        );
    }

    #[test]
    fn none_rather_than_a_wrong_one() {
        for id in [
            "arn:aws:lambda:::function:f",
            "arn:aws:lambda:evil.example/:1:function:f",
            "arn:aws-iso:lambda:us-iso-east-1:1:function:f",
            "arn:aws:iam::1:user/alice",
            "f",
        ] {
            check(id, expect![""]);
        }
        for (name, why) in [("storm", "its ids may be of a log"), ("foreign bucket", "the event history has no data events")] {
            let labels: Vec<&str> = links(&sample(name)).iter().map(|l| l.label).collect();
            assert_eq!(labels, ["Its log", "Function"], "{why}");
        }
    }
}
