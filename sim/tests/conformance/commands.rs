//! Runs a script of calls on commands, their pipes and terminals: the same text for both kernels.

use std::ffi::CString;
use std::io;

use super::sys::family::{Process, ProcessTable, of_command};
use super::sys::fd::{AsFd as _, BorrowedFd, OwnedFd};
use super::sys::process::{Child, Exit, Spawn, SpawnError, Standard, spawn};
use super::sys::signal::Ask;
use super::sys::{copy, pipe, poll, pty};
use super::{program, text};
use crate::calls::{Came, came};
use crate::command_calls::{CommandCall, Program, SLOTS, Task, Told};

/// A command that was started, and what is left of it.
struct Running {
    child: Child,
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    is_terminal: bool,
    is_reaped: bool,
}

pub(crate) struct Runner {
    slots: Vec<Option<Running>>,
}

/// What a command looks like: whether it has ended, and of its input and output whether they are
/// ready and over, and how much there is to read.
type Look = (bool, Option<(bool, bool)>, Option<(bool, bool, usize)>);

fn is(fd: BorrowedFd<'_>, read: bool, write: bool) -> bool {
    poll::wait_any(&[(fd, read, write)], Some(0)).expect("poll works")[0]
}

fn processes() -> Vec<Process> {
    ProcessTable::new().look().expect("there are descriptors")
}

impl Runner {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect() }
    }

    /// What every command looks like.
    pub(crate) fn looks(&self) -> Vec<Option<Look>> {
        let look = |running: &Running| {
            let input = running.input.as_ref().map(OwnedFd::as_fd);
            let output = running.output.as_ref().map(OwnedFd::as_fd);
            let held = |fd| copy::bytes_readable(fd).expect("it holds bytes");
            (
                is(running.child.as_fd(), true, false),
                input.map(|fd| (is(fd, false, true), is(fd, false, false))),
                output.map(|fd| (is(fd, true, false), is(fd, false, false), held(fd))),
            )
        };
        self.slots.iter().map(|slot| slot.as_ref().map(look)).collect()
    }

    pub(crate) fn run(&mut self, call: CommandCall) -> Came {
        match call {
            CommandCall::Start(program, task) => self.start(program, task, false),
            CommandCall::StartOnTerminal(task) => self.start(Program::Shell, task, true),
            CommandCall::Signal(slot, _)
            | CommandCall::Write(slot, _)
            | CommandCall::EndInput(slot)
            | CommandCall::CloseInput(slot)
            | CommandCall::Read(slot)
            | CommandCall::CloseOutput(slot)
            | CommandCall::Status(slot)
            | CommandCall::Reap(slot)
            | CommandCall::HasLeft(slot)
            | CommandCall::Family(slot) => match &mut self.slots[slot] {
                Some(running) => running.run(call),
                None => Came::Nothing,
            },
        }
    }

    fn start(&mut self, wanted: Program, task: Task, is_terminal: bool) -> Came {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_none()) else {
            return Came::Nothing;
        };
        let program = program(wanted);
        let words = ["sh", "-c", text(task)];
        let arguments = words.map(|word| CString::new(word).expect("it holds no NUL"));
        let environment = [CString::from(c"PATH=/usr/bin:/bin")];
        let start = |standard| {
            spawn(&Spawn {
                program: &program,
                arguments: &arguments,
                environment: &environment,
                standard,
            })
            .map_err(|error| match error {
                SpawnError::Refused(error) | SpawnError::Failed(error) => error,
            })
        };
        let (input, output, child) = if is_terminal {
            let (master, slave) = pty::new_pty(80, 24).expect("a terminal");
            let twin = master.try_clone().expect("a duplicate");
            (master, twin, start(Standard::Terminal(slave.as_fd())))
        } else {
            let (stdin, input) = pipe::new_input_pipe().expect("a pipe");
            let (output, stdout) = pipe::new_pipe().expect("a pipe");
            let streams = Standard::Streams {
                input: Some(stdin.as_fd()),
                output: stdout.as_fd(),
                error: stdout.as_fd(),
            };
            (input, output, start(streams))
        };
        came(child, |child| {
            let (input, output) = (Some(input), Some(output));
            *slot = Some(Running { child, input, output, is_terminal, is_reaped: false });
            Came::Nothing
        })
    }
}

impl Running {
    fn run(&mut self, call: CommandCall) -> Came {
        match call {
            CommandCall::Signal(_, told) => {
                self.child.signal(match told {
                    Told::Terminate => Ask::Terminate,
                    Told::HangUp => Ask::HangUp,
                    Told::Kill => Ask::Kill,
                });
            }
            CommandCall::CloseInput(_) => self.input = None,
            CommandCall::CloseOutput(_) => self.output = None,
            CommandCall::Write(_, bytes) => return self.write(bytes.as_bytes()),
            CommandCall::EndInput(_) if self.is_terminal => {
                let Some(input) = &self.input else { return Came::Nothing };
                return match pty::end_of_input(input.as_fd()) {
                    Ok(end) => self.write(&end),
                    Err(error) => came::<()>(Err(error), |()| Came::Nothing),
                };
            }
            CommandCall::Read(_) => {
                let Some(output) = &self.output else { return Came::Nothing };
                let mut buffer = vec![0; 100];
                let read = if self.is_terminal { pty::read } else { copy::read };
                let read = read(output.as_fd(), &mut buffer);
                return came(read, |count| Came::Bytes(buffer[..count].to_vec()));
            }
            CommandCall::Status(_) => return self.ended(self.child.status()),
            CommandCall::Reap(_) => {
                let exit = self.child.reap();
                self.is_reaped |= !matches!(exit, Ok(None));
                return self.ended(exit);
            }
            CommandCall::HasLeft(_) if self.is_reaped => return Came::Is(self.child.has_left()),
            CommandCall::Family(_) => {
                let family = of_command(&processes(), self.child.pid(), self.is_reaped, &[]);
                return Came::Count(family.len());
            }
            _ => {}
        }
        Came::Nothing
    }

    /// How it ended. One that was reading from a terminal when that hung up sees the end of input,
    /// or EIO: which of the two is a matter of time.
    fn ended(&self, exit: io::Result<Option<Exit>>) -> Came {
        let has_hung_up = self.is_terminal && self.input.is_none() && self.output.is_none();
        came(exit, |exit| match exit {
            Some(Exit::Status(0 | 1)) if has_hung_up => Came::Text("0 or 1".to_owned()),
            exit => Came::Text(format!("{exit:?}")),
        })
    }

    fn write(&self, bytes: &[u8]) -> Came {
        match &self.input {
            Some(input) if self.is_terminal => came(pty::write(input.as_fd(), bytes), Came::Count),
            Some(input) => came(pipe::write(input.as_fd(), bytes), Came::Count),
            None => Came::Nothing,
        }
    }
}

/// Nothing is left running.
impl Drop for Running {
    fn drop(&mut self) {
        self.child.signal(Ask::Kill);
        for process in of_command(&processes(), self.child.pid(), self.is_reaped, &[]) {
            process.signal(Ask::Kill);
        }
        super::settle();
        if !self.is_reaped {
            poll::wait_readable(&[self.child.as_fd()], Some(60_000)).expect("poll works");
            self.child.reap().expect("it was killed");
        }
    }
}
