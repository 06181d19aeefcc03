//! Who may do what.
//!
//! With `--auth-keys` a relay wants a *token* from whoever connects: a JWT ([`token`]) that says what its bearer may do ([`claims`]),
//! signed with a key of the file ([`keys`]). It comes with the upgrade request, or as a message of the connection, and is replaced there
//! before it expires. A verified token is a *grant*; what it allows with a document are a member's [`Rights`] in its room.
//! Documents may be left open to be read by anybody, and a *webhook* of the application may be asked about each document.
//!
//! [`Authority`] is all of that for one relay. It knows no connection: it is asked, and says when to ask again.
//!
//! Not here: the connection's side of it (the session's `access`), and the pure half that rooms see ([`crate::room::Rights`]).

pub mod claims;
mod key_file;
pub mod keys;
mod options;
pub mod pattern;
mod revocations;
pub mod token;
mod webhook;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use tokio::sync::watch;
use tracing::{debug, warn};

pub use key_file::KeyFileError;
pub use options::AuthOptions;
pub use revocations::{Revocation, RevocationError};
pub use webhook::AddressError;

use crate::room::Rights;
use claims::{Access, Claims, TokenLimits};
use key_file::KeyFile;
use keys::Key;
use pattern::Pattern;
use revocations::Revocations;
use token::{Refusal, Rules};
use webhook::Webhook;

/// Why a relay that is to want tokens does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There are no keys.
    #[error("--auth-keys {0}")]
    Keys(#[from] KeyFileError),
    /// The secret for the webhook cannot be read.
    #[error("--auth-webhook-secret {}: {source}", path.display())]
    Secret {
        /// From which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The revocations cannot be read.
    #[error(transparent)]
    Revocations(#[from] RevocationError),
    /// Nobody can be asked at that address.
    #[error(transparent)]
    Webhook(#[from] AddressError),
}

/// Why a document is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barred {
    /// Without a token.
    NoToken,
    /// With this one, or by the webhook.
    Denied,
    /// The webhook does not say.
    Unavailable,
}

/// A token that was verified.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) claims: Claims,
    /// The subject, as rooms and the doors are told it.
    pub(crate) subject: Arc<str>,
    key: Arc<Key>,
}

/// What may be done with a document, and how the limits of the connection fall by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permission {
    pub(crate) rights: Rights,
    /// Those that the webhook names.
    pub(crate) limits: TokenLimits,
}

/// Who may do what at one relay. See the [module](self).
#[derive(Debug)]
pub struct Authority {
    rules: Rules,
    keys: KeyFile,
    revocations: Mutex<Revocations>,
    /// Where they are kept; held while that is written, so that an older state never replaces a newer one.
    kept: Option<tokio::sync::Mutex<PathBuf>>,
    /// Counts what may have made grants worthless.
    changes: watch::Sender<u64>,
    anonymous_read: Vec<Pattern>,
    webhook: Option<Webhook>,
}

impl Authority {
    /// Reads the files; `None` if no tokens are wanted.
    ///
    /// # Errors
    /// When tokens are wanted, and something for them is missing or not understood.
    pub fn open(options: &AuthOptions) -> Result<Option<Self>, AuthError> {
        let Some(path) = &options.auth_keys else { return Ok(None) };
        let secret = |path: &PathBuf| {
            let read = std::fs::read_to_string(path);
            read.map(|text| text.lines().next().unwrap_or_default().trim().to_owned())
                .map_err(|source| AuthError::Secret { path: path.clone(), source })
        };
        let secret = options.auth_webhook_secret.as_ref().map(secret).transpose()?;
        let limit = options.auth_webhook_timeout;
        let webhook = options.auth_webhook.as_ref().map(|url| Webhook::new(url, secret.as_deref(), limit));
        Ok(Some(Self {
            rules: Rules {
                audience: options.auth_audience.clone(),
                leeway_s: options.auth_leeway.as_secs(),
                longest_s: options.auth_longest.as_secs(),
            },
            keys: KeyFile::open(path.clone())?,
            revocations: Mutex::new(match &options.auth_revocations {
                Some(path) => Revocations::load(path)?,
                None => Revocations::default(),
            }),
            kept: options.auth_revocations.clone().map(tokio::sync::Mutex::new),
            changes: watch::Sender::new(0),
            anonymous_read: options.auth_anonymous_read.clone(),
            webhook: webhook.transpose()?,
        }))
    }

