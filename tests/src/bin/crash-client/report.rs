//! What the client says: lines of JSON on standard output, each after the fact.

use std::io::{self, Write};

use serde_json::Value;

/// Says it, in one line and at once. Nobody to say it to is a reason to end: a client without somebody who watches it
/// would write for ever.
pub(crate) fn say(line: &Value) {
    let mut bytes = line.to_string().into_bytes();
    bytes.push(b'\n');
    let mut out = io::stdout().lock();
    if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
