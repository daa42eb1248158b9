//! P8: no password, key, sensitive argument or encrypted value appears in logs, errors, `Debug` output, health, statistics,
//! panics, or anywhere in Redis.

mod support;

use std::cell::RefCell;
use std::env;
use std::error::Error as _;
use std::fmt::Debug;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, CacheConfig, Mode, cache_invalidate, cached, with_cache};
use support::{Fault, Log, Proxy, RedisServer, wait_until, wait_until_async};

/// No word of any message, and the same spelled for a URL.
const SECRET: &str = "Tr0ub4dor&3";
const IN_URL: &str = "Tr0ub4dor%263";

/// What every spelling of the secret contains.
const TRACE: &str = "Tr0ub4dor";

#[cached(ttl = 300, prefix = "video")]
async fn video(id: u64) -> u64 {
    id
}

#[cache_invalidate(prefix = "video")]
async fn change_videos() {}

#[track_caller]
fn check(text: &str) {
    assert!(!text.contains(TRACE), "{text}");
}

#[track_caller]
fn check_debug(value: &impl Debug) {
    check(&format!("{value:?}"));
    check(&format!("{value:#?}"));
}

#[track_caller]
fn check_error(error: &cache_runtime::Error) {
    check_debug(error);
    check(&error.to_string());
    let mut source = error.source();
    while let Some(cause) = source {
        check_debug(&cause);
        check(&cause.to_string());
        source = cause.source();
    }
}

/// Uses everything that may say something, and reads what it says.
async fn check_cache(cache: &Cache) {
    for id in 0..3 {
        assert_eq!(with_cache(cache.clone(), video(id)).await, id);
    }
    with_cache(cache.clone(), change_videos()).await;
    if let Err(error) = cache.set("key", &1_u64, None).await {
        check_error(&error);
    }
    if let Err(error) = cache.get::<u64>("key").await {
        check_error(&error);
    }
    if let Err(error) = cache.clear("*").await {
        check_error(&error);
    }
    if let Err(error) = cache.invalidate_prefix("key").await {
        check_error(&error);
    }
    if let Err(error) = cache.delete("").await {
        check_error(&error);
    }
    let health = cache.health().await;
    check_debug(&health);
    check(&serde_json::to_string(&health).unwrap());
    check_debug(&cache.stats());
    check(&serde_json::to_string(&cache.stats()).unwrap());
    check_debug(cache);
}

fn with_timeouts(builder: CacheBuilder) -> CacheBuilder {
    builder
        .connect_timeout(Duration::from_secs(1))
        .response_timeout(Duration::from_secs(1))
}

async fn open(url: &str) -> Cache {
    let builder = with_timeouts(Cache::builder().redis_url(url));
    check_debug(&builder);
    builder.open().await.unwrap()
}

