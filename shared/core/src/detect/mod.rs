//! The detectors, one module each: what it claims, its formula and the source of it, its constants, its words.
//!
//! A detector judges one entity against that entity's own past and, while it has none, against its peers'. There is
//! deliberately no shared detector trait: each asks for what it needs and says what it found in its own terms.

pub mod rate;
