//! The table: medians over repetitions, ratios pair by pair, and how far they spread.
//!
//! What it does not do: measure, or hide a row that missed its goal.

use std::fmt::Write as _;

use crate::meter::Figures;
use crate::rivals;
use crate::rows::Goal;
use crate::stalls::Stalled;
use crate::stats::{beside, median, short, spread};
use crate::suite::{Measured, is_memory};

/// Ratios of one server's figures to another's, repetition by repetition.
pub fn ratios(
    ours: &[Figures],
    theirs: &[Figures],
    of: impl Fn(&Figures) -> Option<f64>,
) -> Vec<f64> {
    let pairs = ours.iter().zip(theirs);
    pairs.filter_map(|(ours, theirs)| Some(of(ours)? / of(theirs)?)).collect()
}

/// Units a second.
#[expect(clippy::unnecessary_wraps, reason = "has the form of the other figures")]
pub fn rate(figures: &Figures) -> Option<f64> {
    Some(figures.rate())
}

/// None where no request both began and ended in the time measured.
pub fn p99_us(figures: &Figures) -> Option<f64> {
    let has_any = !figures.latency_ns.is_empty();
    has_any.then(|| figures.latency_ns.value_at_percentile(99.0) as f64 / 1e3)
}

struct Cells {
    goal: String,
    ratio: String,
    met: &'static str,
}

fn judged(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
}

fn cells(one: &Measured, all: &[Measured]) -> Cells {
    let rates = ratios(one.landline(), one.base(), rate);
    let ratio = spread(&rates);
    match one.row.goal {
        Goal::Rate(goal) => Cells {
            goal: format!("≥ {goal:.2}"),
            ratio,
            met: judged(median(rates).map(|rate| rate >= goal)),
        },
        Goal::Bytes(goal) => {
            let bytes = |figures: &[Figures]| {
                median(figures.iter().filter_map(|figures| figures.bytes_per_connection))
            };
            let (ours, theirs) = (bytes(one.landline()), bytes(one.base()));
            let ratio = format!("{} bytes", beside(ours, theirs));
            let met = judged(ours.map(|ours| ours <= goal));
            Cells { goal: format!("≤ {goal} bytes"), ratio, met }
        }
        Goal::Flat(key, goal) => {
            let cpu = |one: &Measured| median(one.landline().iter().filter_map(Figures::cpu_us));
            let few = all.iter().find(|other| other.row.key == key).and_then(cpu);
            let growth = cpu(one).zip(few).map(|(many, few)| many / few);
            let ratio = growth.map_or(ratio, |growth| format!("{growth:.2}× the CPU of 10 open"));
            let met = judged(growth.map(|growth| growth <= goal));
            Cells { goal: format!("≤ {goal:.1}×"), ratio, met }
        }
        Goal::Framed(key, part) => {
            let Some(plain) = all.iter().find(|other| other.row.key == key) else {
                return Cells { goal: String::new(), ratio, met: "" };
            };
            let rates = ratios(one.landline(), plain.base(), rate);
            let Goal::Rate(goal) = plain.row.goal else { unreachable!("{key} has a goal of rate") };
            let ratio = spread(&rates);
            let met = judged(median(rates).map(|rate| rate >= goal * part));
            Cells { goal: format!("≥ {:.2}", goal * part), ratio, met }
        }
        Goal::Shown => Cells { goal: String::new(), ratio, met: "" },
    }
}

/// The rows with their goals, in Markdown.
fn goals(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| work | goal | ratio of rate to bare C (lowest–highest pair) | reached | \
         server CPU µs per unit | CPU ratio | units a second | p99 µs |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for one in measured.iter().filter(|one| !one.row.free) {
        let Cells { goal, ratio, met } = cells(one, measured);
        let unit = one.landline().first().map_or("", |figures| figures.unit);
        let both = |of: &dyn Fn(&Figures) -> Option<f64>| {
            let middle = |figures: &[Figures]| median(figures.iter().filter_map(of));
            beside(middle(one.landline()), middle(one.base()))
        };
        let cpu_ratio = ratios(one.landline(), one.base(), Figures::cpu_us);
        let cpu_ratio = median(cpu_ratio).map_or(String::new(), short);
        let (cpu, rate, p99) = if is_memory(&one.row) {
            (String::new(), String::new(), String::new())
        } else {
            (format!("{} a {unit}", both(&Figures::cpu_us)), both(&rate), both(&p99_us))
        };
        let title = &one.row.title;
        let _ = writeln!(
            text,
            "| {title} | {goal} | {ratio} | {met} | {cpu} | {cpu_ratio} | {rate} | {p99} |"
        );
    }
    text
}

/// Every table that there is something to say in.
pub fn tables(measured: &[Measured], stalled: Option<&Stalled>) -> String {
    let mut text = String::new();
    if measured.iter().any(|one| !one.row.free) {
        text.push_str("## Beside the bare C loops\n\n");
        text.push_str(&goals(measured));
    }
    text.push_str(&rivals::peers(measured));
    text.push_str(&rivals::memory(measured));
    text.push_str(&rivals::workers(measured));
    if let Some(stalled) = stalled {
        text.push_str(&stalled.block());
    }
    text
}

/// The whole page, with what it was measured on.
pub fn page(measured: &[Measured], mode: &str, facts: &[&str], tables: &str) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `bench/run.sh`; how to read it is in [README.md](README.md). \
         Where a cell has two figures, landline's comes first, then the bare C loop's.\n\n",
    );
    let repetitions = measured.iter().map(|one| one.landline().len()).max().unwrap_or(0);
    let _ = writeln!(text, "- Mode: {mode}, {repetitions} interleaved repetitions");
    for fact in facts {
        let _ = writeln!(text, "- {fact}");
    }
    let _ = write!(text, "\n{tables}");
    text
}
