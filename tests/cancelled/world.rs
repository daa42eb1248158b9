//! What is dropped, in which tier, and what must hold afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, Mode, cache_invalidate, cached, traced, warm, with_cache};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::step::{self, Between, Driven, pause};
use super::support::{DEADLINE, Fault, Proxy, RedisServer, wait_until_async};

/// A lease that ends in no test.
const ENDLESS: Duration = Duration::from_secs(600);

/// One that ends within a test: for what is dropped where nothing can be given back.
const SHORT: Duration = Duration::from_millis(100);

/// Where Redis hangs, and each request waits in vain.
const PATIENCE: Duration = Duration::from_millis(40);

/// Where the cache keeps its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Process,
    Redis,
    /// Redis cannot be reached while the deed is done, and can be again afterwards.
    Away,
    /// It stops answering before the deed, which is the first to find out.
    Hanging,
}

/// What is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Lead,
    /// Others wait for it in this process.
    LeadOthers,
    /// The body fails.
    Fail,
    /// It is asked where the value comes from.
    Trace,
    /// It is one of several, two at once.
    Warm,
    /// Waits for a load in this process, which then ends.
    Follow,
    /// Waits for one that is dropped itself.
    Inherit,
    /// Waits for a load in another process, which then ends.
    Wait,
    /// Waits for one whose process then gives it up.
    WaitInVain,
    GetOrSet,
    Get,
    GetMany,
    Exists,
    Set,
    SetMany,
    Delete,
    DeleteMany,
    ByPrefix,
    ByTag,
    Clear,
    ChangeAlways,
    ChangeOk,
    ChangeBefore,
    ChangePrefix,
    ChangeTag,
}

impl Deed {
    pub const ALL: &[Self] = &[
        Self::Lead,
        Self::LeadOthers,
        Self::Fail,
        Self::Trace,
        Self::Warm,
        Self::Follow,
        Self::Inherit,
        Self::Wait,
        Self::WaitInVain,
        Self::GetOrSet,
        Self::Get,
        Self::GetMany,
        Self::Exists,
        Self::Set,
        Self::SetMany,
        Self::Delete,
        Self::DeleteMany,
        Self::ByPrefix,
        Self::ByTag,
        Self::Clear,
        Self::ChangeAlways,
        Self::ChangeOk,
        Self::ChangeBefore,
        Self::ChangePrefix,
        Self::ChangeTag,
    ];

    /// Whether it is worth dropping in that tier: without Redis nobody waits for another process, and each drop there costs
    /// the time in which Redis is found again.
    pub fn is_dropped_in(self, tier: Tier) -> bool {
        match tier {
            Tier::Process => !matches!(self, Self::Wait | Self::WaitInVain),
            Tier::Redis => true,
            Tier::Away | Tier::Hanging => matches!(
                self,
                Self::Lead
                    | Self::Inherit
                    | Self::Set
                    | Self::Delete
                    | Self::ByPrefix
                    | Self::ChangeAlways
                    | Self::ChangeOk
                    | Self::ChangeBefore
            ),
        }
    }

    /// Whether a body of the test's own is in the middle of it, which pauses.
    pub fn has_a_body(self) -> bool {
        self.is_a_call() || self.is_a_mutating_function() || self == Self::GetOrSet
    }

    fn is_a_call(self) -> bool {
        matches!(
            self,
            Self::Lead
                | Self::LeadOthers
                | Self::Fail
                | Self::Trace
                | Self::Warm
                | Self::Follow
                | Self::Inherit
                | Self::Wait
                | Self::WaitInVain
        )
    }

    fn is_a_mutating_function(self) -> bool {
        matches!(
            self,
            Self::ChangeAlways
                | Self::ChangeOk
                | Self::ChangeBefore
                | Self::ChangePrefix
                | Self::ChangeTag
        )
    }

    /// Whether it looks and changes nothing, so that the entry may be the old one.
    fn only_looks(self) -> bool {
        matches!(self, Self::Get | Self::GetMany | Self::Exists)
    }
}

/// What is true, and what has become of a body that changes it.
#[derive(Clone, Default)]
pub struct Truth {
    version: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
    /// What a load waits for.
    gate: Option<Arc<Semaphore>>,
    changed: Arc<AtomicBool>,
    returned: Arc<AtomicBool>,
}

