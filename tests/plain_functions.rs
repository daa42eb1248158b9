//! Functions that are not `async`: cached in the process, one load for all threads, and nobody waits for himself.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use cache_runtime::{Cache, Mode, cache_invalidate, cached, with_cache};
use support::{Bodies, DEADLINE, RedisServer, wait_until, wait_until_async};

const THREADS: usize = 8;

#[cached(ttl = 300, prefix = "price", skip(body))]
fn price(id: u64, body: &dyn Fn() -> u64) -> u64 {
    body()
}

#[cached(ttl = 300, prefix = "try", tags = "shop:{shop}", skip(bodies))]
fn try_price(bodies: &Bodies, shop: u64, works: bool) -> Result<u64, String> {
    let number = bodies.run();
    works.then_some(number).ok_or_else(|| number.to_string())
}

#[cache_invalidate(prefix = "price")]
fn change_prices() {}

#[cache_invalidate(tags = "shop:{shop}", when = "ok")]
fn change_shop(shop: u64, works: bool) -> Result<(), ()> {
    works.then_some(()).ok_or(())
}

/// What a future returns that waits for nothing, without a runtime.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something"),
    }
}

fn in_process() -> Cache {
    at_once(Cache::builder().open()).expect("the cache opens")
}

async fn on(server: &RedisServer) -> Cache {
    let opened = Cache::builder().redis_url(server.url()).open().await;
    opened.expect("the cache opens")
}

/// Runs it with that cache, on this thread, without a runtime.
fn inside<T>(cache: &Cache, run: impl FnOnce() -> T) -> T {
    at_once(with_cache(cache.clone(), async { run() }))
}

/// Runs it on a thread of its own, and gives up on a deadlock.
fn finishes<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(run()));
    receive.recv_timeout(DEADLINE).expect("it finishes")
}

mod caching {
    use super::*;

    #[test]
    fn a_value_is_kept_without_a_runtime_and_an_error_is_not() {
        let (cache, bodies) = (in_process(), Bodies::default());
        inside(&cache, || {
            assert_eq!(
                [price(1, &|| 7), price(1, &|| 8), price(2, &|| 9)],
                [7, 7, 9]
            );
            assert_eq!(try_price(&bodies, 1, false), Err("1".into()));
            assert_eq!(try_price(&bodies, 1, false), Err("2".into()));
            assert_eq!(try_price(&bodies, 1, true), Ok(3));
            assert_eq!(try_price(&bodies, 1, true), Ok(3));
        });
        assert_eq!(cache.stats().near_hits, 2);
        assert_eq!((cache.stats().loads, cache.stats().misses), (5, 5));
    }

    #[test]
    fn an_invalidation_holds_for_whoever_asks_after_it() {
        let (cache, bodies) = (in_process(), Bodies::default());
        inside(&cache, || {
            assert_eq!(price(1, &|| 7), 7);
            change_prices();
            assert_eq!(price(1, &|| 8), 8);

            assert_eq!(try_price(&bodies, 1, true), Ok(1));
            assert_eq!(change_shop(1, false), Err(()));
            assert_eq!(try_price(&bodies, 1, true), Ok(1));
            assert_eq!(change_shop(1, true), Ok(()));
            assert_eq!(try_price(&bodies, 1, true), Ok(2));
        });
    }

