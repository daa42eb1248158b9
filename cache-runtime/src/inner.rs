//! What all handles of one cache share: its tiers, its flights, its counters.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::advice::{self, LastFills};
use crate::clock;
use crate::config::CacheConfig;
use crate::error::{Error, ErrorKind};
use crate::flight::Flights;
use crate::held::Held;
use crate::key::pattern::Pattern;
use crate::key::{Key, Unwritable};
use crate::limit::Limit;
use crate::log;
use crate::mode::Mode;
use crate::near::Near;
use crate::policy::{NearTerms, Policy, Terms};
use crate::remote::Remote;
use crate::secret::HashKey;
use crate::site::{Bound, CallSite};
use crate::stats::{Book, Counters};
use crate::store::Trouble;
use crate::turns::Turns;
use crate::value::Kind;

/// What all handles of one cache share.
pub(crate) struct Inner {
    /// Tells caches apart.
    pub(crate) number: u64,
    pub(crate) config: CacheConfig,
    pub(crate) near: Arc<Near>,
    pub(crate) flights: Arc<Flights>,
    /// Those of functions that are not async, who wait by blocking their thread.
    pub(crate) plain_flights: Arc<Flights>,
    pub(crate) remote: Option<Arc<Remote>>,
    pub(crate) book: Book,
    /// How many bodies may run at once.
    pub(crate) limit: Option<Limit>,
    /// What annotated functions mean here, by the address of their site, for those that met another cache first.
    bounds: RwLock<HashMap<usize, Arc<Bound>>>,
    pub(crate) closed: AtomicBool,
    /// Who filled which key, for advice.
    pub(crate) fills: LastFills,
    /// Of those who count.
    pub(crate) turns: Turns,
    /// Under which sensitive arguments are hashed. `None`: others share the entries, and would not find them under a random one.
    hash_key: Option<HashKey>,
    /// Whether it was said that there is none.
    said_no_hash_key: AtomicBool,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

impl Inner {
    pub(crate) fn new(config: CacheConfig, remote: Option<Arc<Remote>>, near: Arc<Near>) -> Self {
        let own = || remote.is_none().then(HashKey::of_this_process);
        let hash_key = config.hash_key.clone().or_else(own);
        Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            near,
            flights: Flights::new(),
            plain_flights: Flights::new(),
            remote,
            book: Book::default(),
            limit: config.max_loads.map(Limit::new),
            bounds: RwLock::default(),
            closed: AtomicBool::new(false),
            fills: LastFills::new(),
            turns: Turns::new(),
            hash_key,
            said_no_hash_key: AtomicBool::new(false),
            config,
        }
    }

    /// The part of every key that is common to this cache.
    pub(crate) fn root(&self) -> &str {
        &self.config.key_prefix
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.config.enabled && !self.closed.load(Ordering::Relaxed)
    }

    /// The key under which sensitive arguments are hashed, if they can be part of a key.
    pub(crate) fn hash_key(&self) -> Option<&HashKey> {
        self.hash_key.as_ref()
    }

    /// Says why a key cannot be written: a missing setting once, anything else in the words of whoever met it.
    pub(crate) fn unwritable(&self, problem: &Unwritable, say: impl FnOnce()) {
        if *problem != Unwritable::NoHashKey {
            say();
        } else if !self.said_no_hash_key.swap(true, Ordering::Relaxed) {
            log::no_hash_key();
        }
    }

    pub(crate) fn counters(&self, prefix: &str) -> Arc<Counters> {
        self.book.prefix(prefix)
    }

    /// What an annotated function means in this cache.
    pub(crate) fn bound(&self, site: &'static CallSite) -> Held<Arc<Bound>> {
        site.bound(self.number, |site| {
            let address = std::ptr::from_ref(site).addr();
            let known = self.bounds.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(bound) = known.get(&address) {
                return Arc::clone(bound);
            }
            drop(known);
            advice::at_first_use(self, site);
            let near = self.near_terms(site.policy()).allow();
            let bound = site.bind(self.root(), near, self.counters(&site.prefix()));
            let bound = Arc::new(bound);
            let mut bounds = self.bounds.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(bounds.entry(address).or_insert(bound))
        })
    }

    /// A type of a function's values, with its fingerprint where that may be asked for: it takes a look at the whole type.
    pub(crate) fn known(&self, bound: &Bound, kind: Kind) -> Kind {
        match self.remote {
            Some(_) => bound.known(kind),
            None => kind,
        }
    }

    /// No flight for this entry is joined any more, nor may it fill the near tier.
    pub(crate) fn detach(&self, entry: &str) {
        self.flights.detach(entry);
        self.plain_flights.detach(entry);
    }