    /// From now on, tokens like that do not count, and connections that came with one end. Returns when that is on the disk, if there is a file
    /// for it.
    ///
    /// # Errors
    /// When it could not be written. It counts all the same, until the relay ends.
    pub async fn revoke(&self, what: &Revocation) -> Result<(), RevocationError> {
        let Rules { leeway_s, longest_s, .. } = self.rules;
        let longest_s = longest_s.saturating_add(leeway_s.saturating_mul(2));
        self.revocations().add(what, now_s(), longest_s);
        self.changes.send_modify(|changes| *changes += 1);
        let Some(kept) = &self.kept else { return Ok(()) };
        let path = kept.lock().await;
        let (state, to) = (self.revocations().clone(), path.clone());
        let stored = tokio::task::spawn_blocking(move || state.store(&to)).await;
        stored.expect("storing revocations does not panic")
    }

    fn revocations(&self) -> MutexGuard<'_, Revocations> {
        // Nothing that can panic runs while they are half changed.
        self.revocations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many keys there are, and with how many of them tokens can be made: secrets, and private halves that the relay has no use for.
    #[must_use]
    pub fn keys(&self) -> (usize, usize) {
        let keys = self.keys.keys();
        (keys.len(), keys.signing_len())
    }

    /// Reads the keys again, if their file has changed. Connections whose keys are gone end.
    pub async fn reload(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || this.keys.look()).await;
        if looked.unwrap_or_default() {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// Follows the file with the keys, for as long as there is anybody else who has this.
    pub(crate) async fn follow(this: Weak<Self>) {
        loop {
            tokio::time::sleep(key_file::LOOK_EVERY).await;
            let Some(this) = this.upgrade() else { return };
            this.reload().await;
        }
    }

    /// Tells when grants may have become worthless: see [`Self::stands`].
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Verifies a token. One of an unknown key makes the keys be read again, but not often.
    pub(crate) async fn admit(self: &Arc<Self>, token: &[u8]) -> Result<Arc<Grant>, Refusal> {
        let verify = || token::verify_by(token, &self.keys.keys(), &self.rules, now_s());
        let mut verified = verify();
        if matches!(verified, Err(Refusal::UnknownKey)) && self.keys.is_worth_a_look(Instant::now()) {
            self.reload().await;
            verified = verify();
        }
        let (claims, key) = verified?;
        let grant = Arc::new(Grant { subject: claims.sub.as_str().into(), claims, key });
        self.stands(&grant)?;
        Ok(grant)
    }

    /// Whether a grant still counts, as far as that does not depend on the time.
    pub(crate) fn stands(&self, grant: &Grant) -> Result<(), Refusal> {
        if self.revocations().cover(&grant.claims) {
            return Err(Refusal::Revoked);
        }
        if self.keys.keys().have(&grant.key) { Ok(()) } else { Err(Refusal::UnknownKey) }
    }

    /// How long a grant still counts, leeway included.
    pub(crate) fn left(&self, grant: &Grant) -> Duration {
        let end = grant.claims.exp.saturating_add(self.rules.leeway_s);
        Duration::from_secs(end).saturating_sub(now())
    }

    /// How far clocks may differ: the last part of the time that a grant is left.
    pub(crate) fn leeway_s(&self) -> u64 {
        self.rules.leeway_s
    }

    /// What may be done with a document. Asks the webhook, if there is one and the token allows something.
    pub(crate) async fn permission(&self, grant: Option<&Grant>, document: &str) -> Result<Permission, Barred> {
        let anonymous = self.anonymous_read.iter().any(|pattern| pattern.covers(document));
        let unseen = Rights { presence: false, ..Rights::READ };
        let anonymously = || Permission { rights: unseen, limits: TokenLimits::default() };
        let Some(grant) = grant else {
            return if anonymous { Ok(anonymously()) } else { Err(Barred::NoToken) };
        };
        let claims = &grant.claims;
        let Some(mut access) = claims.access(document) else {
            return if anonymous { Ok(anonymously()) } else { Err(Barred::Denied) };
        };
        let (mut presence, mut limits) = (claims.presence, TokenLimits::default());
        if let Some(webhook) = &self.webhook {
            let until_s = claims.exp.saturating_add(self.rules.leeway_s);
            let answer = webhook.ask(claims, document, until_s, now_s()).await.map_err(|error| {
                warn!(%error, "the webhook does not say who may do what");
                Barred::Unavailable
            })?;
            if !answer.allow {
                debug!(subject = %claims.sub, "the webhook says no");
                return if anonymous { Ok(anonymously()) } else { Err(Barred::Denied) };
            }
            access = answer.access.map_or(access, |most| access.min(most));
            presence = answer.presence.map_or(presence, |may| presence && may);
            limits = answer.limits;
        }
        let rights = Rights {
            write: access == Access::Write,
            presence,
            subject: Some(Arc::clone(&grant.subject)),
            new_replicas: claims.replicas.new,
            only_replicas: claims.replicas.only.clone(),
        };
        Ok(Permission { rights, limits })
    }
}

/// The token of a request, if it has one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().as_bytes().to_vec())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn now_s() -> u64 {
    now().as_secs()
}
