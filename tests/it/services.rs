//! The services of the original programs, for line clients and for bare ones, byte for byte.
//!
//! What it does not do: test the programs of old themselves.

use crate::support::server::NAME;
use crate::support::{Peer, STAMP, Scratch, Server, process, wait_until};

/// A server with each service twice, plain and `+bare`.
fn all_services() -> Server {
    let services = ["line", "hello", "exec", "chat", "talk"];
    let bare = services.map(|service| format!("{service}+bare@127.0.0.1:0"));
    let plain = services.map(|service| format!("{service}@127.0.0.1:0"));
    let mut args = vec!["--name", NAME, "--run", "shell"];
    for listener in plain.iter().chain(&bare) {
        args.extend(["-l", listener]);
    }
    Server::start(&args)
}

/// The two kinds of clients: what is listened on, and what ends each message and each reply.
const KINDS: [(&str, &str); 3] = [("", "\n"), ("+bare", "\n"), ("+bare", "")];

#[test]
fn hello_greets_then_echoes_until_close() {
    let server = all_services();
    for (suffix, end) in KINDS {
        let mut peers = [(); 2].map(|()| server.peer(&format!("hello{suffix}")));
        for peer in &mut peers {
            // The same name twice: who says hello is no user of the server.
            peer.say(format!("all | of us{end}"));
            peer.expect(format!("{NAME}{end}"));
        }
        for peer in &mut peers {
            for message in ["hi", "run id", "get_list", "quit", "closed"] {
                peer.say(format!("{message}{end}"));
                peer.expect(format!("{message}{end}"));
            }
            peer.say(format!("close{end}"));
            peer.expect_end();
        }
    }
    let mut peer = server.peer("line");
    peer.say("get_list\n");
    peer.expect("users:\n");
}

#[test]
fn the_server_is_named_after_its_host_by_default() {
    let server = Server::start(&["-l", "hello@0"]);
    let mut peer = server.peer("hello");
    peer.say("me\n");
    let host = nix::unistd::gethostname().expect("the host has a name");
    peer.expect(format!("{}\n", host.to_string_lossy()));
}

#[test]
fn exec_answers_every_message_with_its_output() {
    let server = all_services();
    for (suffix, end) in KINDS {
        let mut peer = server.peer(&format!("exec{suffix}"));
        let exchanges = [
            ("printf hi", format!("hi{end}")),
            ("echo one; echo two", "one\ntwo\n".to_string()),
            ("true", format!("no output{end}")),
            ("no-such-command-here", format!("No such command{end}")),
            ("/etc/passwd", format!("No such command{end}")),
            ("echo away >&2; exit 127", format!("No such command{end}")),
            ("echo error >&2", "error\n".to_string()),
            ("wc -c", "0\n".to_string()),
        ];
        for (command, reply) in exchanges {
            peer.say(format!("{command}{end}"));
            peer.expect(&reply);
        }
    }
}

#[test]
fn exec_tells_the_exit_status_in_a_line_of_its_own() {
    let server = all_services();
    for suffix in ["", "+bare"] {
        let mut peer = server.peer(&format!("exec{suffix}"));
        peer.say("exit 3\necho out; exit 4\necho out; exit 127\necho error >&2; exit 5\n");
        peer.expect("exit status 3\nout\nexit status 4\nout\nexit status 127\n");
        peer.expect("error\nexit status 5\n");
        peer.say("printf out; exit 6\nprintf out; kill -KILL $$\n");
        peer.expect("out\nexit status 6\nout\nexit signal KILL\n");
    }
    // Whether that line ends in a newline for a bare client is left open.
    let mut bare = server.peer("exec+bare");
    bare.say("echo out; exit 4");
    bare.expect("out\nexit status 4");
}

#[test]
fn exec_passes_on_large_output_whole() {
    let server = all_services();
    for (suffix, end) in KINDS {
        for size in [60_000, 65_536, 65_537, 200_000] {
            let mut peer = server.peer(&format!("exec{suffix}"));
            peer.say(format!("head -c {size} /dev/zero | tr '\\0' x; echo{end}"));
            peer.expect("x".repeat(size) + "\n");
            peer.say(format!("printf next{end}"));
            peer.expect(format!("next{end}"));
        }
    }
}

#[test]
fn exec_is_disabled_with_run() {
    let server = Server::start(&["-l", "exec@0"]);
    let mut peer = server.peer("exec");
    for message in ["id", "hello", "", "get_list"] {
        peer.say(format!("{message}\n"));
        peer.expect_error("disabled");
    }
}

