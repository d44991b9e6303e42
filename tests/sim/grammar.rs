//! Scenes drawn from a seed: files, commands, clients and their lines.
//!
//! What it does not do: say what is to follow (`model`).

use landline::protocol::session::{Permit, Uploads};
use landline::protocol::speech::{Service, Speech};

use crate::random::Random;
use crate::script::{Ask, Ends, Job, Leaves, Line, Scene, Script, Shelved};

const NAMES: [&str; 6] = ["alice", "bob", "carol", "Dave", "e_1.-", "x"];
/// What a text may be made of: as it is sent, and as it is received.
const ATOMS: [(&[u8], &str); 10] = [
    (b"hello", "hello"),
    (b" ", " "),
    (b"\t", "\t"),
    (b": a | b", ": a | b"),
    (b"\x1b[2J", "\u{fffd}[2J"),
    (b"\x7f", "\u{fffd}"),
    (b"\xff.", "\u{fffd}."),
    (b"\xc2\x9b", "\u{fffd}"),
    ("ünï".as_bytes(), "ünï"),
    (b"\r.", "\u{fffd}."),
];

/// Draws a scene.
pub(crate) fn scene(random: &mut Random) -> Scene {
    let is_heavy = random.one_in(16);
    let line_bytes_max = if is_heavy { 65_536 } else { random.between(180, 300) };
    let backlog_bytes_max = if random.one_in(4) { random.between(100, 600) } else { 4 << 20 };
    let read_bytes_max = if is_heavy { 65_536 } else { random.between(1, 4_000) };
    let mut scene = Scene {
        files: files(random),
        jobs: Vec::new(),
        scripts: Vec::new(),
        uploads: [Uploads::Off, Uploads::New, Uploads::New, Uploads::Replace][random.below(4)],
        line_bytes_max,
        backlog_bytes_max,
        read_bytes_max,
    };
    for _ in 0..random.between(2, if is_heavy { 3 } else { 7 }) {
        let script =
            Author { random, scene: &mut scene, is_heavy, tag: 0, may_run: false }.script();
        scene.scripts.push(script);
    }
    scene
}

fn files(random: &mut Random) -> Vec<Shelved> {
    let mut files = Vec::new();
    for (name, size) in [
        ("a.txt", 12),
        ("empty", 0),
        ("sub/dir/sp ace%é", 900),
        ("big.bin", 20_000),
        ("shrinks", 700),
    ] {
        let is_whole = name != "shrinks";
        let there = if is_whole { size } else { random.between(0, size - 1) };
        let mtime_s = 1_600_000_000 + i64::try_from(size).expect("small");
        files.push(Shelved { name, size, content: random.bytes(there, b""), mtime_s });
    }
    files
}

/// Writes what one client says.
pub(crate) struct Author<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) scene: &'a mut Scene,
    pub(crate) is_heavy: bool,
    pub(crate) tag: usize,
    pub(crate) may_run: bool,
}

