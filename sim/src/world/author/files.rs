//! Downloads, listings, and what is said of single files.

use super::Author;
use crate::world::expect::{Last, Piece, Reply};
use crate::world::request::{Request, exact, framed};
use crate::world::tree::{
    ABSENT, BROKEN, DIRECTORIES, FILES, HIDDEN, LINKS, ODD, SHRINKING, content, size_of, status,
};

impl Author<'_> {
    /// A path that can be downloaded, and the file it stands for.
    fn file(&mut self) -> (&'static str, &'static str) {
        match self.random.below(12) {
            0 | 1 => {
                let (link, _, to) = *self.random.pick(&LINKS);
                (link, to)
            }
            2 if self.scene.tree.is_hidden_served => {
                let (path, _) = *self.random.pick(&HIDDEN);
                (path, path)
            }
            _ => {
                let (path, _) = *self.random.pick(&FILES);
                (path, path)
            }
        }
    }

    pub(super) fn download(&mut self) -> Request {
        if self.random.one_in(if self.is_framed { 12 } else { 40 }) {
            return self.download_ill();
        }
        if self.own.is_some() && self.random.one_in(2) {
            return self.download_own();
        }
        let (path, file) = self.file();
        let bytes = content(file, size_of(file));
        self.download_of(path, &bytes)
    }

    /// A download of a file that loses something meanwhile. In plain the connection may be reset in
    /// the middle of it.
    fn download_ill(&mut self) -> Request {
        let (name, size) = if self.random.one_in(2) { SHRINKING } else { BROKEN };
        let reply = if self.is_framed {
            Reply::Damaged(content(name, size))
        } else {
            Reply::Plain(Vec::new())
        };
        let mut request = self.request(format!("download ill/{name}"), reply);
        request.is_loose = !self.is_framed;
        request
    }

    /// A download of a file with this content, from some byte on.
    pub(super) fn download_of(&mut self, path: &str, bytes: &[u8]) -> Request {
        let size = bytes.len();
        let offset = match self.random.below(6) {
            0 => size,
            1 | 2 => self.random.below(size + 1),
            _ => 0,
        };
        let verb = match self.random.below(3) {
            _ if offset > 0 => format!("download@{offset}"),
            0 => "download@000".to_owned(),
            _ => "download".to_owned(),
        };
        let rest = bytes[offset..].to_vec();
        let reply = if self.is_framed {
            framed(vec![("data", rest)], Some(size as u64), Last::Done(Vec::new(), Vec::new()))
        } else {
            Reply::Plain(vec![exact(rest)])
        };
        let body = format!("{verb}{}{path}", self.gap());
        self.request(body, reply)
    }

    /// A path at which no file is to be had, and the code that says so.
    fn absent(&mut self) -> (&'static str, &'static [&'static str]) {
        const ABSENT_CODE: &[&str] = &["no-such-file"];
        match self.random.below(8) {
            0 | 1 => (*self.random.pick(&ODD), &["not-a-file"]),
            2 if !self.scene.tree.is_hidden_served => (self.random.pick(&HIDDEN).0, ABSENT_CODE),
            _ => (*self.random.pick(&ABSENT), ABSENT_CODE),
        }
    }

    /// A download that is refused.
    pub(super) fn download_refused(&mut self) -> Request {
        let (path, codes) = match self.random.below(6) {
            0 => return self.download_behind(),
            1 => (*self.random.pick(&DIRECTORIES), &["not-a-file"][..]),
            2 => ("locked", &["no-such-file"][..]),
            _ => self.absent(),
        };
        let verb = *self.random.pick(&["download", "download", "download@0", "download@9"]);
        let body = format!("{verb}{}{path}", self.gap());
        self.request(body, self.refused(codes))
    }

    /// A download from behind the end of a file.
    fn download_behind(&mut self) -> Request {
        let (path, file) = self.file();
        let offset = if self.random.one_in(2) {
            (size_of(file) + 1).to_string()
        } else {
            "99999999999999999999999".to_owned()
        };
        let body = format!("download@{offset}{}{path}", self.gap());
        self.request(body, self.refused(&["bad-offset"]))
    }

    /// `stat`, or `files` of a file, which is the same.
    pub(super) fn stat(&mut self) -> Request {
        let verb = if self.random.one_in(3) { "files" } else { "stat" };
        let gap = self.gap();
        if self.random.one_in(3) {
            let (path, codes) = self.absent();
            return self.request(format!("{verb}{gap}{path}"), self.refused(codes));
        }
        let (path, file) = self.file();
        let said = status(path, size_of(file));
        self.request(format!("{verb}{gap}{path}"), self.met(vec![exact(said)]))
    }

    /// A listing.
    pub(super) fn files(&mut self) -> Request {
        let directory = match self.random.below(3) {
            0 => "",
            _ => *self.random.pick(&DIRECTORIES),
        };
        let (shown, gap) = match (directory, self.random.below(4)) {
            ("sub", 0) => ("way", " "),
            ("", 0) => ("", " "),
            ("", _) => ("", ""),
            _ => (directory, self.gap()),
        };
        let entries = self.scene.tree.listing(directory);
        let holds_more = ["", "in", "own"].contains(&directory);
        let reply = self.met(vec![Piece::Listing(entries, holds_more)]);
        self.request(format!("files{gap}{shown}"), reply)
    }
}
