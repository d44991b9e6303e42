//! Starting a command, watching it and ending it with all it started.
//!
//! What it does not do: search PATH, decide when a command must end, or do anything when a `Child`
//! is dropped: one that was not reaped stays a zombie for as long as landline lives.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

use super::signal::Ask;
pub use super::vfork::SpawnError;
use super::vfork::{self, Plan};
use super::{family, host, orphans, retry, signal};

/// The first descriptor that is not one of the standard three.
const FIRST_FREE: RawFd = 3;

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
    pid: i32,
    pidfd: OwnedFd,
    /// Set once the kernel may give the number to another process.
    is_reaped: AtomicBool,
}

/// A duplicate with a number past the standard three: duplicating it onto one of them can then
/// neither overwrite one that is still needed nor be a no-op that leaves close-on-exec set.
fn duplicate_high(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let raw = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?;
    // SAFETY: fcntl succeeded, so `raw` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr());
    pointers.chain([ptr::null()]).collect()
}

/// The standard input of commands that are given none: /dev/null, opened once.
fn empty_input() -> io::Result<BorrowedFd<'static>> {
    static EMPTY: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(open) = EMPTY.get() {
        return Ok(open.as_fd());
    }
    let null = retry(|| open(c"/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()))?;
    Ok(EMPTY.get_or_init(|| null).as_fd())
}

/// Ends landline at once with an exit status (exit(3)).
pub fn exit(status: u8) -> ! {
    std::process::exit(i32::from(status))
}

/// The process id of landline (getpid(2)).
pub fn id() -> u32 {
    std::process::id()
}

/// Starts a process (clone(2), without a copy of page tables) in a session of its own, so that it
/// cannot leave its group, and has no terminal but the one it is given. It ends if landline ends
/// without ending it first (SIGKILL, `PR_SET_PDEATHSIG`), and with the calling thread. Every signal
/// is at its default, none blocked; it has the limit on descriptors that landline was started with,
/// and no descriptor past 2, given that all others are close-on-exec (`seal_descriptors`).
/// Returns once the program runs, and blocks until then.
pub fn spawn(spawn: &Spawn<'_>) -> Result<Child, SpawnError> {
    let given = match spawn.standard {
        Standard::Streams { input: Some(input), output, error } => [input, output, error],
        Standard::Streams { input: None, output, error } => [empty_input()?, output, error],
        Standard::Terminal(terminal) => [terminal; 3],
    };
    // One of the standard three could be in the way of another one.
    let is_low = |fd: &BorrowedFd<'_>| fd.as_raw_fd() < FIRST_FREE;
    let high = |fd: BorrowedFd<'_>| is_low(&fd).then(|| duplicate_high(fd)).transpose();
    let duplicates = [high(given[0])?, high(given[1])?, high(given[2])?];
    let standard = std::array::from_fn(|number| match &duplicates[number] {
        Some(duplicate) => duplicate.as_raw_fd(),
        None => given[number].as_raw_fd(),
    });
    let own = orphans::hold();
    let (pid, pidfd) = vfork::start(&Plan {
        program: spawn.program,
        arguments: &pointers(spawn.arguments),
        environment: &pointers(spawn.environment),
        standard,
        has_terminal: matches!(spawn.standard, Standard::Terminal(_)),
        altered: signal::altered(),
        parent: nix::unistd::getpid().as_raw(),
        descriptors_max: host::descriptors_before(),
    })?;
    if let Some(mut own) = own {
        own.insert(pid);
    }
    Ok(Child { pid, pidfd, is_reaped: AtomicBool::new(false) })
}

impl Child {
    /// Process id, and id of the process group.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// How the process ended, if it has (waitid(2), WNOWAIT). It stays a zombie, so that the ids of
    /// process and group belong to nobody else. Never blocks. ECHILD: it was reaped before.
    pub fn status(&self) -> io::Result<Option<Exit>> {
        self.wait(libc::WNOWAIT)
    }

    /// As `status`, and gives up its ids if it has ended: its group can no longer be signalled.
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        let exit = self.wait(0);
        // An error means that somebody else has reaped it.
        if !matches!(exit, Ok(None)) {
            self.is_reaped.store(true, Ordering::Release);
            orphans::forget(self.pid);
        }
        exit
    }

    fn wait(&self, flags: libc::c_int) -> io::Result<Option<Exit>> {
        let id = libc::id_t::try_from(self.pidfd.as_raw_fd()).expect("descriptors are positive");
        let flags = flags | libc::WEXITED | libc::WNOHANG;
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        retry(|| {
            // SAFETY: `info` is writable and outlives the call.
            Errno::result(unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), flags) })
        })?;
        // SAFETY: waitid succeeded; it filled `info`, or left or made it zero where the process has
        // not ended, and zeros are a valid siginfo_t with a process id of 0.
        let (pid, code, status) = unsafe {
            let info = info.assume_init();
            (info.si_pid(), info.si_code, info.si_status())
        };
        Ok(match (pid, code) {
            (0, _) => None,
            (_, libc::CLD_EXITED) => Some(Exit::Status(status)),
            _ => Some(Exit::Signal(status)),
        })
    }

    /// Sends what `ask` means to the whole group (kill(2)), and SIGKILL by its pidfd to the process
    /// too, wherever it is. Nothing happens where there is none of it (ESRCH), where none of it
    /// may be signalled (EPERM: it changed its user), or once it was reaped.
    pub fn signal(&self, ask: Ask) {
        if self.is_reaped.load(Ordering::Acquire) {
            return;
        }
        for signal in ask.signals() {
            // SAFETY: takes numbers alone; the zombie, at least, still holds the group's id.
            unsafe { libc::kill(-self.pid, *signal) };
        }
        if ask == Ask::Kill {
            family::send(&self.pidfd, libc::SIGKILL);
        }
    }

    /// Whether anything is left of the group and session of a process that was reaped: the kernel
    /// gives their number to nobody before (`F_SETOWN`, fcntl(2), finds no owner: ESRCH).
    pub fn has_left(&self) -> bool {
        // SAFETY: takes numbers alone. A pidfd raises no SIGIO, so its owner is told of nothing.
        let set = unsafe { libc::fcntl(self.pidfd.as_raw_fd(), libc::F_SETOWN, self.pid) };
        set == 0
    }
}

