//! The JavaScript example of the README, run as printed against the packed package and a real relay.
//!
//! Each `// prints: …` in it is a promise about a line of output. (The Rust example is a doc test of the test package.)

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::consumer::Consumer;
use crate::process::{node, read, run};
use crate::programs::Programs;
use crate::{repo, setup};

/// The address in the example, replaced by that of the relay started for it.
const RELAY: &str = "ws://127.0.0.1:8787";

/// Runs the example and compares what it prints with what it says.
pub(crate) fn run_js_example(programs: &Programs) -> Result<()> {
    let example = js_example()?;
    let consumer = Consumer::ensure()?;
    let (_relay, address) = programs.start_relay("127.0.0.1:0", "memory", |_| ())?;
    let script = consumer.write("readme.js", &example.replace(RELAY, &address))?;

    // Node has its own WebSocket from 22 on; before, it is there when asked for.
    let printed = read(node(&consumer.dir).arg("--experimental-websocket").arg(script))?;
    let printed: Vec<&str> = printed.lines().collect();
    let promised = promises(&example);
    ensure!(!promised.is_empty(), "the example promises no output");
    ensure!(printed == promised, "the example prints {printed:?} and promises {promised:?}");
    Ok(())
}

/// Checks the example against the types of the package as a strict user would.
pub(crate) fn check_types() -> Result<()> {
    let consumer = Consumer::ensure()?;
    consumer.write("readme.ts", &js_example()?)?;
    let mut compiler = setup::tool("node_modules/typescript/bin/tsc")?;
    compiler.current_dir(&consumer.dir).args([
        "--noEmit",
        "--strict",
        "--exactOptionalPropertyTypes",
        "--noUncheckedIndexedAccess",
    ]);
    compiler.args([
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--lib",
        "es2022,esnext.disposable,dom",
        "--types",
        "",
        "readme.ts",
    ]);
    run(&mut compiler)
}

/// The only block of JavaScript in the README.
fn js_example() -> Result<String> {
    let readme = fs::read_to_string(repo::root().join("README.md")).context("cannot read README.md")?;
    block(&readme, "js").context("README.md holds no block of JavaScript")
}

/// The first fenced block of a language.
fn block(markdown: &str, language: &str) -> Option<String> {
    let fence = format!("```{language}");
    let mut lines = markdown.lines().skip_while(|line| *line != fence);
    lines.next()?;
    let mut text = String::new();
    for line in lines.take_while(|line| *line != "```") {
        text.push_str(line);
        text.push('\n');
    }
    Some(text)
}

/// What follows `// prints: `, in order.
fn promises(script: &str) -> Vec<&str> {
    script.lines().filter_map(|line| line.split_once("// prints: ")).map(|(_, promised)| promised.trim_end()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_taken_by_its_language() {
        let markdown = "```rust\nlet a;\n```\ntext\n```js\nlet b;\nlet c; // prints: 1 2\n```\n";
        let script = block(markdown, "js").expect("there is one");
        assert_eq!(script, "let b;\nlet c; // prints: 1 2\n");
        assert_eq!(promises(&script), ["1 2"]);
        assert_eq!(block(markdown, "sh"), None);
    }
}
