//! Calls on commands and terminals that a script is made of.

use landline_sim::kernel::random::Random;

/// Most commands of a script.
pub(crate) const SLOTS: usize = 4;

/// What a command does: for the shell, and in the language of the simulated commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) real: &'static str,
    pub(crate) simulated: &'static str,
}

const fn task(real: &'static str, simulated: &'static str) -> Task {
    Task { real, simulated }
}

const TASKS: [Task; 9] = [
    task("exit 7", "exit 7"),
    task("kill -TERM $$", "die TERM"),
    task("kill -KILL $$", "die KILL"),
    task("exec cat", "cat"),
    task("trap '' TERM HUP; echo ready; exec sleep 1000", "trap; say ready; sleep 1000000"),
    task("exec sleep 1000", "sleep 1000000"),
    task("echo hello; exit 3", "say hello; exit 3"),
    task("exec >&- 2>&-; exec sleep 1000", "close; sleep 1000000"),
    task("sleep 1000 & exit 0", "hold 1000000; exit 0"),
];

/// On a terminal, of which the simulated one echoes and translates nothing.
const ON_TERMINALS: [Task; 6] = [
    task("stty -echo -opost; echo ready; exec cat", "say ready; cat"),
    task("stty -echo -opost; echo ready; exec sleep 1000", "say ready; sleep 1000000"),
    task("stty -echo -opost; trap '' TERM HUP; echo ready; exec cat", "trap; say ready; cat"),
    task("stty -echo -opost; echo bye; exit 3", "say bye; exit 3"),
    task(
        "stty -echo -opost; trap '' TERM HUP; sleep 1000 & echo ready; exec cat",
        "trap; hold 1000000; say ready; cat",
    ),
    task("stty -echo -opost; sleep 1000 & echo bye; exit 3", "hold 1000000; say bye; exit 3"),
];

/// What is written to a command.
const TYPED: [&str; 3] = ["x\n", "two\nlines\n", "no line"];

/// Programs, and what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Shell,
    Missing,
    /// One that may not be run.
    Secret,
    /// A text that is no program.
    Text,
}

/// What a command is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Terminate,
    HangUp,
    Kill,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CommandCall {
    Start(Program, Task),
    StartOnTerminal(Task),
    Signal(usize, Told),
    Write(usize, &'static str),
    EndInput(usize),
    CloseInput(usize),
    Read(usize),
    CloseOutput(usize),
    Status(usize),
    Reap(usize),
    HasLeft(usize),
    /// How many processes belong to it besides its own.
    Family(usize),
}

pub(crate) fn draw(random: &mut Random) -> CommandCall {
    let slot = random.below(SLOTS);
    match random.below(30) {
        0..4 => CommandCall::Start(Program::Shell, *random.pick(&TASKS)),
        4 => {
            let programs = [Program::Missing, Program::Secret, Program::Text];
            CommandCall::Start(*random.pick(&programs), TASKS[0])
        }
        5..7 => CommandCall::StartOnTerminal(*random.pick(&ON_TERMINALS)),
        7..10 => {
            let told = *random.pick(&[Told::Terminate, Told::HangUp, Told::Kill]);
            CommandCall::Signal(slot, told)
        }
        10..14 => CommandCall::Write(slot, TYPED[random.below(TYPED.len())]),
        14 => CommandCall::EndInput(slot),
        15 | 16 => CommandCall::CloseInput(slot),
        17..20 => CommandCall::Read(slot),
        20 => CommandCall::CloseOutput(slot),
        21..24 => CommandCall::Status(slot),
        24..27 => CommandCall::Reap(slot),
        27 => CommandCall::HasLeft(slot),
        _ => CommandCall::Family(slot),
    }
}
