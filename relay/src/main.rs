//! `weftline-relay`: the relay as a program. What it can be asked for is in [`cli`].

mod cli;

/// Documents come and go, and what they took is to go back to the system, which the allocator of most systems does only from its end.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
