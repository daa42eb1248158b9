//! Whether a data set may be older than what was invalidated: restored from a snapshot, or a replica's that was behind.
//!
//! Each server process has a `run_id`. Beside the data stands which of them have served it, the last one first. A server
//! whose own `run_id` is not the first has come back with this data from somewhere, so before anything of it is believed the
//! generation of the root is deleted: by the first who comes, and everybody else finds it done. A data set that does not know
//! the server that this process saw last has not lived through it, and is treated the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::MultiplexedConnection;

use super::ask::trouble;
use super::scripts::RENEW_ROOT;
use super::{Distrust, Trouble};
use crate::config::{CacheConfig, OnRestart};
use crate::key;
use crate::log;
use crate::near::Near;

/// What a server says of itself, and what is written beside its data.
#[derive(Debug)]
pub(super) struct Told {
    /// Or why it does not say.
    pub(super) run_id: Result<String, String>,
    /// Who has served the data, the last one first.
    pub(super) marker: Option<String>,
}

pub(super) struct Lineage {
    on_restart: OnRestart,
    marker: String,
    root: String,
    /// The server that this process saw last.
    seen: Mutex<Option<String>>,
    /// Whether it was said that nothing can be known of the data set.
    said: AtomicBool,
    near: Arc<Near>,
    distrust: Distrust,
}

impl Lineage {
    pub(super) fn open(config: &CacheConfig, near: Arc<Near>, distrust: Distrust) -> Self {
        Self {
            on_restart: config.on_restart,
            marker: key::marker_name(&config.key_prefix),
            root: key::generation_name(&config.key_prefix),
            seen: Mutex::default(),
            said: AtomicBool::new(false),
            near,
            distrust,
        }
    }

    /// The name under which a data set tells who has served it; `None` where nobody asks.
    pub(super) fn marker(&self) -> Option<&str> {
        (self.on_restart == OnRestart::Distrust).then_some(&self.marker)
    }

    /// Sees to it that nothing is believed of this data set that was invalidated in a younger one.
    /// To be called before anything else is read over the connection.
    pub(super) async fn check(
        &self,
        connection: &mut MultiplexedConnection,
        told: Told,
    ) -> Result<(), Trouble> {
        if self.on_restart == OnRestart::Trust {
            return Ok(());
        }
        let run_id = match told.run_id {
            Ok(run_id) => run_id,
            Err(refusal) => {
                self.distrust(&refusal);
                return Ok(());
            }
        };
        let last = self.seen().clone();
        if !is_known(told.marker.as_deref(), &run_id, last.as_deref()) {
            return self.renew_root(connection, run_id, last.as_deref()).await;
        }
        self.settle(run_id);
        Ok(())
    }

    async fn renew_root(
        &self,
        connection: &mut MultiplexedConnection,
        run_id: String,
        last: Option<&str>,
    ) -> Result<(), Trouble> {
        let mut renew = redis::cmd("EVAL");
        renew
            .arg(RENEW_ROOT)
            .arg(2)
            .arg(&self.marker)
            .arg(&self.root);
        renew.arg(&run_id).arg(last.unwrap_or_default());
        match renew.query_async::<u8>(connection).await {
            Ok(renewed) => {
                // Our own deletion is not told to us; and what other connections have read may be of another server.
                self.near.end_all();
                if renewed == 2 {
                    log::data_set_distrusted(&run_id);
                }
                self.settle(run_id);
                Ok(())
            }
            Err(error) => match trouble(&error) {
                trouble @ Trouble::Refused(_) if trouble.is_of_one_command() => {
                    self.distrust(&trouble.to_string());
                    *self.seen() = Some(run_id);
                    Ok(())
                }
                // It will know in a moment; until then it answers nothing.
                trouble => Err(trouble),
            },
        }
    }

    /// Nothing is believed until the generation of the root could be deleted.
    fn distrust(&self, reason: &str) {
        (self.distrust)();
        // After it: what is read from here on is not believed, and what was read before is ended.
        self.near.end_all();
        if !self.said.swap(true, Ordering::Relaxed) {
            log::data_set_unknown(reason);
        }
    }

    fn settle(&self, run_id: String) {
        *self.seen() = Some(run_id);
        self.said.store(false, Ordering::Relaxed);
    }

    fn seen(&self) -> MutexGuard<'_, Option<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the last to serve this data is the server of that `run_id`, and the one seen before it has served it too.
fn is_known(marker: Option<&str>, run_id: &str, last: Option<&str>) -> bool {
    let mut served = marker.unwrap_or_default().split(' ');
    let first = served.next();
    first == Some(run_id) && last.is_none_or(|last| last == run_id || served.any(|id| id == last))
}

/// The `run_id` in what a server tells of itself.
pub(super) fn run_id(info: &str) -> Result<String, String> {
    let id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    let id = id.unwrap_or_default().trim();
    let sound = !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    match sound {
        true => Ok(id.to_owned()),
        false => Err("it does not tell its run_id".to_owned()),
    }
}
