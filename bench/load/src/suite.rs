//! Every row, interleaved: in each repetition each row is measured once on landline and once on its
//! bare loop, one right after the other, in turns first and second.
//!
//! What it does not do: run two measurements at once, or for ever: the number of measurements is
//! fixed, and each has a length.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use crate::args::Args;
use crate::children::Server;
use crate::meter::{Figures, Plan};
use crate::rows::{Base, FILES, Goal, Row, Scale};
use crate::workload::{Target, Workload};
use crate::{Outcome, json, process, report, rows};

/// Connections that landline is told to take.
const CONNECTIONS_MAX: usize = 20_000;
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
            "quick" => (5, 1, 0.08, 0.34, full_scale),
            "full" => (15, 3, 0.2, 1.0, full_scale),
            _ => return Err("--mode is smoke, quick or full".into()),
        };
        Ok(Self { repetitions, idle_repetitions, warm_s, measured_s, scale })
    }
}

/// All measurements of one row, pair by pair.
pub struct Measured {
    /// The row.
    pub row: Row,
    /// landline's.
    pub landline: Vec<Figures>,
    /// The bare loop's; empty where there is none.
    pub base: Vec<Figures>,
}

/// Where things are.
struct House {
    landline: PathBuf,
    base: PathBuf,
    work: PathBuf,
    root: PathBuf,
}

impl House {
    fn furnish(args: &Args) -> Outcome<Self> {
        let work: PathBuf = args.need("work")?;
        let root = work.join("root");
        fs::create_dir_all(&root)?;
        let root = root.canonicalize()?;
        for (seed, (name, bytes)) in FILES.iter().enumerate() {
            fs::write(root.join(name), noise(seed as u64 + 1, *bytes))?;
        }
        let cat = root.join("64m");
        let allowed = format!("true = /bin/true\ncat = /bin/cat {}\n", cat.display());
        fs::write(work.join("allow-list"), allowed)?;
        Ok(Self { landline: args.need("landline")?, base: args.need("base")?, work, root })
    }

    fn start_landline(&self, log: &str) -> Outcome<Server> {
        let words = [
            self.landline.display().to_string(),
            "serve".into(),
            "-q".into(),
            "--workers".into(),
            "1".into(),
            "--root".into(),
            self.root.display().to_string(),
            "--run".into(),
            self.work.join("allow-list").display().to_string(),
            "--max-connections".into(),
            CONNECTIONS_MAX.to_string(),
            "-l".into(),
            "line@127.0.0.1:0".into(),
        ];
        Server::start(&words, &self.work.join(log), false)
    }

    fn start_base(&self, base: Base) -> Outcome<Server> {
        let program = |name: &str| self.base.join(name).display().to_string();
        let root = self.root.display().to_string();
        let (name, words) = match base {
            Base::Echo => ("echo", vec![program("echo")]),
            Base::Download => ("download", vec![program("download"), root]),
            Base::RunTrue => ("run-true", vec![program("run"), "/bin/true".into()]),
            Base::RunCat => {
                let file = format!("{root}/64m");
                ("run-cat", vec![program("run"), "/bin/cat".into(), file])
            }
            Base::Broadcast => ("broadcast", vec![program("broadcast")]),
            Base::Direct => ("direct", vec![program("direct")]),
        };
        Server::start(&words, &self.work.join(format!("{name}.log")), true)
    }
}

/// Bytes that do not compress, the same every time.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    };
    std::iter::repeat_with(next)
        .flat_map(|word| [word[0], word[1], word[2], word[3]])
        .take(bytes)
        .collect()
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
    let repetitions = args.or("repetitions", mode.repetitions)?;
    let plan = Plan {
        warm: Duration::from_secs_f64(mode.warm_s),
        measured: Duration::try_from_secs_f64(args.or("seconds", mode.measured_s)?)?,
    };
    let facts: Vec<&str> = args.all("fact").collect();
    let results: Option<PathBuf> = args.maybe("results")?;
    args.all_used()?;
    let mut measured: Vec<Measured> = rows::all(&house.root, &mode.scale)
        .into_iter()
        .filter(|row| only.split(',').any(|part| row.key.starts_with(part)))
        .map(|row| Measured { row, landline: Vec::new(), base: Vec::new() })
        .collect();
    measure_all(&house, &mut measured, &plan, repetitions, mode.idle_repetitions)?;
    if mode_name == "smoke" {
        println!("all {} workloads work, and every answer was right", measured.len());
    } else {
        print!("{}", report::table(&measured));
    }
    if let Some(path) = results {
        fs::write(path, report::page(&measured, &mode_name, &facts))?;
    }
    Ok(())
}

