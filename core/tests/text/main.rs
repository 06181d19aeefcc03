//! Text beyond typing: cursors.
#![cfg(feature = "testing")]

mod cursors;
mod group;
