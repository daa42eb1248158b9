//! P5: two different argument lists never share an entry, whatever characters, lengths or types they hold.

mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_runtime::{Cache, cached, with_cache};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use support::{RedisServer, on};

/// What separates, matches or ends something in a key, a glob or a cluster's hash tag.
const NASTY: &[char] = &[
    ':', '*', '?', '[', ']', '{', '}', '\\', '%', '\'', '"', ' ', '\n', '\r', '\0', '\t', '-', '_',
    ',', '(', ')', '=', '~', '#', '$', '@', '.', '/', '1', '0', 'a', 'N', 'é', '\u{202e}', '🦀',
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Shape {
    Nothing,
    One(String),
    Two(String, Option<i64>),
    Named { a: String, b: Vec<String> },
}

/// One argument list of `everything`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Arguments {
    text: String,
    maybe: Option<String>,
    many: Vec<String>,
    number: i64,
    pair: (String, String),
    character: char,
    flag: bool,
    shape: Shape,
    map: BTreeMap<String, Option<String>>,
}

/// Counts the runs of bodies: each run returns another number, so an answer tells whose it is.
#[derive(Debug, Clone, Default)]
struct Runs(Arc<AtomicU64>);

impl Runs {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[expect(clippy::too_many_arguments, reason = "every kind of argument at once")]
#[cached(ttl = 300, prefix = "list", skip(runs))]
async fn everything(
    runs: &Runs,
    text: &str,
    maybe: Option<String>,
    many: &[String],
    number: i64,
    pair: (String, String),
    character: char,
    flag: bool,
    shape: &Shape,
    map: &BTreeMap<String, Option<String>>,
) -> u64 {
    let _ = (text, maybe, many, number, pair, character, flag, shape, map);
    runs.next()
}

#[cached(ttl = 300, prefix = "two", skip(runs))]
async fn two_texts(runs: &Runs, one: &str, other: &str) -> u64 {
    let _ = (one, other);
    runs.next()
}

#[cached(ttl = 300, prefix = "two", key = "{one}-{other}")]
async fn dashed(runs: &Runs, one: &str, other: &str) -> u64 {
    let _ = (one, other);
    runs.next()
}

#[cached(ttl = 300, prefix = "four", key = "{one}:{two}--{three}.{four}")]
async fn four_holes(runs: &Runs, one: &str, two: &str, three: &str, four: Option<String>) -> u64 {
    let _ = (one, two, three, four);
    runs.next()
}

async fn call(cache: &Cache, runs: &Runs, with: &Arguments) -> u64 {
    let call = everything(
        runs,
        &with.text,
        with.maybe.clone(),
        &with.many,
        with.number,
        with.pair.clone(),
        with.character,
        with.flag,
        &with.shape,
        &with.map,
    );
    with_cache(cache.clone(), call).await
}

// --- random argument lists ------------------------------------------------------------------

fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(NASTY);
    let short = prop::collection::vec(nasty.clone(), 0..4);
    let long = (nasty, 0..3_usize).prop_map(|(character, spare)| vec![character; 10_240 + spare]);
    prop_oneof![
        20 => short.prop_map(String::from_iter),
        4 => prop::sample::select(vec!["true", "1", "-1", "None", "null", "()", "''", "~", "1.0", "NaN"])
            .prop_map(str::to_owned),
        2 => any::<String>(),
        1 => long.prop_map(String::from_iter),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Nothing),
        text().prop_map(Shape::One),
        (text(), any::<Option<i64>>()).prop_map(|(a, b)| Shape::Two(a, b)),
        (text(), prop::collection::vec(text(), 0..3)).prop_map(|(a, b)| Shape::Named { a, b }),
    ]
}

