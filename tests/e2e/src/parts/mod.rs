//! Real parts on loopback.

pub mod moto;
pub mod runtime;

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

/// The binary of a function, built beside the tests: it is another package's, so cargo doesn't build it for them.
pub fn binary(package: &str, name: &str) -> PathBuf {
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
    folder.join(name)
}

/// What can't be started here is skipped, except where everything is required.
pub fn skipped(what: &str) {
    assert!(std::env::var_os("OUTFLOW_REQUIRE_ALL").is_none_or(|value| value != "1"), "{what} is missing");
    println!("skipped: {what} is missing");
}
