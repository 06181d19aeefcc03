//! What is compared, and what Weftline must reach.
//!
//! Every number that a cell of `tests/peers` prints is listed here: an unknown one, and one that is missing, is an error, so that the two
//! cannot drift apart unnoticed.

/// One number of one row.
pub(crate) struct Line {
    /// The row's name in `tests/peers`.
    pub(crate) row: &'static str,
    /// The number's name there.
    pub(crate) metric: &'static str,
    /// What must hold; nothing where a number only tells something.
    pub(crate) bound: Option<Bound>,
    /// Libraries that do not compete for the best here, since what they do is less.
    pub(crate) without: &'static [&'static str],
    /// What it says in the README, if it stands there.
    pub(crate) headline: Option<&'static str>,
}

/// The most that is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    /// How much …
    pub(crate) limit: f64,
    /// … times what.
    pub(crate) of: Of,
}

/// What a bound is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// The best of the other libraries.
    Best,
    /// One library.
    Peer(&'static str),
    /// No CRDT at all.
    Floor,
    /// Nothing: the limit is the number itself.
    Itself,
}

const fn line(row: &'static str, metric: &'static str, limit: f64, of: Of) -> Line {
    Line { row, metric, bound: Some(Bound { limit, of }), without: &[], headline: None }
}

const fn told(row: &'static str, metric: &'static str) -> Line {
    Line { row, metric, bound: None, without: &[], headline: None }
}

impl Line {
    const fn headline(self, text: &'static str) -> Self {
        Self { headline: Some(text), ..self }
    }

    const fn without(self, libraries: &'static [&'static str]) -> Self {
        Self { without: libraries, ..self }
    }
}

/// A counter of `crdts` sends a bare dot, which says nothing of what its writer had seen: it is cheaper because it is less.
const BARE_DOT: &[&str] = &["crdts"];

use Of::{Best, Floor, Itself, Peer};

/// The rows whose edits are recorded, with the file that has them; without it they are synthetic.
pub(crate) const TRACED: &[(&str, &str)] = &[
    ("text-paper", "automerge-paper.json.gz"),
    ("text-rust", "rustcode.json.gz"),
    ("text-concurrent", "friendsforever.json.gz"),
    ("text-typed", "automerge-paper.json.gz"),
];