/// A peer of `chat` who was greeted.
#[track_caller]
fn chatter(server: &Server, suffix: &str, end: &str, user: &str) -> Peer {
    let mut peer = server.peer(&format!("chat{suffix}"));
    peer.say(format!("{user}{end}"));
    peer.expect(format!("{NAME}{end}"));
    peer
}

#[test]
fn chat_is_as_it_was() {
    for (suffix, end) in KINDS {
        let server = all_services();
        let mut alice = chatter(&server, suffix, end, "alice");
        let mut bob = chatter(&server, suffix, end, "bob");
        let mut carol = chatter(&server, suffix, end, "carol");
        alice.say(format!("get_list{end}"));
        alice.expect_matching(&format!(
            "\t\t\t\t\t{STAMP}\n\t\t\t\t\tAvailable client: alice bob carol{end}"
        ));
        let requests = [
            ("send bob carol : both", "multicasted", "both"),
            ("send all hi all", "broadcasted", "hi all"),
            ("send all : hi again", "broadcasted", "hi again"),
            ("send carol bob: a : b", "multicasted", "a : b"),
        ];
        for (request, cast, text) in requests {
            alice.say(format!("{request}{end}"));
            for peer in [&mut bob, &mut carol] {
                peer.expect_matching(&format!(
                    "\t\t\t\t\t{STAMP}\n\t\t\t\t\talice ({cast}) : {text}{end}"
                ));
            }
        }
        bob.say(format!("send alice : only you{end}"));
        alice.expect_matching(&format!(
            "\t\t\t\t\t{STAMP}\n\t\t\t\t\tbob (singlecasted) : only you{end}"
        ));
        bob.say(format!("quit{end}"));
        bob.expect_end();
    }
}

#[test]
fn chat_refuses_and_goes_on() {
    let server = all_services();
    let mut alice = chatter(&server, "", "\n", "alice");
    for unknown in ["hello", "run id", "download f", "", "landline/1"] {
        alice.say(format!("{unknown}\n"));
        alice.expect_error("bad-request");
    }
    alice.say("send nobody : hi\n");
    alice.expect("error no-such-user: nobody\n");
    alice.say("send alice : still here\n");
    alice.expect_matching(&format!(
        "\t\t\t\t\t{STAMP}\n\t\t\t\t\talice (singlecasted) : still here\n"
    ));
}

#[test]
fn a_bad_or_taken_name_closes_chat_and_talk() {
    let server = all_services();
    let _alice = chatter(&server, "", "\n", "alice");
    for service in ["chat", "talk"] {
        for (suffix, end) in KINDS {
            for (name, code) in
                [("alice", "name-taken"), ("all", "bad-name"), ("two words", "bad-name")]
            {
                let mut peer = server.peer(&format!("{service}{suffix}"));
                peer.say(format!("{name}{end}"));
                let text = String::from_utf8(peer.expect_rest()).expect("an error is text");
                assert!(text.starts_with(&format!("error {code}: ")), "{service} {name}: {text:?}");
            }
        }
    }
}

#[test]
fn talk_is_as_it_was() {
    for (suffix, end) in KINDS {
        let server = all_services();
        let (mut alice, mut bob) =
            (server.peer(&format!("talk{suffix}")), server.peer(&format!("talk{suffix}")));
        // Nothing answers the name; what follows too soon would belong to it.
        for (peer, user) in [(&mut alice, "alice"), (&mut bob, "bob")] {
            peer.say(format!("{user}{end}"));
            server.await_user(user);
        }
        for (said, heard) in
            [("hello | bob", "hello"), ("a|b|bob", "a|b"), ("hi  there |bob", "hi  there")]
        {
            alice.say(format!("{said}{end}"));
            bob.expect(format!("alice|{heard}{end}"));
        }
        bob.say(format!("to myself | bob{end}"));
        bob.expect(format!("bob|to myself{end}"));
        alice.say(format!("hello | nobody{end}"));
        alice.expect(format!("error no-such-user: nobody{end}"));
        alice.say(format!("no bar at all{end}"));
        alice.expect("error bad-request: ");
        if !end.is_empty() {
            alice.expect_line();
            alice.say("hello again | bob\n");
            bob.expect("alice|hello again\n");
        }
    }
}

