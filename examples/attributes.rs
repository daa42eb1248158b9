//! cargo run --example attributes
//!
//! Every option of `#[cached]`, `#[cache_invalidate]` and `#[cache_put]`, and what each of them did.
//! It needs no server; with `REDIS_URL` set the entries are in that Redis, and it prints the same.
//!
//! Each function returns how often its body has run, so a call that returns `1` again was answered
//! by the cache.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cache_runtime::{
    Cache, CacheBuilder, Error, cache_invalidate, cache_put, cached, key_of, peek, with_cache,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// As long as those entries live which are to expire before they are asked for again.
const MOMENT: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    id: u64,
    mail: String,
}

/// Cannot be part of a key.
struct Db;

// --- how long an entry lives, and whether there is one ----------------------------------------------

#[cached(ttl = "1s")]
async fn weather(city: &str) -> u32 {
    let _ = city;
    body("weather")
}

#[cached(negative_ttl = "1s")]
async fn find_user(id: u64) -> Option<u32> {
    let _ = id;
    // The first look finds nobody.
    Some(body("find_user")).filter(|bodies| *bodies > 1)
}

#[cached(cache_if = |bodies| *bodies > 1)]
async fn search(words: &str) -> u32 {
    let _ = words;
    body("search")
}

#[cached(bypass = fresh, skip(fresh))]
async fn balance(account: u64, fresh: bool) -> u32 {
    let _ = (account, fresh);
    body("balance")
}

// --- what names an entry ----------------------------------------------------------------------------

#[cached(prefix = "shop:offers")]
async fn offers(day: u8) -> u32 {
    let _ = day;
    body("offers")
}

#[cached(prefix = "user", key = "{user.id}:page:{page}")]
async fn history(user: &User, page: u32) -> u32 {
    let _ = (user, page);
    body("history")
}

#[cached(prefix = "post", skip(db))]
async fn post(db: &Db, id: u64) -> u32 {
    let _ = (db, id);
    body("post")
}

#[cached(prefix = "session", key = "{token}", sensitive(token))]
async fn session(token: &str) -> u32 {
    let _ = token;
    body("session")
}

#[cached(prefix = "film", tags = ["genre:{genre}", "films"])]
async fn films(genre: &str) -> u32 {
    let _ = genre;
    body("films")
}

#[cached(prefix = "rate", key = "{currency}", version = 2)]
async fn rate(currency: &str) -> u32 {
    let _ = currency;
    body("rate")
}

/// How often the body ran for each of them.
#[cached(batch, prefix = "member", key = "{id}")]
async fn members(ids: &[u64]) -> BTreeMap<u64, u32> {
    let runs = body("members");
    ids.iter().map(|id| (*id, runs)).collect()
}

// --- where it is kept -------------------------------------------------------------------------------

#[cached(codec = "json")]
async fn report(year: u32) -> u32 {
    let _ = year;
    body("report")
}

#[cached(compress = true)]
async fn manual(chapter: u32) -> Vec<u32> {
    vec![chapter, body("manual")]
}

#[cached(near = false)]
async fn stock(item: u64) -> u32 {
    let _ = item;
    body("stock")
}

#[cached(near_ttl = "1s")]
async fn catalogue(page: u32) -> u32 {
    let _ = page;
    body("catalogue")
}

#[cached(cache = "guests", prefix = "guest")]
async fn guest(id: u64) -> u32 {
    let _ = id;
    body("guest")
}

#[cached(crate = cache_runtime)]
async fn banner() -> u32 {
    body("banner")
}

// --- who loads, and what is returned meanwhile ------------------------------------------------------

#[cached(coalesce = "fleet")]
async fn ranking(league: u8) -> u32 {
    let _ = league;
    sleep(MOMENT).await;
    body("ranking")
}

#[cached(max_loads = 1)]
async fn thumbnail(image: u64) -> u32 {
    let _ = image;
    let running = body("thumbnail");
    sleep(MOMENT).await;
    done("thumbnail");
    running
}

#[cached(ttl = "50ms", stale_while_revalidate = "1h")]
async fn news(topic: String) -> u32 {
    let _ = topic;
    body("news")
}

