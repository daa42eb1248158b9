//! One request for several entries, their leases and the generations of their groups, and how its answer is taken apart.
//!
//! A generation that several need is asked for once. On a cluster this is the place where a request becomes one for each slot.

use std::collections::HashMap;
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
    /// Which of the generations each entry's groups have, one entry after the other.
    places: Vec<usize>,
    /// Where those of each entry end.
    ends: Vec<usize>,
}

enum Mget {
    Watched(Cmd),
    /// The server is told that nobody wants to know of changes to what is read, which spares it the memory of that.
    Unwatched(Pipeline),
}

impl Packed {
    /// For a connection that tells of changes, unless `watch` is kept.
    pub(in crate::store) fn of<'k>(
        keys: impl ExactSizeIterator<Item = &'k Key>,
        watch: Watch,
    ) -> Self {
        let entries = keys.len();
        // What is enough for nearly all.
        let mut mget = Cmd::with_capacity(2 * entries + 8, 128 * entries + 128);
        mget.arg("MGET");
        let mut name = String::with_capacity(128);
        let mut groups = Groups::default();
        let mut places = Vec::with_capacity(4 * entries);
        let mut ends = Vec::with_capacity(entries);
        let mut last = 0;
        for key in keys {
            mget.arg(key.as_str());
            name.clear();
            key::write_lease_name(&mut name, key.as_str());
            mget.arg(&*name);
            let end = places.len();
            for (at, group) in key.groups().enumerate() {
                // Most have the groups of the one before.
                let likely = places.get(last + at).copied();
                places.push(groups.place(group, likely));
            }
            last = end;
            ends.push(places.len());
        }
        for group in &groups.names {
            name.clear();
            key::write_generation_name(&mut name, group);
            mget.arg(&*name);
        }
        let groups = groups.names.len();
        let mget = match watch {
            Watch::Kept => Mget::Watched(mget),
            Watch::None => {
                let mut commands = Pipeline::with_capacity(2);
                commands.cmd("CLIENT").arg("CACHING").arg("NO");
                commands.add_command(mget);
                Mget::Unwatched(commands)
            }
        };
        Self {
            mget,
            entries,
            groups,
            places,
            ends,
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
        let mut values = values.into_iter();
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let places = self.places.get(start..*end).unwrap_or_default();
            start = *end;
            let of_group = |place: &usize| generations.get(*place).copied().flatten();
            Read {
                entry: values.next().flatten(),
                lease: values.next().flatten().as_deref().map(lease_number),
                generations: places.iter().map(of_group).collect::<Tokens>(),
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
    /// Where a group stands, which is perhaps there.
    fn place(&mut self, group: &'k str, likely: Option<usize>) -> usize {
        let known = likely.filter(|at| self.names.get(*at) == Some(&group));
        if let Some(place) = known.or_else(|| self.find(group)) {
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