impl Author<'_> {
    fn script(&mut self) -> Script {
        let service = match self.random.below(12) {
            0 => Service::Echo,
            1 => Service::Hello,
            2 => Service::Exec,
            3 | 4 => Service::Chat,
            5 | 6 => Service::Talk,
            _ => Service::Line,
        };
        let bare = service != Service::Echo && self.random.one_in(3);
        let is_bare = bare && self.random.one_in(2);
        let permit = match self.random.below(8) {
            0 => Permit::Off,
            1 => Permit::Denied,
            _ => Permit::Granted,
        };
        self.may_run = permit == Permit::Granted;
        let mut script = Script {
            speech: Speech { service, bare },
            is_bare,
            permit,
            lines: Vec::new(),
            leaves: match self.random.below(12) {
                0 => Leaves::InTheMiddle,
                1..=6 => Leaves::Last,
                _ => Leaves::AtOnce,
            },
            stinginess: [1, 2, 2, 8][self.random.below(4)],
            is_home: self.random.one_in(2),
        };
        let mut lines = self.opening(service, is_bare);
        let count = self.random.between(3, 24);
        while lines.len() < count {
            self.add(service, is_bare, &mut lines);
        }
        let is_open = self.finish(&script, &mut lines);
        if script.leaves == Leaves::Last && is_open {
            script.leaves = Leaves::AtOnce;
        }
        script.lines = lines;
        script
    }

    /// First lines: a name mostly, where that is what a client does first.
    fn opening(&mut self, service: Service, is_bare: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.random.one_in(40) && service != Service::Echo && !is_bare {
            let line = self.random.pick(&[
                "GET / HTTP/1.1",
                "POST /a?b=c HTTP/1.0",
                "x / HTTP/1.1",
                "hOsT: x",
            ]);
            lines.push(Line::new(Ask::Http, line));
        }
        match service {
            Service::Chat | Service::Talk => {
                let user = self.user();
                lines.push(Line::new(Ask::Name(user.clone()), user));
            }
            Service::Hello => lines.push(self.words()),
            Service::Line if self.random.one_in(2) => {
                let user = self.user();
                lines.push(Line::new(Ask::Name(user.clone()), format!("name {user}")));
            }
            _ => {}
        }
        lines
    }

    /// Endings, one end of input without a newline among them. Says whether something is left that
    /// only the end of input ends.
    fn finish(&mut self, script: &Script, lines: &mut Vec<Line>) -> bool {
        let raw = script.service() == Service::Echo;
        for line in lines.iter_mut() {
            line.ending = match self.random.below(4) {
                _ if script.is_bare => "",
                0 if !raw => "\r\n",
                _ => "\n",
            };
            let is_short = line.body.len() < self.scene.line_bytes_max;
            if line.ending == "\r\n" && matches!(line.ask, Ask::Words) && is_short {
                // Of two carriage returns, one belongs to the line.
                line.body.extend(self.random.one_in(3).then_some(b'\r'));
            }
        }
        let is_framed = lines.iter().any(|line| matches!(line.ask, Ask::Framed));
        if !script.is_bare && script.service() == Service::Line && self.random.one_in(4) {
            if is_framed && self.random.one_in(2) {
                self.last_fed(lines);
            } else {
                lines.push(self.last_upload(is_framed));
            }
            return true;
        }
        let takes_tail = !script.is_bare && matches!(script.service(), Service::Line);
        if takes_tail && self.random.one_in(2) {
            let mut tail = self.words();
            tail.ending = "";
            tail.body.extend(self.random.one_in(3).then_some(b'\r'));
            if !tail.body.is_empty() {
                lines.push(tail);
            }
        }
        false
    }

    fn add(&mut self, service: Service, is_bare: bool, lines: &mut Vec<Line>) {
        if self.random.one_in(16) && !is_bare && service != Service::Echo {
            return lines.push(self.too_long(service));
        }
        let line = match (service, self.random.below(8)) {
            (Service::Line, _) => return self.add_request(is_bare, lines),
            (Service::Exec, _) => self.job("", false),
            (Service::Chat, 0) => Line::new(Ask::List, "get_list"),
            (Service::Chat, 1..=5) => self.send(),
            (Service::Chat, 6) if self.random.one_in(3) => Line::new(Ask::Quit, "quit"),
            (Service::Talk, 0..=5) => self.piped(),
            (Service::Hello, 0) if self.random.one_in(3) => Line::new(Ask::Quit, "close"),
            _ => self.words(),
        };
        lines.push(line);
    }

    /// A line, or some that belong together, on `line`.
    fn add_request(&mut self, is_bare: bool, lines: &mut Vec<Line>) {
        let is_framed = lines.iter().any(|line| matches!(line.ask, Ask::Framed));
        let line = match self.random.below(36) {
            0..=6 => self.words(),
            7..=9 => self.download(),
            10 => self.stat(),
            11..=13 => self.job("run ", is_framed),
            14 | 15 => {
                let user = self.user();
                Line::new(Ask::Name(user.clone()), format!("name {user}"))
            }
            16 => Line::new(Ask::List, "get_list"),
            17..=21 => self.send(),
            22 | 23 => self.piped(),
            24 => Line::new(Ask::Ping, "ping"),
            25 if self.random.one_in(4) => Line::new(Ask::Help, "help"),
            26 if !is_bare => Line::new(Ask::Framed, "landline/1"),
            27 if !is_bare && is_framed => self.stray(),
            31..=33 if !is_bare => self.upload(),
            34 | 35 if !is_bare && is_framed => return self.fed(lines),
            28 if !is_bare && is_framed && self.may_run => {
                lines.push(self.endless());
                let (job, ping) = (self.scene.jobs.len() - 1, Line::new(Ask::Ping, "ping"));
                if self.random.one_in(2) {
                    lines.push(ping);
                }
                let mut cancel = Line::new(Ask::Cancel, "cancel");
                cancel.once_running = Some(job);
                cancel
            }
            29 => Line::new(Ask::Cancel, "cancel"),
            30 if self.random.one_in(12) => Line::new(Ask::Quit, "quit"),
            _ => self.wrong(is_bare),
        };
        lines.push(line);
    }

    pub(crate) fn words(&mut self) -> Line {
        let longest = if self.is_heavy { 60_000 } else { 100 };
        let longest = if self.random.one_in(4) { longest } else { 12 };
        let count = self.random.below(longest);
        let mut body = match self.random.below(5) {
            0 => Vec::new(),
            1 => b"runner ".to_vec(),
            2 => b" run job 0".to_vec(),
            3 => b"Ping".to_vec(),
            _ => vec![0xc3, 0xa4],
        };
        body.extend(self.random.bytes(count, b"\n|"));
        // The end of a bare message is not to be taken for padding.
        body.push(b'~');
        if self.random.one_in(8) {
            body.clear();
        }
        if body.is_empty() { Line::new(Ask::Words, "+") } else { Line::new(Ask::Words, body) }
    }

    fn too_long(&mut self, service: Service) -> Line {
        let max = self.scene.line_bytes_max;
        if service != Service::Exec && self.random.one_in(3) {
            let mut body = self.random.bytes(max, b"\n|");
            body[0] = b'#';
            body[max - 1] = b'#';
            return Line::new(Ask::Words, body);
        }
        let over = if self.random.one_in(2) { 1 } else { self.random.between(1, 3 * max) };
        let mut body = self.random.bytes(max + over, b"\n");
        // No method of HTTP.
        body[0] = b'#';
        body[max + over - 1] = b'#';
        Line::new(Ask::TooLong, body)
    }

    fn download(&mut self) -> Line {
        let Some(file) = self.file() else {
            return Line::new(Ask::Download(0, None), "download nowhere");
        };
        let Shelved { name, size, .. } = &self.scene.files[file];
        let offset = match self.random.below(5) {
            0 => *size,
            1 => size + 1,
            _ => self.random.below(size + 1),
        };
        if self.random.one_in(2) {
            return Line::new(Ask::Download(0, Some(file)), format!("download {name}"));
        }
        Line::new(Ask::Download(offset, Some(file)), format!("download@{offset} {name}"))
    }

    fn stat(&mut self) -> Line {
        match self.file() {
            Some(file) => {
                let name = self.scene.files[file].name;
                Line::new(Ask::Stat(Some(file)), format!("stat \t{name}"))
            }
            None => Line::new(Ask::Stat(None), "stat nowhere"),
        }
    }

    fn file(&mut self) -> Option<usize> {
        let drawn = self.random.below(self.scene.files.len() + 1);
        (drawn < self.scene.files.len()).then_some(drawn)
    }

    fn job(&mut self, verb: &str, is_framed: bool) -> Line {
        let ends = match self.random.below(10) {
            0 => Ends::Status(3),
            1 => Ends::Status(127),
            2 if !verb.is_empty() => Ends::Signal("KILL"),
            3 if !verb.is_empty() => Ends::TimesOut,
            4 => Ends::NotFound,
            5 => Ends::Busy,
            _ => Ends::Status(0),
        };
        let mut writes = Vec::new();
        for _ in 0..self.random.below(5) {
            let count = self.random.between(1, if is_framed { 300 } else { 60 });
            let mut bytes = self.random.bytes(count, b"");
            if self.random.one_in(2) {
                bytes.push(b'\n');
            }
            writes.push((self.random.one_in(3), bytes));
        }
        self.add_job(verb, Job { writes, ends, reads: None })
    }

    fn endless(&mut self) -> Line {
        let writes = vec![(false, self.random.bytes(20, b""))];
        self.add_job("run ", Job { writes, ends: Ends::Never, reads: None })
    }

    pub(crate) fn add_job(&mut self, verb: &str, job: Job) -> Line {
        self.scene.jobs.push(job);
        let number = self.scene.jobs.len() - 1;
        Line::new(Ask::Job(number), format!("{verb}job {number}"))
    }

    fn user(&mut self) -> String {
        match self.random.below(12) {
            0 => "all".to_owned(),
            1 => self.random.pick(&["-x", "a b", "ä", "server", ".h"]).to_owned(),
            2 => "n".repeat(self.random.between(32, 33)),
            _ => self.random.pick(&NAMES).to_owned(),
        }
    }

    /// A text as it is sent, and as it is received: of its own kind, so that it can be told apart.
    fn text(&mut self) -> (Vec<u8>, String) {
        self.tag += 1;
        let mark = format!("m{}.{}", self.scene.scripts.len(), self.tag);
        let (mut sent, mut received) = (mark.clone().into_bytes(), mark);
        for _ in 0..self.random.below(5) {
            let (raw, clean) = ATOMS[self.random.below(ATOMS.len())];
            sent.extend_from_slice(raw);
            received.push_str(clean);
        }
        sent.push(b'#');
        received.push('#');
        (sent, received)
    }

    fn send(&mut self) -> Line {
        let (sent, text) = self.text();
        let mut body = b"send ".to_vec();
        let to = if self.random.one_in(3) {
            body.extend_from_slice(
                self.random.pick(&["all ", "all : ", "all: ", " all :"]).as_ref(),
            );
            None
        } else {
            let mut users = Vec::new();
            for _ in 0..self.random.between(1, 4) {
                users.push(self.random.pick(&NAMES).to_owned());
            }
            body.extend_from_slice(users.join(self.random.pick(&[" ", "  ", "\t"])).as_bytes());
            body.extend_from_slice(self.random.pick(&[" : ", ": ", ":", "\t:  "]).as_ref());
            Some(users)
        };
        body.extend_from_slice(&sent);
        body.extend_from_slice(self.random.pick(&["", " ", " \t"]).as_ref());
        Line::new(Ask::Send { to, text, is_piped: false }, body)
    }

    fn piped(&mut self) -> Line {
        let (sent, text) = self.text();
        let user = self.random.pick(&NAMES).to_owned();
        let mut body = sent;
        body.extend_from_slice(self.random.pick(&["|", " | ", "\t|  "]).as_ref());
        body.extend_from_slice(user.as_bytes());
        Line::new(Ask::Send { to: Some(vec![user]), text, is_piped: true }, body)
    }

    /// Input for a command that is not there, with payload that looks like requests.
    fn stray(&mut self) -> Line {
        if self.random.one_in(3) {
            return Line::new(Ask::Eof, "eof 0");
        }
        self.input()
    }

    fn wrong(&mut self, is_bare: bool) -> Line {
        const BAD: &str = "bad-request";
        let cases: [(&str, &'static str, &'static str); 13] = [
            ("run", BAD, BAD),
            ("run ", BAD, BAD),
            ("download", BAD, BAD),
            ("download@x a.txt", BAD, BAD),
            ("download@ a.txt", BAD, BAD),
            ("stat", BAD, BAD),
            ("name", BAD, BAD),
            ("send", BAD, BAD),
            ("send bob hi", BAD, BAD),
            ("send : hi", BAD, BAD),
            ("send all :", BAD, BAD),
            ("landline/2", "version", "version"),
            ("upload x up.bin", BAD, BAD),
        ];
        let (body, plain, framed) = cases[self.random.below(cases.len() - usize::from(is_bare))];
        Line::new(Ask::Wrong(plain, framed), body)
    }
}
