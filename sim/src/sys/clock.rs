//! Time, which only the driver advances.

use crate::kernel::with;

/// A date and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Year of the common era.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 60.
    pub second: u8,
}

/// A clock that measures from when it was started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_us: u64,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { started_us: with(|kernel| kernel.now_us) }
    }

    /// Milliseconds since then.
    pub fn elapsed_ms(&self) -> u64 {
        with(|kernel| (kernel.now_us - self.started_us) / 1000)
    }
}

/// What the calendar says when the computer is started: 2020-12-17 20:00:00.
pub const START_UNIX_S: i64 = 1_608_235_200;

/// Milliseconds since 1970.
pub fn unix_ms() -> i64 {
    let now_ms = with(|kernel| kernel.now_us / 1000);
    START_UNIX_S * 1000 + i64::try_from(now_ms).expect("a simulation is short")
}

/// The date of `unix_s`; the simulated computer is in UTC.
pub fn local(unix_s: i64) -> LocalTime {
    let civil = crate::protocol::text::Civil::from_unix(unix_s);
    let crate::protocol::text::Civil { year, month, day, hour, minute, second } = civil;
    LocalTime { year, month, day, hour, minute, second }
}
