//! What a client must receive, in the words of the protocol.
//!
//! Nothing here uses the server's encoders: the expected bytes are written down from
//! `docs/PROTOCOL.md`.

pub use super::compare::Piece;
pub use super::frame::Message;

/// What answers one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These, one after the other.
    Plain(Vec<Piece>),
    /// Frames: what the parts of each kind hold together, and the last one.
    Framed {
        /// `data`, `out`, `err`.
        parts: Vec<(&'static str, Vec<u8>)>,
        /// A `file` frame comes first, with this size.
        size: Option<u64>,
        /// How it ends.
        last: Last,
    },
    /// Frames of any kind, up to the end of a reply.
    AnyFrames,
    /// A download of a file with this content, of which something is lost meanwhile, in frames.
    Damaged(Vec<u8>),
}

/// The final frame.
#[derive(Clone, Debug)]
pub enum Last {
    /// `done`, with these keys and this payload.
    Done(Vec<(&'static str, String)>, Vec<Piece>),
    /// `fail` with one of these codes.
    Fail(&'static [&'static str]),
    /// Either of the two, with any keys.
    Either(&'static [&'static str]),
}

/// How messages look to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line with time, sender and kind.
    Line,
    /// Two indented lines.
    Chat,
    /// `FROM|TEXT`.
    Talk,
    /// None come.
    Never,
}

/// What was made of what a client received.
#[derive(Debug, Default)]
pub struct Reading {
    /// Replies that are whole.
    pub replies: usize,
    /// Messages, in order.
    pub messages: Vec<Message>,
    /// Nothing more can be said of what came: a request failed that may fail.
    pub is_lost: bool,
    /// What is left over begins a reply, or a message, that is not whole.
    pub is_cut: bool,
    /// The same of a framed reply, of which a client sees that it is not whole.
    pub is_cut_frame: bool,
    /// Users that some framed replies say there are not: the number of the reply, and their names.
    pub unknown: Vec<(usize, String)>,
    /// Requests that were cancelled.
    pub cancelled: usize,
    /// The server said why it ends the connection.
    pub farewell: Option<String>,
}

/// Codes that may answer any request where calls of the kernel fail.
pub const FAULT_CODES: &[&str] = &["internal", "busy", "no-such-file", "timeout", "truncated"];
