//! P6: an entry written by another version of a type is a miss, and so are bytes that are not ours.

mod support;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Codec, Value, cached, with_cache};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use support::RedisServer;

fn at(server: &RedisServer) -> CacheBuilder {
    Cache::builder()
        .near(false)
        .redis_url(server.url())
        .response_timeout(Duration::from_secs(5))
}

async fn on(server: &RedisServer) -> Cache {
    at(server).open().await.unwrap()
}

// --- versions of a type ---------------------------------------------------------------------

/// A module for each version of one program: the same names, the same key, another `User`.
macro_rules! version {
    ($name:ident, { $($field:ident: $type:ty = $value:expr),* $(,)? }) => {
        mod $name {
            #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
            pub struct User {
                $(pub $field: $type),*
            }

            #[cache_runtime::cached(ttl = 300, prefix = "user", key = "{id}")]
            pub async fn user(id: u64) -> User {
                let _ = id;
                sample()
            }

            pub fn sample() -> User {
                User { $($field: $value),* }
            }
        }
    };
}

version!(original, { id: u64 = 1, age: u64 = 2, name: String = "a".into() });
version!(unchanged, { id: u64 = 1, age: u64 = 2, name: String = "a".into() });
version!(swapped, { age: u64 = 20, id: u64 = 10, name: String = "b".into() });
version!(renamed, { id: u64 = 10, years: u64 = 20, name: String = "b".into() });
version!(retyped, { id: u64 = 10, age: i64 = 20, name: String = "b".into() });
version!(narrowed, { id: u64 = 10, age: u32 = 20, name: String = "b".into() });
version!(bytes, { id: u64 = 10, age: u64 = 20, name: Vec<u8> = vec![1] });
version!(optional, { id: u64 = 10, age: Option<u64> = None, name: String = "b".into() });
version!(grown, { id: u64 = 10, age: u64 = 20, name: String = "b".into(), tags: Vec<u8> = vec![] });
version!(shrunk, { id: u64 = 10, age: u64 = 20 });
version!(empty, {});
version!(nested, { id: u64 = 10, age: u64 = 20, name: (String,) = ("b".into(),) });

macro_rules! check_versions {
    ($server:expr, $codec:expr, $old:ident => $($new:ident),*) => {$(
        $server.cli(&["FLUSHALL"]);
        let old = at($server).codec($codec).open().await.unwrap();
        let new = at($server).codec($codec).open().await.unwrap();
        let case = concat!(stringify!($old), " to ", stringify!($new));
        // Annotated functions of two programs, and back again.
        assert_eq!(with_cache(old.clone(), $old::user(1)).await, $old::sample(), "{case}");
        assert_eq!(with_cache(new.clone(), $new::user(1)).await, $new::sample(), "{case}");
        assert_eq!(new.get::<$new::User>("user:1").await.unwrap(), Some($new::sample()), "{case}");
        assert_eq!(with_cache(old.clone(), $old::user(1)).await, $old::sample(), "{case}");
        assert_eq!(new.get::<$new::User>("user:1").await.unwrap(), None, "{case}");
        // And in one process, where no bytes are between them.
        let process = Cache::builder().open().await.unwrap();
        assert_eq!(with_cache(process.clone(), $old::user(1)).await, $old::sample(), "{case}");
        assert_eq!(with_cache(process.clone(), $new::user(1)).await, $new::sample(), "{case}");
        assert_eq!(process.get::<$old::User>("user:1").await.unwrap(), None, "{case}");
    )*};
}

#[tokio::test]
async fn an_entry_written_by_another_version_of_a_type_is_a_miss() {
    let server = &RedisServer::start();

    for codec in [Codec::Bincode, Codec::Postcard, Codec::Json] {
        check_versions!(
            server, codec, original =>
            swapped, renamed, retyped, narrowed, bytes, optional, grown, shrunk, empty, nested
        );
    }
}

#[tokio::test]
async fn an_entry_written_by_the_same_version_is_a_hit_wherever_the_type_stands() {
    let server = RedisServer::start();
    let (old, new) = (on(&server).await, on(&server).await);

    with_cache(old, original::user(1)).await;
    with_cache(new.clone(), unchanged::user(1)).await;

    assert_eq!(new.stats().hits, 1);
    assert_eq!(new.stats().loads, 0);
}

