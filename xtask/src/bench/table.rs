//! The outcome as tables: for a terminal, and in Markdown.

use std::fmt::Write as _;

use super::results::{FLOOR, OURS, Results, Standing};
use super::rows::{Bound, Line, Of};

const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";
/// Of a column: the longest name.
const WIDTH: usize = "diamond-types".len();

/// Everything, for a terminal: a line for each number, a column for each library; the best other library is bold.
pub(crate) fn terminal(lines: &[&Line], results: &Results, peers: &[&str], colours: bool) -> String {
    let mut text = format!("{:<31} {:<14} {:<4}", "row", "metric", "unit");
    for peer in peers {
        let _ = write!(text, " {peer:>WIDTH$}");
    }
    text.push_str("     ratio  required\n");
    for line in lines {
        let Some(standing) = results.standing(line) else { continue };
        let _ = write!(text, "{:<31} {:<14} {:<4}", standing.row, standing.metric, standing.unit);
        for peer in peers {
            let shown = results.of(line.row, line.metric, peer).map_or_else(|| "-".to_owned(), short);
            let best = colours && standing.best.is_some_and(|(best, _)| best == *peer);
            let (on, off) = if best { (BOLD, PLAIN) } else { ("", "") };
            let _ = write!(text, " {on}{shown:>WIDTH$}{off}");
        }
        let ratio = standing.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(text, " {ratio:>9}  {}", verdict(&standing));
    }
    text
}

/// How many bounds are met, and how many there are.
pub(crate) fn met(lines: &[&Line], results: &Results) -> (usize, usize) {
    let met: Vec<bool> =
        lines.iter().filter_map(|line| results.standing(line)).filter_map(|standing| standing.met()).collect();
    (met.iter().filter(|met| **met).count(), met.len())
}

/// The headlines, in Markdown: ours beside the best other library, which is bold.
pub(crate) fn headlines(lines: &[&Line], results: &Results) -> String {
    let mut text = String::from("| | Weftline | best of the others | ratio | no CRDT |\n|---|---:|---:|---:|---:|\n");
    for line in lines {
        let (Some(name), Some(standing)) = (line.headline, results.standing(line)) else { continue };
        let quantity = |value: Option<f64>| value.map_or_else(String::new, |value| with_unit(value, standing.unit));
        let best = standing
            .best
            .map_or_else(String::new, |(peer, value)| format!("**{peer}** {}", with_unit(value, standing.unit)));
        let ratio = standing.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let _ = writeln!(
            text,
            "| {name} | {} | {best} | {ratio} | {} |",
            quantity(standing.ours),
            quantity(standing.floor)
        );
    }
    text
}

/// Everything, in Markdown.
pub(crate) fn everything(lines: &[&Line], results: &Results, peers: &[&str]) -> String {
    let mut text = String::from("| row | metric |");
    for peer in peers {
        let _ = write!(text, " {peer} |");
    }
    text.push_str(" ratio | required |\n|---|---|");
    text.push_str(&"---:|".repeat(peers.len() + 1));
    text.push_str("---|\n");
    for line in lines {
        let Some(standing) = results.standing(line) else { continue };
        let _ = write!(text, "| {} | {} |", standing.row, standing.metric);
        for peer in peers {
            let shown = results
                .of(line.row, line.metric, peer)
                .map_or_else(String::new, |value| with_unit(value, standing.unit));
            let best = standing.best.is_some_and(|(best, _)| best == *peer);
            let _ = if best { write!(text, " **{shown}** |") } else { write!(text, " {shown} |") };
        }
        let ratio = standing.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let _ = writeln!(text, " {ratio} | {} |", verdict(&standing));
    }
    text
}

/// The columns: ours first, the floor last, the others between them as they were listed.
pub(crate) fn columns<'a>(peers: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut columns: Vec<&str> = peers.into_iter().collect();
    columns.sort_by_key(|peer| match *peer {
        OURS => 0,
        FLOOR => 2,
        _ => 1,
    });
    columns.dedup();
    columns
}

