//! What Redis refuses: noted with each answer, said once per change, and told on request.
//!
//! A refusal is of a kind of operation, since a server that refuses writes may answer reads. What concerns the whole server
//! opens the breaker; what concerns all writes stops the writes; what concerns one key stops nothing.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::{Remote, ending, lock};
use crate::breaker::Breaker;
use crate::clock::{self, Instant};
use crate::log;
use crate::store::{Class, Refusal, Scope, Trouble};

/// The same is said again after so long at the earliest: what comes and goes must not fill the log.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What a server may allow while it refuses something else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Doing {
    Reading,
    Writing,
    /// Deleting what is owed where it is refused, so that nothing which it covers is believed.
    Deleting,
    /// Deleting by a pattern, which is not remembered: who asked for it is told.
    Clearing,
}

/// What is refused at present, and what has been said about it. Of a size that does not grow.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Whether writes are sent.
    pub(super) writing: Breaker,
    state: Mutex<State>,
    /// Whether an entry or an invalidation is refused, readable without the lock.
    anything: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Why nothing is asked, and whether that was said.
    away: Option<(Trouble, bool)>,
    /// Why nothing is written, and whether that was said.
    unwritable: Option<(Refusal, bool)>,
    /// An entry that is refused while others are answered.
    unread: Option<RefusedEntry>,
    unwritten: Option<RefusedEntry>,
    /// Why an invalidation is not done, and whether that was said.
    undeleted: Option<(Refusal, bool)>,
    /// When each was last said: at most one line for each pair.
    said: HashMap<(What, Option<Class>), Instant>,
}

/// What a line of the log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Everything,
    Writes,
    OneRead,
    OneWrite,
    Deletions,
    Confirmations,
}

#[derive(Debug)]
struct RefusedEntry {
    class: Class,
    /// A hash of its name; `None` where no single one was asked about.
    entry: Option<u64>,
    said: bool,
}

impl Remote {
    /// Lets the breaker know how an operation went.
    pub(super) fn note<T>(&self, doing: Doing, answer: Result<T, Trouble>) -> Result<T, Trouble> {
        self.note_for(None, doing, answer)
    }

    /// The same of a look-up of this entry, or of the request for its lease: if it is answered, so is all that concerns the entry.
    pub(super) fn note_of<T>(
        &self,
        entry: &str,
        doing: Doing,
        answer: Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        self.note_for(Some(entry), doing, answer)
    }

    /// The same of something else that concerns this entry, which may be answered while the entry is refused.
    pub(super) fn note_aside<T>(
        &self,
        entry: &str,
        doing: Doing,
        answer: Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        match answer {
            Ok(_) => self.note(doing, answer),
            Err(_) => self.note_of(entry, doing, answer),
        }
    }

    fn note_for<T>(
        &self,
        entry: Option<&str>,
        doing: Doing,
        answer: Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        match &answer {
            Ok(_) => {
                self.breaker.answered();
                self.refusals.answered(entry, doing);
            }
            // Whatever Redis does: other runtimes may reach it.
            Err(Trouble::Unreachable(_)) if ending::runtime_is_ending() => {}
            Err(trouble @ Trouble::Unreachable(_)) => self.opened(self.breaker.open(), trouble),
            Err(trouble @ Trouble::Timeout) => self.opened(self.breaker.timed_out(), trouble),
            Err(trouble @ Trouble::Refused(refusal)) => {
                match (refusal.class.scope(), doing) {
                    (Scope::Server, _) | (Scope::Command, Doing::Reading) => {
                        self.opened(self.breaker.open(), trouble);
                    }
                    (Scope::Writes, Doing::Writing | Doing::Deleting)
                    | (Scope::Command, Doing::Writing) => {
                        self.breaker.answered();
                        self.refusals.unwritable(refusal);
                    }
                    // It is owed, and nothing is believed that it covers.
                    (_, Doing::Deleting) => {
                        self.breaker.answered();
                        self.refusals.undeleted(refusal);
                    }
                    (_, Doing::Clearing) => self.breaker.answered(),
                    (_, Doing::Reading | Doing::Writing) => {
                        self.breaker.answered();
                        self.refusals.refused_entry(entry, doing, refusal);
                    }
                }
            }
            Err(trouble @ Trouble::NoRuntime) => self.refusals.no_runtime(trouble),
            Err(
                Trouble::TimeoutOfAnother
                | Trouble::Open
                | Trouble::Withheld(_)
                | Trouble::Quarantined,
            ) => {}
        }
        answer
    }

