//! `Service`, what a listener speaks, and `Speech`, a service together with its way of framing.
//!
//! What it does not do: know addresses; a listener's address is `server::config`'s.

use std::fmt;

/// What a listener speaks (section 2 of `docs/PROTOCOL.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Echo, download, run and messages on one port.
    Line,
    /// Every byte comes back, nothing is interpreted (RFC 862).
    Echo,
    /// Named echo.
    Hello,
    /// Every message is a command.
    Exec,
    /// Multi-user chat.
    Chat,
    /// `MESSAGE | USER`.
    Talk,
    /// Prometheus text over HTTP; reached by `--metrics` alone, never by `--listen`.
    Metrics,
}

impl Service {
    /// The services a listener may be given, in the order of the manual.
    pub const LISTENABLE: [Self; 6] =
        [Self::Line, Self::Echo, Self::Hello, Self::Exec, Self::Chat, Self::Talk];

    /// The name as it is written in a listener.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Echo => "echo",
            Self::Hello => "hello",
            Self::Exec => "exec",
            Self::Chat => "chat",
            Self::Talk => "talk",
            Self::Metrics => "metrics",
        }
    }

    /// The service of that name, if a listener may be given it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::LISTENABLE.into_iter().find(|service| service.as_str() == name)
    }
}

/// A service, and whether clients that send no newline are served too (`+bare`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speech {
    /// What is spoken.
    pub service: Service,
    /// True for `SERVICE+bare`.
    pub bare: bool,
}

impl fmt::Display for Speech {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.service.as_str())?;
        if self.bare { out.write_str("+bare") } else { Ok(()) }
    }
}
