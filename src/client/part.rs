//! `Part`: what came of a download that may break, kept beside its target to be gone on from.
//!
//! What it does not do: decide where a download goes on, or trust what it finds. Of a file
//! `NAME` two others tell: `.landline-data-NAME.part` has the bytes, and `.landline-note-NAME.part`
//! says of which file they are. The names come from the user, and a server never shows their like.
//!
//! Invariants:
//! 1. Bytes are gone on from only where a note says of which file they are: what was asked for, its
//!    size, and its time. The note is written before the first byte is.
//! 2. Bytes count once they are safe: those that were written since this machine started, which its
//!    memory has even if landline was killed; and those that had reached the disk when landline
//!    ended in order. After a power cut a file may have the length of bytes it does not have.
//! 3. Two landlines never write one part: it is locked.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use super::failure::Failure;
use super::landing::Target;
use crate::sys::{host, place};

/// How the first line of a note begins; another one is another form.
const TITLE: &str = "landline part 1";
/// Where the kernel says which of its starts this is (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Which file it is that bytes are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// What was asked for, relative to the served root.
    pub(super) file: String,
    /// Its size, in bytes.
    pub(super) size: u64,
    /// When it was last changed, in seconds since 1970; where that is not known, nothing is the
    /// same file.
    pub(super) mtime_s: Option<u64>,
}

/// What is known of the bytes that came.
#[derive(Debug, PartialEq, Eq)]
struct Note {
    origin: Origin,
    /// How many of them reached the disk for certain.
    synced: u64,
    /// Which start of the machine it was.
    boot: String,
}

/// The bytes that came.
pub(super) struct Part {
    target: Target,
    data_name: Vec<u8>,
    note_name: Vec<u8>,
    data: File,
    origin: Option<Origin>,
    len: u64,
    is_taken: bool,
}

impl Part {
    /// What was kept of `target`, or nothing yet.
    pub(super) fn open(target: Target) -> Result<Self, Failure> {
        let name = |kind: &str| [kind.as_bytes(), target.name(), b".part"].concat();
        let (data_name, note_name) = (name(".landline-data-"), name(".landline-note-"));
        let data = open_locked(&target, &data_name)?;
        let (origin, len) = (None, 0);
        let mut part = Self { target, data_name, note_name, data, origin, len, is_taken: false };
        part.recall().map_err(|error| part.target.failure(&error))?;
        Ok(part)
    }

    /// How far it came: where a download goes on.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the bytes, where there are any, are of this file.
    pub(super) fn is_of(&self, origin: &Origin) -> bool {
        self.len == 0 || (origin.mtime_s.is_some() && self.origin.as_ref() == Some(origin))
    }

    /// Nothing came yet, again.
    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        (self.origin, self.len) = (None, 0);
        self.cut().map_err(|error| self.target.failure(&error))
    }

    /// What comes from here on is of `origin`. Nothing else is kept.
    pub(super) fn begin(&mut self, origin: &Origin) -> Result<(), Failure> {
        if self.len > 0 && self.is_of(origin) {
            return Ok(());
        }
        self.forget()?;
        self.origin = Some(origin.clone());
        self.write_note(0).map_err(|error| self.target.failure(&error))
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.data.write_all(bytes) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Some of them may have been written; they are as good as the others.
                self.len = self.data.stream_position().unwrap_or(self.len);
                Err(self.target.failure(&error))
            }
        }
    }

    /// All of it came: it is synced, and gets its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.target.take(&self.data_name, &self.data)?;
        self.is_taken = true;
        Ok(())
    }

    /// Finds out what there is of which file.
    fn recall(&mut self) -> io::Result<()> {
        let note = fs::read_to_string(self.note_path()).ok().and_then(|text| Note::read(&text));
        if let Some(note) = note {
            let came = self.data.metadata()?.len();
            let is_in_memory = !note.boot.is_empty() && note.boot == boot();
            let safe = if is_in_memory { came } else { came.min(note.synced) };
            self.len = safe.min(note.origin.size);
            self.origin = Some(note.origin);
        }
        self.cut()
    }

    /// What is not counted goes.
    fn cut(&mut self) -> io::Result<()> {
        self.data.set_len(self.len)?;
        self.data.seek(SeekFrom::Start(self.len)).map(drop)
    }

    fn note_path(&self) -> std::path::PathBuf {
        let name = std::os::unix::ffi::OsStrExt::from_bytes(&self.note_name);
        self.target.path().with_file_name::<&std::ffi::OsStr>(name)
    }

    /// A note is whole or absent too.
    fn write_note(&self, synced: u64) -> io::Result<()> {
        let Some(origin) = self.origin.clone() else { return Ok(()) };
        let text = Note { origin, synced, boot: boot() }.text();
        let (temporary, mut file) = self.target.temporary()?;
        let directory = self.target.directory();
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| place::replace(directory, &temporary, &self.note_name));
        if written.is_err() {
            let _ = place::remove(directory, &temporary);
        }
        written
    }

    /// What came is kept, and whether it is safe is noted.
    fn keep(&self) -> io::Result<()> {
        self.data.sync_data()?;
        self.write_note(self.len)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.len > 0 && !self.is_taken {
            // What is not noted as safe is still good until the machine starts anew.
            let _ = self.keep();
        } else {
            for name in [&self.note_name, &self.data_name] {
                // The bytes have their own name by now, or there are none.
                let _ = place::remove(self.target.directory(), name);
            }
        }
        // Closing it unlocks it later where a child has a duplicate until it runs its program.
        let _ = place::unlock(self.data.as_fd());
    }
}

