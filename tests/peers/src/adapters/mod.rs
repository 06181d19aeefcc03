//! One file per library.

