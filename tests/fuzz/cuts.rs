//! A conversation is the same however its input is cut: in two at every place, and byte by byte.
//!
//! What it does not do: know what the effects ought to be (`tests/sim`).

use landline::protocol::speech::Service;

use crate::targets::conversation::transcript;
use crate::with_seeds;

/// Conversations with something at every edge: endings, limits, payload, a change of style.
const CORPUS: [&[u8]; 18] = [
    b"",
    b"\n\r\n\n",
    b"one\ntwo\r\nthree\r\r\nfour",
    b"ping\nping\r\nquit\nping\n",
    b"1234567890123456789012345678901234567890\n1234567890123456789012345678901234567890\r\nx\n",
    b"12345678901234567890123456789012345678901\nafter\n",
    b"1234567890123456789012345678901234567890123456789012345678901234567890\r\nafter\r\n",
    b"upload 9 f\nping\nquitping\nupload 0 f\nping\n",
    b"upload - f\nping\nping\n",
    b"name alice\nsend all hi\nhi | bob\nget_list\nname bob\n",
    b"landline/1\nrun x\nping\nin 5\nab\ncdcancel\nstat f\nhello\neof 0\nquit\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\n\r\nx / HTTP/1.1\r\nHost: x\r\n\r\nping\n",
    b"x /678901234567890123456789012345678901234567890 HTTP/1.1\r\nrun x\n",
    b"GET /8901234567890123456789012345678901234567890 HTTP/1.1\r\nrun x\n",
    b"hello\nGET / HTTP/1.1\nhOsT: x\nrun x\n",
    b"GETGETGETGETGETGETGETGETGETGETGETGETGETGETGET /\nping\n",
    b"GETGETGETGETGETGETGETGETGETGETGETGET http://abc\nping\n",
];

#[test]
fn effects_are_the_same_however_the_input_is_cut() {
    for input in CORPUS {
        for service in Service::LISTENABLE {
            cut_everywhere(service, input);
        }
    }
}

#[test]
fn random_lines_are_the_same_however_they_are_cut() {
    with_seeds(120, |random| {
        let mut input = Vec::new();
        for _ in 0..=random.below(6) {
            input.extend(random.line());
            input.extend_from_slice([&b"\n"[..], b"\r\n", b"\r"][random.below(3)]);
        }
        cut_everywhere(Service::LISTENABLE[random.below(6)], &input);
    });
}

fn cut_everywhere(service: Service, input: &[u8]) {
    let whole = transcript(service, &[input]);
    for place in 0..=input.len() {
        let (first, second) = input.split_at(place);
        let cut = transcript(service, &[first, second]);
        assert_eq!(cut, whole, "{service:?} cut at {place}: {}", input.escape_ascii());
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(transcript(service, &bytes), whole, "{service:?}: {}", input.escape_ascii());
}
