//! What tests share: places of their own in the file system, descriptors to try things on, and
//! waiting for what a closed descriptor leads to.
//!
//! It exists in tests only. What is `pub(crate)` is for the tests of the layers above, which have
//! no other way to the operating system.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::poll::wait_any;

/// Held by tests that make descriptors which are not close-on-exec, or count a child's.
pub(super) static DESCRIPTORS: Mutex<()> = Mutex::new(());

/// Waits for what follows from closing a descriptor: a child that another test is starting has a
/// duplicate of it until it runs its program.
#[expect(clippy::disallowed_methods, reason = "waiting has an end")]
pub(super) fn until(mut holds: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let start = Instant::now();
    while !holds()? {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came to hold");
        yield_now();
    }
    Ok(())
}

/// Waits until the far end of a pipe, socket or terminal is closed.
pub(super) fn wait_closed(near: BorrowedFd<'_>) -> io::Result<()> {
    until(|| Ok(wait_any(&[(near, false, false)], Some(0))? == [true]))
}

/// A directory of its own for one test, gone with it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("landline-sys-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a file of that name with this content, or gives the file it.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        fs::write(self.0.join(name), content)
    }

    /// Opens the file of that name, to be read.
    pub(crate) fn open(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(fs::File::open(self.0.join(name))?.into())
    }
}

/// A nonblocking TCP socket whose peer has reset the connection.
pub(crate) fn reset_socket() -> io::Result<OwnedFd> {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let far = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (mut near, _) = listener.accept()?;
    near.write_all(b"x")?;
    // What arrived and was not read makes a reset of the end (RFC 1122, 4.2.2.13).
    far.set_nonblocking(true)?;
    until(|| Ok(far.peek(&mut [0]).is_ok()))?;
    drop(far);
    near.set_nonblocking(true)?;
    wait_closed(near.as_fd())?;
    Ok(near.into())
}

/// Both ends of a stream; the near one is non-blocking.
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    Ok((near.into(), far.into()))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left_behind_at_worst = fs::remove_dir_all(&self.0);
    }
}

/// Makes the kernel answer `errno` to each call of that number (`libc::SYS_…`) that the calling
/// thread makes, for good (seccomp(2)).
pub(super) fn deny(number: libc::c_long, errno: Errno) -> io::Result<()> {
    let number = u32::try_from(number).expect("numbers of system calls are small");
    let errno = u32::try_from(errno as i32).expect("errnos are small and positive");
    let step = |code: u32, jt, jf, k| {
        let code = u16::try_from(code).expect("BPF has 16 bits for a code");
        libc::sock_filter { code, jt, jf, k }
    };
    let mut steps = [
        // The first word of struct seccomp_data is the system call's number.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: `program` and the four steps it points to outlive the call, which copies them.
    let denied = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    Errno::result(denied)?;
    Ok(())
}

/// The same for the calls that read a directory: what the layers above try out.
pub(crate) fn deny_reading_directories(errno: i32) -> io::Result<()> {
    deny(libc::SYS_getdents64, Errno::from_raw(errno))
}

/// The same for fsync(2).
pub(crate) fn deny_fsync(errno: i32) -> io::Result<()> {
    deny(libc::SYS_fsync, Errno::from_raw(errno))
}

/// The same for renameat2(2), as on a file system that is older than the call.
pub(crate) fn deny_renameat2(errno: i32) -> io::Result<()> {
    deny(libc::SYS_renameat2, Errno::from_raw(errno))
}

/// A directory to serve, with something of every kind and links of every kind, and a neighbour that
/// is not to be served.
pub(super) fn tree() -> io::Result<(Scratch, PathBuf)> {
    let scratch = Scratch::new()?;
    let served = scratch.path().join("served");
    fs::create_dir_all(served.join("dir/deep"))?;
    fs::write(scratch.path().join("outside"), "outside")?;
    fs::write(served.join("file"), "file")?;
    fs::write(served.join("dir/inner"), "inner")?;
    for (target, link) in [
        ("file", "link"),
        ("./link", "chain"),
        ("dir/deep/../../file", "around"),
        ("../file", "dir/up"),
        ("dir", "dirlink"),
        ("dir/", "dirslash"),
        ("loop", "loop"),
        ("nothing", "dangling"),
        ("../outside", "out"),
        ("../served/file", "out-and-in"),
        ("dirlink/../../outside", "sly"),
        ("/etc/passwd", "absolute"),
        ("/proc/self/root", "magic"),
    ] {
        symlink(target, served.join(link))?;
    }
    symlink(served.join("file"), served.join("absolute-inside"))?;
    mkfifo(&served.join("fifo"), Mode::S_IRWXU)?;
    drop(UnixListener::bind(served.join("socket"))?);
    Ok((scratch, served))
}
