//! The tables beside the goals: other servers, what a silent connection costs them, and landline
//! with several workers beside itself with one.
//!
//! What it does not do: judge by one figure; who is ahead is said of rates, and what it costs the
//! server stands beside it.

use std::fmt::Write as _;

use crate::meter::Figures;
use crate::report::{p99_us, rate, ratios};
use crate::rows::Program;
use crate::stats::{median, short, spread};
use crate::suite::{Measured, is_memory};

/// Ratios of rates this near to 1 are called even.
const EVEN: f64 = 0.02;

/// Whether a server is neither landline nor a bare loop.
pub fn is_peer(program: Program) -> bool {
    matches!(program, Program::Peer(_))
}

fn has_peers(one: &Measured) -> bool {
    one.contenders.iter().any(|contender| is_peer(contender.program))
}

/// The fastest other server of a row: its place, and landline's rate as a multiple of its own.
pub fn best_peer(one: &Measured) -> Option<(usize, f64)> {
    let places = (0..one.contenders.len()).filter(|&at| is_peer(one.contenders[at].program));
    let all =
        places.filter_map(|at| Some((at, median(ratios(one.landline(), &one.figures[at], rate))?)));
    all.min_by(|(_, a), (_, b)| a.total_cmp(b))
}

fn ahead(one: &Measured) -> String {
    match best_peer(one) {
        None => String::new(),
        Some((at, ratio)) => {
            let name = one.contenders[at].name();
            match ratio {
                ratio if ratio > 1.0 + EVEN => {
                    format!("**landline**, {} × {name}", short(ratio))
                }
                ratio if ratio < 1.0 - EVEN => format!("**{name}**, {} ×", short(1.0 / ratio)),
                _ => format!("even with {name}"),
            }
        }
    }
}

/// Every row in which other servers took part.
pub fn peers(measured: &[Measured]) -> String {
    let mut text = String::new();
    for one in measured.iter().filter(|one| has_peers(one) && !is_memory(&one.row)) {
        let ahead = ahead(one);
        let unit = one.landline().first().map_or("", |figures| figures.unit);
        for (place, contender) in one.contenders.iter().enumerate() {
            if matches!(contender.program, Program::Landline(2..) | Program::Bare(_)) {
                continue;
            }
            let figures = &one.figures[place];
            let first = place == 0;
            let title = if first { one.row.title.as_str() } else { "" };
            let name = contender.name();
            if let Some(why) = &one.left_out[place] {
                let _ = writeln!(text, "| {title} | {name} | left out: {why} | | | | | |");
                continue;
            }
            let ratio = spread(&ratios(figures, one.base(), rate));
            let middle = |of: &dyn Fn(&Figures) -> Option<f64>| {
                median(figures.iter().filter_map(of)).map_or("–".to_owned(), short)
            };
            let cpu = middle(&Figures::cpu_us);
            let cpu_ratio = median(ratios(figures, one.base(), Figures::cpu_us));
            let cpu_ratio = cpu_ratio.map_or("–".to_owned(), short);
            let (rates, p99) = (middle(&rate), middle(&p99_us));
            let ahead = if first { ahead.as_str() } else { "" };
            let _ = writeln!(
                text,
                "| {title} | {name} | {ratio} | {cpu} a {unit} | {cpu_ratio} | {rates} | {p99} \
                 | {ahead} |"
            );
        }
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "\n## Beside other servers\n\n\
         | work | who | ratio of rate to bare C (lowest–highest) | server CPU µs per unit | \
         CPU ratio to bare C | units a second | p99 µs | ahead |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n{text}"
    )
}

/// What a silent connection costs everyone.
pub fn memory(measured: &[Measured]) -> String {
    let mut text = String::new();
    for one in measured.iter().filter(|one| has_peers(one) && is_memory(&one.row)) {
        for (contender, figures) in one.contenders.iter().zip(&one.figures) {
            let bytes = median(figures.iter().filter_map(|figures| figures.bytes_per_connection));
            let bytes = bytes.map_or("left out".to_owned(), |bytes| format!("{bytes:.0}"));
            let _ = writeln!(text, "| {} | {} | {bytes} |", one.row.title, contender.name());
        }
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "\n## Memory of a silent connection\n\n\
         | work | who | resident bytes for each |\n| --- | --- | --- |\n{text}"
    )
}

/// Several workers beside one.
pub fn workers(measured: &[Measured]) -> String {
    let mut text = String::new();
    for one in measured {
        let several = one.of(|program| matches!(program, Program::Landline(2..)));
        let several =
            if one.row.free { one.figures.get(1).map_or(&[][..], Vec::as_slice) } else { several };
        if several.is_empty() {
            continue;
        }
        let (how, goal) = if one.row.free {
            ("2 workers, nothing pinned", "> 1")
        } else {
            ("4 workers, server on one processor", "≥ 0.95")
        };
        let ratio = spread(&ratios(several, one.landline(), rate));
        let cpu = median(ratios(several, one.landline(), Figures::cpu_us));
        let cpu = cpu.map_or("–".to_owned(), short);
        let _ = writeln!(text, "| {} | {how} | {goal} | {ratio} | {cpu} |", one.row.title);
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "\n## Several workers beside one\n\n\
         | work | how | goal | ratio of rate to 1 worker (lowest–highest) | CPU ratio |\n\
         | --- | --- | --- | --- | --- |\n{text}"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::rows::{self, Scale};

    fn at_rate(units: f64) -> Figures {
        let mut figures = Figures::none("line").unwrap();
        (figures.units, figures.elapsed) = (units, Duration::from_secs(1));
        figures
    }

    #[test]
    fn the_one_ahead_is_named_with_its_lead() {
        let rows = rows::all(Path::new("/srv"), &Scale { many: 200, some: 100 });
        let row = rows.into_iter().find(|row| row.key == "get-1m").unwrap();
        let mut one = Measured::of_row(row, true);
        let rates = [90.0, 100.0, 60.0, 180.0];
        for (figures, units) in one.figures.iter_mut().zip(rates) {
            figures.push(at_rate(units));
        }
        assert_eq!(ahead(&one), "**lighttpd**, 2.00 ×");
        one.figures[3] = vec![at_rate(90.5)];
        assert_eq!(ahead(&one), "even with lighttpd");
        one.figures[3].clear();
        assert_eq!(ahead(&one), "**landline**, 1.50 × nginx");
        assert!(peers(&[one]).contains("| nginx | 0.60 (0.60–0.60) |"));
    }
}