/// What is written as an `A` is never read as a `B`.
async fn check_types<A, B>(old: A, new: B)
where
    A: Value + Debug + PartialEq,
    B: Value + Debug + PartialEq,
{
    let server = RedisServer::start();
    for codec in [Codec::Bincode, Codec::Postcard, Codec::Json] {
        let writer = at(&server).codec(codec).open().await.unwrap();
        let reader = at(&server).codec(codec).open().await.unwrap();
        writer.set("thing:1", &old, None).await.unwrap();
        assert_eq!(writer.get::<A>("thing:1").await.unwrap(), Some(old.clone()));

        assert_eq!(reader.get::<B>("thing:1").await.unwrap(), None, "{codec:?}");

        let expected = new.clone();
        let loaded: Result<B, ()> = reader
            .get_or_set("thing:1", None, async || Ok(expected.clone()))
            .await;
        assert_eq!(loaded.as_ref(), Ok(&new), "{codec:?}");
        assert_eq!(reader.get::<B>("thing:1").await.unwrap(), Some(new.clone()));
        assert_eq!(writer.get::<A>("thing:1").await.unwrap(), None, "{codec:?}");
    }
}

mod one {
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum State {
        Open,
        Closed,
        Named(String),
    }
}

mod reordered {
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum State {
        Closed,
        Open,
        Named(String),
    }
}

mod with_another {
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum State {
        Open,
        Half,
        Closed,
        Named(String),
    }
}

mod with_another_content {
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum State {
        Open,
        Closed,
        Named(Vec<u8>),
    }
}

#[tokio::test]
async fn an_enum_whose_variants_moved_is_another_type() {
    check_types(one::State::Open, reordered::State::Open).await;
    check_types(one::State::Closed, with_another::State::Closed).await;
    check_types(
        one::State::Named("x".into()),
        with_another_content::State::Named(vec![1]),
    )
    .await;
}

#[tokio::test]
async fn an_entry_of_a_type_is_a_miss_for_every_other() {
    check_types(1_u64, 1_i64).await;
    check_types("text".to_owned(), vec![4_u8, 1]).await;
    check_types((1_u8, 2_u8), vec![1_u8, 2]).await;
    check_types([1_u8; 2], [1_u8; 3]).await;
    check_types(Some(1_u64), 1_u64).await;
    check_types(true, 1_u8).await;
    check_types('a', "a".to_owned()).await;
}

// --- bytes that are not ours ----------------------------------------------------------------

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Page {
    id: u64,
    run: u64,
    title: String,
    lines: Vec<String>,
}

#[derive(Clone, Default)]
struct Runs(Arc<AtomicU64>);

#[cached(ttl = 300, prefix = "page", skip(runs))]
async fn page(runs: &Runs, id: u64) -> Page {
    Page {
        id,
        run: runs.0.fetch_add(1, Ordering::SeqCst) + 1,
        title: "a title".to_owned(),
        lines: vec!["one".to_owned(), "two".to_owned()],
    }
}

struct Reader {
    server: RedisServer,
    cache: Cache,
    runs: Runs,
}

impl Reader {
    async fn new(codec: Codec) -> Self {
        let server = RedisServer::start();
        let cache = at(&server).codec(codec).open().await.unwrap();
        Self {
            server,
            cache,
            runs: Runs::default(),
        }
    }

    async fn page(&self, id: u64) -> Page {
        with_cache(self.cache.clone(), page(&self.runs, id)).await
    }

    fn bytes(&self, id: u64) -> Vec<u8> {
        let key = format!("page:page:{id}");
        self.server.command(&["GET", &key]).bytes().to_vec()
    }

    /// With these bytes in place of the entry, the body runs, and its value is what is stored from then on.
    async fn check_miss(&self, bytes: &[u8], what: &str) {
        let before = self.cache.stats();
        self.check_another(bytes, what).await;
        let errors = self.cache.stats().errors;
        assert!(errors > before.errors, "{what}: not counted");
    }

    /// The same for an entry that is whole, and another's.
    async fn check_another(&self, bytes: &[u8], what: &str) {
        let set: [&[u8]; 3] = [b"SET", b"page:page:1", bytes];
        self.server.command(&set);
        let runs = self.runs.0.load(Ordering::SeqCst);

        let loaded = self.page(1).await;

        assert_eq!((loaded.id, loaded.run), (1, runs + 1), "{what}");
        assert_eq!(self.page(1).await, loaded, "{what}: not stored again");
    }
}

/// Where those of a function under a prefix of one level stand: of the root, the prefix and the function.
const GENERATIONS: std::ops::Range<usize> = 64..64 + 3 * 8;

const CODECS: [Codec; 3] = [Codec::Bincode, Codec::Postcard, Codec::Json];

