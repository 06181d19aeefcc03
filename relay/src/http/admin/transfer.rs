//! Documents out of a relay and into one, and the whole store out of it.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, HeaderValue};
use serde_json::json;
use tracing::info;
use weftline::sync::{CloseReason, Row};
use weftline::{Document, Timestamp, VersionVector, codec};

use super::{Answer, Call, bad, documents, is_name, refuse};
use crate::http::{answer, json as json_answer};
use crate::room::{Room, RoomConfig, close_for};
use crate::store::Copied;

/// The longest export that is taken back.
const MAX_IMPORT: usize = 1 << 30;

/// How much of a file is read at a time.
const PIECE: usize = 256 << 10;

/// A snapshot of the document as it is stored: what `Document::load` reads.
pub(super) async fn export(call: Call<'_>, name: &str) -> Answer {
    call.no_more()?;
    let store = call.shared.registry.store();
    if store.document(name).await?.is_none() {
        return Err(documents::no_such(name));
    }
    // From the store and not from the room, which may be ahead of it (FAN-1).
    let recovered = store.recover(name).await?;
    let head = recovered.head;
    let read = tokio::task::spawn_blocking(move || {
        Room::recover(RoomConfig::default(), recovered, Timestamp(0)).map(|room| room.document().snapshot())
    });
    let failed = |text: String| refuse(StatusCode::INTERNAL_SERVER_ERROR, text);
    let snapshot = read.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    info!(document = name, head, bytes = snapshot.len(), "admin: exported");
    Ok(answer(StatusCode::OK, "application/octet-stream", snapshot))
}

/// A document from a snapshot, under a name that is free, or in the place of what there is with `replace=true`.
pub(super) async fn import(mut call: Call<'_>, name: &str) -> Answer {
    is_name(name)?;
    let replace = call.parameter("replace")?.unwrap_or(false);
    call.no_more()?;
    let shared = call.shared;
    let snapshot = call.bytes(MAX_IMPORT).await?;
    let read = tokio::task::spawn_blocking(move || read_export(&snapshot));
    let (row, replicas) = read.await.map_err(|error| bad(error.to_string()))?.map_err(bad)?;
    let store = shared.registry.store();
    let taken = || refuse(StatusCode::CONFLICT, format!("{name:?} exists; add ?replace=true to put this in its place"));
    // Nobody is sent away for what is refused.
    if !replace && store.document(name).await?.is_some() {
        return Err(taken());
    }
    let shut = documents::shut(shared, name, close_for(CloseReason::Restart)).await?;
    if store.document(name).await?.is_some() {
        if !replace {
            return Err(taken());
        }
        store.delete(name).await?;
    }
    let bytes = row.len();
    store.append(name, 1, vec![row]).await?;
    drop(shut);
    info!(document = name, bytes, replace, "admin: imported");
    Ok(json_answer(StatusCode::CREATED, &json!({ "name": name, "bytes": bytes, "replicas": replicas })))
}

/// The row that a log begins with whose document was exported: what a client would upload that has all of it.
fn read_export(snapshot: &Bytes) -> Result<(Bytes, usize), String> {
    let document = Document::load(snapshot).map_err(|error| format!("not an export: {error}"))?;
    let diff = codec::encode_diff(&document.diff_since(&VersionVector::new()));
    Ok((Row::Diff { bytes: diff.into() }.encode().into(), document.version().len()))
}

/// The store as it is at this moment, while it goes on.
pub(super) async fn backup(call: Call<'_>) -> Answer {
    call.no_more()?;
    let Some(backup) = call.shared.registry.store().backup() else {
        return Err(refuse(StatusCode::CONFLICT, "this store has nothing to back up"));
    };
    let copy = backup.await?;
    let failed = |error: std::io::Error| refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let file = copy.open().map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    info!(bytes = length, "admin: backed up");
    let mut response = answer(StatusCode::OK, "application/vnd.sqlite3", Bytes::new());
    let name = HeaderValue::from_static("attachment; filename=\"weftline-relay.db\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    *response.body_mut() = StreamBody::new(pieces(copy, file)).boxed_unsync();
    Ok(response)
}

/// A file, piece by piece, as fast as it is taken. It is gone afterwards.
fn pieces(copy: Copied, file: File) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
    futures_util::stream::try_unfold((copy, file), |(copy, mut file)| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            io::Result::Ok((piece, file))
        });
        let (piece, file) = read.await.map_err(io::Error::other)??;
        Ok((!piece.is_empty()).then(|| (Frame::data(Bytes::from(piece)), (copy, file))))
    })
}
