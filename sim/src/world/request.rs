//! Requests: what is sent, what answers it, and what it does.

use super::expect::{Form, Last, Piece, Reply};

/// What a request does besides being answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Nothing.
    Nothing,
    /// The client is named from now on.
    Name,
    /// These clients, or all others, are sent a text.
    Send(Option<Vec<usize>>, String),
    /// A file is stored.
    Upload {
        /// Under this path.
        path: String,
        /// With these bytes.
        bytes: Vec<u8>,
        /// They reach to the end of input, of which a reset may take some.
        is_to_end: bool,
    },
    /// Nothing after it is answered.
    Quit,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// As it is sent.
    pub wire: Vec<u8>,
    /// What answers it.
    pub reply: Reply,
    /// How messages look once it is answered.
    pub form: Form,
    /// What it does.
    pub deed: Deed,
    /// Errors that may stand where its reply, or the rest of it, should.
    pub excuses: Vec<&'static str>,
    /// Nothing can be said of what is received from here on.
    pub is_loose: bool,
}

/// A request without a deed.
pub fn request(wire: Vec<u8>, reply: Reply) -> Request {
    let (form, deed) = (Form::Never, Deed::Nothing);
    Request { wire, reply, form, deed, excuses: Vec::new(), is_loose: false }
}

/// The same, with a plain reply.
pub fn plain(wire: Vec<u8>, pieces: Vec<Piece>) -> Request {
    request(wire, Reply::Plain(pieces))
}

/// A framed reply.
pub fn framed(parts: Vec<(&'static str, Vec<u8>)>, size: Option<u64>, last: Last) -> Reply {
    Reply::Framed { parts, size, last }
}

/// These bytes.
pub fn exact(bytes: impl Into<Vec<u8>>) -> Piece {
    Piece::Exact(bytes.into())
}