#[tokio::test]
async fn a_password_that_is_right_is_never_said() {
    let log = Log::of_this_process();
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    let url = format!("redis://:{IN_URL}@127.0.0.1:{}/0", server.port());

    let cache = open(&url).await;
    check_cache(&cache).await;

    assert_eq!(cache.mode(), Mode::Redis, "it is right");
    cache.close().await;
    check_cache(&cache).await;
    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_that_is_wrong_is_never_said() {
    let log = Log::of_this_process();
    let server = RedisServer::start_with(&["--requirepass", "another"]);
    let open_server = RedisServer::start();
    for url in [
        format!("redis://:{IN_URL}@127.0.0.1:{}/0", server.port()),
        format!("redis://someone:{IN_URL}@127.0.0.1:{}/0", server.port()),
        format!("redis://{IN_URL}@127.0.0.1:{}/0", server.port()),
        format!("redis://:{IN_URL}@127.0.0.1:{}/0", open_server.port()),
        format!("redis://:{IN_URL}@127.0.0.1:{}/99", open_server.port()),
    ] {
        check_cache(&open(&url).await).await;
    }

    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_is_never_said_whatever_the_server_does() {
    let log = Log::of_this_process();
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    let proxy = Proxy::start(server.port());
    let url = format!("redis://:{IN_URL}@127.0.0.1:{}/0", proxy.port());
    for fault in [
        Fault::Refuse,
        Fault::BlackHole,
        Fault::Reset,
        Fault::Garble,
        Fault::CutAfter(4),
        Fault::CutAfter(40),
    ] {
        proxy.set(Fault::None);
        let cache = open(&url).await;
        proxy.set(fault);
        check_cache(&cache).await;
        check_cache(&open(&url).await).await;
    }
    proxy.set(Fault::None);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    check_cache(&open(&url).await).await;

    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_given_by_itself_is_never_said() {
    let log = Log::of_this_process();
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    let builder = with_timeouts(Cache::builder())
        .redis_host("127.0.0.1")
        .redis_port(server.port())
        .redis_password(SECRET);
    check_debug(&builder);

    let cache = builder.open().await.unwrap();
    check_cache(&cache).await;

    assert_eq!(cache.mode(), Mode::Redis);
    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_in_a_url_that_is_malformed_is_never_said() {
    let log = Log::of_this_process();
    for url in [
        "redis://:{}@host:port/0",
        "redis://:{}@host:99999/0",
        "redis://:{}@host/none",
        "redis://:{}@",
        "redis://:{}@/0",
        "redis://:{}",
        "redis://{}",
        "redis://{}:6379:{}/0",
        "redis:/:{}@host/0",
        "http://:{}@host/0",
        "rediss://:{}@host/0",
        "unix:///socket?password={}",
        ":{}@host",
        "{}",
        "redis://:{} @host/0",
        "redis://:{}#@host/0",
        "redis://:{}/@host/0",
        "redis://:{}?@host/0",
        "redis://:{}%zz@host/0",
        "redis://:{}@one:1,two:2/0",
        "redis://host/0?password={}",
        "redis://[{}]:6379/0",
    ] {
        for secret in [SECRET, IN_URL] {
            let url = url.replace("{}", secret);
            let builder = Cache::builder()
                .redis_url(&url)
                .connect_timeout(Duration::from_millis(1));
            check_debug(&builder);

            match builder.open().await {
                Ok(cache) => {
                    check_debug(&cache);
                    check_debug(&cache.health().await);
                }
                Err(error) => check_error(&error),
            }
        }
    }

    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_in_another_setting_is_never_said() {
    let url = format!("redis://:{SECRET}@host/0");
    for builder in [
        Cache::builder().key_prefix(&url),
        Cache::builder().redis_host(&url),
        Cache::builder().redis_url(&url).redis_host("another"),
    ] {
        let error = builder.open().await.unwrap_err();

        check_error(&error);
    }
}

#[test]
fn a_configuration_shows_no_password() {
    let config = CacheConfig::default();
    let builder = CacheBuilder::from(config.clone()).redis_password(SECRET);

    check_debug(&config);
    check_debug(&builder);
}

// --- everything at once, everywhere ---------------------------------------------------------

const HASH_KEY: &str = "h4shing-key-of-the-fleet";
const ENCRYPTION_KEY: [u8; 32] = *b"s3aling-key-of-32-bytes-exactly!";
const TOKEN: &str = "t0ken-5f2b";
const MAIL: &str = "ada.l0velace";
const VALUE: &str = "v4lue-of-an-entry";

/// What no place may hold.
const SECRETS: [&str; 6] = [TRACE, "h4shing", "s3aling", TOKEN, MAIL, VALUE];

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Session {
    of: String,
}

fn session() -> Session {
    Session {
        of: VALUE.to_owned(),
    }
}

#[derive(serde::Serialize)]
struct User<'a> {
    id: u64,
    mail: &'a str,
}

const USER: User<'static> = User { id: 7, mail: MAIL };

#[cached(ttl = 300, prefix = "session", sensitive(token))]
async fn by_arguments(token: &str, page: u64) -> Session {
    session()
}

#[cached(
    ttl = 300,
    prefix = "profile",
    key = "{token}:{user.mail}:{user.id}",
    tags = ["mail:{user.mail}"],
    sensitive(token, user),
    stale_while_revalidate = "1m"
)]
async fn by_template(token: &str, user: &User<'_>) -> Result<Session, String> {
    Ok(session())
}

#[cached(ttl = 300, prefix = "failing", sensitive(token), coalesce = "fleet")]
async fn failing(token: &str) -> Result<Session, String> {
    Err("no such session".to_owned())
}

#[cached(ttl = 300, prefix = "panicking", sensitive(token), near = false)]
async fn panicking(token: &str) -> Session {
    assert!(token.is_empty(), "the body of a test");
    session()
}

/// Its `Serialize` and its `Deserialize` fail, and quote the value.
#[derive(Debug, Clone)]
struct Talkative;

impl serde::Serialize for Talkative {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format_args!("{VALUE} is odd")))
    }
}

