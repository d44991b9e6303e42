//! `landline download`, `upload` and `files`: their options as typed, and what they mean.
//!
//! What it does not do: look whether a file exists, here or there.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "argh shows these texts to people as they stand: [V6] is an address, not a link"
)]

use argh::{ArgsInfo, FromArgs};

use super::check_one_line;
use super::common::Shared;
use crate::client::command::{ClientCommand, Existing, Fetch, Output, Source, Store};

/// fetch files. Each appears under its name only when it is whole.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline download localhost notes.txt",
    example = "    becomes client_notes.txt in this directory",
    example = "landline download localhost a.txt logs/b.txt -o in/",
    example = "    become in/a.txt and in/b.txt",
    example = "landline download [::1]:5001 logs/today -o today.log --force",
    example = "landline download localhost disk.img --continue",
    example = "    goes on where a broken download of it stopped",
    example = "landline download localhost data.tar -o - | tar t"
)]
pub(super) struct DownloadArgs {
    /// the target (default client_ and the base name of FILE); DIR/ is a directory, for a target of
    /// the same base name; - is standard output
    #[argh(option, short = 'o', arg_name = "OUT")]
    output: Option<String>,
    /// keep what came of a download that breaks, as .landline-data-NAME.part beside its target, and
    /// go on from it; it starts again where size or time of the file changed. A target that is
    /// there, of the file's size and no older, counts as done
    #[argh(switch, short = 'c', long = "continue")]
    is_resumed: bool,
    /// replace an existing target
    #[argh(switch, short = 'f')]
    force: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
    /// the file, relative to the directory that is served; several are fetched one after the other
    #[argh(positional, arg_name = "FILE")]
    files: Vec<String>,
}

/// store files at a server that takes them. Each appears there under its name only when it is
/// whole.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline upload localhost notes.txt",
    example = "landline upload localhost a.txt b.txt --as inbox/",
    example = "tar c dir | landline upload localhost - --as dir.tar"
)]
pub(super) struct UploadArgs {
    /// the name at the server, relative to the directory that is served (default the base name of
    /// FILE); DIR/ is a directory there, for the same base name
    #[argh(option, long = "as", arg_name = "NAME")]
    name: Option<String>,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
    /// the file; several are stored one after the other; - is standard input, which needs
    /// --as; what comes through a pipe is gathered in the temporary directory first
    #[argh(positional, arg_name = "FILE")]
    files: Vec<String>,
}

/// list a directory of a server: size in bytes, time in UTC, name.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline files localhost",
    example = "landline files localhost logs --json"
)]
pub(super) struct FilesArgs {
    /// write the list as a JSON array of objects
    #[argh(switch)]
    json: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
    /// the directory, relative to the one that is served (default that one itself), or a file
    #[argh(positional, arg_name = "DIR")]
    path: Option<String>,
}

pub(super) fn download(own: &DownloadArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    let output = own.output.as_deref();
    match (output, own.files.len()) {
        (_, 0) => return Err("FILE: missing; see landline download --help".to_owned()),
        (Some(""), _) => {
            return Err("-o: no file name; write - for standard output".to_owned());
        }
        (Some("-"), _) if own.is_resumed => {
            return Err("-c: cannot be used with -o -, standard output".to_owned());
        }
        (Some(path), 2..) if !path.ends_with('/') => {
            return Err("-o: several files need a directory: write DIR/".to_owned());
        }
        _ => {}
    }
    let mut files: Vec<Fetch> = Vec::new();
    for file in &own.files {
        check_path("FILE", file)?;
        let output = target(file, output)?;
        if let Some(other) = files.iter().find(|other| other.output == output) {
            let other = &other.file;
            return Err(format!("FILE: {other} and {file} would go to the same place"));
        }
        files.push(Fetch { file: file.clone(), output });
    }
    let existing = Existing { is_replaced: own.force, is_resumed: own.is_resumed };
    Ok(ClientCommand::Download { common, files, existing })
}

/// Where `file` goes.
fn target(file: &str, output: Option<&str>) -> Result<Output, String> {
    Ok(match output {
        Some("-") => Output::Stdout,
        Some(directory) if directory.ends_with('/') => {
            Output::File((directory.to_owned() + base(file)?).into())
        }
        Some(path) => Output::File(path.into()),
        None => Output::File(format!("client_{}", base(file)?).into()),
    })
}

/// The last component of a path, which must name a file.
fn base(path: &str) -> Result<&str, String> {
    match path.rsplit('/').next() {
        None | Some("" | "." | "..") => Err(format!("FILE: \"{path}\" names no file")),
        Some(base) => Ok(base),
    }
}

/// A path in a request: it stands at the end of the line, and blanks before it are dropped.
fn check_path(what: &str, path: &str) -> Result<(), String> {
    check_one_line(what, path)?;
    if path.trim_matches([' ', '\t']).is_empty() {
        return Err(format!("{what}: \"{path}\" names no file"));
    }
    if path.starts_with([' ', '\t']) {
        return Err(format!("{what}: \"{path}\" begins with a blank, which cannot be asked for"));
    }
    Ok(())
}

