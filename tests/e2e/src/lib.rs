//! The functions as processes of their own, under Lambda's Runtime API, on real parts: what the tests of this crate share.
//!
//! Each part is a child process on loopback, stopped by its pid when its guard is dropped. There is deliberately no
//! expectation here: what must hold stands in the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests may fail the test")]

pub mod chain;
pub mod parts;
