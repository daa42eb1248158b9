//! What an attribute takes from the environment: `ttl = "$NAME"`. Each variable is read once per process, at its first use.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use crate::env;
use crate::error::Error;
use crate::log;

/// A variable that was read.
struct Reading {
    found: Result<Option<Duration>, Error>,
    /// Whether it was said that it cannot be used.
    said: bool,
}

static READ: LazyLock<Mutex<HashMap<&'static str, Reading>>> = LazyLock::new(Mutex::default);

/// The duration in a variable; where there is none, `instead`. What is missing or malformed is said once per process.
pub(crate) fn ttl(name: &'static str, instead: Option<Duration>) -> Option<Duration> {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let reading = read.entry(name).or_insert_with(|| Reading {
        found: env::duration(name),
        said: false,
    });
    let problem = match (&reading.found, instead) {
        (Ok(Some(ttl)), _) => return Some(*ttl),
        (Ok(None), Some(_)) => return instead,
        (Ok(None), None) => format!(
            "{name} is not set; set it to a duration, or write a default behind it: `ttl = \"${name}|5m\"`"
        ),
        (Err(malformed), _) => malformed.to_string(),
    };
    let said = std::mem::replace(&mut reading.said, true);
    // Whoever listens to the log may call something cached.
    drop(read);
    if !said {
        log::no_ttl(&problem);
    }
    instead
}
