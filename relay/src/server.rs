//! The only place where the parts meet: listeners, HTTP, sessions, rooms and store.
//!
//! A connection has the handshake timeout for its whole HTTP part, which is one request.
//!
//! Stopping: `/readyz` says no; after the drain delay the listeners close; who has not finished a request is dropped; sessions read no more;
//! rooms finish what they have taken in, so that whatever was sent in time is committed and acknowledged; sessions say goodbye with a hint
//! when to come back, spread out so that a thousand clients do not return in the same instant; the store closes. All of it, after the delay,
//! within the drain timeout.
//!
//! Not here: what is answered to a request ([`crate::http`]).

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::Instrument;
use tracing::{debug, info, info_span, warn};

use crate::auth::{Authority, Revocation, RevocationError};
use crate::config::{Config, StoreChoice};
use crate::error::RelayError;
use crate::http::access::Access;
use crate::http::health::Prober;
use crate::http::samples::{self, Samples};
use crate::http::{self, Asked, Door, Visit};
use crate::limits::{Doors, Network, Place};
use crate::metrics::{Metrics, Refused};
use crate::room::registry::Registry;
use crate::session::connections::Peer;
use crate::session::{self, Credentials};
use crate::store::{MemoryStore, SqliteStore, Store};
use crate::transport::stream::Stream;
use crate::transport::tls::Tls;
use crate::transport::websocket::WebSocket;

/// Connections beyond the limit that may be in their HTTP part, so that a full relay still answers health checks.
const SPARE_CONNECTIONS: usize = 64;

/// Connections at the admin address.
const ADMIN_CONNECTIONS: usize = 64;

/// The longest HTTP request head. Ours are a few hundred bytes; the rest is for cookies that a proxy or browser adds.
const MAX_HEAD: usize = 16 << 10;

/// How long accepting pauses when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running relay. Dropping it stops it without waiting; [`Relay::shutdown`] stops it properly.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    /// Yields `None` when the last task that serves a connection has ended.
    serving: mpsc::Receiver<Infallible>,
}

/// What every connection may need.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    /// Who may do what; nobody asks where everybody may do everything.
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) access: Access,
    pub(crate) prober: Prober,
    pub(crate) samples: Samples,
    tls: Option<Tls>,
    doors: Doors,
    stop: watch::Receiver<bool>,
    draining: AtomicBool,
}

impl Shared {
    pub(crate) fn metrics(&self) -> &Metrics {
        self.registry.metrics()
    }

