//! What can be annotated: every shape of function, run against the real runtime in process.
//! Each shape has a prefix of its own, because the tests of this file share the process-wide cache.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::{cache_invalidate, cached};
use serde::{Deserialize, Serialize};

/// Bodies run so far, by name.
static RUNS: Mutex<Option<HashMap<&'static str, u64>>> = Mutex::new(None);

fn run(name: &'static str) -> u64 {
    let mut runs = RUNS.lock().unwrap();
    let count = runs.get_or_insert_default().entry(name).or_default();
    *count += 1;
    *count
}

fn runs(name: &'static str) -> u64 {
    *RUNS
        .lock()
        .unwrap()
        .get_or_insert_default()
        .entry(name)
        .or_default()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

struct Database;

type AppResult<T> = Result<T, AppError>;

#[derive(Debug, PartialEq)]
struct AppError;

// --- what is returned -----------------------------------------------------------------------

#[cached(prefix = "plain")]
async fn plain(id: u64) -> User {
    run("plain");
    User {
        id,
        name: "plain".into(),
    }
}

#[cached(prefix = "option")]
async fn option(id: u64) -> Option<User> {
    run("option");
    (id > 1).then(|| User {
        id,
        name: "option".into(),
    })
}

#[cached(prefix = "alias")]
async fn behind_an_alias(id: u64) -> AppResult<u64> {
    run("alias");
    let positive = (id > 0).then_some(id).ok_or(AppError)?;
    if positive == 7 {
        return Ok(70);
    }
    Ok(positive)
}

#[cached(prefix = "boxed")]
async fn with_a_boxed_error(id: u64) -> Result<u64, Box<dyn std::error::Error>> {
    run("boxed");
    Ok(id)
}

#[tokio::test]
async fn plain_option_and_result_are_told_apart_by_type() {
    for _ in 0..2 {
        assert_eq!(plain(1).await.id, 1);
        assert_eq!(option(1).await, None);
        assert_eq!(option(2).await.unwrap().id, 2);
        assert_eq!(behind_an_alias(7).await, Ok(70));
        assert_eq!(with_a_boxed_error(1).await.unwrap(), 1);
    }
    assert_eq!(
        (runs("plain"), runs("option"), runs("alias"), runs("boxed")),
        (1, 2, 1, 1)
    );

    for _ in 0..2 {
        assert_eq!(behind_an_alias(0).await, Err(AppError));
    }
    assert_eq!(runs("alias"), 3, "an error was stored");
}

// --- arguments ------------------------------------------------------------------------------

#[cached(prefix = "borrowed", skip(_database))]
async fn borrowed<'a>(_database: &'a Database, name: &'a str, list: &[u32]) -> String {
    run("borrowed");
    format!("{name} {list:?}")
}

#[cached(prefix = "patterns")]
async fn patterns((a, b): (u32, u32), User { id, name }: User, mut n: u64, _: bool) -> String {
    run("patterns");
    n += id;
    format!("{a} {b} {name} {n}")
}

#[cached(prefix = "impl_trait")]
async fn impl_trait(shown: impl Display + Serialize) -> String {
    run("impl_trait");
    shown.to_string()
}

#[cached(prefix = "unlucky")]
async fn unlucky_names(
    key: u64,
    call: u64,
    hit: u64,
    load: u64,
    returned: u64,
    result: u64,
    cache: u64,
) -> u64 {
    run("unlucky");
    key + call + hit + load + returned + result + cache
}

#[cached(prefix = "none")]
async fn no_arguments() -> u64 {
    run("none")
}

#[cached(prefix = "moved")]
async fn moved(name: String, list: Vec<String>) -> (String, Vec<String>) {
    run("moved");
    (name, list)
}

