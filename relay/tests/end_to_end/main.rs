//! A relay with real sockets, real files and real processes.

mod admin;
mod auth;
mod client;
mod convergence;
mod deploy;
mod failures;
mod hostile;
mod http;
mod limits;
mod operators;
#[cfg(feature = "otlp")]
mod otlp;
mod processes;
mod slow_reader;
mod tls;