    /// The same while another value is put there: a flight that begins meanwhile begins after it, and finds it.
    pub(crate) fn detach_while<T>(&self, entry: &str, change: impl FnOnce() -> T) -> T {
        let change = || self.plain_flights.detach_while(entry, change);
        self.flights.detach_while(entry, change)
    }

    /// The same for all whose keys match.
    pub(crate) fn detach_matching(&self, pattern: &Pattern) {
        self.flights.detach_matching(pattern);
        self.plain_flights.detach_matching(pattern);
    }

    /// How long an entry lives: as asked for, else the default; never longer than any clock or server can count.
    pub(crate) fn ttl(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.config.default_ttl).min(clock::FAR)
    }

    /// The terms of a function in this cache, for a call that drew this number for [`Terms::early`].
    pub(crate) fn terms(&self, policy: &Policy, early: f64) -> Terms {
        Terms {
            near: self.near_terms(policy),
            early,
            ..policy.terms
        }
    }

    /// Whether, and for how long, the values of a function are kept in process.
    pub(crate) fn near_terms(&self, policy: &Policy) -> NearTerms {
        match (policy.terms.near, self.config.near, self.config.near_ttl) {
            (NearTerms::Off, ..) | (_, false, _) => NearTerms::Off,
            (NearTerms::On, true, Some(bound)) => NearTerms::AtMost(bound),
            (own, true, _) => own,
        }
    }

    /// The terms of what is read and stored by hand.
    pub(crate) fn terms_by_hand(&self) -> Terms {
        self.terms(&Policy::DEFAULT, 0.0)
    }

    /// How long a value that was not stored in Redis may live in process. `None`: it is not kept there.
    pub(crate) fn local_ttl(&self, key: &Key, ttl: Duration, terms: Terms) -> Option<Duration> {
        if !terms.near.allow() {
            return None;
        }
        let fallback = ttl.min(self.config.fallback_ttl);
        match self.mode() {
            Mode::Memory => Some(ttl),
            Mode::Fallback => Some(fallback),
            // While Redis is not believed of this key, it is as good as away.
            Mode::Redis if Near::EXISTS => {
                let remote = self.remote.as_ref();
                let stands_in = remote.is_some_and(|remote| remote.stands_in(key));
                stands_in.then_some(fallback)
            }
            Mode::Redis | Mode::Disabled => None,
        }
    }

    /// How long a value may live in process that a function loaded which cannot ask Redis: where there is one, as long as
    /// one that nobody tells of.
    pub(crate) fn plain_bound(&self, terms: Terms) -> Duration {
        match self.mode() {
            Mode::Memory => Duration::MAX,
            Mode::Redis => terms.near.bound(false),
            Mode::Fallback => self.config.fallback_ttl,
            Mode::Disabled => Duration::ZERO,
        }
    }

    /// Whether nothing keeps this cache from the tiers it was given.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.remote.as_ref().is_none_or(|remote| remote.is_up())
    }

    pub(crate) fn mode(&self) -> Mode {
        if !self.is_enabled() {
            return Mode::Disabled;
        }
        match &self.remote {
            Some(remote) if remote.is_up() => Mode::Redis,
            Some(_) if Near::EXISTS => Mode::Fallback,
            None if Near::EXISTS => Mode::Memory,
            Some(_) | None => Mode::Disabled,
        }
    }

    /// The key a user wrote, and the counters of its first segment.
    pub(crate) fn by_hand(&self, name: &str) -> Result<(Key, Arc<Counters>), Error> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the cache is closed"));
        }
        let key = Key::by_hand(self.root(), name)?;
        let prefix = name.split_once(':').map_or(name, |(prefix, _)| prefix);
        Ok((key, self.counters(prefix)))
    }

    /// Whether Redis failed and nothing stands in for it, as an error of the manual API.
    pub(crate) fn failed(trouble: &Trouble) -> Result<(), Error> {
        if Near::EXISTS {
            return Ok(());
        }
        Err(error(trouble))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(remote) = &self.remote {
            remote.abandon();
        }
    }
}

/// Redis' failure as an error of the manual API.
pub(crate) fn error(trouble: &Trouble) -> Error {
    let kind = match trouble {
        Trouble::Refused(_) | Trouble::Withheld(_) => ErrorKind::Refused,
        Trouble::Unreachable(_)
        | Trouble::Timeout
        | Trouble::TimeoutOfAnother
        | Trouble::Open
        | Trouble::Quarantined
        | Trouble::NoRuntime => ErrorKind::Unreachable,
    };
    Error::new(kind, trouble.to_string())
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("mode", &self.mode())
            .field("config", &self.config)
            .field("near", &self.near)
            .field("flights", &(self.flights.len() + self.plain_flights.len()))
            .finish_non_exhaustive()
    }
}
