//! The shape of a type as its `Deserialize` shows it, in one number.
//! Adding, removing, renaming, reordering or retyping anything gives another number, so bytes of another version of a type are
//! a miss: bincode and postcard would read them as garbage without an error.
//!
//! A probe plays the deserializer: it writes down what the type asks for and answers with small valid values.
//! Where a question has several answers (the variants of an enum, a text the type may refuse) it asks the type again.
//! It must end, must not fail, and must say the same in every process.

use std::any::type_name;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::{self, DeserializeOwned, Visitor};
use xxhash_rust::xxh3::Xxh3;

mod questions;

/// What the probe found.
///
/// Not seen, so store under another prefix when the type changes there:
/// - what lies behind a type that refuses all of the probe's values, and the fields after it;
/// - the inside of `untagged`, internally tagged and flattened types;
/// - what only `Serialize` knows, and what a type asks only a human-readable format for;
/// - another meaning of the same shape (cents for euros).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) fingerprint: u64,
    /// The type asks what comes next (`untagged`, `flatten`, `serde_json::Value`), which only some codecs can tell.
    pub(crate) self_describing: bool,
    /// The type took values throughout: nothing is hidden behind a refusal or a limit.
    pub(crate) complete: bool,
}

/// This probes `T`: some microseconds, so once per type and process.
pub(crate) fn shape_of<T: DeserializeOwned>() -> Shape {
    let mut probe = Probe::default();
    while probe.pass::<T>() == Progress::More {}
    probe.conclude()
}

/// How often the type is asked; a type needs about as many passes as its enums have variants in all.
const PASSES: usize = 1024;
/// How many questions are answered in all; bounds types that branch without end.
const QUESTIONS: usize = 1 << 16;
const DEPTH: usize = 64;

#[derive(PartialEq)]
enum Progress {
    More,
    Done,
}

#[derive(Default)]
struct Probe {
    hash: Xxh3,
    passes: usize,
    questions: usize,
    self_describing: bool,
    /// The last pass went through.
    complete: bool,
    /// Something was never seen: refused whatever the answer, or not asked for the sake of an end.
    hidden: bool,
    /// Every question at every place it was asked, over all passes.
    nodes: Vec<Node>,
    at: HashMap<Place, usize>,
    /// The answer that worked, for what was asked elsewhere before: otherwise nested enums multiply.
    known: HashMap<Question, Option<usize>>,
    /// Where this pass is.
    place: Place,
    asking: Vec<(Question, usize)>,
    /// Questions met in this pass that have answers left.
    open: usize,
    /// Answers cut short in this pass because a type met itself.
    cuts: usize,
    /// The refusal on its way up has been attributed.
    refused: bool,
    last_leaf: Option<usize>,
}

/// The n-th question under one answer to another; 0 is no question but the type itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Place {
    under: usize,
    answer: usize,
    ordinal: usize,
}

/// What is asked, by whom.
/// Names of types are compared, never hashed into the fingerprint: other compilers spell them otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    kind: Kind,
    visitor: &'static str,
    value: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// A scalar: the first answer that is taken is enough.
    Leaf,
    /// Fields: one answer.
    Fields,
    /// Option, sequence or map: something in it, and if that cannot be, nothing.
    MaybeEmpty,
    /// Enum: every answer is of interest.
    Variants,
}

struct Node {
    question: Question,
    answers: usize,
    /// The answer to try next.
    next: usize,
    /// The first answer that was taken.
    good: Option<usize>,
    explored: bool,
    /// Part of it was cut short, so what is known here does not hold elsewhere.
    cut: bool,
    /// A variant failed for being cut; worth a second round once another variant is known to work.
    retry: Retry,
}

#[derive(Clone, Copy, PartialEq)]
enum Retry {
    No,
    Wanted,
    Done,
}

/// The answer to give, and what may come of it.
enum Turn {
    Explore(usize),
    /// The type met itself: answer with what ends the recursion.
    Cut(usize),
}

