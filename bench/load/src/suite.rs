//! Every row, interleaved: in each repetition each row is measured once on landline and once on
//! everyone it is set beside, one right after the other, in turns first and last.
//!
//! What it does not do: run two measurements at once, or for ever: the number of measurements is
//! fixed, each has a length, and no repetition begins that would probably end after the time given.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::args::Args;
use crate::children::Server;
use crate::house::House;
use crate::meter::{Figures, Plan};
use crate::rows::{Contender, Goal, Program, Row, Scale};
use crate::workload::Workload;
use crate::{Outcome, chart, json, process, report, rows, stalls};

/// Between two measurements, so that the last one's connections are gone.
const PAUSE: Duration = Duration::from_millis(20);

/// How much of it.
struct Mode {
    repetitions: usize,
    /// Of rows that measure memory, which hardly varies.
    idle_repetitions: usize,
    warm_s: f64,
    measured_s: f64,
    scale: Scale,
}

impl Mode {
    fn of(name: &str) -> Outcome<Self> {
        let full_scale = Scale { many: 10_000, some: 1_000 };
        let (repetitions, idle_repetitions, warm_s, measured_s, scale) = match name {
            "smoke" => (1, 1, 0.02, 0.1, Scale { many: 200, some: 100 }),
            "quick" => (5, 1, 0.06, 0.28, full_scale),
            "full" => (15, 3, 0.12, 0.5, full_scale),
            _ => return Err("--mode is smoke, quick or full".into()),
        };
        Ok(Self { repetitions, idle_repetitions, warm_s, measured_s, scale })
    }
}

/// All measurements of one row; those of the same place were made right after one another.
pub struct Measured {
    /// The row.
    pub row: Row,
    /// Who took part, landline first.
    pub contenders: Vec<Contender>,
    /// The figures of each.
    pub figures: Vec<Vec<Figures>>,
    /// Why a peer has none.
    pub left_out: Vec<Option<String>>,
}

impl Measured {
    /// A row without figures.
    pub fn of_row(row: Row, with_peers: bool) -> Self {
        let contenders = row.contenders(with_peers);
        let figures = contenders.iter().map(|_| Vec::new()).collect();
        let left_out = contenders.iter().map(|_| None).collect();
        Self { row, contenders, figures, left_out }
    }

    /// landline's figures.
    pub fn landline(&self) -> &[Figures] {
        &self.figures[0]
    }

    /// The figures of whoever the program is; none where it took no part.
    pub fn of(&self, wanted: impl Fn(Program) -> bool) -> &[Figures] {
        let place = self.contenders.iter().position(|contender| wanted(contender.program));
        place.map_or(&[], |place| &self.figures[place])
    }

    /// The bare loop's figures; none where there is none.
    pub fn base(&self) -> &[Figures] {
        self.of(|program| matches!(program, Program::Bare(_)))
    }
}

/// What the suite was asked for.
struct Order {
    mode: Mode,
    repetitions: usize,
    plan: Plan,
    /// No repetition begins that would end later than this.
    budget: Duration,
}

/// Runs the suite that the options describe, and prints its table.
///
/// # Errors
/// Any part that does not work, or answers wrongly.
pub fn run(args: &Args) -> Outcome<()> {
    process::raise_descriptor_limit()?;
    let mode_name: String = args.need("mode")?;
    let mode = Mode::of(&mode_name)?;
    let house = House::furnish(args)?;
    let only: String = args.or("only", String::new())?;
    let order = Order {
        repetitions: args.or("repetitions", mode.repetitions)?,
        plan: Plan {
            warm: Duration::from_secs_f64(mode.warm_s),
            measured: Duration::try_from_secs_f64(args.or("seconds", mode.measured_s)?)?,
        },
        budget: Duration::from_secs(args.or("budget", 3600)?),
        mode,
    };
    let facts: Vec<&str> = args.all("fact").collect();
    let results: Option<PathBuf> = args.maybe("results")?;
    let chart_data: Option<PathBuf> = args.maybe("chart-data")?;
    let stalls_dir: Option<PathBuf> = args.maybe("stalls")?;
    let stalls_on: String = args.or("stalls-on", "0".to_owned())?;
    args.all_used()?;
    let mut measured: Vec<Measured> = rows::all(&house.root, &order.mode.scale)
        .into_iter()
        .filter(|row| only.split(',').any(|part| row.key.starts_with(part)))
        .map(|row| Measured::of_row(row, house.peers.is_some()))
        .collect();
    measure_all(&house, &mut measured, &order)?;
    let stalled = stalls_dir.map(|dir| stalls::run(&house, &dir, &mode_name, &stalls_on));
    let stalled = stalled.transpose()?;
    let tables = report::tables(&measured, stalled.as_ref());
    if mode_name == "smoke" {
        println!("all {} workloads work, and every answer was right", measured.len());
    } else {
        print!("{tables}");
    }
    if let Some(path) = results {
        fs::write(path, report::page(&measured, &mode_name, &facts, &tables))?;
    }
    if let Some(path) = chart_data {
        fs::write(path, chart::data(&measured))?;
    }
    Ok(())
}

