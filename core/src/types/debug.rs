//! What `{:?}` shows: the contents, not how they are held.
//!
//! All that is under a key is shown, one of each kind, and all values of a conflict, the winner first: this is for whoever wonders.

use core::fmt;
use core::fmt::Debug as _;

use super::{
    BoundedCounterRef, CounterRef, DisableWinsFlagRef, FlagRef, GrowOnlySetRef, ListRef, MapRef, MaxRegisterRef,
    MinRegisterRef, NodeRef, RegisterRef, RemoveWinsSetRef, SetRef, TextRef,
};
use crate::codec::limits;
use crate::document::Document;
use crate::value::Value;

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
                [] => value(None, f),
                [one] => value(Some(one), f),
                values => f.debug_tuple("Conflict").field(&values).finish(),
            },
            NodeRef::MaxRegister(register) => value(register.get_ref(), f),
            NodeRef::MinRegister(register) => value(register.get_ref(), f),
            NodeRef::Flag(flag) => flag.is_enabled().fmt(f),
            NodeRef::DisableWinsFlag(flag) => flag.is_enabled().fmt(f),
            NodeRef::Counter(counter) => counter.value().fmt(f),
            NodeRef::BoundedCounter(counter) => counter.value().fmt(f),
            NodeRef::Text(text) => text.slice(..).fmt(f),
            NodeRef::Set(set) => f.debug_set().entries(set.iter()).finish(),
            NodeRef::RemoveWinsSet(set) => f.debug_set().entries(set.iter()).finish(),
            NodeRef::GrowOnlySet(set) => f.debug_set().entries(set.iter()).finish(),
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

fn value(value: Option<&Value>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Some(value) => value.fmt(f),
        None => f.write_str("unset"),
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

containers! {
    NodeRef RegisterRef FlagRef CounterRef SetRef MapRef ListRef TextRef
    MaxRegisterRef MinRegisterRef DisableWinsFlagRef RemoveWinsSetRef GrowOnlySetRef BoundedCounterRef
}

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
