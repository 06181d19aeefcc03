//! The outcome as a picture: one line for each headline, one dot for each library, on a logarithmic scale where Weftline is 1.

use std::fmt::Write as _;

use super::results::{FLOOR, OURS, Results};
use super::rows::Line;

const LABELS: f64 = 400.0;
const SCALE: f64 = 560.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 56.0;
const STEP: f64 = 24.0;
const BOTTOM: f64 = 34.0;
/// About as wide as a letter of a library's name.
const LETTER: f64 = 7.5;

/// Colours that can be told apart on white and on black, also by those who see fewer of them.
const COLOURS: &[&str] = &["#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#8f7cf7"];

/// The picture, as SVG; nothing moves when it is made again from the same numbers.
pub(crate) fn svg(lines: &[&Line], results: &Results, peers: &[&str]) -> String {
    let rows: Vec<(&str, Vec<(&str, f64)>)> = lines.iter().filter_map(|line| row(line, results, peers)).collect();
    let all = || rows.iter().flat_map(|(_, dots)| dots.iter().map(|(_, times)| times.log10()));
    let left = all().fold(-0.5, f64::min).floor();
    let right = all().fold(0.5, f64::max).ceil();
    let x = |times: f64| LABELS + (times.log10() - left) / (right - left) * SCALE;
    let height = TOP + STEP * rows.len() as f64 + BOTTOM;
    let width = LABELS + SCALE + RIGHT;

    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">
<title>Weftline beside other CRDT libraries: cost as a multiple of Weftline's</title>
<style>text {{ fill: #333 }} .rule {{ stroke: #8884 }} .one {{ stroke: #2563eb; stroke-width: 2 }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ccc }} }}</style>
"##
    );
    legend(&mut svg, peers);
    let end = height - BOTTOM;
    for power in left as i32..=right as i32 {
        let at = x(10f64.powi(power));
        let _ = writeln!(svg, r#"<line class="rule" x1="{at:.1}" y1="{TOP}" x2="{at:.1}" y2="{end}"/>"#);
        let name = if power < 0 {
            format!("1/{}", 10i64.pow(power.unsigned_abs()))
        } else {
            10i64.pow(power as u32).to_string()
        };
        let _ = writeln!(svg, r#"<text x="{at:.1}" y="{:.1}" text-anchor="middle">{name}×</text>"#, end + 20.0);
    }
    let one = x(1.0);
    let _ = writeln!(svg, r#"<line class="one" x1="{one:.1}" y1="{TOP}" x2="{one:.1}" y2="{end}"/>"#);
    for (index, (name, dots)) in rows.iter().enumerate() {
        let y = TOP + STEP * (index as f64 + 0.5);
        let _ = writeln!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{name}</text>"#, LABELS - 12.0, y + 4.5);
        for (peer, times) in dots {
            let title = format!("{peer}: {times:.2}×");
            let _ = writeln!(svg, "{}", dot(x(*times), y, peer, peers, &title));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A headline with what the others took as multiples of ours.
fn row<'a>(line: &Line, results: &Results, peers: &[&'a str]) -> Option<(&'static str, Vec<(&'a str, f64)>)> {
    let name = line.headline?;
    let ours = results.of(line.row, line.metric, OURS).filter(|ours| *ours > 0.0)?;
    let others = peers.iter().filter(|peer| **peer != OURS && !line.without.contains(peer));
    let times = |peer: &&'a str| {
        let value = results.of(line.row, line.metric, peer)?;
        (value > 0.0).then_some((*peer, value / ours))
    };
    Some((name, others.filter_map(times).collect()))
}

fn legend(svg: &mut String, peers: &[&str]) {
    let _ = writeln!(
        svg,
        r#"<text x="12" y="22">Cost as a multiple of Weftline's (the blue line): right of it is slower or larger.</text>"#
    );
    let mut at = LABELS;
    for peer in peers.iter().filter(|peer| **peer != OURS) {
        let _ = writeln!(svg, "{}", dot(at, 40.0, peer, peers, peer));
        let name = if *peer == FLOOR { "no CRDT" } else { peer };
        let _ = writeln!(svg, r#"<text x="{:.1}" y="44.5">{name}</text>"#, at + 10.0);
        at += 32.0 + LETTER * name.len() as f64;
    }
}

/// A library's mark: a dot of its colour, and a ring for what is no library.
fn dot(x: f64, y: f64, peer: &str, peers: &[&str], title: &str) -> String {
    if peer == FLOOR {
        return format!(
            r##"<circle cx="{x:.1}" cy="{y:.1}" r="4.5" fill="none" stroke="#888" stroke-width="2"><title>{title}</title></circle>"##
        );
    }
    let number = peers.iter().filter(|other| **other != OURS).position(|other| *other == peer).unwrap_or(0);
    let colour = COLOURS[number % COLOURS.len()];
    format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="5" fill="{colour}"><title>{title}</title></circle>"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Cell;

    #[test]
    fn every_library_has_a_dot_in_every_headline_it_has_a_number_for() {
        let mut results = Results::default();
        for (peer, value) in [("weftline", 10.0), ("yrs", 100.0), ("floor", 1.0)] {
            let metrics = vec![("time".into(), "ms".into(), value)];
            results.add(&Cell { peer: peer.into(), row: "r".into(), metrics });
        }
        let line = |headline| Line { row: "r", metric: "time", bound: None, without: &[], headline };
        let (shown, told) = (line(Some("a row")), line(None));
        let svg = svg(&[&shown, &told], &results, &["weftline", "yrs", "loro", "floor"]);
        assert!(svg.contains("<title>yrs: 10.00×</title>") && svg.contains("<title>floor: 0.10×</title>"), "{svg}");
        assert_eq!(svg.matches("a row").count(), 1);
        // Two dots of the row, three of the legend.
        assert_eq!(svg.matches("<circle").count(), 5);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
