//! Text beyond typing: cursors, and whole texts.
#![cfg(feature = "testing")]

mod cursors;
mod group;
mod set_text;