fn measure_all(house: &House, measured: &mut [Measured], order: &Order) -> Outcome<()> {
    if measured.is_empty() {
        return Ok(());
    }
    let mut raw = fs::File::create(house.work.join("raw.jsonl"))?;
    let mut servers: BTreeMap<Program, Server> = BTreeMap::new();
    for one in measured.iter_mut().filter(|one| !is_memory(&one.row)) {
        for place in 0..one.contenders.len() {
            let program = one.contenders[place].program;
            if let std::collections::btree_map::Entry::Vacant(vacant) = servers.entry(program) {
                let started = house.start(program, "");
                if let Some(server) = kept(one, place, started)? {
                    vacant.insert(server);
                }
            }
        }
    }
    let began = Instant::now();
    let mut last = Duration::ZERO;
    for repetition in 0..order.repetitions {
        let started = began.elapsed();
        if repetition > 0 && started + last > order.budget {
            eprintln!("{repetition} repetitions fit into {} s", order.budget.as_secs());
            break;
        }
        for one in measured.iter_mut() {
            if !is_memory(&one.row) {
                row_once(one, &servers, &order.plan, repetition)?;
            } else if repetition < order.mode.idle_repetitions {
                idle_once(house, one, &order.plan)?;
            }
            write_raw(&mut raw, one)?;
        }
        last = began.elapsed().saturating_sub(started);
        eprintln!("repetition {} done in {} s", repetition + 1, last.as_secs());
    }
    servers.into_values().try_for_each(Server::stop)
}

fn write_raw(raw: &mut fs::File, one: &Measured) -> Outcome<()> {
    for (contender, figures) in one.contenders.iter().zip(&one.figures) {
        if let Some(figures) = figures.last() {
            let name = format!("{} {}", one.row.key, contender.name());
            writeln!(raw, "{}", json::figures(&name, figures))?;
        }
    }
    Ok(())
}

/// A failure of another server leaves it out of the row; any other ends the suite.
fn kept<T>(one: &mut Measured, place: usize, outcome: Outcome<T>) -> Outcome<Option<T>> {
    let contender = one.contenders[place];
    match (outcome, contender.program) {
        (Ok(value), _) => Ok(Some(value)),
        (Err(why), Program::Peer(_)) => {
            let why = why.to_string();
            eprintln!("{}: {} is left out: {why}", one.row.key, contender.name());
            one.figures[place].clear();
            one.left_out[place] = Some(why);
            Ok(None)
        }
        (Err(why), _) => Err(format!("{}: {}: {why}", one.row.key, contender.name()).into()),
    }
}

/// Everyone in the row once; who is first moves on with each repetition.
fn row_once(
    one: &mut Measured,
    servers: &BTreeMap<Program, Server>,
    plan: &Plan,
    repetition: usize,
) -> Outcome<()> {
    let pinned = sched_getaffinity(Pid::from_raw(0))?;
    if one.row.free {
        let mut both = CpuSet::new();
        (0..2).try_for_each(|processor| both.set(processor))?;
        sched_setaffinity(Pid::from_raw(0), &both)?;
    }
    for turn in 0..one.contenders.len() {
        let place = (turn + repetition) % one.contenders.len();
        let contender = one.contenders[place];
        let Some(server) = servers.get(&contender.program) else { continue };
        if one.left_out[place].is_some() {
            continue;
        }
        sleep(PAUSE);
        let target = server.target(contender.speech)?;
        let outcome = one.row.work.run(&target, plan);
        if let Some(figures) = kept(one, place, outcome)? {
            one.figures[place].push(figures);
        }
    }
    sched_setaffinity(Pid::from_raw(0), &pinned)?;
    Ok(())
}

/// Memory is measured on fresh servers: one that has run keeps what it once needed.
fn idle_once(house: &House, one: &mut Measured, plan: &Plan) -> Outcome<()> {
    for place in 0..one.contenders.len() {
        let contender = one.contenders[place];
        if one.left_out[place].is_some() {
            continue;
        }
        let outcome = house.start(contender.program, "-idle").and_then(|fresh| {
            let figures = one.row.work.run(&fresh.target(contender.speech)?, plan)?;
            fresh.stop()?;
            Ok(figures)
        });
        if let Some(figures) = kept(one, place, outcome)? {
            one.figures[place].push(figures);
        }
    }
    Ok(())
}

/// Whether a row is about memory.
pub fn is_memory(row: &Row) -> bool {
    matches!(row.work, Workload::Idle(_)) || matches!(row.goal, Goal::Bytes(_))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_mode_has_at_least_one_repetition_and_full_has_five() {
        assert!(Mode::of("quick").unwrap().repetitions >= 5);
        assert!(Mode::of("full").unwrap().repetitions >= 5);
        assert!(Mode::of("slow").is_err());
    }

    #[test]
    fn landline_comes_first_and_peers_only_where_asked_for() {
        let rows = rows::all(Path::new("/srv"), &Scale { many: 200, some: 100 });
        let keys: std::collections::BTreeSet<_> = rows.iter().map(|row| row.key).collect();
        assert_eq!(keys.len(), rows.len());
        let is_peer = |contender: &Contender| matches!(contender.program, Program::Peer(_));
        for row in &rows {
            let first = row.contenders(true)[0].program;
            assert!(matches!(first, Program::Landline(1) | Program::Free(1)));
            assert!(!row.contenders(false).iter().any(is_peer));
        }
        assert!(rows.iter().any(|row| row.contenders(true).iter().any(is_peer)));
    }
}
