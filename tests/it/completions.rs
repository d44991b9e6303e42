//! The shell completions in `dist/completions/`: each shell loads its own, and each option that
//! `--help` names is offered.
//!
//! What it does not do: press keys. Shells are asked what they would offer.

use std::path::Path;
use std::process::Command;

use super::support::server::program;

const COMMANDS: [&str; 11] = [
    "serve", "connect", "download", "upload", "run", "send", "users", "files", "stats", "ping",
    "bench",
];

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/completions").join(name);
    path.into_os_string().into_string().expect("the path of this source is UTF-8")
}

/// What a shell says to a script; nothing may go wrong in it.
#[track_caller]
fn said(shell: &mut Command) -> String {
    let output = shell.output().expect("the shell is installed: run tests/all.sh");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{shell:?}: {errors}");
    String::from_utf8(output.stdout).expect("what shells offer is text")
}

/// The long options that `landline COMMAND --help` names.
fn options(command: &str) -> Vec<String> {
    let mut help = program();
    help.args([command, "--help"]).stdout(std::process::Stdio::piped());
    let output = help.output().expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("help is text");
    let lines = text.lines().filter(|line| line.trim_start().starts_with('-'));
    let names = lines.filter_map(|line| {
        let start = line.find("--")?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let name: String = line[start..].chars().take_while(|c| is_name(*c)).collect();
        (name.len() > 2).then_some(name)
    });
    let names: Vec<String> = names.collect();
    assert!(names.iter().any(|name| name == "--help"), "{text}");
    names
}

#[track_caller]
fn expect_offered(shell: &str, offered: &str, wanted: &[String]) {
    let offered: Vec<&str> = offered.lines().filter_map(|line| line.split('\t').next()).collect();
    for name in wanted {
        assert!(offered.contains(&name.as_str()), "{shell} lacks {name}: {offered:?}");
    }
}

/// What bash offers for the last of these words.
fn bash(words: &[&str]) -> String {
    let script = "source \"$1\"; shift; COMP_WORDS=(landline \"$@\"); COMP_CWORD=$#; _landline; \
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut shell = Command::new("bash");
    shell.args(["--norc", "-c", script, "bash", &file("landline.bash")]).args(words);
    said(&mut shell)
}

#[test]
fn bash_offers_commands_options_and_values() {
    assert_eq!(bash(&["downl"]), "download\n");
    assert_eq!(bash(&["serve", "--upload", "re"]), "replace\n");
    for command in COMMANDS {
        expect_offered("bash", &bash(&[command, "--"]), &options(command));
        assert!(bash(&[""]).lines().any(|line| line == command), "{command}");
    }
}

#[test]
fn fish_offers_commands_options_and_values() {
    let home = super::support::Scratch::new();
    let fish = |line: &str| {
        let script = "source $argv[1]; complete -C $argv[2]";
        let mut shell = Command::new("fish");
        shell.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
        said(shell.args(["--no-config", "-c", script, &file("landline.fish"), line]))
    };
    expect_offered("fish", &fish("landline downl"), &["download".to_owned()]);
    expect_offered("fish", &fish("landline serve --upload re"), &["replace".to_owned()]);
    for command in COMMANDS {
        expect_offered("fish", &fish(&format!("landline {command} --")), &options(command));
    }
}

#[test]
fn zsh_loads_its_function_and_knows_every_option() {
    let home = super::support::Scratch::new();
    let directory = file("");
    let script = "fpath=($1 $fpath); autoload -Uz compinit; compinit -u -d $2/dump; \
                  print -r -- $_comps[landline]; autoload +X _landline && print loaded; \
                  print -r -- $functions[_landline]";
    let mut shell = Command::new("zsh");
    shell.args(["-f", "-c", script, "zsh", &directory]).arg(home.path());
    let loaded = said(&mut shell);
    assert!(loaded.starts_with("_landline\nloaded\n"), "{loaded}");
    for command in COMMANDS {
        assert!(loaded.contains(&format!("'{command}:")), "zsh lacks {command}");
        for option in options(command) {
            assert!(loaded.contains(&option), "zsh lacks {option} of {command}");
        }
    }
}