    /// Whether the relay was asked to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed) || *self.stop.borrow()
    }
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
        let (listener, address) = listen(config.listen).await?;
        let admin = match config.admin_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let admin_address = admin.as_ref().map(|(_, address)| *address);
        let is_local = admin_address.map(|address| address.ip().is_loopback());
        let access = Access::new(config.admin_token()?, is_local);
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::open(certificate, key)?),
            _ => None,
        };
        let authority = Authority::open(&config.auth)?.map(Arc::new);
        if let Some(authority) = &authority {
            tokio::spawn(Authority::follow(Arc::downgrade(authority)));
        }
        let (stop, stopping) = watch::channel(false);
        let (tracker, serving) = mpsc::channel(1);
        let registry = Registry::new(store, &config, stopping.clone());
        for (document, mode) in registry.store().modes().await? {
            registry.set_mode(&document, mode);
        }
        let draining = AtomicBool::new(false);
        let doors = Doors::new(config.limits.clone(), config.max_connections, Arc::clone(registry.metrics()));
        let shared = Arc::new(Shared {
            config,
            registry,
            authority,
            access,
            prober: Prober::default(),
            samples: Samples::default(),
            tls,
            doors,
            stop: stopping,
            draining,
        });
        tokio::spawn(look_around(Arc::clone(&shared)));
        let places = shared.config.max_connections + SPARE_CONNECTIONS;
        tokio::spawn(accept(listener, Door::Main, places, Arc::clone(&shared), tracker.clone()));
        if let Some((listener, admin)) = admin {
            tokio::spawn(accept(listener, Door::Admin, ADMIN_CONNECTIONS, Arc::clone(&shared), tracker));
            info!(%admin, "listening for operators");
        }
        info!(%address, store = ?shared.config.store, "listening");
        Ok(Relay { address, admin_address, shared, stop, serving })
    }

    /// Where the relay really listens, also when it was asked for port 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for operators, if it was asked to.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Whether clients connect with TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.shared.tls.is_some()
    }

    /// Reads the certificate again.
    ///
    /// # Errors
    /// When what is there now cannot be used; the relay goes on with the old one.
    pub fn reload_certificate(&self) -> Result<(), RelayError> {
        if let Some(tls) = &self.shared.tls {
            tls.reload(true)?;
            info!("the certificate was read again");
        }
        Ok(())
    }

    /// The rooms, for whoever wants to look at them.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Who may do what here, if that is limited at all: to revoke tokens, and to have the keys read again.
    #[must_use]
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.shared.authority.as_ref()
    }

    /// Tokens like that do not count from now on, and connections that came with one end. Says whether there are tokens here at all.
    ///
    /// # Errors
    /// When it counts, but could not be written where it would outlive the relay.
    pub async fn revoke(&self, what: &Revocation) -> Result<bool, RevocationError> {
        match self.authority() {
            Some(authority) => authority.revoke(what).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Stops: `/readyz` says no; after the drain delay no new connections, everything taken in is committed and acknowledged, clients are
    /// told. Returns at the latest after the drain delay and the drain timeout.
    pub async fn shutdown(mut self) -> Result<(), RelayError> {
        let limit = self.shared.config.drain_timeout;
        self.shared.draining.store(true, Ordering::Relaxed);
        sleep(self.shared.config.drain_delay).await;
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

/// What is done now and then.
async fn look_around(shared: Arc<Shared>) {
    let mut stop = shared.stop.clone();
    loop {
        shared.samples.take(shared.metrics(), shared.registry.open_rooms());
        if let Some(tls) = &shared.tls {
            match tls.reload(false) {
                Ok(true) => info!("there is a new certificate"),
                Ok(false) => {}
                Err(error) => warn!(%error, "the new certificate cannot be used"),
            }
        }
        tokio::select! {
            () = sleep(samples::EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), RelayError> {
    let failed = |source| RelayError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn accept(
    listener: TcpListener,
    door: Door,
    places: usize,
    shared: Arc<Shared>,
    tracker: mpsc::Sender<Infallible>,
) {
    let places = Arc::new(Semaphore::new(places));
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
                let id = shared.registry.next_number();
                // Whoever is behind a proxy is known only when it has asked; operators have places of their own.
                let is_counted = door == Door::Main && !http::is_trusted(peer.ip(), &shared.config.trust_proxy);
                let knock = if is_counted { shared.doors.knock(peer.ip()) } else { Ok(None) };
                let Ok(knock) = knock else {
                    // Nobody can tell whether it is a client at all, and answers are what floods are after.
                    debug!(id, %peer, "dropped: too many handshakes of one address");
                    continue;
                };
                let (shared, tracker) = (Arc::clone(&shared), tracker.clone());
                let visitor = Visitor { connection: id, peer, door };
                let serve = async move {
                    serve(stream, visitor, knock, &shared).await;
                    drop((place, tracker));
                };
                tokio::spawn(serve.instrument(info_span!("connection", id, %peer)));
            }
            Err(error) => {
                // Either the client has gone again, or the system is out of something; the listener itself does not break.
                warn!(%error, "accepting failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Somebody who has connected.
#[derive(Debug, Clone, Copy)]
struct Visitor {
    connection: u64,
    peer: SocketAddr,
    door: Door,
}

/// One connection, from its first byte to its last.
async fn serve(stream: TcpStream, visitor: Visitor, knock: Option<Place<Network>>, shared: &Arc<Shared>) {
    // Small frames must not wait for the acknowledgement of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    let is_at_work = AtomicBool::new(false);
    let mut stop = shared.stop.clone();
    // Each part in a place of its own, which is given back: a task is as large as the largest of what it waits for, as long as it lives.
    let handshake = Box::pin(handshake(stream, visitor, &is_at_work, shared));
    let upgraded = tokio::select! {
        // What has arrived is still answered.
        biased;
        upgraded = handshake => upgraded,
        () = too_long(shared.config.handshake_timeout, &is_at_work) => {
            shared.metrics().refused.one(Refused::Timeout as usize);
            return debug!("too slow a handshake");
        }
        // Nothing is owed to who has not finished asking, and a stop must not wait for it.
        _ = stop.wait_for(|stop| *stop) => return,
    };
    if let Some((websocket, address, bearer)) = upgraded {
        if address != visitor.peer.ip() {
            debug!(%address, "forwarded");
        }
        let admitted = match shared.doors.admit(address, None) {
            Ok(admitted) => admitted,
            Err(reason) => {
                debug!(reason = reason.label(), "no place");
                // Whoever waits to be told still has its place among the handshakes: a flood does not get more of them.
                let close = Doors::full(getrandom::u32().unwrap_or_default());
                return Box::pin(session::turn_away(websocket, &shared.config, close)).await;
            }
        };
        drop(knock);
        let limits = shared.config.limits.of_connection(shared.config.max_documents);
        let peer = Peer { connection: visitor.connection, address, subject: None };
        let name = shared.doors.name_of(address);
        let credentials =
            Credentials { authority: shared.authority.as_ref(), doors: &shared.doors, bearer, address: name };
        let (config, stop) = (&shared.config, shared.stop.clone());
        Box::pin(session::run(websocket, peer, &shared.registry, config, limits, credentials, stop)).await;
        drop(admitted);
    }
}

/// TLS if there is to be any, and the request. Gives the websocket that it leads to, the address of its client, and the token that it came with.
async fn handshake(
    stream: TcpStream,
    Visitor { peer, door, .. }: Visitor,
    is_at_work: &AtomicBool,
    shared: &Shared,
) -> Option<(WebSocket, IpAddr, Option<Vec<u8>>)> {
    let is_here = door == Door::Admin && shared.config.admin_listen.is_some_and(|address| address.ip().is_loopback());
    let stream = match &shared.tls {
        Some(tls) if !is_here => {
            let accepted = tls.accept(stream).await.inspect_err(|error| {
                shared.metrics().refused.one(Refused::Handshake as usize);
                debug!(%error, "no TLS");
            });
            Stream::Tls(Box::new(accepted.ok()?))
        }
        _ => Stream::Plain(stream),
    };
    let upgraded: Mutex<Option<Asked>> = Mutex::new(None);
    let keep = |asked| *upgraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
    let visit = Visit { door, peer: peer.ip(), is_at_work };
    let service =
        service_fn(|request| async { Ok::<_, Infallible>(http::respond(request, visit, shared, keep).await) });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = http.await {
        debug!(%error, "not a request");
    }
    let Asked { handshake, address, bearer } = upgraded.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let websocket = handshake.complete().await.inspect_err(|error| debug!(%error, "not upgraded")).ok()?;
    Some((websocket, address, bearer))
}

/// Passes when a handshake has taken too long, unless it turned out to be an operator's request that takes its time.
async fn too_long(limit: Duration, is_at_work: &AtomicBool) {
    sleep(limit).await;
    while is_at_work.load(Ordering::Relaxed) {
        sleep(limit).await;
    }
}
