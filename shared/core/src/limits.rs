//! Every bound, with its reason. What is cut by one is counted where it is cut.

/// Resources of one record that are kept: batch calls name at most 100 tables or objects, and what they have in common
/// stands in the first few.
pub const RESOURCES_MAX: usize = 16;
