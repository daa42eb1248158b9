//! The pieces of a hit: key, epoch check, codec, envelope, and reads of Redis alone and together.

#[cfg(benching)]
#[path = "../../src/driver/server.rs"]
mod server;

fn main() {
    #[cfg(benching)]
    pieces::run();
    #[cfg(not(benching))]
    println!("needs RUSTFLAGS='--cfg benching'; ../run --micro sets it");
}

#[cfg(benching)]
mod pieces {
    use std::time::Duration;

    use cache_micro::Cases;
    use cache_runtime::__pieces::{Epochs, decode, encode, seal, unseal};
    use cache_runtime::{Cache, Codec, Mode, cached, key_of};
    use serde::{Deserialize, Serialize};
    use tokio::runtime::Runtime;

    use super::server::Server;

    /// Reads that wait together.
    const TOGETHER: u64 = 64;

    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Video {
        id: u64,
        title: String,
        language: String,
        tags: Vec<String>,
    }

    fn video() -> Video {
        Video {
            id: 42,
            title: "A video with a title of usual length".to_owned(),
            language: "en".to_owned(),
            tags: vec!["documentary".to_owned(), "nature".to_owned()],
        }
    }

    #[cached(ttl = "1h", prefix = "micro")]
    async fn by_arguments(id: u64, language: &str) -> u64 {
        id + language.len() as u64
    }

    #[cached(ttl = "1h", prefix = "micro", key = "{id}:{language}")]
    async fn by_template(id: u64, language: &str) -> u64 {
        id + language.len() as u64
    }

    #[cached(ttl = "1h", prefix = "micro")]
    async fn by_a_long_text(text: &str) -> u64 {
        text.len() as u64
    }

    #[cached(ttl = "1h", prefix = "micro", near = false)]
    async fn distant(id: u64) -> u64 {
        id
    }

    pub(crate) fn run() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let server = Server::start().expect("redis-server is on the path");
        runtime.block_on(open(&server));
        let long = "a text that is hashed ".repeat(10);
        let mut cases = Cases::default();
        cases.add("key: number and text", || key_of(by_arguments(42, "en")));
        cases.add("key: template", || key_of(by_template(42, "en")));
        cases.add("key: text of 220 bytes, hashed", || {
            key_of(by_a_long_text(&long))
        });
        epochs(&mut cases);
        codecs(&mut cases);
        envelopes(&mut cases);
        reads(&mut cases, &runtime);
        cases.run();
    }

    async fn open(server: &Server) {
        let cache = Cache::builder()
            .redis_url(server.url())
            .response_timeout(Duration::from_secs(10))
            .open()
            .await
            .expect("the address is one");
        assert_eq!(cache.mode(), Mode::Redis);
        cache_runtime::install(cache).expect("nothing was installed before");
        for id in 0..TOGETHER {
            distant(id).await;
        }
    }

    fn epochs(cases: &mut Cases<'_>) {
        let names = [
            "a",
            "a:b",
            "a:b:c",
            "a:b:c:d",
            "a:b:c:d:e",
            "a:b:c:d:e:f",
            "g",
            "h",
        ];
        for count in [2, 8] {
            let epochs = Epochs::of(&names[..count]);
            cases.add(&format!("epoch check: {count} groups"), move || {
                epochs.are_unmoved()
            });
        }
    }

    fn codecs(cases: &mut Cases<'_>) {
        for codec in [Codec::Bincode, Codec::Postcard, Codec::Json] {
            let (value, mut encoded) = (video(), Vec::new());
            assert!(encode(codec, &value, &mut encoded));
            let mut out = Vec::new();
            cases.add(&format!("codec: {codec:?}, encode"), move || {
                out.clear();
                encode(codec, &value, &mut out)
            });
            cases.add(&format!("codec: {codec:?}, decode"), move || {
                decode::<Video>(codec, &encoded)
            });
        }
    }

    fn envelopes(cases: &mut Cases<'_>) {
        for size in [100, 10_000] {
            let (payload, mut sealed) = (vec![7; size], Vec::new());
            assert!(seal(Codec::Bincode, 2, &payload, &mut sealed));
            let mut out = Vec::new();
            cases.add(&format!("envelope: {size} bytes, write"), move || {
                out.clear();
                seal(Codec::Bincode, 2, &payload, &mut out)
            });
            cases.add(&format!("envelope: {size} bytes, read"), move || {
                unseal(&sealed)
            });
        }
    }

    fn reads<'a>(cases: &mut Cases<'a>, runtime: &'a Runtime) {
        cases.add("Redis: one read", || runtime.block_on(distant(0)));
        cases.add("Redis: 64 reads that wait together", || {
            runtime.block_on(async {
                let reads: Vec<_> = (0..TOGETHER)
                    .map(|id| tokio::spawn(async move { distant(id).await }))
                    .collect();
                for read in reads {
                    read.await.expect("a read ends well");
                }
            });
        });
    }
}
