//! What stands in front of moka.

use super::hot::Asked;
use super::*;

/// Whether the entry stands in front of moka, where a hit looks first.
fn is_hot(near: &Near) -> bool {
    stands(near, Asked::Key(TEXT))
}

fn stands(near: &Near, asked: Asked<'_>) -> bool {
    shows(near, asked, |_| true)
}

fn shows(near: &Near, asked: Asked<'_>, is: impl FnOnce(&Kept) -> bool) -> bool {
    near.tier.hot(asked, |_, kept, _| is(kept))
}

/// How a call that is not the first may ask: by its key, and by its notes.
fn ways() -> [Option<Raw>; 2] {
    [None, Some(notes(42))]
}

/// Puts an entry in front, whether or not moka has it.
fn put_in_front(near: &Near, notes: Option<&Raw>, kept: &Arc<Kept>) {
    let changes = near.marks.changes(coherence::stripe(TEXT));
    let asked = notes.map_or(Asked::Key(TEXT), Asked::Raw);
    near.tier.put_in_front((asked, TEXT), kept, changes);
}

fn keep(near: &Near, version: u64) {
    let view = near.view(&key());
    near.insert(key().as_str(), entry(view, version, Source::Process));
}

#[test]
fn what_is_found_stands_in_front_until_it_goes() {
    let near = Near::new(1 << 20, 100);
    let ends: [fn(&Near); 3] = [
        |near| {
            near.remove(TEXT);
        },
        |near| keep(near, 2),
        |near| near.clear_all(),
    ];
    for notes in ways() {
        let notes = notes.as_ref();
        let is_hot = |near| stands(near, notes.map_or(Asked::Key(TEXT), Asked::Raw));
        for (number, end) in ends.into_iter().enumerate() {
            keep(&near, 1);
            assert!(!is_hot(&near), "{number}: nobody has asked for it");
            assert_eq!(version_by(&near, notes), Some(1));
            assert!(is_hot(&near), "{number}");
            assert_eq!(version_by(&near, notes), Some(1), "{number}");
            end(&near);
            assert!(!is_hot(&near), "{number}");
        }
    }
}

#[test]
fn in_front_the_same_is_asked_of_an_entry_as_behind() {
    let near = Near::new(1 << 20, 100);
    let view = near.view(&key());
    let tagged = Entry {
        tagging: 7,
        took: Duration::from_secs(10),
        ..entry(view, 1, Source::Process)
    };
    near.insert(key().as_str(), tagged);
    for front in [false, true] {
        let found = |asker| near.hit((TEXT, None), asker, |_| true);
        assert_eq!(is_hot(&near), front);
        let other = Asker { origin: 2, ..ASKER };
        assert!(!found(other), "another function's");
        let other = Asker {
            tagging: 8,
            ..ASKER
        };
        assert!(!found(other), "under other tags");
        let early = |early| Asker { early, ..ASKER };
        assert!(!found(early(f64::INFINITY)), "to be loaded in any case");
        assert!(!found(early(7.0)), "to be loaded early");
        assert_eq!(is_hot(&near), front, "who was not answered changes nothing");
        assert!(found(early(5.0)));
        assert!(found(Asker {
            tagging: 7,
            ..ASKER
        }));
    }
    let plain = near.view(&key());
    near.insert(key().as_str(), entry(plain, 1, Source::Plain));
    let of_plain = Asker {
        plain: true,
        ..ASKER
    };
    assert!(near.hit((TEXT, None), of_plain, |_| true));
    assert!(is_hot(&near));
    assert_eq!(
        version(&near),
        None,
        "kept for functions that are not async"
    );
}

/// The clock is tokio's, and paused.
#[tokio::test(start_paused = true)]
async fn in_front_a_value_expires_as_behind() {
    let near = Near::new(1 << 20, 100);
    for notes in ways() {
        let (version, notes) = (|notes| version_by(&near, notes), notes.as_ref());
        keep(&near, 1);
        assert_eq!(version(notes), Some(1));
        for _ in 0..59 {
            clock::advance(Duration::from_secs(1)).await;
            assert_eq!(version(notes), Some(1));
            assert!(stands(&near, notes.map_or(Asked::Key(TEXT), Asked::Raw)));
        }
        clock::advance(Duration::from_secs(1)).await;
        assert_eq!(version(notes), None);
    }
}

