// SPDX-License-Identifier: GPL-2.0

//! Trees to read in place of /sys, each from one file: `== FILE` with its text after it,
//! `-> LINK TARGET`; comments before the first of them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

pub struct Fixture {
    dir: TempDir,
}

impl Fixture {
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    pub fn of(name: &str) -> Self {
        let file = format!("{}/tests/fixtures/{name}.tree", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(file).unwrap();
        let this = Self::empty();
        let mut current: Option<(&str, String)> = None;
        for line in text.lines() {
            let link = line.strip_prefix("-> ");
            if let Some(file) = line.strip_prefix("== ") {
                this.put_all(current.replace((file, String::new())));
            } else if let Some((link, target)) = link.and_then(|l| l.split_once(' ')) {
                this.put_all(current.take());
                symlink(target, this.path_for(link)).unwrap();
            } else if let Some((_, text)) = &mut current {
                text.push_str(line);
                text.push('\n');
            }
        }
        this.put_all(current);
        this
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    fn path_for(&self, below: &str) -> PathBuf {
        let path = self.root().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn put_all(&self, file: Option<(&str, String)>) {
        if let Some((file, text)) = file {
            self.put(file, &text);
        }
    }

    pub fn put(&self, below: &str, text: &str) {
        fs::write(self.path_for(below), text).unwrap();
    }

    pub fn get(&self, below: &str) -> String {
        fs::read_to_string(self.root().join(below)).unwrap()
    }

    /// Runs iser-stat on it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_iser-stat"))
            .arg("--sysfs")
            .arg(self.root())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The same: exit status, standard output, standard error.
    pub fn said(&self, arguments: &[&str]) -> (i32, String, String) {
        let out = self.run(arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            out.status.code().unwrap(),
            text(out.stdout),
            text(out.stderr),
        )
    }
}
