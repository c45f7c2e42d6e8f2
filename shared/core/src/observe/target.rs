//! What a call touched, generalised so that a bucket is one target and not a million.

use std::borrow::Cow;

use super::names::generalise;
use super::own;
use crate::decode::{RequestParameters, TrailRecord};
use crate::entity::{Arn, function_arn, function_name};
use crate::limits::TARGETS_PER_CALL_MAX;

/// A resource as the target of a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target<'a> {
    /// `bucket`, `table`, `function`, …
    pub kind: Cow<'a, str>,
    /// Its name, with ids and dates generalised where the service uses such names.
    pub name: Cow<'a, str>,
    /// Account of the owner; empty where the record doesn't say.
    pub account: Cow<'a, str>,
}

impl<'a> Target<'a> {
    fn new(kind: &'static str, name: &'a str, account: &'a str) -> Target<'a> {
        Target { kind: Cow::Borrowed(kind), name: Cow::Borrowed(name), account: Cow::Borrowed(account) }
    }

    /// `bucket statistics-raw`, and for another account's `bucket statistics-raw of 999999999999`: how it is written and
    /// compared.
    pub fn id(&self) -> String {
        let of = if self.account.is_empty() { "" } else { " of " };
        [&*self.kind, " ", &*self.name, of, &*self.account].concat()
    }

    /// The same, with the owner named only where that is another account.
    pub fn seen_from(self, account: &str) -> Target<'a> {
        let account = if self.account == account { Cow::Borrowed("") } else { self.account };
        Target { account, ..self }
    }

    /// A target of its own, that outlives the record.
    pub fn to_owned(&self) -> Target<'static> {
        Target { kind: own(&self.kind), name: own(&self.name), account: own(&self.account) }
    }
}

/// A resource named by ARN, in the words of [`Target`].
pub(super) fn from_arn(arn: &str) -> Option<Target<'_>> {
    let parsed = Arn::parse(arn)?;
    let account = parsed.account;
    let tail = |prefix: &str| parsed.resource.strip_prefix(prefix).map(|rest| rest.split('/').next().unwrap_or(rest));
    let target = match parsed.service {
        "s3" => Target::new("bucket", parsed.resource.split('/').next().unwrap_or_default(), account),
        "dynamodb" => Target::new("table", tail("table/")?, account),
        "lambda" => match function_arn(arn) {
            Some(_) => Target::new("function", function_name(arn), account),
            None => Target::new("lambda", parsed.resource, account),
        },
        "sqs" => Target::new("queue", parsed.resource, account),
        "sns" => Target::new("topic", parsed.resource.split(':').next().unwrap_or_default(), account),
        "secretsmanager" => Target::new("secret", without_suffix(parsed.resource.strip_prefix("secret:")?), account),
        "kms" => Target::new("key", parsed.last(), account),
        "states" => Target::new("state machine", parsed.last(), account),
        "ssm" => general("parameter", parsed.resource.strip_prefix("parameter")?, account),
        "iam" => Target::new(iam_kind(parsed.resource), parsed.last(), account),
        "logs" => general("log group", parsed.resource.strip_prefix("log-group:")?.split(':').next()?, account),
        service => Target { kind: Cow::Borrowed(service), ..general("", parsed.resource, account) },
    };
    (!target.name.is_empty()).then_some(target)
}

fn iam_kind(resource: &str) -> &'static str {
    match resource.split('/').next() {
        Some("role") => "role",
        Some("user") => "user",
        Some("policy") => "policy",
        Some("group") => "group",
        Some("instance-profile") => "instance profile",
        _ => "iam",
    }
}

fn general<'a>(kind: &'static str, name: &'a str, account: &'a str) -> Target<'a> {
    Target { kind: Cow::Borrowed(kind), name: generalise(name), account: Cow::Borrowed(account) }
}

/// A secret's ARN ends in a hyphen and six random characters (Secrets Manager: "What's in a secret").
fn without_suffix(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((head, tail)) if tail.len() == 6 && tail.bytes().all(|c| c.is_ascii_alphanumeric()) => head,
        _ => name,
    }
}

/// A name that may be given as an ARN.
fn by_name<'a>(kind: &'static str, name: &'a str, account: &'a str) -> Option<Target<'a>> {
    if name.starts_with("arn:") { from_arn(name) } else { (!name.is_empty()).then(|| general(kind, name, account)) }
}

fn exact<'a>(kind: &'static str, name: &'a str, account: &'a str) -> Option<Target<'a>> {
    if name.starts_with("arn:") { from_arn(name) } else { (!name.is_empty()).then(|| Target::new(kind, name, account)) }
}

/// Calls `each` with every target of a call, at most [`TARGETS_PER_CALL_MAX`]; with none where it names nothing. Gives how
/// many were left out. Of what names several resources beside these services, the first is meant.
pub(super) fn targets<'a>(record: &'a TrailRecord<'a>, service: &str, each: &mut dyn FnMut(Target<'a>)) -> u64 {
    let p = &record.request_parameters;
    let account = resource_account(record);
    let one = match service {
        "s3" => bucket(record),
        "dynamodb" => return tables(record, account, each),
        "lambda" => function(record),
        "ssm" if !p.names.is_empty() => {
            p.names.iter().take(TARGETS_PER_CALL_MAX).for_each(|n| emit(by_name("parameter", n, account), each));
            return p.names.cut + p.names.len().saturating_sub(TARGETS_PER_CALL_MAX) as u64;
        }
        _ => named(p, service, account).or_else(|| first_resource(record)).or_else(|| any_name(p, account)),
    };
    emit(one, each);
    0
}

fn emit<'a>(target: Option<Target<'a>>, each: &mut dyn FnMut(Target<'a>)) {
    if let Some(target) = target {
        each(target);
    }
}

