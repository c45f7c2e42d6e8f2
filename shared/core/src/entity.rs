//! Whom a baseline is about.
//!
//! An entity is a function (its ARN without a version), another principal of the trail (a user, a role that no function
//! uses, a person behind single sign-on, root), the source of an event that calls functions (a rule, a bucket, an API),
//! or an AWS service that acts for itself. Parts of a function's ARN that a feed doesn't name stay empty:
//! `arn:aws:lambda:::function:NAME`. There is deliberately no map from roles to functions here: see `directory`.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of entity it is; decides which detectors look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntityKind {
    /// A Lambda function: flows and rates.
    Function,
    /// A user, a role that no function uses, root: flows and rates.
    Principal,
    /// What calls functions by event: a rule, a bucket, an API. Flows only.
    Source,
    /// An AWS service acting for itself: background, counted together.
    Service,
}

/// An entity: its kind and its canonical id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// What kind.
    pub kind: EntityKind,
    /// An ARN where there is one.
    pub id: String,
}

impl Entity {
    /// A function by the parts of its ARN; unknown ones are empty.
    pub fn function(region: &str, account: &str, name: &str) -> Entity {
        let partition = partition(region);
        Entity { kind: EntityKind::Function, id: format!("arn:{partition}:lambda:{region}:{account}:function:{name}") }
    }

    /// The account in its id, if it names one.
    pub fn account(&self) -> Option<&str> {
        Arn::parse(&self.id).map(|arn| arn.account).filter(|a| !a.is_empty())
    }

    /// The short name that a person would use.
    pub fn name(&self) -> &str {
        match Arn::parse(&self.id) {
            Some(arn) if self.kind == EntityKind::Function => arn.resource.strip_prefix("function:").unwrap_or(arn.resource),
            Some(arn) if self.kind == EntityKind::Principal => short_principal(arn.resource),
            Some(arn) if arn.resource.is_empty() => &self.id,
            Some(arn) => arn.resource,
            None => &self.id,
        }
    }
}

/// `user/path/alice` → `alice`; `role/R` → `R`; a person's session keeps role and name.
fn short_principal(resource: &str) -> &str {
    match resource.split_once('/') {
        Some(("user" | "role", rest)) => rest.rsplit('/').next().unwrap_or(rest),
        Some(("assumed-role", rest)) => rest.rsplit('/').next().unwrap_or(rest),
        _ => resource,
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// The partition that a Region belongs to.
pub fn partition(region: &str) -> &'static str {
    match region {
        r if r.starts_with("us-gov-") => "aws-us-gov",
        r if r.starts_with("cn-") => "aws-cn",
        _ => "aws",
    }
}

/// The ARN of a role without its path: `iam` calls and sessions name it so.
pub fn pathless_role(arn: &str) -> Cow<'_, str> {
    match arn.split_once(":role/").and_then(|(head, rest)| Some((head, rest.rsplit_once('/')?.1))) {
        Some((head, name)) => Cow::Owned(format!("{head}:role/{name}")),
        None => Cow::Borrowed(arn),
    }
}

/// The six parts of an ARN, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: &'a str,
    /// `lambda`.
    pub service: &'a str,
    /// May be empty.
    pub region: &'a str,
    /// May be empty.
    pub account: &'a str,
    /// Everything after the fifth colon: `function:F`, `role/R`, `bucket/key`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads `arn:partition:service:region:account:resource`.
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let (partition, rest) = cut(text.strip_prefix("arn:")?)?;
        let (service, rest) = cut(rest)?;
        let (region, rest) = cut(rest)?;
        let (account, resource) = cut(rest)?;
        Some(Arn { partition, service, region, account, resource })
    }

    /// The last part of the resource: after the last `/` or `:`.
    pub fn last(&self) -> &'a str {
        let before = memchr::memrchr2(b'/', b':', self.resource.as_bytes());
        before.and_then(|at| self.resource.get(at + 1..)).unwrap_or(self.resource)
    }
}

/// What stands before the first colon, and after it. Every record has some ten ARNs, so this is no general search.
fn cut(text: &str) -> Option<(&str, &str)> {
    let at = memchr::memchr(b':', text.as_bytes())?;
    text.get(..at).zip(text.get(at + 1..))
}

/// The function's ARN without version, alias or durable execution, and its version or alias.
pub fn function_arn(arn: &str) -> Option<(&str, Option<&str>)> {
    let parsed = Arn::parse(arn)?;
    let rest = (parsed.service == "lambda").then(|| parsed.resource.strip_prefix("function:")).flatten()?;
    let name_len = rest.find([':', '/']).unwrap_or(rest.len());
    if name_len == 0 {
        return None;
    }
    let qualifier = rest[name_len..].strip_prefix(':').map(|q| q.split('/').next().unwrap_or(q)).filter(|q| !q.is_empty());
    Some((&arn[..arn.len() - rest.len() + name_len], qualifier))
}

/// Name of a function given by name, by partial ARN (`A:function:F`) or by ARN, perhaps with a qualifier.
pub fn function_name(name_or_arn: &str) -> &str {
    let after = name_or_arn.rsplit_once("function:").map_or(name_or_arn, |(_, rest)| rest);
    after.split([':', '/']).next().unwrap_or(after)
}

/// Role and session of `arn:aws:sts::A:assumed-role/R/SESSION`.
pub fn assumed_role(arn: &str) -> Option<(Cow<'_, str>, &str)> {
    let parsed = Arn::parse(arn)?;
    let (role, session) = parsed.resource.strip_prefix("assumed-role/")?.rsplit_once('/')?;
    Some((Cow::Owned(format!("arn:{}:iam::{}:role/{role}", parsed.partition, parsed.account)), session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_its_arn_without_version() {
        for (arn, want) in [
            ("arn:aws:lambda:eu-west-1:1:function:f", Some(("arn:aws:lambda:eu-west-1:1:function:f", None))),
            ("arn:aws:lambda:eu-west-1:1:function:f:$LATEST", Some(("arn:aws:lambda:eu-west-1:1:function:f", Some("$LATEST")))),
            (
                "arn:aws-cn:lambda:cn-north-1:1:function:f:7/durable-execution/x/y",
                Some(("arn:aws-cn:lambda:cn-north-1:1:function:f", Some("7"))),
            ),
            ("arn:aws:s3:::bucket", None),
            ("f", None),
        ] {
            assert_eq!(function_arn(arn), want, "{arn}");
        }
        assert_eq!(function_name("123:function:f:alias"), "f");
        assert_eq!(function_name("f"), "f");
    }

    #[test]
    fn roles_are_known_without_their_path() {
        assert_eq!(pathless_role("arn:aws:iam::1:role/service-role/sub/r"), "arn:aws:iam::1:role/r");
        assert_eq!(pathless_role("arn:aws:iam::1:role/r"), "arn:aws:iam::1:role/r");
        assert_eq!(Entity::function("cn-north-1", "1", "f").id, "arn:aws-cn:lambda:cn-north-1:1:function:f");
    }

    #[test]
    fn names_are_short() {
        let entity = |kind, id: &str| Entity { kind, id: id.to_owned() };
        assert_eq!(entity(EntityKind::Principal, "arn:aws:iam::1:user/team/alice").name(), "alice");
        assert_eq!(entity(EntityKind::Function, "arn:aws:lambda:::function:f").name(), "f");
        assert_eq!(entity(EntityKind::Principal, "arn:aws:iam::1:root").name(), "root");
        assert_eq!(entity(EntityKind::Service, "s3.amazonaws.com").name(), "s3.amazonaws.com");
    }
}
