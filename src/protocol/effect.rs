//! What a session asks of the world, `Effect`, and what the world answers, `Outcome`.
//!
//! What it does not do: anything; these are the words the layers speak to each other.

use std::borrow::Cow;

use super::name::Name;
use super::refusal::Refusal;

/// What is to be done about one frame. An effect may borrow the frame it came from.
#[derive(Debug)]
pub enum Effect<'a> {
    /// Nothing: the frame was kept for later, or dropped.
    Nothing,
    /// Nothing, and the frame was not taken: it is to be shown again once an outcome came.
    Later,
    /// Send these very bytes.
    Echo(&'a [u8]),
    /// Send these very bytes as the payload of a `done` frame.
    Frame(&'a [u8]),
    /// Send this.
    Reply(Vec<u8>),
    /// Look at a file; an `Outcome` is awaited.
    Files(FileRequest<'a>),
    /// Run a command; an `Outcome` is awaited.
    Run(RunRequest<'a>),
    /// Store a file that follows, as `Feed`; an `Outcome` is awaited.
    Upload(UploadRequest<'a>),
    /// These bytes are for the request in progress.
    Feed(&'a [u8]),
    /// No more bytes come for the request in progress.
    FeedEnd,
    /// The terminal of the command in progress has another size.
    Resize(Terminal),
    /// Ask the room; an `Outcome` is awaited.
    Room(Call<'a>),
    /// Say the server's counters; an `Outcome` is awaited.
    Count(Account),
    /// End the request in progress; its `Outcome` is awaited still.
    Cancel,
    /// Send this, then close.
    End(Vec<u8>),
}

/// What is wanted of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRequest<'a> {
    /// What about it.
    pub wish: FileWish,
    /// The path below the served root.
    pub path: &'a [u8],
}

/// What is wanted of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileWish {
    /// Its bytes from an offset on.
    Download {
        /// Where to begin, in bytes.
        offset: u64,
    },
    /// Its size, time and name; of a directory, its entries'.
    List,
    /// Its size, time and name.
    Stat,
}

/// A command that is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRequest<'a> {
    /// The command, as it was written.
    pub command: &'a [u8],
    /// Where its standard input comes from.
    pub stdin: Stdin,
}

/// Where a command's standard input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// Nowhere: it is empty (`run`).
    Empty,
    /// From the client, through a pipe (`run@in`).
    Pipe,
    /// From the client, typed at a terminal which takes the output too (`run@pty`).
    Terminal,
}

/// A file that is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadRequest<'a> {
    /// How many bytes follow; `None` for all to the end of input.
    pub bytes: Option<u64>,
    /// The path below the served root.
    pub path: &'a [u8],
    /// Whether a file of that name may be replaced.
    pub may_replace: bool,
}

/// What the client's terminal is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Its size.
    pub size: WindowSize,
    /// Its type (environ(7), TERM), where the client says it.
    pub kind: Option<Box<str>>,
}

/// Where nothing is said of it: the size that all terminals once had.
impl Default for Terminal {
    fn default() -> Self {
        Self { size: WindowSize { columns: 80, rows: 24 }, kind: None }
    }
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// What came for a request before it had its turn.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Its bytes, in order.
    pub bytes: Vec<u8>,
    /// Whether these are all.
    pub is_ended: bool,
    /// What the client's terminal is like, where it was said.
    pub terminal: Option<Terminal>,
}

/// In which words the server's counters are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// The page at `/metrics`.
    Metrics,
    /// `NAME VALUE` a line, for `stats`.
    Stats,
}

/// What a session asks of the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// Take a name, or another one.
    Join {
        /// The name.
        name: Name,
        /// How messages are to be written to this peer.
        form: Form,
    },
    /// Have messages written in another form from now on.
    Reform(Form),
    /// Who is there?
    List,
    /// Pass a message on.
    Send {
        /// The recipients' names with blanks between them; `None` stands for all.
        users: Option<Cow<'a, [u8]>>,
        /// The text as it came.
        text: Cow<'a, [u8]>,
    },
    /// The peer is gone; nothing is answered.
    Leave,
}

impl Call<'_> {
    /// The same call, holding its bytes itself.
    pub fn into_owned(self) -> Call<'static> {
        match self {
            Self::Join { name, form } => Call::Join { name, form },
            Self::Reform(form) => Call::Reform(form),
            Self::List => Call::List,
            Self::Send { users, text } => Call::Send {
                users: users.map(|users| Cow::Owned(users.into_owned())),
                text: Cow::Owned(text.into_owned()),
            },
            Self::Leave => Call::Leave,
        }
    }
}

/// How a message is written to its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `line`: one line with time, sender and kind.
    Plain,
    /// The same to a bare client.
    PlainBare,
    /// `chat` to a line client.
    Chat,
    /// `chat` to a bare client.
    ChatBare,
    /// `talk` to a line client.
    Talk,
    /// `talk` to a bare client.
    TalkBare,
    /// A `msg` frame.
    Framed,
}

impl Form {
    /// How many forms there are.
    pub const COUNT: usize = 7;

    /// The form's number, below `COUNT`.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// To how many a message was addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// One recipient was named.
    Single,
    /// Several were.
    Multi,
    /// Everyone.
    Broad,
}

/// What the room answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name was taken by this peer.
    Joined(Name),
    /// The call was refused.
    Refused(Refusal),
    /// Messages are written in the new form.
    Reformed,
    /// The users' names in order of joining, with blanks between them.
    Users(String),
    /// The message was passed on.
    Sent {
        /// To how many.
        delivered: usize,
        /// The unknown users' names, with blanks between them; empty where all were known.
        unknown: String,
    },
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited.
    Status(i32),
    /// A signal ended it; its name without `SIG`.
    Signal(String),
}

/// How an effect that was awaited came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It could not be met, or not to its end.
    Refused(Refusal),
    /// All was sent; what remains is to say so.
    Sent,
    /// The file was stored, of so many bytes.
    Stored(u64),
    /// This text answers it.
    Text(Vec<u8>),
    /// The text that answers it was sent, behind `Session::text_head`.
    Listed,
    /// The command ended, and its output was sent.
    Ran(Ending),
    /// The room's answer.
    Room(Answer),
}
