//! A try of the cache from end to end: what a program asks before it says that it is ready.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::cache::Cache;
use crate::clock;
use crate::entry::{Found, Parcel, Query, Times};
use crate::inner::Inner;
use crate::key::{self, Key, Levels};
use crate::mode::Mode;
use crate::near::Near;
use crate::policy::{NearTerms, Terms};
use crate::random;
use crate::remote::Remote;
use crate::stats::Counters;
use crate::store::{Put, Watch};
use crate::value::envelope::{self, Generations};
use crate::value::{Kind, Shared};

/// How long the probe stays, should it not be deleted.
const LIFE: Duration = Duration::from_secs(10);

const KIND: Kind = Kind::of::<String>();

/// What [`Cache::check`] found out.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whether every step succeeded.
    pub passed: bool,
    /// Which tier answers.
    pub mode: Mode,
    /// What was tried: `redis`, `memory` or `none`.
    pub backend: &'static str,
    /// Where that is; a password is shown as `***`.
    pub location: String,
    /// In the order in which they were tried: `open`; with Redis `connect`; then `write`, `read`, `compare`, `delete`.
    pub steps: Vec<CheckStep>,
}

/// One step of a [`Check`].
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckStep {
    /// What was tried.
    pub name: &'static str,
    /// Whether it succeeded.
    pub passed: bool,
    /// How long it took; zero where it was not tried.
    pub took: Duration,
    /// Why it did not succeed, or was not tried.
    pub problem: Option<String>,
}

impl Cache {
    /// Writes a value of its own, reads it back, compares and deletes it, and tells how each step went. What is tried is Redis,
    /// where that is configured, also while the in-process tier stands in for it; else the in-process tier.
    ///
    /// The value stands under a name that no other program chooses, and is gone after ten seconds in any case.
    ///
    /// # Cancellation
    /// Dropped half-way, it leaves that value to its end.
    pub async fn check(&self) -> Check {
        let cache = self.inner();
        let mut steps = Steps::default();
        let backend = match &cache.remote {
            _ if !cache.is_enabled() => "none",
            Some(_) => "redis",
            None if Near::EXISTS => "memory",
            None => "none",
        };
        let open = std::future::ready(opened(cache, backend));
        steps.step("open", open).await;
        let probe = Probe::new(cache);
        match &cache.remote {
            Some(remote) if backend == "redis" => {
                Box::pin(probe.through_redis(remote, &mut steps)).await;
            }
            _ => probe.in_process(&mut steps).await,
        }
        Check {
            passed: steps.failed.is_none(),
            mode: self.mode(),
            backend,
            location: match backend {
                "redis" => self.location(),
                _ => "in process".to_owned(),
            },
            steps: steps.done,
        }
    }
}

fn opened(cache: &Inner, backend: &str) -> Result<(), String> {
    let problem = match backend {
        "none" if !cache.config.enabled => "the cache is disabled",
        "none" if !cache.is_enabled() => "the cache is closed",
        "none" => "no redis is configured, and this build is without the feature `fallback`",
        _ => return Ok(()),
    };
    Err(problem.to_owned())
}

/// The steps so far, and the first that failed.
#[derive(Default)]
struct Steps {
    done: Vec<CheckStep>,
    failed: Option<&'static str>,
}

impl Steps {
    /// Tries a step, unless one before it has failed.
    async fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<T, String>>,
    ) -> Option<T> {
        let began = clock::now();
        let answer = match self.failed {
            None => work.await,
            Some(failed) => Err(format!("not tried, since `{failed}` failed")),
        };
        let took = match self.failed {
            None => clock::now().saturating_duration_since(began),
            Some(_) => Duration::ZERO,
        };
        let (answer, problem) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(problem) => (None, Some(problem)),
        };
        if problem.is_some() {
            self.failed.get_or_insert(name);
        }
        self.done.push(CheckStep {
            name,
            passed: problem.is_none(),
            took,
            problem,
        });
        answer
    }
}

/// The value that is written and read.
struct Probe<'a> {
    cache: &'a Arc<Inner>,
    key: Key,
    value: Shared,
    text: String,
    terms: Terms,
    counters: Arc<Counters>,
}

