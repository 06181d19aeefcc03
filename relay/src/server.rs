//! The only place where the parts meet: listener, HTTP, sessions, rooms and store.
//!
//! HTTP serves two things: `GET /healthz`, and the upgrade to a websocket at `/` or any path that ends in `/` or `/sync`. A connection has
//! the handshake timeout for its whole HTTP part, one request, and no keep-alive, so that half-open handshakes cost little and pass.
//!
//! Stopping: the listener closes; who has not finished a request is dropped; sessions read no more; rooms finish what they have taken in, so that whatever was sent in time is
//! committed and acknowledged; sessions say goodbye with a hint when to come back, spread out so that a thousand clients do not return in
//! the same instant; the store closes. All of it within the drain timeout.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, ORIGIN, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::Instrument;
use tracing::{debug, info, info_span, warn};

use crate::config::{Config, StoreChoice};
use crate::error::RelayError;
use crate::limits::{Doors, Network, Place};
use crate::room::registry::Registry;
use crate::session;
use crate::store::{MemoryStore, SqliteStore, Store};
use crate::transport::websocket::{self, Handshake};

/// Connections beyond the limit that may be in their HTTP part, so that a full relay still answers health checks.
const SPARE_CONNECTIONS: usize = 64;

/// The longest HTTP request head. Ours are a few hundred bytes; the rest is for cookies that a proxy or browser adds.
const MAX_HEAD: usize = 16 << 10;

/// How long accepting pauses when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running relay. Dropping it stops it without waiting; [`Relay::shutdown`] stops it properly.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    /// Yields `None` when the last task that serves a connection has ended.
    serving: mpsc::Receiver<Infallible>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    registry: Registry,
    stop: watch::Receiver<bool>,
    doors: Doors,
}

impl Relay {
    /// Opens the store, then listens.
    pub async fn bind(config: Config) -> Result<Self, RelayError> {
        config.check()?;
        let epoch = getrandom::u64().map_err(RelayError::Random)?;
        let store: Arc<dyn Store> = match &config.store {
            StoreChoice::Memory => Arc::new(MemoryStore::new(epoch)),
            StoreChoice::Sqlite(path) => {
                let path = path.clone();
                let most = config.limits.max_store.map(|bytes| bytes as u64);
                let open = tokio::task::spawn_blocking(move || SqliteStore::open_limited(&path, epoch, most));
                Arc::new(open.await.expect("opening a store does not panic")?)
            }
        };
        Self::bind_with(config, store).await
    }

    /// Listens with a store of the caller's, whatever the configuration says about stores.
    pub async fn bind_with(config: Config, store: Arc<dyn Store>) -> Result<Self, RelayError> {
        config.check()?;
        let failed = |source| RelayError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let (tracker, serving) = mpsc::channel(1);
        let registry = Registry::new(store, &config, stopping.clone());
        let doors = Doors::new(config.limits.clone(), config.max_connections, Arc::clone(registry.refused()));
        let shared = Arc::new(Shared { config, registry, stop: stopping, doors });
        tokio::spawn(accept(listener, Arc::clone(&shared), tracker));
        info!(%address, store = ?shared.config.store, "listening");
        Ok(Relay { address, shared, stop, serving })
    }

