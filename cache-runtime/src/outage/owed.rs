//! What is owed to Redis: which names have to be deleted there, bounded, and which keys that covers.
//!
//! Beyond the bound single entries and deep levels give way to the level below the root that guards them, the noisiest
//! prefix first, and in the end everything gives way to the root. What stands for a name covers whatever the name does:
//! every key of that text, or with that group, has it among its own groups. The same holds of what stands for a pattern:
//! every key that matches has it among its own groups.

use std::collections::HashMap;

use crate::key::pattern::Pattern;
use crate::key::{self, Key};

/// Names remembered one by one, an entry and its lease as one; and what they may take in memory.
const BOUNDS: Bounds = Bounds {
    names: 10_000,
    bytes: 2 << 20,
};

/// Patterns remembered one by one, and how long one may be: each is matched with every key that is asked for, and costs a walk
/// over all keys when it is replayed.
const MOST_PATTERNS: usize = 16;
const LONGEST_PATTERN: usize = 1_024;

/// What a name takes beside its text: two words of its box, its number, and the room in the table.
const OVERHEAD: usize = 64;

/// The names that have to be deleted, each with the number of its last remembrance.
#[derive(Debug)]
pub(super) struct Owed {
    root: Box<str>,
    /// Groups whose generations have to go.
    groups: HashMap<Box<str>, u64>,
    /// Entries that have to go, with their leases.
    entries: HashMap<Box<str>, u64>,
    /// Patterns of entries that have to go, with their leases.
    patterns: HashMap<Box<str>, (Pattern, u64)>,
    bytes: usize,
    last: u64,
    bounds: Bounds,
    /// What whoever writes it all down does not know yet.
    news: Vec<String>,
}

/// How many names are remembered one by one, and what they may take in bytes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    names: usize,
    bytes: usize,
}

/// Everything that was owed up to a moment.
#[derive(Debug)]
pub(crate) struct Debt {
    pub(crate) names: Vec<String>,
    pub(crate) patterns: Vec<Pattern>,
    mark: Mark,
}

/// A moment: what is remembered later is not settled by what was asked for before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

