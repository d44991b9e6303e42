//! Uploads: what is stored, what is refused, and what comes too short.

use super::Author;
use crate::protocol::session::Uploads;
use crate::world::expect::Reply;
use crate::world::request::{Deed, Request, request};
use crate::world::tree::content;

/// Paths at which nothing can be stored, and the code.
const NOWHERE: [(&str, &[&str]); 9] = [
    ("nope/up", &["no-such-file"]),
    ("../up", &["no-such-file"]),
    ("/tmp/up", &["no-such-file"]),
    ("sub/../up", &["no-such-file"]),
    (".landline-1-1.part", &["no-such-file"]),
    ("sub", &["not-a-file"]),
    ("pipe", &["not-a-file"]),
    ("dev", &["not-a-file"]),
    ("up/", &["not-a-file"]),
];

impl Author<'_> {
    /// A new path of this client's, and where that is: a link may lead there.
    fn new_path(&mut self) -> (String, String) {
        self.count += 1;
        let name = format!("up-{}-{}", self.number, self.count);
        let directory = *self.random.pick(&["", "in/", "in/", "own/", "well/"]);
        let real = if directory == "well/" { "in/" } else { directory };
        (format!("{directory}{name}"), format!("{real}{name}"))
    }

    fn payload(&mut self, path: &str) -> Vec<u8> {
        let size = *self.random.pick(&[0, 1, 500, 500, 3_000, 9_000, 70_000, 9_000, 3_000]);
        let mut bytes = content(path, size);
        // Requests are no requests in there.
        let words: [&[u8]; 5] = [b"ping\n", b"cancel\n", b"quit\n", b"in 5\n", b"\n\x04\xff\xf4"];
        for word in words {
            if self.random.one_in(8) && size > 0 {
                let at = self.random.below(bytes.len());
                bytes.splice(at..at, word.iter().copied());
            }
        }
        bytes
    }

    pub(super) fn upload(&mut self) -> Request {
        let uploads = self.scene.config.settings.uploads;
        let (path, real) = self.new_path();
        let bytes = self.payload(&path);
        if uploads == Uploads::Off {
            let end = !self.is_framed && self.random.one_in(6);
            return self.upload_refused(&path, &bytes, end, &["disabled"]);
        }
        match self.random.below(12) {
            0 | 1 => {
                let (path, codes) = *self.random.pick(&NOWHERE);
                self.upload_refused(path, &bytes, false, codes)
            }
            2 if uploads == Uploads::New => {
                let path = *self.random.pick(&["small", "link", "dangling", "locked"]);
                self.upload_refused(path, &bytes, false, &["exists"])
            }
            3..=5 if !self.is_own_uncertain => self.upload_own(),
            6 if !self.is_framed => self.upload_to_end(&path, real, bytes),
            7 => self.upload_early(&path, &bytes),
            _ => self.upload_new(&path, real, bytes),
        }
    }

    fn upload_new(&mut self, path: &str, real: String, bytes: Vec<u8>) -> Request {
        let (mut wire, _) = self.line(format!("upload {} {path}", bytes.len()));
        wire.extend(&bytes);
        let mut request = request(wire, self.silent(vec![("size", bytes.len().to_string())]));
        request.deed = Deed::Upload { path: real, bytes, is_to_end: false };
        request
    }

    /// The file that only this client writes: it may be there.
    fn upload_own(&mut self) -> Request {
        let path = format!("own/own-{}", self.number);
        let bytes = self.payload(&path);
        let is_new_only = self.scene.config.settings.uploads == Uploads::New;
        if self.own.is_some() && is_new_only {
            return self.upload_refused(&path, &bytes, false, &["exists"]);
        }
        self.own = Some(bytes.clone());
        let mut request = self.upload_new(&path, String::new(), bytes);
        // What it holds in the end is up to the last of them.
        request.deed = Deed::Nothing;
        request
    }

    pub(super) fn download_own(&mut self) -> Request {
        let bytes = self.own.clone().unwrap_or_default();
        self.download_of(&format!("own/own-{}", self.number), &bytes)
    }

    /// What is refused is read all the same.
    fn upload_refused(
        &mut self,
        path: &str,
        bytes: &[u8],
        is_to_end: bool,
        codes: &'static [&'static str],
    ) -> Request {
        let size = if is_to_end { "-".to_owned() } else { bytes.len().to_string() };
        self.ends_input |= is_to_end;
        let (mut wire, _) = self.line(format!("upload {size} {path}"));
        wire.extend(bytes);
        request(wire, self.refused(codes))
    }

    fn upload_to_end(&mut self, path: &str, real: String, bytes: Vec<u8>) -> Request {
        self.ends_input = true;
        let (mut wire, _) = self.line(format!("upload - {path}"));
        wire.extend(&bytes);
        let mut request = request(wire, Reply::Plain(Vec::new()));
        request.deed = Deed::Upload { path: real, bytes, is_to_end: true };
        request
    }

    /// Input that ends before all bytes came.
    fn upload_early(&mut self, path: &str, bytes: &[u8]) -> Request {
        self.ends_input = true;
        let more = bytes.len() + self.random.between(1, 1_000);
        let (mut wire, _) = self.line(format!("upload {more} {path}"));
        wire.extend(bytes);
        request(wire, self.refused(&["bad-request"]))
    }
}
