//! What users do to a document in a simulation, and what must then be true of it.

use std::fmt;

use weftline::{Document, EditError, Transaction};

use crate::rng::Rng;
use crate::workload;

/// A document's schema, as a simulation needs to know it.
pub trait Schema {
    /// One edit of some user, drawn from `rng` and from nothing else, so that a seed replays.
    ///
    /// # Errors
    /// Any error fails the simulation: an edit that users could not make is not to be made here either.
    fn edit(&self, tx: &mut Transaction<'_>, rng: &mut Rng) -> Result<(), EditError>;

    /// Looks at the documents of all replicas when everything has come to rest. They are equal; this is for what an application promises
    /// beyond that.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check(&self, documents: &[&Document]) -> Result<(), String> {
        let _ = documents;
        Ok(())
    }
}

/// A schema of two closures: what users do, and what must then be true.
pub fn schema<E, C>(edit: E, check: C) -> impl Schema
where
    E: Fn(&mut Transaction<'_>, &mut Rng) -> Result<(), EditError>,
    C: Fn(&[&Document]) -> Result<(), String>,
{
    Closures { edit, check }
}

struct Closures<E, C> {
    edit: E,
    check: C,
}

impl<E, C> Schema for Closures<E, C>
where
    E: Fn(&mut Transaction<'_>, &mut Rng) -> Result<(), EditError>,
    C: Fn(&[&Document]) -> Result<(), String>,
{
    fn edit(&self, tx: &mut Transaction<'_>, rng: &mut Rng) -> Result<(), EditError> {
        (self.edit)(tx, rng)
    }

    fn check(&self, documents: &[&Document]) -> Result<(), String> {
        (self.check)(documents)
    }
}

/// Small edits of every type, nested and not.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllTypes;

impl Schema for AllTypes {
    fn edit(&self, tx: &mut Transaction<'_>, rng: &mut Rng) -> Result<(), EditError> {
        for _ in 0..rng.between(1, 3) {
            workload::step(tx, rng)?;
        }
        Ok(())
    }
}

impl fmt::Debug for dyn Schema + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a schema")
    }
}
