//! Real parts on loopback.

pub mod dynamodb;
pub mod moto;
pub mod runtime;
pub mod slack;
pub mod trouble;

use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Mutex;

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

/// The binary of a function, named like its package and built beside the tests: it is another package's, so cargo doesn't build it for them.
pub fn binary(package: &str) -> PathBuf {
    // Cargo would wait for its own lock anyway; so it says what is built only once.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock();
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().find(|folder| folder.ends_with("debug") || folder.ends_with("release")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--locked", "--quiet", "--package", package]);
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "{package} can't be built");
    folder.join(package)
}

/// Says plainly that something can't be tested here for want of a part; fails where nothing may be missing.
pub fn skip(missing: &str) {
    assert!(std::env::var_os("OUTFLOW_REQUIRE_ALL").is_none_or(|v| v != "1"), "{missing} is missing: make tools");
    eprintln!("skipped: {missing} is missing: make tools");
}
