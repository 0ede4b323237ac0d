//! Programs of `bench/` that ask an installed libvirt, about the documents whose paths they are told.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that was compiled for this run; dropped, it goes.
pub(crate) struct Reference(PathBuf);

impl Reference {
    /// Compiles `bench/NAME.c` with these libraries; `None`: there is no compiler, or one of them is missing.
    pub(crate) fn build(name: &str, libraries: &[&str]) -> Option<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench").join(name).with_extension("c");
        let program = std::env::temp_dir().join(format!("ostler-bench-{name}-{}", std::process::id()));
        let mut cc = Command::new("cc");
        cc.arg("-O2").arg("-o").arg(&program).arg(source).args(libraries).stderr(Stdio::null());
        cc.status().is_ok_and(|status| status.success()).then_some(Reference(program))
    }

    /// What it prints.
    pub(crate) fn ask(&self, arguments: &[&str], paths: &[String]) -> String {
        let mut command = Command::new(&self.0);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input: String = paths.iter().flat_map(|path| [path.as_str(), "\n"]).collect();
        let mut stdin = child.stdin.take().unwrap();
        // What it prints may be longer than a pipe holds.
        let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        assert!(output.status.success(), "{} {arguments:?}", self.0.display());
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
