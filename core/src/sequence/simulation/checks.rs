//! What must hold: of each list when it is shown, and of all lists together.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::Outcome;
use super::replica::covers;
use super::world::{Run, Story, World};
use crate::clock::{Dot, LocalDot};

impl World {
    /// Notes what a replica shows, and checks what holds at any time.
    pub(super) fn look(&mut self, who: usize) -> Outcome<()> {
        let replica = &self.replicas[who];
        let entries: Vec<_> = replica.sequence.iter().collect();
        if entries.len() != replica.live.len() {
            return Err("the sequence holds something else than what is live".into());
        }
        for (at, _) in &entries {
            let mut id = at.bunch;
            while id != LocalDot::ROOT {
                let Some(bunch) = replica.forest.get(id) else {
                    return Err(format!("SEQ-3: {id:?} is needed and missing"));
                };
                id = bunch.parent.bunch;
            }
        }
        for pair in entries.windows(2) {
            if replica.forest.compare(&replica.origins, pair[0].0, pair[1].0) != Ordering::Less {
                return Err("C2: the sequence is not in order".into());
            }
            self.shown.insert((replica.origins.dot(pair[0].1), replica.origins.dot(pair[1].1)));
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Outcome<()> {
        for who in 0..self.replicas.len() {
            self.check_stories(who)?;
        }
        for _ in 0..2 {
            for from in 0..self.replicas.len() {
                for to in (0..self.replicas.len()).filter(|to| *to != from) {
                    self.exchange(from, to)?;
                    self.any_diff(from, to)?;
                }
            }
        }
        let first = self.replicas[0].order();
        for replica in &self.replicas {
            if replica.version != self.replicas[0].version || replica.live != self.replicas[0].live {
                return Err("the replicas did not converge".into());
            }
            if replica.order() != first {
                return Err("C1: the same values are in another order".into());
            }
        }
        self.check_stories(0)?;
        self.check_acyclic()
    }

    /// C2 and, since every value was shown between its neighbours once, C3: no list ever contradicted another.
    pub(super) fn check_acyclic(&self) -> Outcome<()> {
        let mut before: BTreeMap<Dot, usize> = BTreeMap::new();
        for (first, second) in &self.shown {
            before.entry(*first).or_default();
            *before.entry(*second).or_default() += 1;
        }
        let mut free: Vec<Dot> = before.iter().filter(|(_, count)| **count == 0).map(|(dot, _)| *dot).collect();
        let mut sorted = 0;
        while let Some(dot) = free.pop() {
            sorted += 1;
            for (_, next) in self.shown.range((dot, Dot::ROOT)..).take_while(|pair| pair.0 == dot) {
                let count = before.get_mut(next).expect("every value shown is counted");
                *count -= 1;
                if *count == 0 {
                    free.push(*next);
                }
            }
        }
        if sorted == before.len() { Ok(()) } else { Err("C2: two values have swapped".into()) }
    }

    /// C3, and N1 to N3 where they are promised.
    pub(super) fn check_stories(&self, who: usize) -> Outcome<()> {
        let order = self.replicas[who].order();
        let index: BTreeMap<Dot, usize> = order.iter().enumerate().map(|(at, dot)| (*dot, at)).collect();
        for (at, x) in order.iter().enumerate() {
            let Story { left, right, .. } = &self.stories[x];
            let find = |dot: &Option<Dot>| dot.and_then(|dot| index.get(&dot));
            if find(left).is_some_and(|left| *left >= at) || find(right).is_some_and(|right| *right <= at) {
                return Err(format!("C3: {x} has left its neighbours"));
            }
        }
        if !self.promises_runs() {
            return Ok(());
        }
        for (at, x) in order.iter().enumerate() {
            let story = &self.stories[x];
            let Some((u, start)) = story.left.and_then(|u| index.get(&u).map(|start| (u, *start))) else { continue };
            for z in order[start + 1..at].iter().filter(|z| !covers(&self.stories[z].saw, *x)) {
                let mut ancestor = self.stories[z].left;
                while let Some(dot) = ancestor.filter(|dot| *dot != u) {
                    ancestor = self.stories[&dot].left;
                }
                if ancestor != Some(u) {
                    return Err(format!("N2: {z} is between {u} and {x}"));
                }
                if story.previous == Some(u) {
                    return Err(format!("N3: {z} tears {u} {x}"));
                }
            }
        }
        let live_runs: Vec<(&Run, usize, usize)> = self
            .runs
            .iter()
            .filter_map(|run| {
                let live = || run.values.iter().filter_map(|dot| index.get(dot).copied());
                Some((run, live().min()?, live().max()?))
            })
            .collect();
        let saw = |a: &Run, b: &Run| covers(&self.stories[&a.values[a.values.len() - 1]].saw, b.values[0]);
        for (at, (a, a_first, a_last)) in live_runs.iter().enumerate() {
            for (b, b_first, b_last) in &live_runs[at + 1..] {
                if a_first < b_last && b_first < a_last && !saw(a, b) && !saw(b, a) {
                    return Err(format!("N1: the runs of {} and {} are interleaved", a.values[0], b.values[0]));
                }
            }
        }
        Ok(())
    }
}
