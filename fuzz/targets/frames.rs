//! The client's frame parser: what it finds does not depend on the pieces in which bytes come, it
//! takes all that it has room for, and no more than it says.

use super::parser::Frames;
use crate::protocol::limits::HEADER_BYTES_MAX;

/// What was found: headers, all payload, and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    headers: Vec<String>,
    payload: Vec<u8>,
    is_malformed: bool,
    is_between: bool,
}

/// The target. The first byte says whether a line without a frame comes first, as a refusal does.
pub(super) fn run(data: &[u8]) {
    let Some((number, widths, input)) = super::cut_input(data) else { return };
    let begins_with_line = number % 2 == 1;
    let whole = read(&[input], begins_with_line);
    let cut = read(&super::cut(input, widths), begins_with_line);
    assert_eq!(whole.headers, cut.headers);
    assert_eq!(whole.payload, cut.payload);
    assert_eq!(whole.is_malformed, cut.is_malformed);
    assert!(whole.is_malformed || whole.is_between == cut.is_between);
}

fn read(pieces: &[&[u8]], begins_with_line: bool) -> Found {
    let (mut frames, mut found) = (Frames::new(), Found::default());
    let mut awaits_line = begins_with_line;
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let room = frames.room();
            assert!(!room.is_empty(), "all that can be taken was taken");
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            frames.filled(count);
            rest = &rest[count..];
            if !take(&mut frames, &mut found, &mut awaits_line) {
                found.is_malformed = true;
                return found;
            }
            assert!(frames.has_room());
        }
    }
    found.is_between = frames.is_between();
    found
}

/// Takes what can be taken; false if it broke the protocol.
fn take(frames: &mut Frames, found: &mut Found, awaits_line: &mut bool) -> bool {
    loop {
        while frames.has_payload() {
            let before = frames.payload_left();
            let piece = frames.payload();
            assert!(!piece.is_empty());
            let taken = piece.len() as u64;
            found.payload.extend_from_slice(piece);
            assert_eq!(frames.payload_left(), before - taken);
        }
        if frames.payload_left() > 0 {
            return true;
        }
        if *awaits_line {
            match frames.line() {
                Ok(Some(line)) => {
                    assert!(line.len() <= HEADER_BYTES_MAX && !line.contains(&b'\n'));
                    found.headers.push(line.escape_ascii().to_string());
                    let len = line.first().map_or(0, |byte| u64::from(*byte % 4));
                    *awaits_line = false;
                    frames.expect_payload(len);
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
            continue;
        }
        match frames.header() {
            Ok(Some(header)) => {
                assert!(header.kind.bytes().all(|byte| byte.is_ascii_lowercase()));
                found.headers.push(format!("{header:?}"));
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