/// Every number, in the order in which it is shown.
pub(crate) const LINES: &[Line] = &[
    line("map-set", "time", 1.0, Best).headline("set 100 000 keys of a map"),
    line("map-set", "heap", 1.5, Floor).headline("… the heap they take"),
    line("map-overwrite", "time", 1.0, Best).headline("overwrite 1 000 keys 100 000 times"),
    line("map-overwrite", "heap", 1e6, Itself),
    line("map-overwrite", "snapshot", 79_000.0, Itself).headline("… the document stored"),
    line("counter-one", "time", 1.0, Best).headline("increment a counter 100 000 times"),
    told("counter-one", "heap"),
    line("counter-one", "snapshot", 160.0, Itself).headline("… the document stored"),
    line("counter-map", "time", 1.0, Best),
    told("counter-map", "heap"),
    line("counter-map", "snapshot", 1.0, Best),
    line("set-add", "time", 1.0, Best).headline("add 100 000 members to a set"),
    line("set-add", "heap", 2.0, Floor),
    line("set-add", "remove half", 1.0, Best),
    line("set-churn", "time", 1.0, Best).headline("add and remove 1 000 members a million times"),
    line("set-churn", "heap", 1.0, Best),
    line("set-churn", "snapshot", 1.0, Best).headline("… the document stored"),
    line("edit-map", "make", 1.0, Best).headline("one edit of a map, and the bytes to send"),
    line("edit-map", "apply", 1.0, Best).headline("… applied by another replica"),
    line("edit-map", "bytes", 1.0, Best).headline("… sent"),
    line("edit-counter", "make", 0.35, Peer("yrs")).without(BARE_DOT),
    line("edit-counter", "apply", 0.35, Peer("yrs")).without(BARE_DOT),
    line("edit-counter", "bytes", 20.0, Itself).without(BARE_DOT),
    line("edit-set", "make", 1.5, Best),
    line("edit-set", "apply", 1.5, Best),
    line("edit-set", "bytes", 1.1, Peer("yrs")),
    line("edit-large-map", "make", 1.0, Best),
    line("edit-large-map", "apply", 1.0, Best).headline("one edit of a map of 100 000 keys, applied"),
    line("edit-large-map", "bytes", 1.0, Best),
    line("first-apply", "apply", 1.0, Best),
    line("catch-up-one-way-warm-10", "time", 1.0, Best),
    line("catch-up-one-way-warm-10", "bytes", 1.0, Best),
    line("catch-up-one-way-warm-10", "messages", 2.0, Itself),
    line("catch-up-one-way-warm-1000", "time", 1.0, Best).headline("catch up on 1 000 edits of a map of 100 000 keys"),
    line("catch-up-one-way-warm-1000", "bytes", 1.0, Best).headline("… sent"),
    line("catch-up-one-way-warm-1000", "messages", 2.0, Itself),
    line("catch-up-one-way-warm-10000", "time", 1.0, Best),
    line("catch-up-one-way-warm-10000", "bytes", 1.0, Best),
    line("catch-up-one-way-warm-10000", "messages", 2.0, Itself),
    line("catch-up-one-way-loaded-10", "time", 1.0, Best),
    line("catch-up-one-way-loaded-10", "bytes", 1.0, Best),
    line("catch-up-one-way-loaded-10", "messages", 2.0, Itself),
    line("catch-up-one-way-loaded-1000", "time", 1.0, Best),
    line("catch-up-one-way-loaded-1000", "bytes", 1.0, Best),
    line("catch-up-one-way-loaded-1000", "messages", 2.0, Itself),
    line("catch-up-one-way-loaded-10000", "time", 1.0, Best),
    line("catch-up-one-way-loaded-10000", "bytes", 1.0, Best),
    line("catch-up-one-way-loaded-10000", "messages", 2.0, Itself),
    line("catch-up-both-ways-warm-10", "time", 1.0, Best),
    line("catch-up-both-ways-warm-10", "bytes", 1.0, Best),
    line("catch-up-both-ways-warm-10", "messages", 3.0, Itself),
    line("catch-up-both-ways-warm-1000", "time", 1.0, Best).headline("… when both edited 1 000 times"),
    line("catch-up-both-ways-warm-1000", "bytes", 1.0, Best),
    line("catch-up-both-ways-warm-1000", "messages", 3.0, Itself),
    line("catch-up-both-ways-warm-10000", "time", 1.0, Best),
    line("catch-up-both-ways-warm-10000", "bytes", 1.0, Best),
    line("catch-up-both-ways-warm-10000", "messages", 3.0, Itself),
    line("catch-up-both-ways-loaded-10", "time", 1.0, Best),
    line("catch-up-both-ways-loaded-10", "bytes", 1.0, Best),
    line("catch-up-both-ways-loaded-10", "messages", 3.0, Itself),
    line("catch-up-both-ways-loaded-1000", "time", 1.0, Best),
    line("catch-up-both-ways-loaded-1000", "bytes", 1.0, Best),
    line("catch-up-both-ways-loaded-1000", "messages", 3.0, Itself),
    line("catch-up-both-ways-loaded-10000", "time", 1.0, Best),
    line("catch-up-both-ways-loaded-10000", "bytes", 1.0, Best),
    line("catch-up-both-ways-loaded-10000", "messages", 3.0, Itself),
    line("snapshot", "bytes", 1.02, Floor).headline("a map of 100 000 keys stored"),
    line("snapshot", "compressed", 1.0, Best).headline("… compressed"),
    line("snapshot", "save", 1.0, Best).headline("… saved"),
    line("snapshot", "load, read one", 1.0, Best).headline("… loaded, to the first read"),
    line("snapshot", "load, read all", 1.0, Best),
    line("snapshot", "load peak heap", 1.3, Floor),
    line("b3-number", "one by one", 1.0, Best).headline("1 549 clients set one key to a number at once (B3.1)"),
    line("b3-number", "batch", 1.0, Best),
    line("b3-number", "updates", 1.0, Best),
    line("b3-number", "document", 1.0, Best),
    line("b3-object", "one by one", 1.0, Best),
    line("b3-object", "batch", 1.0, Best),
    line("b3-object", "updates", 1.0, Best),
    line("b3-object", "document", 1.0, Best),
    line("b3-string", "one by one", 1.0, Best),
    line("b3-string", "batch", 1.0, Best),
    line("b3-string", "updates", 1.0, Best),
    line("b3-string", "document", 1.0, Best),
    line("b3-counter", "one by one", 1.0, Best),
    line("b3-counter", "batch", 1.0, Best),
    line("b3-counter", "updates", 1.0, Best),
    line("b3-counter", "document", 1.0, Best),
    line("todo", "time", 1.0, Best).headline("five todo lists of 10 000, edited apart and synced"),
    line("todo", "synced", 1.0, Best).headline("… sent"),
    told("todo", "messages"),
    line("todo", "heap", 1.0, Best).headline("… the heap of all five"),
    told("todo", "snapshot"),
    line("todo", "compressed", 1.0, Best).headline("… one of them stored, compressed"),
    line("text-paper", "per key", 1.0, Peer("loro")).headline("type a paper, 260 000 keys"),
    line("text-paper", "per 1000", 1.0, Peer("loro")).headline("… in transactions of 1 000 keys"),
    line("text-paper", "heap", 1e6, Itself).headline("… the heap it takes"),
    line("text-paper", "snapshot", 130_000.0, Itself).headline("… stored"),
    line("text-paper", "compressed", 64_000.0, Itself).headline("… compressed"),
    line("text-paper", "load to text", 1.0, Itself).headline("… loaded, to its text"),
    line("text-paper", "first edit", 50.0, Itself),
    line("text-rust", "per key", 1.0, Peer("loro")),
    line("text-rust", "per 1000", 1.0, Peer("loro")),
    told("text-rust", "heap"),
    told("text-rust", "snapshot"),
    line("text-concurrent", "time", 1.0, Best).headline("two type one text at once, 26 000 keys"),
    told("text-concurrent", "sent"),
    told("text-concurrent", "heap"),
    line("text-random", "one by one", 2.0, Itself).headline("one edit anywhere in a text of a million characters"),
    line("text-random", "batch", 2.0, Itself),
    told("text-paste", "each MB"),
    line("text-paste", "peak heap", 3.0, Itself).headline("the heap for a paste of 100 MB, by its size"),
    told("text-paste", "heap"),
    told("text-typed", "make"),
    told("text-typed", "apply"),
    line("text-typed", "bytes", 8.0, Itself).headline("one key typed, sent"),
    line("list-push", "time", 1.0, Best).headline("add 100 000 numbers to a list"),
    told("list-push", "heap"),
    told("list-push", "snapshot"),
    told("list-push", "compressed"),
    told("list-push", "load, read all"),
    line("list-insert", "one by one", 1.0, Best).headline("insert one anywhere in it"),
    line("list-insert", "batch", 1.0, Best),
    line("list-move", "one by one", 1.0, Best).headline("move one anywhere in it"),
    line("list-move", "batch", 1.0, Best),
    line("list-delete", "one by one", 1.0, Best),
    line("list-delete", "batch", 1.0, Best),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_listed_twice() {
        for (index, line) in LINES.iter().enumerate() {
            let again = LINES[..index].iter().any(|other| (other.row, other.metric) == (line.row, line.metric));
            assert!(!again, "{} {} is listed twice", line.row, line.metric);
        }
    }
}