impl<'de> serde::Deserialize<'de> for Talkative {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(format_args!("{VALUE} is odd")))
    }
}

#[cached(ttl = 300, prefix = "talkative", sensitive(token))]
async fn talkative(token: &str) -> Talkative {
    Talkative
}

#[cached(ttl = 300, prefix = "talkative", sensitive(token))]
async fn unwritable(token: &Talkative) -> u64 {
    1
}

#[cache_invalidate(
    prefix = "profile",
    key = "{token}:{user.mail}:{user.id}",
    tags = ["mail:{user.mail}"],
    sensitive(token, user),
    when = "before"
)]
async fn log_out(token: &str, user: &User<'_>) {}

/// What a cache of this test is set up with, unlike what is done with it.
fn guarded(url: &str) -> CacheBuilder {
    with_timeouts(Cache::builder().redis_url(url))
        .name("guarded")
        .hash_key(HASH_KEY)
        .encryption_key(2, ENCRYPTION_KEY)
        .encryption_key(1, [7; 32])
}

/// Does all that can be done with a cache, whatever comes of it; answers all that it says of itself.
async fn use_everything(cache: &Cache) -> String {
    let mut said = String::new();
    let annotated = async {
        for page in 0..2 {
            assert_eq!(by_arguments(TOKEN, page).await, session());
            assert_eq!(by_template(TOKEN, &USER).await, Ok(session()));
            assert!(failing(TOKEN).await.is_err());
            assert!(format!("{:?}", talkative(TOKEN).await) == "Talkative");
            assert_eq!(unwritable(&Talkative).await, 1);
        }
        log_out(TOKEN, &USER).await;
        by_template(TOKEN, &USER).await.unwrap();
    };
    with_cache(cache.clone(), annotated).await;
    let panicking = with_cache(cache.clone(), panicking(TOKEN));
    let panicked = tokio::spawn(panicking).await.unwrap_err();
    said += &format!("{panicked:?} {panicked}");

    let pair = [("by:hand:1", session()), ("by:hand:2", session())];
    let load = || async { Err::<Session, _>("no such session".to_owned()) };
    let _ = cache.get_or_set("loaded", None, load).await;
    note(&mut said, cache.set("by:hand:3", &session(), None).await);
    note(&mut said, cache.set("talkative", &Talkative, None).await);
    note(&mut said, cache.set_many(&pair, None).await);
    note(&mut said, cache.get::<Session>("by:hand:1").await.map(drop));
    note(
        &mut said,
        cache.get::<Talkative>("by:hand:1").await.map(drop),
    );
    note(
        &mut said,
        cache.get_many::<Session>(["by:hand:1"]).await.map(drop),
    );
    note(&mut said, cache.exists("by:hand:1").await);
    note(&mut said, cache.delete("by:hand:1").await);
    note(&mut said, cache.delete("").await);
    note(&mut said, cache.delete_many(["by:hand:2"]).await);
    note(&mut said, cache.invalidate_prefix("by").await);
    note(&mut said, cache.invalidate_tag("all").await);
    note(&mut said, cache.clear("by:*").await);
    let health = cache.health().await;
    said += &serde_json::to_string(&health).unwrap();
    said += &serde_json::to_string(&cache.stats()).unwrap();
    said += &format!("{:?} {:?} {cache:?} {cache:#?}", health, cache.stats());
    said + &internals(cache).await
}

fn note<T: Debug>(said: &mut String, outcome: Result<T, cache_runtime::Error>) {
    *said += &format!("{outcome:?} {outcome:#?}");
    if let Err(error) = outcome {
        *said += &error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            *said += &format!("{cause:?} {cause}");
            source = cause.source();
        }
    }
}

