//! A library that makes system calls of the program fail at a test's wish (ld.so(8), `LD_PRELOAD`).

use std::path::PathBuf;
use std::process::Command;

use super::Scratch;
use super::server::program;

/// The library, built in a folder of its own, where faults are files.
pub(crate) struct Shim {
    scratch: Scratch,
    library: PathBuf,
}

impl Shim {
    /// Builds it.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        let source = scratch.write("shim.c", include_str!("shim.c"));
        let library = scratch.join("shim.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
        let output = compiler.output().expect("a C compiler is installed");
        assert!(output.status.success(), "{output:?}");
        Self { scratch, library }
    }

    /// The program with the library.
    pub(crate) fn program(&self) -> Command {
        let mut command = program();
        command.env("LD_PRELOAD", &self.library).env("SHIM", self.scratch.path());
        command
    }

    /// Whether the program came to a fault that leaves this file.
    pub(crate) fn has(&self, mark: &str) -> bool {
        self.scratch.join(mark).exists()
    }

    /// From now on this call fails: `CALL-ERROR`.
    pub(crate) fn begin(&self, fault: &str) {
        self.scratch.write(fault, "");
    }

    /// From now on it does not fail any more.
    pub(crate) fn end(&self, fault: &str) {
        std::fs::remove_file(self.scratch.join(fault)).expect("it was begun");
    }
}
