//! Text: documents with it, cursors, and whole texts.
#![cfg(feature = "testing")]

mod cursors;
mod documents;
mod group;
mod set_text;