/// What expansions have in their hands.
async fn internals(cache: &Cache) -> String {
    use cache_runtime::__private::{self as private, ViaValue as _};
    static CALL: private::CallSite =
        private::CallSite::new("call", "p8", private::Policy::DEFAULT.prefix("call"));
    static INVALIDATION: private::InvalidateSite =
        private::InvalidateSite::new("invalidation", "p8", private::When::Always);
    with_cache(cache.clone(), async {
        let mut said = String::new();
        let outcome = private::Returns::<Session>::HERE.outcome();
        let written = RefCell::<String>::default();
        let begun = private::begin(&CALL, outcome, |key| {
            key.sensitive_arg(TOKEN);
            *written.borrow_mut() += &format!("{key:?}");
        });
        said += &written.take();
        said += &format!("{CALL:?}");
        if let std::ops::ControlFlow::Continue(call) = begun {
            let call = call.tags(|tags| {
                tags.tag(|tag| tag.sensitive_hole(MAIL));
                said += &format!("{tags:?}");
            });
            said += &format!("{call:?}");
        }
        let invalidation = private::invalidate(&INVALIDATION, |targets| {
            targets.entry("call", |key| key.sensitive_hole(TOKEN));
            targets.tag(|tag| tag.sensitive_hole(MAIL));
            said += &format!("{targets:?}");
        });
        said + &format!("{INVALIDATION:?} {invalidation:?}")
    })
    .await
}

/// Everything that the server hears from now on, passwords in `AUTH` and `HELLO` apart, which it hides itself.
struct Monitor(Arc<Mutex<Vec<u8>>>);

impl Monitor {
    fn start(server: &RedisServer) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        write!(stream, "AUTH {SECRET}\r\nMONITOR\r\n").unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let (ours, monitor) = (Arc::clone(&heard), Self(heard));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It ends with the server.
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                ours.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        wait_until(|| monitor.text().matches("+OK").count() == 2, "it listens");
        monitor
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// All that was said before this.
    fn complete(&self, server: &RedisServer) -> String {
        server.cli(&["ECHO", "the-end-of-it"]);
        wait_until(|| self.text().contains("the-end-of-it"), "heard to the end");
        self.text()
    }
}

/// What a server has and keeps of what it was told: names, values, slow commands, clients, errors, its log.
fn all_of(server: &RedisServer) -> String {
    let mut all = server.keys("*").join(" ");
    for key in server.keys("*") {
        all += &String::from_utf8_lossy(server.command(&["DUMP", &key]).bytes());
    }
    for words in [
        &["SLOWLOG", "GET", "-1"][..],
        &["CLIENT", "LIST"],
        &["INFO", "everything"],
        &["ACL", "LOG"],
        &["LATENCY", "DOCTOR"],
    ] {
        all += &server.cli(words);
    }
    let directory = server.command(&["CONFIG", "GET", "dir"]).list();
    all + &std::fs::read_to_string(std::path::Path::new(&directory[1]).join("log")).unwrap()
}

#[track_caller]
fn check_for_all(place: &str, text: &str) {
    for secret in SECRETS {
        if let Some(at) = text.find(secret) {
            let context: String = text[..at].chars().rev().take(200).collect();
            let context: String = context.chars().rev().collect();
            panic!("{secret} is in {place}, after: {context}");
        }
    }
}

#[track_caller]
fn check_log(log: &Log) {
    for event in log.events() {
        check_for_all("the log", &format!("{} {}", event.target, event.text));
    }
}

/// All that panics say from now on.
fn panics() -> Arc<Mutex<String>> {
    static SAID: OnceLock<Arc<Mutex<String>>> = OnceLock::new();
    let said = SAID.get_or_init(|| {
        let said = Arc::<Mutex<String>>::default();
        let ours = Arc::clone(&said);
        let printed = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            *ours.lock().unwrap() += &panic.to_string();
            printed(panic);
        }));
        said
    });
    Arc::clone(said)
}

