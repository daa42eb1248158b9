//! Being told of changes: `CLIENT TRACKING` on the connection that reads, and what is done with the pushes.
//!
//! The server remembers what was read over a connection, and pushes its name when it changes, whoever changed it: another
//! process, an operator, expiry, eviction. `NOLOOP` leaves out what this very connection does, which also ends the server's
//! memory of it; so whatever this process writes, it tells its own tier itself.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};

use crate::clock;
use crate::key;
use crate::near::Near;
use crate::near::coherence::Teller;

/// How often a connection is asked for a sign of life while values are asked for: a quarter of the lag that is allowed, so
/// that one that is late does not end the proof.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// Heartbeats without anybody asking for a value, after which they stop.
const IDLE_BEATS: u32 = 40;

/// Ends what was read over a connection when the connection ends, in whatever way: by an event, with its driver, with its runtime.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) teller: Arc<Teller>,
    near: Arc<Near>,
}

impl Told {
    pub(super) fn new(near: &Arc<Near>) -> Self {
        Self {
            teller: Arc::new(Teller::new()),
            near: Arc::clone(near),
        }
    }

    /// The same connection, seen from elsewhere: whichever ends first ends it.
    pub(super) fn share(&self) -> Self {
        Self {
            teller: Arc::clone(&self.teller),
            near: Arc::clone(&self.near),
        }
    }

    /// What to do with a push. Runs inside the driver, before the reply after it is handed on; never blocks.
    pub(super) fn hear(&self, push: &PushInfo) {
        match (&push.kind, push.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(names))) => {
                for name in names {
                    if let Value::BulkString(name) = name {
                        self.hear_name(name);
                    }
                }
            }
            // Everything was flushed; or something this version does not know, which may mean anything.
            (PushKind::Invalidate, _) => self.near.told_of_everything(),
            (PushKind::Disconnection, _) => self.end(),
            _ => {}
        }
    }

    fn hear_name(&self, name: &[u8]) {
        // A name that is no text is none of ours.
        let Ok(name) = std::str::from_utf8(name) else {
            return;
        };
        if let Some(group) = key::group_of_generation(name) {
            self.near.told_of_group(group);
        } else if let Some(entry) = key::entry_of_lease(name) {
            self.near.told_of_lease(entry);
        } else {
            self.near.told_of_entry(name);
        }
    }

    fn end(&self) {
        if !self.teller.has_ended() {
            self.teller.end();
            // Whoever waits to be told something will not be, over this connection.
            self.near.wake_all();
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.end();
    }
}

/// Keeps the proof young that a connection is alive, while values are asked for.
pub(super) async fn beat(
    teller: Arc<Teller>,
    mut connection: MultiplexedConnection,
    timeout: Duration,
) {
    while !teller.has_ended() {
        teller.stirred().await;
        let mut idle = 0;
        while idle < IDLE_BEATS && !teller.has_ended() {
            let sent = clock::now();
            let ping = redis::cmd("PING");
            let asked = ping.query_async::<Value>(&mut connection);
            // An error of the server is a sign of life as well: some refuse a `PING` and answer reads.
            let alive = match clock::within(timeout, asked).await {
                Some(Err(error)) => error.code().is_some(),
                answer => answer.is_some(),
            };
            if alive {
                teller.prove(sent);
            }
            clock::sleep(HEARTBEAT).await;
            idle = if teller.was_wanted() { 0 } else { idle + 1 };
        }
    }
}
