//! A crate as strict users have it: no lint is allowed anywhere, and the runtime has another name. Clippy runs over it
//! with the workspace.
#![cfg(test)]
#![deny(warnings, clippy::pedantic, clippy::nursery, missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use framework::{Value, cache_invalidate, cache_put, cached};
use serde::{Deserialize, Serialize};

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who it is.
    pub id: u64,
    /// What they are called.
    pub name: String,
}

/// What may go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub u64);

/// Where users are.
#[derive(Debug, Default)]
pub struct Db {
    /// How often it was asked.
    pub asked: AtomicU64,
}

impl Db {
    fn ask(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed) + 1
    }
}

// --- functions ----------------------------------------------------------------------------------

/// A user.
///
/// # Errors
/// Where there is none.
#[cached(ttl = "1h", prefix = "user", skip(db), crate = framework)]
pub async fn get_user(db: &Db, id: u64) -> Result<User, Missing> {
    std::future::ready(()).await;
    if id == 0 {
        return Err(Missing(id));
    }
    let name = format!("user {id} of {}", db.ask());
    Ok(User { id, name })
}

/// Renames a user.
///
/// # Errors
/// Where there is none.
#[cache_put(entry = get_user(db, user.id), ttl = Duration::from_secs(user.id), crate = framework)]
pub async fn save_user(db: &Db, user: User) -> Result<User, Missing> {
    std::future::ready(db.ask()).await;
    if user.id == 0 {
        return Err(Missing(user.id));
    }
    Ok(user)
}

/// Forgets a user.
#[cache_invalidate(entry = [get_user(db, id), find(db, &[id])], when = "before", crate = framework)]
pub async fn delete_user(db: &Db, id: u64) {
    std::future::ready(db.ask() + id).await;
}

/// Finds users.
#[cached(
    tags = ["users", "first:{db.asked_for}"],
    key = "{ids}",
    cache_if = |users: &BTreeMap<u64, User>| !users.is_empty(),
    near_ttl = "5s",
    coalesce = "fleet",
    max_loads = 4,
    stale_while_revalidate = "1m",
    crate = framework
)]
async fn find_tagged(db: &Tagged<'_>, ids: &[u64]) -> BTreeMap<u64, User> {
    std::future::ready(db.asked_for).await;
    ids.iter()
        .map(|id| {
            (
                *id,
                User {
                    id: *id,
                    name: String::new(),
                },
            )
        })
        .collect()
}

/// Part of a tag.
#[derive(Debug)]
pub struct Tagged<'a> {
    asked_for: &'a str,
}

#[cached(skip(db), negative_ttl = 5, bypass = ids.is_empty(), version = 2, codec = "bincode", crate = framework)]
async fn find(db: &Db, ids: &[u64]) -> Option<u64> {
    std::future::ready(db.ask()).await;
    ids.iter().max().copied()
}

#[cached(
    stale_if_error = "1h",
    load_timeout = "5s",
    early_refresh = true,
    ttl = |name| Duration::from_secs(name.len() as u64),
    sensitive(token),
    crate = framework
)]
async fn owned(token: String, _unused: Option<u8>) -> Result<String, Missing> {
    std::future::ready(()).await;
    Ok(token)
}

#[cache_invalidate(tags = ["users"], prefix = ["user", "users"], when = "ok", crate = framework)]
async fn reload(mut name: String, (left, right): (u64, u64)) -> Result<String, Missing> {
    std::future::ready(()).await;
    name.push('!');
    (left < right).then_some(name).ok_or(Missing(left))
}

#[cached(crate = framework)]
async fn generic<T>(
    value: T,
    others: [u8; 2],
    shown: impl Display + Serialize + Send + Sync,
) -> Arc<T>
where
    T: Value,
{
    std::future::ready((others, shown)).await;
    Arc::new(value)
}

/// Whatever is `async` is also done otherwise.
#[must_use]
#[cached(ttl = 60, prefix = "square", crate = framework)]
pub fn square(number: u64) -> u64 {
    number * number
}

#[cached(batch, prefix = "name", key = "{id}", crate = framework)]
async fn names(db: &Db, ids: &[u64]) -> Result<BTreeMap<u64, String>, Missing> {
    std::future::ready(db.ask()).await;
    Ok(ids.iter().map(|id| (*id, id.to_string())).collect())
}

