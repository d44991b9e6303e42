//! One connection for each request, as `nc -N` does it: connect, say one line, end the input, read
//! to the end. For downloads, and for commands, whose end shows in no other way in plain replies.
//!
//! What it does not do: compare every byte of a large output; see [`crate::fetch`].

use std::time::Instant;

use crate::Outcome;
use crate::fetch::{LARGE_BYTES, MIB, READ_BYTES, SAMPLED};
use crate::meter::{Figures, Meter, Plan};
use crate::net::{Got, Peer, Poller};
use crate::reply::Reply;
use crate::speech::Speech;
use crate::workload::{Target, file_bytes};

/// A request.
#[derive(Clone)]
pub enum Ask {
    /// A file, by its name.
    Download(String),
    /// A command, by its name.
    Run(String),
}

/// A workload of one connection for each request.
#[derive(Clone)]
pub struct Each {
    /// Clients at once.
    pub clients: usize,
    /// What is asked for.
    pub ask: Ask,
    /// The file that the reply has to be equal to; none for an empty reply.
    pub expected: Option<String>,
}

/// One client, and how much has come.
struct Client {
    peer: Peer,
    got: usize,
    number: u64,
    since: Instant,
}

/// What all clients share.
struct Work {
    target: Target,
    request: String,
    reply: Reply,
    started: u64,
}

impl Work {
    fn start(&mut self) -> Outcome<Client> {
        let since = Instant::now();
        let number = self.started;
        self.started += 1;
        let peer = Peer::connect_from(self.target.address, number)?;
        peer.send(self.request.as_bytes())?;
        // The web ends a connection whose client says that it is done; there, a header says so.
        if self.target.speech != Speech::Http {
            peer.end_input()?;
        }
        Ok(Client { peer, got: 0, number, since })
    }

    fn large(&self) -> bool {
        self.reply.len() >= LARGE_BYTES
    }
}

impl Client {
    /// Reads on, and checks; how many bytes came, and none at a rightful end.
    fn advance(&mut self, work: &Work, buffer: &mut [u8], wait: bool) -> Outcome<Option<usize>> {
        let sampled = !work.large() || self.number.is_multiple_of(SAMPLED);
        let got = if sampled {
            self.peer.receive(buffer, wait)?
        } else {
            self.peer.discard(buffer, wait)?
        };
        let bytes = match got {
            Got::Bytes(bytes) => bytes,
            Got::Nothing => return Ok(Some(0)),
            Got::End if self.got == work.reply.len() => return Ok(None),
            Got::End => return Err(format!("the reply ended after {} bytes", self.got).into()),
        };
        let until = self.got + bytes;
        if !work.reply.is(self.got, &buffer[..bytes], sampled) {
            let text = String::from_utf8_lossy(&buffer[..bytes.min(80)]);
            return Err(format!("the reply differs near byte {}: {text:?}", self.got).into());
        }
        self.got = until;
        Ok(Some(bytes))
    }
}

impl Each {
    /// Runs it.
    ///
    /// # Errors
    /// The system's, a wrong reply, or no progress.
    pub fn run(&self, target: &Target, plan: &Plan) -> Outcome<Figures> {
        let reply = self.expected.as_deref().map(file_bytes).transpose()?.unwrap_or_default();
        let (speech, mut head) = (target.speech, Vec::new());
        let request = match &self.ask {
            Ask::Run(command) => speech.run(command),
            Ask::Download(name) => {
                head = speech.head(&Peer::connect(target.address)?, name, true)?;
                speech.download(name, true)
            }
        };
        let reply = Reply::new(head, &reply);
        let mut work = Work { target: *target, request, reply, started: 0 };
        let unit = if work.large() { "MiB" } else { "request" };
        let alone = self.clients == 1;
        let mut poller = Poller::new()?;
        let mut clients = Vec::new();
        for key in 0..self.clients {
            clients.push(work.start()?);
            poller.add(&clients[key].peer, key)?;
        }
        let mut meter = Meter::start(plan, target.pid, unit)?;
        let mut buffer = vec![0; READ_BYTES];
        let mut ready = vec![0];
        loop {
            if !alone {
                ready.clear();
                ready.extend(poller.wait(None)?);
            }
            for &key in &ready {
                let step = clients[key].advance(&work, &mut buffer, alone)?;
                match step {
                    Some(bytes) if work.large() => meter.add(bytes as f64 / MIB),
                    Some(_) => {}
                    None => {
                        meter.took(clients[key].since.elapsed());
                        if !work.large() {
                            meter.add(1.0);
                        }
                        clients[key] = work.start()?;
                        if !alone {
                            poller.add(&clients[key].peer, key)?;
                        }
                    }
                }
            }
            let now = Instant::now();
            if !meter.goes_on(now)? {
                return meter.finish(now);
            }
        }
    }
}
