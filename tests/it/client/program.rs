//! The client as a child process, to be run to its end or talked with; and a server of one script.
//!
//! What it does not do: frames. A script's bytes are what the client gets.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use nix::sys::signal::Signal;
use nix::sys::socket::{Shutdown, shutdown};

pub(crate) use crate::support::scratch::names;
use crate::support::{PATIENCE, Peer, Scratch, process, server, show};

/// What a client did, start to end.
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Outcome {
    /// It ended with this status, and this on standard output.
    #[track_caller]
    pub(crate) fn expect(&self, status: i32, out: impl AsRef<[u8]>) {
        let out = out.as_ref();
        let is_right = self.status == Some(status) && self.out == out;
        assert!(
            is_right,
            "expected {status} and {}, came {:?}, {} and {:?}",
            show(out),
            self.status,
            show(&self.out),
            self.err
        );
    }

    /// It ended with this status, nothing on standard output, and one line about it.
    #[track_caller]
    pub(crate) fn expect_failure(&self, status: i32, text: &str) {
        self.expect(status, "");
        let line = self.err.strip_suffix('\n').unwrap_or("no line");
        assert!(line.starts_with("landline: ") && line.contains(text), "{:?}", self.err);
        assert!(!line.chars().any(char::is_control), "{:?}", self.err);
    }
}

/// Runs `landline ARGS` in `folder` to its end.
#[track_caller]
pub(crate) fn run(folder: &Scratch, args: &[&str]) -> Outcome {
    run_with(folder, args, b"")
}

/// The same, with something on standard input.
#[track_caller]
pub(crate) fn run_with(folder: &Scratch, args: &[&str], input: &[u8]) -> Outcome {
    let mut command = server::program();
    command.args(args).current_dir(folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("its standard input is a pipe");
    let input = input.to_vec();
    // A client that failed early reads nothing.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let out = read_aside(child.stdout.take().expect("its standard output is a pipe"));
    let err = read_aside(child.stderr.take().expect("its standard error is a pipe"));
    let status = end(&mut child);
    writer.join().expect("the writer does not panic");
    let [out, err] = [out, err].map(|all| all.join().expect("the reader does not panic"));
    Outcome { status, out, err: String::from_utf8(err).expect("what it says is UTF-8") }
}

fn read_aside(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        pipe.read_to_end(&mut all).expect("a pipe can be read");
        all
    })
}

#[track_caller]
fn end(child: &mut Child) -> Option<i32> {
    let status = process::wait_within(child, PATIENCE);
    if status.is_none() {
        drop(child.kill());
        drop(child.wait());
        panic!("the client did not end");
    }
    status.and_then(|status| status.code())
}

/// A client that is talked with: `talk` is its standard input and output.
pub(crate) struct Client {
    child: Child,
    pub(crate) talk: Peer,
}

impl Client {
    /// Starts `landline ARGS` in `folder`.
    #[track_caller]
    pub(crate) fn start(folder: &Scratch, args: &[&str]) -> Self {
        let path = folder.join(".talk");
        let listener = UnixListener::bind(&path).expect("the scratch takes a socket");
        let talk = Peer::unix(&path);
        let (end, _) = listener.accept().expect("somebody connected");
        std::fs::remove_file(&path).expect("the socket can be removed");
        let [stdin, stdout] = [&end, &end].map(|end| {
            let end = end.try_clone().expect("a socket can be duplicated");
            Stdio::from(OwnedFd::from(end))
        });
        let mut command = server::program();
        command.args(args).current_dir(folder.path());
        command.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        Self { child, talk }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(&self.child, signal);
    }

    /// Nobody reads what it writes any more.
    pub(crate) fn close_talk(&self) {
        let talk = self.talk.second_handle();
        shutdown(talk.as_fd().as_raw_fd(), Shutdown::Both).expect("a socket can be shut down");
    }

