//! `Console`: a program at a terminal of its own, whose screen is read back as a person sees it.
//!
//! What it does not do: know what the program draws. The terminal is emulated by `vt100`, and
//! resized by stty(1).

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;

use super::{PATIENCE, process, wait_until};

/// Lines of the screen that have gone over its top are kept, so many.
const SCROLLBACK_LINES: usize = 1000;

/// A program, its terminal, and what is on it.
pub(crate) struct Console {
    child: Child,
    keys: File,
    /// Held open, so that what was shown last can be read, and modes be asked for.
    line: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Console {
    /// Starts `program` with `args` in `folder`, on a terminal of so many columns and rows.
    #[track_caller]
    pub(crate) fn start(
        folder: &Path,
        program: &str,
        args: &[&str],
        (columns, rows): (u16, u16),
    ) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("there are terminals left");
        let (keys, line) = (File::from(pty.master), File::from(pty.slave));
        let end = || Stdio::from(line.try_clone().expect("descriptors are left"));
        // Makes the terminal the controlling one, and becomes the program.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program).args(args).current_dir(folder);
        command.env("TERM", "xterm").env("XDG_STATE_HOME", folder.join("state"));
        command.env_remove("NO_COLOR").env_remove("LANDLINE_CONFIG");
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("setsid is part of every system");
        let screen = vt100::Parser::new(some(rows), some(columns), SCROLLBACK_LINES);
        let screen = Arc::new(Mutex::new(screen));
        let (mut shown, seen) = (keys.try_clone().expect("descriptors are left"), screen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // EIO is the end of a terminal.
            while let Ok(count @ 1..) = shown.read(&mut bytes) {
                seen.lock().expect("nobody panics with it").process(&bytes[..count]);
            }
        });
        Self { child, keys, line, screen }
    }

    /// Presses keys.
    #[track_caller]
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal takes keys");
    }

    /// The rows of the screen down to the last one that is not empty.
    pub(crate) fn rows(&self) -> Vec<String> {
        let screen = self.screen.lock().expect("nobody panics with it");
        let contents = screen.screen().contents();
        contents.trim_end().split('\n').map(str::to_owned).collect()
    }

    /// Waits until the screen's last rows are these. `#` stands for a digit.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[&str]) {
        let fits = |row: &str, expected: &str| {
            let same =
                |(one, other): (char, char)| one == other || (other == '#' && one.is_ascii_digit());
            row.chars().count() == expected.chars().count()
                && row.chars().zip(expected.chars()).all(same)
        };
        let is_there = || {
            let rows = self.rows();
            let last = rows.len().checked_sub(expected.len()).map(|from| &rows[from..]);
            last.is_some_and(|rows| rows.iter().zip(expected).all(|(row, own)| fits(row, own)))
        };
        wait_until(&format!("the screen ends in\n{}", expected.join("\n")), is_there);
    }

    /// Whether some row has colour or is dim, of those that hold `text`.
    pub(crate) fn is_toned(&self, text: &str) -> bool {
        let screen = self.screen.lock().expect("nobody panics with it");
        let (screen, (rows, _)) = (screen.screen(), screen.screen().size());
        (0..rows.get()).any(|row| {
            let is_it = screen.rows(0, u16::MAX).nth(usize::from(row));
            let cell = screen.cell(row, 0);
            is_it.is_some_and(|line| line.contains(text))
                && cell.is_some_and(|cell| cell.dim() || cell.fgcolor() != vt100::Color::Default)
        })
    }

    /// The terminal gets another size.
    #[track_caller]
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.screen
            .lock()
            .expect("nobody panics with it")
            .screen_mut()
            .set_size(some(rows), some(columns));
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.stty(&["cols", &columns, "rows", &rows]);
    }

    /// Whether lines are edited by the terminal itself, as before a program changed that.
    #[track_caller]
    pub(crate) fn is_cooked(&self) -> bool {
        self.stty(&["-a"]).contains(" icanon ")
    }

    #[track_caller]
    fn stty(&self, args: &[&str]) -> String {
        let line = format!("/proc/{}/fd/{}", std::process::id(), self.line.as_raw_fd());
        let output = Command::new("stty").args(["-F", &line]).args(args).output();
        let output = output.expect("stty is part of every system");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("stty writes ASCII")
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(&self.child, signal);
    }

    /// The program ends by itself, with this status, and leaves the terminal as it was.
    #[track_caller]
    pub(crate) fn expect_exit(mut self, expected: i32) {
        let status = process::wait_within(&mut self.child, PATIENCE);
        let rows = self.rows().join("\n");
        let status = status.unwrap_or_else(|| panic!("it goes on:\n{rows}"));
        assert_eq!(status.code(), Some(expected), "{rows}");
        wait_until("the terminal is as it was", || self.is_cooked());
    }
}

fn some(size: u16) -> NonZero<u16> {
    NonZero::new(size).expect("a terminal has rows and columns")
}

impl Drop for Console {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the screen:\n{}", self.rows().join("\n"));
        }
        // After it was waited for, neither does anything.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
