//! What the program prints.

use crate::list::Todo;
use anstyle::{AnsiColor, Effects, Style};
use serde_json::{Value, json};
use std::fmt::Write;
use weftline_client::{Link, Status};

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().effects(Effects::BOLD);
const DONE: Style = Style::new().effects(Effects::DIMMED.insert(Effects::STRIKETHROUGH));
const GREEN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const YELLOW: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

/// The list for people. Escape codes are left out by whoever writes it to something that is not a terminal.
pub(crate) fn list(name: &str, todos: &[Todo]) -> String {
    let mut out = format!("{BOLD}{name}{BOLD:#}\n");
    let width = todos.len().to_string().len();
    for (index, todo) in todos.iter().enumerate() {
        let number = index + 1;
        let line = if todo.completed {
            format!("{DIM}{number:>width$}{DIM:#} {GREEN}[x]{GREEN:#} {DONE}{}{DONE:#}", one_line(&todo.title))
        } else {
            format!("{DIM}{number:>width$}{DIM:#} [ ] {}", one_line(&todo.title))
        };
        out.push_str(&line);
        out.push('\n');
    }
    let left = todos.iter().filter(|todo| !todo.completed).count();
    let summary = match (todos.len(), left) {
        (0, _) => "nothing here yet".to_owned(),
        (_, 0) => "all done".to_owned(),
        (_, 1) => "1 item left".to_owned(),
        (_, left) => format!("{left} items left"),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{DIM}{summary}{DIM:#}");
    out
}

/// The list for programs: one JSON document.
pub(crate) fn json(todos: &[Todo]) -> String {
    let array: Vec<Value> = todos
        .iter()
        .map(|todo| json!({ "id": todo.id.to_string(), "title": todo.title, "completed": todo.completed }))
        .collect();
    Value::from(array).to_string()
}

/// One todo in a message.
pub(crate) fn quote(todo: &Todo) -> String {
    format!("“{}”", one_line(&todo.title))
}

/// The status in one line, for `watch`.
pub(crate) fn status(status: &Status) -> String {
    let (style, link) = match status.link {
        Link::Offline => (YELLOW, "offline"),
        Link::Connecting => (YELLOW, "connecting"),
        Link::CatchingUp => (YELLOW, "catching up"),
        Link::Live => (GREEN, "live"),
    };
    let mut out = format!("{style}{link}{style:#}");
    if status.unsaved > 0 {
        let _ = write!(out, " · {} not saved at the relay yet", edits(status.unsaved));
    }
    if let Some(error) = &status.error {
        let _ = write!(out, " · {}", one_line(error));
    }
    out
}

/// Where an edit is, after trying to send it.
pub(crate) fn saved(status: &Status, offline: bool) -> String {
    if offline {
        return format!("{DIM}kept on this computer (offline); sent when you next connect{DIM:#}");
    }
    if status.is_synced() {
        return format!("{DIM}saved at the relay{DIM:#}");
    }
    let kept = edits(status.unsaved.max(1));
    format!("{YELLOW}{kept} kept on this computer for later{YELLOW:#}: {}", reason(status))
}

/// A note that the list may not be the newest; nothing if it is.
pub(crate) fn staleness(status: &Status) -> Option<String> {
    (!status.is_synced()).then(|| format!("{YELLOW}may be out of date{YELLOW:#}: {}", reason(status)))
}

fn reason(status: &Status) -> String {
    if status.stuck > 0 {
        return format!("the relay does not take {}", edits(status.stuck));
    }
    match (&status.error, status.link) {
        (Some(error), _) => one_line(error),
        (None, Link::Live) => "the relay has not confirmed everything yet".to_owned(),
        (None, Link::CatchingUp) => "still catching up with the relay".to_owned(),
        (None, Link::Offline | Link::Connecting) => "the relay does not answer".to_owned(),
    }
}

fn edits(count: usize) -> String {
    if count == 1 { "1 edit".to_owned() } else { format!("{count} edits") }
}

/// Titles come from anybody: control characters would move the cursor or change colours on somebody else's terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weftline::{Dot, ReplicaId};

    fn todo(title: &str, completed: bool) -> Todo {
        Todo { id: Dot::new(ReplicaId::from(1), 7), title: title.to_owned(), completed }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_list_has_numbers_marks_and_a_summary() {
        let text = plain(&list("home", &[todo("milk", false), todo("bread", true)]));
        assert_eq!(text, "home\n1 [ ] milk\n2 [x] bread\n1 item left\n");
        assert_eq!(plain(&list("home", &[])), "home\nnothing here yet\n");
    }

    #[test]
    fn json_is_one_array_in_order() {
        let text = json(&[todo("say \"hi\"", false), todo("bread", true)]);
        let id = "00000000-0000-0000-0000-000000000001:7";
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!([{ "id": id, "title": "say \"hi\"", "completed": false }, { "id": id, "title": "bread", "completed": true }])
        );
    }

    #[test]
    fn titles_cannot_control_the_terminal() {
        let text = list("home", &[todo("a\x1b[2Jb\nc", false)]);
        assert!(text.contains("a [2Jb c"));
    }
}
