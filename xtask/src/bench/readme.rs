//! What a run leaves in the tree: the comparison in the README between two marks, the chart beside the comparison, and every number in a
//! page of its own. All three are made, never written.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::results::Results;
use super::rows::Line;
use super::{chart, table};
use crate::repo;

const BEGIN: &str = "<!-- Made by `cargo xtask bench core --readme`; what is written here by hand is overwritten. -->";
const END: &str = "<!-- The end of what is made. -->";

const CHART: &str = "tests/peers/comparison.svg";
const NUMBERS: &str = "tests/peers/comparison.md";

/// Writes all three.
pub(super) fn write(lines: &[&Line], results: &Results, peers: &[&str], synthetic: &[&str]) -> Result<()> {
    put(CHART, &chart::svg(lines, results, peers))?;
    put(NUMBERS, &numbers(lines, results, peers, synthetic))?;
    let path = repo::root().join("README.md");
    let readme = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let part = format!(
        "{}\n![Cost of each library as a multiple of Weftline's]({CHART})\n\nEvery number, and what is measured how, is in [`{NUMBERS}`]({NUMBERS}).\n",
        table::headlines(lines, results)
    );
    let readme = replaced(&readme, &part).context("README.md lacks the marks between which the comparison stands")?;
    put("README.md", &readme)
}

fn put(path: &str, text: &str) -> Result<()> {
    let path = repo::root().join(Path::new(path));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn numbers(lines: &[&Line], results: &Results, peers: &[&str], synthetic: &[&str]) -> String {
    let (met, bounds) = table::met(lines, results);
    let typed = if synthetic.is_empty() {
        "recorded editing (the public collection josephg/editing-traces)".to_owned()
    } else {
        format!("editing, which is synthetic in {}", synthetic.join(", "))
    };
    format!(
        "# Every number of the comparison\n\n\
         {BEGIN}\n\n\
         Each cell ran in a process of its own; the least of its runs is shown. Time is CPU time, heap what a counting allocator was \
         asked for. `map-…`, `counter-…` and `set-…` edit in transactions of 1 000 operations; `edit-…` makes, sends and applies one \
         edit at a time. Keys and members have 16 bytes, values 32. Bytes to send are those of a live session; catching up starts with \
         two that have just connected. `floor` is collections of the standard library and a rope, written with postcard. `yrs` has \
         neither counters nor sets, and does them with maps, as its users do. `text-…` replays {typed}, one transaction a key \
         and one for 1 000 keys, and `text-concurrent` two replicas that send what they type and merge what their authors had merged; \
         `diamond-types` has texts only, and nothing moves in the lists of `yrs` and `automerge`. The best other library is bold, \
         `ratio` is Weftline's number divided by it.\n\n\
         {}\n{met} of {bounds} bounds are met.\n",
        table::everything(lines, results, peers)
    )
}

/// The text with `part` between the marks.
fn replaced(text: &str, part: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{part}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced_and_twice_changes_nothing() {
        let text = format!("# Title\n\n{BEGIN}\n\nold\n\n{END}\n\n## More\n");
        let once = replaced(&text, "new\n").unwrap();
        assert_eq!(once, format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\n## More\n"));
        assert_eq!(replaced(&once, "new\n"), Some(once));
        assert_eq!(replaced("# Title\n", "new"), None);
    }

    #[test]
    fn the_readme_has_the_marks() {
        let readme = fs::read_to_string(repo::root().join("README.md")).unwrap();
        assert!(replaced(&readme, "").is_some());
    }
}
