//! Files: what lies beneath the served root, as it may be told and sent.
//!
//! What it does not do: send. A download is an open regular file and a range of it. Opening and
//! listing may block on a disk: `look_cached` never does, `look` is for a thread that may wait.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::deposit::is_temporary;
use crate::protocol::effect::{FileRequest, FileWish};
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::text::{Civil, is_control};
use crate::sys::beneath::{self, Kind, Metadata, Open, Root};

/// The served root.
#[derive(Debug)]
pub struct Shelf {
    root: Root,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    /// The file.
    pub file: OwnedFd,
    /// Its size when it was opened, in bytes.
    pub size: u64,
    /// When its content last changed, in seconds since 1970 UTC.
    pub mtime_s: i64,
    /// Its base name.
    pub name: Vec<u8>,
    /// Where sending begins; at most `size`.
    pub offset: u64,
}

/// What a look at the shelf found.
#[derive(Debug)]
pub enum Found {
    /// A file to be sent.
    File(OpenFile),
    /// Lines to be sent.
    Text(Vec<u8>),
}

/// A request that holds its path itself, so that another thread can meet it.
#[derive(Clone, Debug)]
pub struct Errand {
    wish: FileWish,
    path: Vec<u8>,
    serves_hidden: bool,
}

impl Errand {
    /// The errand of a request.
    pub fn new(request: &FileRequest<'_>, serves_hidden: bool) -> Self {
        Self { wish: request.wish, path: request.path.to_vec(), serves_hidden }
    }

    fn request(&self) -> FileRequest<'_> {
        FileRequest { wish: self.wish, path: &self.path }
    }
}

impl Shelf {
    /// Opens the served root.
    pub fn open(root: &Path) -> io::Result<Self> {
        Ok(Self { root: Root::at(root)? })
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Meets a request without waiting for a disk; `None` where that cannot be.
    pub fn look_cached(
        &self,
        request: &FileRequest<'_>,
        serves_hidden: bool,
    ) -> Option<Result<Found, Refusal>> {
        if let Err(refusal) = check_path(request, serves_hidden) {
            return Some(Err(refusal));
        }
        let FileWish::Download { offset } = request.wish else { return None };
        match self.root.open(request.path, Open::FileCached) {
            Ok(file) => Some(opened(file, request.path, offset)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(refusal_of(&error, request.path))),
        }
    }

    /// Meets a request, waiting for disks.
    pub fn look(&self, errand: &Errand) -> Result<Found, Refusal> {
        let request = errand.request();
        check_path(&request, errand.serves_hidden)?;
        let refuse = |error: io::Error| refusal_of(&error, request.path);
        if let FileWish::Download { offset } = request.wish {
            let file = self.root.open(request.path, Open::File).map_err(refuse)?;
            return opened(file, request.path, offset);
        }
        let status = self.root.open(request.path, Open::Status).map_err(refuse)?;
        let metadata = beneath::metadata(status.as_fd()).map_err(refuse)?;
        match (metadata.kind, request.wish) {
            (Kind::Directory, FileWish::List) => self.list(&errand.path, errand.serves_hidden),
            (Kind::Other, _) => Err(not_a_file(request.path)),
            _ => Ok(Found::Text(entry_line(base_name(request.path), &metadata).into_bytes())),
        }
    }

    fn list(&self, path: &[u8], serves_hidden: bool) -> Result<Found, Refusal> {
        let refuse = |error: io::Error| refusal_of(&error, path);
        let directory = self.root.open(path, Open::Directory).map_err(refuse)?;
        let mut entries: Vec<(Vec<u8>, Metadata)> = Vec::new();
        beneath::list(directory, &mut |name, metadata| {
            if !is_listable(name, serves_hidden) {
                return;
            }
            let metadata = metadata.or_else(|| self.target_of_link(path, name));
            if let Some(metadata) = metadata.filter(|metadata| metadata.kind != Kind::Other) {
                entries.push((name.to_vec(), metadata));
            }
        })
        .map_err(refuse)?;
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut lines = String::new();
        for (name, metadata) in &entries {
            lines.push_str(&entry_line(name, metadata));
        }
        Ok(Found::Text(lines.into_bytes()))
    }

    /// What a symbolic link leads to, where that lies beneath the root.
    fn target_of_link(&self, directory: &[u8], name: &[u8]) -> Option<Metadata> {
        let path = match directory {
            b"" => name.to_vec(),
            _ => [directory, b"/", name].concat(),
        };
        let target = self.root.open(&path, Open::Status).ok()?;
        beneath::metadata(target.as_fd()).ok()
    }
}

/// Refuses paths that are refused whatever lies there.
fn check_path(request: &FileRequest<'_>, serves_hidden: bool) -> Result<(), Refusal> {
    if is_refused(request.path, serves_hidden) {
        return Err(refusal_of(&io::ErrorKind::NotFound.into(), request.path));
    }
    Ok(())
}

/// Whether a path is refused whatever lies there: it leaves the root, or is hidden.
pub(super) fn is_refused(path: &[u8], serves_hidden: bool) -> bool {
    let is_hidden = |component: &[u8]| match component {
        b".." => true,
        _ => component.starts_with(b".") && (!serves_hidden || is_temporary(component)),
    };
    path.starts_with(b"/") || path.split(|byte| *byte == b'/').any(is_hidden)
}

/// An open file as a download, where it is one.
fn opened(file: OwnedFd, path: &[u8], offset: u64) -> Result<Found, Refusal> {
    let metadata = beneath::metadata(file.as_fd()).map_err(|error| refusal_of(&error, path))?;
    if metadata.kind != Kind::File {
        return Err(not_a_file(path));
    }
    let (size, mtime_s) = (metadata.bytes, metadata.mtime_s);
    if offset > size {
        let why = format!("the file has {size} bytes");
        return Err(Refusal::quoting(Code::BadOffset, path, &why));
    }
    let name = base_name(path).to_vec();
    Ok(Found::File(OpenFile { file, size, mtime_s, name, offset }))
}

/// One line of a listing: `SIZE MTIME NAME`.
fn entry_line(name: &[u8], metadata: &Metadata) -> String {
    let mut line = String::new();
    let is_directory = metadata.kind == Kind::Directory;
    if is_directory {
        line.push('-');
    } else {
        write!(line, "{}", metadata.bytes).expect("a String takes all that is written");
    }
    line.push(' ');
    Civil::from_unix(metadata.mtime_s).write_utc(&mut line);
    line.push(' ');
    line.push_str(&String::from_utf8_lossy(name));
    line.push_str(if is_directory { "/\n" } else { "\n" });
    line
}

/// Whether a name is shown: one that a person can read, and that is not hidden.
fn is_listable(name: &[u8], serves_hidden: bool) -> bool {
    let is_shown = !name.starts_with(b".") || (serves_hidden && !is_temporary(name));
    is_shown
        && str::from_utf8(name).is_ok_and(|text| !text.contains(|c| c == '\t' || is_control(c)))
}

fn base_name(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'/').rfind(|part| !part.is_empty()).unwrap_or(b"")
}

