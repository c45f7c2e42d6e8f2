//! Who is who: which role is a function's, and which function a log's name means.
//!
//! A session of a role belongs to a function if the session is named after it (Lambda names them so) or if the role is one
//! function's alone; a session with a poller's name is Lambda's in a role that Lambda takes, and there alone; else it is the
//! role's, or the person's behind single sign-on. Bindings are learnt in order of time, as
//! windows are judged. The names of functions are learnt when they are read: a log names no Region, so where the trail
//! shows just one function of that name, the log is that function's. Nothing is forgotten, up to the bounds.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};

use crate::entity::{Arn, Entity, EntityKind, function_name};
use crate::limits::{DIRECTORY_FUNCTIONS_MAX, FUNCTIONS_PER_ROLE_MAX};
use crate::observe::{Actor, Subject, Target, What, is_poller};

/// What acts in the sessions of pollers.
const LAMBDA: &str = "lambda.amazonaws.com";

/// Roles, sessions and functions; see the module.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Directory {
    /// ARN of a role → names of the functions that work with it, each with its ARN.
    #[n(0)]
    roles: BTreeMap<String, BTreeMap<String, String>>,
    /// Name of a function → ARNs that the trail shows.
    #[n(1)]
    functions: BTreeMap<String, BTreeSet<String>>,
    /// ARNs of roles that Lambda takes for the pollers of event sources.
    #[n(2)]
    #[cbor(default)]
    polled: BTreeSet<String>,
    /// What was left out at a bound, each time it came.
    #[n(3)]
    #[cbor(default)]
    cut: u64,
}

impl Directory {
    /// Learns the functions that an observation names in full. Order makes no difference.
    pub fn learn_function(&mut self, subject: &Subject<'_>) {
        match &subject.actor {
            Actor::Function(arn) => self.add_function(arn),
            Actor::Named { account, region, name, assumed: false } if !account.is_empty() && !region.is_empty() => {
                self.add_function(&Entity::function(region, account, name).id);
            }
            _ => {}
        }
    }

    fn add_function(&mut self, arn: &str) {
        let name = function_name(arn);
        if self.functions.len() >= DIRECTORY_FUNCTIONS_MAX && !self.functions.contains_key(name) {
            self.cut = self.cut.saturating_add(1);
            return;
        }
        let arns = self.functions.entry(name.to_owned()).or_default();
        if arns.contains(arn) {
            return;
        }
        if arns.len() < FUNCTIONS_PER_ROLE_MAX {
            arns.insert(arn.to_owned());
        } else {
            self.cut = self.cut.saturating_add(1);
        }
    }

    /// Learns which function works with which role.
    pub fn learn_binding(&mut self, subject: &Subject<'_>) {
        let What::Binding { role } = &subject.what else { return };
        if matches!(subject.actor, Actor::Service(_)) {
            if self.polled.len() < DIRECTORY_FUNCTIONS_MAX || self.polled.contains(&**role) {
                self.polled.insert(role.clone().into_owned());
            } else {
                self.cut = self.cut.saturating_add(1);
            }
            return;
        }
        let function = self.entity(&subject.actor).id;
        let full = self.roles.len() >= DIRECTORY_FUNCTIONS_MAX;
        if full && !self.roles.contains_key(&**role) {
            self.cut = self.cut.saturating_add(1);
            return;
        }
        let functions = self.roles.entry(role.clone().into_owned()).or_default();
        if functions.len() < FUNCTIONS_PER_ROLE_MAX || functions.contains_key(function_name(&function)) {
            functions.insert(function_name(&function).to_owned(), function);
        } else {
            self.cut = self.cut.saturating_add(1);
        }
    }