/// The pidfd: readable once the process has ended (`pidfd_open(2)`).
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// The name of a signal without its `SIG` (signal(7)): `KILL`, `RTMIN+3`; the number where it has
/// no name.
pub fn signal_name(signal: i32) -> String {
    if let Ok(known) = nix::sys::signal::Signal::try_from(signal) {
        let name = known.as_str();
        return name.strip_prefix("SIG").unwrap_or(name).to_owned();
    }
    let first = libc::SIGRTMIN();
    match signal - first {
        0 => "RTMIN".to_owned(),
        past if past > 0 && signal <= libc::SIGRTMAX() => format!("RTMIN+{past}"),
        _ => signal.to_string(),
    }
}

/// Makes every open descriptor past 2 close-on-exec (`close_range(2)`), also those that whoever
/// started landline left open. Where the kernel cannot (before 5.11: ENOSYS, EINVAL), those that
/// /proc/self/fd lists.
pub fn seal_descriptors() -> io::Result<()> {
    let first = libc::c_uint::try_from(FIRST_FREE).expect("3 is positive");
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: takes numbers alone, and closes nothing with this flag.
    let sealed = Errno::result(unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags)
    });
    match sealed {
        Ok(_) => Ok(()),
        Err(Errno::ENOSYS | Errno::EINVAL) => seal_listed(),
        Err(errno) => Err(errno.into()),
    }
}

