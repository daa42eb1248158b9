use std::mem::offset_of;

use super::super::Epochs;
use super::*;
use crate::value::Kind;

const GROUPS: [&str; 7] = ["", "video", "video:meta", "a", "b", "c", "d"];

fn entry(epochs: &Epochs, origin: u64, source: Source) -> Entry {
    let now = clock::now();
    Entry {
        value: Arc::new(7_u64),
        identity: Kind::of::<u64>().in_version(3).identity(),
        origin,
        tagging: 5,
        source,
        took: Duration::from_micros(1_500),
        epoch: epochs.now(GROUPS.into_iter()),
        places: Epochs::places(GROUPS.into_iter()),
        expires: clock::after(now, Duration::from_secs(60)),
        // Longer ago than the clock's numbers go back.
        filled: clock::before(now, Duration::from_secs(30 * 86_400)),
        kept_until: clock::after(now, Duration::from_secs(90)),
        bytes: 17,
    }
}

#[test]
fn what_a_hit_looks_at_lies_together_and_the_whole_is_small() {
    // In the first 64 bytes, behind the counts of the `Arc`.
    assert!(offset_of!(Kept, took) <= 64 - 2 * size_of::<usize>());
    assert!(size_of::<Kept>() <= 96, "{}", size_of::<Kept>());
}

#[test]
fn an_entry_is_what_it_was_before_it_was_kept() {
    let (epochs, commons) = (Epochs::new(), Commons::default());
    let teller = Arc::new(Teller::new());
    for source in [
        Source::Process,
        Source::Told(teller),
        Source::Untold,
        Source::Plain,
    ] {
        let before = entry(&epochs, 1, source);
        let kept = Kept::new(before.clone(), &commons).unwrap();
        assert_eq!(kept.age().as_secs(), 30 * 86_400);
        let now = epochs.at(kept.places());
        let after = kept.entry(now).unwrap();

        assert_eq!(after.value.downcast_ref(), Some(&7_u64));
        assert_eq!(after.identity, before.identity);
        assert_eq!((after.origin, after.tagging), (1, 5));
        assert_eq!(after.source, before.source);
        assert_eq!((after.took, after.epoch), (before.took, before.epoch));
        assert_eq!(epochs.at(after.places.slots()), before.epoch);
        assert_eq!(after.expires, before.expires);
        assert_eq!(after.filled, before.filled);
        assert_eq!(after.kept_until, before.kept_until);
        assert_eq!(after.bytes, 32);
    }
}

#[test]
fn an_entry_does_not_come_back_once_a_group_of_it_has_ended() {
    let commons = Commons::default();
    for group in GROUPS {
        let epochs = Epochs::new();
        let kept = Kept::new(entry(&epochs, 1, Source::Untold), &commons).unwrap();
        let here = Kept::new(entry(&epochs, 1, Source::Process), &commons).unwrap();
        let back = |kept: &Kept| kept.entry(epochs.at(kept.places())).is_some();
        assert!(back(&kept) && back(&here));

        epochs.end_told(group);
        assert!(!back(&kept), "{group}");
        assert!(back(&here), "what Redis tells does not concern it");
        epochs.end(group);
        assert!(!back(&here), "{group}");
    }
}

#[test]
fn an_entry_whose_epoch_is_of_other_groups_is_not_kept() {
    let (epochs, commons) = (Epochs::new(), Commons::default());
    let entry = Entry {
        epoch: epochs.now(["", "video"].into_iter()),
        ..entry(&epochs, 1, Source::Process)
    };
    assert!(Kept::new(entry, &commons).is_none());
}

#[test]
fn what_moka_has_let_go_of_stays_so_though_it_is_asked_for() {
    let (epochs, commons) = (Epochs::new(), Commons::default());
    let kept = Kept::new(entry(&epochs, 1, Source::Process), &commons).unwrap();
    kept.hear(7);
    assert_eq!(kept.heard(), 7);
    kept.go();
    kept.hear(8);
    assert!(kept.is_gone());
}

#[test]
fn what_entries_have_in_common_is_kept_once() {
    let (epochs, commons) = (Epochs::new(), Commons::default());
    let teller = Arc::new(Teller::new());
    let keep = |origin, source| Kept::new(entry(&epochs, origin, source), &commons).unwrap();
    let first = keep(1, Source::Told(Arc::clone(&teller)));
    let same = |other: &Kept| Arc::ptr_eq(&first.common, &other.common);

    assert!(same(&keep(1, Source::Told(teller))));
    assert!(!same(&keep(2, first.source().clone())));
    assert!(!same(&keep(1, Source::Told(Arc::new(Teller::new())))));
    assert!(!same(&keep(1, Source::Process)));
}

#[test]
fn what_entries_have_in_common_is_forgotten_with_them() {
    let (epochs, commons) = (Epochs::new(), Commons::default());
    let known = || commons.0.read().unwrap().len();
    let keep = |origin| Kept::new(entry(&epochs, origin, Source::Process), &commons).unwrap();
    let kept = keep(0);
    for origin in 1..10 * MOST_COMMONS as u64 {
        keep(origin);
        assert!(known() <= MOST_COMMONS);
    }
    assert!(Arc::ptr_eq(&kept.common, &keep(0).common), "it is in use");

    let all: Vec<_> = (0..10 * MOST_COMMONS as u64).map(keep).collect();
    assert!(known() <= MOST_COMMONS, "though all of them are in use");
    drop(all);
}
