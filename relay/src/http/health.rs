//! Whether the relay is alive, and whether it should be sent clients.
//!
//! Alive is who answers. Ready is whose store takes a write: one is really made and waited for, at most one in a second whoever asks, and
//! an append that failed a moment ago counts as well, since a disk that is full may still take the few bytes of a probe.

use std::time::Duration;

use hyper::{Response, StatusCode};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{Body, json};
use crate::server::Shared;

/// How long the result of a probe is given to others.
const FRESH: Duration = Duration::from_secs(1);

/// How long a probe may take. A store that takes longer is not one that clients should be sent to.
const WITHIN: Duration = Duration::from_secs(3);

/// For how long an append that failed is held against the store.
const HELD_AGAINST: Duration = Duration::from_secs(5);

/// Whether the store takes anything, as of a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Prober(Mutex<Option<(Instant, Result<(), String>)>>);

impl Prober {
    async fn probe(&self, shared: &Shared) -> Result<(), String> {
        if shared.metrics().has_just_failed(HELD_AGAINST) {
            return Err("an append has just failed".into());
        }
        // Whoever asks meanwhile waits here for the same answer.
        let mut last = self.0.lock().await;
        if let Some((at, result)) = &*last
            && at.elapsed() < FRESH
        {
            return result.clone();
        }
        let result = match timeout(WITHIN, shared.registry.store().probe()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                shared.metrics().store_failed(&error);
                Err(error.to_string())
            }
            Err(_) => Err(format!("the store does not answer within {WITHIN:?}")),
        };
        *last = Some((Instant::now(), result.clone()));
        result
    }
}

/// The process answers.
pub(super) fn live(shared: &Shared) -> Response<Body> {
    let body = json!({
        "status": if shared.is_draining() { "draining" } else { "ok" },
        "version": env!("CARGO_PKG_VERSION"),
        "documents": shared.registry.open_rooms(),
        "connections": shared.metrics().connections.get(),
    });
    json(StatusCode::OK, &body)
}

/// Clients may be sent here.
pub(super) async fn ready(shared: &Shared) -> Response<Body> {
    if shared.is_draining() {
        return json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "draining" }));
    }
    match shared.prober.probe(shared).await {
        Ok(()) => json(StatusCode::OK, &json!({ "status": "ready" })),
        Err(reason) => {
            let body = json!({ "status": "not ready", "reason": reason });
            json(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}
