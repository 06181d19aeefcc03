//! Connections: who is there, and ending them.

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::info;
use weftline::sync::{Close, CloseReason, Retry};

use super::{Answer, Call, bad, refuse};
use crate::auth::Revocation;
use crate::http::json as answer;
use crate::session::connections::{Listed, Peer};

/// How many are listed at a time.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 10_000;

/// Whom to send away. Exactly one of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kick {
    connection: Option<u64>,
    subject: Option<String>,
    address: Option<IpAddr>,
    /// How long they are asked to stay away; for good, without it.
    retry_after_ms: Option<u32>,
}

pub(super) fn list(mut call: Call<'_>) -> Answer {
    let (after, most) = (call.parameter("after")?.unwrap_or(0), call.parameter("limit")?.unwrap_or(PAGE));
    call.no_more()?;
    let all = call.shared.registry.connections().after(after, most.clamp(1, LONGEST_PAGE));
    let next = all.last().filter(|_| all.len() == most).map(|last| last.peer.connection);
    let all: Vec<Value> = all.iter().map(shown).collect();
    Ok(answer(StatusCode::OK, &json!({ "connections": all, "next": next })))
}

pub(super) async fn kick(call: Call<'_>) -> Answer {
    call.no_more()?;
    let shared = call.shared;
    let Kick { connection, subject, address, retry_after_ms } = call.json().await?;
    let close = Close { reason: CloseReason::Denied, retry: retry_after_ms.map_or(Retry::NEVER, Retry::after_ms) };
    let is_meant: Box<dyn Fn(&Peer) -> bool + Send + Sync> = match (connection, &subject, address) {
        (Some(number), None, None) => Box::new(move |peer| peer.connection == number),
        (None, Some(subject), None) => {
            let subject = subject.clone();
            Box::new(move |peer| peer.subject.as_deref() == Some(&subject))
        }
        (None, None, Some(address)) => Box::new(move |peer| peer.address == address),
        _ => return Err(bad("name one of connection, subject and address")),
    };
    let ended = shared.registry.connections().end(close, is_meant);
    info!(connection, subject, ?address, ended, "admin: connections kicked");
    Ok(answer(StatusCode::OK, &json!({ "ended": ended })))
}

/// Which tokens do not count any more. Exactly one of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    subject: Option<String>,
    token: Option<String>,
}

pub(super) async fn revoke(call: Call<'_>) -> Answer {
    call.no_more()?;
    let shared = call.shared;
    let what = match call.json().await? {
        Revoke { subject: Some(subject), token: None } => Revocation::Subject(subject),
        Revoke { subject: None, token: Some(token) } => Revocation::Token(token),
        Revoke { .. } => return Err(bad("name one of subject and token")),
    };
    let Some(authority) = &shared.authority else {
        return Err(refuse(StatusCode::CONFLICT, "there are no tokens here: see --auth-keys"));
    };
    let kept = authority.revoke(&what).await;
    info!(?what, "admin: revoked");
    kept.map_err(|error| refuse(StatusCode::INTERNAL_SERVER_ERROR, format!("revoked until the relay ends: {error}")))?;
    Ok(answer(StatusCode::OK, &json!({ "revoked": true })))
}

/// A connection as it is listed.
pub(super) fn shown(Listed { peer, since }: &Listed) -> Value {
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({ "connection": peer.connection, "address": peer.address, "subject": peer.subject.as_deref(), "since": since })
}
