//! The static facts of one annotated function, and what they mean in one cache.

use std::any::TypeId;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::held::Held;
use crate::key::raw::Raw;
use crate::key::{self, KeyWriter, Levels, Opening, Unwritable};
use crate::limit::Limit;
use crate::policy::Policy;
use crate::random;
use crate::secret::HashKey;
use crate::stats::Counters;
use crate::value::Kind;

/// One annotated function.
#[derive(Debug)]
pub struct CallSite {
    function: &'static str,
    module: &'static str,
    policy: Policy,
    style: KeyStyle,
    /// How long entries live, once that was read from the environment.
    ttl: OnceLock<Option<Duration>>,
    /// The first cache this function was called with, which is nearly always the only one.
    first: OnceLock<(u64, Arc<Bound>)>,
    /// What has been said of it, a bit for each.
    said: AtomicU8,
    /// How many loads in a row took longer than their values are kept.
    slow_loads: AtomicU8,
}

/// What may be said of a function; each once.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Flaw {
    KeptNowhere = 1,
    LooseLimit = 1 << 1,
    NeverStale = 1 << 2,
    ShortTtl = 1 << 3,
    LongNearTtl = 1 << 4,
    TooLarge = 1 << 5,
    SharedKey = 1 << 6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyStyle {
    Arguments,
    Template,
}

impl CallSite {
    /// A function whose key is its name and its arguments.
    #[must_use]
    pub const fn new(function: &'static str, module: &'static str, policy: Policy) -> Self {
        Self {
            function,
            module,
            policy,
            style: KeyStyle::Arguments,
            ttl: OnceLock::new(),
            first: OnceLock::new(),
            said: AtomicU8::new(0),
            slow_loads: AtomicU8::new(0),
        }
    }

    /// A function whose key is a template.
    #[must_use]
    pub const fn with_template(
        function: &'static str,
        module: &'static str,
        policy: Policy,
    ) -> Self {
        let mut site = Self::new(function, module, policy);
        site.style = KeyStyle::Template;
        site
    }

    pub(crate) fn function(&self) -> &'static str {
        self.function
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its path, were it a free function.
    pub(crate) fn path(&self) -> String {
        format!("{}::{}", self.module, self.function)
    }

    /// Whether this has not been said yet; from now on it has.
    pub(crate) fn is_first(&self, flaw: Flaw) -> bool {
        let bit = flaw as u8;
        // Relaxed: the flags stand for themselves. Read first, so that they are not written again and again.
        let said = |said: u8| said & bit != 0;
        !said(self.said.load(Ordering::Relaxed))
            && !said(self.said.fetch_or(bit, Ordering::Relaxed))
    }

    /// Counts a load; answers how many in a row were slow.
    pub(crate) fn slow_loads(&self, slow: bool) -> u8 {
        // Relaxed, and not one step: a count that is off by one says it a load later.
        let before = self.slow_loads.load(Ordering::Relaxed);
        let count = if slow { before.saturating_add(1) } else { 0 };
        if count != before {
            self.slow_loads.store(count, Ordering::Relaxed);
        }
        count
    }