#[test]
fn what_is_put_in_the_place_of_another_is_what_is_found_from_then_on() {
    for notes in ways() {
        let near = Near::new(1 << 20, 100);
        let (end, notes) = (AtomicBool::new(false), notes.as_ref());
        keep(&near, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !end.load(Ordering::SeqCst) {
                    version_by(&near, notes);
                }
            });
            for put in 1..=60_000 {
                keep(&near, put);
                let found = version_by(&near, notes);
                if found != Some(put) {
                    end.store(true, Ordering::SeqCst);
                    panic!("found {found:?} after {put} was put");
                }
            }
            end.store(true, Ordering::SeqCst);
        });
    }
}

fn numbered(number: usize) -> Key {
    let text = format!("video:get_video:{number}");
    Key::new(&text, Levels::all(0, &text), 1)
}

fn keep_numbered(near: &Near, number: usize, bytes: usize) {
    let key = numbered(number);
    let kept = Entry {
        bytes,
        ..entry(near.view(&key), 1, Source::Process)
    };
    near.insert(key.as_str(), kept);
}

fn finds(near: &Near, number: usize) -> bool {
    near.hit((numbered(number).as_str(), None), ASKER, |_| true)
}

#[test]
fn nothing_stands_in_front_that_moka_has_let_go_of() {
    const ROOM: usize = 100;
    let near = Near::new(1 << 20, 100);
    let alive: Vec<_> = (0..20 * ROOM)
        .map(|number| {
            let key = numbered(number);
            let value: Shared = Arc::new(number);
            let alive = Arc::downgrade(&value);
            let kept = Entry {
                value,
                ..entry(near.view(&key), 1, Source::Process)
            };
            near.insert(key.as_str(), kept);
            // Unless moka does not take it in.
            finds(&near, number);
            alive
        })
        .collect();
    assert!(near.entries() <= 100);
    let mut hot = 0;
    for number in 0..20 * ROOM {
        let key = numbered(number);
        // In this order: looking for it may be what makes moka evict another.
        let kept = near.tier.get(key.as_str()).is_some();
        let stands = stands(&near, Asked::Key(key.as_str()));
        assert!(kept || !stands, "{number}");
        hot += usize::from(stands);
    }
    // moka itself keeps a few more until it gets round to them.
    assert!(hot <= 2 * ROOM, "{hot}");
    // Freed, but for those that are freed together with the next ones.
    let alive = alive.iter().filter(|value| value.strong_count() > 0);
    assert!(alive.count() <= 2 * ROOM);
}

#[test]
fn an_entry_that_is_large_for_the_tier_does_not_stand_in_front() {
    let near = Near::new(1 << 20, 100);
    keep_numbered(&near, 1, 4_000);
    assert!(finds(&near, 1));
    assert!(!stands(&near, Asked::Key(numbered(1).as_str())));
    assert!(finds(&near, 1), "behind it does");
    keep_numbered(&near, 2, 3_000);
    assert!(finds(&near, 2));
    assert!(stands(&near, Asked::Key(numbered(2).as_str())));
}

#[test]
fn moka_hears_of_an_entry_that_is_hit_and_keeps_it() {
    const ROOM: usize = 100;
    let near = Near::new(1 << 20, 100);
    keep_numbered(&near, 0, 8);
    assert!(finds(&near, 0));
    for round in 1..=40 {
        // As many as there is room for, each asked for more often than one of which moka does not hear.
        for number in round * ROOM..(round + 1) * ROOM {
            keep_numbered(&near, number, 8);
            assert!(finds(&near, 0), "it was evicted in round {round}");
            finds(&near, number);
        }
        near.entries();
    }
}

#[test]
fn keys_of_any_length_are_told_apart_in_front() {
    let near = Near::new(1 << 20, 100);
    let texts: Vec<String> = (36..44)
        .flat_map(|length| ["a", "b"].map(|end| "x".repeat(length) + end))
        .collect();
    for text in &texts {
        let key = Key::new(text, Levels::all(0, text), 1);
        let kept = Entry {
            value: Arc::new(text.clone()),
            places: Epochs::places(key.groups()),
            ..entry(near.view(&key), 1, Source::Process)
        };
        near.insert(key.as_str(), kept);
    }
    for _ in 0..2 {
        for text in &texts {
            let same = |kept: &Kept| kept.value().downcast_ref::<String>() == Some(text);
            assert!(near.hit((text, None), ASKER, same), "{text}");
        }
    }
}

