//! Weftline.
