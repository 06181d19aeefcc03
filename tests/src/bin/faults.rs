//! Prints every fault that the tests can turn on, one a line: its name, what it does wrong, and, for one that no test can notice,
//! why. Separated by tabs. For `cargo xtask mutants`, which itself must build where the core does not.

use weftline::testing::Fault;

fn main() {
    for fault in Fault::ALL {
        println!(
            "{}\t{}\t{}",
            fault.name(),
            fault.text().trim_end_matches('.'),
            fault.equivalent().unwrap_or_default()
        );
    }
}
