//! How each server is spoken to: landline's lines, the bare loops' bytes, and as much of RESP,
//! HTTP/1.1, NATS, IRC and MQTT 3.1.1 as the workloads need.
//!
//! What it does not do: understand answers beyond what is expected; anything else is an error.

use std::str::FromStr;

use crate::Outcome;
use crate::net::{Got, Peer};

/// The longest answer to a greeting that is expected in one piece, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// A language.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// landline's own: PROTOCOL.md.
    Landline,
    /// A bare loop's: no names, no frames.
    Bare,
    /// Redis, as its clients speak (RESP 2).
    Resp,
    /// Redis, as a person types it.
    Inline,
    /// HTTP/1.1, `GET` of files.
    Http,
    /// NATS, not verbose.
    Nats,
    /// IRC, RFC 2812.
    Irc,
    /// MQTT 3.1.1, quality of service 0.
    Mqtt,
    /// The program behind the server takes no input at all.
    Mute,
}

impl FromStr for Speech {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "landline" => Self::Landline,
            "bare" => Self::Bare,
            "redis" => Self::Resp,
            "redis-inline" => Self::Inline,
            "http" => Self::Http,
            "nats" => Self::Nats,
            "irc" => Self::Irc,
            "mqtt" => Self::Mqtt,
            "mute" => Self::Mute,
            _ => return Err("not a language; README.md lists them"),
        })
    }
}

impl Speech {
    /// What is said to have a text echoed, and what must come back.
    pub fn echo(self, text: &str, framed: bool) -> (Vec<u8>, Vec<u8>) {
        let bulk = format!("${}\r\n{text}\r\n", text.len());
        let (said, reply) = match self {
            Self::Resp => (format!("*2\r\n$4\r\nECHO\r\n{bulk}"), bulk),
            Self::Inline => {
                let word = text.replace(' ', "_");
                (format!("ECHO {word}\r\n"), bulk.replace(' ', "_"))
            }
            _ if framed => (format!("{text}\n"), format!("done {}\n{text}", text.len())),
            _ => (format!("{text}\n"), format!("{text}\n")),
        };
        (said.into_bytes(), reply.into_bytes())
    }

    /// The request for a file; `last` where the connection ends after it.
    pub fn download(self, name: &str, last: bool) -> String {
        match self {
            Self::Http => http("GET", name, last),
            _ => format!("download {name}\n"),
        }
    }

    /// The request that runs a command.
    pub fn run(self, command: &str) -> String {
        match self {
            Self::Mute => String::new(),
            _ => format!("run {command}\n"),
        }
    }

    /// What comes before a file in the reply, learnt by asking for it alone; empty but for HTTP.
    ///
    /// # Errors
    /// The system's, or another status than 200.
    pub fn head(self, peer: &Peer, name: &str, last: bool) -> Outcome<Vec<u8>> {
        if self != Self::Http {
            return Ok(Vec::new());
        }
        peer.send(http("HEAD", name, last).as_bytes())?;
        let mut head = peer.line()?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(format!("answered {head:?}").into());
        }
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&peer.line()?);
        }
        Ok(head.into_bytes())
    }

    /// The first exchange on a connection: whoever opens it is then known, as `name` where the
    /// language has names.
    ///
    /// # Errors
    /// The system's, or another answer than the one expected.
    pub fn greet(self, peer: &Peer, name: &str) -> Outcome<()> {
        match self {
            Self::Landline => peer.ask(&format!("name {name}\n"), "connected to "),
            Self::Bare | Self::Mute => Ok(()),
            Self::Resp | Self::Inline => peer.ask("PING\r\n", "+PONG"),
            Self::Http => self.head(peer, "1k", false).map(drop),
            Self::Nats => {
                peer.ask("CONNECT {\"verbose\":false}\r\nPING\r\n", "INFO ")?;
                expect(&peer.line()?, "PONG")
            }
            Self::Irc => {
                peer.send(format!("NICK {name}\r\nUSER {name} 0 * :{name}\r\n").as_bytes())?;
                until(peer, &[" 376 ", " 422 "])
            }
            Self::Mqtt => {
                // CONNECT, clean session, no keep-alive; CONNACK, accepted.
                let start = b"\x00\x04MQTT\x04\x02\x00\x00".to_vec();
                peer.send(&mqtt_packet(0x10, &[start, mqtt_text(name)].concat()))?;
                exactly(peer, &[0x20, 2, 0, 0])
            }
        }
    }

    /// Makes a greeted peer a receiver of what is published to `topic`.
    ///
    /// # Errors
    /// As [`Speech::greet`].
    pub fn subscribe(self, peer: &Peer, topic: &str) -> Outcome<()> {
        match self {
            Self::Resp => {
                peer.ask(&format!("SUBSCRIBE {topic}\r\n"), "*3")?;
                (0..4).try_for_each(|_| peer.line().map(drop))?;
                expect(&peer.line()?, ":1")
            }
            Self::Nats => peer.ask(&format!("SUB {topic} 1\r\nPING\r\n"), "PONG"),
            Self::Irc if topic.starts_with('#') => {
                peer.send(format!("JOIN {topic}\r\n").as_bytes())?;
                until(peer, &[" 366 "])
            }
            Self::Mqtt => {
                let filter = [vec![0, 1], mqtt_text(topic), vec![0]].concat();
                peer.send(&mqtt_packet(0x82, &filter))?;
                exactly(peer, &[0x90, 3, 0, 1, 0])
            }
            _ => Ok(()),
        }
    }

    /// Reads away what others' arrivals have caused, where the language tells of them.
    ///
    /// # Errors
    /// The system's.
    pub fn fence(self, peer: &Peer) -> Outcome<()> {
        if self != Self::Irc {
            return Ok(());
        }
        peer.send(b"PING fence\r\n")?;
        until(peer, &[" PONG "])
    }

    /// Where a broadcast goes, or a message to one.
    pub fn topic(self, run: u64, receiver: Option<&str>) -> String {
        match (self, receiver) {
            (Self::Landline | Self::Bare, None) => "all".to_owned(),
            (Self::Irc, None) => format!("#r{run}"),
            (_, None) => format!("r{run}"),
            (_, Some(receiver)) => receiver.to_owned(),
        }
    }

    /// What is said to send a text, and what its arrival ends in.
    pub fn publish(self, topic: &str, text: &str, direct: bool) -> (Vec<u8>, Vec<u8>) {
        let bytes = text.len();
        let crlf = format!("{text}\r\n").into_bytes();
        let said = match self {
            Self::Resp => format!(
                "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{topic}\r\n${bytes}\r\n{text}\r\n",
                topic.len()
            ),
            Self::Nats => format!("PUB {topic} {bytes}\r\n{text}\r\n"),
            Self::Irc => format!("PRIVMSG {topic} :{text}\r\n"),
            Self::Mqtt => {
                let body = [mqtt_text(topic), text.as_bytes().to_vec()].concat();
                return (mqtt_packet(0x30, &body), text.as_bytes().to_vec());
            }
            _ => {
                let colon = if direct { " :" } else { "" };
                let line = format!("send {topic}{colon} {text}\n");
                return (line.into_bytes(), format!("{text}\n").into_bytes());
            }
        };
        (said.into_bytes(), crlf)
    }

    /// What a server may say between two messages.
    pub fn aside(self) -> &'static [u8] {
        if self == Self::Nats { b"PING\r\n" } else { b"" }
    }

    /// Whether whoever sends a message is told each time what became of it.
    pub fn answers_sender(self) -> bool {
        self == Self::Resp
    }
}

