//! Golden vectors. `vectors write DIR story` and `vectors write DIR protocol` write those of this version of the format; `vectors random N FILE` writes those of N random
//! histories, for readers in other languages.

use std::process::ExitCode;

use weftline_tests::vectors::{protocol, random, story, to_file};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (path, vectors) = match arguments.as_slice() {
        ["write", folder, "story"] => (format!("{folder}/story.json"), story()),
        ["write", folder, "protocol"] => (format!("{folder}/protocol.json"), protocol::examples()),
        ["random", histories, file] => match histories.parse() {
            Ok(histories) => ((*file).to_owned(), random(histories)),
            Err(error) => return fail(&format!("{histories}: {error}")),
        },
        _ => {
            return fail("usage: vectors write DIR story | vectors write DIR protocol | vectors random HISTORIES FILE");
        }
    };
    match std::fs::write(&path, to_file(&vectors)) {
        Ok(()) => {
            println!("{path}: {} vectors", vectors.len());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&format!("{path}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}