#[tokio::test]
async fn no_secret_is_found_anywhere_in_good_weather_and_bad() {
    let (log, panics) = (Log::of_this_process(), panics());
    let slow = [
        "--slowlog-log-slower-than",
        "0",
        "--slowlog-max-len",
        "100000",
    ];
    let server = RedisServer::start_with(&[&["--requirepass", SECRET][..], &slow].concat());
    let monitor = Monitor::start(&server);
    let proxy = Proxy::start(server.port());
    let url = format!("redis://:{IN_URL}@127.0.0.1:{}/0", proxy.port());
    let journal = env::temp_dir().join(format!("discreet-{}.journal", std::process::id()));
    let mut journalled = String::new();
    let builder = guarded(&url).journal(&journal);
    check_for_all("the builder", &format!("{builder:?} {builder:#?}"));
    let cache = builder.open().await.unwrap();

    check_for_all("what a cache says", &use_everything(&cache).await);
    assert!(cache.stats().hits > 0 && cache.mode() == Mode::Redis);
    for fault in [
        Fault::Refuse,
        Fault::BlackHole,
        Fault::Reset,
        Fault::Garble,
        Fault::CutAfter(200),
        Fault::CutAfter(4_000),
    ] {
        proxy.set(fault);
        with_cache(cache.clone(), log_out(TOKEN, &USER)).await;
        journalled += &String::from_utf8_lossy(&std::fs::read(&journal).unwrap());
        check_for_all("what a cache says", &use_everything(&cache).await);
        check_for_all("what a cache says", &format!("{cache:?} {cache:#?}"));
        journalled += &String::from_utf8_lossy(&std::fs::read(&journal).unwrap());
        proxy.set(Fault::None);
        let back = async || cache.health().await.mode == Mode::Redis;
        wait_until_async(back, "redis is back, and what it missed replayed").await;
        check_for_all("what a cache says", &use_everything(&cache).await);
    }
    for setting in ["maxmemory 1", "maxmemory 0", "min-replicas-to-write 1"] {
        let (name, value) = setting.split_once(' ').unwrap();
        server.cli(&["CONFIG", "SET", name, value]);
        check_for_all("what a cache says", &use_everything(&cache).await);
    }
    cache.close().await;
    check_for_all("what a cache says", &use_everything(&cache).await);

    let heard = monitor.complete(&server);
    // The places where they would be.
    assert!(heard.contains("session:by_arguments:##") && heard.contains("gen@tag@mail:##"));
    assert!(server.keys("*").join(" ").contains("profile:##"));
    assert!(journalled.contains("profile:##"));
    // Not locked while this test may panic itself.
    let panicked = panics.lock().unwrap().clone();
    assert!(log.mentions("redis is back") && !panicked.is_empty());
    let _ = std::fs::remove_file(&journal);
    check_for_all("the journal", &journalled);
    check_for_all("what the server heard", &heard);
    check_for_all("the server", &all_of(&server));
    check_for_all("a panic", &panicked);
    check_log(&log);
}

#[tokio::test]
async fn a_server_that_quotes_what_it_refuses_is_not_quoted() {
    let log = Log::of_this_process();
    for renamed in [
        "HELLO", "AUTH", "EVALSHA", "EVAL", "MGET", "UNLINK", "SCRIPT",
    ] {
        let options = ["--requirepass", SECRET, "--rename-command", renamed, ""];
        let options = match renamed {
            // Nobody could enter.
            "AUTH" => &options[2..],
            _ => &options[..],
        };
        let server = RedisServer::start_with(options);
        let url = format!("redis://:{IN_URL}@127.0.0.1:{}/0", server.port());
        for builder in [
            guarded(&url),
            with_timeouts(Cache::builder().redis_url(&url)),
        ] {
            let cache = builder.open().await.unwrap();
            check_for_all("what a cache says", &use_everything(&cache).await);
        }
    }
    check_log(&log);
}

#[tokio::test]
async fn with_a_wrong_password_or_without_keys_nothing_is_said_either() {
    let log = Log::of_this_process();
    let other = RedisServer::start_with(&["--requirepass", "another"]);
    let open = RedisServer::start();
    let wrong = format!("redis://:{IN_URL}@127.0.0.1:{}/0", other.port());
    let no_keys = with_timeouts(Cache::builder().redis_url(open.url()));
    let in_process = Cache::builder().hash_key(HASH_KEY);
    for builder in [guarded(&wrong), no_keys, in_process] {
        let cache = builder.open().await.unwrap();
        check_for_all("what a cache says", &use_everything(&cache).await);
    }
    check_log(&log);
    let keys = open.keys("*").join(" ");
    // What is stored by hand is in clear without a key for encryption; a name never is.
    assert!(!keys.contains(TOKEN) && !keys.contains(MAIL), "{keys}");
}