/// The file of that name, made where there is none, and locked. Another landline may have taken the
/// name from it between the two.
fn open_locked(target: &Target, name: &[u8]) -> Result<File, Failure> {
    let path = target.path();
    let failed = |why: &str| Failure::Failed(format!("{}: {why}", path.display()));
    let fault = |error: io::Error| target.failure(&error);
    loop {
        let file = match place::open(target.directory(), name) {
            Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => {
                return Err(failed(
                    "the name is too long for -c, which needs a longer one beside it",
                ));
            }
            opened => File::from(opened.map_err(fault)?),
        };
        let found = file.metadata().map_err(fault)?;
        if !found.is_file() || found.nlink() > 1 || found.uid() != host::user().uid {
            let name = String::from_utf8_lossy(name).into_owned();
            return Err(failed(&format!("what was kept of it is not ours: look at {name}")));
        }
        if !place::lock(file.as_fd()).map_err(fault)? {
            return Err(failed("another landline is fetching it"));
        }
        if file.metadata().map_err(fault)?.nlink() == 1 && is_named(target, name, &found) {
            return Ok(file);
        }
    }
}

fn is_named(target: &Target, name: &[u8], found: &fs::Metadata) -> bool {
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
    let named = target.path().with_file_name(name).symlink_metadata();
    named.is_ok_and(|named| (named.dev(), named.ino()) == (found.dev(), found.ino()))
}

/// Which start of the machine this is; empty where that cannot be known.
fn boot() -> String {
    fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default()
}

