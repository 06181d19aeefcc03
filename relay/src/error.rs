//! What can stop a relay, or keep it from starting.

use std::io;
use std::net::SocketAddr;

use crate::auth::AuthError;
use crate::config::ConfigError;
use crate::store::StoreError;

/// Why a relay does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The documents cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] crate::transport::tls::TlsError),
    /// Tokens are wanted, and cannot be verified.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The system has no randomness to give, without which epochs would repeat.
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
    /// Signals cannot be waited for.
    #[error("cannot listen to signals: {0}")]
    Signal(io::Error),
}
