//! The status page: what a person wants to see of a relay, with its last quarter of an hour.
//!
//! One file without anything from elsewhere, which asks for `status.json` every few seconds.

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::samples::EVERY;
use super::{Body, answer, json as json_answer};
use crate::server::Shared;

const PAGE: &str = include_str!("status.html");

/// How many documents are shown: those with the most members.
const DOCUMENTS: usize = 50;

pub(super) fn page() -> Response<Body> {
    let mut response = answer(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

pub(super) fn data(shared: &Shared) -> Response<Body> {
    let documents = shared.registry.largest(DOCUMENTS).into_iter().map(|open| {
        json!({ "name": &*open.name, "members": open.members, "behind": open.behind, "position": open.committed })
    });
    let condition = shared.registry.store().condition();
    let files: serde_json::Map<_, _> =
        condition.files.into_iter().map(|(file, bytes)| (file.to_owned(), json!(bytes))).collect();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": shared.metrics().uptime().as_secs(),
        "draining": shared.is_draining(),
        "every_s": EVERY.as_secs(),
        "connections": shared.metrics().connections.get(),
        "max_connections": shared.config.max_connections,
        "open_documents": shared.registry.open_rooms(),
        "members": shared.metrics().members.get(),
        "behind": shared.metrics().members_behind.get(),
        "store_bytes": files,
        "store_free_bytes": condition.free_bytes,
        "samples": shared.samples.all(),
        "documents": documents.collect::<Vec<_>>(),
    });
    json_answer(StatusCode::OK, &body)
}
