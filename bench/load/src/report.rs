//! The table: medians over repetitions, ratios pair by pair, and how far they spread.
//!
//! What it does not do: measure, or hide a row that missed its goal.

use std::fmt::Write as _;

use crate::meter::Figures;
use crate::rows::Goal;
use crate::suite::Measured;

/// The middle of some numbers; none of none.
fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(numbers, 0.5)
}

fn quantile(numbers: impl IntoIterator<Item = f64>, share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = numbers.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let mut below = 0;
    while ((below + 1) as f64) <= place {
        below += 1;
    }
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}

/// Ratios of landline's figure to the bare loop's, pair by pair.
fn ratios(one: &Measured, of: impl Fn(&Figures) -> Option<f64>) -> Vec<f64> {
    let pairs = one.landline.iter().zip(&one.base);
    pairs.filter_map(|(ours, theirs)| Some(of(ours)? / of(theirs)?)).collect()
}

/// None where no request both began and ended in the time measured.
fn p99_us(figures: &Figures) -> Option<f64> {
    let has_any = !figures.latency_ns.is_empty();
    has_any.then(|| figures.latency_ns.value_at_percentile(99.0) as f64 / 1e3)
}

/// A cell: two figures beside each other, or one, or none.
fn beside(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => format!("{} / {}", short(ours), short(theirs)),
        (Some(ours), None) => short(ours),
        _ => "–".to_owned(),
    }
}

/// Three digits, no more.
fn short(figure: f64) -> String {
    match figure {
        f if f >= 10_000.0 => format!("{:.0}k", f / 1e3),
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
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
    let rates = ratios(one, |figures| Some(figures.rate()));
    let rate = median(rates.iter().copied());
    let spread = |share| quantile(rates.iter().copied(), share).unwrap_or(0.0);
    let ratio = rate.map_or("–".to_owned(), |rate| {
        format!("{rate:.2} ({:.2}–{:.2})", spread(0.0), spread(1.0))
    });
    match one.row.goal {
        Goal::Rate(goal) => Cells {
            goal: format!("≥ {goal:.2}"),
            ratio,
            met: judged(rate.map(|rate| rate >= goal)),
        },
        Goal::Bytes(goal) => {
            let bytes = |figures: &[Figures]| {
                median(figures.iter().filter_map(|figures| figures.bytes_per_connection))
            };
            let (ours, theirs) = (bytes(&one.landline), bytes(&one.base));
            let ratio = format!("{} bytes", beside(ours, theirs));
            let met = judged(ours.map(|ours| ours <= goal));
            Cells { goal: format!("≤ {goal} bytes"), ratio, met }
        }
        Goal::Flat(key, goal) => {
            let cpu = |one: &Measured| median(one.landline.iter().filter_map(Figures::cpu_us));
            let few = all.iter().find(|other| other.row.key == key).and_then(cpu);
            let growth = cpu(one).zip(few).map(|(many, few)| many / few);
            let ratio = growth.map_or(ratio, |growth| format!("{growth:.2}× the CPU of 10 open"));
            let met = judged(growth.map(|growth| growth <= goal));
            Cells { goal: format!("≤ {goal:.1}×"), ratio, met }
        }
        Goal::Shown => Cells { goal: String::new(), ratio, met: "" },
    }
}

/// The table in Markdown.
pub fn table(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| work | goal | ratio of rate to bare C (lowest–highest pair) | reached | \
         server CPU µs per unit | CPU ratio | units a second | p99 µs |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for one in measured {
        let Cells { goal, ratio, met } = cells(one, measured);
        let unit = one.landline.first().map_or("", |figures| figures.unit);
        let both = |of: &dyn Fn(&Figures) -> Option<f64>| {
            let middle = |figures: &[Figures]| median(figures.iter().filter_map(of));
            beside(middle(&one.landline), middle(&one.base))
        };
        let cpu_ratio = median(ratios(one, Figures::cpu_us)).map_or(String::new(), short);
        let (cpu, rate, p99) = if crate::suite::is_memory(&one.row) {
            (String::new(), String::new(), String::new())
        } else {
            (
                format!("{} a {unit}", both(&Figures::cpu_us)),
                both(&|figures| Some(figures.rate())),
                both(&p99_us),
            )
        };
        let title = &one.row.title;
        let _ = writeln!(
            text,
            "| {title} | {goal} | {ratio} | {met} | {cpu} | {cpu_ratio} | {rate} | {p99} |"
        );
    }
    text
}

/// The whole page, with what it was measured on.
pub fn page(measured: &[Measured], mode: &str, facts: &[&str]) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `bench/run.sh`; how to read it is in [README.md](README.md). \
         Where a cell has two figures, landline's comes first, then the bare C loop's.\n\n",
    );
    let repetitions = measured.iter().map(|one| one.landline.len()).max().unwrap_or(0);
    let _ = writeln!(text, "- Mode: {mode}, {repetitions} interleaved repetitions");
    for fact in facts {
        let _ = writeln!(text, "- {fact}");
    }
    let _ = write!(text, "\n{}", table(measured));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([1.0, 2.0]), Some(1.5));
        assert_eq!(quantile([1.0, 2.0, 3.0], 1.0), Some(3.0));
        assert_eq!(quantile([1.0, 2.0, 3.0], 0.0), Some(1.0));
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([1.234, 12.34, 123.4, 12345.0].map(short), ["1.23", "12.3", "123", "12k"]);
    }
}
