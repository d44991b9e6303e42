//! The figures of the chart, for `chart.gp`: one line for each row that has a bare loop beside it.
//!
//! What it does not do: draw.

use std::fmt::Write as _;

use crate::report::{rate, ratios};
use crate::rivals::best_peer;
use crate::stats::quantile;
use crate::suite::{Measured, is_memory};
use crate::workload::Workload;

/// Title, landline's ratio to the bare loop with lowest and highest, the best other server's
/// likewise, and its name; separated by tabs, `-` where there is none.
pub fn data(measured: &[Measured]) -> String {
    let mut text = String::new();
    // At a fixed rate everyone has the same; that row is about latency.
    let paced =
        |one: &Measured| matches!(&one.row.work, Workload::Echo(echo) if echo.rate.is_some());
    for one in measured.iter().filter(|one| !is_memory(&one.row) && !paced(one)) {
        let Some(ours) = ratio(&ratios(one.landline(), one.base(), rate)) else { continue };
        let best = best_peer(one).and_then(|(at, _)| {
            let theirs = ratio(&ratios(&one.figures[at], one.base(), rate))?;
            Some(format!("{theirs}\t{}", one.contenders[at].name()))
        });
        let best = best.unwrap_or_else(|| "-\t-\t-\t-".to_owned());
        let _ = writeln!(text, "{}\t{ours}\t{best}", one.row.title);
    }
    text
}

fn ratio(ratios: &[f64]) -> Option<String> {
    let at = |share| quantile(ratios.iter().copied(), share);
    Some(format!("{:.3}\t{:.3}\t{:.3}", at(0.5)?, at(0.0)?, at(1.0)?))
}
