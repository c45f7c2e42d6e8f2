//! Real parts on loopback.

pub mod dynamodb;
pub mod trouble;

use std::path::PathBuf;
use std::process::Child;

/// A child process that ends with its guard.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Where pinned tools and parts are installed.
pub fn tools() -> PathBuf {
    root().join(".tools")
}

/// Says plainly that something can't be tested here for want of a part; fails where nothing may be missing.
pub fn skip(missing: &str) {
    assert!(std::env::var_os("OUTFLOW_REQUIRE_ALL").is_none_or(|v| v != "1"), "{missing} is missing: make tools");
    eprintln!("skipped: {missing} is missing: make tools");
}