#[test]
fn all_services_share_one_set_of_users() {
    let server = all_services();
    let mut chatting = chatter(&server, "", "\n", "chatting");
    let mut bare = chatter(&server, "+bare", "", "bare");
    let mut talking = server.peer("talk");
    talking.say("talking\n");
    server.await_user("talking");
    let mut lining = server.peer("line");
    lining.take_name("lining", NAME);
    let mut framing = server.framed();
    framing.take_name("framing");
    lining.say("get_list\n");
    lining.expect("users: chatting bare talking lining framing\n");

    framing.say("send all from a program\n");
    assert_eq!(framing.expect_done().key("delivered"), "4");
    let chat = format!("\t\t\t\t\t{STAMP}\n\t\t\t\t\tframing (broadcasted) : from a program");
    chatting.expect_matching(&format!("{chat}\n"));
    bare.expect_matching(&chat);
    talking.expect("framing|from a program\n");
    lining.expect_matching(&format!("{STAMP} framing (broadcasted) : from a program\n"));

    talking.say("from talk | lining\n");
    lining.expect_matching(&format!("{STAMP} talking (singlecasted) : from talk\n"));
    bare.say("send framing talking : from chat");
    talking.expect("bare|from chat\n");
    let message = framing.expect_event();
    assert_eq!((message.kind.as_str(), message.text().as_str()), ("msg", "from chat"));
    assert_eq!((message.key("from"), message.key("cast")), ("bare".into(), "multi".into()));

    let mut late = server.peer("talk");
    late.say("framing\n");
    late.expect_error("name-taken");
    late.expect_end();
}

#[test]
fn control_characters_are_replaced_on_every_service() {
    let server = all_services();
    let mut chatting = chatter(&server, "", "\n", "chatting");
    let mut talking = server.peer("talk");
    talking.say("talking\n");
    server.await_user("talking");
    talking.say("bell\x07 | chatting\n");
    chatting.expect_matching(&format!(
        "\t\t\t\t\t{STAMP}\n\t\t\t\t\ttalking (singlecasted) : bell\u{fffd}\n"
    ));
    chatting.say("send talking : esc\x1b[2J\n");
    talking.expect("chatting|esc\u{fffd}[2J\n");
}

#[test]
fn padding_of_c_strings_is_no_part_of_a_bare_request() {
    let server = all_services();
    let mut alice = chatter(&server, "+bare", "", "alice\0\0\0");
    let mut bob = server.peer("chat+bare");
    // A newline would make a line client of the first message, not of a later one.
    bob.say("bob\0");
    bob.expect(NAME);
    alice.say("send bob : hello\n\0\0");
    bob.expect_matching(&format!("\t\t\t\t\t{STAMP}\n\t\t\t\t\talice (singlecasted) : hello"));
    alice.say("get_list\r\n\0");
    alice.expect_matching(&format!("\t\t\t\t\t{STAMP}\n\t\t\t\t\tAvailable client: alice bob"));
    let mut echo = server.peer("hello+bare");
    echo.say("me");
    echo.expect(NAME);
    echo.say("back\n\0\0");
    echo.expect("back\n\0\0");
}

#[test]
fn messages_of_a_bare_client_stay_apart_while_a_command_runs() {
    let scratch = Scratch::new();
    let server = all_services();
    let go = scratch.text("go");
    let mut peer = server.peer("exec+bare");
    peer.say(format!("while ! test -e {go}; do sleep 0.05; done; printf first"));
    wait_until("the command runs", || !process::children(server.pid()).is_empty());
    peer.say("printf second");
    scratch.write("go", "");
    peer.expect("firstsecond");
}

#[test]
fn quit_and_close_end_chat_and_talk_alike() {
    let server = all_services();
    for service in ["chat", "talk"] {
        for last in ["quit", "close"] {
            let mut peer = server.peer(service);
            peer.say(format!("alice\n{last}\n"));
            if service == "chat" {
                peer.expect(format!("{NAME}\n"));
            }
            peer.expect_end();
        }
    }
}

#[test]
fn a_line_client_of_a_bare_listener_is_not_kept_waiting() {
    let server = all_services();
    let mut peer = server.peer("line+bare");
    peer.say("hello\nthere\n");
    peer.expect("hello\nthere\n");
    // From now on lines alone count, however they arrive.
    for byte in "piece by piece\n".bytes() {
        peer.say([byte]);
    }
    peer.expect("piece by piece\n");
}

#[test]
fn a_bare_client_of_the_line_service_gets_no_added_newline() {
    let server = all_services();
    let mut peer = server.peer("line+bare");
    peer.say("hello");
    peer.expect("hello");
    peer.say("run echo hi");
    peer.expect("hi\n");
    peer.say("run printf hi");
    peer.expect("hi");
    peer.say("ping");
    peer.expect("pong");
    peer.say("name bob");
    peer.expect_matching(&format!("connected to {NAME} as bob at {STAMP}"));
    peer.say("two\nlines");
    peer.expect("two\nlines");
    peer.say("end");
    peer.expect("end");
}
