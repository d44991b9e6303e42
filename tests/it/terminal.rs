//! Other programs than ours, as people start them: at a terminal, or with files at both ends.
//!
//! What it does not do: know what they say to the server, or skip one that is not installed.

use std::fs::{self, File};
use std::io::{ErrorKind, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

use super::support::{PATIENCE, Peer, Scratch, process, wait_until};

/// A running program, ended with its test.
pub(crate) struct Program(Child);

/// What became of a program.
pub(crate) struct Ended {
    /// Its exit status; None where a signal ended it.
    pub(crate) status: Option<i32>,
    /// All of its standard output.
    pub(crate) output: Vec<u8>,
    /// All of its standard error.
    pub(crate) errors: String,
}

/// A program whose input is held open: `peer` types, and reads what it shows.
pub(crate) struct Terminal {
    pub(crate) peer: Peer,
    program: Program,
}

impl Program {
    #[track_caller]
    fn start(command: &mut Command) -> Self {
        println!("{command:?}");
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("{} is not installed: run tests/all.sh", command.get_program().display())
            }
            Err(error) => panic!("{command:?}: {error}"),
        }
    }

    #[track_caller]
    fn expect_exit(&mut self) -> Option<i32> {
        let status = process::wait_within(&mut self.0, PATIENCE);
        status.expect("the program ends by itself").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Terminal {
    /// Starts `command`; standard error is dropped.
    #[track_caller]
    pub(crate) fn open(mut command: Command) -> Self {
        let scratch = Scratch::new();
        let path = scratch.join("terminal");
        let listener = UnixListener::bind(&path).expect("a socket in the scratch");
        let peer = Peer::unix(&path);
        let (end, _) = listener.accept().expect("the peer has connected");
        let input = OwnedFd::from(end);
        let output = input.try_clone().expect("a socket can be duplicated");
        let program = Program::start(command.stdin(input).stdout(output).stderr(Stdio::null()));
        Self { peer, program }
    }

    /// The input ends, nothing more is shown, and the program ends. Gives its exit status.
    #[track_caller]
    pub(crate) fn expect_exit(mut self) -> Option<i32> {
        self.peer.half_close();
        self.peer.expect_end();
        self.program.expect_exit()
    }
}

/// `command < input > output`, to its end. `meanwhile` runs once the input was read whole.
#[track_caller]
pub(crate) fn run(mut command: Command, input: &str, meanwhile: impl FnOnce()) -> Ended {
    let scratch = Scratch::new();
    let create = |name| File::create_new(scratch.join(name)).expect("a file in the scratch");
    let mut typed = File::open(scratch.write("input", input)).expect("a file in the scratch");
    command.stdin(typed.try_clone().expect("a file can be duplicated"));
    let mut program = Program::start(command.stdout(create("output")).stderr(create("errors")));
    // The program's descriptor and ours share one position.
    let mut position = || typed.stream_position().expect("an open file has a position");
    wait_until("the input was read", || position() == input.len() as u64);
    meanwhile();
    let status = program.expect_exit();
    let read = |name| fs::read(scratch.join(name)).expect("a file in the scratch");
    let errors = String::from_utf8_lossy(&read("errors")).into_owned();
    Ended { status, output: read("output"), errors }
}
