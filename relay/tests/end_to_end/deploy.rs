//! What is in `deploy/` fits the relay: every number that the dashboard and the alerts ask for is there, with the labels that they ask by, and
//! the sample of the settings is taken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::operators::{Lab, scrape};
use super::processes::command;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(deploy(file)).unwrap()
}

/// The queries of the dashboard.
fn of_dashboard() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap().clone();
    queries.extend(variables.iter().map(|variable| variable["query"].as_str().unwrap().to_owned()));
    queries
}

/// The queries of the alerts: what comes after `expr:`, on its line or indented below it.
fn of_alerts() -> Vec<String> {
    let mut queries = Vec::new();
    let text = read("alerts.yml");
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(rest) = line.trim_start().strip_prefix("expr:") else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut query = rest.trim().trim_start_matches('|').to_owned();
        while lines.peek().is_some_and(|line| line.len() - line.trim_start().len() > indent) {
            query.push_str(lines.next().unwrap());
        }
        queries.push(query);
    }
    queries
}

/// The numbers that a query asks for, each with the selectors that it asks by.
fn asked(query: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut all = Vec::new();
    for prefix in ["weftline_relay_", "process_"] {
        for (at, _) in query.match_indices(prefix) {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if query[..at].chars().next_back().is_some_and(is_name) {
                continue;
            }
            let end = query[at..].find(|letter| !is_name(letter)).map_or(query.len(), |length| at + length);
            let mut selectors = Vec::new();
            if let Some(inside) = query[end..].strip_prefix('{') {
                let inside = &inside[..inside.find('}').unwrap()];
                for selector in inside.split(',') {
                    // `=`, `!=`, `=~` or `!~`
                    let end = selector.find(|letter| !is_name(letter)).unwrap();
                    let value = selector[end..].trim_start_matches(['=', '!', '~']).trim_matches('"');
                    selectors.push((selector[..end].to_owned(), value.to_owned()));
                }
            }
            all.push((query[at..end].to_owned(), selectors));
        }
    }
    all
}

#[tokio::test]
async fn every_number_of_the_dashboard_and_the_alerts_is_in_a_scrape() {
    let lab = Lab::new(|_| {}).await;
    let (mut one, mut two) = (lab.live("d").await, lab.live("d").await);
    one.put("key", 1);
    one.until_synced().await;
    two.until("it has come", |two| two.keys() == 1).await;
    let scraped = scrape(lab.admin()).await;
    let names: BTreeSet<&str> = scraped.keys().map(|name| name.split('{').next().unwrap()).collect();

    // The operator's guide names them as well, histograms without their parts.
    let guide = std::fs::read_to_string(deploy("../README.md")).unwrap();
    for (name, _) in asked(&guide) {
        let is_there = names.contains(&*name) || names.contains(&*format!("{name}_count"));
        assert!(is_there, "the guide names {name}");
    }

    let (dashboard, alerts) = (of_dashboard(), of_alerts());
    assert!(dashboard.len() > 30 && alerts.len() > 8, "{} and {} queries", dashboard.len(), alerts.len());
    let mut missing = Vec::new();
    let mut found = BTreeSet::new();
    for query in dashboard.iter().chain(&alerts) {
        for (name, selectors) in asked(query) {
            if !names.contains(&*name) {
                missing.push(format!("{name} in {query}"));
            }
            for (label, values) in selectors.iter().filter(|(label, _)| label != "job" && label != "instance") {
                for value in values.split('|') {
                    let wanted = format!("{label}=\"{value}\"");
                    if !scraped.keys().any(|key| key.starts_with(&format!("{name}{{")) && key.contains(&wanted)) {
                        missing.push(format!("{name} with {wanted} in {query}"));
                    }
                }
            }
            found.insert(name);
        }
    }
    assert!(missing.is_empty(), "not in a scrape: {missing:#?}");
    // Whoever adds a number without showing it anywhere may have forgotten to.
    assert!(found.len() * 3 > names.len(), "{} of {} numbers are shown", found.len(), names.len());
    lab.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_flag_is_in_the_guide() {
    let output = command().arg("--help").output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let guide = std::fs::read_to_string(deploy("../README.md")).unwrap();
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")).map(|line| {
        let end = line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').unwrap_or(line.len());
        format!("--{}", &line[..end])
    });
    let missing: Vec<String> = flags.filter(|flag| !guide.contains(flag.as_str())).collect();
    assert!(missing.is_empty(), "not in the guide: {missing:?}");
    assert!(help.contains("--max-frame"), "{help}");
}

#[tokio::test]
async fn the_sample_of_the_settings_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let output = command()
        .args(["check", "--config"])
        .arg(deploy("relay.toml"))
        .arg("--store")
        .arg(directory.path().join("relay.db"))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