/// What one of Redis' names stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name<'a> {
    Group(&'a str),
    Entry(&'a str),
}

impl<'a> Name<'a> {
    fn of(name: &'a str) -> Self {
        match (key::group_of_generation(name), key::entry_of_lease(name)) {
            (Some(group), _) => Self::Group(group),
            // It never goes alone.
            (None, Some(entry)) => Self::Entry(entry),
            (None, None) => Self::Entry(name),
        }
    }
}

impl Owed {
    pub(super) fn new(root: &str) -> Self {
        Self::within(root, BOUNDS)
    }

    fn within(root: &str, bounds: Bounds) -> Self {
        Self {
            root: root.into(),
            groups: HashMap::new(),
            entries: HashMap::new(),
            patterns: HashMap::new(),
            bytes: 0,
            last: 0,
            bounds,
            news: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    pub(super) fn count(&self) -> usize {
        self.groups.len() + self.entries.len() + self.patterns.len()
    }

    /// Remembers a name.
    pub(super) fn remember(&mut self, name: &str) {
        self.last += 1;
        let last = self.last;
        let text = name;
        let name = Name::of(text);
        if let Some(number) = self.coarser(name) {
            *number = last;
            return;
        }
        let (names, owed) = match name {
            Name::Group(group) => (&mut self.groups, group),
            Name::Entry(entry) => (&mut self.entries, entry),
        };
        if names.insert(owed.into(), last).is_none() {
            self.news.push(text.to_owned());
            self.bytes += owed.len() + OVERHEAD;
            self.keep_within_bounds();
        }
    }

    /// Remembers a pattern, or what stands for it.
    pub(super) fn remember_pattern(&mut self, pattern: &Pattern) {
        let group = self.group_around(pattern);
        let name = key::generation_name(&group);
        let text = pattern.as_str();
        let known = self.patterns.contains_key(text);
        let room = text.len() <= LONGEST_PATTERN && self.patterns.len() < MOST_PATTERNS;
        let covered = [&group, &self.root]
            .iter()
            .any(|group| self.groups.contains_key(*group));
        if covered || !(known || room) {
            return self.remember(&name);
        }
        self.last += 1;
        self.patterns
            .insert(text.into(), (pattern.clone(), self.last));
        if !known {
            // Whoever writes it down keeps names only.
            self.news.push(name);
        }
    }

    /// The level that every key has which matches.
    fn group_around(&self, pattern: &Pattern) -> Box<str> {
        let head = pattern.head();
        prefix_of(&self.root, Name::Entry(&head)).map_or_else(|| self.root.clone(), Box::from)
    }

    /// Everything, whatever it was.
    pub(super) fn remember_everything(&mut self) {
        self.last += 1;
        self.groups.clear();
        self.entries.clear();
        self.patterns.clear();
        self.groups.insert(self.root.clone(), self.last);
        self.bytes = self.root.len() + OVERHEAD;
        self.news.push(key::generation_name(&self.root));
    }

    /// What has been remembered since this was last called, and what came to stand for it.
    pub(super) fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    /// The number of what stands for a name already: the root, or the level below it.
    fn coarser(&mut self, name: Name<'_>) -> Option<&mut u64> {
        if self.groups.contains_key(&self.root) {
            return self.groups.get_mut(&self.root);
        }
        let prefix = prefix_of(&self.root, name)?;
        self.groups.get_mut(prefix)
    }

    fn is_beyond(&self, bounds: Bounds) -> bool {
        self.groups.len() + self.entries.len() > bounds.names || self.bytes > bounds.bytes
    }

    /// Folds down to half of the bounds, so that it is done once in a while. What cannot be folded gives way to the root.
    fn keep_within_bounds(&mut self) {
        if !self.is_beyond(self.bounds) {
            return;
        }
        let mut noise: HashMap<Box<str>, usize> = HashMap::new();
        let names = self.groups.keys().map(|group| Name::Group(group));
        let names = names.chain(self.entries.keys().map(|entry| Name::Entry(entry)));
        for name in names {
            let (Name::Group(text) | Name::Entry(text)) = name;
            if let Some(prefix) = prefix_of(&self.root, name) {
                *noise.entry(prefix.into()).or_default() += text.len() + OVERHEAD;
            }
        }
        let mut noisiest: Vec<(Box<str>, usize)> = noise.into_iter().collect();
        noisiest.sort_unstable_by_key(|(_, bytes)| *bytes);
        let half = Bounds {
            names: self.bounds.names / 2,
            bytes: self.bounds.bytes / 2,
        };
        while self.is_beyond(half) {
            match noisiest.pop() {
                Some((prefix, _)) => self.fold(&prefix),
                None => return self.remember_everything(),
            }
        }
    }

    /// Has the generation of a level below the root stand for all that it covers.
    fn fold(&mut self, prefix: &str) {
        let under = |text: &str| {
            let rest = text.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.starts_with(':'))
        };
        let mut bytes = self.bytes;
        let mut keep = |text: &str| {
            let stays = !under(text);
            if !stays {
                bytes -= text.len() + OVERHEAD;
            }
            stays
        };
        self.groups.retain(|group, _| keep(group));
        self.entries.retain(|entry, _| keep(entry));
        self.bytes = bytes;
        let mut patterns = std::mem::take(&mut self.patterns);
        patterns.retain(|_, (pattern, _)| *self.group_around(pattern) != *prefix);
        self.patterns = patterns;
        // The newest number: what it stands for is not settled by what was asked for before.
        if self.groups.insert(prefix.into(), self.last).is_none() {
            self.bytes += prefix.len() + OVERHEAD;
            self.news.push(key::generation_name(prefix));
        }
    }

    /// Whether something that is owed would make an entry of this key invalid.
    pub(super) fn covers(&self, key: &Key) -> bool {
        self.entries.contains_key(key.as_str())
            || key.groups().any(|group| self.groups.contains_key(group))
            || { self.patterns.values() }.any(|(pattern, _)| pattern.matches(key.as_str()))
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.last)
    }

    /// The names whose deletion settles everything that is owed at this moment.
    pub(super) fn debt(&self) -> Debt {
        let everything = self.groups.contains_key(&self.root);
        let names = match everything {
            true => vec![key::generation_name(&self.root)],
            false => {
                let groups = self.groups.keys().map(|group| key::generation_name(group));
                let leases = self.entries.keys().map(|entry| key::lease_name(entry));
                let entries = self.entries.keys().map(|entry| entry.to_string());
                groups.chain(leases).chain(entries).collect()
            }
        };
        let patterns = self.patterns.values().filter(|_| !everything);
        Debt {
            names,
            patterns: patterns.map(|(pattern, _)| pattern.clone()).collect(),
            mark: self.mark(),
        }
    }

    /// This debt has been paid. What was remembered since stays, also where it is the same name.
    pub(super) fn settle(&mut self, debt: &Debt) {
        let mut bytes = 0;
        let mut keep = |text: &str, number: u64| {
            let stays = number > debt.mark.0;
            bytes += if stays { text.len() + OVERHEAD } else { 0 };
            stays
        };
        self.groups.retain(|group, number| keep(group, *number));
        self.entries.retain(|entry, number| keep(entry, *number));
        self.bytes = bytes;
        self.patterns.retain(|_, (_, number)| *number > debt.mark.0);
    }

    /// These names have been deleted by a request that was made at that moment.
    pub(super) fn settle_names(&mut self, names: &[String], mark: Mark) {
        for name in names {
            let (names, text) = match Name::of(name) {
                Name::Group(group) => (&mut self.groups, group),
                Name::Entry(entry) => (&mut self.entries, entry),
            };
            if names.get(text).is_some_and(|number| *number <= mark.0) {
                names.remove(text);
                self.bytes = self.bytes.saturating_sub(text.len() + OVERHEAD);
            }
        }
    }
}

/// The level below the root that every key has whose text is this entry, or that is in this group. `None`: there is none
/// but the root.
fn prefix_of<'a>(root: &str, name: Name<'a>) -> Option<&'a str> {
    let (Name::Group(text) | Name::Entry(text)) = name;
    if key::is_reserved(text) {
        // A tag: the keys that have it may be anywhere.
        return None;
    }
    let below = match root.len() {
        0 => 0,
        length => {
            text.strip_prefix(root)?.strip_prefix(':')?;
            length + 1
        }
    };
    let end = below + text.get(below..)?.find(':')?;
    text.get(..end)
}

#[cfg(test)]
mod tests;
