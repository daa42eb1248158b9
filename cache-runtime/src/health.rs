//! How the cache is, as plain data.

use std::time::Duration;

use serde::Serialize;

use crate::cache::Cache;
use crate::mode::Mode;
use crate::near::Near;

/// How the cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// What is configured answers.
    Healthy,
    /// Redis cannot be reached and the in-process tier stands in; or it is read, and refuses to be written to.
    Degraded,
    /// Redis cannot be reached, and nothing stands in.
    Unavailable,
    /// Switched off, or closed.
    Disabled,
}

/// What [`Cache::health`](crate::Cache::health) found out.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// The verdict.
    pub state: HealthState,
    /// Which tier answers.
    pub mode: Mode,
    /// `redis`, `memory` or `none`.
    pub backend: &'static str,
    /// Where the backend is; a password is shown as `***`.
    pub location: String,
    /// How long one exchange with Redis took just now.
    pub round_trip: Option<Duration>,
    /// The version of the server, as far as it told.
    pub server_version: Option<String>,
    /// How many names Redis has yet to confirm to be deleted. What they cover is not read from it until then.
    pub unconfirmed: usize,
    /// What is wrong, if anything, and what to do about it.
    pub problem: Option<String>,
}

impl Cache {
    /// Asks Redis, where there is one, and tells how the cache is.
    pub async fn health(&self) -> Health {
        let mut health = Health {
            state: HealthState::Healthy,
            mode: self.mode(),
            backend: "memory",
            location: "in process".to_owned(),
            round_trip: None,
            server_version: None,
            unconfirmed: 0,
            problem: None,
        };
        if !self.inner().is_enabled() {
            health.state = HealthState::Disabled;
            health.backend = "none";
            return health;
        }
        if let Some(remote) = &self.inner().remote {
            health.backend = "redis";
            health.location = self.location();
            match remote.ping().await {
                Ok(round_trip) => {
                    health.round_trip = Some(round_trip);
                    health.problem = remote.problem();
                    if health.problem.is_some() {
                        health.state = HealthState::Degraded;
                    }
                }
                Err(trouble) => {
                    let problem = remote.problem();
                    health.problem = problem.or_else(|| Some(trouble.to_string()));
                    health.state = if Near::EXISTS {
                        HealthState::Degraded
                    } else {
                        HealthState::Unavailable
                    };
                }
            }
            health.unconfirmed = remote.unconfirmed();
            health.server_version = remote.facts().version;
            health.mode = self.mode();
        } else if !Near::EXISTS {
            health.state = HealthState::Unavailable;
            health.backend = "none";
        }
        health
    }

    /// Where the backend is, without secrets.
    pub(crate) fn location(&self) -> String {
        let url = self.inner().config.redis.as_ref();
        url.map_or_else(|| "in process".to_owned(), ToString::to_string)
    }
}