/// As it is between moka's eviction and the moment at which it says so.
#[test]
fn what_still_stands_in_front_only_is_removed_as_well() {
    let near = Near::new(1 << 20, 100);
    let removals: [fn(&Near); 3] = [
        |near| {
            near.remove(TEXT);
        },
        |near| {
            near.clear(&Pattern::new("video:*"));
        },
        |near| {
            let view = near.view(&key());
            near.insert_unless_told(key().as_str(), entry(view, 2, Source::Untold), view);
        },
    ];
    for notes in ways() {
        let notes = notes.as_ref();
        for (number, removal) in removals.into_iter().enumerate() {
            keep(&near, 1);
            let kept = near.tier.get(TEXT).unwrap();
            near.tier.remove(TEXT);
            kept.come_back();
            kept.hear(near.tier.inserted());
            put_in_front(&near, notes, &kept);
            assert_eq!(version_by(&near, notes), Some(1), "{number}");

            removal(&near);
            assert_ne!(version_by(&near, notes), Some(1), "{number}");
        }
    }
}

#[test]
fn what_moka_lets_go_of_on_its_way_to_the_front_does_not_stay_there() {
    let near = Near::new(1 << 20, 100);
    for notes in ways() {
        let notes = notes.as_ref();
        keep(&near, 1);
        let kept = near.tier.get(TEXT).unwrap();
        near.tier.remove(TEXT);
        // Whoever was about to.
        put_in_front(&near, notes, &kept);
        assert!(!stands(&near, notes.map_or(Asked::Key(TEXT), Asked::Raw)));
    }
}

/// One stripe is shared by many.
#[test]
fn what_happens_to_another_entry_does_not_end_one_that_stands_in_front() {
    let near = Near::new(1 << 20, 100);
    let stripe = coherence::stripe(TEXT);
    let mut others = (0..).map(|number| format!("user:{number}"));
    let other = others
        .find(|other| coherence::stripe(other) == stripe)
        .unwrap();
    for notes in ways() {
        let notes = notes.as_ref();
        keep(&near, 1);
        assert_eq!(version_by(&near, notes), Some(1));
        for _ in 0..3 {
            near.remove(&other);
            near.end("user");
            near.clear(&Pattern::new("user:*"));
            let name = notes.map_or(Asked::Key(TEXT), Asked::Raw);
            let is = |kept: &Kept| kept.value().downcast_ref() == Some(&1_u64);
            assert!(shows(&near, name, is), "it stays");
            assert_eq!(version_by(&near, notes), Some(1));
        }
    }
}

/// Such as those of two functions with one template.
#[test]
fn an_entry_stands_under_the_notes_of_one_call_and_is_found_by_others_all_the_same() {
    let near = Near::new(1 << 20, 100);
    let (one, other) = (notes(42), notes(43));
    keep(&near, 1);
    for _ in 0..2 {
        assert_eq!(version_by(&near, Some(&one)), Some(1));
        assert_eq!(version_by(&near, Some(&other)), Some(1));
    }
    assert!(stands(&near, Asked::Raw(&one)));
    assert!(
        !stands(&near, Asked::Raw(&other)),
        "it could not be taken away"
    );
    assert!(is_hot(&near), "for its key it is found as fast");
    // Whoever was about to put it there when it had no notes yet.
    put_in_front(&near, Some(&other), &near.tier.get(TEXT).unwrap());
    assert!(!stands(&near, Asked::Raw(&other)));

    near.remove(TEXT);
    assert!(!stands(&near, Asked::Raw(&one)) && !is_hot(&near));
}

#[test]
fn a_value_that_is_not_taken_does_not_come_to_the_front() {
    let near = Near::new(1 << 20, 100);
    for notes in ways() {
        keep(&near, 1);
        let notes = notes.as_ref();
        assert!(!near.hit((TEXT, notes.map(caller)), ASKER, |_| false));
        assert!(!stands(&near, notes.map_or(Asked::Key(TEXT), Asked::Raw)));
    }
}

/// What is about to be put in front or in the place of another waits for whoever changes that entry.
#[test]
fn an_entry_is_changed_by_one_at_a_time() {
    let near = Near::new(1 << 20, 100);
    keep(&near, 1);
    let while_held = |act: &(dyn Fn() + Sync), shows: fn(&Near) -> bool| {
        std::thread::scope(|scope| {
            near.marks.alone(coherence::stripe(TEXT), || {
                scope.spawn(act);
                // Long enough for one that does not wait.
                let until = clock::now() + Duration::from_millis(100);
                while clock::now() < until {
                    assert!(!shows(&near));
                }
            });
        });
        assert!(shows(&near));
    };
    let hit = || {
        version(&near);
    };
    while_held(&hit, is_hot);
    // Taking a view waits as well.
    let view = near.view(&key());
    let put = || near.insert(key().as_str(), entry(view, 2, Source::Process));
    while_held(&put, |near| version_behind(near) == Some(2));
    assert!(!is_hot(&near));
}

fn version_behind(near: &Near) -> Option<u64> {
    near.tier.get(TEXT)?.value().downcast_ref().copied()
}
