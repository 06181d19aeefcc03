//! What a browser downloads for a minimal app that opens a replica: the packed package, bundled by Vite, compressed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::consumer::Consumer;
use crate::process::read;
use crate::{repo, setup};

/// The limit for JavaScript and wasm together, after gzip. The aim is a full replica in at most 100 000 bytes, every type and the
/// sync protocol included: about a second on a slow mobile line, and small enough that a page need not think twice. Without
/// text it was all but met; text is above it. This keeps it from growing further until it is met again.
const BUDGET_GZIP: u64 = 183_200;

/// A file as downloaded: as it is, by gzip at its highest level, by Brotli at its highest.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Sizes {
    name: String,
    raw: u64,
    gzip: u64,
    brotli: u64,
}

/// Measures, prints, and fails above the budget.
pub(crate) fn size() -> Result<()> {
    let files = measure(&minimal_app()?)?;
    let total = total(&files);
    println!("{}", table(&files, &total));
    if total.gzip > BUDGET_GZIP {
        bail!("the minimal app is {} bytes after gzip, the budget is {BUDGET_GZIP}", total.gzip);
    }
    println!("{} bytes after gzip, {} below the budget of {BUDGET_GZIP}", total.gzip, BUDGET_GZIP - total.gzip);
    Ok(())
}

/// Bundles the least that a page does with the packed package, by Vite without plugin or configuration; the folder to be served.
pub(crate) fn minimal_app() -> Result<PathBuf> {
    let consumer = Consumer::ensure()?;
    for file in ["index.html", "main.js"] {
        let source = repo::tools().join("minimal").join(file);
        let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        consumer.write(&format!("minimal/{file}"), &text)?;
    }
    consumer.bundle("minimal")
}

/// Compresses each script and module below `dir`.
fn measure(dir: &Path) -> Result<Vec<Sizes>> {
    let output = read(setup::tool("measure.js")?.arg(dir))?;
    let files = output
        .lines()
        .map(parse)
        .collect::<Option<Vec<_>>>()
        .with_context(|| format!("cannot read sizes from {output:?}"))?;
    if !files.iter().any(|file| file.name.ends_with(".wasm")) {
        bail!("the bundle holds no wasm module: {output}");
    }
    Ok(files)
}

/// `name TAB raw TAB gzip TAB brotli`.
fn parse(line: &str) -> Option<Sizes> {
    let mut fields = line.split('\t');
    Some(Sizes {
        name: fields.next()?.to_owned(),
        raw: fields.next()?.parse().ok()?,
        gzip: fields.next()?.parse().ok()?,
        brotli: fields.next()?.parse().ok()?,
    })
}

fn total(files: &[Sizes]) -> Sizes {
    files.iter().fold(Sizes { name: "total".into(), ..Sizes::default() }, |sum, file| Sizes {
        name: sum.name,
        raw: sum.raw + file.raw,
        gzip: sum.gzip + file.gzip,
        brotli: sum.brotli + file.brotli,
    })
}

fn table(files: &[Sizes], total: &Sizes) -> String {
    let mut text = format!("{:<40} {:>9} {:>9} {:>9}", "minimal app, bytes", "raw", "gzip -9", "brotli 11");
    for file in files.iter().chain([total]) {
        let _ = write!(text, "\n{:<40} {:>9} {:>9} {:>9}", file.name, file.raw, file.gzip, file.brotli);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_added_up() {
        let files: Vec<_> = ["main.js\t10\t5\t4", "core.wasm\t100\t50\t40"].into_iter().filter_map(parse).collect();
        let total = total(&files);
        assert_eq!((total.raw, total.gzip, total.brotli), (110, 55, 44));
        assert_eq!(table(&files, &total).lines().count(), 4);
        assert_eq!(parse("main.js\t10"), None);
    }
}