    /// What was left out at a bound, each time it came.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Functions that work with a role.
    pub fn functions_of_role<'a>(&'a self, role: &str) -> impl Iterator<Item = &'a str> {
        self.roles.get(role).into_iter().flatten().map(|(_, arn)| arn.as_str())
    }

    /// Who an actor is.
    pub fn entity(&self, actor: &Actor<'_>) -> Entity {
        let of = |kind, id: &str| Entity { kind, id: id.to_owned() };
        match actor {
            Actor::Function(arn) => of(EntityKind::Function, arn),
            Actor::Named { account, region, name, .. } => self.named(account, region, name),
            Actor::Session { role, session } => self.session(role, session),
            Actor::Principal(id) => of(EntityKind::Principal, id),
            Actor::Source(id) => of(EntityKind::Source, id),
            Actor::Service(id) => of(EntityKind::Service, id),
        }
    }

    fn named(&self, account: &str, region: &str, name: &str) -> Entity {
        if !account.is_empty() && !region.is_empty() {
            return Entity::function(region, account, name);
        }
        let fits = |arn: &&String| {
            Arn::parse(arn).is_some_and(|a| (account.is_empty() || a.account == account) && (region.is_empty() || a.region == region))
        };
        let mut fitting = self.functions.get(name).into_iter().flatten().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Entity { kind: EntityKind::Function, id: one.clone() },
            _ => Entity::function(region, account, name),
        }
    }

    fn session(&self, role: &str, session: &str) -> Entity {
        let functions = self.roles.get(role);
        if is_poller(session) && (functions.is_some() || self.polled.contains(role)) {
            return Entity { kind: EntityKind::Service, id: LAMBDA.to_owned() };
        }
        let named = functions.and_then(|f| f.get(session));
        let only = functions.filter(|f| f.len() == 1).and_then(|f| f.values().next());
        if let Some(function) = named.or(only) {
            return Entity { kind: EntityKind::Function, id: function.clone() };
        }
        let parsed = Arn::parse(role);
        let name = parsed.map_or(role, |a| a.last());
        let id = match parsed {
            // Behind single sign-on the session is the person.
            Some(arn) if name.starts_with("AWSReservedSSO_") => {
                format!("arn:{}:sts::{}:assumed-role/{name}/{session}", arn.partition, arn.account)
            }
            _ => role.to_owned(),
        };
        Entity { kind: EntityKind::Principal, id }
    }

    /// The function that a target is, if it is one.
    pub fn function_of_target(&self, target: &Target<'_>, account: &str) -> Option<Entity> {
        let account = if target.account.is_empty() { account } else { &target.account };
        (target.kind == "function").then(|| self.named(account, "", &target.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Class;

    fn bind(directory: &mut Directory, arn: &'static str, role: &'static str) {
        let subject = Subject {
            class: Class::Trail,
            account: "1".into(),
            actor: Actor::Function(arn.into()),
            what: What::Binding { role: role.into() },
        };
        directory.learn_function(&subject);
        directory.learn_binding(&subject);
    }

    #[test]
    fn sessions_belong_to_functions_roles_or_people() {
        let mut d = Directory::default();
        let role = "arn:aws:iam::1:role/shared";
        let own = "arn:aws:iam::1:role/own";
        bind(&mut d, "arn:aws:lambda:r:1:function:a", role);
        bind(&mut d, "arn:aws:lambda:r:1:function:b", role);
        bind(&mut d, "arn:aws:lambda:r:1:function:c", own);
        let of = |role: &'static str, session: &'static str| d.entity(&Actor::Session { role: role.into(), session: session.into() }).id;
        assert_eq!(of(role, "b"), "arn:aws:lambda:r:1:function:b");
        assert_eq!(of(role, "someone"), role);
        assert_eq!(of(own, "someone"), "arn:aws:lambda:r:1:function:c");
        assert_eq!(of("arn:aws:iam::1:role/AWSReservedSSO_Admin_1", "eve@x"), "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_1/eve@x");
    }

    #[test]
    fn a_pollers_name_is_lambdas_only_where_lambda_takes_the_role() {
        let mut d = Directory::default();
        let (polled, other) = ("arn:aws:iam::1:role/polled", "arn:aws:iam::1:role/admin");
        let by_lambda = Subject {
            class: Class::Trail,
            account: "1".into(),
            actor: Actor::Service("lambda.amazonaws.com".into()),
            what: What::Binding { role: polled.into() },
        };
        d.learn_binding(&by_lambda);
        bind(&mut d, "arn:aws:lambda:r:1:function:f", "arn:aws:iam::1:role/f");
        let of = |role: &'static str| d.entity(&Actor::Session { role: role.into(), session: "awslambda_1_20250901120000123".into() });
        assert_eq!(of(polled).kind, EntityKind::Service);
        assert_eq!(of("arn:aws:iam::1:role/f").kind, EntityKind::Service);
        assert_eq!((of(other).kind, of(other).id.as_str()), (EntityKind::Principal, other));
    }

    #[test]
    fn what_is_cut_is_counted() {
        let mut d = Directory::default();
        let arn = |n: usize| format!("arn:aws:lambda:r{n}:1:function:f");
        for n in 0..FUNCTIONS_PER_ROLE_MAX + 2 {
            d.add_function(&arn(n));
            d.add_function(&arn(n));
        }
        assert_eq!(d.cut(), 4, "each time that it came");
        d.add_function(&arn(0));
        assert_eq!(d.cut(), 4, "what is known is not cut");
    }

    #[test]
    fn a_log_is_the_only_function_of_its_name() {
        let mut d = Directory::default();
        let named = |d: &Directory, account: &'static str| {
            d.entity(&Actor::Named { account: account.into(), region: "".into(), name: "f".into(), assumed: false }).id
        };
        assert_eq!(named(&d, "1"), "arn:aws:lambda::1:function:f");
        bind(&mut d, "arn:aws:lambda:eu:1:function:f", "x");
        assert_eq!(named(&d, "1"), "arn:aws:lambda:eu:1:function:f");
        assert_eq!(named(&d, ""), "arn:aws:lambda:eu:1:function:f");
        assert_eq!(named(&d, "2"), "arn:aws:lambda::2:function:f");
        bind(&mut d, "arn:aws:lambda:us:1:function:f", "x");
        assert_eq!(named(&d, "1"), "arn:aws:lambda::1:function:f");
    }
}
