//! What a record says about an entity, in our terms.
//!
//! An [`Observation`] is a [`Subject`] (who, and what kind of thing happened), an instant, the identity of the AWS event
//! it came from, and at most two log-spaced values. Everything that repeats stands in the subject, so that a batch can
//! hold it once. One record may say several things (a deployment is a flow of the deployer and a change of the function),
//! each with an identity of its own; a record that says nothing leaves [`What::Seen`], so that duplicates stay countable.
//!
//! There is deliberately no memory here: a session that may turn out to be a function stays [`Actor::Session`], and
//! `directory` resolves it.

mod logs;
mod names;
mod target;
mod trail;
mod verb;

use std::borrow::Cow;

pub use logs::{Assumed, observe_log};
pub use names::generalise;
pub(crate) use names::tokens;
pub use target::Target;
pub use trail::{fold_name, is_poller, observe_trail};
pub use verb::{Verb, verb};

use crate::time::Timestamp;

/// In which class of feed, and so with which lateness, an observation is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// CloudWatch Logs of functions.
    Logs,
    /// CloudTrail, whatever brought it.
    Trail,
}

/// Who acted, as far as one record can tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor<'a> {
    /// ARN of a function, without version.
    Function(Cow<'a, str>),
    /// A function as its log names it: account and Region may be empty.
    Named {
        /// Account id or empty.
        account: Cow<'a, str>,
        /// Region or empty.
        region: Cow<'a, str>,
        /// Name of the function.
        name: Cow<'a, str>,
        /// The name comes from a path, not from the content.
        assumed: bool,
    },
    /// A session of a role: a function's, if `directory` knows it so.
    Session {
        /// ARN of the role.
        role: Cow<'a, str>,
        /// Name of the session.
        session: Cow<'a, str>,
    },
    /// ARN or other canonical id of a user, root, an account.
    Principal(Cow<'a, str>),
    /// ARN (or service name) of what calls functions by event.
    Source(Cow<'a, str>),
    /// An AWS service for itself.
    Service(Cow<'a, str>),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// IAM or a policy refused it.
    Denied,
    /// Too many calls.
    Throttled,
    /// Any other error.
    Failed,
}

/// What was changed about a function or a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// The function was created.
    Created,
    /// The function's code was updated.
    Code,
    /// Its configuration: handler, environment, memory, role.
    Configuration,
    /// Who may invoke it.
    Permission,
    /// A layer was published or removed.
    Layer,
    /// Its URL.
    Url,
    /// Its concurrency.
    Concurrency,
    /// A version or alias.
    Version,
    /// An event source mapping.
    EventSource,
    /// It was deleted.
    Deleted,
    /// A role or who may assume it.
    Role,
    /// A policy of a role.
    Policy,
    /// A resource (bucket, table, queue, …) was created.
    Resource,
}

impl ChangeKind {
    /// Changes that replace what runs: behaviour may change with them.
    pub fn is_deployment(self) -> bool {
        matches!(self, ChangeKind::Created | ChangeKind::Code | ChangeKind::Configuration)
    }

    /// What a person would say was changed.
    pub fn words(self) -> &'static str {
        match self {
            ChangeKind::Created => "created",
            ChangeKind::Code => "code updated",
            ChangeKind::Configuration => "configuration changed",
            ChangeKind::Permission => "invoke permission changed",
            ChangeKind::Layer => "layer changed",
            ChangeKind::Url => "function URL changed",
            ChangeKind::Concurrency => "concurrency changed",
            ChangeKind::Version => "version or alias changed",
            ChangeKind::EventSource => "event source changed",
            ChangeKind::Deleted => "deleted",
            ChangeKind::Role => "role changed",
            ChangeKind::Policy => "policy changed",
            ChangeKind::Resource => "resource created",
        }
    }
}

/// What kind of thing happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What<'a> {
    /// A record that says nothing by itself: a START or END of a log, a summary of the trail, a function that a change names.
    Seen,
    /// A log shows that an invocation is over: values are duration and billed duration, in tenths of milliseconds.
    Invocation {
        /// Megabytes; 0 where unknown.
        memory_mb: u32,
    },
    /// The trail shows that a function ran.
    Run,
    /// An invocation failed; its identity is the invocation's, so several witnesses count once.
    Failure,
    /// A call of the function was refused for want of concurrency.
    Throttle,
    /// A line of the application.
    Line,
    /// The feed says that it lost some.
    Dropped,
    /// The actor did this to that: the value is bytes.
    Flow {
        /// `s3`.
        service: Cow<'a, str>,
        /// `GetObject`.
        action: Cow<'a, str>,
        /// To what; nothing for account-wide listings.
        target: Option<Target<'a>>,
        /// How it ended.
        outcome: Outcome,
        /// A trail has it only since such events were switched on: a data event, or one of network activity.
        data: bool,
    },
    /// The actor changed a function, role or resource.
    Change {
        /// What.
        kind: ChangeKind,
        /// Of what.
        target: Target<'a>,
        /// The role that a function got or has; the role whose policy changed.
        role: Cow<'a, str>,
        /// Stack tag of what was created.
        stack: Cow<'a, str>,
        /// Targets that a new permission names.
        grants: Vec<Target<'a>>,
    },
    /// The actor, a function, works with this role; Lambda itself, for the pollers of event sources.
    Binding {
        /// ARN of the role.
        role: Cow<'a, str>,
    },
}

