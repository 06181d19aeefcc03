//! `todo`: a shared todo list in the terminal.
//!
//! Each command opens the local replica, gives the relay a moment to catch up, edits, stores the edit on this computer
//! and waits a moment for the relay to save it too. Nothing here needs the relay: without it the edit is kept and sent
//! by whichever command finds it next.
//!
//! [`list`] knows the document, [`view`] prints; this file has the arguments.

mod list;
mod view;

use anyhow::{Context, bail, ensure};
use clap::{Args, Parser, Subcommand};
use etcetera::BaseStrategy;
use list::Todo;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Interval;
use weftline_client::{ClientConfig, Link, Replica};

/// A shared todo list that works offline.
#[derive(Debug, Parser)]
#[command(name = "todo", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Options {
    /// The relay's address.
    #[arg(long, global = true, env = "TODO_RELAY", default_value = "ws://127.0.0.1:8787", value_name = "URL")]
    relay: String,
    /// The folder for local data [default: the platform's data folder].
    #[arg(long, global = true, env = "TODO_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// Which list.
    #[arg(long, global = true, env = "TODO_LIST", default_value = "todos", value_name = "NAME")]
    list: String,
    /// Do not connect; edits are kept and sent later.
    #[arg(long, global = true)]
    offline: bool,
    /// How long to wait for the relay, in milliseconds.
    #[arg(long, global = true, env = "TODO_WAIT", default_value_t = 3000, value_name = "MS")]
    wait: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a todo at the end.
    Add {
        /// What is to be done.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Print the list (what happens without a command, too).
    List {
        /// As a JSON array of objects with id, title and completed.
        #[arg(long)]
        json: bool,
    },
    /// Mark a todo as done, or as not done.
    Toggle {
        /// Its number in the list, or its id.
        todo: String,
    },
    /// Give a todo another text.
    Edit {
        /// Its number in the list, or its id.
        todo: String,
        /// What is to be done.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Move a todo to another place.
    Move {
        /// Its number in the list, or its id.
        todo: String,
        /// The number it shall have.
        to: usize,
    },
    /// Remove a todo.
    Rm {
        /// Its number in the list, or its id.
        todo: String,
    },
    /// Remove everything that is done.
    ClearCompleted,
    /// Show the list and redraw it whenever anybody changes it, until Ctrl-C.
    Watch,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { options, command } = Cli::parse();
    let replica = open(&options).await?;
    match command.unwrap_or(Command::List { json: false }) {
        Command::Watch => {
            watch(&replica, &options).await?;
            replica.close().await?;
        }
        Command::List { json } => {
            catch_up(&replica, &options).await;
            let todos = replica.read(list::todos);
            let text = if json { view::json(&todos) + "\n" } else { view::list(&options.list, &todos) };
            print(&text)?;
            if let Some(note) = view::staleness(&replica.status()).filter(|_| !options.offline) {
                anstream::eprintln!("{note}");
            }
            replica.close().await?;
        }
        edit => {
            // Others may have edited too: numbers mean the list as it is now.
            catch_up(&replica, &options).await;
            let message = apply(&replica, edit)?;
            replica.flushed().await?;
            print(&(message + "\n"))?;
            // If the relay could not be reached before, waiting again would find it no sooner.
            if replica.status().link == Link::Live {
                catch_up(&replica, &options).await;
            }
            anstream::eprintln!("{}", view::saved(&replica.status(), options.offline));
            replica.close().await?;
        }
    }
    Ok(())
}

/// Carries out an edit and says what was done.
fn apply(replica: &Replica, command: Command) -> anyhow::Result<String> {
    let todos = replica.read(list::todos);
    Ok(match command {
        Command::Add { text } => {
            let title = title(&text)?;
            replica.transact(|tx| list::add(tx, &title))?;
            format!("added {}: “{title}”", todos.len() + 1)
        }
        Command::Toggle { todo } => {
            let todo = find(&todos, &todo)?;
            replica.transact(|tx| list::complete(tx, todo.id, !todo.completed))?;
            format!("{} is {}", view::quote(todo), if todo.completed { "to be done again" } else { "done" })
        }
        Command::Edit { todo, text } => {
            let (todo, title) = (find(&todos, &todo)?, title(&text)?);
            replica.transact(|tx| list::rename(tx, todo.id, &title))?;
            format!("{} is now “{title}”", view::quote(todo))
        }
        Command::Move { todo, to } => {
            let todo = find(&todos, &todo)?;
            let target = to.checked_sub(1).and_then(|index| todos.get(index));
            let target = target.with_context(|| format!("there is no place {to}: the list has {}", todos.len()))?;
            replica.transact(|tx| list::move_to(tx, todo.id, target.id))?;
            format!("{} is now number {to}", view::quote(todo))
        }
        Command::Rm { todo } => {
            let todo = find(&todos, &todo)?;
            replica.transact(|tx| list::remove(tx, &[todo.id]))?;
            format!("removed {}", view::quote(todo))
        }
        Command::ClearCompleted => {
            let done: Vec<_> = todos.iter().filter(|todo| todo.completed).map(|todo| todo.id).collect();
            replica.transact(|tx| list::remove(tx, &done))?;
            format!("removed {}", done.len())
        }
        Command::List { .. } | Command::Watch => unreachable!("they edit nothing and are handled before"),
    })
}

async fn open(options: &Options) -> anyhow::Result<Replica> {
    let store = match &options.store {
        Some(store) => store.clone(),
        None => {
            etcetera::choose_base_strategy().context("no home folder; use --store")?.data_dir().join("weftline-todo")
        }
    };
    let config = ClientConfig::new(list::document_name(&options.list)).relay(&options.relay).folder(store);
    let config = if options.offline { config.offline() } else { config };
    Replica::open(config).await.context("cannot open the list")
}

/// Waits until everything is here and everything of ours is there, for as long as was allowed. Whether it worked is in
/// the status.
async fn catch_up(replica: &Replica, options: &Options) {
    if !options.offline {
        let _ = replica.synced(Duration::from_millis(options.wait)).await;
    }
}

/// How often a relay that is away is looked for while somebody watches.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Redraws until interrupted.
async fn watch(replica: &Replica, options: &Options) -> anyhow::Result<()> {
    let mut changes = replica.changes();
    let mut status = replica.watch_status();
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    // Counted from the start of the program, so that those who watch do not all come in the same moment.
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        let todos = replica.read(list::todos);
        let line = view::status(&status.borrow_and_update());
        print(&format!("{clear}{}{line}\n", view::list(&options.list, &todos)))?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
            _ = changes.next() => {}
            _ = status.changed() => {}
            () = keep_looking(replica, &mut look), if !options.offline => {}
        }
    }
}

/// Never ends.
async fn keep_looking(replica: &Replica, look: &mut Interval) {
    loop {
        look.tick().await;
        replica.connect();
    }
}

/// The todo of that number, counted from one, or of that id.
fn find<'a>(todos: &'a [Todo], name: &str) -> anyhow::Result<&'a Todo> {
    let found = match name.parse::<usize>() {
        Ok(number) => number.checked_sub(1).and_then(|index| todos.get(index)),
        Err(_) => todos.iter().find(|todo| todo.id.to_string() == name),
    };
    match found {
        Some(todo) => Ok(todo),
        None if todos.is_empty() => bail!("there is no todo {name}: the list is empty"),
        None => bail!("there is no todo {name}: the list has {}", todos.len()),
    }
}

fn title(words: &[String]) -> anyhow::Result<String> {
    let title = words.join(" ").trim().to_owned();
    ensure!(!title.is_empty(), "a todo needs a text");
    Ok(title)
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read us has enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}
