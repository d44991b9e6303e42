//! Terminals (pty(7)). They edit no lines, echo nothing and translate nothing, and no character is
//! a signal; but a reader gets whole lines, and VEOF ends a line, or at its start the input.
//!
//! - With the last descriptor of the slave the master reads what is left, then EIO, and is HUP.
//!   Writing to it still succeeds, and nobody reads that.
//! - With the master the session's leader gets SIGHUP. Whoever still has the slave reads the end,
//!   and EIO comes of writing.

use std::collections::{BTreeMap, VecDeque};

use super::epoll::Ready;
use super::process::Pid;
use super::{Errno, Kernel};

/// A terminal.
pub type PtyId = usize;
/// What ends the input (VEOF).
pub const END_OF_INPUT: u8 = 4;
/// What an unfinished line may hold, in bytes.
const LINE_BYTES_MAX: usize = 4095;
/// What may wait to be read at either side, in bytes.
const BYTES_MAX: usize = 16 * 1024;

#[derive(Debug)]
struct Pty {
    /// What programs wrote.
    shown: VecDeque<u8>,
    /// What was typed.
    typed: VecDeque<u8>,
    has_master: bool,
    has_slave: bool,
    /// Whose controlling terminal it is.
    session: Option<Pid>,
    size: (u16, u16),
}

/// All terminals.
#[derive(Debug, Default)]
pub struct Ptys {
    ptys: BTreeMap<PtyId, Pty>,
    next: PtyId,
}

impl Pty {
    /// How much of what was typed is a line, with what ends it.
    fn line(&self) -> Option<usize> {
        let end = |byte: &u8| matches!(*byte, b'\n' | END_OF_INPUT);
        self.typed.iter().position(end).map(|end| end + 1)
    }
}

impl Ptys {
    fn get(&self, id: PtyId) -> &Pty {
        &self.ptys[&id]
    }

    fn get_mut(&mut self, id: PtyId) -> &mut Pty {
        self.ptys.get_mut(&id).expect("a terminal is there while one side is")
    }

    /// What the master is ready for.
    pub fn master_readiness(&self, id: PtyId) -> Ready {
        let pty = self.get(id);
        Ready {
            readable: !pty.shown.is_empty(),
            writable: !pty.has_slave || pty.typed.len() < BYTES_MAX,
            hung_up: !pty.has_slave,
            failed: false,
        }
    }

    /// What the slave is ready for.
    pub fn slave_readiness(&self, id: PtyId) -> Ready {
        let pty = self.get(id);
        Ready {
            readable: !pty.has_master || pty.line().is_some(),
            writable: !pty.has_master || pty.shown.len() < BYTES_MAX,
            hung_up: !pty.has_master,
            failed: false,
        }
    }

    /// How many terminals there are.
    pub fn open_count(&self) -> usize {
        self.ptys.len()
    }

    /// How many columns and rows a terminal has.
    pub fn size(&self, id: PtyId) -> Option<(u16, u16)> {
        self.ptys.get(&id).map(|pty| pty.size)
    }
}

impl Kernel {
    /// A new terminal, with its master open and no slave yet.
    pub fn new_pty(&mut self, columns: u16, rows: u16) -> PtyId {
        let id = self.ptys.next;
        self.ptys.next += 1;
        let pty = Pty {
            shown: VecDeque::new(),
            typed: VecDeque::new(),
            has_master: true,
            has_slave: false,
            session: None,
            size: (columns, rows),
        };
        self.ptys.ptys.insert(id, pty);
        id
    }

    /// The slave is opened.
    pub fn open_pty_slave(&mut self, id: PtyId) {
        self.ptys.get_mut(id).has_slave = true;
    }

    /// Makes it the controlling terminal of a session (TIOCSCTTY).
    pub fn control_pty(&mut self, id: PtyId, session: Pid) {
        self.ptys.get_mut(id).session = Some(session);
    }

    /// Sets its size. Programs that hear of it do nothing.
    pub fn pty_resize(&mut self, id: PtyId, columns: u16, rows: u16) {
        self.ptys.get_mut(id).size = (columns, rows);
        self.trace.note(self.now_us, format_args!("terminal {id} is {columns}x{rows}"));
        self.note_effect();
    }

    /// How many bytes are shown and were not read (FIONREAD).
    pub fn pty_shown_len(&self, id: PtyId) -> usize {
        self.ptys.get(id).shown.len()
    }

