// SPDX-License-Identifier: GPL-2.0

//! Reading sysfs and debugfs while what they describe comes and goes.
//!
//! A file that is gone, or whose connection is gone, reads as nothing: that is how a session ends,
//! no error. Text from a target is cleaned here, once, so that no name can command a terminal.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Where sysfs is. All paths are below it, so a test can bring a tree of its own.
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Whether it is there, as far as can be seen.
    pub fn has(&self, below: impl AsRef<Path>) -> bool {
        self.path(below).exists()
    }

    /// What is in a file, without space at its ends. Nothing if it cannot be read.
    pub fn text(&self, below: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.path(below)).ok()?;
        Some(clean(&String::from_utf8_lossy(&bytes)))
    }

    /// The names in a folder, `disk2` before `disk10`.
    pub fn list(&self, below: impl AsRef<Path>) -> Vec<String> {
        self.try_list(below).unwrap_or_default()
    }

    /// The same, or why not. A folder that is not there is an error.
    pub fn try_list(&self, below: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(below))? {
            match entry {
                Ok(entry) => names.extend(entry.file_name().into_string()),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        names.sort_by_cached_key(|name| (number_at_end(name), name.clone()));
        Ok(names)
    }

    /// Writes to a file that is there.
    pub fn write(&self, below: impl AsRef<Path>, text: &str) -> io::Result<()> {
        use io::Write;
        let mut file = fs::OpenOptions::new().write(true).open(self.path(below))?;
        file.write_all(text.as_bytes())
    }
}

/// Whether an error says that what was asked about has ended.
fn is_gone(error: &io::Error) -> bool {
    const ENODEV: i32 = 19;
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ENODEV)
}

/// The number that a name such as `session12` ends with.
pub fn number_at_end(name: &str) -> Option<u32> {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    name[digits..].parse().ok()
}

fn clean(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_the_end() {
        assert_eq!(number_at_end("session12"), Some(12));
        assert_eq!(number_at_end("connection-0"), Some(0));
        assert_eq!(number_at_end("7"), Some(7));
        assert_eq!(number_at_end("latency"), None);
        assert_eq!(number_at_end("x99999999999"), None);
        assert_eq!(number_at_end("é1"), Some(1));
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(clean(" a\x1b[2Jb\u{9b}c\n"), "a\u{fffd}[2Jb\u{fffd}c");
    }

    #[test]
    fn what_is_not_there_reads_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(dir.path());
        assert_eq!(tree.text("none"), None);
        assert_eq!(tree.text(""), None);
        assert!(tree.list("none").is_empty());
        assert!(tree.try_list("none").is_err());
        assert!(tree.write("none", "1").is_err());
        assert!(!tree.has("none"));
    }

    #[test]
    fn numbers_sort_as_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["c-10", "c-9", "latency", "c-1"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(
            Tree::new(dir.path()).list(""),
            ["latency", "c-1", "c-9", "c-10"]
        );
    }
}