#[tokio::test]
async fn an_entry_cut_at_any_length_is_a_miss() {
    for codec in CODECS {
        let reader = Reader::new(codec).await;
        reader.page(1).await;
        let whole = reader.bytes(1);

        for length in 0..whole.len() {
            let what = format!("{codec:?}, the first {length} bytes");
            reader.check_miss(&whole[..length], &what).await;
            if length > 0 {
                let what = format!("{codec:?}, the last {length} bytes");
                reader
                    .check_miss(&whole[whole.len() - length..], &what)
                    .await;
            }
        }
        let longer = [whole.as_slice(), &[0]].concat();
        reader.check_miss(&longer, "one byte more").await;
    }
}

#[tokio::test]
async fn an_entry_with_any_byte_changed_is_a_miss() {
    for codec in CODECS {
        let reader = Reader::new(codec).await;
        reader.page(1).await;
        let whole = reader.bytes(1);

        for position in 0..whole.len() {
            for change in [0xff, 1 << (position % 8)] {
                let mut bytes = whole.clone();
                bytes[position] ^= change;
                let what = format!("{codec:?}, byte {position} changed by {change:#x}");
                // A generation that is damaged is not the current one: the entry is whole, and invalidated.
                match GENERATIONS.contains(&position) {
                    true => reader.check_another(&bytes, &what).await,
                    false => reader.check_miss(&bytes, &what).await,
                }
            }
        }
    }
}

#[tokio::test]
async fn bytes_of_somebody_elses_are_a_miss() {
    let reader = Reader::new(Codec::Bincode).await;
    let huge: Vec<u8> = {
        // xorshift: all that matters is that they have no pattern.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        words.flatten().take(8 << 20).collect()
    };

    let mut ours_at_first = b"\xCACHE".to_vec();
    ours_at_first.extend_from_slice(&huge);
    for (bytes, what) in [
        (b"".as_slice(), "nothing"),
        (b"42", "a number"),
        (b"{\"id\":1}", "JSON"),
        (b"\xCACHE", "the beginning of ours"),
        (&[0; 1_000], "zeros"),
        (&[0xff; 1_000], "ones"),
        (&huge, "8 MiB at random"),
        (&ours_at_first, "8 MiB at random behind our beginning"),
    ] {
        reader.check_miss(bytes, what).await;
    }
}

#[test]
fn random_bytes_are_a_miss() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let reader = runtime.block_on(Reader::new(Codec::Bincode));
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };

    proptest!(config, |(ours in any::<bool>(), random in prop::collection::vec(any::<u8>(), 0..300))| {
        let mut bytes = if ours { b"\xCACHE\x01\x00\x00\x00".to_vec() } else { Vec::new() };
        bytes.extend(random);
        runtime.block_on(reader.check_miss(&bytes, "random bytes"));
    });
}

#[tokio::test]
async fn the_entry_of_another_key_is_a_miss() {
    let reader = Reader::new(Codec::Bincode).await;
    reader.page(2).await;
    let of_another_id = reader.bytes(2);
    let by_hand = Page {
        id: 7,
        run: 7,
        title: String::new(),
        lines: Vec::new(),
    };
    reader.cache.set("other", &by_hand, None).await.unwrap();
    let of_another_name = reader.server.command(&["GET", "other"]).bytes().to_vec();

    reader.check_another(&of_another_id, "another id").await;
    reader.check_another(&of_another_name, "another name").await;
}

#[tokio::test]
async fn an_entry_restored_after_its_invalidation_is_a_miss() {
    let reader = Reader::new(Codec::Bincode).await;
    reader.page(1).await;
    let old = reader.bytes(1);

    reader.cache.invalidate_prefix("page").await.unwrap();

    reader.check_another(&old, "an entry of before").await;
}

#[tokio::test]
async fn an_entry_is_read_in_the_codec_it_was_written_in() {
    for (written, configured) in [
        (Codec::Bincode, Codec::Json),
        (Codec::Json, Codec::Bincode),
        (Codec::Postcard, Codec::Json),
        (Codec::Bincode, Codec::Postcard),
    ] {
        let writer = Reader::new(written).await;
        let stored = writer.page(1).await;
        let reader = at(&writer.server).codec(configured).open().await.unwrap();

        let read = with_cache(reader.clone(), page(&writer.runs, 1)).await;

        assert_eq!(read, stored, "{written:?} read with {configured:?}");
        assert_eq!(reader.stats().loads, 0);
    }
}
