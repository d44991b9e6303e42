//! Medians, spreads, and figures with three digits.
//!
//! What it does not do: know what was measured.

/// The middle of some numbers; none of none.
pub fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(numbers, 0.5)
}

/// The number below which the given share of all lies, by linear interpolation.
pub fn quantile(numbers: impl IntoIterator<Item = f64>, share: f64) -> Option<f64> {
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

/// The median with the lowest and the highest, as a cell.
pub fn spread(numbers: &[f64]) -> String {
    let at = |share| quantile(numbers.iter().copied(), share);
    match (at(0.5), at(0.0), at(1.0)) {
        (Some(middle), Some(low), Some(high)) => format!("{middle:.2} ({low:.2}–{high:.2})"),
        _ => "–".to_owned(),
    }
}

/// A cell: two figures beside each other, or one, or none.
pub fn beside(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => format!("{} / {}", short(ours), short(theirs)),
        (Some(ours), None) => short(ours),
        _ => "–".to_owned(),
    }
}

/// Three digits, no more.
pub fn short(figure: f64) -> String {
    match figure {
        f if f >= 10_000.0 => format!("{:.0}k", f / 1e3),
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
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
        assert_eq!(spread(&[1.0, 3.0, 2.0]), "2.00 (1.00–3.00)");
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([1.234, 12.34, 123.4, 12345.0].map(short), ["1.23", "12.3", "123", "12k"]);
    }
}