#[cached(ttl = "50ms", stale_while_revalidate = "1h", background = false)]
async fn local_news(town: String) -> u32 {
    let _ = town;
    body("local_news")
}

#[cached(ttl = "50ms", stale_if_error = "1h")]
async fn traffic(road: u32) -> Result<u32, String> {
    let _ = road;
    // The first load works, and none after it.
    match body("traffic") {
        1 => Ok(1),
        _ => Err("no answer".to_owned()),
    }
}

/// Has the second load of a route go on.
static ANSWER: Notify = Notify::const_new();

#[cached(ttl = "50ms", stale_if_error = "1h", load_timeout = "50ms")]
async fn route(from: u64, to: u64) -> Result<u32, String> {
    let _ = (from, to);
    let bodies = body("route");
    if bodies > 1 {
        ANSWER.notified().await;
    }
    Ok(bodies)
}

#[cached(ttl = "5s", early_refresh = true)]
async fn forecast(city: String) -> u32 {
    let _ = city;
    let bodies = body("forecast");
    // The longer a load takes, the earlier the next one begins.
    sleep(20 * MOMENT).await;
    bodies
}

// --- functions that invalidate ----------------------------------------------------------------------

#[cache_invalidate(prefix = "shop")]
async fn change_offers() {}

#[cache_invalidate(prefix = "user", key = "{user.id}:page:{page}")]
async fn correct(user: &User, page: u32) {
    let _ = (user, page);
}

#[cache_invalidate(prefix = "session", key = "{token}", sensitive(token))]
async fn log_out(token: &str) {
    let _ = token;
}

#[cache_invalidate(tags = ["genre:{genre}"])]
async fn new_film(genre: &str) {
    let _ = genre;
}

#[cache_invalidate(pattern = "film:*")]
async fn recount_films() {}

#[cache_invalidate(entry = post(&Db, id))]
async fn edit_post(id: u64) {
    let _ = id;
}

#[cache_invalidate(prefix = "post", when = "ok")]
async fn import(works: bool) -> Result<(), String> {
    works.then_some(()).ok_or_else(|| "no file".to_owned())
}

#[cache_invalidate(prefix = "guest", cache = "guests")]
async fn forget_guests() {}

#[cache_invalidate(prefix = "shop", crate = cache_runtime)]
async fn close_shop() {}

// --- functions whose result becomes an entry --------------------------------------------------------

#[cache_put(entry = post(&Db, id))]
async fn write_post(id: u64, text: u32) -> u32 {
    let _ = id;
    text
}

#[cache_put(entry = post(&Db, id), ttl = "1s")]
async fn write_draft(id: u64, text: u32) -> u32 {
    let _ = id;
    text
}

#[cache_put(entry = post(&Db, id), crate = cache_runtime)]
async fn write_copy(id: u64, text: u32) -> u32 {
    let _ = id;
    text
}

// --- what each of them did --------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::var("REDIS_URL").ok();
    for line in report_of(url.as_deref()).await? {
        println!("{line}");
    }
    Ok(())
}

/// What is printed: one line an option.
pub async fn report_of(redis_url: Option<&str>) -> Result<Vec<String>, Error> {
    let open = |builder: CacheBuilder| {
        let builder = match redis_url {
            Some(url) => builder.redis_url(url),
            None => builder,
        };
        // So that nothing is found of an earlier run, and hashes are the same in each.
        let prefix = format!("attributes:{}", std::process::id());
        let builder = builder.key_prefix(prefix).hash_key([7; 16]);
        builder.max_load_wait(Duration::from_secs(60)).open()
    };
    let cache = open(Cache::builder()).await?;
    let guests = open(Cache::builder().name("guests")).await?;
    BODIES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();

    let mut report = Report(Vec::new());
    // A program of its own would `install` both.
    with_cache(guests, with_cache(cache.clone(), report.fill(&cache))).await?;
    cache.clear("*").await?;
    Ok(report.0)
}

struct Report(Vec<String>);

impl Report {
    fn option(&mut self, option: &str, did: impl Display) {
        self.0.push(format!("  {option:<24}{did}"));
    }