    /// Lets it be known that an invalidation would not outlive a failover: who runs an annotated function is not told.
    pub(super) fn note_replicas(&self, confirmed: u32, wanted: u32) {
        if confirmed < wanted && self.refusals.state().may_say(What::Confirmations, None) {
            log::unconfirmed(confirmed, wanted);
        }
    }

    fn opened(&self, now: bool, trouble: &Trouble) {
        if now {
            self.near.end_all();
            self.refusals.away(trouble);
        }
    }

    /// What is wrong with Redis at present, in words.
    pub(crate) fn problem(&self) -> Option<String> {
        let state = self.refusals.state();
        match (&state.away, &state.unwritable, &state.undeleted) {
            (Some((trouble, _)), ..) => Some(trouble.to_string()),
            (None, Some((refusal, _)), _) => Some(format!("redis cannot be written to, {refusal}")),
            (None, None, Some((refusal, _))) => {
                Some(format!("redis does not invalidate, {refusal}"))
            }
            (None, None, None) => None,
        }
    }
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self {
            writing: Breaker::new(Duration::ZERO),
            state: Mutex::default(),
            anything: AtomicBool::new(false),
        }
    }

    /// Whether Redis answers, and refuses everything.
    pub(super) fn keeps_away(&self) -> bool {
        matches!(self.state().away, Some((Trouble::Refused(_), _)))
    }

    /// Nothing is asked from here on, because of this.
    fn away(&self, trouble: &Trouble) {
        let mut state = self.state();
        let class = class_of(trouble);
        // That nothing answers is said each time.
        let said = state.may_say(What::Everything, class) || class.is_none();
        state.away = Some((trouble.clone(), said));
        if said {
            log::away(trouble);
        }
    }

    /// Nothing is asked still, perhaps for another reason than before.
    pub(super) fn still_away(&self, trouble: &Trouble) {
        let mut state = self.state();
        let class = class_of(trouble);
        let before = state.away.as_ref();
        if before.is_some_and(|(before, _)| class_of(before) == class) {
            return;
        }
        let said_before = before.is_some_and(|(_, said)| *said);
        let says = state.may_say(What::Everything, class);
        state.away = Some((trouble.clone(), said_before || says));
        if says {
            log::away(trouble);
        }
    }

    /// Everything is asked again.
    pub(super) fn back(&self, away: Duration, replayed: usize) {
        let ended = self.state().away.take();
        if ended.is_none_or(|(_, said)| said) {
            log::back(away, replayed);
        }
    }

    /// Why nothing is written at present.
    pub(super) fn of_writing(&self) -> Option<Refusal> {
        let state = self.state();
        state
            .unwritable
            .as_ref()
            .map(|(refusal, _)| refusal.clone())
    }

    /// Nothing is written from here on, or still is not.
    pub(super) fn unwritable(&self, refusal: &Refusal) {
        let mut state = self.state();
        self.writing.open();
        let before = state.unwritable.as_ref();
        if before.is_some_and(|(before, _)| before.class == refusal.class) {
            return;
        }
        let said_before = before.is_some_and(|(_, said)| *said);
        let says = state.may_say(What::Writes, Some(refusal.class));
        state.unwritable = Some((refusal.clone(), said_before || says));
        if says {
            log::unwritable(refusal);
        }
    }

    /// An invalidation is refused, or still is.
    fn undeleted(&self, refusal: &Refusal) {
        let mut state = self.state();
        let before = state.undeleted.as_ref();
        if before.is_some_and(|(before, _)| before.class == refusal.class) {
            return;
        }
        let said_before = before.is_some_and(|(_, said)| *said);
        let says = state.may_say(What::Deletions, Some(refusal.class));
        state.undeleted = Some((refusal.clone(), said_before || says));
        // Relaxed: whoever misses it tells of the end of the refusal a call later.
        self.anything.store(true, Ordering::Relaxed);
        if says {
            log::refused(What::Deletions.in_words(), refusal);
        }
    }

    /// Everything is written again.
    pub(super) fn writable(&self) {
        let mut state = self.state();
        let unwritable = self.writing.close();
        if let Some((refusal, true)) = state.unwritable.take() {
            log::writable(unwritable, &refusal);
        }
    }

    fn refused_entry(&self, entry: Option<&str>, doing: Doing, refusal: &Refusal) {
        let mut state = self.state();
        let (class, entry) = (refusal.class, entry.map(hash));
        let (what, known) = state.entry(doing);
        if let Some(known) = known
            && known.class == class
            && (known.entry == entry || known.entry.is_none())
        {
            known.entry = entry;
            if known.said {
                return;
            }
        }
        let said = state.may_say(what, Some(class));
        if !said
            && state
                .entry(doing)
                .1
                .as_ref()
                .is_some_and(|known| known.said)
        {
            // The one that was told of is the one whose end will be.
            return;
        }
        *state.entry(doing).1 = Some(RefusedEntry { class, entry, said });
        // Relaxed: whoever misses it tells of the end of the refusal a call later.
        self.anything.store(true, Ordering::Relaxed);
        if said {
            log::refused(what.in_words(), refusal);
        }
    }

    fn answered(&self, entry: Option<&str>, doing: Doing) {
        if !self.anything.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state();
        match doing {
            Doing::Reading | Doing::Writing | Doing::Clearing => {
                let entry = entry.map(hash);
                let (what, known) = state.entry(doing);
                if let Some(ended) = known.take_if(|known| known.entry == entry)
                    && ended.said
                {
                    log::accepted(what.in_words(), &Refusal::of(ended.class));
                }
            }
            Doing::Deleting => {
                if let Some((refusal, true)) = state.undeleted.take() {
                    log::accepted(What::Deletions.in_words(), &refusal);
                }
            }
        }
        let entries = state.unread.is_some() || state.unwritten.is_some();
        let any = entries || state.undeleted.is_some();
        self.anything.store(any, Ordering::Relaxed);
    }

    fn no_runtime(&self, trouble: &Trouble) {
        if self.state().may_say(What::OneRead, None) {
            log::no_runtime(trouble);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Whether this is the first in a while, which it is from then on.
    fn may_say(&mut self, what: What, class: Option<Class>) -> bool {
        let now = clock::now();
        let last = self.said.get(&(what, class));
        let recently =
            last.is_some_and(|said| now.saturating_duration_since(*said) < SAID_AGAIN_AFTER);
        if !recently {
            self.said.insert((what, class), now);
        }
        !recently
    }

    fn entry(&mut self, doing: Doing) -> (What, &mut Option<RefusedEntry>) {
        match doing {
            Doing::Reading => (What::OneRead, &mut self.unread),
            Doing::Writing | Doing::Deleting | Doing::Clearing => {
                (What::OneWrite, &mut self.unwritten)
            }
        }
    }
}

impl What {
    fn in_words(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Writes => "writing",
            Self::OneRead => "reading an entry",
            Self::OneWrite => "storing an entry",
            Self::Deletions => "invalidating",
            Self::Confirmations => "confirming",
        }
    }
}