/// Who, and what kind of thing happened: all that repeats between observations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject<'a> {
    /// The class of the record.
    pub class: Class,
    /// The account that the record belongs to; empty where unknown.
    pub account: Cow<'a, str>,
    /// Who acted.
    pub actor: Actor<'a>,
    /// What happened.
    pub what: What<'a>,
}

impl Subject<'_> {
    /// A subject of its own, that outlives the record.
    pub fn to_owned(&self) -> Subject<'static> {
        let actor = match &self.actor {
            Actor::Function(arn) => Actor::Function(own(arn)),
            Actor::Named { account, region, name, assumed } => {
                Actor::Named { account: own(account), region: own(region), name: own(name), assumed: *assumed }
            }
            Actor::Session { role, session } => Actor::Session { role: own(role), session: own(session) },
            Actor::Principal(id) => Actor::Principal(own(id)),
            Actor::Source(id) => Actor::Source(own(id)),
            Actor::Service(id) => Actor::Service(own(id)),
        };
        let what = match &self.what {
            What::Seen => What::Seen,
            What::Invocation { memory_mb } => What::Invocation { memory_mb: *memory_mb },
            What::Run => What::Run,
            What::Failure => What::Failure,
            What::Throttle => What::Throttle,
            What::Line => What::Line,
            What::Dropped => What::Dropped,
            What::Flow { service, action, target, outcome, data } => {
                let target = target.as_ref().map(Target::to_owned);
                What::Flow { service: own(service), action: own(action), target, outcome: *outcome, data: *data }
            }
            What::Change { kind, target, role, stack, grants } => What::Change {
                kind: *kind,
                target: target.to_owned(),
                role: own(role),
                stack: own(stack),
                grants: grants.iter().map(Target::to_owned).collect(),
            },
            What::Binding { role } => What::Binding { role: own(role) },
        };
        Subject { class: self.class, account: own(&self.account), actor, what }
    }
}

fn own(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

/// One thing that one record says.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// Who and what.
    pub subject: Subject<'a>,
    /// When; nothing where the record has no usable time.
    pub time: Option<Timestamp>,
    /// Identity: what is hashed is these bytes, with the kind of observation; see [`Identity`].
    pub identity: Identity<'a>,
    /// The id that a person can look up: `eventID` or request id; may be empty.
    pub event_id: &'a str,
    /// Up to two values; which, says the subject. 0 where absent.
    pub values: [f64; 2],
}

/// The identity of the AWS event behind an observation: equal identities are one event.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// An id that AWS gave, or the whole text.
    pub id: &'a [u8],
    /// What tells apart observations of the same id: their number, or the instant of a log line.
    pub ordinal: u64,
    /// Where the id is only unique within one function: its name.
    pub scope: &'a [u8],
    /// Each record has one observation that stands for the record itself, by which its duplicates are counted.
    pub primary: bool,
}
