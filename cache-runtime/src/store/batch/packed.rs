//! One request for several entries, their leases and the generations of their groups, and how its answer is taken apart.
//!
//! A generation that several need is asked for once, and so is an entry for which several ask in a row. On a cluster this is the place where a request becomes one for each slot.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use redis::{Cmd, Pipeline, RedisResult};

use crate::key::{self, Key};
use crate::near::coherence::Teller;
use crate::seen::Tokens;
use crate::store::Watch;
use crate::store::answers::{Answers, Found};
use crate::store::ask::Request;
use crate::store::read::{UNWATCHED, write_head, write_text};
use crate::store::redis::{generation_of, lease_number};
use crate::store::wire::{LINE_END, Spans, Texts};

/// Groups among which one is searched for by looking at each.
const FEW: usize = 16;

pub(in crate::store) struct Packed {
    watch: Watch,
    /// What is asked for, each name as a text.
    texts: Vec<u8>,
    names: usize,
    groups: usize,
    /// Which of the generations groups have, those of one key after those of another.
    places: Vec<usize>,
    /// Where those of one key stand, for each that has not the same groups as the one before.
    grouped: Vec<Range<usize>>,
    asked: Vec<Asked>,
}

/// What one asks for.
#[derive(Clone, Copy)]
struct Asked {
    /// Which of the entries.
    entry: usize,
    /// Which of the sets of groups.
    grouped: usize,
}

pub(in crate::store) enum Mget {
    Watched(Cmd),
    /// The server is told that nobody wants to know of changes to what is read, which spares it the memory of that.
    Unwatched(Pipeline),
}

impl Mget {
    pub(in crate::store) fn request(&self) -> Request<'_> {
        match self {
            Self::Watched(command) => Request::Command(command),
            Self::Unwatched(commands) => Request::LastOf(commands),
        }
    }

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
        let mut texts = Vec::with_capacity(128 * count + 128);
        let mut names = Names::default();
        let mut groups = Groups::default();
        let (mut places, mut sets) = (Vec::new(), Vec::new());
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
                Some((_, before)) => before.grouped,
                None => {
                    let start = places.len();
                    places.extend(key.groups().map(|group| groups.place(group)));
                    sets.push(start..places.len());
                    reach = key.reach();
                    sets.len() - 1
                }
            };
            let same = before.filter(|(last, _)| last.as_str() == key.as_str());
            let entry = match same {
                Some((_, before)) => before.entry,
                None => {
                    names.write(&mut texts, key.as_str());
                    entries += 1;
                    entries - 1
                }
            };
            asked.push(Asked { entry, grouped });
        }
        for group in &groups.names {
            write_text(&mut texts, key::generation_name_parts(group));
        }
        Self {
            watch,
            names: 2 * entries + groups.names.len(),
            texts,
            groups: groups.names.len(),
            places,
            grouped: sets,
            asked,
        }
    }

    /// How many answers come, the last of interest.
    pub(in crate::store) fn answers(&self) -> usize {
        match self.watch {
            Watch::Kept => 1,
            Watch::None => 2,
        }
    }

    /// Writes the request as the server reads it.
    pub(in crate::store) fn write(&self, out: &mut Vec<u8>) {
        if self.watch == Watch::None {
            out.extend_from_slice(UNWATCHED);
        }
        write_head(out, b'*', 1 + self.names);
        out.extend_from_slice(b"$4\r\nMGET\r\n");
        out.extend_from_slice(&self.texts);
    }

    /// The same for the client to write.
    pub(in crate::store) fn command(&self) -> Mget {
        let mut mget = Cmd::with_capacity(1 + self.names, self.texts.len());
        mget.arg("MGET");
        for name in Spans::of(&self.texts).flatten().flatten() {
            mget.arg(name.of_bytes(&self.texts));
        }
        Mget::of(mget, self.watch)
    }

    /// What was found for each key, in their order; `None`: the texts are the answer to something else.
    pub(in crate::store) fn take_apart(
        &self,
        texts: Texts,
        teller: Option<&Arc<Teller>>,
    ) -> Option<Arc<Answers>> {
        let bytes = texts.bytes();
        let mut spans = texts.spans().map(RedisResult::ok);
        let mut found: Vec<Found> = Vec::with_capacity(self.asked.len());
        let mut last = None;
        for asked in &self.asked {
            let before = found.last().filter(|_| last == Some(asked.entry));
            let (entry, lease) = match before {
                Some(before) => (before.entry, before.lease),
                None => {
                    let (entry, lease) = (spans.next()??, spans.next()??);
                    (
                        entry,
                        lease.map(|lease| lease_number(lease.of_bytes(bytes))),
                    )
                }
            };
            last = Some(asked.entry);
            found.push(Found {
                entry,
                lease,
                generations: asked.grouped,
            });
        }
        let generation = |_| {
            let text = spans.next()??.map(|text| text.of_bytes(bytes));
            Some(generation_of(text))
        };
        let generations = (0..self.groups).map(generation);
        let generations: Vec<Option<u64>> = generations.collect::<Option<_>>()?;
        if spans.next().is_some() {
            return None;
        }
        let of_group = |place: &usize| generations.get(*place).copied().flatten();
        let of_groups = |places: &Range<usize>| {
            let places = self.places.get(places.clone()).unwrap_or_default();
            places.iter().map(of_group).collect::<Tokens>()
        };
        let generations = self.grouped.iter().map(of_groups).collect();
        Some(Answers::of_each(
            texts.into_bytes(),
            found,
            generations,
            self.watch.teller(teller).cloned(),
        ))
    }
}

/// Writes the names of entries and of their leases. What stands before, between and after them is the same for all of one
/// length, which nearly all have that are read together.
#[derive(Default)]
pub(super) struct Names {
    length: Option<usize>,
    around: [Vec<u8>; 3],
}

impl Names {
    pub(super) fn write(&mut self, out: &mut Vec<u8>, entry: &str) {
        if self.length == Some(entry.len()) {
            let [before, between, after] = &self.around;
            for part in [before, entry.as_bytes(), between, entry.as_bytes(), after] {
                out.extend_from_slice(part);
            }
            return;
        }
        let start = out.len();
        write_text(out, [entry]);
        let first = out.len() - LINE_END.len() - entry.len();
        let lease = key::lease_name_parts(entry);
        write_text(out, lease);
        let after = lease.last().map_or(0, |part| part.len());
        let second = out.len() - LINE_END.len() - after - entry.len();
        let parts = [
            start..first,
            first + entry.len()..second,
            second + entry.len()..out.len(),
        ];
        for (known, part) in self.around.iter_mut().zip(parts) {
            known.clear();
            known.extend_from_slice(out.get(part).unwrap_or_default());
        }
        self.length = Some(entry.len());
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