fn not_a_file(path: &[u8]) -> Refusal {
    Refusal::quoting(Code::NotAFile, path, "not a regular file")
}

/// What the peer is told of an error. One text for all that it is not to know apart.
fn refusal_of(error: &io::Error, path: &[u8]) -> Refusal {
    match error.raw_os_error() {
        // A socket, or a device without a driver (open(2)).
        Some(libc::ENXIO | libc::ENODEV) => not_a_file(path),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => {
            Refusal::new(Code::Busy, "too many open files: try again")
        }
        Some(libc::EIO) => Refusal::quoting(Code::Internal, path, "the file cannot be read"),
        _ => Refusal::quoting(Code::NoSuchFile, path, "nothing of that name is served"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_absolute_and_climbing_paths_are_refused_before_any_look() {
        for path in ["/etc/passwd", "..", "a/../b", ".git/config", "a/.b", "./a"] {
            assert!(is_refused(path.as_bytes(), false), "{path}");
        }
        for path in ["a", "a/b", "a..b", "a.", "a//b", ""] {
            assert!(!is_refused(path.as_bytes(), false), "{path}");
        }
        assert!(is_refused(b"../.a", true) && !is_refused(b"./a/.b", true));
        assert!(is_refused(b"a/.landline-1-0.part", true));
    }

    #[test]
    fn lines_are_size_time_and_name() {
        let file = Metadata { kind: Kind::File, bytes: 12, mtime_s: 1_608_235_613 };
        assert_eq!(entry_line(b"a b", &file), "12 2020-12-17T20:06:53Z a b\n");
        let directory = Metadata { kind: Kind::Directory, ..file };
        assert_eq!(entry_line(b"src", &directory), "- 2020-12-17T20:06:53Z src/\n");
    }

    #[test]
    fn names_nobody_can_read_are_not_shown() {
        assert!(is_listable("é ü".as_bytes(), false));
        for name in [&b"a\nb"[..], b"a\tb", b"\x1b[m", b"\xff", b".hidden"] {
            assert!(!is_listable(name, false));
        }
    }
}
