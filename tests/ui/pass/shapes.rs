//! Shapes that every attribute takes, each called twice: the second call is a hit.
#![deny(warnings)]

use cache_runtime::{cache_invalidate, cache_put, cached, peek};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

static BODIES: AtomicU32 = AtomicU32::new(0);

/// Which body this is.
fn body() -> u32 {
    BODIES.fetch_add(1, Ordering::Relaxed) + 1
}

// --- references to what has no size ------------------------------------------------------------

#[cached]
async fn unsized_argument<T: ?Sized + Serialize>(value: &T) -> u32 {
    let _ = value;
    body()
}

#[cached]
async fn slices(text: &str, numbers: &[u32], boxed: Box<str>, shared: Arc<[u8]>) -> u32 {
    body() + text.len() as u32 + numbers[0] + boxed.len() as u32 + u32::from(shared[0])
}

#[cached(skip(show))]
async fn object(show: &(dyn Display + Sync), id: u32) -> String {
    format!("{show} {id} {}", body())
}

#[cache_invalidate(entry = unsized_argument(value))]
async fn forget_unsized<T: ?Sized + Serialize>(value: &T) {
    let _ = value;
}

#[cache_put(entry = unsized_argument(value))]
async fn put_unsized<T: ?Sized + Serialize>(value: &T, number: u32) -> u32 {
    let _ = value;
    number
}

// --- lifetimes and where clauses ---------------------------------------------------------------

struct Reader<'a, T: ?Sized> {
    source: &'a T,
}

impl<'a, T> Reader<'a, T>
where
    T: ?Sized + Display + Sync,
{
    #[cached(skip(self))]
    async fn read<'b, K>(&'b self, key: &'a K, other: &'b str) -> Result<u32, String>
    where
        K: ?Sized + Serialize + Sync,
        'a: 'b,
    {
        let _ = (key, other, self.source.to_string());
        Ok(body())
    }

    #[cache_invalidate(entry = self.read(key, other))]
    async fn forget<'b, K>(&'b self, key: &'a K, other: &'b str) -> &'b T
    where
        K: ?Sized + Serialize + Sync,
        'a: 'b,
    {
        let _ = (key, other);
        self.source
    }

    #[cache_put(entry = self.read(key, other))]
    async fn write<'b, K>(&'b self, key: &'a K, other: &'b str, number: u32) -> Result<u32, ()>
    where
        K: ?Sized + Serialize + Sync,
        'a: 'b,
    {
        let _ = (key, other);
        Ok(number)
    }
}

// --- traits ------------------------------------------------------------------------------------

trait Store<K> {
    type Value;

    async fn load(&self, key: K) -> Option<Self::Value>;

    fn price(&self, key: K) -> u32;

    fn later(&self, key: K) -> impl Future<Output = u32> + Send;

    async fn save(&self, key: K, value: Self::Value) -> Option<Self::Value>;

    #[cache_invalidate(entry = self.later(key))]
    async fn forget(&self, key: K) -> u32
    where
        K: Copy,
    {
        let _ = key;
        7
    }
}

struct Shelf<V>(Vec<V>);

impl<K, V> Store<K> for Shelf<V>
where
    K: Serialize + Send + Sync,
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    type Value = V;

    #[cached(skip(self))]
    async fn load(&self, key: K) -> Option<V> {
        let _ = (key, body());
        self.0.first().cloned()
    }

    #[cached(skip(self))]
    fn price(&self, key: K) -> u32 {
        let _ = key;
        body()
    }

    #[cached(skip(self))]
    async fn later(&self, key: K) -> u32 {
        let _ = key;
        body()
    }

    #[cache_put(entry = self.load(key))]
    async fn save(&self, key: K, value: V) -> Option<V> {
        Some(value)
    }
}

// --- arguments ---------------------------------------------------------------------------------

#[cached]
async fn taken_apart((mut left, _): (u32, u32), [first, .., last]: [u32; 3]) -> u32 {
    left += first + last;
    left + 100 * body()
}

#[cached]
async fn opaque(
    text: impl AsRef<str> + Serialize,
    mut rest: impl Iterator<Item = u32> + Serialize,
) -> u32 {
    text.as_ref().len() as u32 + rest.next().unwrap_or(0) + 100 * body()
}

#[cache_invalidate(prefix = "numbers")]
async fn forget_opaque(text: impl AsRef<str>, mut rest: impl Iterator<Item = u32>) -> u32 {
    text.as_ref().len() as u32 + rest.next().unwrap_or(0)
}

#[cache_put(entry = mutable(text.as_ref().len() as u32))]
async fn put_opaque(text: impl AsRef<str>, rest: impl Iterator<Item = u32>) -> u32 {
    text.as_ref().len() as u32 + rest.sum::<u32>()
}

#[cache_invalidate(entry = mutable(*number))]
async fn forget_mutable(number: &mut u32) -> &u32 {
    *number += 1;
    number
}

#[cached]
async fn mutable(mut number: u32) -> u32 {
    number += 1;
    number + 100 * body()
}

#[cache_put(entry = mutable(number))]
async fn put_mutable(mut number: u32, (left, mut right): (u32, u32)) -> u32 {
    number += left;
    right += number;
    right
}

// --- other attributes --------------------------------------------------------------------------

/// Documented above.
#[doc = "And in this way."]
#[allow(clippy::unused_async)]
#[cached]
#[must_use]
#[cfg_attr(all(), inline)]
#[allow(unused_variables, unused_mut)]
async fn attributes(mut unused: u32) -> u32 {
    body()
}

