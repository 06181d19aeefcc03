//! The relay: it stores what replicas of a document write, says when it is safe, and passes it on.
//!
//! ```no_run
//! # async fn example() -> Result<(), weftline_relay::RelayError> {
//! use weftline_relay::{Config, Relay, StoreChoice};
//!
//! let relay = Relay::bind(Config::new(StoreChoice::Sqlite("relay.db".into()))).await?;
//! println!("listening on ws://{}", relay.local_addr());
//! relay.shutdown().await
//! # }
//! ```
//!
//! A connection is a *session*; a document that somebody has open is a *room*; what outlives both is in a [`store`]. A room is a pure
//! machine ([`room::Room`]), driven by one task, and every session is one task. They meet in the server, and only there.
//!
//! Rules: ACK-1 an ack names what is on stable storage. FAN-1 others are shown only what is stored. CUR-1 a cursor means something only in
//! an epoch that the log still has. A slow client is a cursor into the log, not a queue.

#[cfg(feature = "server")]
pub mod auth;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod error;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
pub mod limits;
#[cfg(feature = "server")]
pub mod metrics;
pub mod room;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod session;
pub mod store;
#[cfg(feature = "server")]
pub mod transport;

#[cfg(feature = "server")]
pub use config::{Config, ConfigError, LogFormat, StoreChoice};
#[cfg(feature = "server")]
pub use error::RelayError;
#[cfg(feature = "server")]
pub use server::Relay;