impl Note {
    fn text(&self) -> String {
        let Self { origin: Origin { file, size, mtime_s }, synced, boot } = self;
        let mut text = format!("{TITLE}\nsize={size}\n");
        if let Some(mtime_s) = mtime_s {
            writeln!(text, "mtime={mtime_s}").expect("a String takes all that is written");
        }
        // Neither a file that can be asked for nor an identity of a start has a line break.
        text + &format!("synced={synced}\nboot={boot}\nfile={file}\n")
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next() != Some(TITLE) {
            return None;
        }
        let pairs: Option<Vec<_>> = lines.map(|line| line.split_once('=')).collect();
        let pairs = pairs?;
        let value = |key| pairs.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        let file = value("file")?.to_owned();
        let size = value("size")?.parse().ok()?;
        let mtime_s = value("mtime").and_then(|value| value.parse().ok());
        let origin = Origin { file, size, mtime_s };
        let synced = value("synced")?.parse().ok()?;
        Some(Self { origin, synced, boot: value("boot")?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::landing::tests::Folder;
    use super::*;

    const KEPT: [&str; 2] = [".landline-data-x.part", ".landline-note-x.part"];

    fn origin() -> Origin {
        Origin { file: "dir/a=b c".to_owned(), size: 10, mtime_s: Some(7) }
    }

    fn open(folder: &Folder) -> Result<Part, Failure> {
        Part::open(Target::open(&folder.0.join("x"), false)?)
    }

    fn written(folder: &Folder, bytes: &[u8]) -> Result<Part, Failure> {
        let mut part = open(folder)?;
        part.begin(&origin())?;
        part.write(bytes)?;
        Ok(part)
    }

    #[test]
    fn what_came_is_kept_and_gone_on_from() -> Result<(), Failure> {
        let folder = Folder::new("kept").expect("a folder");
        drop(written(&folder, b"01234")?);
        assert_eq!(folder.names().expect("names"), KEPT);
        let mut part = open(&folder)?;
        assert_eq!(part.len(), 5);
        assert!(part.is_of(&origin()));
        part.begin(&origin())?;
        part.write(b"56789")?;
        part.finish()?;
        assert_eq!(folder.names().expect("names"), ["x"]);
        assert_eq!(fs::read(folder.0.join("x")).expect("it has its name"), b"0123456789");
        Ok(())
    }

    #[test]
    fn of_another_file_nothing_is_kept() -> Result<(), Failure> {
        let folder = Folder::new("other").expect("a folder");
        for other in [
            Origin { size: 11, ..origin() },
            Origin { mtime_s: Some(8), ..origin() },
            Origin { mtime_s: None, ..origin() },
            Origin { file: "a".to_owned(), ..origin() },
        ] {
            drop(written(&folder, b"01234")?);
            let mut part = open(&folder)?;
            assert!(!part.is_of(&other), "{other:?}");
            part.begin(&other)?;
            assert_eq!(part.len(), 0);
            part.write(b"abc")?;
            drop(part);
            assert_eq!(open(&folder)?.origin, Some(other));
            assert_eq!(fs::read(folder.0.join(KEPT[0])).expect("it is kept"), b"abc");
        }
        Ok(())
    }

    #[test]
    fn bytes_that_may_have_been_lost_do_not_count() -> Result<(), Failure> {
        let folder = Folder::new("lost").expect("a folder");
        let note = folder.0.join(KEPT[1]);
        for (synced, boot, len) in [(3, "another", 3), (0, "another", 0), (3, "", 3)] {
            drop(written(&folder, b"01234")?);
            let text = Note { origin: origin(), synced, boot: boot.to_owned() }.text();
            fs::write(&note, text).expect("a note can be written");
            assert_eq!(open(&folder)?.len(), len, "{synced} {boot}");
        }
        drop(written(&folder, b"01234")?);
        fs::remove_file(&note).expect("there is a note");
        assert_eq!(open(&folder)?.len(), 0, "nobody knows what it is");
        assert_eq!(folder.names().expect("names"), [""; 0]);
        Ok(())
    }

    #[test]
    fn a_part_is_one_landline_s_and_ours() -> Result<(), Failure> {
        let folder = Folder::new("locked").expect("a folder");
        let first = written(&folder, b"0")?;
        let why =
            |why: &str| Err(Failure::Failed(format!("{}: {why}", folder.0.join("x").display())));
        assert_eq!(open(&folder).map(drop), why("another landline is fetching it"));
        drop(first);
        fs::hard_link(folder.0.join(KEPT[0]), folder.0.join("other")).expect("a link");
        let told = format!("what was kept of it is not ours: look at {}", KEPT[0]);
        assert_eq!(open(&folder).map(drop), why(&told));
        Ok(())
    }

    #[test]
    fn what_is_no_note_says_nothing() {
        let text = Note { origin: origin(), synced: 4, boot: "b".to_owned() }.text();
        let read = Note::read(&text).expect("what is written is read back");
        assert_eq!((read.origin, read.synced, read.boot), (origin(), 4, "b".to_owned()));
        for cut in 0..text.len() {
            assert_eq!(Note::read(&text[..cut]), None, "{cut}");
        }
        assert_eq!(Note::read(&text.replace("part 1", "part 2")), None);
        assert_eq!(Note::read(&text.replace("size=10", "size=x")), None);
    }
}
