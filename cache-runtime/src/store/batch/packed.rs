//! One request for several entries, their leases and the generations of their groups, and how its answer is taken apart.
//!
//! A generation that several need is asked for once, and so is an entry for which several ask in a row. On a cluster this is the place where a request becomes one for each slot.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use redis::{Cmd, Pipeline};

use crate::key::{self, Key};
use crate::near::coherence::Teller;
use crate::seen::Tokens;
use crate::store::ask::Request;
use crate::store::redis::{generation_of, lease_number};
use crate::store::{Bytes, Read, Watch};

/// Groups among which one is searched for by looking at each.
const FEW: usize = 16;

pub(in crate::store) struct Packed {
    mget: Mget,
    entries: usize,
    groups: usize,
    /// Which of the generations the groups of each have, one after the other.
    places: Vec<usize>,
    asked: Vec<Asked>,
}

/// What one asks for.
#[derive(Clone)]
struct Asked {
    /// Which of the entries.
    entry: usize,
    /// Where it stands what generations its groups have.
    places: Range<usize>,
}

enum Mget {
    Watched(Cmd),
    /// The server is told that nobody wants to know of changes to what is read, which spares it the memory of that.
    Unwatched(Pipeline),
}

impl Mget {
    fn of(mget: Cmd, watch: Watch) -> Self {
        match watch {
            Watch::Kept => Self::Watched(mget),
            Watch::None => {
                let mut commands = Pipeline::with_capacity(2);
                commands.cmd("CLIENT").arg("CACHING").arg("NO");
                commands.add_command(mget);
                Self::Unwatched(commands)
            }
        }
    }
}

impl Packed {
    /// For a connection that tells of changes, unless `watch` is kept.
    pub(in crate::store) fn of<'k>(
        keys: impl ExactSizeIterator<Item = &'k Key>,
        watch: Watch,
    ) -> Self {
        let count = keys.len();
        // What is enough for nearly all.
        let mut mget = Cmd::with_capacity(2 * count + 8, 128 * count + 128);
        mget.arg("MGET");
        let mut name = String::with_capacity(128);
        let mut groups = Groups::default();
        let mut places = Vec::new();
        let mut asked: Vec<Asked> = Vec::with_capacity(count);
        let mut entries = 0;
        let mut last: Option<&Key> = None;
        let mut reach = None;
        for key in keys {
            let before = last.replace(key).zip(asked.last());
            // Most have the groups of the one before.
            let alike = before
                .filter(|(last, _)| reach.is_some_and(|reach| key.is_grouped_like(last, reach)));
            let grouped = match alike {
                Some((_, before)) => before.places.clone(),
                None => {
                    let start = places.len();
                    places.extend(key.groups().map(|group| groups.place(group)));
                    reach = key.reach();
                    start..places.len()
                }
            };
            let same = before.filter(|(last, _)| last.as_str() == key.as_str());
            let entry = match same {
                Some((_, before)) => before.entry,
                None => {
                    mget.arg(key.as_str());
                    name.clear();
                    key::write_lease_name(&mut name, key.as_str());
                    mget.arg(&*name);
                    entries += 1;
                    entries - 1
                }
            };
            asked.push(Asked {
                entry,
                places: grouped,
            });
        }
        for group in &groups.names {
            name.clear();
            key::write_generation_name(&mut name, group);
            mget.arg(&*name);
        }
        Self {
            mget: Mget::of(mget, watch),
            entries,
            groups: groups.names.len(),
            places,
            asked,
        }
    }

    /// How many values answer it.
    pub(in crate::store) fn count(&self) -> usize {
        2 * self.entries + self.groups
    }

    pub(in crate::store) fn request(&self) -> Request<'_> {
        match &self.mget {
            Mget::Watched(command) => Request::Command(command),
            Mget::Unwatched(commands) => Request::LastOf(commands),
        }
    }

    /// What was found for each key, in their order.
    pub(in crate::store) fn take_apart(
        &self,
        mut values: Vec<Option<Bytes>>,
        teller: Option<&Arc<Teller>>,
    ) -> impl Iterator<Item = Read> {
        let generations = values.split_off((2 * self.entries).min(values.len()));
        let generations: Vec<Option<u64>> = generations
            .iter()
            .map(|value| generation_of(value.as_deref()))
            .collect();
        let tokens_at = move |places: &Range<usize>| {
            let places = self.places.get(places.clone()).unwrap_or_default();
            let of_group = |place: &usize| generations.get(*place).copied().flatten();
            places.iter().map(of_group).collect::<Tokens>()
        };
        let mut values = values.into_iter();
        let mut last: Option<(&Asked, Tokens)> = None;
        let mut found = (None, None);
        self.asked.iter().enumerate().map(move |(at, asked)| {
            let next = self.asked.get(at + 1);
            let before = last.take();
            if before
                .as_ref()
                .is_none_or(|(last, _)| last.entry != asked.entry)
            {
                let entry = values.next().flatten();
                found = (entry, values.next().flatten().as_deref().map(lease_number));
            }
            let generations = match before {
                Some((last, tokens)) if last.places == asked.places => tokens,
                _ => tokens_at(&asked.places),
            };
            last = Some((asked, generations.clone()));
            Read {
                entry: match next.is_some_and(|next| next.entry == asked.entry) {
                    true => found.0.clone(),
                    false => found.0.take(),
                },
                lease: found.1,
                generations,
                teller: teller.cloned(),
            }
        })
    }
}

/// Groups, each once.
#[derive(Default)]
struct Groups<'k> {
    names: Vec<&'k str>,
    /// Where each stands, once there are many.
    index: HashMap<&'k str, usize>,
}

impl<'k> Groups<'k> {
    /// Where a group stands.
    fn place(&mut self, group: &'k str) -> usize {
        if let Some(place) = self.find(group) {
            return place;
        }
        let next = self.names.len();
        self.names.push(group);
        if next == FEW {
            let names = self.names.iter().enumerate();
            self.index = names.map(|(at, name)| (*name, at)).collect();
        } else if next > FEW {
            self.index.insert(group, next);
        }
        next
    }

    fn find(&self, group: &str) -> Option<usize> {
        match self.index.is_empty() {
            true => self.names.iter().position(|name| *name == group),
            false => self.index.get(group).copied(),
        }
    }
}
