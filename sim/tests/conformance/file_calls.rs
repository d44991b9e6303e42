//! Calls on files that a script is made of.

use landline_sim::kernel::random::Random;

/// Most descriptors of a script.
pub(crate) const SLOTS: usize = 6;

/// For what a path is opened: `beneath::Open`, which each of the two kernels has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Directory,
    Status,
    StatusCached,
}

/// What somebody else does meanwhile.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Directory(String),
    Link(String, String),
    Fifo(String),
    /// Cuts a file off, or fills it up with zeros.
    Resize(String, usize),
    Mode(String, u32),
}

/// One call. The directory of a slot that holds none is the root.
#[derive(Clone, Debug)]
pub(crate) enum FileCall {
    Change(Change),
    Open(String, How),
    OpenFile(String, How),
    Close(usize),
    Metadata(usize),
    List(usize),
    Names(usize),
    Kind(usize, String),
    Access(usize, String),
    Create(usize, String, Option<u32>),
    Write(usize, usize),
    SetAccess(usize, String),
    SyncFile(usize),
    Sync(usize),
    Replace(usize, String, String),
    Rename(usize, String, String),
    Remove(usize, String),
    Sweep(usize, String),
    Read(usize, usize),
    ReadAt(usize, u64, usize),
    ReadCached(usize, u64, usize),
    ReadAhead(usize, u64, usize),
    Send(usize, u64, usize),
    /// Whether epoll takes it.
    Watch(usize),
}

/// A name of one component, now and then one that is too long or nothing.
fn name(random: &mut Random) -> String {
    match random.below(24) {
        0 => "n".repeat(255),
        1 => "n".repeat(256),
        2 => String::new(),
        _ => (*random.pick(&["a", "b", "c", "dir", "link"])).to_owned(),
    }
}

fn path(random: &mut Random) -> String {
    const PATHS: [&str; 26] = [
        "a",
        "b",
        "c",
        "dir",
        "link",
        "dir/a",
        "dir/b",
        "dir/dir",
        "link/a",
        "link/..",
        "dir/..",
        "dir/../a",
        "dir/../..",
        "..",
        ".",
        "",
        "/",
        "/a",
        "./a",
        "a/",
        "dir/",
        "dir//a",
        "a/..",
        "a/.",
        "link/",
        "nothing/../a",
    ];
    match random.below(16) {
        0 => format!("dir/{}", name(random)),
        1 => "dir/../".repeat(600),
        2 => "d".repeat(5000),
        3 => name(random),
        _ => (*random.pick(&PATHS)).to_owned(),
    }
}

fn change(random: &mut Random) -> Change {
    const TARGETS: [&str; 12] = [
        "a",
        "dir",
        "dir/",
        "./b",
        "link",
        "../a",
        "..",
        "nothing",
        "/a",
        "/",
        "dir/../c",
        "../../outside",
    ];
    const PLACES: [&str; 9] =
        ["a", "b", "c", "dir", "link", "dir/a", "dir/b", "dir/dir", "dir/link"];
    let place = (*random.pick(&PLACES)).to_owned();
    match random.below(10) {
        0..3 => Change::Directory(place),
        3..6 => Change::Link(place, (*random.pick(&TARGETS)).to_owned()),
        6 if random.one_in(4) => Change::Fifo(place),
        6..9 => Change::Resize(place, *random.pick(&[0, 1, 4096, 9000])),
        _ => Change::Mode(place, *random.pick(&[0o600, 0o644, 0o751])),
    }
}

pub(crate) fn draw(random: &mut Random) -> FileCall {
    let slot = random.below(SLOTS);
    let how = *random.pick(&[How::Directory, How::Status, How::Status, How::StatusCached]);
    let looks = if how == How::Directory { How::Status } else { how };
    let offset = *random.pick(&[0, 0, 1, 4096, 8999, 20_000, 1 << 40, u64::MAX]);
    let near = *random.pick(&[0, 1, 4096, 20_000]);
    let bytes = *random.pick(&[1, 10, 4096, 9000]);
    let mode = *random.pick(&[None, None, Some(0o644), Some(0o777), Some(0)]);
    match random.below(40) {
        0..4 => FileCall::Change(change(random)),
        8..11 => FileCall::OpenFile(path(random), looks),
        11..13 => FileCall::Close(slot),
        13 => FileCall::Metadata(slot),
        14 => FileCall::List(slot),
        15 => FileCall::Names(slot),
        16 => FileCall::Kind(slot, name(random)),
        17 => FileCall::Access(slot, name(random)),
        18..21 => FileCall::Create(slot, name(random), mode),
        21..24 => FileCall::Write(slot, bytes),
        24 => FileCall::SetAccess(slot, name(random)),
        // A disk takes its time.
        25 if random.one_in(8) => FileCall::SyncFile(slot),
        26 if random.one_in(8) => FileCall::Sync(slot),
        27 | 28 => FileCall::Replace(slot, name(random), name(random)),
        29 | 30 => FileCall::Rename(slot, name(random), name(random)),
        31 => FileCall::Remove(slot, name(random)),
        32 => FileCall::Sweep(slot, name(random)),
        33 | 34 => FileCall::Read(slot, bytes),
        35 => FileCall::ReadAt(slot, near, bytes),
        36 => FileCall::ReadCached(slot, offset, bytes),
        37 => FileCall::ReadAhead(slot, near, bytes),
        38 => FileCall::Send(slot, offset, bytes),
        39 => FileCall::Watch(slot),
        _ => FileCall::Open(path(random), how),
    }
}