#[cached(batch, skip(db), crate = framework)]
async fn titles(db: &Db, numbers: Vec<u64>) -> Vec<u64> {
    std::future::ready(db.ask()).await;
    numbers
}

#[cache_invalidate(pattern = "name:*:{id}", when = "ok", crate = framework)]
async fn forget_name(id: u64) -> Option<u64> {
    std::future::ready(id).await;
    Some(id)
}

#[cache_invalidate(prefix = "square", crate = framework)]
fn forget_squares(numbers: &mut [u64]) -> &[u64] {
    numbers.sort_unstable();
    numbers
}

// --- methods ------------------------------------------------------------------------------------

/// Something with methods.
#[derive(Debug, Serialize)]
pub struct Shop {
    id: u64,
    #[serde(skip)]
    db: Db,
}

impl Shop {
    #[cached(key = "{self.id}:{item}", prefix = "price", crate = framework)]
    async fn price(&self, item: &str) -> u64 {
        std::future::ready(item.len()).await;
        self.db.ask()
    }

    #[cache_put(entry = self.price(item), crate = framework)]
    async fn set_price(&mut self, item: &str, price: u64) -> u64 {
        std::future::ready(item.len()).await;
        self.id += 0;
        price
    }

    #[cache_invalidate(entry = self.price(item), crate = framework)]
    async fn remove(&self, item: &str) -> &Self {
        std::future::ready(item.len()).await;
        self
    }

    #[cached(skip(self), crate = framework)]
    fn size(self: &Arc<Self>, unit: u64) -> u64 {
        self.db.ask() * unit
    }
}

trait Stock {
    async fn count(&self, item: u64) -> u64;
    async fn put(&self, item: u64, count: u64) -> u64;
    async fn sell(&self, item: u64) -> u64;
}

impl Stock for Shop {
    #[cached(skip(self), crate = framework)]
    async fn count(&self, item: u64) -> u64 {
        std::future::ready(item).await;
        self.db.ask()
    }

    #[cache_put(entry = self.count(item), crate = framework)]
    async fn put(&self, item: u64, count: u64) -> u64 {
        std::future::ready(item).await;
        count
    }

    #[cache_invalidate(entry = self.count(item), crate = framework)]
    async fn sell(&self, item: u64) -> u64 {
        std::future::ready(item).await;
        item
    }
}

// --- under and above the attributes of others ---------------------------------------------------

mod others {
    use super::*;

    #[async_trait::async_trait]
    trait Catalogue {
        async fn title(&self, id: u64) -> Result<String, Missing>;
        async fn rename(&self, id: u64, title: &str) -> Result<String, Missing>;
        async fn remove(&self, id: u64);
    }

    #[async_trait::async_trait]
    impl Catalogue for Db {
        #[cached(skip(self), prefix = "title", crate = framework)]
        async fn title(&self, id: u64) -> Result<String, Missing> {
            if id == 0 {
                return Err(Missing(id));
            }
            Ok(format!("{id} of {}", self.ask()))
        }

        #[cache_put(entry = self.title(id), crate = framework)]
        async fn rename(&self, id: u64, title: &str) -> Result<String, Missing> {
            std::future::ready(id).await;
            Ok(title.to_owned())
        }

        #[cache_invalidate(entry = self.title(id), crate = framework)]
        async fn remove(&self, id: u64) {
            std::future::ready(id).await;
        }
    }

    #[tokio::test]
    async fn methods_under_async_trait_are_cached_written_and_invalidated() {
        let db: Box<dyn Catalogue> = Box::new(Db::default());
        assert_eq!(db.title(0).await, Err(Missing(0)));
        assert_eq!(db.title(1).await.as_deref(), Ok("1 of 1"));
        assert_eq!(db.title(1).await.as_deref(), Ok("1 of 1"));
        assert_eq!(db.rename(1, "one").await.as_deref(), Ok("one"));
        assert_eq!(db.title(1).await.as_deref(), Ok("one"));
        db.remove(1).await;
        assert_eq!(db.title(1).await.as_deref(), Ok("1 of 2"));
    }

    #[tracing::instrument(skip(db))]
    #[cached(skip(db), crate = framework)]
    async fn above(db: &Db, id: u64) -> Result<u64, Missing> {
        std::future::ready(id).await;
        Ok(db.ask())
    }