    /// It ends by itself, with this status. Gives what it said on standard error.
    #[track_caller]
    pub(crate) fn expect_exit(mut self, expected: i32) -> String {
        let err = read_aside(self.child.stderr.take().expect("its standard error is a pipe"));
        let status = end(&mut self.child);
        let err = err.join().expect("the reader does not panic");
        let err = String::from_utf8(err).expect("what it says is UTF-8");
        assert_eq!(status, Some(expected), "{err:?}");
        err
    }
}

impl Client {
    /// It ends somehow.
    #[track_caller]
    pub(crate) fn expect_end(mut self) {
        end(&mut self.child);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // After it was waited for, neither does anything.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The answer to `landline/1` that a script gives.
const HELLO: &str = "done 0 landline=1 server=fake caps=download,run,chat\n";

/// One connection of a server that acts by a script.
pub(crate) struct Fake {
    stream: BufReader<TcpStream>,
}

impl Fake {
    /// A server whose first connection is handed to `script`. Gives where it listens.
    pub(crate) fn serve(
        script: impl FnOnce(&mut Self) + Send + 'static,
    ) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address: SocketAddr = listener.local_addr().expect("it is bound");
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("the client connects");
            stream.set_read_timeout(Some(PATIENCE)).expect("sockets take time-outs");
            script(&mut Self { stream: BufReader::new(stream) });
        });
        (address.to_string(), thread)
    }

    /// The next line is this.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        let mut came = String::new();
        self.stream.read_line(&mut came).expect("the client says something");
        assert_eq!(came, format!("{line}\n"));
    }

    /// Reads so many bytes, whatever they are.
    #[track_caller]
    pub(crate) fn skip(&mut self, count: usize) {
        self.stream.read_exact(&mut vec![0; count]).expect("so much comes");
    }

    /// Reads up to this line, or to the end.
    pub(crate) fn skip_to(&mut self, line: &str) {
        let mut came = String::new();
        let is_it = |came: &String| came.trim_end() == line;
        while !is_it(&came) {
            came.clear();
            if !matches!(self.stream.read_line(&mut came), Ok(1..)) {
                return;
            }
        }
    }

    /// Sends bytes; the client may have gone meanwhile.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        drop(self.stream.get_mut().write_all(bytes.as_ref()));
    }

    /// Shakes hands and takes a request.
    #[track_caller]
    pub(crate) fn greet(&mut self, request: &str) {
        self.expect("landline/1");
        self.say(HELLO);
        self.expect(request);
    }

    /// Sends back what comes, until the client has gone.
    pub(crate) fn echo(&mut self) {
        let mut back = self.stream.get_ref().try_clone().expect("sockets can be duplicated");
        // A reset is a way to go too.
        drop(std::io::copy(&mut self.stream, &mut back));
    }

    /// Says nothing more.
    pub(crate) fn half_close(&mut self) {
        drop(self.stream.get_mut().shutdown(std::net::Shutdown::Write));
    }

    /// Waits until the client has gone.
    #[track_caller]
    pub(crate) fn expect_gone(&mut self) {
        let mut rest = Vec::new();
        // A reset is a way to go too.
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the client stays");
        }
    }
}

/// A way to a server that lets so much through, and then nothing but the end.
pub(crate) struct Relay;

impl Relay {
    /// One connection to `server`, of whose replies `limit` bytes come through. Gives where to
    /// connect.
    pub(crate) fn start(server: SocketAddr, limit: u64) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address: SocketAddr = listener.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            let (client, _) = listener.accept().expect("the client connects");
            let server = TcpStream::connect(server).expect("the server listens");
            let [mut from, mut to] = [&client, &server]
                .map(|stream| stream.try_clone().expect("sockets can be duplicated"));
            std::thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
            drop(std::io::copy(&mut (&server).take(limit), &mut &client));
            drop(std::io::copy(&mut &server, &mut std::io::sink()));
            drop(client.shutdown(std::net::Shutdown::Both));
        });
        address.to_string()
    }
}

/// Every byte value, in an order that repeats at no power of two.
pub(crate) fn content(size: u32) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 251).expect("below 256")).collect()
}
