//! Documents: what there is of them, what may be done with them.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::info;
use weftline::sync::{Close, CloseReason, Retry};

use super::connections::shown as shown_connection;
use super::{Answer, Call, Refusal, is_name, refuse};
use crate::http::json as answer;
use crate::room::actor::{ToRoom, Told};
use crate::room::close_for;
use crate::room::registry::RoomHandle;
use crate::server::Shared;
use crate::store::{DocumentInfo, Mode};

/// How many are listed at a time.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 10_000;

/// How long a room may take to answer an operator. One that compacts a large document takes long.
const WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetMode {
    mode: Named,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Named {
    ReadWrite,
    ReadOnly,
    Closed,
}

pub(super) async fn list(mut call: Call<'_>) -> Answer {
    let after: String = call.parameter("after")?.unwrap_or_default();
    let most = call.parameter("limit")?.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
    call.no_more()?;
    let all = call.shared.registry.store().documents_after(&after, most).await?;
    let next = all.last().filter(|_| all.len() == most).map(|last| &*last.name);
    let all_shown: Vec<Value> = all.iter().map(|document| shown(call.shared, document)).collect();
    Ok(answer(StatusCode::OK, &json!({ "documents": all_shown, "next": next })))
}

pub(super) async fn inspect(call: Call<'_>, name: &str) -> Answer {
    call.no_more()?;
    let stored = call.shared.registry.store().document(name).await?;
    let room = call.shared.registry.open_room(name);
    let told = match &room {
        Some(room) => ask(room, |reply| ToRoom::Report { reply }).await,
        None => None,
    };
    if stored.is_none() && told.is_none() {
        return Err(no_such(name));
    }
    let table = call.shared.registry.connections();
    let mut body = match &stored {
        Some(stored) => shown(call.shared, stored),
        None => json!({ "name": name, "mode": mode(call.shared, name) }),
    };
    body["open"] = told.map_or(Value::Null, |Told { report, connections }| {
        let member = |member: &crate::room::MemberReport| {
            json!({
                "member": member.member.0,
                "rows_behind": member.rows_behind,
                "sending": member.is_sending,
                "catching_up": member.is_catching_up,
                "connection": connections.get(&member.member).and_then(|number| table.get(*number)).as_ref().map(shown_connection),
            })
        };
        json!({
            "head": report.head,
            "committed": report.committed,
            "log_bytes": report.tail_bytes,
            "replicas": report.replicas,
            "members": report.members.iter().map(member).collect::<Vec<_>>(),
        })
    });
    Ok(answer(StatusCode::OK, &body))
}

pub(super) async fn delete(call: Call<'_>, name: &str) -> Answer {
    call.no_more()?;
    let shut = shut(call.shared, name, close_for(CloseReason::Restart)).await?;
    let deleted = call.shared.registry.store().delete(name).await?;
    drop(shut);
    if !deleted {
        return Err(no_such(name));
    }
    info!(document = name, "admin: deleted");
    Ok(answer(StatusCode::OK, &json!({ "deleted": name })))
}

pub(super) async fn set_mode(call: Call<'_>, name: &str) -> Answer {
    is_name(name)?;
    call.no_more()?;
    let shared = call.shared;
    let SetMode { mode } = call.json().await?;
    let mode = match mode {
        Named::ReadWrite => Mode::ReadWrite,
        Named::ReadOnly => Mode::ReadOnly,
        Named::Closed => Mode::Closed,
    };
    // First what would be so after a crash, then who comes from now on, then who is here.
    shared.registry.store().set_mode(name, mode).await?;
    shared.registry.set_mode(name, mode);
    if mode == Mode::Closed {
        let close = Close { reason: CloseReason::Denied, retry: Retry::after_ms(60_000) };
        drop(shut(shared, name, close).await?);
    } else if let Some(room) = shared.registry.open_room(name) {
        let _ = room.mailbox().send(ToRoom::ReadOnly { on: mode == Mode::ReadOnly }).await;
    }
    info!(document = name, ?mode, "admin: mode set");
    Ok(answer(StatusCode::OK, &json!({ "name": name, "mode": named(mode) })))
}

pub(super) async fn compact(call: Call<'_>, name: &str) -> Answer {
    call.no_more()?;
    let registry = &call.shared.registry;
    let Some(stored) = registry.store().document(name).await? else { return Err(no_such(name)) };
    let room = registry.enter(name).map_err(|_| busy(name))?;
    let report = ask(&room, |reply| ToRoom::Compact { reply }).await;
    let Told { report, .. } =
        report.ok_or_else(|| refuse(StatusCode::GATEWAY_TIMEOUT, format!("{name:?} does not answer")))?;
    drop(room);
    if report.floor < stored.head {
        return Err(refuse(StatusCode::INSUFFICIENT_STORAGE, "no snapshot could be stored; the log says why"));
    }
    info!(document = name, bytes = report.snapshot_bytes, "admin: compacted");
    let body =
        json!({ "floor": report.floor, "snapshot_bytes": report.snapshot_bytes, "log_bytes": report.tail_bytes });
    Ok(answer(StatusCode::OK, &body))
}

pub(super) async fn kick(call: Call<'_>, name: &str) -> Answer {
    call.no_more()?;
    let Some(room) = call.shared.registry.open_room(name) else { return Err(no_such(name)) };
    let members = ask(&room, |reply| ToRoom::Report { reply }).await.map_or(0, |told| told.report.members.len());
    drop(room);
    drop(shut(call.shared, name, close_for(CloseReason::Restart)).await?);
    info!(document = name, members, "admin: members kicked");
    Ok(answer(StatusCode::OK, &json!({ "ended": members })))
}

/// The documents that the relay has put aside.
pub(super) fn quarantine(call: Call<'_>) -> Answer {
    call.no_more()?;
    let all = call.shared.registry.quarantine().list(Instant::now()).into_iter().map(|aside| {
        json!({ "name": &*aside.document, "why": &*aside.why, "left_s": aside.left.as_secs(), "times": aside.times })
    });
    Ok(answer(StatusCode::OK, &json!({ "documents": all.collect::<Vec<_>>() })))
}

/// Lets one of them be opened again at once.
pub(super) fn release(call: Call<'_>, name: &str) -> Answer {
    call.no_more()?;
    if !call.shared.registry.quarantine().release(name) {
        return Err(refuse(StatusCode::NOT_FOUND, format!("{name:?} is not put aside")));
    }
    info!(document = name, "admin: released");
    Ok(answer(StatusCode::OK, &json!({ "released": name })))
}

/// Ends a document's room and keeps everybody out.
pub(super) async fn shut(shared: &Shared, name: &str, close: Close) -> Result<crate::room::registry::Shut, Refusal> {
    shared.registry.shut(name, close).await.ok_or_else(|| busy(name))
}

pub(super) fn no_such(name: &str) -> Refusal {
    refuse(StatusCode::NOT_FOUND, format!("there is no document {name:?}"))
}

fn busy(name: &str) -> Refusal {
    refuse(StatusCode::CONFLICT, format!("another operator is at work on {name:?}"))
}

async fn ask(room: &RoomHandle, question: impl FnOnce(oneshot::Sender<Told>) -> ToRoom) -> Option<Told> {
    let (reply, answer) = oneshot::channel();
    room.mailbox().send(question(reply)).await.ok()?;
    timeout(WITHIN, answer).await.ok()?.ok()
}

fn shown(shared: &Shared, document: &DocumentInfo) -> Value {
    let DocumentInfo { name, head, floor, log_bytes, snapshot_bytes } = document;
    json!({
        "name": &**name,
        "head": head,
        "floor": floor,
        "log_bytes": log_bytes,
        "snapshot_bytes": snapshot_bytes,
        "mode": mode(shared, name),
    })
}

fn mode(shared: &Shared, name: &str) -> &'static str {
    named(shared.registry.mode(name))
}

fn named(mode: Mode) -> &'static str {
    match mode {
        Mode::ReadWrite => "read-write",
        Mode::ReadOnly => "read-only",
        Mode::Closed => "closed",
    }
}
