use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::carrier::Turn;
use super::company::Batch;
use super::packed::{Mget, Names};

use super::*;
use crate::config::CacheConfig;
use crate::location::RedisUrl;
use crate::near::Near;
use crate::near::coherence::Teller;
use crate::store::wire::Texts;

const TIMEOUT: Duration = Duration::from_millis(100);

fn key(name: &str) -> Key {
    Key::by_hand("", name).unwrap()
}

/// One who waits since then, and the record of him.
fn waits_since(slot: &Arc<Slot>, since: Instant) -> (Carried, Asked) {
    let place = Some(slot.batches.lock().cells.wait(Waker::noop().clone()));
    let asked = Asked {
        key: key("video:1"),
        watch: Watch::None,
        since: Some(since),
        place,
    };
    let slot = Arc::clone(slot);
    (Carried { slot, place }, asked)
}

/// What was told to him; `None`: nothing.
fn told(waiting: &mut Carried) -> Option<Told> {
    waiting.told(Waker::noop())
}

fn trouble(waiting: &mut Carried) -> Option<Trouble> {
    match told(waiting)? {
        Told::Read(read) => read.err(),
        Told::AskAlone { .. } => None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_times_out_together_is_one_timeout_and_each_has_his_own_deadline() {
    let slot = Arc::new(Slot::default());
    let start = clock::now();
    let later = clock::after(start, TIMEOUT / 2);
    let (gone, first) = waits_since(&slot, start);
    let (mut one, second) = waits_since(&slot, start);
    let (mut other, third) = waits_since(&slot, start);
    let (mut last, fourth) = waits_since(&slot, later);
    let mut batch = Batch::new(&slot, vec![first, second, third, fourth]);
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
        let (early, first) = waits_since(&slot, start);
        let (late, second) = waits_since(&slot, after(2));
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

#[tokio::test(start_paused = true)]
async fn who_comes_while_others_are_told_waits_from_when_he_is_taken_along_or_they_are_through() {
    let (store, slot) = store_and_slot();
    let turn = Turn::begin(&slot).await;
    let comes = || {
        slot.batches.lock().carriers = CARRIERS;
        let key = key("video:1");
        let place = slot
            .batches
            .enter(&slot, &store, (&key, Watch::None), Waker::noop());
        assert!(place.is_ok());
    };
    let taken_along = || Carrier::new(&slot, &store).load(None).due(TIMEOUT);
    comes();
    clock::advance(TIMEOUT).await;
    assert_eq!(taken_along(), Some(clock::after(clock::now(), TIMEOUT)));

    comes();
    comes();
    clock::advance(TIMEOUT).await;
    drop(turn);
    let through = clock::now();
    clock::advance(TIMEOUT).await;
    assert_eq!(taken_along(), Some(clock::after(through, TIMEOUT)));
    comes();
    let came = clock::now();
    clock::advance(TIMEOUT).await;
    assert_eq!(taken_along(), Some(clock::after(came, TIMEOUT)));
}

#[test]
fn a_cell_is_used_again_once_nobody_knows_of_it() {
    let slot = Arc::new(Slot::default());
    let batches = &slot.batches;
    let counts = || batches.lock().cells.count();
    let (waiting, asked) = waits_since(&slot, clock::now());
    drop(waiting);
    assert_eq!(counts(), (1, 0), "an answer may be on its way");
    drop(Batch::new(&slot, vec![asked]));
    assert_eq!(counts(), (1, 1));

    let (mut waiting, asked) = waits_since(&slot, clock::now());
    drop(Batch::new(&slot, vec![asked]));
    assert_eq!(counts(), (1, 0), "he has not heard yet");
    assert!(told(&mut waiting).is_some());
    assert_eq!(counts(), (1, 1));
    drop(waiting);
    assert_eq!(counts(), (1, 1));

    let (waiting, asked) = waits_since(&slot, clock::now());
    drop(Batch::new(&slot, vec![asked]));
    drop(waiting);
    assert_eq!(counts(), (1, 1), "told, and gone without hearing it");
}

#[test]
fn cells_of_many_who_have_gone_are_given_back() {
    let slot = Arc::new(Slot::default());
    let wait = |_| waits_since(&slot, clock::now());
    let (waiting, asked): (Vec<_>, Vec<_>) = (0..2 * MOST_READS).map(wait).unzip();
    drop(Batch::new(&slot, asked));
    drop(waiting);

    assert_eq!(slot.batches.lock().cells.count(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_before_his_read_is_carried_is_not_asked_for() {
    let (store, slot) = store_and_slot();
    let (gone, first) = waits_since(&slot, clock::now());
    let (mut stays, second) = waits_since(&slot, clock::now());
    slot.batches.lock().waiting.extend([first, second]);
    slot.batches.lock().carriers += 1;
    drop(gone);

    let mut carrier = Carrier::new(&slot, &store);
    let batch = carrier.load(None);

    let mut told_of = 0;
    drop(carrier);
    assert_eq!(slot.batches.lock().cells.count(), (2, 1));
    let mut batch = batch;
    batch.tell_all(|_| {
        told_of += 1;
        Told::Read(Err(Trouble::Open))
    });
    assert_eq!(told_of, 1);
    assert_eq!(trouble(&mut stays), Some(Trouble::Open));
}

#[test]
fn whoever_polled_last_is_woken() {
    struct Counts(AtomicUsize);
    impl std::task::Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let slot = Arc::new(Slot::default());
    let (mut waiting, asked) = waits_since(&slot, clock::now());
    let [one, other] = [(); 2].map(|()| Arc::new(Counts(AtomicUsize::new(0))));
    for counts in [&one, &other, &other] {
        let waker = Waker::from(Arc::clone(counts));
        assert!(waiting.told(&waker).is_none());
    }
    drop(Batch::new(&slot, vec![asked]));

    let woken = [one, other].map(|counts| counts.0.load(Ordering::Relaxed));
    assert_eq!(woken, [0, 1]);
}

#[test]
fn a_read_that_is_lost_tells_so() {
    let slot = Arc::new(Slot::default());
    let (mut waiting, asked) = waits_since(&slot, clock::now());
    assert!(told(&mut waiting).is_none());

    drop(Batch::new(&slot, vec![asked]));

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
    let slot = Arc::new(Slot::default());
    let state = |waiting: usize, carried| {
        let mut state = State {
            waiting: (0..waiting)
                .map(|_| waits_since(&slot, clock::now()).1)
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
        let asked = (0..count).map(|_| waits_since(&slot, clock::now()).1);
        let asked: Vec<Asked> = asked.collect();
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

/// What these values answer, if they do.
fn taken_apart(packed: &Packed, values: Vec<Option<Vec<u8>>>) -> Option<Vec<Read>> {
    let answers = packed.take_apart(Texts::of(values), None)?;
    Some(answers.reads().collect())
}

#[test]
fn names_of_all_lengths_are_written_as_each_would_be_alone() {
    use crate::key;
    use crate::store::read::write_text;

    let entries = ["a:b", "a:c", "a:long", "a:b", "", "é", "a:bc", "a:bd"];
    let (mut names, mut written, mut expected) = (Names::default(), Vec::new(), Vec::new());
    for entry in entries {
        names.write(&mut written, entry);
        write_text(&mut expected, [entry]);
        write_text(&mut expected, key::lease_name_parts(entry));
    }
    assert_eq!(written, expected);
}

#[test]
fn the_client_asks_for_what_is_asked_for_beside_it() {
    let keys: Vec<Key> = (0..20)
        .map(|id| key(&format!("level{}:{id}", id % 3)))
        .collect();
    for (watch, answers) in [(Watch::Kept, 1), (Watch::None, 2)] {
        let packed = Packed::of(keys.iter(), watch);
        let mut beside = Vec::new();
        packed.write(&mut beside);
        let by_client = match packed.command() {
            Mget::Watched(command) => command.get_packed_command(),
            Mget::Unwatched(commands) => commands.get_packed_pipeline(),
        };
        assert_eq!(packed.answers(), answers);
        assert_eq!(
            String::from_utf8(beside).unwrap(),
            String::from_utf8(by_client).unwrap()
        );
    }
}

#[test]
fn fewer_or_more_texts_than_were_asked_for_are_no_answer() {
    let keys = [key("video:1"), key("video:2")];
    let packed = Packed::of(keys.iter(), Watch::Kept);
    for count in 0..10 {
        let reads = taken_apart(&packed, vec![None; count]);
        assert_eq!(reads.is_some(), count == 2 * 2 + 2, "{count}");
    }
}

#[test]
fn of_what_nobody_wanted_to_be_told_of_nobody_tells() {
    let teller = Arc::new(Teller::new());
    for (watch, tells) in [(Watch::Kept, true), (Watch::None, false)] {
        let packed = Packed::of(std::iter::once(&key("video:1")), watch);
        let answers = packed.take_apart(Texts::of(vec![None; 4]), Some(&teller));
        let read = answers.unwrap().reads().next().unwrap();
        assert_eq!(read.teller().is_some(), tells);
        assert_eq!(watch.teller(Some(&teller)).is_some(), tells);
        assert!(watch.teller(None).is_none());
    }
}

#[test]
fn an_entry_for_which_several_ask_in_a_row_is_asked_for_once() {
    let (hot, other) = (key("video:1"), key("video:2"));
    let keys = [&hot, &hot, &hot, &other, &hot];
    let packed = Packed::of(keys.into_iter(), Watch::Kept);
    let number = |number: usize| Some(format!("{number:016x}").into_bytes());
    let values = (1..=8).map(number).collect();
    let reads = taken_apart(&packed, values).unwrap();

    let entries = reads.iter().map(|read| read.entry().map(<[u8]>::to_vec));
    let expected = [1, 1, 1, 3, 5].map(number);
    assert!(entries.eq(expected));
    let leases = reads.iter().map(Read::lease);
    assert!(leases.eq([2, 2, 2, 4, 6].map(Some)));
    for read in &reads {
        assert_eq!(**read.generations(), [Some(7), Some(8)]);
    }
}

#[test]
fn a_generation_that_several_need_is_asked_for_once() {
    // Enough that they are found by their hash.
    let keys: Vec<Key> = (0..40)
        .flat_map(|level| (0..3).map(move |id| key(&format!("level{level}:{id}"))))
        .collect();
    let packed = Packed::of(keys.iter(), Watch::Kept);
    // The values that would answer: each key's number, no lease, and each generation's number.
    let number = |number: usize| Some(format!("{number:016x}").into_bytes());
    let entries = (0..keys.len()).flat_map(|at| [number(at), None]);
    let values = entries.chain((0..41).map(number)).collect();
    let reads = taken_apart(&packed, values).unwrap();

    assert_eq!(reads.len(), keys.len());
    for (at, read) in reads.iter().enumerate() {
        assert_eq!(read.entry().map(<[u8]>::to_vec), number(at));
        let level = u64::try_from(at / 3 + 1).unwrap();
        assert_eq!(**read.generations(), [Some(0), Some(level)], "{at}");
    }
}