impl Truth {
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    pub fn change(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    async fn load(&self) -> u64 {
        self.loads.fetch_add(1, Ordering::SeqCst);
        pause(1).await;
        let version = self.version();
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        pause(1).await;
        version
    }

    async fn be_changed(&self) -> Result<(), String> {
        pause(1).await;
        self.changed.store(true, Ordering::SeqCst);
        self.change();
        pause(1).await;
        self.returned.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[cached(ttl = 300, prefix = "video", key = "{id}", tags = ["videos:{id}"])]
pub async fn video(truth: &Truth, id: u64) -> u64 {
    truth.load().await
}

#[cached(ttl = 300, prefix = "video", key = "{id}", tags = ["videos:{id}"])]
async fn failing(truth: &Truth, id: u64) -> Result<u64, String> {
    truth.load().await;
    Err("not now".into())
}

#[cached(ttl = 300, prefix = "video", key = "{id}", tags = ["videos:{id}"], coalesce = "fleet")]
async fn of_the_fleet(truth: &Truth, id: u64) -> u64 {
    truth.load().await
}

#[cache_invalidate(prefix = "video", key = "{id}")]
async fn change(truth: &Truth, id: u64) -> Result<(), String> {
    truth.be_changed().await
}

#[cache_invalidate(prefix = "video", key = "{id}", when = "ok")]
async fn change_if_ok(truth: &Truth, id: u64) -> Result<(), String> {
    truth.be_changed().await
}

#[cache_invalidate(prefix = "video", key = "{id}", when = "before")]
async fn change_and_before(truth: &Truth, id: u64) -> Result<(), String> {
    truth.be_changed().await
}

#[cache_invalidate(prefix = "video")]
async fn change_prefix(truth: &Truth) -> Result<(), String> {
    truth.be_changed().await
}

#[cache_invalidate(tags = ["videos:{id}"])]
async fn change_tag(truth: &Truth, id: u64) -> Result<(), String> {
    truth.be_changed().await
}

/// A cache in which something is dropped, and one that plays another process.
pub struct World {
    tier: Tier,
    cache: Cache,
    other: Option<Cache>,
    server: Option<RedisServer>,
    proxy: Option<Proxy>,
    truth: Truth,
    /// What runs in this runtime while nothing is asked.
    tasks: usize,
}

impl World {
    pub async fn open(tier: Tier, between: Between) -> Self {
        let lease = match between {
            Between::Elsewhere => SHORT,
            _ if tier == Tier::Hanging => SHORT,
            _ => ENDLESS,
        };
        let server = (tier != Tier::Process).then(RedisServer::start);
        let proxy = match (&server, tier) {
            (Some(server), Tier::Away | Tier::Hanging) => Some(Proxy::start(server.port())),
            _ => None,
        };
        let open = async |url: Option<String>, patience| {
            let builder = Cache::builder()
                .lease(lease)
                .connect_timeout(patience)
                .response_timeout(patience);
            let builder = match url {
                Some(url) => builder.redis_url(url),
                None => builder,
            };
            builder.open().await.unwrap()
        };
        let url = proxy.as_ref().map(Proxy::url);
        let url = url.or(server.as_ref().map(RedisServer::url));
        let patience = match tier {
            Tier::Hanging => PATIENCE,
            _ => DEADLINE,
        };
        let mut world = Self {
            tier,
            cache: open(url, patience).await,
            other: None,
            truth: Truth::default(),
            tasks: 0,
            proxy,
            server,
        };
        if let Some(server) = &world.server {
            world.other = Some(open(Some(server.url()), DEADLINE).await);
        }
        // The scripts of the protocol are known to the server from here on, and the connections stand.
        world.ask(&world.cache, u64::MAX).await;
        world.tasks = tasks();
        world
    }

    /// Does the deed for that entry, which is there already unless it is to be loaded, and drops it after so many polls.
    pub async fn drop_after(
        &self,
        polls: usize,
        id: u64,
        deed: Deed,
        between: Between,
        what: &str,
    ) -> bool {
        if !deed.is_a_call() && deed != Deed::GetOrSet {
            // What only looks is to find it in Redis.
            let caches = self.caches().skip(usize::from(deed.only_looks()));
            for cache in caches {
                assert_eq!(self.ask(cache, id).await, self.truth.version(), "{what}");
            }
            if !deed.only_looks() && !deed.is_a_mutating_function() && polls > 0 {
                self.truth.change();
            }
        }
        self.break_off().await;
        let gate = Arc::new(Semaphore::new(0));
        let mut held = self.held(id, deed, &gate).await;
        let mut others = Vec::new();
        let completed = step::drop_after(
            self.deed(id, deed),
            polls,
            between,
            async || {
                let first = deed == Deed::LeadOthers && others.is_empty();
                if first || between == Between::Read {
                    others.extend((0..3).map(|_| self.call(&self.cache, deed, id, None)));
                    // They have looked, and those that can have ended.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                if between == Between::Told {
                    self.tell(id).await;
                }
            },
            |times| self.let_go(&gate, &mut held, deed, times),
        )
        .await;
        gate.add_permits(100);
        for call in held.into_iter().chain(others) {
            let ended = tokio::time::timeout(DEADLINE, call).await;
            // One that was aborted ends as well.
            let _ = ended.unwrap_or_else(|_| panic!("{what}: another call hangs"));
        }
        completed
    }

    /// What must hold once it was dropped, or is done.
    pub async fn check(&self, id: u64, deed: Deed, between: Between, polls: usize, what: &str) {
        let cache = &self.cache;
        // An invalidation whose body ran, or one by hand that has begun, holds in this process at once.
        let due = match deed {
            Deed::ChangeOk => self.truth.returned.load(Ordering::SeqCst),
            _ if deed.is_a_mutating_function() => self.truth.changed.load(Ordering::SeqCst),
            Deed::Clear => false,
            _ => polls > 0,
        };
        // What another process did meanwhile may take its time to get here.
        let at_once = due && between != Between::Told;
        let shown = format!("{cache:?}");
        assert!(shown.contains("flights: 0"), "{what}: {shown}");
        let found = cache.get::<u64>(&format!("video:{id}")).await.unwrap();
        let current = found.is_none_or(|found| found == self.truth.version());
        assert!(current || !at_once, "{what}: {found:?}");
        let found = self.ask(cache, id).await;
        assert!(found == self.truth.version() || !at_once, "{what}: {found}");
        self.restore().await;
        if due {
            for cache in self.caches() {
                self.until_asked(cache, id, &format!("{what}: it is invalidated in Redis"))
                    .await;
            }
        }
        // Whatever another process invalidates, this one hears of.
        self.truth.change();
        let other = self.other.as_ref().unwrap_or(cache);
        other.delete(&format!("video:{id}")).await.unwrap();
        for cache in self.caches() {
            self.until_asked(cache, id, &format!("{what}: it is told of a change"))
                .await;
        }
        self.until_kept(id, &format!("{what}: a call is stored"))
            .await;
        self.until_nothing_is_left(what).await;
        self.truth.changed.store(false, Ordering::SeqCst);
        self.truth.returned.store(false, Ordering::SeqCst);
    }

    pub async fn end(&self) {
        if self.tier != Tier::Process {
            assert_eq!(self.cache.mode(), Mode::Redis);
        }
    }

    fn caches(&self) -> impl Iterator<Item = &Cache> {
        std::iter::once(&self.cache).chain(&self.other)
    }

    async fn ask(&self, cache: &Cache, id: u64) -> u64 {
        let call = with_cache(cache.clone(), video(&self.truth, id));
        let value = tokio::time::timeout(DEADLINE, call).await;
        value.expect("a call for the same entry hangs")
    }

    async fn until_asked(&self, cache: &Cache, id: u64, what: &str) {
        let current = async || self.ask(cache, id).await == self.truth.version();
        wait_until_async(current, what).await;
    }

    async fn until_kept(&self, id: u64, what: &str) {
        let kept = async || {
            self.ask(&self.cache, id).await;
            let before = self.truth.loads();
            self.ask(&self.cache, id).await;
            self.truth.loads() == before
        };
        wait_until_async(kept, what).await;
    }

    async fn until_nothing_is_left(&self, what: &str) {
        let few = async || tasks() <= self.tasks;
        let waited = format!(
            "{what}: no task is left beyond {} of {}",
            self.tasks,
            tasks()
        );
        wait_until_async(few, &waited).await;
        if let Some(server) = &self.server {
            let given_back = async || server.keys("lease@*").is_empty();
            wait_until_async(given_back, &format!("{what}: the lease is given back")).await;
        }
        let shown = format!("{:?}", self.cache);
        assert!(shown.contains("flights: 0"), "{what}: {shown}");
    }

    async fn break_off(&self) {
        match (&self.proxy, self.tier) {
            (Some(proxy), Tier::Away) => {
                proxy.set(Fault::Refuse);
                let away = async || {
                    let _ = self.cache.exists("anything").await;
                    self.cache.mode() == Mode::Fallback
                };
                wait_until_async(away, "Redis is away").await;
            }
            (Some(proxy), _) => proxy.set(Fault::BlackHole),
            (None, _) => {}
        }
    }

    async fn restore(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.set(Fault::None);
            let back = async || {
                let _ = self.cache.exists("anything").await;
                self.cache.mode() == Mode::Redis
            };
            wait_until_async(back, "Redis is back").await;
        }
    }

    /// A load of another's that is waited for.
    async fn held(&self, id: u64, deed: Deed, gate: &Arc<Semaphore>) -> Option<JoinHandle<u64>> {
        let cache = match (deed, &self.other) {
            (Deed::Follow | Deed::Inherit, _) => &self.cache,
            (Deed::Wait | Deed::WaitInVain, Some(other)) => other,
            _ => return None,
        };
        let before = self.truth.loads();
        let held = self.call(cache, deed, id, Some(Arc::clone(gate)));
        wait_until_async(async || self.truth.loads() > before, "another loads it").await;
        Some(held)
    }

    fn call(
        &self,
        cache: &Cache,
        deed: Deed,
        id: u64,
        gate: Option<Arc<Semaphore>>,
    ) -> JoinHandle<u64> {
        let truth = Truth {
            gate,
            ..self.truth.clone()
        };
        tokio::spawn(with_cache(cache.clone(), async move {
            match deed {
                Deed::Wait | Deed::WaitInVain => of_the_fleet(&truth, id).await,
                _ => video(&truth, id).await,
            }
        }))
    }

    fn let_go(
        &self,
        gate: &Semaphore,
        held: &mut Option<JoinHandle<u64>>,
        deed: Deed,
        times: usize,
    ) {
        match (deed, held) {
            (Deed::Inherit | Deed::WaitInVain, Some(held)) if times == 0 => held.abort(),
            _ => gate.add_permits(1),
        }
    }

    /// Another process changes the entry, and invalidates it in one way or another.
    async fn tell(&self, id: u64) {
        self.truth.change();
        let other = self.other.as_ref().unwrap_or(&self.cache);
        match self.truth.version() % 3 {
            0 => drop(other.delete(&format!("video:{id}")).await.unwrap()),
            1 => drop(other.invalidate_tag(&format!("videos:{id}")).await.unwrap()),
            _ => drop(other.invalidate_prefix("video").await.unwrap()),
        }
    }

    fn deed(&self, id: u64, deed: Deed) -> Driven {
        let (cache, truth) = (self.cache.clone(), self.truth.clone());
        let key = format!("video:{id}");
        let done = async move {
            match deed {
                Deed::Lead | Deed::LeadOthers | Deed::Follow | Deed::Inherit => {
                    let _ = with_cache(cache, video(&truth, id)).await;
                }
                Deed::Fail => drop(with_cache(cache, failing(&truth, id)).await),
                Deed::Trace => {
                    let _ = with_cache(cache, traced(video(&truth, id))).await;
                }
                Deed::Warm => {
                    // What is loaded beside it is nobody else's.
                    let calls = [1_000 + id, id, 2_000 + id].map(|id| video(&truth, id));
                    let _ = with_cache(cache, warm(calls).concurrency(2)).await;
                }
                Deed::Wait | Deed::WaitInVain => {
                    let _ = with_cache(cache, of_the_fleet(&truth, id)).await;
                }
                Deed::GetOrSet => {
                    let load = || async { Ok::<_, String>(truth.load().await) };
                    let _ = cache.get_or_set(&key, None, load).await;
                }
                Deed::Get => drop(cache.get::<u64>(&key).await),
                Deed::GetMany => drop(cache.get_many::<u64>([&key, "video:none"]).await),
                Deed::Exists => drop(cache.exists(&key).await),
                Deed::Set => drop(cache.set(&key, &truth.version(), None).await),
                Deed::SetMany => {
                    let entries = [(key, truth.version()), ("video:more".into(), 0)];
                    let _ = cache.set_many(&entries, None).await;
                }
                Deed::Delete => drop(cache.delete(&key).await),
                Deed::DeleteMany => drop(cache.delete_many([&key, "video:none"]).await),
                Deed::ByPrefix => drop(cache.invalidate_prefix("video").await),
                Deed::ByTag => drop(cache.invalidate_tag(&format!("videos:{id}")).await),
                Deed::Clear => drop(cache.clear("video:*").await),
                Deed::ChangeAlways => drop(with_cache(cache, change(&truth, id)).await),
                Deed::ChangeOk => drop(with_cache(cache, change_if_ok(&truth, id)).await),
                Deed::ChangeBefore => drop(with_cache(cache, change_and_before(&truth, id)).await),
                Deed::ChangePrefix => drop(with_cache(cache, change_prefix(&truth)).await),
                Deed::ChangeTag => drop(with_cache(cache, change_tag(&truth, id)).await),
            }
        };
        Box::pin(done)
    }
}

/// What runs in this runtime now.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}
