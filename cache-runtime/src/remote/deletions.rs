//! Deleting, which is always safe: what Redis does not confirm is owed from then on.

use std::sync::Arc;

use super::{Doing, Remote, entry_names};
use crate::config::Durability;
use crate::key::pattern::Pattern;
use crate::outage::Mark;
use crate::store::Trouble;

impl Remote {
    /// Deletes entries; answers how many there were. Remembered where Redis does not confirm it.
    pub(crate) async fn remove(self: &Arc<Self>, entries: &[&str]) -> Result<u64, Trouble> {
        let moment = self.moment();
        let asked = async {
            self.passes()?;
            self.note(Doing::Deleting, self.store.remove(entries).await)
        };
        let told = asked.await;
        let names = entries.iter().flat_map(|entry| entry_names(entry));
        self.book(&told, moment, || names.collect());
        told
    }

    /// Deletes names; answers how many replicas have confirmed it, where that was asked for.
    /// Remembered where Redis does not confirm it.
    pub(crate) async fn unlink(self: &Arc<Self>, names: &[String]) -> Result<Option<u32>, Trouble> {
        let moment = self.moment();
        let asked = async {
            self.passes()?;
            let told = match self.durability {
                Durability::Server => self.store.unlink(names).await.map(|()| None),
                Durability::Replicas(wanted) => {
                    let told = self.store.unlink_on_replicas(names, wanted).await;
                    told.inspect(|confirmed| self.note_replicas(*confirmed, wanted))
                        .map(Some)
                }
            };
            self.note(Doing::Deleting, told)
        };
        let told = asked.await;
        self.book(&told, moment, || names.to_vec());
        told
    }

    /// The moment before a deletion is asked for, if anything is owed.
    fn moment(&self) -> Option<Mark> {
        self.journal.is_pending().then(|| self.journal.mark())
    }

    /// What Redis has not confirmed is owed from now on; what it has is not any more, if it was owed before that `moment`.
    fn book<T>(
        self: &Arc<Self>,
        told: &Result<T, Trouble>,
        moment: Option<Mark>,
        names: impl FnOnce() -> Vec<String>,
    ) {
        match (told, moment) {
            (Ok(_), None) => {}
            (Ok(_), Some(moment)) => {
                let forget = || self.near.end_all();
                self.journal.settle_names(&names(), moment, forget);
            }
            (Err(_), _) => {
                self.journal.remember(&names());
                self.replays.failed();
                self.replay_soon();
            }
        }
    }

    pub(crate) async fn clear(self: &Arc<Self>, pattern: &str) -> Result<u64, Trouble> {
        self.passes()?;
        self.note(Doing::Clearing, self.store.clear(pattern).await)
    }

    /// Deletes the entries that match any of these patterns. Remembered where Redis does not confirm it.
    pub(crate) async fn unlink_matching(
        self: &Arc<Self>,
        patterns: &[Pattern],
    ) -> Result<(), Trouble> {
        let asked = async {
            for pattern in patterns {
                self.passes()?;
                let cleared = self.store.clear(pattern.as_str()).await;
                self.note(Doing::Deleting, cleared)?;
            }
            Ok(())
        };
        let told = asked.await;
        if told.is_err() {
            self.journal.remember_patterns(patterns);
            self.replays.failed();
            self.replay_soon();
        }
        told
    }

    /// Remembers patterns of entries to be deleted, as [`unlink_later`](Self::unlink_later) does names.
    pub(crate) fn unlink_matching_later(self: &Arc<Self>, patterns: &[Pattern]) {
        if !patterns.is_empty() {
            self.journal.remember_patterns(patterns);
            self.replay_soon();
        }
    }

    /// Remembers names to be deleted, and has it done in the background where there is a runtime.
    /// For those who cannot wait: a cancelled or panicking function.
    pub(crate) fn unlink_later(self: &Arc<Self>, names: &[String]) {
        self.journal.remember(names);
        self.replay_soon();
    }

    /// Replays what is pending, if Redis can be reached, and drops the connections.
    pub(crate) async fn close(self: &Arc<Self>) {
        if self.passes().is_ok() {
            // What fails stays in the journal's file, where there is one.
            let _ = self.note(Doing::Deleting, self.replay().await);
        }
        self.store.disconnect();
        self.abandon();
    }

    /// Nobody asks any more, though a task may still be at work: what is owed is left to whoever opens the journal next.
    pub(crate) fn abandon(&self) {
        self.replays.close();
        self.journal.release();
    }
}
