//! The demo: a relay with its embedded store and the todo list in the browser, until Ctrl-C; or, with `--check`, the same builds
//! driven by a script that edits from two browsers and a terminal, cuts connections, kills the relay, and compares what they show.

use std::fs;
use std::iter;
use std::net::TcpListener;
use std::path::{Display, Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process::{Background, node, npm, run, run_status};
use crate::programs::Programs;
use crate::{repo, setup, wasm};

/// Taken if free and no other is asked for.
const WEB_PORT: u16 = 4173;
const RELAY_PORT: u16 = 8787;

/// How much later than a server we may learn of a Ctrl-C.
const GRACE: Duration = Duration::from_millis(300);

#[derive(Args)]
pub(crate) struct Options {
    /// Run the whole story without a person and compare the ends; the last line is a JSON object
    #[arg(long)]
    check: bool,
    /// Port of the web app [default: 4173, or a free one]
    #[arg(long, conflicts_with = "check")]
    port: Option<u16>,
    /// Port of the relay [default: 8787, or a free one]
    #[arg(long, conflicts_with = "check")]
    relay_port: Option<u16>,
    /// Build the relay and the terminal client with optimisation
    #[arg(long)]
    release: bool,
}

pub(crate) fn demo(options: &Options) -> Result<ExitCode> {
    if options.check {
        // Looked for first: a machine without a browser should say so before it builds for minutes.
        setup::chromium()?;
    }
    setup::node()?;
    eprintln!("==> building the relay and the terminal client");
    let programs = Programs::build(options.release)?;
    if options.check { check(&programs) } else { serve(&programs, options).map(|()| ExitCode::SUCCESS) }
}

/// Builds the rest and runs the script. Its output is the output, its status the status.
pub(crate) fn check(programs: &Programs) -> Result<ExitCode> {
    let chromium = setup::chromium()?;
    build_web()?;
    let out = demo_dir()?;
    eprintln!("==> two browsers, one terminal, one list");
    let mut script = node(repo::root());
    script
        .arg("examples/todo-web/e2e/demo.mjs")
        .env("WEFTLINE_RELAY_BIN", &programs.relay)
        .env("TODO_BIN", &programs.todo)
        .env("WEB_DIST", web_dist())
        .env("OUT_DIR", out)
        .env("CHROMIUM", chromium);
    let status = run_status(&mut script)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The npm package and the web app on it.
pub(crate) fn build_web() -> Result<()> {
    eprintln!("==> building the npm package");
    wasm::ensure_package()?;
    eprintln!("==> building the web app");
    setup::npm_packages(&repo::todo_web())?;
    run(npm(&repo::todo_web()).args(["run", "build"]))
}

/// What is served: the built web app.
pub(crate) fn web_dist() -> PathBuf {
    repo::todo_web().join("dist")
}

/// What can bring the demo to its end.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Interrupted,
    Ended(&'static str),
}

fn serve(programs: &Programs, options: &Options) -> Result<()> {
    build_web()?;
    let (events, event) = mpsc::channel();
    on_interrupt(events.clone())?;

    eprintln!("==> starting the relay and the web app");
    let dir = demo_dir()?;
    let store = dir.join("relay.db");
    let listen = format!("127.0.0.1:{}", pick_port(options.relay_port, RELAY_PORT)?);
    let (mut relay, relay_url) = programs.start_relay(&listen, &store.to_string_lossy(), notify(events.clone()))?;
    let (mut web, web_url) = start_web(pick_port(options.port, WEB_PORT)?, events)?;

    let dir = below_root(&dir);
    let todo = format!("{} --relay {relay_url} --store {dir}/terminal --list groceries", below_root(&programs.todo));
    println!();
    println!("  The list in a browser, in as many tabs and browsers as you like:");
    println!("    {web_url}/?list=groceries&relay={relay_url}");
    println!("  The same list in a terminal:");
    println!("    {todo} add buy milk");
    println!("    {todo} watch");
    println!("  Press Ctrl-C to stop. The lists stay in {dir}; remove it to start over.");
    println!();

    let first = event.recv().context("nothing left to wait for")?;
    // Ctrl-C reaches the servers as well, and one of them may be gone before we hear of it.
    let interrupted = first == Event::Interrupted
        || iter::from_fn(|| event.recv_timeout(GRACE).ok()).any(|event| event == Event::Interrupted);
    if interrupted {
        // A relay that is asked to end twice does not drain, and the terminal may have asked it already.
        relay.ends_within(GRACE)?;
    }
    web.stop()?;
    relay.stop()?;
    match first {
        Event::Ended(name) if !interrupted => bail!("the {name} ended by itself"),
        Event::Ended(_) | Event::Interrupted => Ok(()),
    }
}

/// Vite's server of the built app. Run by Node directly: npm would stand between us and the process to be stopped.
fn start_web(port: u16, events: Sender<Event>) -> Result<(Background, String)> {
    let mut vite = node(&repo::todo_web());
    vite.args([
        "node_modules/vite/bin/vite.js",
        "preview",
        "--host",
        "127.0.0.1",
        "--strictPort",
        "--port",
        &port.to_string(),
    ]);
    vite.env("NO_COLOR", "1");
    let ready = |line: &str| {
        let (_, address) = line.split_once("http://")?;
        Some(format!("http://{}", address.trim_end().trim_end_matches('/')))
    };
    Background::start("web app", &mut vite, ready, notify(events))
}

/// SIGINT, SIGTERM and SIGHUP end the demo instead of this process, so that both servers are stopped properly.
fn on_interrupt(events: Sender<Event>) -> Result<()> {
    // Nobody listens once the demo is stopping; a second Ctrl-C changes nothing.
    ctrlc::set_handler(move || drop(events.send(Event::Interrupted))).context("cannot handle Ctrl-C")
}

fn notify(events: Sender<Event>) -> impl FnOnce(&'static str) + Send + 'static {
    move |name| drop(events.send(Event::Ended(name)))
}

/// The port asked for, or the usual one, or any free one.
fn pick_port(wanted: Option<u16>, usual: u16) -> Result<u16> {
    if let Some(port) = wanted {
        return Ok(port);
    }
    let listener = TcpListener::bind(("127.0.0.1", usual)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    Ok(listener.and_then(|listener| listener.local_addr()).context("there is no free port")?.port())
}

fn below_root(path: &Path) -> Display<'_> {
    path.strip_prefix(repo::root()).unwrap_or(path).display()
}

fn demo_dir() -> Result<PathBuf> {
    let dir = repo::target().join("demo");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
