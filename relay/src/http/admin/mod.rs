//! The admin API: JSON over HTTP, for whoever has the admin token. What each request does and gives is in the operator's guide.
//!
//! A request is one of the paths below; anything else, and any parameter that is not known, is refused in words. Every change is logged.
//!
//! Not here: who may ([`super::access`]), and the status page ([`super::status`]).

mod connections;
mod documents;
mod transfer;

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::warn;

use super::{Body, json};
use crate::server::Shared;
use crate::store::StoreError;

/// The longest body of a request that is not an import.
const MAX_BODY: usize = 16 << 10;

/// A refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
}

pub(super) type Answer = Result<Response<Body>, Refusal>;

fn refuse(status: StatusCode, text: impl Into<String>) -> Refusal {
    Refusal { status, text: text.into() }
}

fn bad(text: impl Into<String>) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, text)
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refuse(status, error.to_string())
    }
}

/// What a request asks for.
struct Call<'a> {
    method: Method,
    /// After `/admin/`, decoded.
    path: Vec<String>,
    query: BTreeMap<String, String>,
    body: Incoming,
    shared: &'a Shared,
}

/// Answers a request of somebody who may.
pub(super) async fn respond(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let answered = match Call::read(request, shared) {
        Ok(call) => call.answer().await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|Refusal { status, text }| {
        warn!(status = status.as_u16(), reason = text, "admin: refused");
        let mut response = json(status, &json!({ "error": text }));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, PUT, POST, DELETE"));
        }
        response
    })
}

impl<'a> Call<'a> {
    fn read(request: Request<Incoming>, shared: &'a Shared) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        let decode = |text: &str| -> Result<String, Refusal> {
            let decoded = percent_decode_str(text).decode_utf8().map_err(|_| bad(format!("{text} is not UTF-8")))?;
            Ok(decoded.into_owned())
        };
        let path = head.uri.path().trim_start_matches("/admin/").split('/').map(decode).collect::<Result<_, _>>()?;
        let pairs = head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(&value.replace('+', " "))?))
        });
        Ok(Call { method: head.method, path, query: query.collect::<Result<_, Refusal>>()?, body, shared })
    }

    async fn answer(mut self) -> Answer {
        let path = std::mem::take(&mut self.path);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (self.method.as_str(), &path[..]) {
            ("GET", ["documents"]) => documents::list(self).await,
            ("GET", ["documents", name]) => documents::inspect(self, name).await,
            ("DELETE", ["documents", name]) => documents::delete(self, name).await,
            ("PUT", ["documents", name, "mode"]) => documents::set_mode(self, name).await,
            ("POST", ["documents", name, "compact"]) => documents::compact(self, name).await,
            ("POST", ["documents", name, "kick"]) => documents::kick(self, name).await,
            ("GET", ["documents", name, "export"]) => transfer::export(self, name).await,
            ("PUT", ["documents", name, "import"]) => transfer::import(self, name).await,
            ("GET", ["quarantine"]) => documents::quarantine(self),
            ("POST", ["documents", name, "release"]) => documents::release(self, name),
            ("GET", ["connections"]) => connections::list(self),
            ("POST", ["connections", "kick"]) => connections::kick(self).await,
            ("POST", ["revoke"]) => connections::revoke(self).await,
            ("POST", ["backup"]) => transfer::backup(self).await,
            (
                _,
                ["documents"]
                | ["quarantine"]
                | ["connections"]
                | ["backup"]
                | ["revoke"]
                | ["connections", "kick"]
                | ["documents", _],
            )
            | (_, ["documents", _, "mode" | "compact" | "kick" | "release" | "export" | "import"]) => {
                Err(refuse(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not for this path", self.method)))
            }
            _ => Err(refuse(StatusCode::NOT_FOUND, "no such path; see the operator's guide")),
        }
    }

    /// A parameter of the query, read; nothing may be left over ([`Self::no_more`]).
    fn parameter<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(value) = self.query.remove(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| bad(format!("{name}={value} cannot be read")))
    }

    fn no_more(&self) -> Result<(), Refusal> {
        match self.query.keys().next() {
            Some(name) => Err(bad(format!("there is no parameter {name} here"))),
            None => Ok(()),
        }
    }

    /// The body, as JSON.
    async fn json<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        let body = self.bytes(MAX_BODY).await?;
        serde_json::from_slice(&body).map_err(|error| bad(format!("the body: {error}")))
    }

    async fn bytes(self, most: usize) -> Result<Bytes, Refusal> {
        let body = Limited::new(self.body, most).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {most} bytes"))
            } else {
                bad(format!("the body: {error}"))
            }
        })
    }
}

fn is_name(name: &str) -> Result<(), Refusal> {
    let most = weftline::sync::limits::MAX_DOCUMENT_NAME;
    if (1..=most).contains(&name.len()) { Ok(()) } else { Err(bad(format!("a name has 1 to {most} bytes"))) }
}
