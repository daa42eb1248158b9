//! One expansion per feature, as the compiler sees it. `UPDATE_SNAPSHOTS=1` writes them anew.

use std::path::Path;
use std::{env, fs};

use proc_macro2::TokenStream;

use crate::errors;
use crate::model::{CachedFn, InvalidatingFn, PuttingFn};

fn cached(attribute: &str, item: &str) -> TokenStream {
    let model = CachedFn::new(attribute.parse().unwrap(), item.parse().unwrap());
    crate::expand::cached(model.unwrap_or_else(|error| panic!("{error}")))
}

fn invalidating(attribute: &str, item: &str) -> TokenStream {
    let model = InvalidatingFn::new(attribute.parse().unwrap(), item.parse().unwrap());
    crate::expand::invalidating(model.unwrap_or_else(|error| panic!("{error}")))
}

fn putting(attribute: &str, item: &str) -> TokenStream {
    let model = PuttingFn::new(attribute.parse().unwrap(), item.parse().unwrap());
    crate::expand::putting(model.unwrap_or_else(|error| panic!("{error}")))
}

/// Compares an expansion with the file of that name; answers it as text.
#[track_caller]
fn check(name: &str, expansion: TokenStream) -> String {
    let file = syn::parse2(expansion).unwrap();
    let text = prettyplease::unparse(&file);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/snapshots/{name}.rs"));
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, expected,
        "the expansion `{name}` differs; UPDATE_SNAPSHOTS=1 takes it over"
    );
    text
}

const PLAIN: &str = "pub async fn get_user(id: u64) -> Result<User, DbError> { load(id).await }";

