//! Batch functions of every shape.
#![deny(warnings)]
#![no_implicit_prelude]

use ::cache_runtime::cached;
use ::std::clone::Clone;
use ::std::collections::{BTreeMap, HashMap};
use ::std::convert::{From, Into};
use ::std::iter::{IntoIterator, Iterator};
use ::std::marker::{Copy, Send, Sync};
use ::std::option::Option;
use ::std::result::Result::{self, Ok};
use ::std::string::{String, ToString};
use ::std::vec::Vec;
use ::std::{assert, assert_eq, vec};

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize)]
struct Id {
    n: u64,
    region: &'static str,
}

struct Db;

/// It can neither be cloned nor be part of a key.
struct Token;

type Answer<T> = Result<T, ::std::num::ParseIntError>;

fn named<T: ToString + Copy>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[cached(batch, skip(db))]
async fn vec(db: &Db, ids: Vec<u64>) -> Vec<String> {
    let _ = db;
    named(&ids)
}

#[cached(batch, prefix = "slice")]
async fn slice(ids: &[u64]) -> Answer<Vec<String>> {
    let _: u8 = "7".parse()?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(named(ids))
}

#[cached(batch, prefix = "map", key = "{id}")]
async fn texts(ids: &[&str]) -> HashMap<String, usize> {
    ids.iter().map(|id| ((*id).into(), id.len())).collect()
}

#[cached(batch(one in list), prefix = "fields", key = "{one.region}:{one.n}", tags = "region:{one.region}")]
async fn fields(mut list: Vec<Id>) -> BTreeMap<Id, u64> {
    list.sort();
    list.into_iter().map(|id| (id, id.n)).collect()
}

#[cached(batch(id in ids), prefix = "several", skip(others), ttl = "1m", version = 2, max_loads = 3)]
async fn several(ids: &[u64], others: &[u64]) -> Vec<usize> {
    ids.iter().map(|_| others.len()).collect()
}

#[cached(batch, prefix = "moved", skip(token))]
async fn moved(token: Token, (a, b): (u64, u64), mut rest: String, ids: Vec<u64>) -> Vec<u64> {
    let Token = token;
    rest.push('!');
    ids.iter().map(|id| id + a + b + rest.len() as u64).collect()
}

#[cached(batch, prefix = "lent", skip(log))]
async fn lent(log: &mut Vec<u64>, ids: &[u64]) -> Vec<u64> {
    log.extend_from_slice(ids);
    ids.to_vec()
}

#[cached(batch, prefix = "generic")]
async fn generic<T>(factor: T, ids: &[T]) -> Vec<T>
where
    T: Copy
        + Send
        + Sync
        + ::std::ops::Mul<Output = T>
        + ::serde::Serialize
        + ::serde::de::DeserializeOwned
        + 'static,
{
    ids.iter().map(|id| *id * factor).collect()
}

#[cached(batch, prefix = "any", skip(source))]
async fn any(source: impl ::std::ops::Fn(u64) -> u64, ids: &[u64]) -> Vec<u64> {
    ids.iter().map(|id| source(*id)).collect()
}

#[cached(batch, prefix = "words", key = "{key}")]
async fn words(call: &str, missing: u8, repeats: bool, keys: Vec<u64>) -> Vec<String> {
    let load = call.len();
    keys.iter().map(|key| ::std::format!("{load}{missing}{repeats}{key}")).collect()
}

#[cached(batch, negative_ttl = "30s", cache_if = |user| user.is_some(), ttl = |_: &Option<u64>| ::std::time::Duration::from_secs(9))]
async fn rules(ids: Vec<u64>) -> HashMap<u64, u64> {
    ids.into_iter().filter(|id| *id > 1).map(|id| (id, id)).collect()
}

#[cached(batch, negative_ttl = "30s")]
async fn options(ids: Vec<u64>) -> Vec<Option<u64>> {
    ids.into_iter().map(|id| Option::Some(id).filter(|id| *id > 1)).collect()
}

#[cached(batch, bypass = ids.len() > 2, ttl = ::std::time::Duration::from_secs(ids.len() as u64), coalesce = "off", near = false)]
async fn settings(ids: Vec<u64>) -> HashMap<u64, u64> {
    ids.into_iter().map(|id| (id, id)).collect()
}

impl Db {
    #[cached(batch, prefix = "method", skip(self), sensitive(id))]
    async fn method(&self, ids: &[u64]) -> Vec<u64> {
        let Self = self;
        ids.to_vec()
    }

    #[cached(batch)]
    async fn associated(ids: &[u64]) -> Vec<u64> {
        ids.to_vec()
    }
}

async fn run() {
    for _ in 0..2 {
        assert_eq!(vec(&Db, vec![2, 1]).await, ["2", "1"]);
        assert_eq!(slice(&[2, 1]).await, Ok(named(&[2, 1])));
        assert_eq!(texts(&["a", "bb"]).await["bb"], 2);
        let ids = [Id { n: 1, region: "eu" }, Id { n: 1, region: "us" }];
        assert_eq!(fields(ids.to_vec()).await[&ids[1]], 1);
        assert_eq!(several(&[1, 2], &[3]).await, [1, 1]);
        assert_eq!(moved(Token, (1, 2), "x".into(), vec![0, 1]).await, [5, 6]);
        assert_eq!(lent(&mut Vec::new(), &[1]).await, [1]);
        assert_eq!(generic(2_u8, &[1, 2]).await, [2, 4]);
        assert_eq!(generic(2_u64, &[1, 2]).await, [2, 4]);
        assert_eq!(any(|id| id + 1, &[1]).await, [2]);
        assert_eq!(words("c", 1, true, vec![9]).await, ["11true9"]);
        assert_eq!(rules(vec![1, 2]).await.len(), 1);
        assert_eq!(options(vec![1, 2]).await, [Option::None, Option::Some(2)]);
        assert_eq!(settings(vec![1, 2, 3]).await.len(), 3);
        assert_eq!(Db.method(&[1]).await, [1]);
        assert_eq!(Db::associated(&[1]).await, [1]);
    }
    let _ = String::from("");
}

fn main() {
    let runtime = ::tokio::runtime::Builder::new_current_thread();
    let mut runtime = runtime;
    let runtime = runtime.enable_all().build();
    let Ok(runtime) = runtime else {
        return;
    };
    runtime.block_on(async {
        fn sends<F: Send>(future: F) -> F {
            future
        }
        sends(run()).await;
        assert!(::cache_runtime::cache().stats().loads > 0);
    });
}
