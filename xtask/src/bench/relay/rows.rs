//! What is measured of the relay, and what it must reach.
//!
//! Every number that a cell of `tests/load` prints is listed here: an unknown one, and one that is missing, is an error, so that the two
//! cannot drift apart unnoticed. A number that must hold beside several others is listed once for each.

use crate::bench::rows::{Bound, Line, Of};

/// The server that does nothing but pass frames on.
pub(crate) const CEILING: &str = "raw";

/// It has no documents, stores nothing and promises nothing: it is no competitor.
const ALONE: &[&str] = &[CEILING];

const fn line(row: &'static str, metric: &'static str, limit: f64, of: Of) -> Line {
    Line { row, metric, bound: Some(Bound { limit, of }), without: ALONE, headline: None }
}

const fn told(row: &'static str, metric: &'static str) -> Line {
    Line { row, metric, bound: None, without: ALONE, headline: None }
}

use Of::{Best, Itself, Peer};

/// Every number, in the order in which it is shown.
pub(crate) const LINES: &[Line] = &[
    line("1x100", "paced cpu", 1.5, Peer(CEILING)),
    line("1x100", "paced cpu", 1.0, Best),
    told("1x100", "paced p50"),
    line("1x100", "paced p99", 2.0, Peer(CEILING)),
    told("1x100", "paced p99.9"),
    told("1x100", "full rate"),
    line("1x100", "full cpu", 1.5, Peer(CEILING)),
    line("1x100", "full cpu", 1.0, Best),
    told("1x100", "peak RSS"),
    line("100x10", "paced cpu", 1.5, Peer(CEILING)),
    line("100x10", "paced cpu", 1.0, Best),
    told("100x10", "paced p50"),
    line("100x10", "paced p99", 2.0, Peer(CEILING)),
    told("100x10", "paced p99.9"),
    told("100x10", "full rate"),
    line("100x10", "full cpu", 1.5, Peer(CEILING)),
    line("100x10", "full cpu", 1.0, Best),
    told("100x10", "peak RSS"),
    line("1000x2", "paced cpu", 2.0, Peer(CEILING)),
    line("1000x2", "paced cpu", 1.0, Best),
    told("1000x2", "paced p50"),
    line("1000x2", "paced p99", 2.0, Peer(CEILING)),
    told("1000x2", "paced p99.9"),
    told("1000x2", "full rate"),
    line("1000x2", "full cpu", 2.0, Peer(CEILING)),
    line("1000x2", "full cpu", 1.0, Best),
    told("1000x2", "peak RSS"),
    line("idle-5000", "RSS each", 10_000.0, Itself),
    line("idle-20000", "RSS each", 10_000.0, Itself),
    line("stalled-reader", "growth", 10e6, Itself),
    told("stalled-reader", "p99"),
    line("stalled-reader", "lost", 0.0, Itself),
    line("1000-readers", "growth", 32e6, Itself),
    told("1000-readers", "calm p99"),
    told("1000-readers", "p99"),
    line("1000-readers", "p99 ratio", 1.2, Itself),
    line("1000-readers", "lost", 0.0, Itself),
    told("10000-documents", "RSS before"),
    told("10000-documents", "RSS most"),
    told("10000-documents", "RSS after"),
    line("10000-documents", "RSS ratio", 1.2, Itself),
    line("storm-2000", "bytes up", 200.0, Itself),
    line("storm-2000", "bytes down", 200.0, Itself),
    line("storm-2000", "all live", 5_000.0, Itself),
    told("storm-2000", "cpu each"),
];
