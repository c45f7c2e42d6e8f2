//! Real parts on loopback.

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
