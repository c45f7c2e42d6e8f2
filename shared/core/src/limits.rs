//! Every bound, with its reason. What is cut by one is counted where it is cut.

/// Resources of one record that are kept: batch calls name at most 100 tables or objects, and what they have in common
/// stands in the first few.
pub const RESOURCES_MAX: usize = 16;

/// Targets of one call: a transaction may name 100 tables, but a flow graph learns nothing more from them.
pub const TARGETS_MAX: usize = 16;

/// Resources that one policy may name as grants: more is a list of everything, which explains nothing.
pub const GRANTS_MAX: usize = 16;

/// Characters of an event id that is no UUID: CloudTrail's own ids have 36, log events' 56.
pub const EVENT_ID_MAX: usize = 64;

/// Observations that are packed together in replay: some 4 MB, so that memory doesn't grow with the log.
pub const PACKER_ROWS_MAX: usize = 1 << 16;

/// Functions and roles that are told apart by name: the largest accounts have some 10,000.
pub const DIRECTORY_FUNCTIONS_MAX: usize = 100_000;

/// Functions of one role, and Regions of one function name: past it, sessions and logs stay the role's and the name's.
pub const FUNCTIONS_PER_ROLE_MAX: usize = 256;

/// Latest changes of an entity that are kept to be told: a person reads three.
pub const CHANGES_MAX: usize = 8;

/// First sights of one window that are kept for logs shorter than a day, where nothing else can be said.
pub const SIGHTS_MAX: usize = 256;

/// Resources whose stack tag is remembered: as many as an account of 10,000 functions has.
pub const STACKS_MAX: usize = 100_000;

/// Gaps of an account's feeds that are remembered: a folder of logs has a few.
pub const GAPS_MAX: usize = 64;

/// Different findings that one incident spells out; more are counted: a person reads ten.
pub const FINDINGS_PER_INCIDENT_MAX: usize = 64;

/// Open incidents of one account: at the budget of two a week some two are open; an account in which a thousand are has
/// one problem that the first thousand tell.
pub const INCIDENTS_OPEN_MAX: usize = 1_000;