    /// Reads what is shown. EAGAIN: nothing; EIO: nothing will be.
    pub fn pty_master_read(&mut self, id: PtyId, bytes_max: usize) -> Result<Vec<u8>, Errno> {
        let most = self.ptys.get(id).shown.len().min(bytes_max);
        if most == 0 {
            return Err(if self.ptys.get(id).has_slave { libc::EAGAIN } else { libc::EIO });
        }
        let is_short = !self.is_calm && self.random.one_in(4);
        let count = if is_short { self.random.between(1, most) } else { most };
        let read = self.ptys.get_mut(id).shown.drain(..count).collect();
        self.note_effect();
        Ok(read)
    }

    /// Types. EAGAIN: too much waits to be read. What does not fit into a line is lost.
    pub fn pty_master_write(&mut self, id: PtyId, bytes: &[u8]) -> Result<usize, Errno> {
        let pty = self.ptys.get_mut(id);
        if !pty.has_slave {
            return Ok(bytes.len());
        }
        let mut count = 0;
        for byte in bytes {
            if pty.typed.len() >= BYTES_MAX {
                break;
            }
            let is_end = matches!(*byte, b'\n' | END_OF_INPUT);
            let line_start = |byte: &u8| matches!(*byte, b'\n' | END_OF_INPUT);
            let line = pty.typed.iter().rev().position(line_start).unwrap_or(pty.typed.len());
            if is_end || line < LINE_BYTES_MAX {
                pty.typed.push_back(*byte);
            }
            count += 1;
        }
        if count == 0 && !bytes.is_empty() {
            return Err(libc::EAGAIN);
        }
        self.note_effect();
        Ok(count)
    }

    /// A program reads: a line, or a part of it; nothing at the end. EAGAIN: it would wait. EIO can
    /// come of a hang-up, if it did wait.
    pub fn pty_slave_read(&mut self, id: PtyId, bytes_max: usize) -> Result<Vec<u8>, Errno> {
        let pty = self.ptys.get_mut(id);
        if !pty.has_master {
            let is_end = self.random.one_in(2);
            return if is_end { Ok(Vec::new()) } else { Err(libc::EIO) };
        }
        let line = pty.line().ok_or(libc::EAGAIN)?;
        let mut read: Vec<u8> = pty.typed.drain(..line.min(bytes_max)).collect();
        if read.last() == Some(&END_OF_INPUT) {
            read.pop();
        } else if read.len() < line && pty.typed.front() == Some(&END_OF_INPUT) {
            // It ends the line that was just read.
            pty.typed.pop_front();
        }
        self.note_effect();
        Ok(read)
    }

    /// A program writes. EAGAIN: it would wait; EIO: the master is closed.
    pub fn pty_slave_write(&mut self, id: PtyId, bytes: &[u8]) -> Result<usize, Errno> {
        let pty = self.ptys.get_mut(id);
        if !pty.has_master {
            return Err(libc::EIO);
        }
        let count = bytes.len().min(BYTES_MAX.saturating_sub(pty.shown.len()));
        if count == 0 && !bytes.is_empty() {
            return Err(libc::EAGAIN);
        }
        pty.shown.extend(&bytes[..count]);
        self.note_effect();
        Ok(count)
    }

    /// The last descriptor of the master is closed: it hangs up.
    pub fn close_pty_master(&mut self, id: PtyId) {
        let pty = self.ptys.get_mut(id);
        pty.has_master = false;
        let session = pty.session;
        self.forget_pty(id);
        if let Some(leader) = session {
            self.hang_up_leader(leader);
        }
    }

    /// The leader of a session has ended, and its terminal is nobody's. True: it had one.
    pub fn leave_terminal(&mut self, leader: Pid) -> bool {
        let of_session = |pty: &&mut Pty| pty.session == Some(leader);
        let found = self.ptys.ptys.values_mut().find(of_session);
        found.map(|pty| pty.session = None).is_some()
    }

    /// The last descriptor of the slave is closed.
    pub fn close_pty_slave(&mut self, id: PtyId) {
        self.ptys.get_mut(id).has_slave = false;
        self.forget_pty(id);
    }

    fn forget_pty(&mut self, id: PtyId) {
        let pty = self.ptys.get(id);
        if !pty.has_master && !pty.has_slave {
            self.ptys.ptys.remove(&id);
        }
        self.note_effect();
    }
}