    /// Where the relay really listens, also when it was asked for port 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The rooms, for whoever wants to look at them.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Stops: no new connections, everything taken in is committed and acknowledged, clients are told. Returns at the latest after the
    /// drain timeout.
    pub async fn shutdown(mut self) -> Result<(), RelayError> {
        let limit = self.shared.config.drain_timeout;
        self.stop.send_replace(true);
        let drain = async {
            let ended = self.serving.recv().await;
            debug_assert!(ended.is_none(), "nothing is ever sent");
            self.shared.registry.drained().await;
            self.shared.registry.store().close().await
        };
        match timeout(limit, drain).await {
            Ok(closed) => Ok(closed?),
            Err(_) => {
                warn!(?limit, "not everything could be finished in time");
                Ok(())
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tracker: mpsc::Sender<Infallible>) {
    let places = Arc::new(Semaphore::new(shared.config.max_connections + SPARE_CONNECTIONS));
    let mut stop = shared.stop.clone();
    let stopped = async move {
        // An error means that the relay was dropped, which stops it too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::pin!(stopped);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut stopped => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(handshake) = shared.doors.knock(peer.ip()) else {
                    // Nobody can tell whether it is a client at all, and to answer is what floods are after.
                    debug!(%peer, "too many handshakes of one address");
                    continue;
                };
                let (shared, tracker) = (Arc::clone(&shared), tracker.clone());
                let serve = async move {
                    serve(stream, peer.ip(), handshake, &shared).await;
                    drop((place, tracker));
                };
                tokio::spawn(serve.instrument(info_span!("connection", %peer)));
            }
            Err(error) => {
                // Either the client has gone again, or the system is out of something; the listener itself does not break.
                warn!(%error, "accepting failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, from its first byte to its last.
async fn serve(stream: TcpStream, peer: IpAddr, knock: Option<Place<Network>>, shared: &Arc<Shared>) {
    // Small frames must not wait for the acknowledgement of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    let upgraded: Mutex<Option<Handshake>> = Mutex::new(None);
    let keep = |handshake| *upgraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(handshake);
    let service = service_fn(|request| async { Ok::<_, Infallible>(respond(request, shared, keep)) });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let handshake = async {
        if let Err(error) = http.await {
            debug!(%error, "not a request");
        }
        let handshake = upgraded.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        handshake.complete().await.inspect_err(|error| debug!(%error, "not upgraded")).ok()
    };
    let mut stop = shared.stop.clone();
    let upgraded = tokio::select! {
        // What has arrived is still answered.
        biased;
        upgraded = timeout(shared.config.handshake_timeout, handshake) => upgraded,
        // Nothing is owed to who has not finished asking, and a stop must not wait for it.
        _ = stop.wait_for(|stop| *stop) => return,
    };
    match upgraded {
        Ok(Some(websocket)) => {
            let admitted = shared.doors.admit(peer, None);
            let Ok(admitted) = admitted.inspect_err(|reason| debug!(reason = reason.label(), "no place")) else {
                // Whoever waits to be told still has its place among the handshakes: a flood does not get more of them.
                let close = Doors::full(getrandom::u32().unwrap_or_default());
                return session::turn_away(websocket, &shared.config, close).await;
            };
            drop(knock);
            let limits = shared.config.limits.of_connection(shared.config.max_documents);
            session::run(websocket, &shared.registry, &shared.config, limits, shared.stop.clone()).await;
            drop(admitted);
        }
        Ok(None) => {}
        Err(_) => debug!("too slow a handshake"),
    }
}

fn respond(mut request: Request<Incoming>, shared: &Shared, keep: impl FnOnce(Handshake)) -> Response<String> {
    let path = request.uri().path();
    if path == "/healthz" {
        return health(request.method(), shared);
    }
    if !(path.ends_with('/') || path.ends_with("/sync")) {
        return plain(StatusCode::NOT_FOUND, "nothing here\n");
    }
    if !request.headers().contains_key(UPGRADE) {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this is a Weftline relay: connect with a websocket\n");
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    }
    if !origin_may_connect(request.headers().get(ORIGIN), &shared.config.allow_origin) {
        return plain(StatusCode::FORBIDDEN, "pages from this origin may not connect; see --allow-origin\n");
    }
    if *shared.stop.borrow() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "stopping; come back later\n");
    }
    match websocket::accept(&mut request, shared.config.max_frame) {
        Ok((response, handshake)) => {
            keep(handshake);
            response
        }
        Err(error) => plain(StatusCode::BAD_REQUEST, &format!("{error}\n")),
    }
}

fn health(method: &Method, shared: &Shared) -> Response<String> {
    if method != Method::GET && method != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
    }
    let body = serde_json::json!({
        "status": if *shared.stop.borrow() { "draining" } else { "ok" },
        "version": env!("CARGO_PKG_VERSION"),
        "documents": shared.registry.open_rooms(),
        "connections": shared.doors.connections(),
    });
    answer(StatusCode::OK, "application/json", body.to_string())
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    answer(status, "text/plain; charset=utf-8", text.to_owned())
}

/// An answer after which the connection closes. (Closing by the builder's own setting would also take the word "upgrade" from the header
/// of those that are upgraded.)
fn answer(status: StatusCode, content: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Whether a page may connect. Browsers let every page open websockets to everywhere and only name the page's origin; programs that are
/// not browsers send none.
fn origin_may_connect(origin: Option<&HeaderValue>, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_strangers_may_not_connect_unless_allowed() {
        let may = |origin: &str, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            origin_may_connect(Some(&HeaderValue::from_str(origin).unwrap()), &allowed)
        };
        assert!(origin_may_connect(None, &[]));
        for local in [
            "http://localhost",
            "http://localhost:5173",
            "http://127.0.0.1:80",
            "http://[::1]:8080",
            "https://a.localhost",
        ] {
            assert!(may(local, &[]), "{local}");
        }
        for strange in [
            "https://evil.example",
            "null",
            "",
            "http://localhost.evil.example",
            "http://notlocalhost",
            "http://192.168.0.7",
            "localhost",
        ] {
            assert!(!may(strange, &["https://app.example"]), "{strange}");
            assert!(may(strange, &["*"]), "{strange}");
        }
        assert!(may("https://app.example", &["https://other.example", "https://App.example"]));
        assert!(!may("https://app.example:444", &["https://app.example"]));
    }
}
