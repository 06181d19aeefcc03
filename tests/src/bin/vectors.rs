//! Golden vectors. `vectors write DIR` writes those of this version of the format; `vectors random N FILE` writes those of N random
//! histories, for readers in other languages.

use std::process::ExitCode;

use weftline_tests::vectors::{random, story, to_file};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (path, vectors) = match arguments.as_slice() {
        ["write", folder] => (format!("{folder}/story.json"), story()),
        ["random", histories, file] => match histories.parse() {
            Ok(histories) => ((*file).to_owned(), random(histories)),
            Err(error) => return fail(&format!("{histories}: {error}")),
        },
        _ => return fail("usage: vectors write DIR | vectors random HISTORIES FILE"),
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