    /// How long entries live, where the function says so: in a variable, which `read` reads at the first use, or by itself.
    pub(crate) fn ttl(
        &self,
        read: impl FnOnce(&'static str, Option<Duration>) -> Option<Duration>,
    ) -> Option<Duration> {
        let written = self.policy.ttl;
        match self.policy.ttl_from {
            Some(variable) => *self.ttl.get_or_init(|| read(variable, written)),
            None => written,
        }
    }

    /// What this function means in the cache with that number, if it is the first it was called with.
    #[inline]
    pub(crate) fn first_bound(&'static self, cache: u64) -> Option<&'static Arc<Bound>> {
        let (first, bound) = self.first.get()?;
        (*first == cache).then_some(bound)
    }

    /// What this function means in the cache with that number; made once per cache.
    pub(crate) fn bound(
        &'static self,
        cache: u64,
        bind: impl Fn(&Self) -> Arc<Bound>,
    ) -> Held<Arc<Bound>> {
        let (first, bound) = self.first.get_or_init(|| (cache, bind(self)));
        if *first == cache {
            Held::Forever(bound)
        } else {
            Held::Own(bind(self))
        }
    }

    /// The prefix as the statistics show it.
    pub(crate) fn prefix(&self) -> String {
        match self.policy.prefix {
            Some(prefix) => prefix.to_owned(),
            None => format!("{}:{}", self.module.replace("::", ":"), self.function),
        }
    }

    /// The facts of this function under the root of a cache, which keeps its values in process or does not.
    pub(crate) fn bind(&self, root: &str, near: bool, counters: Arc<Counters>) -> Bound {
        let prefix = self.prefix();
        let mut head = key::below(root, &prefix);
        let mut depth = prefix.split(':').count();
        let mut origin = 0;
        match (self.style, self.policy.prefix) {
            (KeyStyle::Template, _) => head.push(':'),
            (KeyStyle::Arguments, None) => {}
            (KeyStyle::Arguments, Some(_)) => {
                let _ = write!(head, ":{}", self.function);
                depth += 1;
            }
        }
        let path = self.path();
        if self.style == KeyStyle::Arguments {
            origin = xxh3_64(path.as_bytes()).max(1);
        }
        Bound {
            head: head.into(),
            path: path.into(),
            root: root.len(),
            depth,
            origin,
            style: self.style,
            first: OnceLock::new(),
            fingerprint: OnceLock::new(),
            near,
            is_usual: near && !self.policy.early,
            counters,
            limit: self
                .policy
                .max_loads
                .map(|loads| Arc::new(Limit::new(loads))),
        }
    }
}

/// A function's part in one cache: how its keys begin, and what is counted.
#[derive(Debug)]
pub(crate) struct Bound {
    head: Box<str>,
    /// The function's path, were it a free function.
    path: Box<str>,
    root: usize,
    depth: usize,
    origin: u64,
    style: KeyStyle,
    /// The first instantiation that was called, which is nearly always the only one.
    first: OnceLock<Instance>,
    /// The type of the first value that was asked for, in the version of the function, and what stands for it in Redis.
    fingerprint: OnceLock<(TypeId, u64)>,
    /// Whether the cache keeps its values in process.
    pub(crate) near: bool,
    /// Whether nothing else decides a call but what is kept there.
    pub(crate) is_usual: bool,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limit: Option<Arc<Limit>>,
}

/// One instantiation of a function, as its keys show it.
#[derive(Debug)]
pub(crate) struct Instance {
    /// What the compiler calls the closure that names its arguments.
    name: &'static str,
    /// The type of its values.
    type_id: TypeId,
    /// How its keys begin.
    head: Box<str>,
    is_template: bool,
    pub(crate) origin: u64,
    /// Tells it apart from all others of the process, in front of what it notes.
    pub(crate) number: u32,
    /// What the hashes of its notes begin with.
    pub(crate) seed: u64,
    pub(crate) counters: Arc<Counters>,
}

/// 0 stands for none.
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1);

impl Instance {
    /// Whether its calls can be noted: false where so many functions met so many caches that there are no numbers left.
    #[inline]
    pub(crate) fn is_numbered(&self) -> bool {
        self.number != 0
    }

    /// Where the arguments of one call are noted.
    pub(crate) fn raw(&self) -> Raw {
        Raw::new(self.number, self.seed)
    }

    #[inline]
    pub(crate) fn opening(&self) -> Opening<'_> {
        Opening {
            head: &self.head,
            is_template: self.is_template,
        }
    }
}