fn measure_all(
    house: &House,
    measured: &mut [Measured],
    plan: &Plan,
    repetitions: usize,
    idle_repetitions: usize,
) -> Outcome<()> {
    let mut raw = fs::File::create(house.work.join("raw.jsonl"))?;
    let landline = house.start_landline("landline.log")?;
    let mut bases: BTreeMap<Base, Server> = BTreeMap::new();
    for base in measured.iter().filter_map(|one| one.row.base) {
        if let std::collections::btree_map::Entry::Vacant(place) = bases.entry(base) {
            place.insert(house.start_base(base)?);
        }
    }
    for repetition in 0..repetitions {
        for one in measured.iter_mut() {
            if matches!(one.row.work, Workload::Idle(_)) {
                if repetition < idle_repetitions {
                    idle_pair(house, one, plan)?;
                }
                continue;
            }
            let base = one.row.base.and_then(|base| bases.get(&base)).map(Server::target);
            pair(one, landline.target(), base, plan, repetition)
                .map_err(|why| format!("{}: {why}", one.row.key))?;
            for (who, figures) in [("landline", one.landline.last()), ("base", one.base.last())] {
                if let Some(figures) = figures {
                    writeln!(raw, "{}", json::figures(&format!("{} {who}", one.row.key), figures))?;
                }
            }
        }
        eprintln!("repetition {} of {repetitions} done", repetition + 1);
    }
    landline.stop()?;
    bases.into_values().try_for_each(Server::stop)
}

/// Both servers of one row, each first in turns.
fn pair(
    one: &mut Measured,
    landline: &Target,
    base: Option<&Target>,
    plan: &Plan,
    repetition: usize,
) -> Outcome<()> {
    let run = |who: &str, target: &Target| -> Outcome<Figures> {
        sleep(PAUSE);
        one.row.work.run(target, plan).map_err(|why| format!("{who}: {why}").into())
    };
    let (ours, theirs) = match base {
        Some(base) if repetition % 2 == 1 => {
            let theirs = run("bare loop", base)?;
            (run("landline", landline)?, Some(theirs))
        }
        Some(base) => {
            let ours = run("landline", landline)?;
            (ours, Some(run("bare loop", base)?))
        }
        None => (run("landline", landline)?, None),
    };
    one.landline.push(ours);
    one.base.extend(theirs);
    Ok(())
}

/// Memory is measured on fresh servers: one that has run keeps what it once needed.
fn idle_pair(house: &House, one: &mut Measured, plan: &Plan) -> Outcome<()> {
    let fresh = house.start_landline("landline-idle.log")?;
    one.landline.push(one.row.work.run(fresh.target(), plan)?);
    fresh.stop()?;
    if let Some(base) = one.row.base {
        let fresh = house.start_base(base)?;
        one.base.push(one.row.work.run(fresh.target(), plan)?);
        fresh.stop()?;
    }
    Ok(())
}

/// Whether a row's goal is about memory.
pub fn is_memory(row: &Row) -> bool {
    matches!(row.goal, Goal::Bytes(_))
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
    fn noise_is_of_the_length_asked_for_and_differs_by_seed() {
        assert_eq!(noise(1, 1021).len(), 1021);
        assert_ne!(noise(1, 64), noise(2, 64));
        let root = Path::new("/srv");
        let rows = rows::all(root, &Scale { many: 200, some: 100 });
        let keys: std::collections::BTreeSet<_> = rows.iter().map(|row| row.key).collect();
        assert_eq!(keys.len(), rows.len());
    }
}