#[tokio::test]
async fn arguments_of_every_kind_are_part_of_the_key() {
    let user = || User {
        id: 5,
        name: "u".into(),
    };
    for _ in 0..2 {
        assert_eq!(borrowed(&Database, "a", &[1, 2]).await, "a [1, 2]");
        assert_eq!(borrowed(&Database, "a", &[1]).await, "a [1]");
        assert_eq!(patterns((1, 2), user(), 3, true).await, "1 2 u 8");
        assert_eq!(patterns((1, 2), user(), 3, false).await, "1 2 u 8");
        assert_eq!(impl_trait(1_u8).await, "1");
        assert_eq!(impl_trait("1").await, "1");
        assert_eq!(unlucky_names(1, 2, 3, 4, 5, 6, 7).await, 28);
        assert_eq!(no_arguments().await, 1);
        assert_eq!(moved("a".into(), vec!["b".into()]).await.0, "a");
    }
    assert_eq!(
        (runs("borrowed"), runs("patterns"), runs("impl_trait")),
        (2, 2, 2)
    );
    assert_eq!((runs("unlucky"), runs("none"), runs("moved")), (1, 1, 1));
}

// --- methods --------------------------------------------------------------------------------

#[derive(Clone, Serialize)]
struct Tenant {
    name: String,
}

impl Tenant {
    #[cached(prefix = "tenant")]
    async fn greeting(&self, times: usize) -> String {
        run("tenant");
        self.name.repeat(times)
    }

    #[cached(prefix = "tenant_skipped", skip(self))]
    async fn shared_by_all(&self) -> u64 {
        run("tenant_skipped")
    }

    #[cached(prefix = "tenant_consumed")]
    async fn consumed(self) -> String {
        run("tenant_consumed");
        self.name
    }

    #[cached(prefix = "tenant_changed")]
    async fn changed(&mut self) -> String {
        run("tenant_changed");
        self.name.push('!');
        self.name.clone()
    }

    #[cached(prefix = "tenant_template", key = "{self.name}:{user.id}:{pair.1}")]
    async fn by_fields(&self, user: &User, pair: (u64, u64)) -> u64 {
        let _ = (user, pair);
        run("tenant_template")
    }
}

#[tokio::test]
async fn self_is_an_argument_like_any_other() {
    let (a, b) = (Tenant { name: "a".into() }, Tenant { name: "b".into() });
    for _ in 0..2 {
        assert_eq!(a.greeting(2).await, "aa");
        assert_eq!(b.greeting(2).await, "bb");
        assert_eq!(a.shared_by_all().await, 1);
        assert_eq!(b.shared_by_all().await, 1);
        assert_eq!(a.clone().consumed().await, "a");
        assert_eq!(Tenant { name: "c".into() }.changed().await, "c!");
        let user = User {
            id: 9,
            name: String::new(),
        };
        assert_eq!(a.by_fields(&user, (1, 2)).await, 1);
        assert_eq!(a.by_fields(&user, (3, 2)).await, 1);
    }
    assert_eq!(
        (
            runs("tenant"),
            runs("tenant_consumed"),
            runs("tenant_changed")
        ),
        (2, 1, 1)
    );
    let cache = cache_runtime::cache();
    assert!(cache.exists("tenant_template:a:9:2").await.unwrap());
}

// --- generics -------------------------------------------------------------------------------

trait Row {
    const NAME: &'static str;
}

struct Films;
struct Actors;

impl Row for Films {
    const NAME: &'static str = "films";
}

impl Row for Actors {
    const NAME: &'static str = "actors";
}

#[cached(prefix = "rows")]
async fn table<T: Row>() -> String {
    run("rows");
    T::NAME.to_owned()
}

#[cached(prefix = "rows_by_template", key = "table")]
async fn table_by_template<T>() -> String
where
    T: Row,
{
    run("rows_by_template");
    T::NAME.to_owned()
}

struct Repository<T>(std::marker::PhantomData<T>);

impl<T: Row> Repository<T> {
    #[cached(prefix = "repository", skip(self))]
    async fn table(&self) -> String {
        run("repository");
        T::NAME.to_owned()
    }
}

trait Source {
    async fn origin(&self) -> String;
}

impl Source for Films {
    #[cached(prefix = "source", skip(self))]
    async fn origin(&self) -> String {
        run("source");
        "films".to_owned()
    }
}

impl Source for Actors {
    #[cached(prefix = "source", skip(self))]
    async fn origin(&self) -> String {
        run("source");
        "actors".to_owned()
    }
}

