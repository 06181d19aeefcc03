//! Whether the old and new values that changes carry are those that were shown before and are shown after.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use super::Shape;
use crate::{Change, ChangeKind, Changes, Kind, Path, PathStep, TextStep, Value};

type Keyed = BTreeMap<(String, Kind), Shape>;

/// A change whose values are not those that were shown.
pub(super) fn mistold<'c>(before: &Keyed, after: &Keyed, changes: &'c Changes) -> Option<&'c Change> {
    changes.list.iter().find(|change| {
        let old = shown(at(before, &change.path), &change.kind);
        let new = shown(at(after, &change.path), &change.kind);
        let anew = came_anew(change, changes);
        if let ChangeKind::Text(steps) = &change.kind {
            let text = |roots: &Keyed| at(roots, &change.path).map_or("", text).to_string();
            let leads_to_new = |old: &str| replay(old, steps) == Some(text(after));
            return !(leads_to_new(&text(before)) || anew && leads_to_new(""));
        }
        (!agree(&change.old, &old) && !anew) || !agree(&change.new, &new)
    })
}

/// Whether something above the change is told of as well: it may be another than the one that was there before.
fn came_anew(change: &Change, changes: &Changes) -> bool {
    let steps = change.path.steps();
    changes.list.iter().any(|above| {
        let depth = above.path.steps().len();
        let next = steps.get(depth).filter(|_| steps.starts_with(above.path.steps()));
        match (next, &above.kind) {
            (Some(PathStep::Key { key, .. }), ChangeKind::Key(changed)) => key == changed,
            (Some(PathStep::Element(id)), ChangeKind::Inserted(came)) => id == came,
            _ => false,
        }
    })
}

/// A counter that shows nothing in a dump may be one that is there and is 0.
fn agree(told: &Option<Value>, shown: &Option<Value>) -> bool {
    told == shown || (*told == Some(Value::Int(0)) && shown.is_none())
}

fn at<'s>(roots: &'s Keyed, path: &Path) -> Option<&'s Shape> {
    let mut steps = path.steps().iter();
    let Some(PathStep::Root { name, kind }) = steps.next() else { return None };
    let mut shape = roots.get(&(name.to_string(), *kind))?;
    for step in steps {
        shape = match (shape, step) {
            (Shape::Map(keys), PathStep::Key { key, kind }) => keys.get(&(key.to_string(), *kind))?,
            (Shape::List(elements), PathStep::Element(id)) => &elements.iter().find(|element| element.0 == *id)?.1,
            _ => return None,
        };
    }
    Some(shape)
}

/// What reading that part of a container plainly gives.
fn shown(shape: Option<&Shape>, part: &ChangeKind) -> Option<Value> {
    match (shape?, part) {
        (Shape::Map(keys), ChangeKind::Key(key)) => {
            let of = |kind| keys.get(&(key.to_string(), kind)).and_then(plain);
            of(Kind::REGISTER).or_else(|| of(Kind::FLAG))
        }
        (Shape::Set(members), ChangeKind::Member(member)) => members.contains(member).then_some(Value::Bool(true)),
        (Shape::List(elements), ChangeKind::Inserted(id) | ChangeKind::Removed(id) | ChangeKind::Moved(id)) => {
            plain(&elements.iter().find(|element| element.0 == *id)?.1)
        }
        (shape, ChangeKind::Value) => plain(shape),
        _ => None,
    }
}

fn text(shape: &Shape) -> &str {
    if let Shape::Text(text) = shape { text } else { "" }
}

/// A text with steps done to it; nothing if they are not steps of it, or not as they are told.
fn replay(old: &str, steps: &[TextStep]) -> Option<String> {
    let mut rest = old.chars();
    let mut text = String::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            TextStep::Insert(new) if new.is_empty() => return None,
            TextStep::Retain(_) if at + 1 == steps.len() => return None,
            TextStep::Insert(new) => text.push_str(new),
            TextStep::Retain(len) | TextStep::Delete(len) => {
                let part: String = rest.by_ref().take(len.chars).collect();
                let is_so_long = part.chars().count() == len.chars && part.encode_utf16().count() == len.utf16;
                if len.chars == 0 || !is_so_long {
                    return None;
                }
                if matches!(step, TextStep::Retain(_)) {
                    text.push_str(&part);
                }
            }
        }
    }
    text.extend(rest);
    Some(text)
}

fn plain(shape: &Shape) -> Option<Value> {
    match shape {
        Shape::Register(values) => values.first().cloned(),
        Shape::Flag(is_on) => is_on.then_some(Value::Bool(true)),
        Shape::Extreme(value) => value.clone(),
        Shape::Bounded { value: sum, .. } | Shape::Counter(sum) => {
            Some(Value::Int((*sum).clamp(i64::MIN.into(), i64::MAX.into()) as i64))
        }
        Shape::Set(_) | Shape::Map(_) | Shape::List(_) | Shape::Text(_) => None,
    }
}
