//! Text: documents with it, cursors, marks, and whole texts.
#![cfg(feature = "testing")]

mod cursors;
mod documents;
mod group;
mod marks;
mod set_text;
mod steps;
