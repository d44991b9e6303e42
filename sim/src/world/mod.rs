//! The world around the server: clients, files, commands and signals, and one seed that decides
//! what happens and in which order.
//!
//! `run` draws a scene, starts the server on a simulated computer, and takes step after step: a
//! thread of the server goes on, bytes arrive, a command does something, a client does something.
//! Where nothing else can happen, time passes. At the end the server is told to stop.
//!
//! What is held to be true, besides what each client must receive (`expect`):
//! 1. No thread is woken again and again without doing anything, and none makes calls without end.
//! 2. Once clients are gone, descriptors, commands and temporary files are back at their base.
//! 3. Everything ends within a bounded number of steps and a bounded time.

mod author;
mod cast;
mod client;
mod compare;
mod expect;
mod frame;
mod ledger;
mod reader;
mod request;
mod rules;
mod scene;
mod tree;
mod visitor;

use std::sync::Arc;

use crate::kernel::random::Random;
use crate::kernel::threads::{Machine, spawn};
use crate::kernel::{Kernel, with};
use crate::server;
use crate::sys::signal::Signal;
use client::Client;
use scene::Scene;

pub use scene::Bounds;

/// Steps after which a simulation has got stuck.
const STEPS_MAX: u64 = 2_000_000;
/// Time after which everything is over, in microseconds: twelve hours. Clients may be very slow.
const TIME_MAX_US: u64 = 12 * 3_600_000_000;
/// How long the server may take to stop, in microseconds: the drain, and the graces behind it.
const STOP_MAX_US: u64 = 60_000_000;

/// How a simulation went.
#[derive(Debug)]
pub struct Report {
    /// The hash of the history.
    pub hash: u64,
    /// How many steps it had.
    pub steps: u64,
    /// How many calls failed because the seed said so.
    pub faults: u64,
}

/// How far a simulation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server starts.
    Starting,
    /// Clients come and go.
    Serving,
    /// All clients are gone; what the server still does for them comes to its end.
    Settling,
    /// The server was told to stop.
    Stopping,
}

/// A simulation.
struct World {
    machine: Arc<Machine>,
    random: Random,
    clients: Vec<Client>,
    scene: Scene,
    phase: Phase,
    /// Descriptors the server had before the first client came.
    base: usize,
    /// When the phase began.
    since_us: u64,
    steps: u64,
}

/// Runs one simulation. `is_kept`: its last steps are told where it fails.
pub fn run(seed: u64, bounds: &Bounds, is_kept: bool) -> Result<Report, String> {
    let mut random = Random::new(seed);
    let mut kernel = Kernel::new(random.draw());
    kernel.trace.is_kept = is_kept;
    let scene = Scene::draw(&mut random, bounds, &mut kernel);
    let machine = Machine::start(kernel);
    let (config, clients) = (scene.config.clone(), cast::clients(&scene, &mut random));
    let settings = config.settings.clone();
    let main = spawn("main", move || {
        let ended = server::serve(&config, &|| Ok(settings.clone()));
        let status = ended.as_ref().map_or_else(|error| error.status, |()| 0);
        let text = ended.map_or_else(|error| error.text, |()| String::new());
        with(|kernel| {
            kernel.exit = Some(status);
            kernel.trace.note(kernel.now_us, format_args!("serve ended: {status} {text}"));
        });
    });
    let mut world = World {
        machine,
        random,
        clients,
        scene,
        phase: Phase::Starting,
        base: 0,
        since_us: 0,
        steps: 0,
    };
    let ran = match main {
        Ok(_handle) => world.run(),
        Err(error) => Err(format!("no thread could be started: {error}")),
    };
    let verdict = ran.and_then(|()| world.judge());
    let report = with(|kernel| Report {
        hash: kernel.trace.hash(),
        steps: kernel.trace.steps(),
        faults: kernel.faults.count,
    });
    let told = verdict.as_ref().err().map(|why| World::tell(why));
    world.machine.end();
    told.map_or(Ok(report), Err)
}

impl World {
    fn run(&mut self) -> Result<(), String> {
        while self.steps < STEPS_MAX {
            self.steps += 1;
            if let Some(why) = with(|kernel| kernel.failure.take()) {
                return Err(why);
            }
            if with(|kernel| kernel.exit.is_some()) {
                return self.on_server_ended();
            }
            if !self.step() && self.on_quiet()? {
                return Ok(());
            }
            let now_us = with(|kernel| {
                // Every step takes a moment.
                kernel.now_us += kernel.random.draw() % 30;
                kernel.now_us
            });
            if now_us > TIME_MAX_US {
                return Err(format!("not over after twelve hours\n{}", self.state()));
            }
            if self.phase == Phase::Stopping && now_us > self.since_us + STOP_MAX_US {
                return Err(format!("the server does not stop\n{}", self.state()));
            }
        }
        Err(format!("stuck after {STEPS_MAX} steps\n{}", self.state()))
    }

