//! What a server lets its clients do, drawn from a seed.

use super::author::LIST;
use crate::kernel::random::Random;
use crate::protocol::session::Uploads;
use crate::server::config::Settings;
use crate::service::policy::{AllowList, Commands, Rule};

/// Draws what is switched on, and for whom.
pub fn vary(settings: &mut Settings, random: &mut Random) {
    settings.uploads = *random.pick(&[
        Uploads::New,
        Uploads::New,
        Uploads::Replace,
        Uploads::Replace,
        Uploads::Off,
    ]);
    settings.commands = match random.below(8) {
        0 => Commands::Off,
        1..=3 => Commands::List(AllowList::parse(LIST).expect("it is a list")),
        _ => Commands::Shell,
    };
    let rules: &[&str] = match random.below(10) {
        0 => &["unix"],
        1 => &["127.0.0.0/8", "::1"],
        _ => &["any"],
    };
    settings.allow_run =
        rules.iter().map(|rule| Rule::parse(rule).expect("it is a rule")).collect();
    if random.one_in(3) {
        settings.limits.line_bytes_max = 2_000;
    }
    if random.one_in(6) {
        settings.limits.runs_max = random.between(1, 2);
    }
}
