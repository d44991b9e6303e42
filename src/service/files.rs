//! Files: what lies beneath the served root, as it may be told and sent.
//!
//! What it does not do: send. A download is an open regular file and a range of it. Opening and
//! listing may block on a disk: `look_cached` never does, `look` is for a thread that may wait.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::deposit::is_temporary;
use super::fault::{Fault, is_absent, shortage};
use super::listing::Listing;
use crate::protocol::effect::{FileRequest, FileWish};
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::text::{Civil, is_control};
use crate::sys::beneath::{self, Kind, Metadata, Open, Root};
use crate::sys::copy::read_cached;
use crate::sys::errno;
use crate::sys::fd::{AsFd, OwnedFd};

/// Size up to which a file is copied rather than sent by `sendfile`, in bytes: below it, a system
/// call costs more than the copy.
const SMALL_BYTES_MAX: usize = 8 * 1024;

/// The served root.
#[derive(Debug)]
pub struct Shelf {
    root: Root,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile<'a> {
    /// The file.
    pub file: OwnedFd,
    /// Its size when it was opened, in bytes.
    pub size: u64,
    /// When its content last changed, in seconds since 1970 UTC.
    pub mtime_s: i64,
    /// Its base name.
    pub name: Cow<'a, [u8]>,
    /// Where sending begins; at most `size`.
    pub offset: u64,
}

/// All that is to be sent of a small file.
#[derive(Clone, Debug)]
pub struct SmallFile<'a> {
    /// Its bytes from the offset on.
    pub content: Vec<u8>,
    /// Its size, in bytes.
    pub size: u64,
    /// When its content last changed, in seconds since 1970 UTC.
    pub mtime_s: i64,
    /// Its base name.
    pub name: Cow<'a, [u8]>,
}

/// The small file that was looked at last. Many ask for the same one at once, which is looked at
/// once then; whoever keeps this says for how long that is.
#[derive(Debug, Default)]
pub struct Glance {
    path: Vec<u8>,
    content: Vec<u8>,
    size: u64,
    mtime_s: i64,
    is_kept: bool,
}

impl Glance {
    /// The next look is a new one.
    pub fn forget(&mut self) {
        self.is_kept = false;
    }

    fn get<'a>(&self, request: &FileRequest<'a>) -> Option<SmallFile<'a>> {
        let is_wanted = request.wish == FileWish::Download { offset: 0 };
        let is_same = self.is_kept && is_wanted && self.path == request.path;
        is_same.then(|| self.small(Cow::Borrowed(base_name(request.path))))
    }

    /// Takes in what was opened, where that is small and in memory: one `send` then takes it along
    /// with what stands around it.
    fn take_in<'a>(&mut self, request: &FileRequest<'a>, open: OpenFile<'a>) -> Found<'a> {
        self.is_kept = false;
        if !read_small(&open, &mut self.content) {
            return Found::File(open);
        }
        self.path.clear();
        self.path.extend_from_slice(request.path);
        (self.size, self.mtime_s, self.is_kept) = (open.size, open.mtime_s, open.offset == 0);
        Found::Small(self.small(open.name))
    }

    fn small<'a>(&self, name: Cow<'a, [u8]>) -> SmallFile<'a> {
        let (content, size, mtime_s) = (self.content.clone(), self.size, self.mtime_s);
        SmallFile { content, size, mtime_s, name }
    }
}

/// What a look at the shelf found.
#[derive(Debug)]
pub enum Found<'a> {
    /// A file to be sent.
    File(OpenFile<'a>),
    /// A small one, which was in memory.
    Small(SmallFile<'a>),
    /// A line to be sent.
    Text(Vec<u8>),
    /// The lines of a directory.
    List(Listing),
}

impl Found<'_> {
    /// The same, holding its name itself.
    fn into_owned(self) -> Found<'static> {
        let own = |name: Cow<'_, [u8]>| Cow::Owned(name.into_owned());
        match self {
            Self::File(OpenFile { file, size, mtime_s, name, offset }) => {
                Found::File(OpenFile { file, size, mtime_s, name: own(name), offset })
            }
            Self::Small(SmallFile { content, size, mtime_s, name }) => {
                Found::Small(SmallFile { content, size, mtime_s, name: own(name) })
            }
            Self::Text(text) => Found::Text(text),
            Self::List(listing) => Found::List(listing),
        }
    }
}