#[tokio::test]
async fn two_instantiations_never_share_an_entry() {
    let (films, actors) = (
        Repository::<Films>(Default::default()),
        Repository::<Actors>(Default::default()),
    );
    for _ in 0..2 {
        assert_eq!(table::<Films>().await, "films");
        assert_eq!(table::<Actors>().await, "actors");
        assert_eq!(table_by_template::<Films>().await, "films");
        assert_eq!(table_by_template::<Actors>().await, "actors");
        assert_eq!(films.table().await, "films");
        assert_eq!(actors.table().await, "actors");
        assert_eq!(Films.origin().await, "films");
        assert_eq!(Actors.origin().await, "actors");
    }
    assert_eq!(
        (runs("rows"), runs("repository"), runs("source")),
        (2, 2, 2)
    );

    cache_runtime::cache()
        .invalidate_prefix("rows:table")
        .await
        .unwrap();
    table::<Films>().await;
    assert_eq!(
        runs("rows"),
        3,
        "the function is a level above its instantiations"
    );
}

mod one {
    #[cache_runtime::cached(prefix = "twins")]
    pub async fn twin(id: u64) -> String {
        format!("one {id}")
    }
}

mod other {
    #[cache_runtime::cached(prefix = "twins")]
    pub async fn twin(id: u64) -> String {
        format!("other {id}")
    }
}

#[tokio::test]
async fn functions_of_one_name_under_one_prefix_never_answer_for_each_other() {
    for _ in 0..2 {
        assert_eq!(one::twin(1).await, "one 1");
        assert_eq!(other::twin(1).await, "other 1");
    }
}

// --- surroundings ---------------------------------------------------------------------------

macro_rules! cached_getter {
    ($name:ident, $prefix:literal, $ttl:expr) => {
        #[cached(prefix = $prefix, ttl = $ttl)]
        async fn $name(id: u64) -> u64 {
            run($prefix);
            id + 1
        }
    };
}

cached_getter!(from_a_macro, "macro", 60);

#[tokio::test]
async fn functions_in_macros_and_in_functions_are_cached() {
    #[cached(prefix = "inner")]
    async fn inner(id: u64) -> u64 {
        #[cached(prefix = "innermost")]
        async fn innermost(id: u64) -> u64 {
            run("innermost");
            id * 2
        }
        run("inner");
        innermost(id).await + 1
    }

    for _ in 0..2 {
        assert_eq!(from_a_macro(1).await, 2);
        assert_eq!(inner(3).await, 7);
    }
    assert_eq!((runs("macro"), runs("inner"), runs("innermost")), (1, 1, 1));
}

mod bare {
    #![no_implicit_prelude]
    #![deny(warnings, clippy::pedantic)]

    /// What the expansion must not mean.
    #[derive(::std::fmt::Debug)]
    pub struct Option;
    #[derive(::std::fmt::Debug)]
    pub struct Result;
    #[derive(::std::fmt::Debug)]
    pub struct Ok;
    #[derive(::std::fmt::Debug)]
    pub struct Some;
    #[derive(::std::fmt::Debug)]
    pub struct String;

    #[::cache_runtime::cached(ttl = "1m", prefix = "bare")]
    pub async fn number(id: u64) -> ::core::result::Result<u64, ()> {
        super::run("bare");
        ::core::result::Result::Ok(id)
    }

    #[::cache_runtime::cache_invalidate(prefix = "bare", key = "{id}")]
    pub async fn change(id: u64) -> ::core::result::Result<u64, ()> {
        ::core::result::Result::Ok(id)
    }
}

mod renamed {
    pub use cache_runtime as caching;

    #[caching::cached(prefix = "renamed", crate = self::caching)]
    pub async fn number(id: u64) -> u64 {
        super::run("renamed");
        id
    }
}

#[tokio::test]
async fn nothing_around_the_function_matters() {
    for _ in 0..2 {
        assert_eq!(bare::number(1).await, Ok(1));
        assert_eq!(renamed::number(1).await, 1);
    }
    assert_eq!((runs("bare"), runs("renamed")), (1, 1));
    bare::change(1).await.unwrap();
    let _ = (
        bare::Option,
        bare::Result,
        bare::Ok,
        bare::Some,
        bare::String,
    );
}