/// `None`: nothing was said.
fn class_of(trouble: &Trouble) -> Option<Class> {
    trouble.refusal().map(|refusal| refusal.class)
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_said_once_a_minute_however_often_it_ends() {
        let mut state = State::default();
        let oom = Some(Class::OutOfMemory);
        assert!(state.may_say(What::Writes, oom));
        assert!(state.may_say(What::Writes, Some(Class::ReadOnly)));
        assert!(state.may_say(What::OneWrite, oom));

        tokio::time::advance(SAID_AGAIN_AFTER - Duration::from_millis(1)).await;
        assert!(!state.may_say(What::Writes, oom));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(state.may_say(What::Writes, oom));
        assert!(!state.may_say(What::Writes, oom));
    }

    #[test]
    fn the_entry_that_was_told_of_is_the_one_whose_end_is() {
        let refusals = Refusals::new();
        let refused = Refusal::of(Class::WrongType);
        let known = || {
            refusals
                .state()
                .unwritten
                .as_ref()
                .and_then(|known| known.entry)
        };
        refusals.refused_entry(Some("one"), Doing::Writing, &refused);
        refusals.refused_entry(Some("other"), Doing::Writing, &refused);
        assert_eq!(known(), Some(hash("one")));

        refusals.answered(Some("other"), Doing::Writing);
        refusals.answered(Some("one"), Doing::Reading);
        assert_eq!(known(), Some(hash("one")));
        refusals.answered(Some("one"), Doing::Writing);

        assert_eq!(known(), None);
        assert!(!refusals.anything.load(Ordering::Relaxed));
    }

    #[test]
    fn another_reason_replaces_the_first() {
        let refusals = Refusals::new();
        refusals.unwritable(&Refusal::of(Class::OutOfMemory));
        refusals.unwritable(&Refusal::of(Class::ReadOnly));
        assert_eq!(refusals.of_writing(), Some(Refusal::of(Class::ReadOnly)));
        assert!(!refusals.writing.is_closed());

        refusals.writable();

        assert_eq!(refusals.of_writing(), None);
        assert!(refusals.writing.is_closed());
    }
}
