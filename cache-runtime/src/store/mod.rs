//! What the protocol needs of a remote store. Bytes only: no type of the user's is known here, and only this folder knows Redis.

mod answers;
#[cfg(feature = "redis")]
mod ask;
#[cfg(feature = "redis")]
mod batch;
#[cfg(feature = "redis")]
mod connect;
#[cfg(feature = "redis")]
mod dial;
#[cfg(feature = "redis")]
mod generations;
#[cfg(feature = "redis")]
mod greet;
#[cfg(feature = "redis")]
mod lineage;
#[cfg(feature = "redis")]
mod read;
#[cfg(feature = "redis")]
mod redis;
#[cfg(not(feature = "redis"))]
#[path = "none.rs"]
mod redis;
mod refusal;
#[cfg(feature = "redis")]
mod scripts;
#[cfg(feature = "redis")]
mod server_clock;
#[cfg(feature = "redis")]
mod slots;
#[cfg(feature = "redis")]
mod swap;
#[cfg(feature = "redis")]
mod track;
#[cfg(feature = "redis")]
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::answers::Read;
#[cfg(feature = "redis")]
pub(crate) use self::batch::Carried;
#[cfg(not(feature = "redis"))]
pub(crate) use self::redis::Carried;
pub(crate) use self::redis::Store;
pub(crate) use self::refusal::{Class, Refusal, Scope};
use crate::clock::Instant;
use crate::key::Key;
use crate::near::coherence::Teller;

/// Whether whoever reads is to be told of changes to what he reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    Kept,
    /// It spares the server the memory of it, where that costs no more than it saves.
    None,
}

#[cfg(feature = "redis")]
impl Watch {
    /// Who tells of changes to what was read over a connection. Of what nobody wanted to be told of it tells nobody.
    fn teller(self, teller: Option<&Arc<Teller>>) -> Option<&Arc<Teller>> {
        teller.filter(|_| self == Self::Kept)
    }
}

/// What is told to one who is carried.
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a store that exists tells")
)]
#[derive(Debug)]
pub(crate) enum Told {
    Read(Result<Read, Trouble>),
    /// Something was refused to one of those who asked together: each is to ask for himself, within the deadline that began
    /// then.
    AskAlone {
        since: Instant,
    },
}

/// Called when a data set may be older than what was invalidated, before anything of it can be read.
pub(crate) type Distrust = Box<dyn Fn() + Send + Sync>;

/// The answer to a request for a lease.
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a store that exists answers")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acquired {
    Granted,
    /// Another process is loading, under this lease.
    Held(u64),
    /// The entry is not the one that was seen: somebody filled or set it since.
    Changed,
}

/// What became of a fill.
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a store that exists answers")
)]
#[derive(Debug)]
pub(crate) enum Filled {
    /// With who tells of its changes from now on.
    Stored(Option<Arc<Teller>>),
    /// The lease was gone: an invalidation came during the load.
    Overtaken,
}

/// What became of an entry that was to be stored under the generations that the store found.
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a store that exists answers")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Something that is no generation stands where one should.
    Not,
    Plainly,
    /// A generation was prolonged for it: the server has forgotten that this process read it.
    Prolonging,
}

/// An entry to be stored under the generations that the store finds.
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a store that exists stores anything")
)]
#[derive(Debug)]
pub(crate) struct Put<'a> {
    pub(crate) key: &'a Key,
    /// Its bytes before and after the generations.
    pub(crate) around_generations: (&'a [u8], &'a [u8]),
    pub(crate) ttl: Duration,
}

/// An entry to be put in the place of another one.
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a store that exists stores anything")
)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Swap<'a> {
    /// The stamp of the other one, empty where there was none.
    pub(crate) seen: &'a [u8],
    pub(crate) bytes: &'a [u8],
    pub(crate) ttl: Duration,
    /// How long the other one could still be used. For as long as it was kept beyond that, this one is.
    pub(crate) left: Option<Duration>,
    pub(crate) loads: Loads,
}

/// What becomes of a load of the entry that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loads {
    GoOn,
    /// It may store nothing any more.
    End,
}

/// Why the store did not answer.
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a store that exists answers")
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No connection could be had, or it broke.
    Unreachable(String),
    /// No answer within the deadline.
    Timeout,
    /// The same of a request that was made for several: another of them has said so.
    TimeoutOfAnother,
    /// The server answered with an error, or with something that is no answer.
    Refused(Refusal),
    /// The same a moment ago: it was not asked again.
    Withheld(Refusal),
    /// The breaker is open: the store was not asked.
    Open,
    /// An invalidation that concerns this key has not been confirmed: what the store says of it is not believed.
    Quarantined,
    /// The call did not run inside a tokio runtime.
    NoRuntime,
}

impl Trouble {
    /// Whether the server is known not to have done what was asked: it said so, or was not asked.
    pub(crate) fn changed_nothing(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.class != Class::NotRedis,
            Self::Withheld(_) | Self::Open | Self::Quarantined | Self::NoRuntime => true,
            Self::Unreachable(_) | Self::Timeout | Self::TimeoutOfAnother => false,
        }
    }

    /// What the server has refused, if it was that.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::Withheld(refusal) => Some(refusal),
            Self::Unreachable(_)
            | Self::Timeout
            | Self::TimeoutOfAnother
            | Self::Open
            | Self::Quarantined
            | Self::NoRuntime => None,
        }
    }

    /// Whether only what was just asked is refused, as far as is known: something else may be answered.
    pub(crate) fn is_of_one_command(&self) -> bool {
        let refusal = self.refusal();
        refusal.is_some_and(|refusal| refusal.class.scope() != Scope::Server)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => write!(f, "redis cannot be reached: {reason}"),
            Self::Timeout | Self::TimeoutOfAnother => f.write_str("redis did not answer in time"),
            Self::Refused(refusal) => write!(f, "redis refuses, {refusal}"),
            Self::Withheld(refusal) => write!(f, "redis refused a moment ago, {refusal}"),
            Self::Open => f.write_str("redis is not asked until it answers again"),
            Self::Quarantined => {
                f.write_str("redis is not believed until it has confirmed an invalidation")
            }
            Self::NoRuntime => f.write_str("redis needs a tokio runtime with its time driver"),
        }
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    /// Whether the store failed when it was asked, rather than not being asked.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(self, Self::Open | Self::Withheld(_) | Self::Quarantined)
    }
}

/// What the server says about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerFacts {
    pub(crate) version: Option<String>,
}