    /// Something happens; false where nothing can but the passing of time.
    fn step(&mut self) -> bool {
        let threads = with(Kernel::threads_that_can_run);
        let deliverable = with(|kernel| kernel.deliverable());
        let processes = with(|kernel| kernel.processes_that_can_run());
        let now_us = with(|kernel| kernel.now_us);
        let able = |client: &Client| client.can_act(now_us);
        let clients: Vec<usize> =
            (0..self.clients.len()).filter(|number| able(&self.clients[*number])).collect();
        let mut kinds = Vec::new();
        if !threads.is_empty() {
            kinds.extend([0, 0, 0]);
        }
        if !deliverable.is_empty() {
            kinds.extend([1, 1]);
        }
        if !processes.is_empty() {
            kinds.push(2);
        }
        let may_come = !matches!(self.phase, Phase::Starting);
        if !clients.is_empty() && may_come {
            kinds.extend([3, 3]);
        }
        if kinds.is_empty() {
            return false;
        }
        match *self.random.pick(&kinds) {
            0 => self.machine.run(*self.random.pick(&threads)),
            1 => {
                let (connection, side) = *self.random.pick(&deliverable);
                with(|kernel| kernel.deliver(connection, side));
            }
            2 => {
                let pid = *self.random.pick(&processes);
                with(|kernel| kernel.process_step(pid));
            }
            _ => {
                let number = *self.random.pick(&clients);
                self.clients[number].act(&mut self.random, &self.scene);
            }
        }
        if self.random.one_in(1_000) {
            with(Kernel::chill_files);
            with(|kernel| tree::disturb(&mut self.random, kernel));
        }
        if self.scene.reloads > 0 && self.phase == Phase::Serving && self.random.one_in(2_000) {
            self.scene.reloads -= 1;
            with(|kernel| kernel.signals.push(Signal::Hangup));
        }
        if self.scene.cuts > 0 && self.phase == Phase::Serving && self.random.one_in(2_000) {
            self.scene.cuts -= 1;
            let victim = self.random.below(self.clients.len());
            self.clients[victim].lose_network();
        }
        if self.scene.stops_twice && self.phase == Phase::Stopping && self.random.one_in(50) {
            self.scene.stops_twice = false;
            with(|kernel| kernel.signals.push(Signal::Terminate));
        }
        if self.scene.stops_early && self.phase == Phase::Serving && self.random.one_in(3_000) {
            self.stop();
        }
        true
    }

    /// Nothing can happen now. True once the simulation is over.
    fn on_quiet(&mut self) -> Result<bool, String> {
        let now_us = with(|kernel| kernel.now_us);
        match self.phase {
            Phase::Starting => {
                let is_up = with(|kernel| kernel.network.all_listeners().len());
                if is_up < self.scene.config.listen.len() {
                    return self.pass_time(now_us);
                }
                let (one_in, spare_fds) = (self.scene.faults_one_in, self.scene.spare_fds);
                self.base = with(|kernel| {
                    kernel.faults.one_in = one_in;
                    if let Some(spare) = spare_fds {
                        kernel.descriptors.fds_max = kernel.descriptors.open + spare;
                    }
                    kernel.descriptors.open
                });
                self.begin(Phase::Serving, now_us);
            }
            Phase::Serving if self.clients.iter().all(Client::is_over) => {
                self.begin(Phase::Settling, now_us);
            }
            Phase::Serving => {
                if self.only_wait_is_left() {
                    self.clients.iter_mut().for_each(Client::leave_at_last);
                } else {
                    return self.pass_time(now_us);
                }
            }
            // What is still due for clients that are gone is done by then.
            Phase::Settling if now_us < self.since_us + self.scene.settle_us => {
                with(|kernel| kernel.faults.one_in = 0);
                let due = self.next_due_us();
                let until = self.since_us + self.scene.settle_us;
                let due = due.unwrap_or(until).min(until);
                with(|kernel| kernel.now_us = due.max(now_us + 1));
            }
            Phase::Settling => {
                self.check_base()?;
                self.stop();
            }
            Phase::Stopping => return self.pass_time(now_us),
        }
        Ok(false)
    }

    /// Those who stay to the end may go: nobody else has anything to do, all that was said is
    /// answered and read, and the server has worked off what those who are gone have left behind.
    fn only_wait_is_left(&self) -> bool {
        let waits = |client: &&Client| client.waits_for_all();
        let is_waiting = |client: &Client| client.is_over() || client.waits_for_all();
        let stay = self.clients.iter().filter(waits).count();
        let is_due = self.clients.iter().any(|client| client.due_us().is_some());
        let is_at_work = with(|kernel| {
            let is_process_due = kernel.next_process_due_us().is_some();
            is_process_due || kernel.is_thread_asleep() || kernel.network.open() > stay
        });
        self.clients.iter().all(is_waiting) && !is_due && !is_at_work
    }

