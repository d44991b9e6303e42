//! Downloads over connections that stay open: one request at a time on each, its bytes counted and
//! compared with the file.
//!
//! What it does not do: compare every byte of a large file. The first reply on each connection, and
//! then one in [`SAMPLED`], is compared; of the others the length alone is certain, because the
//! receiver's copying would otherwise be what is measured.

use std::time::Instant;

use crate::Outcome;
use crate::meter::{Figures, Meter, Plan};
use crate::net::{Got, Peer, Poller};
use crate::reply::Reply;
use crate::workload::{Target, file_bytes};

/// Files from this size on are sampled.
pub const LARGE_BYTES: usize = 256 * 1024;
/// One reply in so many is compared, where they are sampled.
pub const SAMPLED: u64 = 16;
/// Room for one read; large, so that a discarding read takes all there is.
pub const READ_BYTES: usize = 4 * 1024 * 1024;
/// Bytes in the unit of large files.
pub const MIB: f64 = 1_048_576.0;

/// A download workload on kept connections.
#[derive(Clone)]
pub struct Fetch {
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Where the file is, for comparison.
    pub path: String,
    /// What it is called below the server's root.
    pub name: String,
    /// How many files there are of that content: more than one are called `NAME-0` and so on, and
    /// the connections take turns among them.
    pub files: usize,
    /// Replies in frames; only for files that come in one `data` frame.
    pub framed: bool,
}

/// One connection, and how much of its reply has come.
struct Fetcher {
    peer: Peer,
    request: String,
    got: usize,
    replies: u64,
    since: Instant,
}

impl Fetch {
    /// Runs it.
    ///
    /// # Errors
    /// The system's, a wrong reply, or no progress.
    pub fn run(&self, target: &Target, plan: &Plan) -> Outcome<Figures> {
        let content = file_bytes(&self.path)?;
        let large = content.len() >= LARGE_BYTES;
        let speech = target.speech;
        let reply = if self.framed {
            Reply::new(self.framed_reply(target, &content)?, &[])
        } else {
            let head = speech.head(&Peer::connect(target.address)?, &self.name_for(0), false)?;
            Reply::new(head, &content)
        };
        let mut fetchers = Vec::new();
        let mut poller = Poller::new()?;
        let start = Instant::now();
        for key in 0..self.connections {
            let peer = Peer::connect(target.address)?;
            if self.framed {
                peer.ask("landline/1\n", "done 0 landline=1")?;
            }
            poller.add(&peer, key)?;
            let request = speech.download(&self.name_for(key), false);
            peer.send(request.as_bytes())?;
            fetchers.push(Fetcher { peer, request, got: 0, replies: 0, since: start });
        }
        let mut meter = Meter::start(plan, target.pid, if large { "MiB" } else { "file" })?;
        let mut buffer = vec![0; READ_BYTES];
        let alone = self.connections == 1;
        let mut ready = vec![0];
        loop {
            if !alone {
                ready.clear();
                ready.extend(poller.wait(None)?);
            }
            for &key in &ready {
                let bytes = fetchers[key].advance(&reply, &mut buffer, alone, large)?;
                let done = fetchers[key].got == reply.len();
                match (large, done) {
                    (true, _) => meter.add(bytes as f64 / MIB),
                    (false, true) => meter.add(1.0),
                    (false, false) => {}
                }
                if done {
                    fetchers[key].again(&mut meter)?;
                }
            }
            let now = Instant::now();
            if !meter.goes_on(now)? {
                return meter.finish(now);
            }
        }
    }

    /// What the file of a connection is called.
    fn name_for(&self, connection: usize) -> String {
        if self.files == 1 {
            return self.name.clone();
        }
        format!("{}-{}", self.name, connection % self.files)
    }

    /// The reply in frames is learnt once, and has to hold the file.
    fn framed_reply(&self, target: &Target, content: &[u8]) -> Outcome<Vec<u8>> {
        let peer = Peer::connect(target.address)?;
        peer.send(format!("landline/1\ndownload {}\nquit\n", self.name_for(0)).as_bytes())?;
        let mut all = Vec::new();
        let mut buffer = vec![0; READ_BYTES];
        while let Got::Bytes(bytes) = peer.receive(&mut buffer, true)? {
            all.extend_from_slice(&buffer[..bytes]);
        }
        let hello = all.iter().position(|&byte| byte == b'\n').ok_or("no reply")? + 1;
        let reply = all[hello..].strip_suffix(b"done 0\n").ok_or("no final frame")?;
        let data = [format!("data {}\n", content.len()).as_bytes(), content].concat();
        let whole =
            reply.starts_with(b"file 0 ") && reply.windows(data.len()).any(|window| window == data);
        if whole { Ok(reply.to_vec()) } else { Err("the frames do not hold the file".into()) }
    }
}

impl Fetcher {
    /// Reads on, and checks; how many bytes came.
    fn advance(
        &mut self,
        reply: &Reply,
        buffer: &mut [u8],
        wait: bool,
        large: bool,
    ) -> Outcome<usize> {
        let sampled = !large || self.replies.is_multiple_of(SAMPLED);
        let got = if sampled {
            self.peer.receive(buffer, wait)?
        } else {
            self.peer.discard(buffer, wait)?
        };
        let bytes = match got {
            Got::Bytes(bytes) => bytes,
            Got::Nothing => return Ok(0),
            Got::End => return Err("the server closed a connection".into()),
        };
        let until = self.got + bytes;
        if !reply.is(self.got, &buffer[..bytes], sampled) {
            return Err(format!("the file differs near byte {}", self.got).into());
        }
        self.got = until;
        Ok(bytes)
    }

    fn again(&mut self, meter: &mut Meter) -> Outcome<()> {
        let now = Instant::now();
        meter.took(now - self.since);
        self.since = now;
        self.got = 0;
        self.replies += 1;
        Ok(self.peer.send(self.request.as_bytes())?)
    }
}
