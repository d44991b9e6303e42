//! The calendar clock, which jumps when it is set, and `Clock`, which does not.
//!
//! What it does not do: format anything.

use std::mem::MaybeUninit;
use std::sync::Once;
use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

/// A monotonic clock that counts from when it was started (`CLOCK_MONOTONIC`, `clock_gettime(2)`).
/// A copy shows the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "where the workers' clock begins")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Milliseconds since it was started. A worker reads it once a turn, and passes it on.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A date and time of day in the server's time zone.
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

/// The epoch, which stands for times no calendar of the C library reaches.
const EPOCH: LocalTime = LocalTime { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 };

// SAFETY: as tzset(3) declares it. It reads the environment, which landline never changes.
unsafe extern "C" {
    safe fn tzset();
}

/// `unix_s`, seconds since 1970 UTC, in the time zone of TZ or /etc/localtime (`localtime_r(3)`,
/// with tzset(3) once before). A year that does not fit an `int` (EOVERFLOW) gives the epoch.
pub fn local(unix_s: i64) -> LocalTime {
    static ZONE: Once = Once::new();
    ZONE.call_once(|| tzset());
    let mut parts = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call; localtime_r keeps neither.
    if unsafe { libc::localtime_r(&raw const unix_s, parts.as_mut_ptr()) }.is_null() {
        return EPOCH;
    }
    // SAFETY: localtime_r returned its second argument, so it filled it in.
    let parts = unsafe { parts.assume_init() };
    let small = |value: libc::c_int| u8::try_from(value).expect("parts of a date are below 256");
    LocalTime {
        year: i64::from(parts.tm_year) + 1900,
        month: small(parts.tm_mon) + 1,
        day: small(parts.tm_mday),
        hour: small(parts.tm_hour),
        minute: small(parts.tm_min),
        second: small(parts.tm_sec),
    }
}

/// Milliseconds since 1970 UTC (`CLOCK_REALTIME`, `clock_gettime(2)`).
pub fn unix_ms() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("Linux always has this clock");
    now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::Command;
    use std::time::UNIX_EPOCH;

    use super::*;

    fn by_date(unix_s: i64, zone: Option<&str>) -> io::Result<String> {
        let mut date = Command::new("date");
        date.arg(format!("--date=@{unix_s}")).arg("+%Y-%m-%d %H:%M:%S");
        if let Some(zone) = zone {
            date.env("TZ", zone);
        }
        Ok(String::from_utf8_lossy(&date.output()?.stdout).trim_end().to_owned())
    }

    fn by_clock(unix_s: i64) -> String {
        let LocalTime { year, month, day, hour, minute, second } = local(unix_s);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    #[test]
    fn local_time_is_what_date_says() -> io::Result<()> {
        for unix_s in [0, -1, 951_782_399, 1_608_235_613, 1_593_561_600, 32_503_679_999] {
            assert_eq!(by_clock(unix_s), by_date(unix_s, None)?);
        }
        Ok(())
    }

    #[test]
    fn a_year_past_all_calendars_is_the_epoch() {
        assert_eq!(local(i64::MAX), EPOCH);
        assert_eq!(local(i64::MIN), EPOCH);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it is the clock's own test")]
    fn a_clock_starts_at_zero_and_its_copies_show_the_same_time() {
        let clock = Clock::start();
        let copy = clock;
        let before_ms = clock.elapsed_ms();
        let between_ms = copy.elapsed_ms();
        assert!((before_ms..=clock.elapsed_ms()).contains(&between_ms));
    }

    #[test]
    fn unix_time_is_in_milliseconds() {
        let now_ms = || {
            let since = UNIX_EPOCH.elapsed();
            i64::try_from(since.expect("after 1970").as_millis())
                .expect("before the year 292278994")
        };
        let before = now_ms();
        let between = unix_ms();
        assert!((before..=now_ms()).contains(&between));
    }
}
