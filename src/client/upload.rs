//! `landline upload`: files on their way to a server, one after the other.
//!
//! What it does not do: keep a half-stored file; the server has whole ones or none. What comes
//! through a pipe is gathered in a temporary file first, since a request says its size before its
//! bytes: only so does its answer tell that all of them are stored.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::command::{Common, Source, Store};
use super::failure::Failure;
use super::progress::Progress;
use super::tally::Tally;
use super::watch::Watch;
use super::wire::{Wire, broken, is_event, misplaced};
use crate::protocol::reply::Header;

/// Bytes that are read of a file at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes of a refused file that are sent after all; beyond that, a new connection costs less.
const REST_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Mode of the temporary file for what comes through a pipe, which has no name by then.
const PRIVATE: u32 = 0o600;

/// `landline upload`; gives its exit status.
pub(super) fn upload(common: &Common, files: &[Store]) -> Result<u8, Failure> {
    let mut tally = Tally::default();
    let mut connection = None;
    for store in files {
        match upload_one(common, &mut connection, store) {
            Ok(()) => tally.done(),
            Err(failure @ Failure::Failed(_)) => tally.failed(failure),
            Err(failure) => return Err(failure),
        }
    }
    Ok(tally.status())
}

/// Stores one file over the connection there is, or a new one. It is there still for the next one,
/// unless it was given up in the middle of a file.
fn upload_one(
    common: &Common,
    connection: &mut Option<(Wire, Watch)>,
    store: &Store,
) -> Result<(), Failure> {
    let mut parcel = Parcel::open(&store.source)?;
    let (mut wire, mut watch) = match connection.take() {
        Some(open) => open,
        None => Wire::open(common)?,
    };
    let stored = parcel.send(&mut wire, &mut watch, &store.name, !common.quiet);
    if parcel.is_sent(&wire) {
        *connection = Some((wire, watch));
    } else {
        wire.abandon();
    }
    stored
}

/// Sends the bytes until the answer comes, which may be before all are sent where it is no.
fn send_bytes(
    wire: &mut Wire,
    watch: &mut Watch,
    parcel: &mut Parcel,
    progress: &mut Progress,
) -> Result<Header, Failure> {
    loop {
        while parcel.left > 0 && wire.has_room() {
            let piece = parcel.next()?;
            wire.push(piece);
            progress.on_bytes(piece.len());
        }
        match wire.arrived()? {
            Some(header) if is_event(&header) => wire.event(&header, watch)?,
            Some(header) => {
                wire.has_more = false;
                return Ok(header);
            }
            None if wire.is_over() => return Err(wire.lost()),
            None => {
                wire.has_more = parcel.left > 0;
                wire.fill(watch)?;
            }
        }
    }
}

/// A file that is being sent.
pub(super) struct Parcel {
    file: File,
    label: String,
    /// Bytes it had when it was opened, from where it is read on.
    size: u64,
    /// Of these, not yet read.
    left: u64,
    buffer: Vec<u8>,
}

impl Parcel {
    /// Opens it, which for what comes through a pipe means gathering it.
    pub(super) fn open(source: &Source) -> Result<Self, Failure> {
        let (label, opened) = match source {
            Source::File(path) => (path.display().to_string(), open_file(path)),
            Source::Stdin => ("standard input".to_owned(), open_stdin()),
        };
        match opened.and_then(|mut file| Ok((rest_bytes(&mut file)?, file))) {
            Ok((size, file)) => {
                Ok(Self { file, label, size, left: size, buffer: vec![0; READ_BYTES] })
            }
            Err(error) => Err(Failure::local(&label, &error)),
        }
    }

    /// Asks for it to be stored as `name`, sends it, and waits for the answer.
    pub(super) fn send(
        &mut self,
        wire: &mut Wire,
        watch: &mut Watch,
        name: &str,
        has_progress: bool,
    ) -> Result<(), Failure> {
        wire.say(&format!("upload {} {name}", self.size));
        let mut progress = Progress::new(self.size, has_progress).of(name);
        let header = send_bytes(wire, watch, self, &mut progress);
        progress.clear();
        let header = header?;
        match header.kind.as_str() {
            "done" if self.left > 0 => Err(broken("a file stored before all of it was sent")),
            "done" if header.number("size") != Some(self.size) => {
                Err(broken("a file stored in another size"))
            }
            "done" => wire.text(watch).map(drop),
            "fail" => {
                let refusal = wire.refusal(&header, watch)?;
                self.finish(wire, watch)?;
                Err(refusal)
            }
            _ => Err(misplaced(&header)),
        }
    }

    /// Sends what is left of a refused file where that is little: the server drops it, and the
    /// connection is kept.
    fn finish(&mut self, wire: &mut Wire, watch: &mut Watch) -> Result<(), Failure> {
        if self.left > REST_BYTES_MAX {
            return Ok(());
        }
        while self.left > 0 && !wire.has_ended() {
            if !wire.has_room() {
                wire.has_more = true;
                wire.fill(watch)?;
            } else if let Ok(piece) = self.next() {
                wire.push(piece);
            } else {
                break;
            }
        }
        wire.has_more = false;
        wire.flush(watch)
    }

    /// Whether all of it is on its way, so that the connection can be used for something else.
    pub(super) fn is_sent(&self, wire: &Wire) -> bool {
        self.left == 0 && wire.unsent() == 0
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next piece. What a file grew by since it was opened is not sent: a log could never be
    /// stored otherwise. One that became shorter is an error, and the server stores nothing of it.
    fn next(&mut self) -> Result<&[u8], Failure> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(READ_BYTES);
        let count = match self.file.read(&mut self.buffer[..wanted]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(&[]),
            Err(error) => return Err(Failure::local(&self.label, &error)),
        };
        if count == 0 {
            let label = &self.label;
            let text = format!("{label}: became shorter while it was sent; nothing is stored");
            return Err(Failure::Failed(text));
        }
        self.left -= count as u64;
        Ok(&self.buffer[..count])
    }
}

fn open_file(path: &std::path::Path) -> io::Result<File> {
    // Opening a FIFO would release a writer that waits there, and closing it would end the writer.
    check_kind(&std::fs::metadata(path)?)?;
    // A FIFO that was put there since is not waited for.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    check_kind(&file.metadata()?)?;
    Ok(file)
}

fn check_kind(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("no regular file; send it through a pipe, as -"));
    }
    Ok(())
}

/// Standard input where it is a file; otherwise all that comes through it, in a file of its own.
fn open_stdin() -> io::Result<File> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    if input.metadata()?.is_file() {
        return Ok(input);
    }
    let name = format!(".landline-{}.part", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut options = OpenOptions::new();
    let mut gathered = options.read(true).write(true).create_new(true).mode(PRIVATE).open(&path)?;
    // Whatever ends this process, nothing stays behind.
    std::fs::remove_file(&path)?;
    io::copy(&mut input, &mut gathered)?;
    gathered.rewind()?;
    Ok(gathered)
}

/// Bytes from where the file is read to its end.
fn rest_bytes(file: &mut File) -> io::Result<u64> {
    let position = file.stream_position()?;
    Ok(file.metadata()?.len().saturating_sub(position))
}
