//! A relay with real sockets, real files and real processes.

mod client;
mod convergence;
mod failures;
mod hostile;
mod http;
mod operators;
mod processes;
mod slow_reader;
