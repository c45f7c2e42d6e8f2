//! Real parts on loopback.

pub mod dynamodb;
pub mod gate;
pub mod moto;
pub mod runtime;
pub mod slack;
pub mod trouble;

use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::OnceLock;

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

/// The binary of a function, named like its package: of the folder `OUTFLOW_BINARIES`, as it would be shipped, or else built
/// beside the tests. It is another package's, so cargo doesn't build it for them; the whole workspace is asked for, since
/// that is what has been built already.
pub fn binary(package: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| std::env::var_os("OUTFLOW_BINARIES").map_or_else(build, PathBuf::from)).join(package)
}

fn build() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().find(|folder| folder.ends_with("debug") || folder.ends_with("release")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--workspace", "--bins", "--tests", "--locked", "--quiet"]);
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "the functions can't be built");
    folder.to_owned()
}

/// Says plainly that something can't be tested here for want of a part; fails where nothing may be missing.
pub fn skip(missing: &str) {
    assert!(std::env::var_os("OUTFLOW_REQUIRE_ALL").is_none_or(|v| v != "1"), "{missing} is missing: make tools");
    eprintln!("skipped: {missing} is missing: make tools");
}