#[inline]
#[cached(prefix = "among_others")]
#[must_use]
async fn among_other_attributes(id: u64) -> u64 {
    run("among_others")
}

#[tokio::test]
async fn other_attributes_stay() {
    assert_eq!(among_other_attributes(1).await, 1);
    assert_eq!(among_other_attributes(1).await, 1);
}

// --- options --------------------------------------------------------------------------------

#[cached(prefix = "computed", ttl = Duration::from_millis(short_for(name)))]
async fn with_a_computed_ttl(name: &str) -> u64 {
    let _ = name;
    run("computed")
}

fn short_for(name: &str) -> u64 {
    if name == "short" { 1 } else { 60_000 }
}

#[tokio::test]
async fn a_ttl_is_computed_from_the_arguments() {
    let first = with_a_computed_ttl("short").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_ne!(with_a_computed_ttl("short").await, first);

    let first = with_a_computed_ttl("long").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(with_a_computed_ttl("long").await, first);
}

#[cached]
async fn without_options(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn without_a_prefix_the_module_and_the_function_are_the_prefix() {
    without_options(5).await;

    let cache = cache_runtime::cache();
    assert!(cache.exists("attributes:without_options:5").await.unwrap());
    cache.invalidate_prefix("attributes").await.unwrap();
    assert!(!cache.exists("attributes:without_options:5").await.unwrap());
}

#[cached(prefix = "separated", key = "{a}-{b}")]
async fn separated(a: &str, b: &str) -> String {
    format!("{a} {b}")
}

#[tokio::test]
async fn a_separator_never_makes_two_argument_lists_one() {
    assert_eq!(separated("x-y", "z").await, "x-y z");
    assert_eq!(separated("x", "y-z").await, "x y-z");
}

#[cache_invalidate(prefix = ["plain_a", "plain_b"])]
async fn change_both() -> u64 {
    1
}

#[cached(prefix = "plain_a")]
async fn of_a() -> u64 {
    run("plain_a")
}

#[cached(prefix = "plain_b")]
async fn of_b() -> u64 {
    run("plain_b")
}

#[tokio::test]
async fn several_prefixes_are_invalidated_together() {
    assert_eq!((of_a().await, of_b().await), (1, 1));
    assert_eq!(change_both().await, 1);
    assert_eq!((of_a().await, of_b().await), (2, 2));
}

fn is_send<T: Send + Debug>(_: &impl Future<Output = T>) {}

#[tokio::test]
async fn the_future_of_a_cached_function_is_send_where_its_value_is() {
    fn spawnable<F: Send>(future: F) -> F {
        future
    }

    let future = spawnable(plain(77));
    is_send(&future);
    assert_eq!(future.await.id, 77);
    // Its error is not `Send`, its value is, and the future stays so.
    let future = spawnable(with_a_boxed_error(77));
    assert_eq!(future.await.unwrap(), 77);
}

// --- traits and receivers -------------------------------------------------------------------

trait Catalogue {
    const NAME: &'static str;

    #[cached(prefix = "provided", skip(self))]
    async fn provided(&self, id: u64) -> String {
        run("provided");
        format!("{} {id}", Self::NAME)
    }
}

impl Catalogue for Films {
    const NAME: &'static str = "films";
}

impl Catalogue for Actors {
    const NAME: &'static str = "actors";
}

trait Named {
    async fn name(&self) -> String;
}

impl<T: Row> Named for T {
    #[cached(prefix = "blanket", skip(self))]
    async fn name(&self) -> String {
        run("blanket");
        T::NAME.to_owned()
    }
}

#[tokio::test]
async fn methods_of_traits_know_the_type_they_run_for() {
    for _ in 0..2 {
        assert_eq!(Films.provided(1).await, "films 1");
        assert_eq!(Actors.provided(1).await, "actors 1");
        assert_eq!(Films.name().await, "films");
        assert_eq!(Actors.name().await, "actors");
    }
    assert_eq!((runs("provided"), runs("blanket")), (2, 2));
}

/// What `#[async_trait]` makes of a trait with an `async fn`, and of its impl.
trait Boxed {
    fn load<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = AppResult<usize>> + Send + 'a>>;
}

impl Boxed for Tenant {
    #[cached(prefix = "boxed_body")]
    fn load<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = AppResult<usize>> + Send + 'a>> {
        Box::pin(async move {
            let __self = self;
            run("boxed_body");
            if name.is_empty() {
                return Err(AppError);
            }
            Ok(__self.name.len() + name.len())
        })
    }
}

