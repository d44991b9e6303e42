//! `landline connect` and `run -t` as a person uses them: at a terminal, whose screen is read back.
//!
//! What it does not do: look at bytes. What counts is what can be seen.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;

use super::program::{Fake, content};
use crate::support::console::Console;
use crate::support::{Scratch, Server, process, wait_until};

const STAMP: &str = "####-##-## ##:##:##";
const SIZE: (u16, u16) = (80, 24);

fn client(folder: &Scratch, args: &[&str]) -> Console {
    Console::start(folder.path(), env!("CARGO_BIN_EXE_landline"), args, SIZE)
}

fn connect(folder: &Scratch, address: &str, user: &str) -> Console {
    let console = client(folder, &["connect", address, "--user", user]);
    let greeting = format!("connected to station as {user} at {STAMP}");
    let prompt = format!("{user}>");
    console.expect(&[&greeting, &prompt]);
    console
}

#[test]
fn a_line_that_is_typed_stays_whole_while_messages_arrive() {
    let (one, two) = (Scratch::new(), Scratch::new());
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    let mut al = connect(&one, &address, "al");
    let mut bob = connect(&two, &address, "bob");
    al.expect(&["* bob joined", "al>"]);
    al.press("half a li");
    bob.press("send al : one for you\r");
    let single = format!("{STAMP} bob (singlecasted) : one for you");
    al.expect(&["* bob joined", &single, "al> half a li"]);
    bob.press("send all for everybody\rsend al bob : two\r");
    let broad = format!("{STAMP} bob (broadcasted) : for everybody");
    let multi = format!("{STAMP} bob (multicasted) : two");
    al.expect(&[&single, &broad, &multi, "al> half a li"]);
    al.press("ne\u{1}X\r");
    al.expect(&["al> Xhalf a line", "Xhalf a line", "al>"]);
    for text in ["singlecasted", "broadcasted", "multicasted", "bob joined"] {
        assert!(al.is_toned(text), "{text} has a colour");
    }
    bob.press("\u{4}");
    al.expect(&["* bob left", "al>"]);
    bob.expect_exit(0);
    al.press("quit\r");
    al.expect_exit(0);
}

#[test]
fn a_line_that_is_typed_survives_another_size() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let mut al = connect(&folder, &server.v6("line").to_string(), "al");
    let long = "word ".repeat(20);
    al.press(&long);
    let (one, two) = long.split_at(80 - "al> ".len());
    al.expect(&[&format!("al> {one}"), two.trim_end()]);
    al.resize(120, 24);
    al.press("end");
    al.expect(&[&format!("al> {long}end")]);
    let mut bob = server.named("bob");
    bob.say("send al : hi\n");
    bob.expect_in_step();
    al.expect(&[&format!("{STAMP} bob (singlecasted) : hi"), &format!("al> {long}end")]);
}

#[test]
fn ctrl_c_takes_back_what_is_in_progress_and_then_leaves() {
    let folder = Scratch::new();
    let server = Server::line(&["--run", "shell"]);
    let mut al = connect(&folder, &server.v4("line").to_string(), "al");
    al.press("run echo begun; sleep 1000\r");
    al.expect(&["begun"]);
    let command = process::children(server.pid());
    al.press("\u{3}");
    al.expect(&["^Cerror cancelled: the request was cancelled", "al>"]);
    wait_until("the command is gone", || command.iter().all(|pid| process::has_ended(*pid)));
    al.press("ping\r");
    al.expect(&["pong", "al>"]);
    al.press("not this\u{3}");
    al.expect(&["al> not this", "Ctrl-C again leaves", "al>"]);
    al.press("ping\r");
    al.expect(&["al> ping", "pong", "al>"]);
    al.press("\u{3}");
    al.expect(&["Ctrl-C again leaves", "al>"]);
    al.press("\u{3}");
    al.expect_exit(130);
}

#[test]
fn a_connection_that_is_lost_is_made_again_with_its_name_and_the_line_stays() {
    let folder = Scratch::new();
    let socket = folder.join("socket");
    let listen = format!("line@unix:{}", socket.display());
    let address = format!("unix:{}", socket.display());
    let server = Server::start(&["-l", &listen, "--name", "station"]);
    let mut al = connect(&folder, &address, "al");
    al.press("name alice\r");
    al.expect(&["al> name alice", &format!("connected to station as alice at {STAMP}"), "alice>"]);
    al.press("half");
    al.expect(&["alice> half"]);
    server.signal(Signal::SIGKILL);
    drop(server);
    let shows = |al: &Console, text: &str| al.rows().iter().any(|row| row.contains(text));
    wait_until("the loss is told", || shows(&al, "connecting again"));
    al.press(" more\r");
    wait_until("nothing is sent", || shows(&al, "not connected: not sent"));
    al.press("again");
    let server = Server::start(&["-l", &listen, "--name", "station"]);
    let again = format!("* connected to station as alice at {STAMP}, again");
    al.expect(&[&again, "alice> again"]);
    let mut bob = crate::support::Peer::unix(Path::new(&socket));
    bob.take_name("bob", "station");
    bob.say("send alice : welcome\n");
    bob.expect_in_step();
    let hello = format!("{STAMP} bob (singlecasted) : welcome");
    al.expect(&["* bob joined", &hello, "alice> again"]);
    al.press("\r");
    al.expect(&["alice> again", "again", "alice>"]);
    drop(server);
}

