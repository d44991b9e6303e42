//! What lies in the served root when the server starts, and what the protocol says of it.

use crate::kernel::Kernel;
use crate::kernel::process::output_bytes;
use crate::kernel::random::Random;

/// Regular files that can be downloaded: path, size.
pub const FILES: [(&str, usize); 9] = [
    ("a.txt", 12),
    ("empty", 0),
    ("small", 3_000),
    ("sub/nine thousand", 9_000),
    ("sub/deep/f", 5),
    ("häuser", 33),
    ("sub/deep/page", 4_096),
    ("big", 70_000),
    ("bigger", 300_000),
];
/// Symbolic links to files below the root, and which files those are.
pub const LINKS: [(&str, &str, &str); 3] =
    [("link", "small", "small"), ("sub/up", "../a.txt", "a.txt"), ("sub/twice", "up", "a.txt")];
/// Symbolic links that lead nowhere a client may see.
const DEAD_LINKS: [(&str, &str); 4] =
    [("dangling", "nope"), ("outside", "/etc/passwd"), ("climb", "../x"), ("sub/climb", "../../x")];
/// Files whose names begin with a dot, or that lie below such a directory: path, size.
pub const HIDDEN: [(&str, usize); 3] = [(".secret", 40), (".dot/file", 10), ("sub/.x", 7)];
/// A file that others cut off while the server runs, and how large it is at first.
pub const SHRINKING: (&str, usize) = ("torn", 150_000);
/// A file of which a part cannot be read: path, size.
pub const BROKEN: (&str, usize) = ("broken", 90_000);
/// What may not be read: it can be seen in a listing, and that is all.
const DENIED: (&str, usize) = ("locked", 9);
/// Directories: path. The last three hold what clients store.
pub const DIRECTORIES: [&str; 6] = ["sub", "sub/deep", "hollow", "many", "in", "own"];
/// Symbolic links to directories, and which.
const DIRECTORY_LINKS: [(&str, &str); 2] = [("way", "sub"), ("well", "in")];
/// A file that sorts behind all that clients store in `in` and `own`.
const SENTINEL: (&str, usize) = ("zzz", 1);
/// When everything here was made, as a listing says it.
const DATE: &str = "2020-12-17T20:00:00Z";

/// Paths that are `no-such-file`, whatever lies there.
pub const ABSENT: [&str; 14] = [
    "nope",
    "sub/nope",
    "nope/nope",
    "../x",
    "../srv/a.txt",
    "/etc/passwd",
    "/srv/a.txt",
    "sub/../a.txt",
    "..",
    "dangling",
    "outside",
    "climb",
    "sub/climb",
    ".landline-999-7.part",
];
/// Paths that are `not-a-file`.
pub const ODD: [&str; 5] = ["pipe", "dev", "drive", "sock", "sub/pipe"];

/// The content of a file.
pub fn content(name: &str, size: usize) -> Vec<u8> {
    output_bytes(name, size)
}

/// What differs from scene to scene.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// Names that begin with a dot are served.
    pub is_hidden_served: bool,
    /// How many files are in `many`.
    pub many: usize,
}

impl Tree {
    /// Draws one, and lays it out.
    pub fn draw(random: &mut Random, kernel: &mut Kernel) -> Self {
        let is_hidden_served = random.one_in(4);
        let many = if random.one_in(12) { 800 } else { 3 };
        let files = &mut kernel.files;
        for (path, size) in FILES.iter().chain(&HIDDEN).chain(&[DENIED]) {
            files.create(path, content(path, *size));
        }
        files.deny(DENIED.0);
        for (path, size) in [SHRINKING, BROKEN] {
            // Not in the root, whose listing says how large they are.
            files.create(&format!("ill/{path}"), content(path, size));
        }
        files.break_disk("ill/broken", BROKEN.1 / 3, libc::EIO);
        for (path, target, _) in LINKS {
            files.make_link(path, target);
        }
        for (path, target) in DEAD_LINKS.iter().chain(&DIRECTORY_LINKS) {
            files.make_link(path, target);
        }
        for path in DIRECTORIES {
            files.make_directory(path);
        }
        for directory in ["in", "own"] {
            let path = format!("{directory}/{}", SENTINEL.0);
            files.create(&path, content(&path, SENTINEL.1));
        }
        files.create("sub/with\ttab", Vec::new());
        files.make_fifo("pipe");
        files.make_fifo("sub/pipe");
        files.make_device("dev", true);
        files.make_device("drive", false);
        files.make_socket("sock");
        for number in 0..many {
            files.create(&many_name(number), Vec::new());
        }
        for (path, size) in FILES {
            if random.one_in(5) {
                files.make_unsendable(path);
            }
            if random.one_in(8) && size > 0 {
                files.make_opaque(path);
            }
        }
        if random.one_in(2) {
            kernel.chill_files();
        }
        Self { is_hidden_served, many }
    }

    /// The line that a listing holds for each entry of a directory, with its name, in their order.
    pub fn listing(&self, directory: &str) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let mut add = |path: &str, size: Option<usize>| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            if parent != directory || name.starts_with('.') && !self.is_hidden_served {
                return;
            }
            let line = size.map_or_else(
                || format!("- {DATE} {name}/\n"),
                |size| format!("{size} {DATE} {name}\n"),
            );
            all.push((name.to_owned(), line));
        };
        for (path, size) in FILES.iter().chain(&HIDDEN).chain(&[DENIED]) {
            add(path, Some(*size));
        }
        for (path, _, to) in LINKS {
            add(path, Some(size_of(to)));
        }
        let links = DIRECTORY_LINKS.map(|(path, _)| path);
        DIRECTORIES.iter().chain(&[".dot", "ill"]).chain(&links).for_each(|path| add(path, None));
        for directory in ["in", "own"] {
            add(&format!("{directory}/{}", SENTINEL.0), Some(SENTINEL.1));
        }
        for number in 0..if directory == "many" { self.many } else { 0 } {
            add(&many_name(number), Some(0));
        }
        all.sort();
        all
    }
}

/// What `stat` says of a file.
pub fn status(path: &str, size: usize) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("{size} {DATE} {name}\n")
}

/// The size of one of `FILES`.
pub fn size_of(path: &str) -> usize {
    let found = FILES.iter().chain(&HIDDEN).find(|(other, _)| *other == path);
    found.map_or(0, |(_, size)| *size)
}

fn many_name(number: usize) -> String {
    format!("many/{number:04}-{}", "n".repeat(60))
}

/// Somebody cuts a file off, or puts a whole one in its place.
pub fn disturb(random: &mut Random, kernel: &mut Kernel) {
    let (path, size) = SHRINKING;
    let path = format!("ill/{path}");
    let there = kernel.files.content(&path).map_or(0, |bytes| bytes.len());
    if random.one_in(3) {
        // As by rename(2): who sends the old one does not see the new one.
        kernel.files.create(&path, content(SHRINKING.0, size));
    } else {
        kernel.files.truncate(&path, random.between(0, there));
    }
}
