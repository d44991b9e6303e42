//! A peer as a transcript: what it says, and what it must be told.
//!
//! What it does not do: skip anything. Each byte that arrives is accounted for by an expectation,
//! so that a byte too many is found by the next one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::stream::Stream;
use super::{PATIENCE, show};

/// One connection to the program.
pub(crate) struct Peer {
    stream: Stream,
    inbox: Vec<u8>,
    steps: u32,
}

impl Peer {
    /// Connects over TCP.
    #[track_caller]
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        Self::new(Stream::tcp(address).expect("the listener takes a connection"))
    }

    /// Connects over IPv4 with a small receive window: a slow reader.
    #[track_caller]
    pub(crate) fn narrow(address: SocketAddr) -> Self {
        Self::new(Stream::narrow(address).expect("the listener takes a connection"))
    }

    /// Connects to a Unix socket.
    #[track_caller]
    pub(crate) fn unix(path: &Path) -> Self {
        Self::new(Stream::unix(path).expect("the listener takes a connection"))
    }

    fn new(stream: Stream) -> Self {
        stream.set_patience(PATIENCE).expect("sockets take time-outs");
        Self { stream, inbox: Vec::new(), steps: 0 }
    }

    /// Our own address as the server sees it, over TCP.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_address().expect("a TCP peer has an address")
    }

    /// Sends bytes, exactly these.
    #[track_caller]
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes what is said");
    }

    /// Another handle on the connection, to send through from a thread.
    pub(crate) fn second_handle(&self) -> Stream {
        self.stream.try_clone().expect("a socket can be duplicated")
    }

    /// Sends bytes from a thread, for more than the sockets hold while nobody reads. The thread's
    /// answer is what became of it.
    pub(crate) fn say_aside(&self, bytes: Vec<u8>) -> JoinHandle<io::Result<()>> {
        let mut stream = self.second_handle();
        std::thread::spawn(move || stream.write_all(&bytes))
    }

    /// Sends as much of `bytes` as is taken within `patience`, and says how much that was.
    pub(crate) fn say_what_fits(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.stream.set_patience(patience).expect("sockets take time-outs");
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.stream.set_patience(PATIENCE).expect("sockets take time-outs");
        sent
    }

    /// Sends `piece` again and again, some in a second, until the server says something or ends the
    /// connection.
    #[track_caller]
    pub(crate) fn dribble(&mut self, piece: &str) {
        self.stream.set_patience(Duration::from_millis(50)).expect("sockets take time-outs");
        let deadline = Instant::now() + PATIENCE;
        // A reset can come at a write as well as at a read.
        while self.stream.write_all(piece.as_bytes()).is_ok() {
            match self.read_some() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
            assert!(Instant::now() < deadline, "{piece:?} was sent in vain");
        }
        self.stream.set_patience(PATIENCE).expect("sockets take time-outs");
    }

    /// One read. 0 is the end of what the server sends.
    #[track_caller]
    fn read_some(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(count) => {
                    self.inbox.extend_from_slice(&buffer[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads on for an expectation that is not met yet.
    #[track_caller]
    fn read_for(&mut self, wanted: &str) {
        match self.read_some() {
            Ok(0) => panic!("expected {wanted}, came {} and the end", show(&self.inbox)),
            Ok(_) => {}
            Err(error) => panic!("expected {wanted}, came {} and {error}", show(&self.inbox)),
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.inbox.split_off(count);
        std::mem::replace(&mut self.inbox, rest)
    }

    /// The next bytes are exactly these.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let wanted = bytes.as_ref();
        loop {
            let common = wanted.len().min(self.inbox.len());
            assert!(
                self.inbox[..common] == wanted[..common],
                "expected {}, came {}",
                show(wanted),
                show(&self.inbox)
            );
            if common == wanted.len() {
                self.take(common);
                return;
            }
            self.read_for(&show(wanted));
        }
    }

    /// The next bytes, `count` of them, whatever they are.
    #[track_caller]
    pub(crate) fn expect_bytes(&mut self, count: usize) -> Vec<u8> {
        while self.inbox.len() < count {
            self.read_for(&format!("{count} bytes"));
        }
        self.take(count)
    }

    /// The next bytes have this form: `#` stands for a digit, all else for itself.
    #[track_caller]
    pub(crate) fn expect_matching(&mut self, pattern: &str) -> String {
        loop {
            let common = pattern.len().min(self.inbox.len());
            let matches = pattern.bytes().zip(&self.inbox).all(|(wanted, byte)| {
                if wanted == b'#' { byte.is_ascii_digit() } else { wanted == *byte }
            });
            assert!(matches, "expected {pattern:?}, came {}", show(&self.inbox));
            if common == pattern.len() {
                return String::from_utf8(self.take(common)).expect("patterns are UTF-8");
            }
            self.read_for(pattern);
        }
    }

    /// The next line, without its `\n`; bytes that are not UTF-8 are replaced.
    #[track_caller]
    pub(crate) fn expect_line(&mut self) -> String {
        let mut searched = 0;
        loop {
            if let Some(at) = self.inbox[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.take(searched + at + 1);
                return String::from_utf8_lossy(&line[..line.len() - 1]).into_owned();
            }
            searched = self.inbox.len();
            self.read_for("a line");
        }
    }

    /// The next line is `error CODE: TEXT`, without a control character. Gives TEXT.
    #[track_caller]
    pub(crate) fn expect_error(&mut self, code: &str) -> String {
        let line = self.expect_line();
        let start = format!("error {code}: ");
        let Some(text) = line.strip_prefix(&start) else {
            panic!("expected {start:?}…, came {line:?}");
        };
        assert!(!text.is_empty(), "an error says what is wrong: {line:?}");
        assert!(!line.chars().any(char::is_control), "a control character in {line:?}");
        text.to_string()
    }

    /// Nothing came before this: a line is echoed, and its echo is what comes next. For `line`.
    #[track_caller]
    pub(crate) fn expect_in_step(&mut self) {
        self.steps += 1;
        let marker = format!("=step {}\n", self.steps);
        self.say(&marker);
        self.expect(&marker);
    }

    /// Says a name on a `line` listener, and expects the greeting of a server named so.
    #[track_caller]
    pub(crate) fn take_name(&mut self, user: &str, server: &str) {
        self.say(format!("name {user}\n"));
        self.expect_matching(&format!("connected to {server} as {user} at {}\n", super::STAMP));
    }

    /// The server sends nothing more, and closed in order.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.expect_rest();
        assert!(rest.is_empty(), "expected the end, came {}", show(&rest));
    }

    /// Everything up to the end, which comes in order.
    #[track_caller]
    pub(crate) fn expect_rest(&mut self) -> Vec<u8> {
        loop {
            match self.read_some() {
                Ok(0) => return std::mem::take(&mut self.inbox),
                Ok(_) => {}
                Err(error) => panic!("expected the end, came {} and {error}", show(&self.inbox)),
            }
        }
    }

    /// The connection is reset. Gives what came before.
    #[track_caller]
    pub(crate) fn expect_reset(&mut self) -> Vec<u8> {
        loop {
            match self.read_some() {
                Ok(0) => panic!("expected a reset, came {} and the end", show(&self.inbox)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return std::mem::take(&mut self.inbox);
                }
                Err(error) => panic!("expected a reset, came {error}"),
            }
        }
    }

    /// The connection ends, in order or by a reset. Gives what came before.
    #[track_caller]
    pub(crate) fn expect_gone(&mut self) -> Vec<u8> {
        loop {
            match self.read_some() {
                Ok(0) => return std::mem::take(&mut self.inbox),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "expected the end");
                    return std::mem::take(&mut self.inbox);
                }
            }
        }
    }

    /// Reads `count` bytes without keeping them. `look` sees each piece and where it stands.
    #[track_caller]
    pub(crate) fn expect_stream(&mut self, count: u64, mut look: impl FnMut(u64, &[u8])) {
        let mut at = 0;
        while at < count {
            if self.inbox.is_empty() {
                self.read_for(&format!("{count} bytes, {at} of them read"));
            }
            let left = usize::try_from(count - at).unwrap_or(usize::MAX);
            let piece = self.take(left.min(self.inbox.len()));
            look(at, &piece);
            at += u64::try_from(piece.len()).expect("a usize fits 64 bits");
        }
    }

    /// Reads `count` bytes without looking at them, as fast as the kernel can. Over TCP alone.
    #[track_caller]
    pub(crate) fn skip(&mut self, count: u64) {
        let kept = self.inbox.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        self.take(kept);
        let mut left = count - u64::try_from(kept).expect("a usize fits 64 bits");
        let mut buffer = vec![0; 1 << 20];
        while left > 0 {
            let piece = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match self.stream.discard(&mut buffer[..piece]) {
                Ok(0) => panic!("expected {count} bytes, came the end {left} bytes before"),
                Ok(read) => left -= u64::try_from(read).expect("a usize fits 64 bits"),
                Err(error) => panic!("expected {count} bytes, came {error} {left} bytes before"),
            }
        }
    }

    /// Gives a narrow peer room again.
    pub(crate) fn widen(&self) {
        self.stream.widen().expect("a socket takes SO_RCVBUF");
    }

    /// No more requests: the sending side is shut down, the other stays open.
    #[track_caller]
    pub(crate) fn half_close(&mut self) {
        self.stream.shutdown_write().expect("a connected socket can be shut down");
    }

    /// Goes away at once, with a reset.
    pub(crate) fn reset(self) {
        self.stream.reset().expect("a socket takes SO_LINGER");
    }
}
