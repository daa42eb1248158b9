//! Every option in every form.
#![deny(warnings)]

use cache_runtime::{cache_invalidate, cache_put, cached};
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
struct User {
    id: u64,
    r#type: &'static str,
    place: (u8, Place),
}

#[derive(Serialize)]
struct Place {
    city: String,
}

/// Cannot be part of a key.
struct Db;

const DAY: Duration = Duration::from_secs(86_400);

#[cached()]
async fn nothing(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, prefix = "user:meta", skip(db))]
async fn literal(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

#[cached(ttl = "1d 12h 30m 15s 250ms")]
async fn text(id: u64) -> u64 {
    id
}

#[cached(ttl = DAY)]
async fn constant(id: u64) -> u64 {
    id
}

#[cached(ttl = if user.id == 0 { DAY } else { Duration::from_secs(*seconds) })]
async fn computed(user: User, seconds: &u64) -> u64 {
    drop(user);
    *seconds
}

#[cached(prefix = "user", key = "{user.id}:{user.type_}:{user.place.1.city}")]
async fn fields(user: &Flat) -> u64 {
    user.id
}

struct Flat {
    id: u64,
    type_: &'static str,
    place: (u8, Place),
}

#[cached(prefix = "user", key = "{user.r#type}:{user.place.0}:{r#type}:{type}")]
async fn keywords(user: &User, r#type: u8) -> u64 {
    user.id + u64::from(r#type)
}

#[cached(prefix = "user", key = "all")]
async fn one_entry(db: &Db) -> u64 {
    let _ = db;
    1
}

#[cached(tags = ["user:{user.id}", "{user.place.1.city}:{r#type}", "all"])]
async fn tagged(user: User, r#type: u8) -> u64 {
    user.id + u64::from(r#type)
}

#[cached(tags = "user:{user.id}", ttl = Duration::from_secs(user.id), key = "{user.id}")]
async fn one_tag(user: User) -> Result<Found, String> {
    Ok(Found(user.id))
}

#[derive(Clone, PartialEq, Debug, Serialize, serde::Deserialize)]
struct Found(u64);

#[cached(skip(db), tags = ["all", "{name}",])]
async fn borrowed(db: &mut Db, name: &str) -> String {
    let _ = db;
    name.to_owned()
}

#[cached(version = 2)]
async fn second(id: u64) -> u64 {
    id
}

#[cached(version = 0x1f)]
async fn thirty_first(id: u64) -> u64 {
    id
}

#[cached(cache_if = |name| !name.is_empty(), ttl = |name: &String| DAY * (name.len() as u32))]
async fn asked(id: u64) -> String {
    id.to_string()
}

#[cached(cache_if = worth, negative_ttl = "30s", stale_while_revalidate = "1m")]
async fn asked_by_path(id: u64) -> Result<Option<Found>, String> {
    Ok(Some(Found(id)))
}

fn worth(found: &Option<Found>) -> bool {
    found.as_ref().is_none_or(|found| found.0 > 0)
}

#[cached(cache_if = Option::is_some, ttl = move |_| DAY)]
async fn asked_generic<T: cache_runtime::Value>(value: T) -> Option<T> {
    Some(value)
}

#[cached(ttl = "$CACHE_TTL_OF_NOBODY|1h 30m")]
async fn by_variable(id: u64) -> u64 {
    id
}

#[cached(ttl = cache_runtime::until_midnight())]
async fn until_midnight(id: u64) -> u64 {
    id
}

#[cached(skip(fresh), bypass = *fresh || user.id == 0, codec = "json", compress = true)]
async fn fresh(user: User, fresh: &bool) -> u64 {
    let _ = fresh;
    user.id
}

#[cached(near = false, compress = false)]
async fn not_near(id: u64) -> u64 {
    id
}

#[cached(near = true, near_ttl = "1s 500ms", coalesce = "process")]
async fn near(id: u64) -> u64 {
    id
}

#[cached(near_ttl = 5, coalesce = "fleet", stale_while_revalidate = "1m")]
async fn fleet(id: u64) -> u64 {
    id
}

#[cached(near = false, coalesce = "off", stale_while_revalidate = 60, ttl = DAY)]
async fn off(id: u64) -> u64 {
    id
}

#[cached(stale_if_error = "1h", max_loads = 2)]
async fn or_stale(db: &str, id: u64) -> Result<u64, String> {
    let _ = db;
    Ok(id)
}

#[cached(
    stale_if_error = 3600,
    load_timeout = "500ms",
    early_refresh = true,
    background = true
)]
async fn in_time(db: String, id: u64) -> Result<u64, String> {
    let _ = db;
    Ok(id)
}

#[cached(stale_while_revalidate = "1m", background = false)]
async fn in_front(id: u64) -> u64 {
    let id = std::rc::Rc::new(id);
    std::future::ready(()).await;
    *id
}

#[cached(early_refresh = true)]
async fn early(name: &'static str) -> String {
    name.to_owned()
}

#[cached(skip(db), sensitive(r#type, name,), tags = "{name}")]
async fn hashed(db: &Db, r#type: u8, name: &str) -> u64 {
    let _ = (db, name);
    u64::from(r#type)
}

#[cached(prefix = "user", key = "{user.id}:{type}", sensitive(user, r#type))]
async fn hashed_fields(user: User, r#type: u8) -> u64 {
    user.id + u64::from(r#type)
}

#[cache_invalidate(prefix = "user", key = "{id}:{type}", sensitive(id, r#type))]
async fn by_hashed_fields(id: u64, r#type: u8) -> u64 {
    id + u64::from(r#type)
}

#[cached(cache = "sessions", key = "{id}")]
async fn in_sessions(id: u64) -> u64 {
    id
}

#[cache_invalidate(cache = "sessions", entry = in_sessions(id))]
async fn by_call(id: u64) -> u64 {
    id
}

#[cache_invalidate(entry = [one_tag(user), nothing(id)])]
async fn by_calls(user: User, id: u64) -> u64 {
    id
}

#[cache_put(entry = nothing(id), ttl = "1h")]
async fn put(id: u64) -> Result<u64, String> {
    Ok(id + 1)
}

#[cache_put(entry = nothing(*id), ttl = DAY * days)]
async fn put_for_days(id: &u64, days: u32) -> u64 {
    id + u64::from(days)
}

#[cache_invalidate(prefix = "user")]
async fn one_prefix(id: u64) {
    let _ = id;
}

#[cache_invalidate(pattern = ["user_*", "stats:{id}:*"])]
async fn by_pattern(id: u64) {
    let _ = id;
}

#[cache_invalidate(prefix = ["user", "stats:daily"], when = "ok")]
async fn several(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cache_invalidate(prefix = "user", key = "{user.id}:profile", when = "before")]
async fn entry(user: User) -> User {
    user
}

#[cache_invalidate(tags = "all")]
async fn by_one_tag() {}

#[cache_invalidate(tags = ["user:{user.id}", "all"], when = "before")]
async fn by_tags(user: User) -> User {
    user
}

#[cache_invalidate(prefix = ["user", "stats"], tags = ["user:{id}"])]
async fn by_prefixes_and_tags(id: u64) -> u64 {
    id
}

#[cache_invalidate(prefix = "user", key = "{user.id}", tags = ["{user.r#type}", "all"])]
async fn by_entry_and_tags(user: User) -> User {
    user
}

#[cache_invalidate(prefix = "user", when = "always")]
async fn always() -> impl_free::Unit {
    impl_free::Unit
}

mod impl_free {
    pub struct Unit;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let place = || {
        (
            1,
            Place {
                city: "Rome".into(),
            },
        )
    };
    let user = || User {
        id: 7,
        r#type: "guest",
        place: place(),
    };
    assert_eq!(nothing(1).await, 1);
    assert_eq!(literal(&Db, 1).await, 1);
    assert_eq!(text(1).await, 1);
    assert_eq!(constant(1).await, 1);
    assert_eq!(computed(user(), &5).await, 5);
    assert_eq!(
        fields(&Flat {
            id: 7,
            type_: "guest",
            place: place()
        })
        .await,
        7
    );
    assert_eq!(keywords(&user(), 1).await, 8);
    assert_eq!(one_entry(&Db).await, 1);
    assert_eq!(tagged(user(), 1).await, 8);
    assert_eq!(one_tag(user()).await, Ok(Found(7)));
    assert_eq!(borrowed(&mut Db, "Ann").await, "Ann");
    assert_eq!(second(1).await, 1);
    assert_eq!(thirty_first(1).await, 1);
    assert_eq!(asked(1).await, "1");
    assert_eq!(asked_by_path(1).await, Ok(Some(Found(1))));
    assert_eq!(asked_generic(1).await, Some(1));
    assert_eq!(by_variable(1).await, 1);
    assert_eq!(until_midnight(1).await, 1);
    assert_eq!(fresh(user(), &true).await, 7);
    assert_eq!(fresh(user(), &false).await, 7);
    assert_eq!(not_near(1).await, 1);
    assert_eq!(near(1).await, 1);
    assert_eq!(fleet(1).await, 1);
    assert_eq!(off(1).await, 1);
    assert_eq!(or_stale("db", 1).await, Ok(1));
    assert_eq!(in_time("db".to_owned(), 1).await, Ok(1));
    assert_eq!(in_front(1).await, 1);
    assert_eq!(early("Ann").await, "Ann");
    assert_eq!(hashed(&Db, 1, "Ann").await, 1);
    assert_eq!(hashed_fields(user(), 1).await, 8);
    assert_eq!(by_hashed_fields(7, 1).await, 8);
    assert_eq!(in_sessions(1).await, 1);
    assert_eq!(by_call(1).await, 1);
    assert_eq!(by_calls(user(), 1).await, 1);
    by_pattern(1).await;
    assert_eq!(put(1).await, Ok(2));
    assert_eq!(nothing(1).await, 2);
    assert_eq!(put_for_days(&1, 3).await, 4);
    assert_eq!(nothing(1).await, 4);
    one_prefix(1).await;
    assert_eq!(several(1).await, Ok(1));
    assert_eq!(entry(user()).await.place.1.city, "Rome");
    by_one_tag().await;
    assert_eq!(by_tags(user()).await.id, 7);
    assert_eq!(by_prefixes_and_tags(1).await, 1);
    assert_eq!(by_entry_and_tags(user()).await.id, 7);
    always().await;
}
