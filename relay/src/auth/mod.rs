//! Who may do what: tokens, the keys that they are signed with, and what they allow.

pub mod claims;
pub mod keys;
pub mod pattern;
pub mod token;
