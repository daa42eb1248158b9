use std::time::Duration;

use super::carrier::{Batch, Turn};
use super::*;
use crate::config::CacheConfig;
use crate::location::RedisUrl;
use crate::near::Near;
use crate::store::Bytes;

const TIMEOUT: Duration = Duration::from_millis(100);

fn key(name: &str) -> Key {
    Key::by_hand("", name).unwrap()
}

/// One who waits since then, and the record of him.
fn waits_since(batches: &Batches, since: Instant) -> (Waiting<'_>, Asked) {
    let reader = Arc::new(Reader::default());
    let asked = Asked {
        key: key("video:1"),
        watch: Watch::None,
        since,
        reader: Some(Arc::clone(&reader)),
    };
    let reader = Some(reader);
    let will_wake = false;
    (
        Waiting {
            batches,
            reader,
            will_wake,
        },
        asked,
    )
}

/// What was told to him; `None`: nothing.
fn told(waiting: &mut Waiting<'_>) -> Option<Told> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(waiting).poll(&mut context) {
        Poll::Ready(told) => Some(told),
        Poll::Pending => None,
    }
}

fn trouble(waiting: &mut Waiting<'_>) -> Option<Trouble> {
    match told(waiting)? {
        Told::Read(read) => read.err(),
        Told::AskAlone { .. } => None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_times_out_together_is_one_timeout_and_each_has_his_own_deadline() {
    let batches = Batches::default();
    let start = clock::now();
    let later = clock::after(start, TIMEOUT / 2);
    let (gone, first) = waits_since(&batches, start);
    let (mut one, second) = waits_since(&batches, start);
    let (mut other, third) = waits_since(&batches, start);
    let (mut last, fourth) = waits_since(&batches, later);
    let mut batch = Batch::new(vec![first, second, third, fourth]);
    drop(gone);
    assert_eq!(batch.due(TIMEOUT), Some(clock::after(start, TIMEOUT)));

    batch.give_up(clock::after(start, TIMEOUT), TIMEOUT);

    // Who has gone away says nothing of it.
    assert_eq!(trouble(&mut one), Some(Trouble::Timeout));
    assert_eq!(trouble(&mut other), Some(Trouble::TimeoutOfAnother));
    assert!(told(&mut last).is_none());
    assert_eq!(batch.due(TIMEOUT), Some(clock::after(later, TIMEOUT)));
    batch.give_up(clock::after(later, TIMEOUT), TIMEOUT);
    assert_eq!(trouble(&mut last), Some(Trouble::TimeoutOfAnother));
    assert_eq!(batch.due(TIMEOUT), None);
}

fn store_and_slot() -> (Arc<Store>, Arc<Slot>) {
    let url = RedisUrl::parse("redis://127.0.0.1:1").unwrap();
    let config = CacheConfig {
        redis: Some(url),
        ..CacheConfig::default()
    };
    let near = Arc::new(Near::new(1_000, 10));
    let store = Store::open(&config, near, Box::new(|| {})).unwrap();
    (Arc::new(store), Arc::new(Slot::default()))
}

#[tokio::test(start_paused = true)]
async fn only_who_came_while_a_connection_was_made_has_a_deadline_from_then() {
    let (store, slot) = store_and_slot();
    let start = clock::now();
    let after = |count| clock::after(start, TIMEOUT * count);
    let loaded = |connecting| {
        let (early, first) = waits_since(&slot.batches, start);
        let (late, second) = waits_since(&slot.batches, after(2));
        slot.batches.lock().waiting.extend([first, second]);
        slot.batches.lock().carriers += 1;
        let mut batch = Carrier::new(&slot, &store).load(connecting);
        let due = batch.due(TIMEOUT);
        batch.give_up(after(1), TIMEOUT);
        drop((early, late));
        (due, batch.due(TIMEOUT))
    };

    assert_eq!(loaded(None), (Some(after(1)), Some(after(3))));
    let connecting = Some((after(1), after(5)));
    assert_eq!(loaded(connecting), (Some(after(1)), Some(after(6))));
}

#[test]
fn a_reader_is_used_again_once_nobody_else_has_him() {
    let batches = Batches::default();
    let (waiting, asked) = waits_since(&batches, clock::now());
    drop(waiting);
    assert_eq!(batches.lock().spare.len(), 0, "an answer may be on its way");
    drop(asked);
    let (waiting, mut asked) = waits_since(&batches, clock::now());
    asked.tell(Told::Read(Err(Trouble::Open)));
    drop(waiting);

    let spare = batches.lock().spare.pop().unwrap();

    assert!(matches!(*spare.lock(), Answer::Awaited(None)));
}

#[test]
fn a_read_that_is_lost_tells_so() {
    let batches = Batches::default();
    let (mut waiting, asked) = waits_since(&batches, clock::now());
    assert!(told(&mut waiting).is_none());

    drop(asked);

    assert!(matches!(
        trouble(&mut waiting),
        Some(Trouble::Unreachable(_))
    ));
}

#[test]
fn the_larger_the_entries_the_fewer_travel_together() {
    let reads = |usual_size| {
        let state = State {
            usual_size,
            ..State::default()
        };
        state.most_reads()
    };
    assert_eq!(reads(0), MOST_READS);
    assert_eq!(reads(1_000), MOST_READS);
    assert_eq!(reads(10_000), MOST_BYTES / 10_000);
    assert_eq!(reads(usize::MAX), ALONE);
}

#[test]
fn the_reads_of_one_runtime_are_shared_out_among_the_carriers() {
    let batches = Batches::default();
    let state = |waiting: usize, carried| {
        let mut state = State {
            waiting: (0..waiting)
                .map(|_| waits_since(&batches, clock::now()).1)
                .collect(),
            carried,
            ..State::default()
        };
        state.count_readers();
        state
    };
    assert_eq!(state(256, 0).share(), 64);
    assert_eq!(state(64, 192).share(), 64);
    assert_eq!(state(64, 0).share(), FEW);
    assert_eq!(state(1, 0).share(), FEW);

    assert!(state(1, 0).is_worth_another(0, FEW));
    assert!(state(16, 64).is_worth_another(1, FEW));
    let few = state(15, 64);
    assert!(!few.is_worth_another(1, FEW), "one takes them soon");
    assert!(!state(31, 64).is_worth_another(2, FEW));
    assert!(state(32, 64).is_worth_another(2, FEW));
}

#[test]
fn those_who_do_not_read_any_more_are_forgotten() {
    let mut state = State {
        carried: 256,
        ..State::default()
    };
    state.count_readers();
    state.forget_readers();
    assert_eq!(state.readers, 256, "as many are under way");

    state.carried = 3;
    let mut requests = 0;
    while state.readers > 3 {
        let before = state.readers;
        state.forget_readers();
        assert!(state.readers < before);
        requests += 1;
    }
    assert!(requests <= 100, "{requests}");
    state.carried = 0;
    state.forget_readers();
    assert_eq!(state.readers, 2);
}

#[tokio::test]
async fn readers_of_two_requests_are_told_one_after_the_other() {
    let (_, slot) = store_and_slot();
    let first = Turn::begin(&slot).await;
    let second = tokio::spawn({
        let slot = Arc::clone(&slot);
        async move { Turn::begin(&slot).await }
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());

    drop(first);
    let second = second.await.unwrap();
    drop(second);
    assert!(!slot.batches.lock().tells);
}

#[tokio::test]
async fn a_turn_that_does_not_end_keeps_others_waiting_for_a_few_turns_only() {
    let (_, slot) = store_and_slot();
    let _first = Turn::begin(&slot).await;

    let second = clock::within(100 * TIMEOUT, Turn::begin(&slot)).await;

    assert!(second.is_some());
}

#[tokio::test]
async fn few_who_wait_are_left_to_the_carrier_that_is_under_way() {
    let (store, slot) = store_and_slot();
    let mut first = Carrier::new(&slot, &store);
    let mut second = Carrier::new(&slot, &store);
    let waits = |count: usize| {
        let asked = (0..count).map(|_| waits_since(&slot.batches, clock::now()).1);
        slot.batches.lock().waiting.extend(asked);
    };
    slot.batches.lock().carriers = 2;
    waits(FEW);
    drop(first.load(None));
    waits(FEW);

    assert!(!second.ends(), "as many wait");
    drop(second.load(None));
    second.unload();
    waits(FEW / WORTH - 1);
    assert!(second.ends());
    assert_eq!(slot.batches.lock().carriers, 1);

    first.unload();
    assert!(!first.ends(), "nobody else takes them");
    assert_eq!(slot.batches.lock().carried, 0);
}

#[test]
fn an_entry_for_which_several_ask_in_a_row_is_asked_for_once() {
    let (hot, other) = (key("video:1"), key("video:2"));
    let keys = [&hot, &hot, &hot, &other, &hot];
    let packed = Packed::of(keys.into_iter(), Watch::Kept);
    assert_eq!(packed.count(), 2 * 3 + 2);

    let number = |number: usize| Some(Bytes::from(format!("{number:016x}").into_bytes()));
    let values = (1..=8).map(number).collect();
    let reads: Vec<Read> = packed.take_apart(values, None).collect();

    let entries = reads.iter().map(|read| read.entry.clone());
    let expected = [1, 1, 1, 3, 5].map(number);
    assert!(entries.eq(expected));
    let leases = reads.iter().map(|read| read.lease);
    assert!(leases.eq([2, 2, 2, 4, 6].map(Some)));
    for read in &reads {
        assert_eq!(*read.generations, [Some(7), Some(8)]);
    }
}

#[test]
fn a_generation_that_several_need_is_asked_for_once() {
    // Enough that they are found by their hash.
    let keys: Vec<Key> = (0..40)
        .flat_map(|level| (0..3).map(move |id| key(&format!("level{level}:{id}"))))
        .collect();
    let packed = Packed::of(keys.iter(), Watch::Kept);
    assert_eq!(packed.count(), 2 * keys.len() + 1 + 40);

    // The values that would answer: each key's number, no lease, and each generation's number.
    let number = |number: usize| Some(Bytes::from(format!("{number:016x}").into_bytes()));
    let entries = (0..keys.len()).flat_map(|at| [number(at), None]);
    let values = entries.chain((0..41).map(number)).collect();
    let reads: Vec<Read> = packed.take_apart(values, None).collect();

    assert_eq!(reads.len(), keys.len());
    for (at, read) in reads.iter().enumerate() {
        assert_eq!(read.entry, number(at));
        let level = u64::try_from(at / 3 + 1).unwrap();
        assert_eq!(*read.generations, [Some(0), Some(level)], "{at}");
    }
}
