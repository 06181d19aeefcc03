//! What a document shows, as JSON: the serde form (`serialize`) as a tree of `serde_json`.

use serde_json::Value as Json;

use super::{
    BoundedCounterRef, CounterRef, DisableWinsFlagRef, FlagRef, GrowOnlySetRef, ListRef, MapRef, MaxRegisterRef,
    MinRegisterRef, NodeRef, RegisterRef, RemoveWinsSetRef, SetRef, TextRef,
};
use crate::document::Document;

fn json(shown: &impl serde_core::Serialize) -> Json {
    serde_json::to_value(shown).expect("keys are text and numbers have 64 bits, so everything has a form in JSON")
}

impl Document {
    /// All that the document shows, as JSON: the same for every replica of the same version. O(document).
    ///
    /// Maps become objects; lists and sets, arrays; texts, strings; counters, numbers (beyond 64 bits: decimal text); flags, truth
    /// values; registers, their values, with null for what is no finite number and lower-case hexadecimal text for bytes. Of several kinds under one
    /// key or root name the one that stands for all is shown, as in [`MapRef::iter`]; of concurrent values, the winner. What this
    /// version cannot read, and what is nested deeper than containers may be, is null.
    ///
    /// `Document` implements serde's `Serialize`, so `serde_json::to_string(&document)` writes the same without the tree between.
    ///
    /// ```
    /// # use weftline::{Document, EditError, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| {
    ///     let mut todo = tx.map("todo")?;
    ///     todo.put("title", "buy milk")?;
    ///     todo.enable("urgent")?;
    ///     todo.counter("votes")?.add(3)?;
    ///     todo.list("tags")?.push("home")
    /// })?;
    /// let json = serde_json::json!({
    ///     "todo": { "title": "buy milk", "urgent": true, "votes": 3, "tags": ["home"] }
    /// });
    /// assert_eq!(doc.to_json(), json);
    /// assert_eq!(doc.map("todo").list("tags").to_json(), json["todo"]["tags"]);
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn to_json(&self) -> Json {
        json(self)
    }
}

macro_rules! containers {
    ($($type:ident)*) => {$(
        impl $type<'_> {
            /// What it shows, as JSON; see [`Document::to_json`]. O(what is inside).
            pub fn to_json(&self) -> Json {
                json(self)
            }
        }
    )*};
}

containers! {
    NodeRef RegisterRef FlagRef CounterRef SetRef MapRef ListRef TextRef
    MaxRegisterRef MinRegisterRef DisableWinsFlagRef RemoveWinsSetRef GrowOnlySetRef BoundedCounterRef
}
