//! Figures as one flat JSON object a line.
//!
//! What it does not do: read JSON, or escape text; what is written here has nothing to escape.

use crate::meter::Figures;

/// Percentiles that are written.
const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

/// One measurement as an object; `work` is a plain word or a row's name.
pub fn figures(work: &str, figures: &Figures) -> String {
    let mut fields = vec![
        format!("\"work\":\"{work}\""),
        format!("\"unit\":\"{}\"", figures.unit),
        format!("\"units\":{}", figures.units),
        format!("\"seconds\":{:.6}", figures.elapsed.as_secs_f64()),
        format!("\"per_second\":{:.1}", figures.rate()),
    ];
    if let Some(cpu_us) = figures.cpu_us() {
        fields.push(format!("\"server_cpu_us_per_unit\":{cpu_us:.4}"));
    }
    if let Some(bytes) = figures.bytes_per_connection {
        fields.push(format!("\"resident_bytes_per_connection\":{bytes:.1}"));
    }
    for percentile in PERCENTILES {
        let ns = figures.latency_ns.value_at_percentile(percentile);
        fields.push(format!("\"p{percentile}_us\":{:.1}", ns as f64 / 1e3));
    }
    format!("{{{}}}", fields.join(","))
}
