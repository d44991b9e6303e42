//! Requests that take more than their line: uploads, and commands with input or a terminal.
//!
//! What it does not do: say what is to follow (`model`).

use crate::grammar::Author;
use crate::script::{Ask, Ends, Job, Line, Reads, Spot};

impl Author<'_> {
    /// `upload`, with its bytes.
    pub(crate) fn upload(&mut self) -> Line {
        let spot = match self.random.below(8) {
            0 => Spot::There,
            1 => Spot::Nowhere,
            _ => Spot::New,
        };
        let content = self.payload();
        let mut line = self.upload_of(spot, &content.len().to_string());
        line.payload = content;
        line
    }

    /// One to the end of input, whatever that is; or one whose end comes too early.
    pub(crate) fn last_upload(&mut self, is_framed: bool) -> Line {
        let content = self.payload();
        let is_early = is_framed || self.random.one_in(2);
        let size = if is_early { (content.len() + 1).to_string() } else { "-".to_owned() };
        let mut line = self.upload_of(if is_early { Spot::Early } else { Spot::New }, &size);
        line.payload = content;
        line
    }

    fn upload_of(&mut self, spot: Spot, size: &str) -> Line {
        self.tag += 1;
        let name = match spot {
            Spot::There => "a.txt".to_owned(),
            Spot::Nowhere => "nowhere/up".to_owned(),
            Spot::New | Spot::Early => format!("up {}.{}", self.scene.scripts.len(), self.tag),
        };
        let body = format!("upload {size} {name}");
        Line::new(Ask::Upload { name, spot }, body)
    }

    /// Bytes that look like requests here and there.
    fn payload(&mut self) -> Vec<u8> {
        let longest = if self.is_heavy { 60_000 } else { 900 };
        let count = self.random.below(longest);
        let mut bytes = self.random.bytes(count, b"");
        for word in ["ping\n", "cancel\n", "quit\n", "in 5\n", "eof 0\n"] {
            if self.random.one_in(4) {
                let at = self.random.below(bytes.len() + 1);
                bytes.splice(at..at, word.bytes());
            }
        }
        bytes
    }

    /// A command with input, all that is for it, and perhaps other requests in between.
    pub(crate) fn fed(&mut self, lines: &mut Vec<Line>) {
        let ends = match self.random.below(8) {
            0 => Ends::Status(3),
            1 => Ends::NotFound,
            2 => Ends::Busy,
            3 if self.may_run => Ends::Never,
            _ => Ends::Status(0),
        };
        self.begin_fed(ends, lines);
        let job = self.scene.jobs.len() - 1;
        if ends != Ends::Never || self.random.one_in(2) {
            lines.push(Line::new(Ask::Eof, "eof 0"));
        }
        if self.random.one_in(4) {
            // What comes after that is nobody's.
            lines.push(self.input());
        }
        if ends == Ends::Never {
            let mut cancel = Line::new(Ask::Cancel, "cancel");
            cancel.once_running = Some(job);
            lines.push(cancel);
            lines.push(Line::new(Ask::Eof, "eof 0"));
        }
    }

    /// One whose input ends with the client's.
    pub(crate) fn last_fed(&mut self, lines: &mut Vec<Line>) {
        self.begin_fed(Ends::Status(0), lines);
    }

    fn begin_fed(&mut self, ends: Ends, lines: &mut Vec<Line>) {
        let is_terminal = self.random.one_in(3);
        let verb = if is_terminal { "run@pty " } else { "run@in " };
        let is_limited = !is_terminal && self.random.one_in(4);
        let most = if is_limited { self.random.below(200) } else { usize::MAX };
        let writes = if self.random.one_in(2) { vec![(true, b"end".to_vec())] } else { Vec::new() };
        let reads = Some(Reads { most, is_terminal });
        lines.push(self.add_job(verb, Job { writes, ends, reads }));
        for _ in 0..self.random.below(5) {
            lines.push(match self.random.below(4) {
                0 => self.words(),
                1 => self.winch(),
                _ => self.input(),
            });
        }
    }

    pub(crate) fn input(&mut self) -> Line {
        let content = self.payload();
        let mut line = Line::new(Ask::Input, format!("in {}", content.len()));
        line.payload = content;
        line
    }

    fn winch(&mut self) -> Line {
        let (columns, rows) = (self.random.between(1, 300), self.random.between(1, 99));
        let size = format!("{columns}x{rows}");
        Line::new(Ask::Winch(size), format!("winch 0 rows={rows} cols={columns}"))
    }
}