/// The same, unprotected, is found in each place: else the search above would prove nothing.
#[tokio::test]
async fn what_is_not_sensitive_and_not_encrypted_is_found() {
    #[cached(ttl = 300, prefix = "open", tags = "mail:{user.mail}")]
    async fn open(token: &str, user: &User<'_>) -> Session {
        session()
    }
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    server.cli(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    let monitor = Monitor::start(&server);
    let cache = with_timeouts(Cache::builder().redis_url(server.url()));
    let cache = cache.open().await.unwrap();

    with_cache(cache, open(TOKEN, &USER)).await;

    let (heard, kept) = (monitor.complete(&server), all_of(&server));
    for secret in [TOKEN, MAIL, VALUE] {
        assert!(heard.contains(secret) && kept.contains(secret), "{secret}");
    }
    assert!(!heard.contains(TRACE), "{heard}");
}

// --- the environment ------------------------------------------------------------------------

/// In a process of its own, because the environment is one of those.
fn in_an_environment(variables: &[(&str, &str)]) -> String {
    let mut process = Command::new(env::current_exe().unwrap());
    process.args(["the_environment_is_read_and_not_repeated", "--exact"]);
    process.args(["--nocapture", "--test-threads=1"]);
    let process = process.env("P8_IN_AN_ENVIRONMENT", "1");
    let output = process.envs(variables.iter().copied()).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).unwrap();
    assert!(output.status.success(), "{printed}");
    printed
}

/// Prints all that a program is told that is set up by its environment.
async fn print_what_is_said() {
    let log = Log::of_this_process();
    println!(
        "{:?} {:#?}",
        CacheConfig::from_env(),
        CacheBuilder::from_env()
    );
    for outcome in [
        CacheConfig::from_env().map(drop),
        Cache::from_env().await.map(drop),
    ] {
        let mut said = String::new();
        note(&mut said, outcome);
        println!("{said}");
    }
    println!("{}", use_everything(&cache_runtime::cache()).await);
    println!("{:#?}", log.events());
}

#[tokio::test]
async fn the_environment_is_read_and_not_repeated() {
    if env::var_os("P8_IN_AN_ENVIRONMENT").is_some() {
        return print_what_is_said().await;
    }
    let hexadecimal: String = ENCRYPTION_KEY
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (url, good) = (
        format!("redis://:{IN_URL}@127.0.0.1:1/0"),
        format!("1:{hexadecimal}"),
    );
    let not_a_port = url.replace(":1/", ":port/");
    let too_long = format!("{good}7");
    for (variables, expected) in [
        (
            &[("REDIS_URL", not_a_port.as_str())][..],
            "REDIS_URL cannot be used",
        ),
        (&[("REDIS_HOST", url.as_str())], "REDIS_HOST cannot be used"),
        (
            &[("REDIS_HOST", "a b"), ("REDIS_PASSWORD", SECRET)],
            "REDIS_HOST cannot be used",
        ),
        (
            &[
                ("REDIS_PORT", "x"),
                ("REDIS_HOST", "a"),
                ("REDIS_PASSWORD", SECRET),
            ],
            "REDIS_PORT is",
        ),
        (
            &[("CACHE_HASH_KEY", &HASH_KEY[..15])],
            "CACHE_HASH_KEY cannot be used",
        ),
        (
            &[("CACHE_ENCRYPTION_KEYS", &too_long)],
            "CACHE_ENCRYPTION_KEYS cannot be used",
        ),
        (
            &[("CACHE_ENCRYPTION_KEYS", &hexadecimal)],
            "CACHE_ENCRYPTION_KEYS cannot be used",
        ),
        (
            &[("CACHE_KEY_PREFIX", &url)],
            "CACHE_KEY_PREFIX is malformed",
        ),
        (
            &[
                ("REDIS_URL", &url),
                ("CACHE_HASH_KEY", HASH_KEY),
                ("CACHE_ENCRYPTION_KEYS", &good),
            ],
            "redis://:***@127.0.0.1:1/0",
        ),
    ] {
        let printed = in_an_environment(variables);

        assert!(printed.contains(expected), "{printed}");
        check_for_all("what is printed", &printed);
        check(&printed);
        assert!(!printed.contains(&hexadecimal[..16]), "{printed}");
    }
}
