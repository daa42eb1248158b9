use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::key::Levels;
use crate::key::raw::Notes;
use crate::value::Kind;

mod front;

const TEXT: &str = "video:get_video:42";

const ASKER: Asker = Asker {
    origin: 1,
    tagging: 0,
    early: 0.0,
    plain: false,
};

fn key() -> Key {
    Key::new(TEXT, Levels::all(0, TEXT), 1)
}

fn entry(view: View, version: u64, source: Source) -> Entry {
    let key = key();
    let expires = clock::after(clock::now(), Duration::from_secs(60));
    Entry {
        value: Arc::new(version),
        identity: Kind::of::<u64>().identity(),
        origin: 1,
        tagging: 0,
        epoch: view.epoch,
        places: Epochs::places(key.groups()),
        source,
        expires,
        filled: clock::now(),
        took: Duration::ZERO,
        kept_until: expires,
        bytes: 8,
    }
}

fn version(near: &Near) -> Option<u64> {
    version_by(near, None)
}

/// The same for a call with these notes.
fn version_by(near: &Near, notes: Option<&Raw>) -> Option<u64> {
    let mut found = None;
    let mut take = |value: &Shared| {
        found = value.downcast_ref().copied();
        found.is_some()
    };
    let by_notes = notes.is_some_and(|notes| {
        let mut take = |found: &Notes, value: &Shared| found == notes.notes() && take(value);
        near.hit_by_notes(notes.hash(), 0.0, &mut take)
    });
    if !by_notes {
        near.hit((TEXT, notes.map(caller)), ASKER, |kept| take(kept.value()));
    }
    found
}

/// A call with these notes, which has values that have no core.
fn caller(notes: &Raw) -> Caller<'_> {
    let core = Arc::clone;
    Caller { notes, core }
}

/// Those of a call with that argument.
fn notes(argument: u64) -> Raw {
    let mut notes = Raw::new(1, 0);
    assert!(notes.note(&argument));
    notes
}

/// One thread reads the truth and keeps it, another changes the truth and removes what is kept: whoever looks after that, be it
/// at once, finds nothing older.
#[test]
fn there_is_no_moment_at_which_something_stands_that_was_removed_on_its_way() {
    for notes in [None, Some(notes(42))] {
        nothing_stands_that_was_removed(notes.as_ref());
    }
}

fn nothing_stands_that_was_removed(notes: Option<&Raw>) {
    let near = Near::new(1 << 20, 100);
    let (truth, end) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !end.load(Ordering::SeqCst) {
                    let view = near.view(&key());
                    let read = truth.load(Ordering::SeqCst);
                    near.insert_unless_told(TEXT, entry(view, read, Source::Untold), view);
                }
            });
        }
        scope.spawn(|| {
            while !end.load(Ordering::SeqCst) {
                version_by(&near, notes);
            }
        });
        for changed in 1..=60_000 {
            truth.store(changed, Ordering::SeqCst);
            near.remove(TEXT);
            let found = version_by(&near, notes);
            if found.is_some_and(|found| found < changed) {
                end.store(true, Ordering::SeqCst);
            }
            let is_new = found.is_none_or(|found| found >= changed);
            assert!(is_new, "found {found:?} after {changed} was settled");
        }
        end.store(true, Ordering::SeqCst);
    });
}

#[test]
fn what_was_told_of_since_the_view_is_not_kept() {
    let near = Near::new(1 << 20, 100);
    let told: [fn(&Near); 6] = [
        |near| near.told_of_group("video"),
        |near| near.end("video:get_video"),
        |near| {
            near.remove(TEXT);
        },
        |near| near.end_all(),
        |near| near.epochs.end_all_told(),
        |near| {
            near.clear(&Pattern::new("video:*"));
        },
    ];
    for (number, told) in told.into_iter().enumerate() {
        let view = near.view(&key());
        let kept = entry(view, 1, Source::Untold);
        told(&near);
        near.insert_unless_told(key().as_str(), kept, view);
        assert_eq!(version(&near), None, "{number}");

        let view = near.view(&key());
        let kept = entry(view, 2, Source::Untold);
        near.insert_unless_told(key().as_str(), kept, view);
        assert_eq!(version(&near), Some(2), "{number}");
        told(&near);
        assert_eq!(version(&near), None, "{number}, once it stood");
    }
}

/// The clock is tokio's, and paused.
#[tokio::test(start_paused = true)]
async fn a_value_answers_as_long_as_its_connection_was_heard_from_a_moment_ago() {
    let near = Near::new(1 << 20, 100);
    let teller = Arc::new(Teller::new());
    let view = near.view(&key());
    let kept = entry(view, 1, Source::Told(Arc::clone(&teller)));
    near.insert_unless_told(key().as_str(), kept, view);
    assert_eq!(version(&near), Some(1));

    clock::advance(coherence::MAX_LAG - Duration::from_millis(1)).await;
    assert_eq!(version(&near), Some(1));
    clock::advance(Duration::from_millis(1)).await;
    assert_eq!(version(&near), None, "nothing was heard for too long");

    teller.prove(clock::now());
    assert_eq!(version(&near), Some(1), "nothing was missed after all");
    teller.end();
    assert_eq!(version(&near), None, "the connection is gone");
    teller.prove(clock::now());
    assert_eq!(version(&near), None, "and stays gone");
}