/// Ends a pass; nobody reads it.
#[derive(Debug)]
struct Refused;

impl Probe {
    /// Lets the type deserialize itself once.
    fn pass<T: DeserializeOwned>(&mut self) -> Progress {
        self.passes += 1;
        self.open = 0;
        self.place = Place::default();
        self.asking.clear();
        self.refused = false;
        self.last_leaf = None;
        self.word("pass");
        // A type may insist on its values and panic on ours; that must not reach whoever called a cached function.
        let taken = catch_unwind(AssertUnwindSafe(|| T::deserialize(&mut *self).is_ok()));
        self.complete = taken.as_ref().is_ok_and(|taken| *taken);
        if let Ok(false) = taken {
            self.attribute_refusal();
        }
        if taken.is_err() || self.open == 0 {
            return Progress::Done;
        }
        if self.passes < PASSES && self.questions < QUESTIONS {
            return Progress::More;
        }
        self.hidden = true;
        Progress::Done
    }

    fn conclude(self) -> Shape {
        Shape {
            fingerprint: self.hash.digest(),
            self_describing: self.self_describing,
            complete: self.complete && !self.hidden && self.nodes.iter().all(Node::is_seen),
        }
    }

    /// Writes one thing down, with its length, so that two words never read as one.
    fn word(&mut self, word: &str) {
        self.number(word.len());
        self.hash.update(word.as_bytes());
    }

    fn number(&mut self, number: usize) {
        self.hash.update(&(number as u64).to_le_bytes());
    }

    fn words(&mut self, words: &[&str]) {
        self.number(words.len());
        for word in words {
            self.word(word);
        }
    }

    /// Has a question answered: picks the answer, lets `reply` give it, and notes what came of it.
    /// What the reply asks in turn stands between "(" and ")".
    fn ask<'de, V: Visitor<'de>>(
        &mut self,
        kind: Kind,
        answers: usize,
        visitor: V,
        reply: impl FnOnce(&mut Self, V, usize) -> Result<V::Value, Refused>,
    ) -> Result<V::Value, Refused> {
        self.refused = false;
        self.questions += 1;
        let question = Question {
            kind,
            visitor: type_name::<V>(),
            value: type_name::<V::Value>(),
        };
        let node = self.node_here(question, answers);
        let turn = self.turn(question, node);
        if let (Err(_) | Ok(Turn::Cut(_)), Some(node)) = (&turn, self.nodes.get_mut(node)) {
            node.cut = true;
        }
        let turn = turn?;
        let (Turn::Explore(answer) | Turn::Cut(answer)) = turn;

        let around = self.place;
        self.place = Place {
            under: node + 1,
            answer,
            ordinal: 0,
        };
        let leaf_before = self.last_leaf.take();
        let (open, cuts) = (self.open, self.cuts);
        self.asking.push((question, node));
        self.word("(");
        let replied = reply(self, visitor, answer);
        self.word(")");
        self.asking.pop();
        self.place = around;

        match (kind, &replied) {
            (Kind::Leaf, Ok(_)) => self.last_leaf = Some(node),
            (Kind::Leaf, Err(_)) => self.refused = true,
            (_, Err(_)) => self.attribute_refusal(),
            (_, Ok(_)) => {}
        }
        self.last_leaf = self.last_leaf.or(leaf_before);
        if let Turn::Explore(answer) = turn {
            let outcome = Outcome {
                taken: replied.is_ok(),
                open_below: self.open > open,
                cut_below: self.cuts > cuts,
            };
            self.settle(node, answer, &outcome);
        }
        replied
    }

    /// The node of the question asked at this place; the same in every pass.
    fn node_here(&mut self, question: Question, answers: usize) -> usize {
        let place = self.place;
        self.place.ordinal += 1;
        if let Some(node) = self.at.get(&place) {
            return *node;
        }
        let known = self.known.get(&question).copied();
        self.nodes.push(Node {
            question,
            answers,
            next: 0,
            good: known.flatten(),
            explored: known.is_some(),
            cut: false,
            retry: Retry::No,
        });
        let node = self.nodes.len() - 1;
        self.at.insert(place, node);
        node
    }

