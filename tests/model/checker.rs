//! An exhaustive search, breadth first: so a counterexample is one of the shortest, and the same at every run.
//!
//! Of a visited state only a 64-bit fingerprint is kept, with that of the state it was reached from.
//! A counterexample is found again from the beginning, by walking along the fingerprints.
//! Two states with one fingerprint would hide the second; with a million states the odds are one in ten millions.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// What is searched.
pub(crate) trait Model {
    type State: Copy + Eq + Hash;
    type Step: Copy + Debug;

    fn start(&self) -> Self::State;

    /// Every step that is possible, with the state it leads to or the promise it breaks.
    fn steps(&self, state: &Self::State, add: &mut Steps<Self::Step, Self::State>);
}

pub(crate) type Steps<Step, State> = Vec<(Step, Result<State, &'static str>)>;

/// What a search found.
pub(crate) struct Report<Step> {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    pub(crate) counterexample: Option<Counterexample<Step>>,
}

/// The way to a broken promise.
pub(crate) struct Counterexample<Step> {
    pub(crate) steps: Vec<Step>,
    pub(crate) broken: &'static str,
}

/// Searches all states, or up to the first broken promise.
pub(crate) fn search<M: Model>(model: &M) -> Report<M::Step> {
    let start = model.start();
    let mut came_from = Visited::default();
    came_from.insert(fingerprint(&start), 0);
    let mut layer = vec![start];
    let mut depth = 0;
    let mut steps = Vec::new();
    while !layer.is_empty() {
        let mut next_layer = Vec::new();
        for state in &layer {
            model.steps(state, &mut steps);
            let here = fingerprint(state);
            for (step, result) in steps.drain(..) {
                match result {
                    Ok(next) => {
                        came_from.entry(fingerprint(&next)).or_insert_with(|| {
                            next_layer.push(next);
                            here
                        });
                    }
                    Err(broken) => {
                        let mut way = way_to(model, &came_from, here);
                        way.push(step);
                        return Report {
                            states: came_from.len(),
                            depth,
                            counterexample: Some(Counterexample { steps: way, broken }),
                        };
                    }
                }
            }
        }
        depth += usize::from(!next_layer.is_empty());
        layer = next_layer;
    }
    Report {
        states: came_from.len(),
        depth,
        counterexample: None,
    }
}

/// The steps that lead to the state with this fingerprint.
fn way_to<M: Model>(model: &M, came_from: &Visited, goal: u64) -> Vec<M::Step> {
    let mut state = model.start();
    let first = fingerprint(&state);
    let back = |&at: &u64| (at != first).then(|| came_from[&at]);
    let mut marks: Vec<_> = std::iter::successors(Some(goal), back).collect();
    // The last mark is that of the start.
    marks.pop();
    let mut way = Vec::new();
    let mut steps = Vec::new();
    for mark in marks.into_iter().rev() {
        model.steps(&state, &mut steps);
        let found = steps.drain(..).find_map(|(step, next)| {
            let next = next.ok().filter(|next| fingerprint(next) == mark)?;
            Some((step, next))
        });
        let (step, next) = found.expect("a way that was gone once can be gone again");
        way.push(step);
        state = next;
    }
    way
}

/// From each fingerprint to that of the state before.
type Visited = HashMap<u64, u64, BuildHasherDefault<Folding>>;

fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = Folding::default();
    state.hash(&mut hasher);
    hasher.finish()
}

/// A hasher for short byte strings, since SipHash took half the time of the search.
#[derive(Default)]
struct Folding(u64);

impl Folding {
    fn fold(&mut self, word: u64) {
        // As in wyhash: both halves of a wide product. The multiplier is that of splitmix64.
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64).rotate_left(32);
        self.0 = self
            .0
            .wrapping_add(word.rotate_left(17) ^ 0xbf58_476d_1ce4_e5b9);
    }
}

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        let mut mixed = self.0;
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        }
        mixed ^ (mixed >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.fold(u64::from(byte) + 1);
    }

    fn write_u64(&mut self, word: u64) {
        self.fold(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.fold(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.fold(word as u64);
    }
}