#[test]
fn files_come_and_go_and_commands_take_what_is_typed() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("sub/there.bin", content(100_000));
    folder.write("here.bin", content(300_000));
    let args = ["-r", &root.text(""), "--run", "shell", "--upload", "new"];
    let server = Server::line(&args);
    let mut al = connect(&folder, &server.v4("line").to_string(), "al");
    al.press("download sub/there.bin\r");
    al.expect(&["saved as client_there.bin, 100000 bytes", "al>"]);
    assert_eq!(std::fs::read(folder.join("client_there.bin")).expect("saved"), content(100_000));
    al.press("upload here.bin\r");
    al.expect(&["stored as here.bin, 300000 bytes", "al>"]);
    assert_eq!(std::fs::read(root.join("here.bin")).expect("stored"), content(300_000));
    al.press("upload here.bin\r");
    al.expect(&[
        "al> upload here.bin",
        "error exists: here.bin: a file of that name is there already",
        "al>",
    ]);
    al.press("run@in tr a-z A-Z; exit 3\r");
    al.expect(&["al> run@in tr a-z A-Z; exit 3"]);
    al.press("typed\r\u{4}");
    al.expect(&["TYPED", "error exit: status 3", "al>"]);
    al.press("run@pty stty size; read line; echo got $line\r");
    al.expect(&["24 80"]);
    al.press("a word\r");
    al.expect(&["24 80", "a word", "got a word", "al>"]);
    // The editor is told of the terminal's size again.
    let long = "word ".repeat(20);
    al.press(&long);
    al.expect(&[long.split_at(80 - "al> ".len()).1.trim_end()]);
    al.resize(120, 24);
    al.press("end");
    al.expect(&[&format!("al> {long}end")]);
    al.press("\u{15}");
    al.press("ping\r");
    al.expect(&["pong", "al>"]);
}

#[test]
fn tab_completes_requests_users_and_files_of_both_sides() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("folder/notes.txt", "x");
    folder.write("mine.txt", "x");
    let server = Server::line(&["-r", &root.text("")]);
    let _bob = server.named("bobby");
    let mut al = connect(&folder, &server.v4("line").to_string(), "al");
    for (keys, line) in [
        ("dow\tfol\tno\t", "al> download folder/notes.txt"),
        ("sen\tbo\t", "al> send bobby"),
        ("hello | bo\t", "al> hello | bobby"),
        ("upl\tmi\t", "al> upload mine.txt"),
    ] {
        al.press(keys);
        al.expect(&[line]);
        al.press("\u{15}");
        al.expect(&["al>"]);
    }
}

#[test]
fn lines_are_remembered_for_each_server_and_for_the_user_alone() {
    let folder = Scratch::new();
    let (one, two) = (Server::line(&[]), Server::line(&[]));
    let mut al = connect(&folder, &one.v4("line").to_string(), "al");
    al.press("remember me\r");
    al.expect(&["remember me", "al>"]);
    al.press("\u{4}");
    al.expect_exit(0);
    let mut al = connect(&folder, &one.v4("line").to_string(), "al");
    al.press("\u{1b}[A");
    al.expect(&["al> remember me"]);
    let mut other = connect(&folder, &two.v4("line").to_string(), "al");
    other.press("\u{1b}[Anothing");
    other.expect(&["al> nothing"]);
    let kept = folder.join("state/landline/history");
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&kept), 0o700);
    let file = kept.join(one.v4("line").to_string());
    assert_eq!(mode(&file), 0o600);
    al.signal(Signal::SIGTERM);
    al.expect_exit(128 + 15);
}

#[test]
fn a_hostile_server_cannot_draw() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(|fake| {
        fake.greet("x");
        fake.say("msg 6 from=%1B[2J cast=single at=0\n\x1b[2Jab");
        fake.say("note 0 kind=join user=%1B[31m\n");
        fake.say("done 5\n\x1b[2J\r");
        fake.expect("y");
        fake.say("fail 4 code=a%1B\n\x1b[2J");
        fake.expect("z");
        fake.say("out 18446744073709551616\n");
        fake.expect_gone();
    });
    let mut al = client(&folder, &["connect", &address]);
    al.expect(&["connected to fake; help lists the requests, Ctrl-D leaves", ">"]);
    // What replaces a control character is not drawn by this terminal.
    al.press("x\r");
    let message = format!("{STAMP} [2J (singlecasted) : [2Jab");
    al.expect(&["> x", &message, "* [31m joined", "[2J", ">"]);
    al.press("y\r");
    al.expect(&["> y", "error a: [2J", ">"]);
    al.press("z\r");
    server.join().expect("the script ran to its end");
    al.expect_exit(5);
}

#[test]
fn a_terminal_is_lent_to_a_command_and_comes_back() {
    let folder = Scratch::new();
    let server = Server::line(&["--run", "shell"]);
    let address = server.v4("line").to_string();
    let command = "trap 'stty size' WINCH; stty size; while ! read line; do :; done; exit 7";
    let mut run = client(&folder, &["run", "-t", &address, command]);
    run.expect(&["24 80"]);
    assert!(!run.is_cooked(), "each key is the command's");
    run.resize(100, 30);
    run.expect(&["30 100"]);
    run.press("go\r");
    run.expect_exit(7);
    let mut run = client(&folder, &["run", "-t", &address, "echo ready; exec cat"]);
    run.expect(&["ready"]);
    run.press("x\r");
    run.expect(&["ready", "x", "x"]);
    run.press("\u{3}");
    run.expect_exit(128 + 2);
    let mut run = client(&folder, &["run", "-t", &address, "echo ready; exec sleep 1000"]);
    run.expect(&["ready"]);
    let command = process::children(server.pid());
    run.press("~.");
    wait_until("the command is gone", || command.iter().all(|pid| process::has_ended(*pid)));
    run.expect_exit(255);
    let run = client(&folder, &["run", "-t", &address, "echo ready; exec sleep 1000"]);
    run.expect(&["ready"]);
    run.signal(Signal::SIGTERM);
    run.expect_exit(128 + 15);
}
