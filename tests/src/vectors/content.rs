//! What bytes say, as JSON: the neutral form in which golden vectors tell their content, so that readers in any language can be compared.
//!
//! Ids, tags and bytes are hexadecimal; a number that a double would round is text; a dot is `[id, seq]`, a run of dots `[id, first, last]`.

use serde_json::{Map, Value as Json, json};
use weftline::{
    BunchRecord, Container, Delta, Diff, Digest, Dot, DotRuns, Entry, Hlc, Payload, RemovalRun, ReplicaId, Side, Slot,
    Snapshot, Tag, TextRun, Tier, Value, VersionVector,
};

/// Bytes as text.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that [`hex`] gave the text of.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    (text.len().is_multiple_of(2) && text.is_ascii()).then_some(())?;
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// What a delta says.
#[must_use]
pub fn delta(delta: &Delta) -> Json {
    let parts = delta.parts();
    let before = |seq| parts.totals_before.iter().find(|(at, ..)| *at == seq);
    let adds = parts.adds.iter().map(|(seq, added)| {
        let mut said = entry(Dot::new(parts.replica, *seq), added);
        if let Payload::Total { .. } = added.payload {
            said["payload"]["before"] =
                before(*seq).map_or(Json::Null, |(_, plus, minus)| json!([number(*plus), number(*minus)]));
        }
        said
    });
    json!({
        "writer": id(parts.replica),
        "first_seq": parts.first_seq,
        "dots": parts.dots,
        "prev_tag": tag(delta.prev_tag()),
        "tag": tag(delta.tag()),
        "deps": dots(&parts.deps),
        "hlc": if parts.adds.is_empty() { Json::Null } else { stamp(parts.hlc) },
        "bunches": bunches(&parts.bunches),
        "adds": adds.collect::<Vec<_>>(),
        "removes": runs(&parts.removes),
        "text": text(&parts.text),
    })
}

/// What a diff says.
#[must_use]
pub fn diff(diff: &Diff) -> Json {
    let adds = diff.adds.iter().map(|live| {
        let mut said = entry(live.dot, &live.entry);
        said["hlc"] = stamp(live.hlc);
        said
    });
    json!({
        "tier": match diff.tier { Tier::Version => "version", Tier::Digest => "digest", Tier::Full => "full" },
        "base": seqs(&diff.base),
        "ahead": seqs(&diff.ahead),
        "head": version(&diff.head),
        "heads": dots(&diff.heads),
        "bunches": bunches(&diff.bunches),
        "adds": adds.collect::<Vec<_>>(),
        "text": text(&diff.text),
        "removes": diff.removes.iter().map(|(remover, removed)| json!([id(*remover), runs(removed)])).collect::<Vec<_>>(),
        "dead": runs(&diff.dead),
    })
}

/// What a snapshot says.
#[must_use]
pub fn snapshot(snapshot: &Snapshot) -> Json {
    json!({
        "state": diff(&snapshot.diff),
        "horizon": seqs(&snapshot.horizon),
        "removals": snapshot.removals.iter().map(removal).collect::<Vec<_>>(),
        "beacon": hex(&snapshot.beacon),
    })
}

/// What a digest says.
#[must_use]
pub fn digest(digest: &Digest) -> Json {
    json!({ "version": version(&digest.version), "live": runs(&digest.live) })
}

/// What a version vector says, with its tags.
#[must_use]
pub fn version(version: &VersionVector) -> Json {
    version.iter().map(|(replica, at)| json!([id(replica), at.seq, tag(at.tag)])).collect()
}

pub(super) fn seqs(version: &VersionVector) -> Json {
    version.iter().map(|(replica, at)| json!([id(replica), at.seq])).collect()
}

fn removal(run: &RemovalRun) -> Json {
    json!({ "remover": dot(run.remover), "removed": dot(run.removed), "length": run.len, "chain": run.chain })
}

fn bunches(bunches: &[BunchRecord]) -> Json {
    let said = bunches.iter().map(|bunch| {
        let parent = (bunch.parent.bunch != Dot::ROOT)
            .then(|| json!({ "bunch": dot(bunch.parent.bunch), "index": bunch.parent.index }));
        let side = match bunch.side {
            Side::Left => "left",
            Side::Right => "right",
        };
        json!({ "id": dot(bunch.id), "side": side, "rank": bunch.rank, "parent": parent })
    });
    said.collect()
}

fn text(all: &[TextRun]) -> Json {
    let said = all.iter().map(|run| {
        json!({
            "first": dot(run.first),
            "container": container(&run.container),
            "bunch": run.bunch,
            "backward": run.backward,
            "text": run.text.to_string(),
        })
    });
    said.collect()
}

fn entry(at: Dot, entry: &Entry) -> Json {
    let slot = match &entry.slot {
        Slot::Unit => json!({ "unit": true }),
        Slot::Key(key) => json!({ "key": key.to_string() }),
        Slot::Member(member) => json!({ "member": value(member) }),
        Slot::Owner => json!({ "owner": true }),
        Slot::Position { bunch, backward } => json!({ "position": { "bunch": bunch, "backward": backward } }),
    };
    json!({
        "dot": dot(at),
        "container": container(&entry.container),
        "slot": slot,
        "kind": entry.kind.0,
        "entity": entry.entity,
        "payload": payload(&entry.payload),
    })
}

fn container(container: &Container) -> Json {
    match container {
        Container::Root { name, kind } => json!({ "root": name.to_string(), "kind": kind.0 }),
        Container::Entity(entity) => json!({ "entity": dot(*entity) }),
    }
}

fn payload(payload: &Payload) -> Json {
    match payload {
        Payload::Empty => Json::Object(Map::new()),
        Payload::Value(held) => json!({ "value": value(held) }),
        Payload::Total { plus, minus } => json!({ "total": [number(*plus), number(*minus)] }),
        Payload::Rights(rights) => {
            let given: Vec<Json> = rights.given.iter().map(|(to, amount)| json!([id(*to), number(*amount)])).collect();
            json!({ "rights": { "plus": number(rights.plus), "minus": number(rights.minus), "given": given } })
        }
        Payload::Opaque(bytes) => json!({ "opaque": hex(bytes) }),
    }
}

/// A value.
#[must_use]
pub fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(held) => json!(held),
        Value::Int(held) => json!({ "int": signed(*held) }),
        Value::Float(held) => json!({ "float": format!("{:016x}", held.to_bits()) }),
        Value::String(held) => json!(held.to_string()),
        Value::Bytes(held) => json!({ "bytes": hex(held) }),
    }
}

fn stamp(hlc: Hlc) -> Json {
    json!([hlc.0 >> 16, hlc.0 & 0xffff])
}

fn dots(dots: &[Dot]) -> Json {
    dots.iter().map(|at| dot(*at)).collect()
}

pub(super) fn runs(runs: &DotRuns) -> Json {
    runs.runs().map(|(replica, first, last)| json!([id(replica), first, last])).collect()
}

fn dot(dot: Dot) -> Json {
    json!([id(dot.replica), dot.seq])
}

pub(super) fn id(replica: ReplicaId) -> Json {
    json!(hex(&replica.to_bytes()))
}

pub(super) fn tag(tag: Tag) -> Json {
    json!(hex(tag.as_bytes()))
}

/// The largest integer that every double has exactly.
const MAX_SAFE: u64 = (1 << 53) - 1;

pub(super) fn number(number: u64) -> Json {
    if number <= MAX_SAFE { json!(number) } else { json!(number.to_string()) }
}

fn signed(number: i64) -> Json {
    if number.unsigned_abs() <= MAX_SAFE { json!(number) } else { json!(number.to_string()) }
}
