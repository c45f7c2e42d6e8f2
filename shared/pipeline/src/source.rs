//! Files of a folder of logs, in order of their paths.
//!
//! Links inside a folder are not followed and only plain files are opened: a folder of logs may come from anybody. What
//! can't be read is told, and the rest is read. There is deliberately no look at names to tell what a file is; only the
//! name of a function may be taken from a path, where the content names none.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use outflow_core::limits::INFLATED_BYTES_MAX;

/// What there is under some paths.
#[derive(Debug, Default)]
pub struct Found {
    /// Plain files, sorted, each once.
    pub files: Vec<PathBuf>,
    /// What could not be walked.
    pub failed: Vec<(PathBuf, io::Error)>,
    /// Links, pipes and whatever else is neither a folder nor a plain file.
    pub passed: u64,
}

/// Walks some paths.
pub fn files(paths: &[PathBuf]) -> Found {
    let (mut found, mut failed, mut passed) = (Vec::new(), Vec::new(), 0);
    for path in paths {
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() => found.push(entry.into_path()),
                Ok(entry) => passed += u64::from(!entry.file_type().is_dir()),
                Err(error) => {
                    let at = error.path().unwrap_or(path).to_owned();
                    let error = error.into_io_error().unwrap_or_else(|| io::Error::other("the folder contains itself"));
                    failed.push((at, error));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    Found { files: found, failed, passed }
}

/// Reads a plain file into `buffer`, at most what the decoders take and a byte, by which they see that it is too large.
pub fn read(path: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
    }
    file.take(INFLATED_BYTES_MAX as u64 + 1).read_to_end(buffer)?;
    Ok(())
}

/// The name of a function by the path of its log: the file's name without extensions, or its folder's where that is only
/// a date or a number.
pub fn function_name(path: &Path) -> String {
    let names = path.iter().rev().filter_map(|part| part.to_str());
    let mut stems = names.map(|name| name.split('.').next().unwrap_or(name)).filter(|stem| !stem.is_empty());
    let own = stems.next().unwrap_or_default();
    if !is_date_or_number(own) {
        return own.to_owned();
    }
    stems.find(|stem| !is_date_or_number(stem) && *stem != "/").unwrap_or(own).to_owned()
}

/// `2025-03-20`, `2025-03-20_to_26`, `20230710T1145Z`, `0001`.
fn is_date_or_number(stem: &str) -> bool {
    let words = stem.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let mut any_digit = false;
    for word in words {
        let stamp = word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || matches!(c, 'T' | 'Z'));
        if !stamp && word != "to" {
            return false;
        }
        any_digit |= stamp;
    }
    any_digit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_by_file_or_folder() {
        for (path, name) in [
            ("logs/author-handler.csv.gz", "author-handler"),
            ("logs/slack_invitor/2025-03-20_to_26.csv.gz", "slack_invitor"),
            ("slack_invitor/2025/03/20/000001.gz", "slack_invitor"),
            ("/2025/03.log", "03"),
            ("log-2025.txt", "log-2025"),
        ] {
            assert_eq!(function_name(Path::new(path)), name, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::fs::write(folder.path().join("plain"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("folder")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        let found = files(&[folder.path().to_owned()]);
        assert_eq!((&found.files[..], found.passed), (&[folder.path().join("plain")][..], 3));
        assert!(found.failed.is_empty());
        assert_eq!(files(&[folder.path().to_owned(), folder.path().to_owned()]).files, found.files);
    }
}