#[test]
fn a_plain_function_expands_to_at_most_25_lines() {
    let text = check("plain", cached(r#"ttl = 60, prefix = "user""#, PLAIN));

    assert!(text.lines().count() <= 25, "{}", text.lines().count());
}

#[test]
fn without_options_the_runtime_has_every_default() {
    check("bare", cached("", PLAIN));
}

#[test]
fn every_option_is_one_link_of_a_chain() {
    let item = "async fn get_user(db: &Db, id: u64, locale: &str) -> Result<User, DbError> { load(db, id, locale).await }";
    check(
        "all_options",
        cached(
            r#"ttl = "1h 30m", prefix = "user:meta", version = 2, skip(db), crate = crate::cache"#,
            item,
        ),
    );
}

#[test]
fn a_template_names_arguments_and_their_fields() {
    let item =
        "async fn page(user: &User, settings: Settings) -> Page { render(user, settings).await }";
    check(
        "template",
        cached(
            r#"prefix = "page", key = "{user.id}:{settings.locale}:all""#,
            item,
        ),
    );
}

#[test]
fn a_sensitive_argument_is_written_hashed_wherever_it_stands() {
    let item = "async fn session(db: &Db, token: &str, user: &User) -> Session { db.session(token, user).await }";
    check("sensitive", cached("skip(db), sensitive(token)", item));
    check(
        "sensitive_template",
        cached(
            r#"prefix = "session", key = "{token}:{user.id}", tags = ["mail:{user.email}"], sensitive(token, user)"#,
            item,
        ),
    );
    check(
        "invalidate_sensitive",
        invalidating(
            r#"prefix = "session", key = "{token}:profile", tags = "token:{token}", sensitive(token)"#,
            "async fn log_out(token: String) { store(token).await; }",
        ),
    );
}

#[test]
fn a_computed_ttl_is_evaluated_before_the_body() {
    check(
        "computed_ttl",
        cached(
            "ttl = until_midnight(zone)",
            "async fn daily(zone: Zone) -> Stats { stats(zone).await }",
        ),
    );
}

#[test]
fn a_variable_is_named_and_read_at_run_time() {
    let text = cached("ttl = \"$LIFE|1h\"", PLAIN).to_string();
    let links = r#"Policy :: DEFAULT . ttl_from ("LIFE") . ttl_ms (3600000) ,"#;
    assert!(text.contains(links), "{text}");

    let text = cached("ttl = \"$LIFE\"", PLAIN).to_string();
    let links = r#"Policy :: DEFAULT . ttl_from ("LIFE") ,"#;
    assert!(text.contains(links), "{text}");
}

#[test]
fn whether_to_use_a_cache_is_evaluated_before_anything_else() {
    check(
        "bypass",
        cached(
            r#"bypass = fresh || id == 0, skip(fresh), codec = "json", compress = true"#,
            "async fn load(id: u64, fresh: bool) -> User { ask(id).await }",
        ),
    );
}

#[test]
fn what_the_value_is_asked_is_named_before_the_body() {
    check(
        "rules",
        cached(
            r#"cache_if = |list| !list.is_empty(), ttl = |list: &Option<List>| list.ttl(), negative_ttl = "30s""#,
            "async fn list(id: u64) -> Result<Option<List>, DbError> { load(id).await }",
        ),
    );
}

#[test]
fn self_patterns_generics_and_the_path_of_the_runtime() {
    let item = "#[tracing::instrument] async fn find<T: Row>(&self, (a, b): (u32, u32), mut n: usize, db: &Db) -> Option<T> where T: Clone { n += 1; self.ask(db, a, b, n).await }";
    check("method", cached("skip(db), crate = my::cache", item));
}

#[test]
fn async_trait_leaves_a_boxed_body() {
    let item = "fn find<'a>(&'a self, id: u64) -> Pin<Box<dyn Future<Output = Result<User, E>> + Send + 'a>> { Box::pin(async move { let __self = self; __self.load(id).await }) }";
    check("async_trait", cached("ttl = 60", item));
}

#[test]
fn several_prefixes_are_invalidated_by_one_call() {
    let item = "async fn update(id: u64) -> Result<(), DbError> { store(id).await }";
    check(
        "invalidate_prefixes",
        invalidating(r#"prefix = ["user", "stats"]"#, item),
    );
}

#[test]
fn a_batch_names_one_of_its_ids_and_takes_its_arguments_for_each_run() {
    check(
        "batch",
        cached(
            r#"batch, prefix = "user", key = "{tenant}:{id}", tags = ["all", "user:{id}"], negative_ttl = "30s""#,
            "async fn get_users(db: &Db, mut tenant: String, ids: &[u64]) -> Result<HashMap<u64, User>, DbError> { load(db, tenant, ids).await }",
        ),
    );
}

#[test]
fn a_batch_of_a_list_that_is_moved_is_called_what_it_is_said_to_be() {
    check(
        "batch_of_a_vec",
        cached(
            "batch(person in people), skip(self), bypass = people.len() > 99",
            "async fn names(&self, mut people: Vec<u64>, (a, b): (u8, u8)) -> Vec<String> { load(people, a, b).await }",
        ),
    );
}

#[test]
fn one_entry_is_invalidated_by_its_template() {
    let item = "async fn update(user: User) { store(user).await; }";
    check(
        "invalidate_entry",
        invalidating(
            r#"prefix = "user", key = "{user.id}:profile", when = "ok""#,
            item,
        ),
    );
}

#[test]
fn tags_are_named_on_a_miss_before_the_body_runs() {
    check(
        "tags",
        cached(
            r#"ttl = until_midnight(zone), tags = ["genre:{genre}", "{zone.id}:{genre}", "all"]"#,
            "async fn films(genre: Genre, zone: Zone) -> Vec<Film> { load(genre, zone).await }",
        ),
    );
}

#[test]
fn a_tag_of_braces_is_not_taken_for_one_with_a_hole() {
    let tagging = |tag: &str| {
        let text = cached(&format!("tags = \"{tag}\""), PLAIN).to_string();
        let (_, rest) = text.split_once(". tagging (").unwrap();
        rest.split_once(')').unwrap().0.to_owned()
    };
    assert_eq!(tagging("a:{id}"), r#""a:{id}""#);
    assert_eq!(tagging("a:{{id}}"), r#""a:{{id}}""#);
}

#[test]
fn a_policy_says_what_was_written() {
    check(
        "policy",
        cached(
            r#"ttl = 60, near = true, near_ttl = "5s", coalesce = "fleet", stale_while_revalidate = "1m", prefix = "user""#,
            PLAIN,
        ),
    );
}

#[test]
fn a_body_that_borrows_nothing_may_run_in_a_task_of_its_own() {
    check(
        "owned",
        cached(
            r#"stale_while_revalidate = "1m", stale_if_error = "1h", early_refresh = true, load_timeout = "500ms", max_loads = 8, background = true"#,
            PLAIN,
        ),
    );
}

#[test]
fn a_body_that_borrows_something_is_run_by_its_caller() {
    let options = r#"stale_while_revalidate = "1m", stale_if_error = "1h""#;
    let borrows = |item: &str| {
        let text = cached(options, item).to_string();
        assert!(text.contains("run_or_stale"), "{text}");
    };
    borrows("async fn row(db: &Db) -> Row { db.row().await }");
    borrows("async fn row(db: Db<'_>) -> Row { db.row().await }");
    borrows("async fn row(&self) -> Row { self.row().await }");
    borrows("async fn row<D: Db>(db: D) -> Row { db.row().await }");
    borrows("async fn row(db: impl Db) -> Row { db.row().await }");
    borrows("async fn row() -> Result<Row, Error<'a>> { row().await }");
    for owns in [
        "async fn row(db: Arc<Db>, name: &'static str) -> Row { db.row().await }",
        "async fn row(self: Arc<Self>, flags: Flags<'static>) -> Row { self.row().await }",
        "async fn row<const N: usize>(id: [u8; N], mark: char) -> Row { row('a').await }",
    ] {
        let text = cached(options, owns).to_string();
        assert!(text.contains("run_owned"), "{text}");
    }
}

#[test]
fn near_false_is_one_link() {
    let text = cached("near = false", PLAIN).to_string();

    assert!(text.contains("Policy :: DEFAULT . near (false)"), "{text}");
}

#[test]
fn tags_are_invalidated_after_prefix_or_entry() {
    let item = "async fn update(film: Film) -> Result<(), DbError> { store(film).await }";
    check(
        "invalidate_tags",
        invalidating(
            r#"tags = ["genre:{film.genre}", "all"], prefix = "film", key = "{film.id}""#,
            item,
        ),
    );
    check(
        "invalidate_one_tag",
        invalidating(r#"tags = "genre:{film.genre}""#, item),
    );
}

#[test]
fn patterns_are_written_by_their_holes() {
    check(
        "invalidate_patterns",
        invalidating(
            r#"pattern = ["film_{film.id}_*", "list:{mail}:*"], prefix = "stats", sensitive(mail)"#,
            "async fn update(film: Film, mail: &str) { store(film, mail).await }",
        ),
    );
}

#[test]
fn arguments_without_a_name_get_one() {
    let item = "async fn area(Point { x, y }: Point, _: Unit, #[cfg(unix)] (a, b): (i32, i32), _seed: u64) -> i32 { x * y + a * b }";
    check("patterns", cached("", item));
}

#[test]
fn a_mistake_leaves_the_function_unchanged() {
    let item: TokenStream = "pub fn load(db: &Db, id: u64) -> u64 { id }"
        .parse()
        .unwrap();
    let attribute = "tll = 60, skip(dbb)".parse().unwrap();
    let expansion = errors::or_unchanged(item, |item| {
        CachedFn::new(attribute, item).map(crate::expand::cached)
    });
    check("mistakes", expansion);
}

#[test]
fn an_entry_is_named_by_a_call_before_the_body() {
    let item = "async fn update(&self, id: u64) { self.store(id).await; }";
    check(
        "invalidate_call",
        invalidating(
            r#"prefix = "stats", entry = [get_user(id), self.profile(&id)]"#,
            item,
        ),
    );
}

#[test]
fn what_is_returned_becomes_the_entry_of_a_call() {
    let item = "async fn save(user: User) -> Result<User, DbError> { store(user).await }";
    check(
        "put",
        putting(r#"entry = get_user(user.id), ttl = "1h""#, item),
    );
    check(
        "put_computed_ttl",
        putting(
            "entry = get_user(user.id), ttl = user.keep(), crate = crate::cache",
            item,
        ),
    );
}

#[test]
fn a_named_cache_is_a_link_of_either_chain() {
    check("named_cache", cached(r#"cache = "sessions""#, PLAIN));
    check(
        "invalidate_in_named_cache",
        invalidating(
            r#"prefix = "user", cache = "sessions", crate = crate::cache"#,
            "async fn save(user: User) { store(user).await; }",
        ),
    );
}

#[test]
fn the_body_of_a_plain_function_is_a_closure() {
    check(
        "not_async",
        cached(
            r#"ttl = 60, near_ttl = "5s", skip(table)"#,
            "fn price(table: &Table, (item, count): (u32, u32)) -> Option<u64> { Some(table.find(item)? * count) }",
        ),
    );
    check(
        "invalidate_not_async",
        invalidating(
            r#"prefix = "price""#,
            "fn set_price(&mut self, price: u64) -> Result<(), Error> { self.price = price; Ok(()) }",
        ),
    );
}
