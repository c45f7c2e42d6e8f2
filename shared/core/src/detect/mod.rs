//! The detectors: each looks at what a window says of an entity, against what is normal for it.
//!
//! One module a detector, and none knows of another: what they share is [`Finding`], and `account` feeds them and weighs what
//! they say. A detector that leaned on another's state could not be read or measured alone. There is deliberately no trait
//! over them, because their inputs differ.

pub mod new_flow;
pub mod rate;
pub mod silence;
pub mod together;

use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::facts::Span;
use crate::time::{Timestamp, WindowId};

/// How loudly a finding is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Rarer than usual, but over the budget of alerts: the digest's.
    Rare,
    /// Within the budget of alerts.
    Alert,
}

/// One detector's statement about one entity, with the numbers that back it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// About whom.
    pub entity: Entity,
    /// What it is about, the same for the same thing in every window: `flow s3:GetObject bucket statistics-raw`,
    /// `rate volume up`.
    pub subject: String,
    /// The window in which it began.
    pub window: WindowId,
    /// The window whose numbers it has: of a finding that was said again, that of the loudest.
    pub judged: WindowId,
    /// How loudly.
    pub level: Level,
    /// By chance about once in so many years, in this account.
    pub years: f64,
    /// How long the baseline had been learning, in days.
    pub learnt_days: f64,
    /// The events behind it; of silence there are none.
    pub span: Option<Span>,
    /// How many events.
    pub count: u64,
    /// Expected and observed.
    pub detail: Detail,
    /// What was changed about the entity in the day before, the latest first.
    pub before: Vec<String>,
    /// Calls an hour up to the window, the oldest first.
    pub hours: Vec<f32>,
}

impl Finding {
    /// It is a flow that was told before, and nobody answered.
    pub fn again(&self) -> Option<Again> {
        if let Detail::NewFlow(flow) = &self.detail { flow.again } else { None }
    }

    /// The score of its detector, in nats: comparable within one detector.
    pub fn score(&self) -> f64 {
        match &self.detail {
            Detail::NewFlow(flow) => flow.score,
            Detail::Rate(rate) => rate.score,
            Detail::Quiet { .. } => 0.0,
        }
    }
}

/// What a finding says beside its rarity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Detail {
    /// The entity did this to that for the first time.
    NewFlow(FlowDetail),
    /// A count or value is implausible for this hour of this week.
    Rate(RateDetail),
    /// So many functions of the account went quiet together.
    Quiet {
        /// How many.
        functions: u64,
    },
}

/// A flow that was never seen before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowDetail {
    /// `s3`.
    pub service: String,
    /// `GetObject`.
    pub action: String,
    /// `bucket statistics-raw`.
    pub target: String,
    /// IAM refused it.
    pub denied: bool,
    /// The target belongs to another account.
    pub outside: bool,
    /// How near the target is to the entity.
    pub relation: String,
    /// Up to three targets that the entity is known to use, of how many.
    pub usual: (Vec<String>, u64),
    /// Up to three others known to use the target, with the first day of each since the baseline began, of how many.
    pub users: (Vec<(String, f64)>, u64),
    /// The score of the reference, in nats.
    pub score: f64,
    /// It was told before, and nobody answered.
    #[serde(default)]
    pub again: Option<Again>,
}

/// An alerted flow that goes on without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// When it was told first.
    pub first: Timestamp,
    /// How often it was told, with this time.
    pub times: u32,
    /// This is the last time: it counts as usual from now on.
    pub last: bool,
}

/// A rate out of its band.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateDetail {
    /// `volume up`, `errors`, …
    pub family: String,
    /// Target of the flow, where it is about one.
    pub target: Option<String>,
    /// Minutes that were looked at.
    pub minutes: u32,
    /// What came: calls, milliseconds, dollars, bytes, as the family says.
    pub observed: f64,
    /// What was expected, in the same unit.
    pub expected: f64,
    /// Calls beyond what was expected, since it began: of a volume that is up.
    #[serde(default)]
    pub extra: Option<f64>,
    /// The calibrated score, in nats.
    pub score: f64,
}
