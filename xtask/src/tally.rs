//! Counting tests: the closing lines of the runners we use, added up.

/// How many tests held and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What a line of output says about tests: libtest's `test result:`, Vitest's `Tests`, the `pass` and `fail` lines of Node's runner,
/// and a bare `N passed, N failed`.
pub(crate) fn read_line(line: &str) -> Option<Tally> {
    let line = without_colour(line);
    let words: Vec<&str> = line.split([' ', '\t', ',', ';', '|', '.']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["test", "result:", rest @ ..] | ["Tests", rest @ ..] => Some(labelled(rest)),
        ["#" | "ℹ", "pass", count] => Some(Tally { passed: count.parse().ok()?, failed: 0 }),
        ["#" | "ℹ", "fail", count] => Some(Tally { passed: 0, failed: count.parse().ok()? }),
        [passed, "passed", failed, "failed"] => {
            Some(Tally { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
        }
        _ => None,
    }
}

/// Numbers followed by the words `passed` and `failed`, in any order.
fn labelled(words: &[&str]) -> Tally {
    let count = |label| {
        let found = words.windows(2).find(|pair| pair[1] == label);
        found.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
    };
    Tally { passed: count("passed"), failed: count("failed") }
}

/// The line without terminal escapes of the form `ESC [ … letter`.
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        let escape = &rest[start..];
        let end = escape.find(|c: char| c.is_ascii_alphabetic()).map_or(escape.len(), |at| at + 1);
        rest = &escape[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runner_is_understood() {
        let read = |line: &str| read_line(line).map(|tally| (tally.passed, tally.failed));
        assert_eq!(read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out"), Some((12, 0)));
        assert_eq!(read("test result: FAILED. 3 passed; 2 failed; 0 ignored"), Some((3, 2)));
        assert_eq!(read("      Tests  1 failed | 11 passed (12)"), Some((11, 1)));
        assert_eq!(
            read("\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m7 passed\u{1b}[39m\u{1b}[22m (7)"),
            Some((7, 0))
        );
        assert_eq!(read("# pass 4"), Some((4, 0)));
        assert_eq!(read("ℹ fail 2"), Some((0, 2)));
        assert_eq!(read("9 passed, 1 failed"), Some((9, 1)));
        assert_eq!(read("Test Files  2 passed (2)"), None);
        assert_eq!(read("running 12 tests"), None);
    }
}
