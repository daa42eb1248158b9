//! Generations in Redis: made where they are missing, and kept for as long as what they guard.
//!
//! A generation that ended before an entry it guards would end that entry as well: a load too many, never a stale value.
//! One that never ended would stay for ever. So each has a lifetime, and every fill sees to it that it is long enough.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Pipeline;

use super::Trouble;
use super::connect::Purpose;
use super::redis::{Store, generation_of, token_text};
use crate::clock::{self, Instant};
use crate::key::{self, Key};
use crate::near::coherence::Teller;
use crate::random;
use crate::seen::SeenRemote;

/// Generations whose lifetime is remembered; beyond, all are asked for again.
const REMEMBERED: usize = 10_000;

/// Until when generations live at least, by their tokens: a token that was replaced says nothing about its successor.
#[derive(Debug, Default)]
pub(super) struct Lifetimes(Mutex<HashMap<u64, Instant>>);

impl Lifetimes {
    fn learn(&self, token: u64, until: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(token, until);
    }

    fn reaches(&self, token: u64, until: Instant) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&token).is_some_and(|known| *known >= until)
    }
}

impl Store {
    /// Creates the generations that were missing, so that what is loaded next, and kept for `ttl`, can be stored under them.
    pub(crate) async fn renew(
        &self,
        key: &Key,
        seen: &mut SeenRemote,
        ttl: Duration,
    ) -> Result<(), Trouble> {
        let groups = key.groups().zip(seen.generations.iter_mut());
        let missing: Vec<_> = groups
            .filter(|(_, generation)| generation.is_none())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::new();
        let lifetime = lifetime_ms(ttl);
        let until = clock::after(clock::now(), Duration::from_millis(lifetime));
        let mut proposed = Vec::new();
        for (group, _) in &missing {
            let name = key::generation_name(group);
            let token = random::token();
            proposed.push(token);
            commands
                .cmd("SET")
                .arg(&name)
                .arg(token_text(token))
                .arg("NX")
                .arg("PX")
                .arg(lifetime)
                .ignore();
            commands.cmd("GET").arg(&name);
        }
        let answer = self.ask_for(Purpose::Reading, &commands).await?;
        let tokens: Vec<Option<Vec<u8>>> = answer.value;
        for (((_, generation), token), proposed) in missing.into_iter().zip(tokens).zip(proposed) {
            *generation = generation_of(token.as_deref());
            if *generation == Some(proposed) {
                self.lifetimes.learn(proposed, until);
            }
        }
        seen.teller = same_teller(seen.teller.take(), answer.teller);
        Ok(())
    }

    /// Prolongs those generations of a key, under which an entry was just stored for `ttl`, that would end before it.
    /// Asks only where that is not known yet, which is once in a while.
    ///
    /// Answers which groups' were prolonged: our own change ends the server's memory of our having read them, and is not
    /// told to us.
    pub(crate) async fn keep_generations<'a>(
        &self,
        key: &'a Key,
        tokens: &[Option<u64>],
        ttl: Duration,
    ) -> Result<Vec<&'a str>, Trouble> {
        let now = clock::now();
        let until = clock::after(now, ttl);
        let in_doubt: Vec<(&str, u64)> = key
            .groups()
            .zip(tokens)
            .filter_map(|(group, token)| token.map(|token| (group, token)))
            .filter(|(_, token)| !self.lifetimes.reaches(*token, until))
            .collect();
        if in_doubt.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = Pipeline::new();
        for (group, _) in &in_doubt {
            ask.cmd("PTTL").arg(key::generation_name(group));
        }
        let left: Vec<i64> = self.ask(&ask).await?;
        let needed = i64::try_from(clock::millis(ttl)).unwrap_or(i64::MAX);
        let mut prolong = Pipeline::new();
        let mut prolonged = Vec::new();
        for ((group, token), left) in in_doubt.into_iter().zip(left) {
            let lives = match u64::try_from(left) {
                Ok(left_ms) if left <= needed => {
                    let lifetime = lifetime_ms(ttl);
                    let name = key::generation_name(group);
                    prolong.cmd("PEXPIRE").arg(name).arg(lifetime).ignore();
                    prolonged.push(group);
                    lifetime.max(left_ms)
                }
                Ok(left) => left,
                // -2: it is gone, and the entry with it. -1: somebody made it stay for ever.
                Err(_) => continue,
            };
            let until = clock::after(now, Duration::from_millis(lives));
            self.lifetimes.learn(token, until);
        }
        if !prolonged.is_empty() {
            let _: () = self.ask(&prolong).await?;
        }
        Ok(prolonged)
    }
}

/// The one that tells of both reads, if there is one.
fn same_teller(one: Option<Arc<Teller>>, other: Option<Arc<Teller>>) -> Option<Arc<Teller>> {
    one.filter(|one| other.is_some_and(|other| Arc::ptr_eq(one, &other)))
}

/// How long a generation is to live that guards entries of this ttl: long past them, and never less than a day, so that it
/// is not often prolonged.
pub(super) fn lifetime_ms(ttl: Duration) -> u64 {
    const DAY: u64 = 86_400_000;
    clock::millis(ttl)
        .saturating_mul(4)
        .clamp(DAY, DAY * 36_500)
}