    #[cached(skip(db), crate = framework)]
    #[tracing::instrument(skip(db), err(Debug))]
    async fn below(db: &Db, id: u64) -> Result<u64, Missing> {
        std::future::ready(id).await;
        Ok(db.ask())
    }

    #[cached(skip(db), crate = framework)]
    #[tracing::instrument(skip_all, ret)]
    fn plainly(db: &Db, id: u64) -> u64 {
        id + db.ask()
    }

    #[tracing::instrument(skip(db))]
    #[cache_invalidate(entry = above(db, id), crate = framework)]
    #[tracing::instrument(skip(db), name = "inner")]
    async fn forget(db: &Db, id: u64) {
        std::future::ready(db).await;
    }

    #[tracing::instrument(skip(db))]
    #[cache_put(entry = below(db, id), crate = framework)]
    async fn write(db: &Db, id: u64, number: u64) -> Result<u64, Missing> {
        std::future::ready(db).await;
        Ok(number)
    }

    #[tokio::test]
    async fn spans_go_above_and_below() {
        let db = Db::default();
        assert_eq!([above(&db, 1).await, above(&db, 1).await], [Ok(1), Ok(1)]);
        assert_eq!([below(&db, 1).await, below(&db, 1).await], [Ok(2), Ok(2)]);
        assert_eq!([plainly(&db, 1), plainly(&db, 1)], [4, 4]);
        forget(&db, 1).await;
        assert_eq!(above(&db, 1).await, Ok(4));
        assert_eq!(write(&db, 1, 70).await, Ok(70));
        assert_eq!(below(&db, 1).await, Ok(70));
    }
}

mod tests {
    use super::*;

    fn user(id: u64, name: &str) -> User {
        let name = name.to_owned();
        User { id, name }
    }

    #[tokio::test]
    async fn functions_are_cached_written_and_invalidated() {
        let db = Db::default();
        assert_eq!(get_user(&db, 0).await, Err(Missing(0)));
        assert_eq!(get_user(&db, 1).await, Ok(user(1, "user 1 of 1")));
        assert_eq!(get_user(&db, 1).await, Ok(user(1, "user 1 of 1")));
        assert_eq!(save_user(&db, user(1, "Ann")).await, Ok(user(1, "Ann")));
        assert_eq!(get_user(&db, 1).await, Ok(user(1, "Ann")));
        delete_user(&db, 1).await;
        assert_ne!(get_user(&db, 1).await, Ok(user(1, "Ann")));
        assert_eq!(save_user(&db, user(0, "")).await, Err(Missing(0)));

        assert_eq!(find(&db, &[1, 2]).await, Some(2));
        assert_eq!(find(&db, &[]).await, None);
        let tagged = Tagged { asked_for: "all" };
        assert_eq!(find_tagged(&tagged, &[1]).await.len(), 1);
        assert_eq!(
            owned("token".to_owned(), None).await.as_deref(),
            Ok("token")
        );
        assert_eq!(reload("a".to_owned(), (1, 2)).await.as_deref(), Ok("a!"));
        assert_eq!(*generic(1_u8, [2, 3], "four").await, 1);
        let all = names(&db, &[1, 2]).await.map(|names| names.len());
        assert_eq!(all, Ok(2));
        assert_eq!(titles(&db, vec![2, 1]).await, [2, 1]);
        assert_eq!(forget_name(1).await, Some(1));
        assert_eq!([square(3), square(3)], [9, 9]);
        assert_eq!(forget_squares(&mut [2, 1]), [1, 2]);
    }

    #[tokio::test]
    async fn methods_are_cached_written_and_invalidated() {
        let db = Db::default();
        let mut shop = Shop { id: 1, db };
        assert_eq!([shop.price("tea").await, shop.price("tea").await], [1, 1]);
        assert_eq!(shop.set_price("tea", 70).await, 70);
        assert_eq!(shop.price("tea").await, 70);
        assert_eq!(shop.remove("tea").await.price("tea").await, 2);
        assert_eq!([shop.count(1).await, shop.count(1).await], [3, 3]);
        assert_eq!([shop.put(1, 70).await, shop.count(1).await], [70, 70]);
        assert_eq!([shop.sell(1).await, shop.count(1).await], [1, 4]);
        let shop = Arc::new(shop);
        assert_eq!([shop.size(2), shop.size(2)], [10, 10]);
    }
}
