//! Where a person reads: how wide, and sentences, names and paths laid out in that.
//!
//! Sentences are broken at spaces. A path keeps its end, where its name is; where nobody looks at a terminal it is whole.
//! Everything passes `clean`, because names of files may be hostile, too. There is deliberately no content here.

use std::io::{self, Write};
use std::path::Path;

use outflow_core::alert::clean;
use terminal_size::Width;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns of text where no terminal says how many it has; and within which a terminal's are followed: more is hard to read.
const WIDTH: usize = 80;
const WIDTH_LEAST: usize = 40;
const WIDTH_MOST: usize = 100;
/// Columns of a label.
const LABEL: usize = 9;
/// Characters of a path that is shown whole: the longest that an operating system takes.
const PATH_CHARS_MAX: usize = 4096;

/// A page.
pub(crate) struct Page<W> {
    pub(crate) out: W,
    pub(crate) width: usize,
    /// A person looks at it, so that paths are cut to the line.
    pub(crate) is_terminal: bool,
}

/// The columns that the shell's COLUMNS or else the terminal names.
pub(crate) fn width(terminal: Option<Width>) -> usize {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<usize>().ok());
    named.or(terminal.map(|Width(columns)| columns.into())).unwrap_or(WIDTH).clamp(WIDTH_LEAST, WIDTH_MOST)
}

impl<W: Write> Page<W> {
    /// A fact behind its label.
    pub(crate) fn put(&mut self, label: &str, fact: &str) -> io::Result<()> {
        for (i, line) in broken(fact, self.width - LABEL).iter().enumerate() {
            let (label, indent) = if i == 0 { (label, LABEL) } else { ("", LABEL + 2) };
            writeln!(self.out, "{label:<indent$}{line}")?;
        }
        Ok(())
    }

    /// A sentence from the first column on.
    pub(crate) fn say(&mut self, sentence: &str) -> io::Result<()> {
        // What is broken off is not indented here, so it has two columns more than it takes.
        broken(sentence, self.width).iter().try_for_each(|line| writeln!(self.out, "{line}"))
    }

    /// What belongs to the line above.
    pub(crate) fn note(&mut self, note: &str) -> io::Result<()> {
        let indent = LABEL + 2;
        broken(note, self.width - indent).iter().try_for_each(|line| writeln!(self.out, "{:indent$}{line}", ""))
    }

    /// A name behind its label.
    pub(crate) fn name(&mut self, label: &str, name: &str) -> io::Result<()> {
        writeln!(self.out, "{label:<LABEL$}{}", fit(name, self.width - LABEL))
    }

    /// A path behind its label.
    pub(crate) fn path(&mut self, label: &str, path: &Path, behind: &str) -> io::Result<()> {
        let room = (self.width - LABEL).saturating_sub(behind.len());
        let whole = clean_path(path);
        let shown = if self.is_terminal { end_of(&whole, room) } else { whole };
        writeln!(self.out, "{label:<LABEL$}{shown}{behind}")
    }
}

/// A path, cleaned.
pub(crate) fn clean_path(path: &Path) -> String {
    clean(&path.to_string_lossy(), PATH_CHARS_MAX).into_owned()
}

/// A name, cleaned and cut to its columns: some characters take two.
fn fit(name: &str, columns: usize) -> String {
    let cleaned = clean(name, columns);
    let chars = (1..=columns).rev().find(|&chars| clean(name, chars).width() <= columns).unwrap_or(1);
    if cleaned.width() <= columns { cleaned.into_owned() } else { clean(name, chars).into_owned() }
}

/// The end of a path, in so many columns: that is where its name stands.
fn end_of(path: &str, columns: usize) -> String {
    if path.width() <= columns {
        return path.to_owned();
    }
    let mut used = 1;
    let kept = path.chars().rev().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= columns
    });
    let kept: Vec<char> = kept.collect();
    std::iter::once('…').chain(kept.into_iter().rev()).collect()
}

/// Breaks a sentence at spaces; lines after the first have two columns less, because they are indented.
fn broken(sentence: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        let room = if lines.len() > 1 { width - 2 } else { width };
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_end() {
        assert_eq!(end_of("/logs/a.json", 12), "/logs/a.json");
        assert_eq!(end_of("/very/long/folder/a.json", 12), "…lder/a.json");
        assert_eq!(end_of("/寬寬寬寬.json", 8), "…寬.json");
    }

    #[test]
    fn a_page_is_as_wide_as_is_read_easily() {
        if std::env::var_os("COLUMNS").is_none() {
            let widths = [None, Some(20), Some(60), Some(100), Some(140)].map(|w| width(w.map(Width)));
            assert_eq!(widths, [80, 40, 60, 100, 100]);
        }
    }

    #[test]
    fn paths_are_whole_where_nobody_looks() {
        let shown = |is_terminal| {
            let mut page = Page { out: Vec::new(), width: 40, is_terminal };
            let written = page.path("Unread", Path::new("/a/folder/of/logs/with/a/long/name/\u{1b}[2Jtrail.json"), " at byte 7");
            assert!(written.is_ok());
            String::from_utf8_lossy(&page.out).into_owned()
        };
        assert_eq!(shown(true), "Unread   …long/name/trail.json at byte 7\n");
        assert_eq!(shown(false), "Unread   /a/folder/of/logs/with/a/long/name/trail.json at byte 7\n");
    }
}