#[tokio::test]
async fn what_async_trait_leaves_is_cached() {
    let (a, b) = (Tenant { name: "a".into() }, Tenant { name: "bb".into() });
    for _ in 0..2 {
        assert_eq!(a.load("x").await, Ok(2));
        assert_eq!(b.load("x").await, Ok(3));
    }
    assert_eq!(runs("boxed_body"), 2);
    assert_eq!(a.load("").await, Err(AppError));
    assert_eq!(a.load("").await, Err(AppError));
    assert_eq!(runs("boxed_body"), 4, "an error was stored");
}

impl Tenant {
    #[cached(prefix = "tenant_shared")]
    async fn shared(self: Arc<Self>, id: u64) -> String {
        run("tenant_shared");
        format!("{} {id}", self.name)
    }

    #[cached(prefix = "tenant_made")]
    async fn made(name: String) -> String {
        run("tenant_made");
        Self { name }.name
    }
}

#[tokio::test]
async fn receivers_in_a_box_and_none_at_all() {
    let tenant = Arc::new(Tenant { name: "t".into() });
    for _ in 0..2 {
        assert_eq!(Arc::clone(&tenant).shared(1).await, "t 1");
        assert_eq!(Arc::clone(&tenant).shared(2).await, "t 2");
        assert_eq!(Tenant::made("n".into()).await, "n");
    }
    assert_eq!((runs("tenant_shared"), runs("tenant_made")), (2, 1));
}

#[cached(prefix = "sized", skip(_anything))]
async fn sized<const N: usize, T>(_anything: T) -> Vec<u8>
where
    T: Debug + Send,
{
    run("sized");
    vec![0; N]
}

#[cached(prefix = "conditional")]
async fn conditional(#[cfg(true)] present: u32, #[cfg(false)] absent: Missing) -> u32 {
    run("conditional");
    present
}

#[tokio::test]
async fn constants_and_conditions_in_the_signature() {
    for _ in 0..2 {
        assert_eq!(sized::<1, _>("a").await.len(), 1);
        assert_eq!(sized::<2, _>("a").await.len(), 2);
        assert_eq!(conditional(1).await, 1);
        assert_eq!(conditional(2).await, 2);
    }
    assert_eq!((runs("sized"), runs("conditional")), (2, 2));
}

// --- functions of one name ------------------------------------------------------------------

struct Users;
struct Orders;

impl Users {
    #[cached(prefix = "namesakes", skip(self))]
    async fn describe(&self, id: u64) -> String {
        run("namesakes");
        format!("user {id}")
    }
}

impl Orders {
    #[cached(prefix = "namesakes", skip(self))]
    async fn describe(&self, id: u64) -> String {
        run("namesakes");
        format!("order {id}")
    }
}

#[tokio::test]
async fn methods_of_one_name_of_two_types_never_answer_for_each_other() {
    for _ in 0..2 {
        assert_eq!(Users.describe(1).await, "user 1");
        assert_eq!(Orders.describe(1).await, "order 1");
    }
    assert_eq!(runs("namesakes"), 2);
}

#[tokio::test]
async fn functions_of_one_name_in_two_functions_never_answer_for_each_other() {
    async fn first() -> String {
        #[cached(prefix = "nested_namesakes")]
        async fn inner(id: u64) -> String {
            run("nested_namesakes");
            format!("first {id}")
        }
        inner(1).await
    }

    async fn second() -> String {
        #[cached(prefix = "nested_namesakes")]
        async fn inner(id: u64) -> String {
            run("nested_namesakes");
            format!("second {id}")
        }
        inner(1).await
    }

    for _ in 0..2 {
        assert_eq!(first().await, "first 1");
        assert_eq!(second().await, "second 1");
    }
    assert_eq!(runs("nested_namesakes"), 2);
}
