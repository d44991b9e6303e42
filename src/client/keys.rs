//! `Keys`: what is typed at a terminal that is lent to a far command, and the few keys that are for
//! landline: behind a line's start, `~` and one more.
//!
//! What it does not do: read keys, or do what they wish (`tty`).

/// What such keys ask of landline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// `~.`: leave at once.
    Leave,
    /// `~^Z`: stop for a while.
    Stop,
    /// `~?`: say which keys there are.
    Help,
}

/// Which keys there are.
pub(super) const HELP: &str = "\r\n\
~.   leave at once; the command is ended\r\n\
~^Z  suspend landline\r\n\
~?   this list\r\n\
~~   a ~ for the command\r\n\
(only right after Enter)\r\n";

const CTRL_Z: u8 = 0x1a;

/// Where in a line the next key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    /// Behind a `~` at the start, which is held back.
    Tilde,
    Middle,
}

/// Keys as they are typed.
#[derive(Debug)]
pub(super) struct Keys(Place);

impl Keys {
    /// Nothing was typed yet.
    pub(super) fn new() -> Self {
        Self(Place::Start)
    }

    /// Keys were typed: those for the command are appended to `typed`; what is asked of landline.
    pub(super) fn on_bytes(&mut self, bytes: &[u8], typed: &mut Vec<u8>) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for &byte in bytes {
            self.0 = match (self.0, byte) {
                (Place::Start, b'~') => Place::Tilde,
                (Place::Tilde, b'.' | CTRL_Z | b'?') => {
                    wishes.push(match byte {
                        b'.' => Wish::Leave,
                        CTRL_Z => Wish::Stop,
                        _ => Wish::Help,
                    });
                    Place::Start
                }
                (place, _) => {
                    if place == Place::Tilde && byte != b'~' {
                        typed.push(b'~');
                    }
                    typed.push(byte);
                    if matches!(byte, b'\r' | b'\n') { Place::Start } else { Place::Middle }
                }
            };
        }
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> (String, Vec<Wish>) {
        let (mut keys, mut out, mut wishes) = (Keys::new(), Vec::new(), Vec::new());
        for byte in text.bytes() {
            wishes.extend(keys.on_bytes(&[byte], &mut out));
        }
        let mut at_once = Vec::new();
        assert_eq!(Keys::new().on_bytes(text.as_bytes(), &mut at_once), wishes);
        assert_eq!(at_once, out);
        (String::from_utf8(out).expect("tests type text"), wishes)
    }

    #[test]
    fn keys_behind_a_tilde_at_a_lines_start_are_for_landline() {
        assert_eq!(typed("~."), (String::new(), vec![Wish::Leave]));
        assert_eq!(typed("ls\r~?~\x1ax"), ("ls\rx".to_owned(), vec![Wish::Help, Wish::Stop]));
    }

    #[test]
    fn all_other_keys_are_the_commands() {
        for text in ["a~.", "ls ~\r", "~/x\r", "a\x03\x1b[A~?"] {
            assert_eq!(typed(text), (text.to_owned(), vec![]), "{text:?}");
        }
        assert_eq!(typed("~~.\r"), ("~.\r".to_owned(), vec![]));
    }
}