/// A request that holds its path itself, so that another thread can meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub fn look_cached<'a>(
        &self,
        request: &FileRequest<'a>,
        serves_hidden: bool,
        glance: &mut Glance,
    ) -> Option<Result<Found<'a>, Fault>> {
        if let Err(refusal) = check_path(request, serves_hidden) {
            return Some(Err(refusal.into()));
        }
        let FileWish::Download { offset } = request.wish else { return None };
        if let Some(small) = glance.get(request) {
            return Some(Ok(Found::Small(small)));
        }
        match self.root.open_file(request.path, Open::StatusCached) {
            Ok((file, metadata)) => {
                let open = opened(file, &metadata, request.path, offset);
                Some(open.map(|open| glance.take_in(request, open)).map_err(Fault::from))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(fault_of(error, request.path))),
        }
    }

    /// Meets a request, waiting for disks. A listing is given up once `is_wanted` says no.
    pub fn look(
        &self,
        errand: &Errand,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Found<'static>, Fault> {
        let request = errand.request();
        check_path(&request, errand.serves_hidden)?;
        let fault = |error: io::Error| fault_of(error, request.path);
        if let FileWish::Download { offset } = request.wish {
            let (file, metadata) =
                self.root.open_file(request.path, Open::Status).map_err(fault)?;
            let open = opened(file, &metadata, request.path, offset)?;
            return Ok(Glance::default().take_in(&request, open).into_owned());
        }
        let status = self.root.open(request.path, Open::Status).map_err(fault)?;
        let metadata = beneath::metadata(status.as_fd()).map_err(fault)?;
        match (metadata.kind, request.wish) {
            (Kind::Directory, FileWish::List) => {
                self.list(&errand.path, errand.serves_hidden, is_wanted).map_err(fault)
            }
            (Kind::Other, _) => Err(not_a_file(request.path).into()),
            _ => Ok(Found::Text(entry_line(base_name(request.path), &metadata).into_bytes())),
        }
    }

    fn list(
        &self,
        path: &[u8],
        serves_hidden: bool,
        is_wanted: &dyn Fn() -> bool,
    ) -> io::Result<Found<'static>> {
        let directory = self.root.open(path, Open::Directory)?;
        let mut listing = Listing::default();
        beneath::list(directory.as_fd(), is_wanted, &mut |name, metadata| {
            if is_listable(name, serves_hidden) {
                let metadata = match metadata {
                    Some(metadata) => Some(metadata),
                    None => self.target_of_link(path, name)?,
                };
                if let Some(metadata) = metadata.filter(|metadata| metadata.kind != Kind::Other) {
                    listing.push(name, &metadata);
                }
            }
            Ok(())
        })?;
        listing.sort();
        Ok(Found::List(listing))
    }

    /// What a symbolic link leads to, if that lies beneath the root.
    fn target_of_link(&self, directory: &[u8], name: &[u8]) -> io::Result<Option<Metadata>> {
        let path = match directory {
            b"" => name.to_vec(),
            _ => [directory, b"/", name].concat(),
        };
        let target = self.root.open(&path, Open::Status);
        match target.and_then(|target| beneath::metadata(target.as_fd())) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Refuses paths that are refused whatever lies there.
fn check_path(request: &FileRequest<'_>, serves_hidden: bool) -> Result<(), Refusal> {
    if is_refused(request.path, serves_hidden) {
        return Err(absent(request.path));
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

/// An open file as a download from `offset` on.
fn opened<'a>(
    file: OwnedFd,
    metadata: &Metadata,
    path: &'a [u8],
    offset: u64,
) -> Result<OpenFile<'a>, Refusal> {
    let (size, mtime_s) = (metadata.bytes, metadata.mtime_s);
    if offset > size {
        let why = format!("the file has {size} bytes");
        return Err(Refusal::quoting(Code::BadOffset, path, &why));
    }
    Ok(OpenFile { file, size, mtime_s, name: Cow::Borrowed(base_name(path)), offset })
}

/// Reads all of a small rest of a file that is in memory. False where it is large, or would have to
/// be waited for, or is shorter by now.
fn read_small(open: &OpenFile<'_>, content: &mut Vec<u8>) -> bool {
    let count = usize::try_from(open.size - open.offset).unwrap_or(usize::MAX);
    if count > SMALL_BYTES_MAX {
        return false;
    }
    content.resize(count, 0);
    count == 0
        || read_cached(open.file.as_fd(), open.offset, content)
            .is_ok_and(|read| read == Some(count))
}

/// One line of a listing: `SIZE MTIME NAME`.
pub(super) fn entry_line(name: &[u8], metadata: &Metadata) -> String {
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

/// What the peer is told of all that it is not to know apart.
fn absent(path: &[u8]) -> Refusal {
    Refusal::quoting(Code::NoSuchFile, path, "nothing of that name is served")
}

/// What came of an error. What is not known to be harmless is a failure of the server's own.
fn fault_of(error: io::Error, path: &[u8]) -> Fault {
    if is_absent(&error) {
        return absent(path).into();
    }
    if let Some(refusal) = shortage(&error) {
        return refusal.into();
    }
    match error.raw_os_error() {
        // A directory, a FIFO, a socket, or a device.
        Some(errno::EISDIR | errno::ENXIO | errno::ENODEV) => not_a_file(path).into(),
        _ => Fault::internal(error, path, "it cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::{Scratch, deny_reading_directories};
    use crate::sys::thread;

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
    fn a_small_file_is_looked_at_once_until_the_glance_is_forgotten() -> io::Result<()> {
        let root = Scratch::new()?;
        for (name, text) in [("one", b"1" as &[u8]), ("two", b"22")] {
            root.write(name, text)?;
        }
        let shelf = Shelf::open(root.path())?;
        let mut glance = Glance::default();
        let look = |name: &'static str, offset, glance: &mut Glance| {
            let wish = FileWish::Download { offset };
            let request = FileRequest { wish, path: name.as_bytes() };
            match shelf.look_cached(&request, false, glance) {
                Some(Ok(Found::Small(small))) => {
                    (String::from_utf8_lossy(&small.content).into_owned(), small.size)
                }
                other => panic!("{name} is small and in memory: {other:?}"),
            }
        };
        assert_eq!(look("one", 0, &mut glance), ("1".to_owned(), 1));
        root.write("one", b"new")?;
        assert_eq!(look("one", 0, &mut glance), ("1".to_owned(), 1), "it was looked at before");
        assert_eq!(look("one", 2, &mut glance), ("w".to_owned(), 3), "that is another rest of it");
        assert_eq!(look("one", 0, &mut glance), ("new".to_owned(), 3), "a rest is not the whole");
        assert_eq!(look("two", 0, &mut glance), ("22".to_owned(), 2));
        root.write("two", b"later")?;
        glance.forget();
        assert_eq!(look("two", 0, &mut glance), ("later".to_owned(), 5));
        Ok(())
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_not_said_to_be_absent() -> io::Result<()> {
        for (errno, code) in [
            (errno::EIO, Code::Internal),
            (errno::EPERM, Code::Internal),
            (errno::ENOMEM, Code::Busy),
            (errno::ENOENT, Code::NoSuchFile),
            (errno::EACCES, Code::NoSuchFile),
        ] {
            let root = Scratch::new()?;
            root.write("file", b"")?;
            let shelf = Shelf::open(root.path())?;
            let looked = thread::spawn("looks", move || {
                deny_reading_directories(errno).expect("a filter is taken");
                let request = FileRequest { wish: FileWish::List, path: b"" };
                shelf.look(&Errand::new(&request, false), &|| true)
            })?;
            let fault = looked.join().expect("it does not panic").expect_err("it is denied");
            assert_eq!(fault.refusal.code, code);
            let cause = fault.cause.and_then(|cause| cause.raw_os_error());
            assert_eq!(cause, (code == Code::Internal).then_some(errno));
        }
        Ok(())
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
        // A file that is being uploaded is nobody's yet, where hidden ones are served too.
        assert!(is_listable(b".hidden", true));
        for name in [&b".landline-1-0.part"[..], b"a\tb", b"\xff"] {
            assert!(!is_listable(name, true));
        }
    }
}