impl<'a> Probe<'a> {
    fn new(cache: &'a Arc<Inner>) -> Self {
        let text = format!("{:016x}", random::token());
        let name = key::below(cache.root(), &format!("check@{text}"));
        Self {
            cache,
            key: Key::new(&name, Levels::all(cache.root().len(), &name), 0),
            value: Arc::new(text.clone()),
            text,
            // What is read from Redis is kept nowhere else.
            terms: Terms {
                near: NearTerms::Off,
                ..cache.terms_by_hand()
            },
            counters: Arc::default(),
        }
    }

    fn query(&self) -> Query<'_> {
        Query {
            cache: self.cache,
            key: &self.key,
            kind: &KIND,
            terms: &self.terms,
            counters: &self.counters,
            trace: None,
        }
    }

    async fn through_redis(&self, remote: &Arc<Remote>, steps: &mut Steps) {
        let connect = async { remote.ping().await.map_err(|trouble| trouble.to_string()) };
        steps.step("connect", Box::pin(connect)).await;
        steps.step("write", Box::pin(self.write(remote))).await;
        let read = steps.step("read", Box::pin(self.read(remote))).await;
        steps
            .step("compare", std::future::ready(self.compare(read.as_ref())))
            .await;
        let delete = async {
            match remote.remove(&[self.key.as_str()]).await {
                Ok(0) => Err("there was nothing to delete".to_owned()),
                Ok(_) => Ok(()),
                Err(trouble) => Err(trouble.to_string()),
            }
        };
        steps.step("delete", Box::pin(delete)).await;
    }

    async fn write(&self, remote: &Arc<Remote>) -> Result<(), String> {
        let room: Generations = self.key.groups().map(|_| 0).collect();
        let parcel = Parcel {
            key: &self.key,
            kind: KIND,
            terms: self.cache.terms_by_hand(),
            value: &self.value,
            ttl: LIFE,
            took: Duration::ZERO,
        };
        let bytes = parcel.pack(self.cache, room);
        let bytes = bytes.map_err(|problem| problem.to_string())?;
        let put = Put {
            key: &self.key,
            around_generations: envelope::around_generations(&bytes, self.key.groups().count()),
            ttl: LIFE,
        };
        match remote.put(&[put]).await {
            Ok(true) => Ok(()),
            Ok(false) => Err("a name of the cache's own is taken by something else".to_owned()),
            Err(trouble) => Err(trouble.to_string()),
        }
    }

    async fn read(&self, remote: &Arc<Remote>) -> Result<Shared, String> {
        let view = self.query().view();
        let read = remote.look_up(&self.key, Watch::None).await;
        let read = read.map_err(|trouble| trouble.to_string())?;
        if read.entry().is_none() {
            return Err("what was written is not there".to_owned());
        }
        match self.query().answer(Ok(read), view).await {
            Found::Value(value) => Ok(value),
            Found::Aged(..) | Found::Nothing(_) => {
                Err("what was written cannot be used: it has expired, was invalidated, or does not decode".to_owned())
            }
        }
    }

    fn compare(&self, read: Option<&Shared>) -> Result<(), String> {
        let text = read.and_then(|read| read.downcast_ref::<String>());
        match text == Some(&self.text) {
            true => Ok(()),
            false => Err("what was read is not what was written".to_owned()),
        }
    }

    async fn in_process(&self, steps: &mut Steps) {
        let near = &self.cache.near;
        let terms = self.cache.terms_by_hand();
        let query = Query {
            terms: &terms,
            ..self.query()
        };
        let write = async {
            let view = near.view(&self.key);
            let times = Times::of_a_new_value(LIFE, Duration::ZERO);
            let entry = query.near_entry(&self.value, self.key.origin(), view, times);
            near.insert(self.key.as_str(), entry);
            Ok(())
        };
        steps.step("write", write).await;
        let read = async {
            let terms = Terms {
                near: NearTerms::On,
                ..*query.terms
            };
            let found = Query {
                terms: &terms,
                ..query
            }
            .near();
            found.ok_or_else(|| {
                "what was written is not there: the memory limit is too small".to_owned()
            })
        };
        let read = steps.step("read", read).await;
        steps
            .step("compare", std::future::ready(self.compare(read.as_ref())))
            .await;
        let delete = async {
            match near.remove(self.key.as_str()) {
                true => Ok(()),
                false => Err("there was nothing to delete".to_owned()),
            }
        };
        steps.step("delete", delete).await;
    }
}