#[cfg_attr(all(), cached(prefix = "conditional"))]
async fn conditional(id: u32) -> u32 {
    id + 100 * body()
}

#[cfg_attr(any(), cached(prefix = "conditional"))]
async fn never_cached(id: u32) -> u32 {
    id + 100 * body()
}

#[cached]
#[expect(
    unused_variables,
    reason = "an attribute below the macro stays with the function"
)]
async fn expected(id: u32) -> u32 {
    let unused = id;
    body()
}

#[deprecated(note = "said of its uses alone")]
#[cache_put(entry = expected(id))]
async fn put_deprecated(id: u32) -> u32 {
    id
}

#[cache_invalidate(entry = expected(id))]
#[cold]
async fn forget_expected(id: u32) {
    let _ = id;
}

// --- inside functions and macros ---------------------------------------------------------------

macro_rules! store {
    ($(#[$meta:meta])* $vis:vis $get:ident, $put:ident, $forget:ident, |$id:ident: $type:ty| $value:expr) => {
        $(#[$meta])*
        #[cached(prefix = "macros", skip($id))]
        $vis async fn $get($id: $type) -> u32 {
            $value + 100 * body()
        }

        #[cache_put(entry = $get($id))]
        async fn $put($id: $type, number: u32) -> u32 {
            let _ = $id;
            number
        }

        #[cache_invalidate(entry = $get($id))]
        async fn $forget($id: $type) {
            let _ = $id;
        }
    };
}

store!(
    /// Documented.
    pub(crate) from_macro, put_from_macro, forget_from_macro, |id: u32| id + 1
);

async fn nested(id: u32) -> [u32; 4] {
    #[cached]
    async fn inner(id: u32) -> u32 {
        #[cached]
        fn innermost(id: u32) -> u32 {
            id + 100 * body()
        }
        innermost(id)
    }

    #[cache_put(entry = inner(id))]
    async fn put(id: u32) -> u32 {
        id
    }

    let first = inner(id).await;
    let put = put(id).await;
    [first, inner(id).await, put, {
        #[cache_invalidate(entry = inner(id))]
        async fn forget(id: u32) -> u32 {
            id
        }
        forget(id).await
    }]
}

/// What is called twice, and is the same value.
async fn kept<T: PartialEq + std::fmt::Debug>(mut call: impl AsyncFnMut() -> T) -> T {
    let first = call().await;
    assert_eq!(call().await, first);
    first
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    kept(async || unsized_argument("text").await).await;
    kept(async || unsized_argument(&[1_u8][..]).await).await;
    assert_ne!(unsized_argument("a").await, unsized_argument("b").await);
    assert_eq!(put_unsized("text", 7).await, 7);
    assert_eq!(unsized_argument("text").await, 7);
    forget_unsized("text").await;
    assert_eq!(peek(unsized_argument("text")).await, None);
    kept(async || slices("a", &[1], "b".into(), Arc::from([2])).await).await;
    kept(async || object(&'x', 1).await).await;

    let reader = Reader { source: "source" };
    kept(async || reader.read("key", "other").await)
        .await
        .unwrap();
    assert_eq!(reader.write("key", "other", 7).await, Ok(7));
    assert_eq!(reader.read("key", "other").await, Ok(7));
    assert_eq!(reader.forget("key", "other").await, "source");
    assert_eq!(peek(reader.read("key", "other")).await, None);

    let shelf = Shelf(vec!["book".to_owned()]);
    kept(async || shelf.load(1_u8).await).await.unwrap();
    kept(async || shelf.price(1_u8)).await;
    let price = kept(async || shelf.later(1_u8).await).await;
    assert_eq!(shelf.forget(1_u8).await, 7);
    assert_ne!(shelf.later(1_u8).await, price);
    shelf.save(1_u8, "pen".to_owned()).await.unwrap();
    assert_eq!(shelf.load(1_u8).await.as_deref(), Some("pen"));

    kept(async || taken_apart((1, 2), [3, 4, 5]).await).await;
    kept(async || opaque("ab", Numbers).await).await;
    assert_eq!(forget_opaque("ab", Numbers).await, 2);
    assert_eq!(put_opaque("abc", [4, 5].into_iter()).await, 12);
    assert_eq!(mutable(3).await, 12);
    assert_eq!(put_mutable(1, (2, 3)).await, 6);
    assert_eq!(mutable(1).await, 6);
    assert_eq!(*forget_mutable(&mut 1).await, 2);
    assert_eq!(peek(mutable(1)).await, None);
    kept(async || mutable(2).await).await;

    kept(async || attributes(1).await).await;
    kept(async || conditional(1).await).await;
    assert_ne!(never_cached(1).await, never_cached(1).await);
    kept(async || expected(1).await).await;
    #[expect(deprecated)]
    put_deprecated(1).await;
    assert_eq!(expected(1).await, 1);
    forget_expected(1).await;
    assert_eq!(peek(expected(1)).await, None);

    kept(async || from_macro(1).await).await;
    put_from_macro(1, 7).await;
    assert_eq!(from_macro(2).await, 7);
    forget_from_macro(3).await;
    assert_eq!(peek(from_macro(1)).await, None);
    let [first, second, put, forgotten] = nested(7).await;
    assert!(first > 100);
    assert_eq!([second, put, forgotten], [7; 3]);
    assert_eq!(nested(7).await[0], first, "the innermost is kept");
}

#[derive(Serialize)]
struct Numbers;

impl Iterator for Numbers {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        None
    }
}
