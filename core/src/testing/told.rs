//! Whether changes tell of everything that is shown differently, by comparing what was shown before and after.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::Shape;
use crate::clock::Dot;
use crate::{ChangeKind, Changes, Kind, Path, PathStep, Value};

type Keyed = BTreeMap<(String, Kind), Shape>;

/// Where something is shown differently and no change says so: at that container, or above it where it came or went as a
/// whole.
pub(super) fn untold(before: &Keyed, after: &Keyed, changes: &Changes) -> Option<Path> {
    let told = Told { changes };
    let roots = before.keys().chain(after.keys());
    roots.into_iter().find_map(|root| told.missing(&Path::root(&root.0, root.1), before.get(root), after.get(root)))
}

struct Told<'c> {
    changes: &'c Changes,
}

impl Told<'_> {
    fn says(&self, path: &Path, kind: &ChangeKind) -> bool {
        self.changes.list.iter().any(|change| change.path == *path && change.kind == *kind)
    }

    /// The first container at `path` or below that changed without a word. A root that shows nothing is in no dump.
    fn missing(&self, path: &Path, before: Option<&Shape>, after: Option<&Shape>) -> Option<Path> {
        if before == after {
            return None;
        }
        let ok = match before.or(after)? {
            Shape::Register(_) | Shape::Extreme(_) | Shape::Flag(_) | Shape::Counter(_) | Shape::Bounded { .. } => {
                self.says(path, &ChangeKind::Value)
            }
            Shape::Text(_) => {
                let is_told = |kind: &ChangeKind| matches!(kind, ChangeKind::Text(_));
                self.changes.list.iter().any(|change| change.path == *path && is_told(&change.kind))
            }
            Shape::Set(_) => {
                let (old, new) = (members(before), members(after));
                let mut all = old.iter().chain(new);
                all.all(|member| {
                    old.contains(member) == new.contains(member) || self.says(path, &ChangeKind::Member(member.clone()))
                })
            }
            Shape::Map(_) => {
                let none = Keyed::new();
                let (old, new) = (keys(before).unwrap_or(&none), keys(after).unwrap_or(&none));
                for key in old.keys().chain(new.keys()) {
                    let (was, is) = (old.get(key), new.get(key));
                    if was == is || self.says(path, &ChangeKind::Key(key.0.as_str().into())) {
                        continue;
                    }
                    if was.is_none() || is.is_none() {
                        return Some(path.clone());
                    }
                    let inner = path.join(PathStep::Key { key: key.0.as_str().into(), kind: key.1 });
                    if let Some(missing) = self.missing(&inner, was, is) {
                        return Some(missing);
                    }
                }
                true
            }
            Shape::List(_) => return self.missing_in_list(path, elements(before), elements(after)),
        };
        (!ok).then(|| path.clone())
    }

    fn missing_in_list(&self, path: &Path, old: &[(Dot, Shape)], new: &[(Dot, Shape)]) -> Option<Path> {
        // What came was not there and is now, and the other way round.
        let shape = |all: &[(Dot, Shape)], id: Dot| all.iter().find(|other| other.0 == id).map(|other| other.1.clone());
        // What neither came, went nor moved is in the order that it had.
        let stays = |all: &[(Dot, Shape)]| -> Vec<Dot> {
            let ids = all.iter().map(|element| element.0);
            ids.filter(|id| {
                let kinds = [ChangeKind::Inserted(*id), ChangeKind::Removed(*id), ChangeKind::Moved(*id)];
                !kinds.iter().any(|kind| self.says(path, kind))
            })
            .collect()
        };
        if stays(old) != stays(new) {
            return Some(path.clone());
        }
        for change in self.changes.list.iter().filter(|change| change.path == *path) {
            let (was, is) = match change.kind {
                ChangeKind::Inserted(id) => (shape(old, id).is_some(), shape(new, id).is_some()),
                ChangeKind::Removed(id) => (shape(old, id).is_none(), shape(new, id).is_none()),
                _ => continue,
            };
            if was || !is {
                return Some(path.clone());
            }
        }
        stays(new).into_iter().find_map(|id| {
            let inner = path.join(PathStep::Element(id));
            self.missing(&inner, shape(old, id).as_ref(), shape(new, id).as_ref())
        })
    }
}

fn members(shape: Option<&Shape>) -> &[Value] {
    if let Some(Shape::Set(members)) = shape { members } else { &[] }
}

fn keys(shape: Option<&Shape>) -> Option<&Keyed> {
    if let Some(Shape::Map(keys)) = shape { Some(keys) } else { None }
}

fn elements(shape: Option<&Shape>) -> &[(Dot, Shape)] {
    if let Some(Shape::List(elements)) = shape { elements } else { &[] }
}