/// What is required, and whether it is met.
fn verdict(standing: &Standing<'_>) -> String {
    let Some(Bound { limit, of }) = standing.bound else { return String::new() };
    let of = match of {
        Of::Best => " × best".to_owned(),
        Of::Peer(peer) => format!(" × {peer}"),
        Of::Floor => " × floor".to_owned(),
        Of::Itself => String::new(),
    };
    let limit = if limit >= 100.0 { short(limit) } else { format!("{limit}") };
    let outcome = match (standing.met(), standing.against_bound) {
        (Some(true), _) => " met".to_owned(),
        (Some(false), Some(reached)) if standing.bound.is_some_and(|bound| bound.of != Of::Itself) => {
            format!(" MISSED: {reached:.2}")
        }
        (Some(false), _) => " MISSED".to_owned(),
        (None, _) => " not measured".to_owned(),
    };
    format!("≤ {limit}{of}:{outcome}")
}

/// Three significant digits, with k and M.
fn short(value: f64) -> String {
    let (value, suffix) = match value {
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    format!("{}{suffix}", digits(value))
}

fn digits(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 && value < 1e5 => format!("{value:.0}"),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

/// For people: kB and MB instead of bytes.
pub(crate) fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "B" if value >= 1e6 => format!("{} MB", digits(value / 1e6)),
        "B" if value >= 1e4 => format!("{} kB", digits(value / 1e3)),
        "ms" if value >= 1e4 => format!("{} s", digits(value / 1e3)),
        "" => digits(value),
        _ => format!("{} {unit}", digits(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Cell;

    fn results() -> Results {
        let mut results = Results::default();
        for (peer, value) in [("weftline", 1_234_567.0), ("yrs", 2_000_000.0), ("loro", 3e6), ("floor", 1e6)] {
            let metrics = vec![("heap".into(), "B".into(), value)];
            results.add(&Cell { peer: peer.into(), row: "map".into(), metrics });
        }
        results
    }

    const LINE: Line = Line {
        row: "map",
        metric: "heap",
        bound: Some(Bound { limit: 1.2, of: Of::Floor }),
        without: &[],
        headline: Some("heap of a map"),
    };

    #[test]
    fn the_terminal_shows_every_library_and_the_best_other_one_bold() {
        let shown = terminal(&[&LINE], &results(), &["weftline", "loro", "yrs", "floor"], true);
        let row = shown.lines().nth(1).unwrap();
        assert!(row.contains("\x1b[1m           2M\x1b[0m"), "{row:?}");
        assert!(
            row.contains("1.23M") && row.contains("0.62") && row.ends_with("≤ 1.2 × floor: MISSED: 1.23"),
            "{row:?}"
        );
        assert!(!terminal(&[&LINE], &results(), &["yrs"], false).contains(BOLD));
    }

    #[test]
    fn a_line_that_nobody_measured_is_left_out_and_one_library_that_has_none_gets_a_dash() {
        let other = Line { row: "set", ..LINE };
        let shown = terminal(&[&other, &LINE], &results(), &["weftline", "crdts"], false);
        assert_eq!(shown.lines().count(), 2);
        assert!(shown.lines().nth(1).unwrap().contains("     -"), "{shown}");
    }

    #[test]
    fn headlines_are_a_table_of_markdown() {
        let shown = headlines(&[&LINE], &results());
        assert_eq!(shown.lines().last(), Some("| heap of a map | 1.23 MB | **yrs** 2 MB | 0.62 | 1 MB |"));
        let all = everything(&[&LINE], &results(), &["weftline", "yrs"]);
        assert_eq!(
            all.lines().last(),
            Some("| map | heap | 1.23 MB | **2 MB** | 0.62 | ≤ 1.2 × floor: MISSED: 1.23 |")
        );
    }

    #[test]
    fn bounds_are_counted() {
        let loose = Line { bound: Some(Bound { limit: 1.0, of: Of::Best }), ..LINE };
        assert_eq!(met(&[&LINE, &loose], &results()), (1, 2));
    }

    #[test]
    fn ours_is_the_first_column_and_the_floor_the_last() {
        assert_eq!(columns(["floor", "yrs", "weftline", "crdts"]), ["weftline", "yrs", "crdts", "floor"]);
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown: Vec<String> = [0.1234, 1.0, 2.345, 23.45, 234.5, 12_345.0, 1.5e7].into_iter().map(short).collect();
        assert_eq!(shown, ["0.123", "1", "2.35", "23.4", "234", "12.3k", "15M"]);
        assert_eq!(with_unit(12_345.0, "B"), "12.3 kB");
        assert_eq!(with_unit(2.5, "µs"), "2.50 µs");
    }
}