    fn begin(&mut self, phase: Phase, now_us: u64) {
        self.phase = phase;
        self.since_us = now_us;
        with(|kernel| kernel.trace.note(now_us, format_args!("phase {phase:?}")));
    }

    fn stop(&mut self) {
        let now_us = with(|kernel| {
            kernel.signals.push(Signal::Terminate);
            kernel.now_us
        });
        self.begin(Phase::Stopping, now_us);
    }

    /// When the next thing happens by itself.
    fn next_due_us(&self) -> Option<u64> {
        let clients = self.clients.iter().filter_map(Client::due_us).min();
        let own = with(|kernel| {
            let network = kernel.network.next_due_us();
            [kernel.next_thread_due_us(), kernel.next_process_due_us(), network]
        });
        own.into_iter().chain([clients]).flatten().min()
    }

    fn pass_time(&mut self, now_us: u64) -> Result<bool, String> {
        let due = self.next_due_us();
        let Some(due) = due else {
            return Err(format!("nothing will ever happen again\n{}", self.state()));
        };
        with(|kernel| kernel.now_us = due.max(now_us + 1));
        Ok(false)
    }

    fn check_base(&self) -> Result<(), String> {
        let open = with(|kernel| kernel.network.open());
        if open > 0 {
            return Err(format!("{open} connections are left\n{}", self.state()));
        }
        let left = with(|kernel| kernel.processes.alive());
        if left > 0 {
            return Err(format!("{left} processes are left\n{}", self.state()));
        }
        let now = with(|kernel| kernel.descriptors.open);
        if now > self.base {
            let listed = with(|kernel| kernel.descriptors.listed());
            return Err(format!("{now} descriptors, {} before:\n{listed:#?}", self.base));
        }
        Ok(())
    }

    fn on_server_ended(&mut self) -> Result<(), String> {
        if self.phase != Phase::Stopping {
            return Err("the server ended by itself".to_owned());
        }
        with(Kernel::close_all_sockets);
        // Clients see what there is to see.
        for _ in 0..100_000 {
            let deliverable = with(|kernel| kernel.deliverable());
            for (connection, side) in deliverable {
                with(|kernel| kernel.deliver(connection, side));
            }
            let now_us = with(|kernel| {
                kernel.now_us += 1000;
                kernel.now_us
            });
            let mut is_any = false;
            for client in &mut self.clients {
                if client.can_act(now_us) {
                    client.act(&mut self.random, &self.scene);
                    is_any = true;
                }
            }
            if !is_any && self.clients.iter().all(Client::is_over) {
                break;
            }
            self.clients.iter_mut().for_each(Client::leave_at_last);
        }
        Ok(())
    }

    /// Whether each client received what it must.
    fn judge(&self) -> Result<(), String> {
        let exit = with(|kernel| kernel.exit);
        if exit != Some(0) {
            return Err(format!("the server ended with status {exit:?}"));
        }
        for client in &self.clients {
            client.judge(&self.scene).map_err(|why| {
                format!("client {}: {why}\n{}", client.number, client.transcript())
            })?;
        }
        ledger::judge(&self.clients, &self.scene)?;
        let left = with(|kernel| kernel.files.temporary_names());
        // What a disk has in hand when the process ends stays, and is swept at the next start.
        if !left.is_empty() && !self.scene.stops_early {
            return Err(format!("temporary files are left: {left:?}"));
        }
        Ok(())
    }

    fn state(&self) -> String {
        let threads = with(|kernel| kernel.threads_left()).join("\n");
        let over = |client: &&Client| !client.is_over();
        let clients: Vec<String> =
            self.clients.iter().filter(over).map(Client::transcript).collect();
        let dues = with(|kernel| {
            let network = kernel.network.next_due_us();
            [kernel.next_thread_due_us(), kernel.next_process_due_us(), network]
        });
        let now_us = with(|kernel| kernel.now_us);
        let due = format!("now {now_us}, due: threads, processes, network: {dues:?}");
        format!("phase {:?}\n{due}\n{threads}\n{}", self.phase, clients.join("\n"))
    }

    fn tell(why: &str) -> String {
        let (last, stderr) = with(|kernel| {
            let log = String::from_utf8_lossy(&kernel.stderr).into_owned();
            (kernel.trace.last(), log)
        });
        let lines: Vec<&str> = stderr.lines().rev().take(20).collect();
        let log: Vec<&str> = lines.into_iter().rev().collect();
        format!("{why}\nthe last steps:\n{last}\nthe log:\n{}", log.join("\n"))
    }
}