    fn turn(&mut self, question: Question, node: usize) -> Result<Turn, Refused> {
        if self.asking.len() >= DEPTH || self.questions > QUESTIONS {
            self.hidden = true;
            return Err(self.cut());
        }
        let mut same = self.asking.iter().filter(|(asked, _)| *asked == question);
        let (above, more) = (same.next().map(|(_, node)| *node), same.next());
        let node = self.nodes.get(node).ok_or(Refused)?;
        match (question.kind, above) {
            (Kind::Leaf, _) | (_, None) => Ok(Turn::Explore(node.answer())),
            (Kind::MaybeEmpty, Some(_)) => {
                let empty = node.answers.saturating_sub(1);
                self.cut();
                Ok(Turn::Cut(empty))
            }
            // A variant known to end the recursion lets the probe see what comes after; once, or it would go round in it.
            (Kind::Variants, Some(above)) if more.is_none() => {
                let ends = self.nodes.get(above).and_then(|above| above.good);
                let refused = self.cut();
                ends.map(Turn::Cut).ok_or(refused)
            }
            (Kind::Variants | Kind::Fields, Some(_)) => Err(self.cut()),
        }
    }

    /// Ends a branch, which is nobody's refusal.
    fn cut(&mut self) -> Refused {
        self.word("cut");
        self.cuts += 1;
        self.refused = true;
        Refused
    }

    /// A type refused what it had been given as a whole (`try_from`, a check after reading): the last leaf tries its next answer.
    fn attribute_refusal(&mut self) {
        if std::mem::replace(&mut self.refused, true) {
            return;
        }
        let leaf = self.last_leaf.and_then(|leaf| self.nodes.get_mut(leaf));
        let next = leaf.as_ref().and_then(|leaf| Some(leaf.good? + 1));
        match (leaf, next) {
            (Some(leaf), Some(next)) if next < leaf.answers => {
                leaf.next = next;
                leaf.good = None;
                leaf.explored = false;
                self.open += 1;
            }
            _ => self.hidden = true,
        }
    }

    /// Notes what came of an answer, and what to answer in the next pass.
    fn settle(&mut self, node: usize, answer: usize, outcome: &Outcome) {
        let Some(node) = self.nodes.get_mut(node) else {
            return;
        };
        node.cut |= outcome.cut_below;
        if outcome.taken && node.good.is_none() {
            node.good = Some(answer);
        }
        if !node.explored && !outcome.open_below {
            node.finish(answer, outcome);
        }
        if !node.explored {
            self.open += 1;
        } else if !node.cut {
            self.known.entry(node.question).or_insert(node.good);
        }
    }
}

struct Outcome {
    taken: bool,
    open_below: bool,
    cut_below: bool,
}

impl Node {
    /// The next to try, or when all is seen one that works.
    fn answer(&self) -> usize {
        match self.explored {
            true => self.good.unwrap_or(0),
            false => self.next,
        }
    }

    /// Some answer was taken, or the same was seen further up.
    fn is_seen(&self) -> bool {
        self.good.is_some() || self.cut
    }

    /// All there is to see under this answer was seen.
    fn finish(&mut self, answer: usize, outcome: &Outcome) {
        if outcome.cut_below && !outcome.taken && self.retry == Retry::No {
            self.retry = Retry::Wanted;
        }
        self.next = answer + 1;
        let enough = outcome.taken && self.question.kind != Kind::Variants;
        if !enough && self.next < self.answers {
            return;
        }
        if self.retry == Retry::Wanted
            && self.question.kind == Kind::Variants
            && self.good.is_some()
        {
            self.retry = Retry::Done;
            self.next = 0;
            return;
        }
        self.explored = true;
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the type refused the value")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