fn arguments() -> impl Strategy<Value = Arguments> {
    (
        text(),
        prop::option::of(text()),
        prop::collection::vec(text(), 0..4),
        prop_oneof![-2..3_i64, any::<i64>()],
        (text(), text()),
        prop_oneof![prop::sample::select(NASTY), any::<char>()],
        any::<bool>(),
        shape(),
        prop::collection::btree_map(text(), prop::option::of(text()), 0..3),
    )
        .prop_map(
            |(text, maybe, many, number, pair, character, flag, shape, map)| Arguments {
                text,
                maybe,
                many,
                number,
                pair,
                character,
                flag,
                shape,
                map,
            },
        )
}

/// The other list differs as little as a list can: in one argument, or not at all.
fn pairs() -> impl Strategy<Value = (Arguments, Arguments)> {
    (arguments(), arguments(), 0..11_usize).prop_map(|(one, other, which)| {
        let mut near = one.clone();
        match which {
            0 => near.text = other.text,
            1 => near.maybe = other.maybe,
            2 => near.many = other.many,
            3 => near.number = other.number,
            4 => std::mem::swap(&mut near.pair.0, &mut near.pair.1),
            5 => near.character = other.character,
            6 => near.flag = other.flag,
            7 => near.shape = other.shape,
            8 => near.map = other.map,
            9 => return (one, other),
            _ => {}
        }
        (one, near)
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

async fn in_process() -> Cache {
    Cache::builder()
        .max_entries(1_000_000)
        .memory_limit(1 << 30)
        .open()
        .await
        .unwrap()
}

/// In an empty cache, two argument lists share an entry exactly when they are the same.
async fn check_pair(
    cache: &Cache,
    one: &Arguments,
    other: &Arguments,
) -> Result<(), TestCaseError> {
    let runs = Runs::default();

    let first = call(cache, &runs, one).await;
    let second = call(cache, &runs, other).await;

    prop_assert_eq!(first == second, one == other);
    prop_assert_eq!(call(cache, &runs, one).await, first);
    prop_assert_eq!(call(cache, &runs, other).await, second);
    Ok(())
}

#[test]
fn different_argument_lists_never_share_an_entry_and_equal_ones_always_do() {
    let runtime = runtime();

    proptest!(config(1_000), |((one, other) in pairs())| {
        runtime.block_on(async { check_pair(&in_process().await, &one, &other).await })?;
    });
}

#[test]
fn nor_do_they_on_redis_where_no_argument_reads_as_a_pattern_or_a_hash_tag() {
    let server = RedisServer::start();
    let runtime = runtime();

    proptest!(config(300), |((one, other) in pairs())| {
        server.cli(&["FLUSHALL"]);
        runtime.block_on(async { check_pair(&on(&server).await, &one, &other).await })?;
        let keys = server.keys("list:*");
        prop_assert_eq!(keys.len(), if one == other { 1 } else { 2 });
        for key in keys {
            prop_assert!(!key.contains(['*', '?', '[', ']', '{', '}', '\\', ' ', '\n', '\0']), "{}", key);
            prop_assert_eq!(key.matches(':').count(), 10, "{}", key);
            prop_assert!(key.len() < 2_000, "{} bytes", key.len());
        }
    });
}

#[test]
fn a_few_thousand_argument_lists_in_one_cache_have_an_entry_each() {
    let runtime = runtime();
    let cache = runtime.block_on(in_process());
    let runs = Runs::default();
    let owners = RefCell::new(BTreeMap::new());
    let answers = RefCell::new(HashMap::new());

    proptest!(config(2_000), |(list in arguments())| {
        let answer = runtime.block_on(call(&cache, &runs, &list));
        let known = owners.borrow_mut().insert(list.clone(), answer);
        prop_assert!(known.is_none_or(|known| known == answer));
        let mut answers = answers.borrow_mut();
        let owner = answers.entry(answer).or_insert_with(|| list.clone());
        prop_assert_eq!(&*owner, &list);
    });
}

#[test]
fn an_argument_cannot_reach_over_into_the_next() {
    let runtime = runtime();

    proptest!(config(1_000), |(a in text(), b in text(), c in text(), d in text())| {
        runtime.block_on(async {
            let cache = in_process().await;
            let runs = Runs::default();
            let one = with_cache(cache.clone(), two_texts(&runs, &a, &b)).await;
            let other = with_cache(cache.clone(), two_texts(&runs, &c, &d)).await;
            prop_assert_eq!(one == other, (&a, &b) == (&c, &d));
            // The same characters, divided elsewhere.
            let whole = format!("{a}{b}");
            let moved = with_cache(cache.clone(), two_texts(&runs, &whole, "")).await;
            prop_assert_eq!(moved == one, (whole.as_str(), "") == (a.as_str(), b.as_str()));
            Ok::<_, TestCaseError>(())
        })?;
    });
}

// --- templates ------------------------------------------------------------------------------

#[tokio::test]
async fn a_separator_inside_an_argument_of_a_template_is_not_the_separator() {
    let cache = in_process().await;
    let runs = Runs::default();
    let mut seen = HashMap::new();
    for (one, other) in [
        ("x-y", "z"),
        ("x", "y-z"),
        ("x-", "y"),
        ("x", "-y"),
        ("x%2Dy", "z"),
        ("x%2dy", "z"),
        ("", "-"),
        ("-", ""),
        ("''", "-"),
        ("x", "''"),
        ("x-y-z", ""),
    ] {
        let answer = with_cache(cache.clone(), dashed(&runs, one, other)).await;

        let shared = seen.insert(answer, (one, other));
        assert_eq!(shared, None, "shares its entry with {:?}", (one, other));
    }
}

#[test]
fn different_arguments_of_a_template_never_share_an_entry() {
    let runtime = runtime();
    // Few characters, so that collisions would be frequent.
    let piece = || {
        let characters = prop::sample::select(&['-', '.', ':', 'x', '%', '\''][..]);
        prop::collection::vec(characters, 0..4).prop_map(String::from_iter)
    };
    let list = || (piece(), piece(), piece(), prop::option::of(piece()));

    proptest!(config(5_000), |(one in list(), other in list())| {
        runtime.block_on(async {
            let cache = in_process().await;
            let runs = Runs::default();
            let call = async |(a, b, c, d): &(String, String, String, Option<String>)| {
                with_cache(cache.clone(), four_holes(&runs, a, b, c, d.clone())).await
            };
            let (first, second) = (call(&one).await, call(&other).await);
            prop_assert_eq!(first == second, one == other);
            let first = with_cache(cache.clone(), dashed(&runs, &one.0, &one.1)).await;
            let second = with_cache(cache.clone(), dashed(&runs, &other.0, &other.1)).await;
            prop_assert_eq!(
                first == second,
                (&one.0, &one.1) == (&other.0, &other.1)
            );
            Ok::<_, TestCaseError>(())
        })?;
    });
}

// --- functions of the same name -------------------------------------------------------------

mod a {
    #[cache_runtime::cached(ttl = 300, prefix = "shared")]
    pub async fn answer(id: u64) -> String {
        format!("a {id}")
    }

    #[cache_runtime::cached(ttl = 300)]
    pub async fn unnamed(id: u64) -> String {
        format!("a {id}")
    }
}

mod b {
    #[cache_runtime::cached(ttl = 300, prefix = "shared")]
    pub async fn answer(id: u64) -> String {
        format!("b {id}")
    }

    #[cache_runtime::cached(ttl = 300)]
    pub async fn unnamed(id: u64) -> String {
        format!("b {id}")
    }
}

trait Named {
    const NAME: &'static str;
}

struct Cat;
struct Dog;

impl Named for Cat {
    const NAME: &'static str = "cat";
}

impl Named for Dog {
    const NAME: &'static str = "dog";
}

#[cached(ttl = 300, prefix = "generic")]
async fn name_of<T: Named>(id: u64) -> String {
    format!("{} {id}", T::NAME)
}

#[cached(ttl = 300, prefix = "generic", key = "{id}")]
async fn name_by_template<T: Named>(id: u64) -> String {
    format!("{} {id}", T::NAME)
}

#[cached(ttl = 300, prefix = "generic")]
async fn length_of<const N: usize>(id: u64) -> String {
    format!("{N} {id}")
}

#[cached(ttl = 300, prefix = "generic")]
async fn shown(value: impl Serialize + std::fmt::Debug + Send + Sync) -> String {
    format!("{value:?}")
}

trait Speaks {
    fn speak(&self, id: u64) -> impl Future<Output = String>;
}

#[derive(Serialize)]
struct Loud;
#[derive(Serialize)]
struct Quiet;

impl Speaks for Loud {
    #[cached(ttl = 300, prefix = "speaks")]
    async fn speak(&self, id: u64) -> String {
        format!("LOUD {id}")
    }
}

impl Speaks for Quiet {
    #[cached(ttl = 300, prefix = "speaks")]
    async fn speak(&self, id: u64) -> String {
        format!("quiet {id}")
    }
}

#[derive(Serialize)]
struct Holder<T>(std::marker::PhantomData<T>);

impl<T: Named> Holder<T> {
    #[cached(ttl = 300, prefix = "holder", skip(self))]
    async fn name(&self, id: u64) -> String {
        format!("{} {id}", T::NAME)
    }
}

/// Asks everything twice, so that what was stored answers; in both tiers.
async fn check_twins(ask: impl AsyncFn()) {
    let server = RedisServer::start();
    for cache in [in_process().await, on(&server).await] {
        with_cache(cache.clone(), async {
            for _ in 0..3 {
                ask().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn functions_of_one_name_in_two_modules_never_answer_for_each_other() {
    check_twins(async || {
        assert_eq!(a::answer(1).await, "a 1");
        assert_eq!(b::answer(1).await, "b 1");
        assert_eq!(a::unnamed(1).await, "a 1");
        assert_eq!(b::unnamed(1).await, "b 1");
    })
    .await;
}

#[tokio::test]
async fn instances_of_a_generic_function_never_answer_for_each_other() {
    check_twins(async || {
        assert_eq!(name_of::<Cat>(1).await, "cat 1");
        assert_eq!(name_of::<Dog>(1).await, "dog 1");
        assert_eq!(name_by_template::<Cat>(1).await, "cat 1");
        assert_eq!(name_by_template::<Dog>(1).await, "dog 1");
        assert_eq!(length_of::<1>(1).await, "1 1");
        assert_eq!(length_of::<2>(1).await, "2 1");
        assert_eq!(shown(1_u8).await, "1");
        assert_eq!(shown("1").await, "\"1\"");
        assert_eq!(shown(Some(1)).await, "Some(1)");
        assert_eq!(shown((1,)).await, "(1,)");
    })
    .await;
}

#[tokio::test]
async fn impls_of_one_trait_never_answer_for_each_other() {
    check_twins(async || {
        assert_eq!(Loud.speak(1).await, "LOUD 1");
        assert_eq!(Quiet.speak(1).await, "quiet 1");
        assert_eq!(
            Holder::<Cat>(std::marker::PhantomData).name(1).await,
            "cat 1"
        );
        assert_eq!(
            Holder::<Dog>(std::marker::PhantomData).name(1).await,
            "dog 1"
        );
    })
    .await;
}

#[tokio::test]
async fn arguments_that_look_alike_are_told_apart() {
    let cache = in_process().await;
    let runs = Runs::default();
    let lists: [(&[&str], Option<&str>); 8] = [
        (&[], None),
        (&[""], None),
        (&[], Some("")),
        (&[], Some("~")),
        (&[], Some("None")),
        (&["", ""], None),
        (&["a", "b"], None),
        (&["a,b"], None),
    ];
    let mut seen = HashMap::new();
    for (many, maybe) in lists {
        let list = Arguments {
            text: String::new(),
            maybe: maybe.map(str::to_owned),
            many: many.iter().map(|&text| text.to_owned()).collect(),
            number: 0,
            pair: Default::default(),
            character: ' ',
            flag: false,
            shape: Shape::Nothing,
            map: BTreeMap::new(),
        };
        let answer = call(&cache, &runs, &list).await;

        assert_eq!(seen.insert(answer, list.clone()), None, "{list:?}");
    }
}
