//! The comparison of Weftline with other CRDT libraries, and with no CRDT at all.
//!
//! ```text
//! weftline-peers list                  one line for each cell: library, row
//! weftline-peers run LIBRARY ROW N     runs one cell at an N-th of its size and prints what it measured, as JSON
//! ```
//!
//! `cargo xtask bench core` runs every cell in a process of its own and makes tables of them.

mod adapters;
mod alloc;
mod cells;
mod peer;
mod workload;

use std::process::ExitCode;

use adapters::{Automerge, Crdts, Dson, Floor, Loro, Weftline, Yrs};
use cells::{Metric, Scale};
use peer::{Peer, Row};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// A library, as far as the command line goes.
struct Library {
    name: &'static str,
    supports: fn(Row) -> bool,
    run: fn(Row, Scale) -> Vec<Metric>,
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
        ["run", library, row, divisor] => {
            let library = LIBRARIES.iter().find(|known| known.name == *library);
            let row = Row::all().into_iter().find(|known| known.name() == *row);
            let divisor = divisor.parse().ok().filter(|divisor| *divisor > 0);
            let (Some(library), Some(row), Some(divisor)) = (library, row, divisor) else { return usage() };
            if !(library.supports)(row) {
                return usage();
            }
            println!("{}", json(library.name, row, &(library.run)(row, Scale(divisor))));
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: weftline-peers list | run LIBRARY ROW DIVISOR");
    ExitCode::from(2)
}

fn json(peer: &str, row: Row, metrics: &[Metric]) -> String {
    let metrics: Vec<serde_json::Value> = metrics
        .iter()
        .map(|metric| serde_json::json!({ "name": metric.name, "unit": metric.unit, "value": metric.value }))
        .collect();
    serde_json::json!({ "peer": peer, "row": row.name(), "metrics": metrics }).to_string()
}
