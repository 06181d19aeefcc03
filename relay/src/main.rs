//! `weftline-relay`: the relay as a program. What it can be asked for is in [`cli`].

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
