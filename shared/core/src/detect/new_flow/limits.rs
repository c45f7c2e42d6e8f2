//! The bounds of what an account remembers of flows. Past a bound nothing grows and [`Overflow`](super::Overflow) counts
//! what was left out; what is left out of learning is scored again when it is seen again, so nothing goes unseen.

/// Actors of an account and kind: as many as have a baseline.
pub(super) const ACTORS_MAX: usize = crate::limits::ENTITIES_MAX;
/// Targets of an account, inventory and flows together: ten an actor at the most actors.
pub(super) const TARGETS_MAX: usize = 200_000;
/// Targets of one actor. A function whose targets are without end (names from users) has no normal set anyway.
pub(super) const TARGETS_PER_ACTOR_MAX: usize = 10_000;
/// Groups of targets that one actor has touched; a group is a stack, or a word that names share.
pub(super) const TOUCHED_PER_ACTOR_MAX: usize = 1_000;
/// Groups of an account: each actor may be one of its own.
pub(super) const GROUPS_MAX: usize = 50_000;
/// Groups that use one target. From three on a target is common property; more than this adds nothing.
pub(super) const GROUPS_PER_TARGET_MAX: usize = 64;
/// Different words in the names of an account.
pub(super) const TOKENS_MAX: usize = 200_000;
/// Roles with grants: one a function is the good practice.
pub(super) const ROLES_MAX: usize = 20_000;
/// Recent grants a role; the oldest goes first (DETECTION.md, state).
pub(super) const GRANTS_PER_ROLE_MAX: usize = 8;
/// A group's usual deployers: its last four (DETECTION.md, points).
pub(super) const DEPLOYERS_MAX: usize = 4;
/// First sights of one window. A scan of a whole account by one principal stays below it; beyond it the first that came are
/// learnt, the one thing that depends on the order within a window.
pub(super) const FIRST_SIGHTS_MAX: usize = 10_000;
/// Alerted flows that were not accepted: years of them at the budget.
pub(super) const ALERTED_MAX: usize = 10_000;
/// Scores kept exactly: the highest. At one alert a week an alert needs the first 4.3 of a month, so this is 79 years.
pub(super) const EXACT_SCORES_MAX: usize = 4_096;
/// Bytes of an id: the longest ARN that CloudTrail writes. A longer one is not shortened, since two could then be one.
pub(super) const ID_BYTES_MAX: usize = 2_048;
/// Bytes of a name, tag or deployer that are looked at.
pub(super) const NAME_BYTES_MAX: usize = 512;
/// Days from install that times are held to: more than lies between the first and the last timestamp that is accepted.
pub(super) const DAYS_MAX: f64 = 40_000.;
