//! When everything has come to rest: is everything there, once, and the same everywhere?

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::client::Client;
use super::world::World;

/// Far longer than anything takes on a machine that does anything at all.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much is told of one kind of fault.
const TOLD: usize = 8;

/// What is wrong, in words; empty if nothing is.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    /// Promised and not there, or there in part; and where.
    pub(crate) lost: BTreeMap<String, Vec<String>>,
    /// There twice, and where.
    pub(crate) duplicated: BTreeMap<String, Vec<String>>,
    /// Replicas that differ, and everything else.
    pub(crate) other: Vec<String>,
}

impl Finding {
    pub(crate) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.duplicated.is_empty() && self.other.is_empty()
    }

    /// The first of each kind, as lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let somewhere = |(text, places): (&String, &Vec<String>)| format!("{text} (at {})", places.join(", "));
        let lost: Vec<String> = self.lost.iter().map(somewhere).collect();
        let twice: Vec<String> = self.duplicated.iter().map(somewhere).collect();
        let mut lines = Vec::new();
        for (kind, texts) in [("lost", &lost), ("twice", &twice), ("wrong", &self.other)] {
            lines.extend(texts.iter().take(TOLD).map(|text| format!("{kind}: {text}")));
            if texts.len() > TOLD {
                lines.push(format!("{kind}: and {} more", texts.len() - TOLD));
            }
        }
        lines
    }

    fn take(&mut self, who: &str, dump: &Dump, lost: Vec<String>) {
        let missing = lost.into_iter().chain(dump.words("missing")).map(|text| (true, text));
        for (is_lost, text) in missing.chain(dump.words("twice").into_iter().map(|text| (false, text))) {
            let found = if is_lost { &mut self.lost } else { &mut self.duplicated };
            found.entry(format!("document {}: {text}", dump.document)).or_default().push(who.to_owned());
        }
    }
}

/// A document as a client showed it.
struct Dump {
    document: usize,
    line: Value,
    file: PathBuf,
}

impl Dump {
    fn edits(&self) -> Vec<(u64, u64)> {
        serde_json::from_value(self.line["edits"].clone()).unwrap_or_default()
    }

    fn words(&self, name: &str) -> Vec<String> {
        serde_json::from_value(self.line[name].clone()).unwrap_or_else(|_| vec![self.line.to_string()])
    }
}

/// Brings everything to rest and compares all replicas with each other and with what was promised. Everybody must run.
pub(crate) fn at_rest(world: &mut World) -> Result<Finding> {
    world.note("everything comes to rest");
    let deadline = Instant::now() + PATIENCE;
    let documents = world.clients[0].opens.documents.len();
    for client in &mut world.clients {
        client.tell("rest");
    }
    for client in &mut world.clients {
        rested(client, documents, deadline)?;
    }
    // Everybody has given the relay everything. What it has now somebody is told who has nothing.
    let mut reader = world.witness("reader", true, None);
    reader.start()?;
    reader.tell("rest");
    let versions = rested(&mut reader, documents, deadline).context("a fresh reader")?;

    let folder = world.folder.join("dumps");
    fs::create_dir_all(&folder)?;
    let mut everybody: Vec<&mut Client> = world.clients.iter_mut().chain([&mut reader]).collect();
    for client in &mut everybody {
        for (document, version) in versions.iter().enumerate() {
            let file = file(&folder, client, document);
            client.tell(&format!("await {document} {version} {}", file.display()));
        }
    }
    let mut dumps = Vec::new();
    for client in &mut everybody {
        let dumped = dumped(client, &folder, documents, deadline)
            .with_context(|| format!("{} does not come to the version of the relay", client.name))?;
        dumps.push((client.name.clone(), dumped));
    }
    drop(everybody);
    reader.kill()?;
    world.note("everything is compared");

    let (_, relay) = dumps.pop().expect("the reader is the last");
    let shown: Vec<Vec<u8>> = relay.iter().map(|dump| fs::read(&dump.file)).collect::<Result<_, _>>()?;
    let beacons: Vec<Value> = relay.iter().map(|dump| dump.line["beacon"].clone()).collect();
    dumps.push(("the relay".to_owned(), relay));

    let mut finding = Finding::default();
    for (who, dump) in dumps.iter().flat_map(|(who, dumps)| dumps.iter().map(move |dump| (who, dump))) {
        finding.take(who, dump, world.ledger().lost(dump.document, &dump.edits()));
        let mut wrong = |text: String| finding.other.push(format!("{who}, document {}: {text}", dump.document));
        if fs::read(&dump.file)? != shown[dump.document] {
            wrong("shows something else than the relay".to_owned());
        }
        if dump.line["beacon"] != beacons[dump.document] {
            wrong("another beacon than the relay".to_owned());
        }
        let ids = dump.line["ids"].as_u64().unwrap_or(u64::MAX);
        if ids > world.most_ids as u64 {
            wrong(format!("{ids} replica ids, where {} have been enough", world.most_ids));
        }
    }
    Ok(finding)
}

/// Opens every store by itself, without a relay, and looks whether it holds what was called stored. Nobody may run.
pub(crate) fn in_stores(world: &mut World) -> Result<Finding> {
    world.note("every store is opened by itself");
    let deadline = Instant::now() + PATIENCE;
    let folder = world.folder.join("dumps");
    let mut finding = Finding::default();
    for index in 0..world.clients.len() {
        let (store, owners) = world.store_of(index);
        if owners[0] != index {
            continue;
        }
        let mut opener = world.witness(&format!("store-{index}"), false, Some(store));
        opener.start()?;
        let documents = opener.opens.documents.len();
        for document in 0..documents {
            let file = file(&folder, &opener, document);
            opener.tell(&format!("dump {document} {}", file.display()));
        }
        for dump in dumped(&mut opener, &folder, documents, deadline)? {
            let lost = world.ledger().lost_in_store(dump.document, &dump.edits(), &owners);
            finding.take(&format!("the store of clients {owners:?}"), &dump, lost);
        }
        opener.kill()?;
    }
    Ok(finding)
}

/// Waits until a client has come to rest; gives the version of each document.
fn rested(client: &mut Client, documents: usize, deadline: Instant) -> Result<Vec<String>> {
    let mut versions = vec![None; documents];
    while versions.iter().any(Option::is_none) {
        let line = client.says(deadline)?;
        if let Some(version) = place(&line, "rested").and_then(|document| versions.get_mut(document)) {
            *version = line["version"].as_str().map(str::to_owned);
        }
    }
    Ok(versions.into_iter().flatten().collect())
}

/// Waits until a client has dumped everything, in the order of the documents.
fn dumped(client: &mut Client, folder: &Path, documents: usize, deadline: Instant) -> Result<Vec<Dump>> {
    let mut dumps: Vec<Dump> = Vec::new();
    while dumps.len() < documents {
        let line = client.says(deadline)?;
        if let Some(document) = place(&line, "dumped") {
            dumps.push(Dump { document, line, file: file(folder, client, document) });
        }
    }
    dumps.sort_by_key(|dump| dump.document);
    Ok(dumps)
}

/// Which document a line is about, if it is one of these.
fn place(line: &Value, what: &str) -> Option<usize> {
    line[what].as_u64().and_then(|document| usize::try_from(document).ok())
}

fn file(folder: &Path, client: &Client, document: usize) -> PathBuf {
    folder.join(format!("{}-{document}.json", client.name))
}
