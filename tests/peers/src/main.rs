//! The comparison of Weftline with other CRDT libraries, and with no CRDT at all.
//!
//! ```text
//! weftline-peers list                           one line for each cell: library, row
//! weftline-peers run LIBRARY ROW N [TRACES]     runs one cell at an N-th of its size and prints what it measured, as JSON
//! ```
//!
//! TRACES is a folder of recorded editing ([`workload::trace`]); a synthetic one is drawn where it has none. To profile one library,
//! run a cell under a profiler: what replays a trace is in functions of its own whose names end in `replay_keys`, `replay_batches` (both in
//! `cells::text`) and `replay_authors` (in `cells::concurrent`), so that a profiler can be told to look at nothing else.
//!
//! `cargo xtask bench core` runs every cell in a process of its own and makes tables of them.

mod adapters;
mod alloc;
mod cells;
mod peer;
mod row;
mod workload;

use std::path::Path;
use std::process::ExitCode;

use adapters::{Automerge, Crdts, Diamond, Dson, Floor, Loro, Weftline, Yrs};
use cells::{Metric, Scale};
use peer::Peer;
use row::Row;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// A library, as far as the command line goes.
struct Library {
    name: &'static str,
    supports: fn(Row) -> bool,
    run: fn(Row, Scale, Option<&Path>) -> Vec<Metric>,
}

const fn library<P: Peer>() -> Library {
    Library { name: P::NAME, supports: P::supports, run: cells::run::<P> }
}

const LIBRARIES: &[Library] = &[
    library::<Weftline>(),
    library::<Yrs>(),
    library::<Automerge>(),
    library::<Loro>(),
    library::<Crdts>(),
    library::<Diamond>(),
    library::<Dson>(),
    library::<Floor>(),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["list"] => {
            for library in LIBRARIES {
                for row in Row::all().into_iter().filter(|row| (library.supports)(*row)) {
                    println!("{} {}", library.name, row.name());
                }
            }
            ExitCode::SUCCESS
        }
        ["run", library, row, divisor, traces @ ..] if traces.len() < 2 => {
            let library = LIBRARIES.iter().find(|known| known.name == *library);
            let row = Row::all().into_iter().find(|known| known.name() == *row);
            let divisor = divisor.parse().ok().filter(|divisor| *divisor > 0);
            let (Some(library), Some(row), Some(divisor)) = (library, row, divisor) else { return usage() };
            if !(library.supports)(row) {
                return usage();
            }
            println!("{}", json(library.name, row, &(library.run)(row, Scale(divisor), traces.first().map(Path::new))));
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: weftline-peers list | run LIBRARY ROW DIVISOR [TRACES]");
    ExitCode::from(2)
}

fn json(peer: &str, row: Row, metrics: &[Metric]) -> String {
    let metrics: Vec<serde_json::Value> = metrics
        .iter()
        .map(|metric| serde_json::json!({ "name": metric.name, "unit": metric.unit, "value": metric.value }))
        .collect();
    serde_json::json!({ "peer": peer, "row": row.name(), "metrics": metrics }).to_string()
}
