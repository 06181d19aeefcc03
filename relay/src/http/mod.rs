//! What is answered to requests over HTTP: the upgrade to a websocket, health, numbers, the admin API.
//!
//! | path | who may | |
//! |---|---|---|
//! | `/`, `…/`, `…/sync` | pages of allowed origins, and programs | the upgrade to a websocket |
//! | `/healthz` | everybody | the process is alive |
//! | `/readyz` | everybody | the store takes writes, and the relay is not stopping |
//! | `/metrics`, `/status` | [`access`] | what the relay counts |
//! | `/admin/…` | whoever has the admin token | [`admin`] |
//!
//! With `--admin-listen` the last ones are answered at that address alone. A connection is one request, without keep-alive: half-open ones
//! cost little and pass.
//!
//! Not here: connections and their time limits ([`crate::server`]).

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, ORIGIN, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use tracing::debug;

use crate::auth;
use crate::metrics::{Refused, export};
use crate::server::Shared;
use crate::transport::websocket::{self, Handshake};

pub(crate) mod access;
mod admin;
mod forwarded;
pub(crate) mod health;
mod origin;
pub(crate) mod samples;
mod status;

pub(crate) use forwarded::is_trusted;

/// What a response carries.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Where clients connect.
    Main,
    /// The address for operators alone.
    Admin,
}

/// A websocket that was asked for.
pub(crate) struct Asked {
    pub(crate) handshake: Handshake,
    /// The address of whoever asked, as far as proxies are trusted to tell.
    pub(crate) address: IpAddr,
    /// The token that the request came with.
    pub(crate) bearer: Option<Vec<u8>>,
}

/// How a request came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit<'a> {
    pub(crate) door: Door,
    /// Who connected: a client, or a proxy.
    pub(crate) peer: IpAddr,
    /// Set when an operator's request is at work, which may take its time.
    pub(crate) is_at_work: &'a AtomicBool,
}

/// Answers a request. A websocket that is to follow is given to `keep`.
pub(crate) async fn respond(
    request: Request<Incoming>,
    visit: Visit<'_>,
    shared: &Shared,
    keep: impl FnOnce(Asked),
) -> Response<Body> {
    let door = visit.door;
    let path = request.uri().path();
    match path {
        "/healthz" => only_get(&request).unwrap_or_else(|| health::live(shared)),
        "/readyz" => match only_get(&request) {
            Some(refused) => refused,
            None => health::ready(shared).await,
        },
        "/metrics" => looks(&request, door, shared).unwrap_or_else(|| metrics(shared)),
        "/status" => looks(&request, door, shared).unwrap_or_else(status::page),
        "/status.json" => looks(&request, door, shared).unwrap_or_else(|| status::data(shared)),
        _ if path.starts_with("/admin/") => match shared.access.may_change(request.headers(), door) {
            Err(denied) => denied.answer(shared),
            Ok(()) => {
                visit.is_at_work.store(true, Ordering::Relaxed);
                admin::respond(request, shared).await
            }
        },
        _ if door == Door::Main && (path.ends_with('/') || path.ends_with("/sync")) => {
            upgrade(request, visit.peer, shared, keep)
        }
        _ => plain(StatusCode::NOT_FOUND, "nothing here\n"),
    }
}

/// Why somebody may not look, if so.
fn looks(request: &Request<Incoming>, door: Door, shared: &Shared) -> Option<Response<Body>> {
    only_get(request)
        .or_else(|| shared.access.may_look(request.headers(), door).err().map(|denied| denied.answer(shared)))
}

fn upgrade(mut request: Request<Incoming>, peer: IpAddr, shared: &Shared, keep: impl FnOnce(Asked)) -> Response<Body> {
    let refuse = |reason: Refused, status, text: &str| {
        shared.metrics().refused.one(reason as usize);
        plain(status, text)
    };
    if !request.headers().contains_key(UPGRADE) {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this is a Weftline relay: connect with a websocket\n");
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    }
    if !origin::may_connect(request.headers().get(ORIGIN), &shared.config.allow_origin) {
        debug!(origin = ?request.headers().get(ORIGIN), "refused: a page of a stranger");
        let text = "pages from this origin may not connect; see --allow-origin\n";
        return refuse(Refused::Origin, StatusCode::FORBIDDEN, text);
    }
    let busy = "no room; come back later\n";
    if shared.is_draining() {
        return refuse(Refused::Draining, StatusCode::SERVICE_UNAVAILABLE, busy);
    }
    let bearer = auth::bearer(request.headers());
    match websocket::accept(&mut request, shared.config.max_frame) {
        Ok((response, handshake)) => {
            let address = forwarded::client(request.headers(), peer, &shared.config.trust_proxy);
            keep(Asked { handshake, address, bearer });
            response.map(|()| full(Bytes::new()))
        }
        Err(error) => refuse(Refused::Handshake, StatusCode::BAD_REQUEST, &format!("{error}\n")),
    }
}

fn metrics(shared: &Shared) -> Response<Body> {
    let condition = shared.registry.store().condition();
    let look = export::Look {
        open_documents: shared.registry.open_rooms() as u64,
        is_draining: shared.is_draining(),
        files: condition.files,
        free_bytes: condition.free_bytes,
        commit_seconds: condition.commits.map(|commits| (commits.sum(), commits.buckets())).unwrap_or_default(),
    };
    answer(StatusCode::OK, export::CONTENT_TYPE, export::write(shared.metrics(), &look))
}

fn only_get(request: &Request<Incoming>) -> Option<Response<Body>> {
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    (!is_get).then(|| {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    })
}

/// An answer in words.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", text.to_owned())
}

/// An answer for programs.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    answer(status, "application/json", format!("{value}\n"))
}

/// An answer after which the connection closes. (Closing by the builder's own setting would also take the word "upgrade" from the header
/// of those that are upgraded.)
pub(crate) fn answer(status: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}
