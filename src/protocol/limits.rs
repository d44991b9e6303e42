//! Every number the wire and its state machines depend on, named, with its unit.
//!
//! What it does not do: hold settings. A number the operator may change has its *default* here and
//! its value in `server::config`. The relations between the numbers are checked at compile time.

/// Longest request line, in bytes, its ending not counted (default of `--max-line`).
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// How long a `+bare` connection waits for a newline after its first byte, in milliseconds.
pub const BARE_DECIDE_MS: u64 = 100;
/// Longest user name, in bytes.
pub const NAME_BYTES_MAX: usize = 32;
/// Largest payload of one `data`, `out` or `err` frame, in bytes.
pub const CHUNK_BYTES_MAX: u64 = 1024 * 1024;
/// Queued reply bytes above which a peer's requests are no longer read.
pub const OUTPUT_BYTES_HIGH: usize = 256 * 1024;
/// Queued reply bytes below which reading starts again.
pub const OUTPUT_BYTES_LOW: usize = 64 * 1024;
/// Requests a framed peer may have waiting behind the one in progress, in bytes of their lines.
pub const WAITING_BYTES_MAX: usize = 128 * 1024;
/// The same limit as a number of requests, since a line may be empty.
pub const WAITING_REQUESTS_MAX: usize = 1024;
/// Messages of one peer that may be on their way to the room at once.
pub const SENDS_MAX: u8 = 64;
/// Longest request line of such a message but the first, in bytes: what is on its way is held.
pub const SENDS_LINE_BYTES_MAX: usize = 2 * 1024;
/// Input for a request that it has not taken, in bytes, above which no more is read for it.
pub const INPUT_BYTES_MAX: usize = 128 * 1024;
/// What is read ahead of a telnet client while its request is in progress, so that an interrupt is
/// seen, in bytes: one read's worth may come on top.
pub const TELNET_AHEAD_BYTES_MAX: usize = 4 * 1024;
/// Longest name of a terminal's type, in bytes.
pub const TERM_BYTES_MAX: usize = 64;
/// Unread message bytes after which a recipient is disconnected (default of `--max-backlog`).
pub const BACKLOG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Output of an `exec` command that reaches a bare client in one piece, in bytes.
pub const EXEC_PIECE_BYTES: usize = 64 * 1024;
/// Longest piece of a request that an error text repeats, in bytes.
pub const QUOTE_BYTES_MAX: usize = 200;
/// Largest frame header the client accepts, in bytes.
pub const HEADER_BYTES_MAX: usize = 4096;
/// The version of the framed protocol spoken here.
pub const VERSION: u32 = 1;
/// Default TCP port.
pub const PORT: u16 = 5000;

const _: () = assert!(OUTPUT_BYTES_LOW < OUTPUT_BYTES_HIGH);
const _: () = assert!(OUTPUT_BYTES_HIGH < BACKLOG_BYTES_MAX);
const _: () = assert!(WAITING_BYTES_MAX >= LINE_BYTES_MAX);
const _: () = assert!(NAME_BYTES_MAX < QUOTE_BYTES_MAX);