fn resource_account<'a>(record: &'a TrailRecord<'a>) -> &'a str {
    record.resources.iter().find_map(|r| r.account_id.some()).unwrap_or_default()
}

fn bucket<'a>(record: &'a TrailRecord<'a>) -> Option<Target<'a>> {
    let name = record.request_parameters.bucket_name.some();
    let owner = record.resources.iter().find(|r| &*r.kind == "AWS::S3::Bucket");
    match (name, owner) {
        (Some(name), owner) => exact("bucket", name, owner.map_or("", |r| &r.account_id)),
        (None, Some(owner)) => from_arn(&owner.arn).map(|t| Target { account: Cow::Borrowed(&owner.account_id), ..t }),
        (None, None) => first_resource(record),
    }
}

fn tables<'a>(record: &'a TrailRecord<'a>, account: &'a str, each: &mut dyn FnMut(Target<'a>)) -> u64 {
    let p = &record.request_parameters;
    if let Some(table) = p.table_name.some() {
        emit(exact("table", table, account), each);
        return 0;
    }
    let mut names: Vec<&str> = p.request_items.iter().filter_map(|t| t.some()).collect();
    let arns = record.resources.iter().filter_map(|r| r.arn.some());
    names.extend(arns.filter(|a| !a.contains("/stream/")));
    let mut all: Vec<Target<'a>> = names.into_iter().filter_map(|n| exact("table", n, account)).collect();
    all.sort();
    all.dedup_by(|a, b| a.name == b.name);
    // The resources of a call are the tables of its parameters once more.
    let cut = p.request_items.cut.max(record.resources.cut) + all.len().saturating_sub(TARGETS_PER_CALL_MAX) as u64;
    all.into_iter().take(TARGETS_PER_CALL_MAX).for_each(each);
    cut
}

/// The function of a Lambda call: from `resources` before the parameters, which may name an alias or nothing.
pub(super) fn function<'a>(record: &'a TrailRecord<'a>) -> Option<Target<'a>> {
    let p = &record.request_parameters;
    let of_arn = |arn: &'a str| function_arn(arn).and_then(|_| from_arn(arn));
    record
        .resources
        .iter()
        .find_map(|r| of_arn(&r.arn))
        .or_else(|| of_arn(&record.response_elements.function_arn))
        .or_else(|| p.function_name.some().map(|n| Target::new("function", function_name(n), &record.recipient_account_id)))
        .or_else(|| p.layer_name.some().map(|n| Target::new("layer", n.rsplit(':').next().unwrap_or(n), "")))
}

fn named<'a>(p: &'a RequestParameters<'a>, service: &str, account: &'a str) -> Option<Target<'a>> {
    match service {
        "sqs" => queue(&p.queue_url, account),
        "sns" => exact("topic", p.topic_arn.some().or(p.target_arn.some())?, account),
        "secretsmanager" => exact("secret", p.secret_id.some().or(p.name.some())?, account),
        "ssm" => by_name("parameter", p.name.some().or(p.path.some())?, account),
        "kms" => None,
        "sts" => exact("role", p.role_arn.some()?, account),
        "states" => exact("state machine", p.state_machine_arn.some()?, account),
        "events" => exact("rule", p.rule.some().or(p.name.some()).unwrap_or_default(), account)
            .or_else(|| exact("event bus", &p.event_bus_name, account)),
        "logs" => by_name("log group", p.log_group_name.some()?, account),
        "cloudformation" => exact("stack", p.stack_name.some()?, account),
        "iam" => iam(p, account),
        _ => None,
    }
}

/// `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`.
fn queue<'a>(url: &'a str, account: &'a str) -> Option<Target<'a>> {
    let mut parts = url.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let owner = parts.next().filter(|o| o.len() == 12 && o.bytes().all(|c| c.is_ascii_digit()));
    by_name("queue", name, owner.unwrap_or(account))
}

fn iam<'a>(p: &'a RequestParameters<'a>, account: &'a str) -> Option<Target<'a>> {
    let role = p.role_name.some().map(|n| Target::new("role", n, account));
    let user = || p.user_name.some().map(|n| Target::new("user", n, account));
    role.or_else(user).or_else(|| from_arn(p.policy_arn.some()?)).or_else(|| exact("policy", p.policy_name.some()?, account))
}

fn first_resource<'a>(record: &'a TrailRecord<'a>) -> Option<Target<'a>> {
    record.resources.iter().find_map(|r| from_arn(&r.arn).or_else(|| from_arn(&r.arn_prefix)))
}

fn any_name<'a>(p: &'a RequestParameters<'a>, account: &'a str) -> Option<Target<'a>> {
    exact("key", p.key_id.rsplit('/').next().unwrap_or_default(), account)
        .or_else(|| by_name("role", &p.role_name, account))
        .or_else(|| by_name("resource", &p.name, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_accounts_target_of_the_same_name_is_another_target() {
        let of = |arn: &'static str| from_arn(arn).unwrap().seen_from("111122223333").id();
        assert_eq!(of("arn:aws:dynamodb:eu-west-1:111122223333:table/books"), "table books");
        assert_eq!(of("arn:aws:dynamodb:eu-west-1:999988887777:table/books"), "table books of 999988887777");
        assert_eq!(of("arn:aws:s3:::books/key/1"), "bucket books");
        let owner = |url: &'static str| queue(url, "").unwrap().seen_from("111122223333").id();
        assert_eq!(owner("https://sqs.eu-west-1.amazonaws.com/111122223333/orders"), "queue orders");
        assert_eq!(owner("https://sqs.eu-west-1.amazonaws.com/999988887777/orders"), "queue orders of 999988887777");
    }
}