fn http(method: &str, name: &str, last: bool) -> String {
    let close = if last { "Connection: close\r\n" } else { "" };
    format!("{method} /{name} HTTP/1.1\r\nHost: bench\r\n{close}\r\n")
}

/// A packet: its kind, the length in groups of seven bits (2.2.3 of the standard), its body.
fn mqtt_packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut left = body.len();
    while left > 127 {
        packet.push(0x80 | u8::try_from(left % 128).unwrap_or(0));
        left /= 128;
    }
    packet.push(u8::try_from(left).unwrap_or(0));
    packet.extend_from_slice(body);
    packet
}

fn mqtt_text(text: &str) -> Vec<u8> {
    let bytes = u16::try_from(text.len()).unwrap_or(0).to_be_bytes();
    [&bytes, text.as_bytes()].concat()
}

fn expect(line: &str, start: &str) -> Outcome<()> {
    if line.starts_with(start) {
        return Ok(());
    }
    Err(format!("{line:?} came, not {start:?}").into())
}

/// Reads lines up to the first that holds one of the words.
fn until(peer: &Peer, words: &[&str]) -> Outcome<()> {
    loop {
        let line = peer.line()?;
        if words.iter().any(|word| line.contains(word)) {
            return Ok(());
        }
        if line.starts_with("ERROR") {
            return Err(line.into());
        }
    }
}

fn exactly(peer: &Peer, expected: &[u8]) -> Outcome<()> {
    let mut answer = vec![0; ANSWER_BYTES_MAX.min(expected.len())];
    let mut got = 0;
    while got < answer.len() {
        match peer.receive(&mut answer[got..], true)? {
            Got::Bytes(bytes) => got += bytes,
            _ => return Err("the server closed a connection".into()),
        }
    }
    if answer == expected { Ok(()) } else { Err(format!("{answer:?} came").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_its_form_of_a_message() {
        let (said, ending) = Speech::Resp.publish("t", "hello", false);
        assert_eq!(said, b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n$5\r\nhello\r\n");
        assert_eq!(ending, b"hello\r\n");
        let (said, _) = Speech::Landline.publish("bob", "hello", true);
        assert_eq!(said, b"send bob : hello\n");
        let (said, reply) = Speech::Inline.echo("1 a", false);
        assert_eq!((said, reply), (b"ECHO 1_a\r\n".to_vec(), b"$3\r\n1_a\r\n".to_vec()));
    }

    #[test]
    fn mqtt_lengths_go_in_groups_of_seven_bits() {
        assert_eq!(mqtt_packet(0x30, &[7; 127])[..3], [0x30, 127, 7]);
        assert_eq!(mqtt_packet(0x30, &[7; 321])[..4], [0x30, 0xC1, 2, 7]);
    }
}
