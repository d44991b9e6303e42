//! Answers of files and commands, as the protocol says them.
//!
//! What it does not do: know who asked when (`model`).

use crate::script::{Ends, Job, Script, Shelved};
use crate::want::{Frames, Last, Piece, Want};

pub(crate) fn exact(bytes: impl Into<Vec<u8>>) -> Piece {
    Piece::Exact(bytes.into())
}

pub(crate) fn plain(piece: Piece) -> Want {
    Want::Plain(vec![piece])
}

/// What `stat` says of a file (section 3).
pub(crate) fn stat_text(file: &Shelved) -> String {
    // All files here are of the same day, 2020-09-13, from 12:26:40 on.
    let second = file.mtime_s - 1_600_000_000 + 26 * 60 + 40;
    let (hour, minute, second) = (12 + second / 3600, second / 60 % 60, second % 60);
    let name = file.name.rsplit('/').next().unwrap_or_default();
    format!("{} 2020-09-13T{hour:02}:{minute:02}:{second:02}Z {name}\n", file.size)
}

fn written(job: &Job, is_err: Option<bool>) -> Vec<u8> {
    let wanted = job.writes.iter().filter(|(err, _)| is_err.is_none_or(|wanted| wanted == *err));
    wanted.flat_map(|(_, bytes)| bytes.clone()).collect()
}

/// The same, of a command that got this for input, at a terminal of such a size.
fn fed(job: &Job, input: &[u8], size: &str) -> Vec<(&'static str, Vec<u8>)> {
    let Some(reads) = job.reads else {
        return vec![("out", written(job, Some(false))), ("err", written(job, Some(true)))];
    };
    let input = &input[..input.len().min(reads.most)];
    if reads.is_terminal {
        return vec![("out", [input, size.as_bytes(), &written(job, None)].concat())];
    }
    let out = [input, &written(job, Some(false))].concat();
    vec![("out", out), ("err", written(job, Some(true)))]
}

/// A command that got this for input, if it takes any.
pub(crate) fn framed_run(job: &Job, input: &[u8], size: &str) -> Want {
    let last = match job.ends {
        Ends::NotFound => {
            let exit = vec![("exit", "127".to_owned())];
            return Want::Framed(Frames::only(Last::Done(exit, Vec::new())));
        }
        Ends::Status(status) => Last::Done(vec![("exit", status.to_string())], Vec::new()),
        Ends::Signal(name) => Last::Done(vec![("signal", name.to_owned())], Vec::new()),
        Ends::TimesOut => Last::Fail("timeout", None),
        Ends::Never | Ends::Busy => Last::Fail("cancelled", None),
    };
    let parts = fed(job, input, size);
    Want::Framed(Frames { parts, ..Frames::only(last) })
}

pub(crate) fn plain_run(job: &Job, script: &Script) -> Vec<Piece> {
    let end = if script.is_bare { "" } else { "\n" };
    let output = exact(written(job, None));
    match job.ends {
        Ends::NotFound => vec![exact(format!("error exit: status 127{end}"))],
        Ends::Status(0) => vec![output],
        Ends::Status(status) => vec![output, exact(format!("error exit: status {status}{end}"))],
        Ends::Signal(name) => vec![output, exact(format!("error exit: signal {name}{end}"))],
        Ends::TimesOut | Ends::Never | Ends::Busy => {
            vec![output, Piece::Error("timeout"), exact(end)]
        }
    }
}

pub(crate) fn exec_answer(job: &Job, is_bare: bool) -> Vec<u8> {
    let status = match job.ends {
        Ends::Status(status) => status,
        _ => 127,
    };
    let mut answer = if job.ends == Ends::NotFound { Vec::new() } else { written(job, None) };
    let is_silent = job.ends == Ends::NotFound || written(job, Some(false)).is_empty();
    let last_line = match status {
        126 | 127 if is_silent => {
            answer.clear();
            Some("No such command".to_owned())
        }
        0 => answer.is_empty().then(|| "no output".to_owned()),
        status => Some(format!("exit status {status}")),
    };
    if let Some(text) = last_line {
        if !answer.is_empty() && !answer.ends_with(b"\n") {
            answer.push(b'\n');
        }
        answer.extend_from_slice(text.as_bytes());
    }
    if !is_bare && !answer.ends_with(b"\n") {
        answer.push(b'\n');
    }
    answer
}
