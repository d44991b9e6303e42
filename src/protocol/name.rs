//! `Name`: a well-formed user name (section 6 of `docs/PROTOCOL.md`).
//!
//! What it does not do: know who has it; that is `service::room`.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::limits::NAME_BYTES_MAX;
use super::refusal::{Code, Refusal};

/// 1 to 32 bytes of `A–Z a–z 0–9 _ . -`, not starting with `-` or `.`, neither `all` nor `server`.
/// Names are told apart by case. Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// The name in `bytes`; refused as `bad-name` where it is not well formed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let refuse = |why| Err(Refusal::quoting(Code::BadName, bytes, why));
        if bytes.is_empty() {
            return Err(Refusal::new(Code::BadName, "a user name has at least one character"));
        }
        if bytes.len() > NAME_BYTES_MAX {
            return refuse("a user name has at most 32 characters");
        }
        if !is_well_spelt(bytes) {
            return refuse(
                "a user name is made of A-Z a-z 0-9 _ . - and does not start with - or .",
            );
        }
        if matches!(bytes, b"all" | b"server") {
            return refuse("this name is reserved");
        }
        let text = str::from_utf8(bytes).expect("a well-spelt name is ASCII");
        Ok(Self(text.into()))
    }

    /// Whether `bytes` are a well-formed name.
    pub fn is_well_formed(bytes: &[u8]) -> bool {
        !bytes.is_empty()
            && bytes.len() <= NAME_BYTES_MAX
            && is_well_spelt(bytes)
            && !matches!(bytes, b"all" | b"server")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_well_spelt(bytes: &[u8]) -> bool {
    !matches!(bytes.first(), Some(b'-' | b'.'))
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte))
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A user is looked up by the bytes that came, which need not be text.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// As the bytes that are borrowed, which the derived one is not.
impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_are_taken_as_they_are() {
        for good in ["a", "Bob", "x_1.-", "A234567890123456789012345678901b", "ALL"] {
            assert_eq!(Name::parse(good.as_bytes()).expect(good).as_str(), good);
            assert!(Name::is_well_formed(good.as_bytes()));
        }
    }

    #[test]
    fn bad_names_are_refused() {
        let long = "a".repeat(33);
        for bad in ["", "-a", ".a", "a b", "all", "server", "é", "a\n", "a|b", &long] {
            let refusal = Name::parse(bad.as_bytes()).expect_err(bad);
            assert_eq!(refusal.code, Code::BadName);
            assert!(!Name::is_well_formed(bad.as_bytes()));
        }
    }
}
