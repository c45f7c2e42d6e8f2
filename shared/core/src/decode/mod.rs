//! Feed bytes → records and rejects.

mod record;

pub use record::*;
