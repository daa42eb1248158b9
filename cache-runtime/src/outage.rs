//! Invalidations that Redis has not confirmed: remembered until they are replayed, and until then what they cover is not
//! believed.

mod file;
mod owed;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::Key;
use crate::key::pattern::Pattern;
use crate::log;
use file::{Found, JournalFile, Opened};
use owed::Owed;
pub(crate) use owed::{Debt, Mark};

/// The names that must be deleted in Redis, in memory and, where that is asked for, in a file.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Taken before `books` by whoever changes what is owed, so that the file is no older than the memory when a change returns.
    file: Mutex<Option<JournalFile>>,
    books: Mutex<Books>,
    /// Whether anything is owed, readable without the lock.
    pending: AtomicBool,
    /// Whether it was said that the file cannot be written.
    said: AtomicBool,
}

#[derive(Debug)]
struct Books {
    owed: Owed,
    /// Whether anything was kept in process because Redis was not believed.
    kept: bool,
}

impl Journal {
    /// With what an earlier process has left in the file, where there is one.
    ///
    /// # Errors
    /// A file that cannot be opened, written or locked, or that holds something else.
    pub(crate) fn open(root: &str, path: Option<&Path>) -> io::Result<Self> {
        let mut owed = Owed::new(root);
        let opened = match path {
            Some(path) => Some((path, JournalFile::open(path)?)),
            None => None,
        };
        let file = match opened {
            None => None,
            Some((path, Opened::Taken)) => {
                log::journal_taken(path);
                None
            }
            Some((_, Opened::Ours(mut file, found))) => {
                match found {
                    Found::Names(names) => {
                        for name in &names {
                            owed.remember(name);
                        }
                        // What came to stand for some of them is not in the file.
                        let written: HashSet<String> = names.into_iter().collect();
                        let mut news = owed.take_news();
                        news.retain(|name| !written.contains(name));
                        file.append(&news)?;
                    }
                    Found::Everything => owed.remember_everything(),
                }
                Some(file)
            }
        };
        owed.take_news();
        Ok(Self {
            file: Mutex::new(file),
            pending: AtomicBool::new(!owed.is_empty()),
            books: Mutex::new(Books { owed, kept: false }),
            said: AtomicBool::new(false),
        })
    }

    /// From here on, what these names cover is not believed.
    pub(crate) fn remember(&self, names: &[String]) {
        self.note_down(|owed| {
            for name in names {
                owed.remember(name);
            }
        });
    }

    /// The same for what these patterns match.
    pub(crate) fn remember_patterns(&self, patterns: &[Pattern]) {
        self.note_down(|owed| {
            for pattern in patterns {
                owed.remember_pattern(pattern);
            }
        });
    }

    fn note_down(&self, remember: impl FnOnce(&mut Owed)) {
        let mut file = lock(&self.file);
        let mut books = lock(&self.books);
        remember(&mut books.owed);
        let news = books.owed.take_news();
        self.publish(&books);
        drop(books);
        if let Some(file) = &mut *file {
            self.note(file.append(&news));
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.books).owed.count()
    }

    /// Whether something is owed that would make an entry of this key invalid.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.is_pending() && lock(&self.books).owed.covers(key)
    }

    /// The same for a value that is to be kept in process if so: it does not outlive what is owed.
    pub(crate) fn covers_what_is_kept(&self, key: &Key) -> bool {
        if !self.is_pending() {
            return false;
        }
        let mut books = lock(&self.books);
        let covered = books.owed.covers(key);
        books.kept |= covered;
        covered
    }

    /// The moment before a deletion is asked for.
    pub(crate) fn mark(&self) -> Mark {
        lock(&self.books).owed.mark()
    }

    pub(crate) fn debt(&self) -> Debt {
        lock(&self.books).owed.debt()
    }

    /// The names of this debt have been deleted. `forget` is called before any of it is believed again, if something was kept
    /// in process meanwhile.
    pub(crate) fn settle(&self, debt: &Debt, forget: impl FnOnce()) {
        self.pay(forget, |owed| owed.settle(debt));
    }

    /// These names have been deleted by a request made at that moment.
    pub(crate) fn settle_names(&self, names: &[String], mark: Mark, forget: impl FnOnce()) {
        if self.is_pending() {
            self.pay(forget, |owed| owed.settle_names(names, mark));
        }
    }

    /// Leaves the file, as it is, to whoever opens it next.
    pub(crate) fn release(&self) {
        *lock(&self.file) = None;
    }

    fn pay(&self, forget: impl FnOnce(), settle: impl FnOnce(&mut Owed)) {
        let mut file = lock(&self.file);
        let mut books = lock(&self.books);
        // Under the lock: what is kept later is covered, or is not kept; what was kept before is older than this.
        if std::mem::take(&mut books.kept) {
            forget();
        }
        settle(&mut books.owed);
        self.publish(&books);
        let settled = books.owed.is_empty();
        drop(books);
        if let (true, Some(file)) = (settled, &mut *file) {
            self.note(file.clear());
        }
    }

    fn publish(&self, books: &Books) {
        // Release, with the Acquire of `is_pending`: who sees the flag finds the names.
        self.pending
            .store(!books.owed.is_empty(), Ordering::Release);
    }

    fn note(&self, written: io::Result<()>) {
        // Relaxed: the flag stands for itself.
        let said = self.said.swap(written.is_err(), Ordering::Relaxed);
        if let (Err(problem), false) = (written, said) {
            log::journal_not_written(&problem);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
