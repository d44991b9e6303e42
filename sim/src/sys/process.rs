//! Starting a command, watching it and ending it with all it started.

use std::ffi::{CStr, CString};
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fd::{AsFd, BorrowedFd, OwnedFd};
use super::signal::Ask;
use crate::kernel::descriptors::Object;
use crate::kernel::process::{Birth, Pid, SERVER};
use crate::kernel::threads::sleep_us;
use crate::kernel::{Kernel, enter, os, with};

/// What to start, and with what.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// Path of the program.
    pub program: &'a CStr,
    /// All arguments, the program's own name first; at least that.
    pub arguments: &'a [CString],
    /// The whole environment, `NAME=VALUE` each.
    pub environment: &'a [CString],
    /// Its standard streams.
    pub standard: Standard<'a>,
}

/// What becomes descriptors 0, 1 and 2 of a process.
#[derive(Clone, Copy, Debug)]
pub enum Standard<'a> {
    /// A descriptor each.
    Streams {
        /// Standard input; /dev/null where there is none.
        input: Option<BorrowedFd<'a>>,
        /// Standard output.
        output: BorrowedFd<'a>,
        /// Standard error; may be the same as `output`.
        error: BorrowedFd<'a>,
    },
    /// All three are this terminal, which is the controlling one of a new session.
    Terminal(BorrowedFd<'a>),
}

/// Why a process was not started.
#[derive(Debug)]
pub enum SpawnError {
    /// execve(2) refused the program.
    Refused(io::Error),
    /// Anything before that failed, whatever the program is.
    Failed(io::Error),
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status, 0 to 255.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A process that was started here, and its group, whose id is the same number.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    /// Set once the kernel may give the number to another process.
    is_reaped: AtomicBool,
}

/// What a thread unwinds with that ended the server.
#[derive(Debug)]
pub struct Exited(pub u8);

/// Ends the server at once: the kernel knows its status, and the thread unwinds.
pub fn exit(status: u8) -> ! {
    with(|kernel| {
        kernel.exit.get_or_insert(status);
        kernel.trace.note(kernel.now_us, format_args!("exit {status}"));
    });
    resume_unwind(Box::new(Exited(status)))
}

/// The process id of the server.
pub fn id() -> u32 {
    SERVER.unsigned_abs()
}

/// Nothing here is inherited past 2 but during a start.
pub fn seal_descriptors() -> io::Result<()> {
    enter("close_range");
    Ok(())
}

/// Starts a process, and blocks until its program runs. Until then it has all descriptors that the
/// server has.
pub fn spawn(spawn: &Spawn<'_>) -> Result<Child, SpawnError> {
    enter("clone");
    let (pid, pidfd) = with(|kernel| clone(kernel, spawn))?;
    let us = with(|kernel| *kernel.random.pick(&[0, 100, 2_000, 50_000]));
    sleep_us(us);
    enter("execve");
    let became = with(|kernel| {
        let became = become_program(kernel, spawn);
        match &became {
            Ok(text) => kernel.exec_process(pid, text),
            Err(_) => kernel.abandon_process(pid),
        }
        became
    });
    became.map_err(SpawnError::Refused)?;
    Ok(Child { pid, pidfd, is_reaped: AtomicBool::new(false) })
}

fn clone(kernel: &mut Kernel, spawn: &Spawn<'_>) -> io::Result<(Pid, OwnedFd)> {
    let of = |kernel: &Kernel, fd: BorrowedFd<'_>| Some(kernel.descriptors.of(fd.raw()));
    let standard = match spawn.standard {
        Standard::Streams { input, output, error } => {
            let input = input.and_then(|input| of(kernel, input));
            [input, of(kernel, output), of(kernel, error)]
        }
        Standard::Terminal(terminal) => [of(kernel, terminal); 3],
    };
    let has_terminal = matches!(spawn.standard, Standard::Terminal(_));
    kernel.check_descriptors().map_err(os)?;
    kernel.fault("clone", &[libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE])?;
    let pid = kernel.clone_process(&Birth { standard, has_terminal }).map_err(os)?;
    let pidfd = kernel.open(Object::Process(pid)).map_err(os)?;
    Ok((pid, OwnedFd::new(pidfd)))
}

/// What the program is to do: the text behind `-c`, or else all arguments.
fn become_program(kernel: &mut Kernel, spawn: &Spawn<'_>) -> io::Result<String> {
    let text = |bytes: &CStr| bytes.to_string_lossy().into_owned();
    kernel.fault("execve", &[libc::ENOMEM, libc::ENFILE])?;
    kernel.processes.program(&text(spawn.program)).map_err(os)?;
    let words: Vec<String> = spawn.arguments.iter().skip(1).map(|word| text(word)).collect();
    Ok(match words.split_first() {
        Some((first, [script, ..])) if first == "-c" => script.clone(),
        _ => words.join(" "),
    })
}

impl Child {
    /// Process id, and id of the process group.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// How the process ended, if it has. ECHILD: it was reaped before.
    pub fn status(&self) -> io::Result<Option<Exit>> {
        self.wait(false)
    }

    /// As `status`, and gives up its ids if it has ended.
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        let exit = self.wait(true)?;
        if exit.is_some() {
            self.is_reaped.store(true, Ordering::Release);
        }
        Ok(exit)
    }

    fn wait(&self, reaps: bool) -> io::Result<Option<Exit>> {
        enter("waitid");
        with(|kernel| kernel.wait_process(self.pid, reaps).map_err(os))
    }

    /// Sends what `ask` means to the whole group, and SIGKILL to the process too.
    pub fn signal(&self, ask: Ask) {
        if self.is_reaped.load(Ordering::Acquire) {
            return;
        }
        enter("kill");
        with(|kernel| {
            ask.signals().iter().for_each(|signal| kernel.signal_group(self.pid, *signal));
            if ask == Ask::Kill {
                kernel.signal_process(self.pid, libc::SIGKILL);
            }
        });
    }

    /// Whether anything is left of the group and session of a process that was reaped.
    pub fn has_left(&self) -> bool {
        enter("fcntl");
        with(|kernel| {
            let shown = kernel.processes.shown();
            shown.iter().any(|(_, _, group, session, _)| [*group, *session].contains(&self.pid))
        })
    }
}

/// The pidfd: readable once the process has ended.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// The name of a signal without its `SIG`; the number where it has no name.
pub fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let place = usize::try_from(signal - 1).ok();
    match place.and_then(|place| NAMES.get(place)) {
        Some(name) => (*name).to_owned(),
        None if signal == 34 => "RTMIN".to_owned(),
        None if (35..=64).contains(&signal) => format!("RTMIN+{}", signal - 34),
        None => signal.to_string(),
    }
}