pub(super) fn upload(own: &UploadArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    match (own.name.as_deref(), own.files.len()) {
        (_, 0) => return Err("FILE: missing; see landline upload --help".to_owned()),
        (Some(name), 2..) if !name.ends_with('/') => {
            return Err("--as: several files need a directory: write DIR/".to_owned());
        }
        _ => {}
    }
    let mut files: Vec<Store> = Vec::new();
    for file in &own.files {
        let is_stdin = file == "-";
        let name = match own.name.as_deref() {
            Some(name) if !name.ends_with('/') => name.to_owned(),
            _ if is_stdin => {
                return Err("--as: missing; standard input has no name".to_owned());
            }
            Some(directory) => directory.to_owned() + base(file)?,
            None => base(file)?.to_owned(),
        };
        check_path("--as", &name)?;
        if files.iter().any(|other| other.name == name) {
            return Err(format!("FILE: two files would be stored as {name}"));
        }
        let source = if is_stdin { Source::Stdin } else { Source::File(file.into()) };
        files.push(Store { source, name });
    }
    Ok(ClientCommand::Upload { common, files })
}

pub(super) fn files(own: &FilesArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    if let Some(path) = &own.path {
        check_path("DIR", path)?;
    }
    Ok(ClientCommand::Files {
        common,
        path: own.path.clone(),
        is_json: own.json || shared.is_json(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{common_of, expect_wrong, meant, read_words};
    use super::*;

    fn file(path: &str) -> Output {
        Output::File(path.into())
    }

    fn download(files: &[(&str, Output)], is_replaced: bool, is_resumed: bool) -> ClientCommand {
        let fetch = |(file, output): &(&str, Output)| Fetch {
            file: (*file).into(),
            output: output.clone(),
        };
        ClientCommand::Download {
            common: common_of("h", 5000),
            files: files.iter().map(fetch).collect(),
            existing: Existing { is_replaced, is_resumed },
        }
    }

    #[test]
    fn each_download_has_a_target() {
        for (line, expected) in [
            ("download h a.txt", download(&[("a.txt", file("client_a.txt"))], false, false)),
            ("download h d/a.txt", download(&[("d/a.txt", file("client_a.txt"))], false, false)),
            ("download h a -o x/y -f", download(&[("a", file("x/y"))], true, false)),
            ("download h -c d/a -o x/", download(&[("d/a", file("x/a"))], false, true)),
            ("download h --output=- --force a", download(&[("a", Output::Stdout)], true, false)),
            ("download h -- -a", download(&[("-a", file("client_-a"))], false, false)),
            (
                "download h --continue a d/b",
                download(&[("a", file("client_a")), ("d/b", file("client_b"))], false, true),
            ),
            (
                "download h a b -o ./",
                download(&[("a", file("./a")), ("b", file("./b"))], false, false),
            ),
        ] {
            assert_eq!(meant(line), expected, "{line}");
        }
        let spaced = read_words(&["download", "h", "my file"]);
        assert_eq!(spaced, Ok(download(&[("my file", file("client_my file"))], false, false)));
    }

    #[test]
    fn each_upload_has_a_source_and_a_name() {
        let upload = |files: &[(Source, &str)]| {
            let store = |(source, name): &(Source, &str)| Store {
                source: source.clone(),
                name: (*name).to_owned(),
            };
            let files = files.iter().map(store).collect();
            ClientCommand::Upload { common: common_of("h", 5000), files }
        };
        let from = |path: &str| Source::File(path.into());
        for (line, expected) in [
            ("upload h d/a.txt", upload(&[(from("d/a.txt"), "a.txt")])),
            ("upload h d/a.txt --as x/y", upload(&[(from("d/a.txt"), "x/y")])),
            ("upload h a d/b --as x/", upload(&[(from("a"), "x/a"), (from("d/b"), "x/b")])),
            ("upload h - --as x", upload(&[(Source::Stdin, "x")])),
            ("upload h ./-", upload(&[(from("./-"), "-")])),
        ] {
            assert_eq!(meant(line), expected, "{line}");
        }
    }

    #[test]
    fn a_list_is_of_the_root_or_of_what_is_named() {
        for (line, path, is_json) in
            [("files h", None, false), ("files h --json d/e", Some("d/e"), true)]
        {
            let (common, path) = (common_of("h", 5000), path.map(str::to_owned));
            assert_eq!(meant(line), ClientCommand::Files { common, path, is_json });
        }
    }

    #[test]
    fn what_names_no_file_or_one_place_twice_is_told() {
        expect_wrong(&[
            ("download h", "FILE: missing; see landline download --help"),
            ("download h a/", "FILE: \"a/\" names no file"),
            ("download h a/.. -o x/", "FILE: \"a/..\" names no file"),
            (
                "download h -o= a",
                "-o=: there is no such option; landline download --help lists them",
            ),
            ("download h --output= a", "-o: no file name; write - for standard output"),
            ("download h a -c -o -", "-c: cannot be used with -o -, standard output"),
            ("download h a b -o -", "-o: several files need a directory: write DIR/"),
            ("download h a/x b/x", "FILE: a/x and b/x would go to the same place"),
            ("upload h", "FILE: missing; see landline upload --help"),
            ("upload h -", "--as: missing; standard input has no name"),
            ("upload h - --as x/", "--as: missing; standard input has no name"),
            ("upload h a b --as x", "--as: several files need a directory: write DIR/"),
            ("upload h a/x b/x", "FILE: two files would be stored as x"),
            ("upload h a/", "FILE: \"a/\" names no file"),
        ]);
        let blank = read_words(&["download", "h", " x"]);
        assert_eq!(
            blank,
            Err("FILE: \" x\" begins with a blank, which cannot be asked for".into())
        );
    }
}