impl Bound {
    /// Writes the key of one call; answers its origin.
    /// The name of the closure that names the arguments also names the instantiation.
    pub(crate) fn write(
        &self,
        text: &mut String,
        hash_key: Option<&HashKey>,
        (name, type_id): (&'static str, TypeId),
        arguments: &dyn Fn(&mut KeyWriter<'_>),
    ) -> Result<u64, Unwritable> {
        let first = self.first.get_or_init(|| self.first(name, type_id));
        // One text at two places would be no error: what is said of it would be found out again.
        let origin = if std::ptr::eq(first.name, name) {
            text.push_str(&first.head);
            first.origin
        } else {
            let (head, origin) = self.head_of(name);
            text.push_str(&head);
            origin
        };
        let mut writer = KeyWriter::new(text, hash_key);
        arguments(&mut writer);
        writer.finish()?;
        Ok(origin)
    }

    /// A type of this function's values, with its fingerprint where it is the first one's, which it nearly always is.
    pub(crate) fn known(&self, kind: Kind) -> Kind {
        let type_id = kind.identity().type_id;
        let found = || (type_id, kind.fingerprint());
        match self.fingerprint.get_or_init(found) {
            (first, fingerprint) if *first == type_id => kind.known_as(*fingerprint),
            _ => kind,
        }
    }

    /// The levels of a key that was written.
    pub(crate) fn levels(&self, text: &str) -> Levels {
        match self.style {
            KeyStyle::Arguments => Levels::new(self.root, self.depth),
            KeyStyle::Template => Levels::all(self.root, text),
        }
    }

    /// An instantiation, if it is the first one.
    #[inline]
    pub(crate) fn instance(&self, name: &'static str, type_id: TypeId) -> Option<&Instance> {
        let first = self.first.get_or_init(|| self.first(name, type_id));
        // One text at two places is another instantiation here; those of two types that share a name are told apart by these.
        (std::ptr::eq(first.name, name) && first.type_id == type_id).then_some(first)
    }

    /// The same, if it was called before.
    #[inline]
    pub(crate) fn known_instance(&self, name: &'static str, type_id: TypeId) -> Option<&Instance> {
        let first = self.first.get()?;
        (std::ptr::eq(first.name, name) && first.type_id == type_id).then_some(first)
    }

    fn first(&self, name: &'static str, type_id: TypeId) -> Instance {
        let (head, origin) = self.head_of(name);
        // Relaxed: only that it does not repeat matters.
        let next = |number: u32| number.checked_add(1).or(Some(0)).filter(|_| number != 0);
        let number = NEXT_NUMBER.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        Instance {
            name,
            type_id,
            head: head.into(),
            is_template: self.style == KeyStyle::Template,
            origin,
            number: number.unwrap_or(0),
            seed: random::token(),
            counters: Arc::clone(&self.counters),
        }
    }

    /// How the keys of an instantiation begin, and their origin.
    fn head_of(&self, name: &'static str) -> (String, u64) {
        let mut head = String::from(&*self.head);
        let origin = match self.style {
            KeyStyle::Arguments => {
                if let Some(hash) = owner(name, &self.path) {
                    // A segment of its own, so that the function stays a level above all of that name.
                    let _ = write!(head, ":@{hash:016x}");
                }
                self.origin
            }
            // The text of a template is the user's choice, so the instantiation cannot stand in it.
            KeyStyle::Template => instantiation(name).unwrap_or_default(),
        };
        (head, origin)
    }
}

/// Two instantiations of a generic function, two impls of one trait, and methods of one name must not share an entry.
/// The compiler spells them in the name of a closure inside: `app::rows<app::A>::{{closure}}`, `app::Repo::rows::{{closure}}`.
/// Only a free function is named by its path alone.
fn owner(name: &str, path: &str) -> Option<u64> {
    let inside = name.strip_prefix(path);
    let free = inside.is_some_and(|inside| inside.starts_with("::{{closure}}"));
    (!free).then(|| xxh3_64(name.as_bytes()))
}

/// Of a template the user says who shares it, but generics cannot stand in it; only they bring a `<` into the name.
fn instantiation(name: &str) -> Option<u64> {
    name.contains('<').then(|| xxh3_64(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_that_is_remembered_is_of_the_first_type_alone() {
        static SITE: CallSite = CallSite::new("rows", "app", Policy::DEFAULT);
        let bound = SITE.bind("", false, Arc::default());
        let (number, text) = (Kind::of::<u64>(), Kind::of::<String>());
        let of_the_number = number.fingerprint();
        for _ in 0..2 {
            assert_eq!(bound.known(number).fingerprint(), of_the_number);
            assert_eq!(bound.known(text).fingerprint(), text.fingerprint());
        }
        assert_ne!(of_the_number, text.fingerprint());
        let other = bound.known(number).in_version(2);
        assert_eq!(other.fingerprint(), number.in_version(2).fingerprint());
    }
}
