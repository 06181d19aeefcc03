//! What `{:?}` shows: the contents, not how they are held.
//!
//! All that is under a key is shown, one of each kind, and all values of a conflict, the winner first: this is for whoever wonders.

use core::fmt;

use super::{CounterRef, FlagRef, ListRef, MapRef, NodeRef, RegisterRef, SetRef};
use crate::codec::limits;
use crate::document::Document;

/// One container, and how many containers it is in, itself included.
struct Shown<'d> {
    node: NodeRef<'d>,
    depth: usize,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = |node| Shown { node, depth: self.depth + 1 };
        match self.node {
            NodeRef::Register(register) => match &register.values_ref()[..] {
                [] => f.write_str("unset"),
                [value] => value.fmt(f),
                values => f.debug_tuple("Conflict").field(&values).finish(),
            },
            NodeRef::Flag(flag) => flag.is_enabled().fmt(f),
            NodeRef::Counter(counter) => counter.value().fmt(f),
            NodeRef::Set(set) => f.debug_set().entries(set.iter()).finish(),
            // As deep as containers may be; no stack is deep enough for whoever does not keep to that.
            NodeRef::Map(_) | NodeRef::List(_) if self.depth > limits::MAX_CONTAINER_DEPTH => f.write_str("…"),
            NodeRef::Map(map) => {
                let all = map.keys().flat_map(|key| map.nodes(key).map(move |node| (key, inside(node))));
                f.debug_map().entries(all).finish()
            }
            NodeRef::List(list) => f.debug_list().entries(list.iter().map(|(_, node)| inside(node))).finish(),
        }
    }
}

macro_rules! containers {
    ($($type:ident)*) => {$(
        impl fmt::Debug for $type<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Shown { node: (*self).into(), depth: 1 }.fmt(f)
            }
        }
    )*};
}

containers! { NodeRef RegisterRef FlagRef CounterRef SetRef MapRef ListRef }

/// The roots that hold something.
struct Roots<'d>(&'d Document);

impl fmt::Debug for Roots<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.nodes()).finish()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut document = f.debug_struct("Document");
        document.field("writer", &self.writer()).field("version", &self.version()).field("roots", &Roots(self));
        document.finish_non_exhaustive()
    }
}
