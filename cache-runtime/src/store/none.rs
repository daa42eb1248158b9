//! The store without the feature `redis`: there is none, and no value of the type exists.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::{
    Acquired, Distrust, Filled, Put, Read, ServerFacts, Stored, Swap, Told, Trouble, Watch,
};
use crate::clock::Instant;
use crate::config::CacheConfig;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::near::Near;
use crate::seen::SeenRemote;

#[derive(Debug)]
pub(crate) enum Store {}

/// A read that is carried: there is none.
#[derive(Debug)]
pub(crate) enum Carried {}

impl Carried {
    pub(crate) fn told(&mut self, _: &Waker) -> Option<Told> {
        match *self {}
    }
}

impl Store {
    pub(crate) fn open(_: &CacheConfig, _: Arc<Near>, _: Distrust) -> Result<Self, Error> {
        let problem = "an address of Redis is configured, but this build is without the feature `redis`; enable it";
        Err(Error::new(ErrorKind::Config, problem))
    }

    pub(crate) fn is_fit(&self) -> bool {
        match *self {}
    }

    pub(crate) fn now_ms(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn disconnect(&self) {
        match *self {}
    }

    pub(crate) fn facts(&self) -> ServerFacts {
        match *self {}
    }

    pub(crate) async fn ping(&self) -> Result<Duration, Trouble> {
        match *self {}
    }

    pub(crate) async fn try_to_write(&self) -> Result<(), Trouble> {
        match *self {}
    }

    pub(crate) async fn look_up(self: &Arc<Self>, _: &Key, _: Watch) -> Result<Read, Trouble> {
        match **self {}
    }

    pub(crate) fn join<T>(
        self: &Arc<Self>,
        _: (&Key, Watch),
        _: &Waker,
        _: impl FnOnce() -> T,
    ) -> Option<(T, Carried)> {
        match **self {}
    }

    pub(crate) async fn look_up_after(
        &self,
        _: &Key,
        _: Watch,
        _: Instant,
    ) -> Result<Read, Trouble> {
        match *self {}
    }

    pub(crate) async fn look_up_many(&self, _: &[Key], _: bool) -> Result<Vec<Read>, Trouble> {
        match *self {}
    }

    pub(crate) async fn renew(
        &self,
        _: &Key,
        _: &mut SeenRemote,
        _: Duration,
    ) -> Result<(), Trouble> {
        match *self {}
    }

    pub(crate) async fn acquire(
        &self,
        _: &Key,
        _: &[u8],
        _: u64,
        _: Option<u64>,
        _: Duration,
    ) -> Result<Acquired, Trouble> {
        match *self {}
    }

    pub(crate) async fn fill(
        &self,
        _: &str,
        _: u64,
        _: &[u8],
        _: Duration,
    ) -> Result<Filled, Trouble> {
        match *self {}
    }

    pub(crate) async fn extend(&self, _: &str, _: u64, _: Duration) -> Result<bool, Trouble> {
        match *self {}
    }

    pub(crate) async fn keep_generations<'a>(
        &self,
        _: &'a Key,
        _: &[Option<u64>],
        _: Duration,
    ) -> Result<Vec<&'a str>, Trouble> {
        match *self {}
    }

    pub(crate) async fn put(&self, _: &[Put<'_>]) -> Result<Vec<Stored>, Trouble> {
        match *self {}
    }

    pub(crate) async fn swap(&self, _: &str, _: Swap<'_>) -> Result<bool, Trouble> {
        match *self {}
    }

    pub(crate) async fn release(&self, _: &str, _: u64) -> Result<(), Trouble> {
        match *self {}
    }

    pub(crate) async fn remove(&self, _: &[&str]) -> Result<u64, Trouble> {
        match *self {}
    }

    pub(crate) async fn unlink(&self, _: &[String]) -> Result<(), Trouble> {
        match *self {}
    }

    pub(crate) async fn unlink_on_replicas(&self, _: &[String], _: u32) -> Result<u32, Trouble> {
        match *self {}
    }

    pub(crate) async fn clear(&self, _: &str) -> Result<u64, Trouble> {
        match *self {}
    }
}