    async fn fill(&mut self, cache: &Cache) -> Result<(), Error> {
        self.0.push("#[cached]".to_owned());
        self.lives().await;
        self.names(cache).await?;
        self.places(cache).await;
        self.loads().await;
        self.0.push("#[cache_invalidate]".to_owned());
        self.invalidations().await;
        self.0.push("#[cache_put]".to_owned());
        self.writes().await;
        Ok(())
    }

    async fn lives(&mut self) {
        let kept = twice(async || weather("Rome").await).await;
        let later = once_changed(&kept[1], async || weather("Rome").await).await;
        self.option("ttl", format!("{kept:?}, and {later} once it had expired"));

        let none = twice(async || find_user(1).await).await;
        let found = once_changed(&none[1], async || find_user(1).await).await;
        self.option(
            "negative_ttl",
            format!("{none:?}, and {found:?} soon after"),
        );

        let searched = [
            search("tea").await,
            search("tea").await,
            search("tea").await,
        ];
        self.option("cache_if", format!("{searched:?}: the first was not kept"));

        let balances = [
            balance(1, false).await,
            balance(1, true).await,
            balance(1, false).await,
        ];
        self.option("bypass", format!("{balances:?}: the second asked for it"));
    }

    async fn names(&mut self, cache: &Cache) -> Result<(), Error> {
        self.option("prefix", key_of(offers(1))?);
        let user = user();
        self.option("key", key_of(history(&user, 3))?);
        self.option("skip", key_of(post(&Db, 1))?);
        self.option("sensitive", key_of(session("secret"))?);

        let before = twice(async || films("drama").await).await;
        cache.invalidate_tag("films").await?;
        let after = films("drama").await;
        self.option("tags", format!("{before:?}, and {after} after its tag"));

        let two = members(&[1, 2]).await;
        let three = members(&[1, 2, 3]).await;
        self.option("batch", format!("{two:?}, and with one more {three:?}"));

        let key = key_of(rate("EUR"))?;
        cache.set(&key, &100_u32, None).await?;
        let rates = twice(async || rate("EUR").await).await;
        self.option("version", format!("{rates:?}, not the 100 of no version"));
        Ok(())
    }

    async fn places(&mut self, cache: &Cache) {
        let reports = twice(async || report(2025).await).await;
        self.option("codec", format!("{reports:?}, as JSON in Redis"));

        let chapters = twice(async || manual(1).await).await;
        self.option(
            "compress",
            format!("{chapters:?}, in fewer bytes where it is large"),
        );

        stock(1).await;
        let before = cache.stats().near_hits;
        stock(1).await;
        let hits = cache.stats().near_hits - before;
        self.option("near", format!("{hits} answers by the process"));

        let pages = twice(async || catalogue(1).await).await;
        self.option("near_ttl", format!("{pages:?}, from Redis each second"));

        let guests = twice(async || guest(1).await).await;
        let here = cache.stats().prefixes.contains_key("guest");
        self.option("cache", format!("{guests:?}, in the default one: {here}"));

        let banners = twice(async || banner().await).await;
        self.option("crate", format!("{banners:?}"));
    }

    async fn loads(&mut self) {
        let together = tokio::join!(ranking(1), ranking(1), ranking(1));
        self.option("coalesce", format!("{together:?}, asked for together"));

        let apart = tokio::join!(thumbnail(1), thumbnail(2), thumbnail(3));
        self.option("max_loads", format!("{apart:?} bodies at once"));

        let first = news("tea".to_owned()).await;
        sleep(2 * MOMENT).await;
        let expired = news("tea".to_owned()).await;
        let loaded = once_changed(&first, async || news("tea".to_owned()).await).await;
        let did = format!("{expired} though it had expired, and {loaded} once that was loaded");
        self.option("stale_while_revalidate", did);

        local_news("Rome".to_owned()).await;
        sleep(2 * MOMENT).await;
        let loaded = local_news("Rome".to_owned()).await;
        let did = format!("{loaded}, since the first to need it loads it");
        self.option("background", did);

        let _ = traffic(1).await;
        sleep(2 * MOMENT).await;
        let did = format!("{:?}, though the body failed", traffic(1).await);
        self.option("stale_if_error", did);

        let first = route(1, 2).await;
        sleep(2 * MOMENT).await;
        let expired = route(1, 2).await;
        ANSWER.notify_one();
        let loaded = once_changed(&first, async || route(1, 2).await).await;
        let did = format!("{expired:?} while the load went on, then {loaded:?}");
        self.option("load_timeout", did);

        let first = forecast("Rome".to_owned()).await;
        let stored = Instant::now();
        while runs("forecast") == first {
            forecast("Rome".to_owned()).await;
            sleep(MOMENT / 10).await;
        }
        let early = stored.elapsed() < Duration::from_secs(5);
        let did = format!("a load began before it had expired: {early}");
        self.option("early_refresh", did);
    }