    #[test]
    fn what_was_loading_when_it_was_invalidated_is_neither_kept_nor_shared() {
        let cache = in_process();
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let old = scope.spawn(|| {
                let body = move || {
                    begun.send(()).unwrap();
                    ends.recv().unwrap();
                    1
                };
                inside(&cache, || price(1, &body))
            });
            begins.recv().unwrap();
            inside(&cache, change_prices);
            // While the old one still runs.
            assert_eq!(inside(&cache, || price(1, &|| 2)), 2);
            end.send(()).unwrap();
            assert_eq!(old.join().unwrap(), 1);
        });
        assert_eq!(inside(&cache, || price(1, &|| 3)), 2);
    }

    #[test]
    fn so_it_is_where_one_entry_was_invalidated_or_cleared() {
        #[cached(ttl = 300, prefix = "stock", key = "{id}")]
        fn stock(id: u64, body: &dyn Fn() -> u64) -> u64 {
            body()
        }
        #[cache_invalidate(prefix = "stock", key = "{id}")]
        fn change_stock(id: u64) {}

        let cache = in_process();
        inside(&cache, || {
            let body = || {
                change_stock(1);
                1
            };
            assert_eq!(stock(1, &body), 1);
            assert_eq!(stock(1, &|| 2), 2);
            assert_eq!(stock(1, &|| 3), 2);

            let clearing = || {
                at_once(cache.clear("stock:*")).expect("it is cleared");
                3
            };
            assert_eq!(stock(2, &clearing), 3);
            assert_eq!(stock(2, &|| 4), 4);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_lives_as_long_as_its_ttl() {
        let cache = in_process();
        with_cache(cache, async {
            assert_eq!(price(1, &|| 1), 1);
            tokio::time::advance(Duration::from_secs(299)).await;
            assert_eq!(price(1, &|| 2), 1);
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(price(1, &|| 3), 3);
        })
        .await;
    }
}

mod options {
    use super::*;

    #[test]
    fn the_value_says_whether_and_for_how_long_it_is_kept() {
        #[cached(ttl = 300, prefix = "list", cache_if = |list| !list.is_empty(), skip(body))]
        fn list(id: u64, body: &dyn Fn() -> Vec<u64>) -> Vec<u64> {
            body()
        }
        #[cached(ttl = |keep: &u64| Duration::from_secs(*keep), skip(body))]
        fn for_so_long(body: &dyn Fn() -> u64) -> u64 {
            body()
        }
        inside(&in_process(), || {
            assert_eq!(list(1, &Vec::new), Vec::<u64>::new());
            assert_eq!(list(1, &|| vec![1]), [1]);
            assert_eq!(list(1, &|| vec![2]), [1]);

            assert_eq!(for_so_long(&|| 0), 0);
            assert_eq!(for_so_long(&|| 60), 60);
            assert_eq!(for_so_long(&|| 61), 60);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_none_lives_as_long_as_negative_ttl_says() {
        #[cached(ttl = 300, negative_ttl = "10s", skip(body))]
        fn find(body: &dyn Fn() -> Option<u64>) -> Option<u64> {
            body()
        }
        with_cache(in_process(), async {
            assert_eq!([find(&|| None), find(&|| Some(1))], [None, None]);
            tokio::time::advance(Duration::from_secs(10)).await;
            assert_eq!([find(&|| Some(2)), find(&|| None)], [Some(2), Some(2)]);
            tokio::time::advance(Duration::from_secs(299)).await;
            assert_eq!(find(&|| None), Some(2));
        })
        .await;
    }

    #[test]
    fn a_call_that_bypasses_touches_no_cache() {
        #[cached(ttl = 300, prefix = "dice", bypass = fresh, skip(bodies, fresh))]
        fn roll(bodies: &Bodies, fresh: bool) -> u64 {
            bodies.run()
        }
        let (cache, bodies) = (in_process(), Bodies::default());
        inside(&cache, || {
            let rolled = [false, true, false].map(|fresh| roll(&bodies, fresh));
            assert_eq!(rolled, [1, 2, 1]);
            let bypassed = at_once(cache_runtime::bypass(async { price(1, &|| 7) }));
            assert_eq!([bypassed, price(1, &|| 8), price(1, &|| 9)], [7, 8, 8]);
        });
    }

    #[test]
    fn an_entry_of_another_version_is_loaded_anew() {
        #[cached(ttl = 300, prefix = "rate", key = "{id}")]
        fn in_cents(bodies: &Bodies, id: u64) -> u64 {
            bodies.run()
        }
        #[cached(ttl = 300, prefix = "rate", key = "{id}", version = 2)]
        fn in_euros(bodies: &Bodies, id: u64) -> u64 {
            bodies.run()
        }
        let bodies = Bodies::default();
        inside(&in_process(), || {
            assert_eq!([in_cents(&bodies, 1), in_euros(&bodies, 1)], [1, 2]);
            assert_eq!(in_euros(&bodies, 1), 2);
        });
    }

    #[test]
    fn a_sensitive_argument_is_no_part_of_the_key_in_clear() {
        #[cached(ttl = 300, prefix = "mail", key = "{address}", sensitive(address))]
        fn owner(address: &str, bodies: &Bodies) -> u64 {
            bodies.run()
        }
        let (cache, bodies) = (in_process(), Bodies::default());
        inside(&cache, || {
            let owners = ["a@b", "a@b", "c@d"].map(|address| owner(address, &bodies));
            assert_eq!(owners, [1, 1, 2]);
        });
        let by_hand = at_once(cache.get::<u64>("mail:a@b"));
        assert_eq!(by_hand.expect("it is a key"), None);
    }
}

/// Whoever acts on a call means a cached function that is `async`: one that is not has run once its call is written.
mod acting {
    use super::*;
    use cache_runtime::{ErrorKind, invalidate, key_of, peek, refresh};

    #[cached(ttl = 300, prefix = "title", skip(bodies))]
    async fn title(bodies: &Bodies, id: u64) -> u64 {
        bodies.run()
    }

    #[test]
    fn a_plain_function_that_is_called_first_is_not_the_one_that_is_meant() {
        let bodies = Bodies::default();
        // Its argument comes from a cached function, whose body may run.
        let call = async |id| title(&bodies, price(id, &|| id * 10)).await;
        inside(&in_process(), || {
            assert_eq!(at_once(call(1)), 1);
            assert_eq!(at_once(peek(call(1))), Some(1));
            assert_eq!(at_once(peek(call(2))), None);
            assert_eq!(at_once(refresh(call(1))), 2);
            assert_eq!(key_of(call(3)).expect("it is cached"), "title:title:30");
            at_once(invalidate(call(1))).expect("it is cached");
            assert_eq!(at_once(peek(call(1))), None);
            assert_eq!(price(1, &|| 7), 10, "its own entry is still there");

            let alone = key_of(async { price(1, &|| 7) }).expect_err("it is none");
            assert_eq!(alone.kind(), ErrorKind::NotCached);
        });
        assert_eq!(bodies.count(), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_its_body_waits_for_is_not_meant_either() {
        #[cached(ttl = 300, prefix = "waiting", skip(bodies))]
        fn waiting(bodies: &Bodies) -> u64 {
            let runtime = tokio::runtime::Handle::current();
            let waited = tokio::task::block_in_place(|| {
                runtime.block_on(async { tokio::time::timeout(DEADLINE, title(bodies, 1)).await })
            });
            waited.expect("the call goes on")
        }
        let bodies = Bodies::default();
        let call = async {
            assert_eq!(waiting(&bodies), 1);
            title(&bodies, 2).await
        };
        let seen = with_cache(in_process(), peek(call)).await;
        assert_eq!((seen, bodies.count()), (None, 1));
    }
}

mod one_load {
    use super::*;

    /// Calls `price` from so many threads, some of them in a runtime; `body` is told how many have begun.
    fn from_all_sides(
        cache: &Cache,
        body: impl Fn(&AtomicUsize) -> u64 + Sync,
    ) -> Vec<Option<u64>> {
        let begun = AtomicUsize::new(0);
        let call = || {
            begun.fetch_add(1, Ordering::SeqCst);
            price(1, &|| body(&begun))
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    scope.spawn(move || match number % 2 {
                        0 => inside(cache, call),
                        _ => tokio::runtime::Builder::new_current_thread()
                            .build()
                            .expect("a runtime, even without timers")
                            .block_on(with_cache(cache.clone(), async move { call() })),
                    })
                })
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join().ok());
            joined.collect()
        })
    }

    #[test]
    fn of_threads_and_runtimes_that_ask_together_one_runs_the_body() {
        let (cache, bodies) = (in_process(), Bodies::default());
        let all_begun = |begun: &AtomicUsize| {
            wait_until(|| begun.load(Ordering::SeqCst) == THREADS, "all begin");
            bodies.run()
        };
        let values = from_all_sides(&cache, all_begun);

        assert_eq!(values, [Some(1); THREADS]);
        assert_eq!(bodies.count(), 1);
        let stats = cache.stats();
        assert_eq!(stats.coalesced + stats.near_hits, THREADS as u64 - 1);
    }

    #[test]
    fn where_the_body_panics_the_others_do_not_wait_for_it() {
        let (cache, bodies) = (in_process(), Bodies::default());
        let first_panics = |begun: &AtomicUsize| {
            wait_until(|| begun.load(Ordering::SeqCst) == THREADS, "all begin");
            let number = bodies.run();
            assert!(number > 1, "the first one panics");
            number
        };
        let mut values = from_all_sides(&cache, first_panics);

        values.retain(Option::is_some);
        assert_eq!(values, [Some(2); THREADS - 1]);
        assert_eq!(bodies.count(), 2);
    }

    #[test]
    fn max_loads_bounds_the_bodies_of_all_threads() {
        #[cached(ttl = 300, max_loads = 2, skip(running))]
        fn bounded(id: u64, running: &AtomicUsize) -> usize {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            thread::sleep(Duration::from_millis(2));
            running.fetch_sub(1, Ordering::SeqCst);
            now
        }
        let patient = Cache::builder().max_load_wait(DEADLINE).open();
        let cache = at_once(patient).expect("the cache opens");
        let running = AtomicUsize::new(0);
        let most = thread::scope(|scope| {
            let call = |id| inside(&cache, || bounded(id, &running));
            let threads: Vec<_> = (0..THREADS as u64)
                .map(|id| scope.spawn(move || call(id)))
                .collect();
            { threads.into_iter() }
                .map(|thread| thread.join().unwrap())
                .max()
        });
        assert!(most <= Some(2), "{most:?} at once");
    }
}

mod waiting {
    use super::*;

    #[test]
    fn a_body_that_asks_for_what_it_loads_runs_another_body() {
        let cache = in_process();
        let value = finishes(move || inside(&cache, || price(1, &|| price(1, &|| 7) + 1)));
        assert_eq!(value, 8);
    }

    #[test]
    fn bodies_that_ask_crosswise_for_what_the_other_loads_do_not_wait_for_each_other() {
        let cache = in_process();
        let values = finishes(move || {
            let both_load = Barrier::new(2);
            let call = |own, other| {
                let body = || {
                    both_load.wait();
                    price(other, &|| 1) + 10
                };
                inside(&cache, || price(own, &body))
            };
            thread::scope(|scope| {
                let one = scope.spawn(|| call(1, 2));
                let other = scope.spawn(|| call(2, 1));
                [one.join().unwrap(), other.join().unwrap()]
            })
        });
        // One of them waits for the other, or both are there to be found.
        let expected = [[11, 11], [11, 21], [21, 11]];
        assert!(expected.contains(&values), "{values:?}");
    }
}

mod with_redis {
    use super::*;

    /// Under the same key as `later`.
    #[cached(ttl = 300, prefix = "shared", key = "{id}")]
    fn now(bodies: &Bodies, id: u64) -> u64 {
        bodies.run()
    }

    #[cached(ttl = 300, prefix = "shared", key = "{id}")]
    async fn later(bodies: &Bodies, id: u64) -> u64 {
        bodies.run()
    }

    #[cached(ttl = 300, prefix = "shared", key = "{id}", near_ttl = "1h")]
    fn for_an_hour(bodies: &Bodies, id: u64) -> u64 {
        bodies.run()
    }

    #[cache_invalidate(prefix = "shared", key = "{id}")]
    fn change(id: u64) {}

    #[tokio::test]
    async fn what_a_plain_function_has_loaded_answers_no_function_that_redis_would_tell_of_changes()
    {
        let server = RedisServer::start();
        let (cache, bodies) = (on(&server).await, Bodies::default());
        with_cache(cache, async {
            assert_eq!([now(&bodies, 1), now(&bodies, 1)], [1, 1]);
            assert_eq!([later(&bodies, 1).await, later(&bodies, 1).await], [2, 2]);
        })
        .await;

        // Nobody tells of anything: then they share it.
        let bodies = Bodies::default();
        with_cache(in_process(), async {
            assert_eq!([now(&bodies, 1), later(&bodies, 1).await], [1, 1]);
        })
        .await;
    }

    #[tokio::test]
    async fn what_another_process_invalidates_is_returned_no_longer_than_near_ttl() {
        let server = RedisServer::start();
        let (cache, other) = (on(&server).await, on(&server).await);
        let bodies = Bodies::default();
        with_cache(cache, async {
            assert_eq!(now(&bodies, 1), 1);
            assert_eq!(for_an_hour(&bodies, 2), 2);
            other.invalidate_prefix("shared").await.expect("it holds");
            wait_until_async(async || now(&bodies, 1) > 2, "it is loaded anew").await;
            assert_eq!(for_an_hour(&bodies, 2), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn an_invalidation_without_a_runtime_holds_for_what_this_process_asks_redis_next() {
        let server = RedisServer::start();
        let cache = on(&server).await;
        let bodies = Bodies::default();
        let read = async || with_cache(cache.clone(), later(&bodies, 1)).await;
        assert_eq!([read().await, read().await], [1, 1]);

        let without = cache.clone();
        thread::spawn(move || inside(&without, || change(1)))
            .join()
            .expect("it returns");

        assert_eq!([read().await, read().await], [2, 2]);
    }

    #[tokio::test]
    async fn an_invalidation_within_a_runtime_reaches_other_processes_by_itself() {
        let server = RedisServer::start();
        let (cache, other) = (on(&server).await, on(&server).await);
        let bodies = Bodies::default();
        let read = async || with_cache(other.clone(), later(&bodies, 1)).await;
        assert_eq!([read().await, read().await], [1, 1]);

        with_cache(cache, async { change(1) }).await;

        wait_until_async(async || read().await == 2, "redis is told").await;
    }

    #[tokio::test]
    async fn without_redis_a_value_is_kept_for_the_fallback_ttl() {
        let server = RedisServer::start();
        let opened = Cache::builder()
            .redis_url(server.url())
            .fallback_ttl(Duration::from_millis(100))
            .open();
        let cache = opened.await.expect("the cache opens");
        server.kill();
        wait_until_async(
            async || {
                let _ = cache.get::<u64>("word").await;
                cache.mode() == Mode::Fallback
            },
            "it is noticed",
        )
        .await;
        let bodies = Arc::new(Bodies::default());
        with_cache(cache, async {
            assert_eq!(for_an_hour(&bodies, 1), 1);
            wait_until_async(async || for_an_hour(&bodies, 1) > 1, "it expires").await;
        })
        .await;
    }
}
