//! What a replica is opened with.

use std::error::Error;
use std::future::Future;
use std::path::PathBuf;

use crate::token::TokenSource;

/// Where a replica keeps its records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Store {
    /// A folder with a sub-folder per document; several programs may use it at once.
    Folder(PathBuf),
    /// Nowhere. Edits that the relay has not acknowledged end with the program.
    Memory,
}

/// What an edit survives once it counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Everything that the disk survives: one sync for all edits that wait, and none for what only the relay sent.
    #[default]
    PowerCut,
    /// The end of the program, not that of the computer: no edit is ever waited for. For tests, and for stores that are as
    /// short-lived as the computer's memory. Because an edit may be sent and then be forgotten here, such a replica never
    /// goes on under an id of an earlier opening: each opening that writes costs the document one more id.
    ProgramCrash,
}

/// Which document, which relay, which store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name of the document: what all its replicas call it.
    pub document: String,
    /// The websocket address of the home relay, such as `ws://127.0.0.1:8787`; without one the replica stays local.
    pub relay: Option<String>,
    /// Where the records are kept.
    pub store: Store,
    /// What stored edits survive.
    pub durability: Durability,
    /// What the relay is told who this is by; see [`Self::token`] and [`Self::token_from`].
    pub(crate) token: Option<TokenSource>,
    /// Whether to connect at once, or only when [`Replica::connect`](crate::Replica::connect) is called.
    pub connect: bool,
}

impl ClientConfig {
    /// A document in memory, without a relay.
    pub fn new(document: impl Into<String>) -> Self {
        Self {
            document: document.into(),
            relay: None,
            store: Store::Memory,
            durability: Durability::default(),
            token: None,
            connect: true,
        }
    }

    /// Follows this relay.
    #[must_use]
    pub fn relay(mut self, address: impl Into<String>) -> Self {
        self.relay = Some(address.into());
        self
    }

    /// Shows the relay this token, at each connection. When it has expired the relay shows this replica the door; see
    /// [`Self::token_from`] for tokens that are replaced before.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(TokenSource::Fixed(token.into()));
        self
    }

    /// Asks this for a token before each connection, and while connected whenever the relay says that the last one ends soon. It may take
    /// half a minute. When it fails there is no connection; it is asked again after the usual wait.
    ///
    /// ```
    /// # use weftline_client::ClientConfig;
    /// # async fn fetch(of: &str) -> Result<String, std::io::Error> { Ok(of.to_owned()) }
    /// let config = ClientConfig::new("todo/home").relay("ws://127.0.0.1:8787").token_from(|| fetch("https://app.example/token"));
    /// ```
    #[must_use]
    pub fn token_from<F, Fut, E>(mut self, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.token = Some(TokenSource::asking(ask));
        self
    }

    /// Keeps the records here.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Keeps the records in this folder.
    #[must_use]
    pub fn folder(self, folder: impl Into<PathBuf>) -> Self {
        self.store(Store::Folder(folder.into()))
    }

    /// How much stored edits survive.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Stays offline until told to connect.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.connect = false;
        self
    }
}