    async fn invalidations(&mut self) {
        let user = user();
        let offers = async || offers(1).await;
        let seen = around(offers, change_offers()).await;
        self.option("prefix", seen);
        let history = async || history(&user, 3).await;
        let seen = around(history, correct(&user, 3)).await;
        self.option("key", seen);
        let session = async || session("secret").await;
        let seen = around(session, log_out("secret")).await;
        self.option("sensitive", seen);
        let films = async || films("drama").await;
        let seen = around(films, new_film("drama")).await;
        self.option("tags", seen);
        let seen = around(films, recount_films()).await;
        self.option("pattern", seen);
        let post = async || post(&Db, 1).await;
        let seen = around(post, edit_post(1)).await;
        self.option("entry", seen);
        let failed = around(post, import(false)).await;
        let seen = around(post, import(true)).await;
        self.option("when", format!("{seen}; where it failed: {failed}"));
        let guest = async || guest(1).await;
        let seen = around(guest, forget_guests()).await;
        self.option("cache", seen);
        let seen = around(offers, close_shop()).await;
        self.option("crate", seen);
    }

    async fn writes(&mut self) {
        write_post(1, 100).await;
        self.option("entry", format!("then {:?}", peek(post(&Db, 1)).await));
        write_draft(1, 200).await;
        let draft = peek(post(&Db, 1)).await;
        let later = once_changed(&draft, async || peek(post(&Db, 1)).await).await;
        self.option("ttl", format!("then {draft:?}, and soon {later:?}"));
        write_copy(1, 300).await;
        self.option("crate", format!("then {:?}", peek(post(&Db, 1)).await));
    }
}

fn user() -> User {
    User {
        id: 42,
        mail: "ann@example.org".to_owned(),
    }
}

async fn twice<T>(mut call: impl AsyncFnMut() -> T) -> [T; 2] {
    [call().await, call().await]
}

/// What a call returns before and after another.
async fn around<T: Debug>(
    mut call: impl AsyncFnMut() -> T,
    other: impl Future<Output = impl Sized>,
) -> String {
    let before = call().await;
    other.await;
    format!("{before:?}, then {:?}", call().await)
}

/// What a call returns once that is something else.
async fn once_changed<T: PartialEq>(old: &T, mut call: impl AsyncFnMut() -> T) -> T {
    loop {
        let new = call().await;
        if new != *old {
            return new;
        }
        sleep(MOMENT / 10).await;
    }
}

/// How often each body has run.
static BODIES: Mutex<BTreeMap<&str, u32>> = Mutex::new(BTreeMap::new());

/// Counts a body.
fn body(name: &'static str) -> u32 {
    let mut bodies = BODIES.lock().unwrap_or_else(PoisonError::into_inner);
    let count = bodies.entry(name).or_default();
    *count += 1;
    *count
}

fn runs(name: &str) -> u32 {
    let bodies = BODIES.lock().unwrap_or_else(PoisonError::into_inner);
    bodies.get(name).copied().unwrap_or_default()
}

/// Counts it no more.
fn done(name: &'static str) {
    let mut bodies = BODIES.lock().unwrap_or_else(PoisonError::into_inner);
    bodies.entry(name).and_modify(|count| *count -= 1);
}