fn seal_listed() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(fd) = number.filter(|fd| *fd >= FIRST_FREE) {
            // SAFETY: sets a flag on a number; on one that is not open any more it does nothing.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{File, read_link};
    use std::io::Read as _;

    use super::super::pipe::new_pipe;
    use super::super::poll::wait_readable;
    use super::super::scratch::DESCRIPTORS;
    use super::super::signal::Signals;
    use super::*;

    fn strings(words: &[&str]) -> io::Result<Vec<CString>> {
        words.iter().map(|word| Ok(CString::new(*word)?)).collect()
    }

    /// Starts a command; its output and errors come through the descriptor.
    fn start(words: &[&str], environment: &[&str]) -> io::Result<(Child, OwnedFd)> {
        let arguments = strings(words)?;
        let environment = strings(environment)?;
        let (read, write) = new_pipe()?;
        let child = spawn(&Spawn {
            program: &arguments[0],
            arguments: &arguments,
            environment: &environment,
            standard: Standard::Streams {
                input: None,
                output: write.as_fd(),
                error: write.as_fd(),
            },
        })?;
        Ok((child, read))
    }

    fn all_of(output: &OwnedFd) -> io::Result<String> {
        let mut file = File::from(output.try_clone()?);
        let mut all = Vec::new();
        loop {
            assert_eq!(wait_readable(&[output.as_fd()], Some(10_000))?, [true], "it is still open");
            match file.read_to_end(&mut all) {
                Ok(_) => return Ok(String::from_utf8_lossy(&all).into_owned()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn ended(child: &Child) -> io::Result<Exit> {
        assert_eq!(wait_readable(&[child.as_fd()], Some(10_000))?, [true], "it still runs");
        Ok(child.reap()?.expect("a readable pidfd means that the process has ended"))
    }

    fn run(words: &[&str], environment: &[&str]) -> io::Result<(String, Exit)> {
        let (child, output) = start(words, environment)?;
        Ok((all_of(&output)?, ended(&child)?))
    }

    #[test]
    fn a_child_has_the_standard_descriptors_alone() -> io::Result<()> {
        let _alone = DESCRIPTORS.lock();
        let leak = fcntl(File::open("/dev/null")?, FcntlArg::F_DUPFD(100))?;
        // SAFETY: fcntl succeeded, so it is a new descriptor that nobody else owns.
        let leak = unsafe { OwnedFd::from_raw_fd(leak) };
        seal_descriptors()?;
        // 3 is the directory that ls itself reads.
        let alone = ("0\n1\n2\n3\n".to_owned(), Exit::Status(0));
        assert_eq!(run(&["/bin/ls", "/proc/self/fd"], &[])?, alone);
        fcntl(&leak, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        seal_listed()?;
        assert_eq!(run(&["/bin/ls", "/proc/self/fd"], &[])?, alone);
        Ok(())
    }

    #[test]
    fn a_child_has_default_signals_and_no_mask() -> io::Result<()> {
        let _blocked_here = Signals::take()?;
        let (status, _) = run(&["/bin/cat", "/proc/self/status"], &[])?;
        for name in ["SigBlk", "SigIgn", "SigCgt"] {
            assert!(status.contains(&format!("{name}:\t0000000000000000\n")), "{status}");
        }
        Ok(())
    }

    #[test]
    fn a_child_has_the_given_environment_and_arguments_and_empty_input() -> io::Result<()> {
        let script = "printf '%s|' \"$@\"; printf '%s|' \"$A\" \"$HOME\"; cat; echo x >&2; exit 7";
        let words = ["/bin/sh", "-c", script, "sh", "one two", ""];
        let output = "one two||b||x\n".to_owned();
        assert_eq!(run(&words, &["A=b", "PATH=/bin"])?, (output, Exit::Status(7)));
        assert_eq!(run(&["/usr/bin/env"], &["A=b"])?, ("A=b\n".to_owned(), Exit::Status(0)));
        Ok(())
    }

    #[test]
    fn standard_descriptors_can_be_given_in_any_order() -> io::Result<()> {
        let words = strings(&["/bin/sleep", "100"])?;
        // The test's own descriptors, shifted by one.
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let child = spawn(&Spawn {
            program: &words[0],
            arguments: &words,
            environment: &[],
            standard: Standard::Streams {
                input: None,
                output: stdin.as_fd(),
                error: stdout.as_fd(),
            },
        })?;
        let of_child = |fd| read_link(format!("/proc/{}/fd/{fd}", child.pid()));
        let of_test = |fd| read_link(format!("/proc/self/fd/{fd}"));
        let got = [of_child(0)?, of_child(1)?, of_child(2)?];
        child.signal(Ask::Kill);
        ended(&child)?;
        assert_eq!(got, ["/dev/null".into(), of_test(0)?, of_test(1)?]);
        Ok(())
    }

    #[test]
    fn status_leaves_the_child_to_be_reaped_once() -> io::Result<()> {
        let (child, _output) = start(&["/bin/sh", "-c", "exit 3"], &[])?;
        assert_eq!(wait_readable(&[child.as_fd()], Some(10_000))?, [true]);
        assert_eq!(child.status()?, Some(Exit::Status(3)));
        assert_eq!(child.status()?, Some(Exit::Status(3)));
        child.signal(Ask::Terminate);
        assert_eq!(child.reap()?, Some(Exit::Status(3)));
        assert!(!child.has_left());
        let gone = child.reap().map_err(|error| error.raw_os_error());
        assert_eq!(gone, Err(Some(libc::ECHILD)));
        child.signal(Ask::Kill);
        Ok(())
    }

    #[test]
    fn a_group_is_left_alone_once_its_leader_is_reaped() -> io::Result<()> {
        let script = "(trap 'echo asked' TERM; trap 'echo over; exit' XCPU; echo ready; \
                      while :; do sleep 9 >&- 2>&- & wait; done) &";
        let (child, output) = start(&["/bin/sh", "-c", script], &["PATH=/bin"])?;
        ended(&child)?;
        assert_eq!(wait_readable(&[output.as_fd()], Some(10_000))?, [true]);
        assert_eq!(nix::unistd::read(&output, &mut [0; 6])?, 6, "it is ready");
        child.signal(Ask::Terminate);
        let group = nix::unistd::Pid::from_raw(child.pid());
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGXCPU)?;
        assert_eq!(all_of(&output)?, "over\n");
        Ok(())
    }

    #[test]
    fn a_terminal_is_the_controlling_one_and_hangs_up() -> io::Result<()> {
        let (master, terminal) = super::super::pty::new_pty(33, 7)?;
        let script = "stty size; test -t 0 && exec 2>&1 >/dev/tty; ps -o tty= -p $$; \
                      trap 'exit 9' HUP; echo ready; while :; do sleep 100 & wait; done";
        let words = strings(&["/bin/sh", "-c", script])?;
        let child = spawn(&Spawn {
            program: &words[0],
            arguments: &words,
            environment: &strings(&["PATH=/bin:/usr/bin"])?,
            standard: Standard::Terminal(terminal.as_fd()),
        })?;
        drop(terminal);
        let mut shown = String::new();
        while !shown.contains("ready") {
            assert_eq!(wait_readable(&[master.as_fd()], Some(10_000))?, [true], "{shown}");
            let mut piece = [0; 256];
            let count = super::super::pty::read(master.as_fd(), &mut piece)?;
            assert!(count > 0, "it ended: {shown}");
            shown.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        assert!(shown.starts_with("7 33\r\npts/"), "{shown}");
        drop(master);
        assert_eq!(ended(&child)?, Exit::Status(9));
        child.signal(Ask::Kill);
        Ok(())
    }

    #[test]
    fn a_child_has_the_limit_of_descriptors_from_before() -> io::Result<()> {
        let _alone = DESCRIPTORS.lock();
        let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
        nix::sys::resource::setrlimit(
            nix::sys::resource::Resource::RLIMIT_NOFILE,
            hard.min(1000),
            hard,
        )?;
        host::raise_descriptor_limit()?;
        let before = host::descriptors_before().map_or(hard, |before| before.min(hard));
        let (limit, _) = run(&["/bin/sh", "-c", "ulimit -Sn"], &[])?;
        assert_eq!(limit.trim().parse(), Ok(before));
        Ok(())
    }

    #[test]
    fn a_whole_group_is_ended() -> io::Result<()> {
        let script = "sleep 100 & echo started; sleep 100";
        let (child, output) = start(&["/bin/sh", "-c", script], &["PATH=/bin"])?;
        assert_eq!(wait_readable(&[output.as_fd()], Some(10_000))?, [true]);
        let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(child.pid())))?;
        assert_eq!(group.as_raw(), child.pid());
        assert_eq!(child.status()?, None);
        assert_eq!(child.reap()?, None);
        child.signal(Ask::Terminate);
        assert_eq!(ended(&child)?, Exit::Signal(libc::SIGTERM));
        // The end of output means that nobody is left who could write.
        assert_eq!(all_of(&output)?, "started\n");
        Ok(())
    }

    #[test]
    fn what_ignores_a_request_to_end_is_killed() -> io::Result<()> {
        let script = "trap '' TERM; echo ready; while :; do sleep 100; done";
        let (child, output) = start(&["/bin/sh", "-c", script], &["PATH=/bin"])?;
        assert_eq!(wait_readable(&[output.as_fd()], Some(10_000))?, [true]);
        child.signal(Ask::Terminate);
        child.signal(Ask::Kill);
        assert_eq!(ended(&child)?, Exit::Signal(libc::SIGKILL));
        Ok(())
    }

    #[test]
    fn a_program_that_cannot_be_run_is_an_error() {
        let kind = |path| start(&[path], &[]).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(kind("/no/such/program"), Err(io::ErrorKind::NotFound));
        assert_eq!(kind("/dev/null"), Err(io::ErrorKind::PermissionDenied));
    }

    #[test]
    fn signals_have_the_names_of_the_shell() {
        assert_eq!(signal_name(libc::SIGKILL), "KILL");
        assert_eq!(signal_name(libc::SIGUSR1), "USR1");
        assert_eq!(signal_name(libc::SIGRTMIN()), "RTMIN");
        assert_eq!(signal_name(libc::SIGRTMIN() + 3), "RTMIN+3");
        assert_eq!(signal_name(32), "32");
        assert_eq!(signal_name(libc::SIGRTMAX() + 1), "65");
        assert_eq!(signal_name(0), "0");
    }
}
