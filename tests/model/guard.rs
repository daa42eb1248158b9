//! What the protocol consists of: each guard stands against one thing that happens without it.

use crate::configuration::Configuration;

/// What a search finds once a guard is left out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    /// A broken promise, in the configuration of this name.
    In(&'static str),
    /// Nothing in any of the configurations in which it could matter, for this reason.
    Nowhere(fn(&Configuration) -> bool, &'static str),
}

macro_rules! guards {
    ($($(#[doc = $rule:literal])* $name:ident => $found:expr,)*) => {
        /// A rule of the protocol that can be left out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Guard {
            $($(#[doc = $rule])* $name,)*
        }

        impl Guard {
            pub(crate) const ALL: &[(Self, Found)] = &[$((Self::$name, $found),)*];
        }
    };
}

use Found::{In, Nowhere};

guards! {
    /// `FILL` stores only while the lease is the leader's.
    LeaseCheckedByFill => In("an entry is invalidated"),
    /// A fill names the generations that were read before the load, not those at the fill.
    GenerationsFromBeforeTheLoad => In("a prefix is invalidated"),
    /// `ACQUIRE` answers *changed* where the entry is not the one that was seen.
    StampCheckedByAcquire => In("calls of one process"),
    /// A hit is an entry that names the generations of this moment.
    GenerationsComparedOnRead => In("a prefix is invalidated"),
    /// A follower saw the lease of the flight.
    FollowersSawTheLease => In("an entry is invalidated"),
    /// A flight without a lease is followed by nobody who began after its departure.
    FollowersNeedALease => In("an entry is evicted, and invalidated"),
    /// A follower saw the generations of the flight.
    FollowersSawTheGenerations => In("a prefix is invalidated"),
    /// A flight that departed without a generation is followed by nobody who began after its departure.
    FollowersNeedEveryGeneration => In("a prefix is invalidated twice"),
    /// A follower saw the local epochs of the flight.
    FollowersSawTheEpochs => In("Redis does not answer"),
    /// Who began before the departure may follow, whatever was seen.
    EarlierCallersMayFollow => In("calls of one process"),
    /// After *changed* the flight is dissolved before its leader looks again.
    DissolvedBeforeTheSecondLook => In("an entry is invalidated"),
    /// The flight departs when the lease is granted.
    DepartureWhenGranted => In("an entry is invalidated"),
    /// The flight departs when the lease is held by another.
    DepartureWhenHeld => In("a fleet and an invalidated entry"),
    /// The departure waits for the answer about the lease.
    DepartureAfterTheAnswer => In("calls of one process"),
    /// Local epochs end, flights are detached and near entries removed before the deletion.
    LocalPassBefore => Nowhere(
        Configuration::forgets_before_it_deletes,
        "the promises speak of what begins after the return, and by then the second pass is over; \
         the first one only makes the near tier forget a round trip earlier",
    ),
    /// The same after the deletion.
    LocalPassAfter => In("near tier: its own prefix is invalidated"),
    /// A local pass takes the flight of its entry out of the table before it removes the near entry.
    DetachedBeforeRemoved => In("alone: an entry is invalidated"),
    /// A local pass takes the flight of its entry out of the table.
    FlightsDetached => In("Redis does not answer, and an entry is invalidated"),
    /// A near hit names the local epochs of this moment.
    EpochsComparedByNearHit => In("near tier: its own prefix is invalidated"),
    /// A near insert needs the mark from before the look-up.
    MarkCheckedByNearInsert => In("near tier: a cold entry is invalidated"),
    /// A pushed generation ends the pushed epoch of its level.
    PushedEpochs => In("near tier: a prefix is invalidated"),
    /// A pushed entry is removed from the near tier.
    PushedEntries => In("near tier: an entry is invalidated"),
    /// A near hit needs the connection under which the entry was inserted.
    NearBoundToConnection => In("near tier: a connection is lost"),
    /// `FILL` reads the entry after it has set it, so that the server watches it for this connection.
    FillRegistersAgain => In("near tier: a cold entry is invalidated"),
    /// Who prolongs a generation ends the pushed epoch of its level, since the server does not watch it for him any more.
    ProlongingEndsTheEpoch => In("near tier: generations are prolonged"),
    /// Pushes are handled before the replies that follow them.
    PushesBeforeLaterReplies => In("near tier: calls with and without it"),
    /// A generation that is created again has another token.
    TokensNeverRepeat => In("a prefix is invalidated"),
    /// Without Redis the flight departs before its load begins.
    DepartureWithoutRedis => In("alone: a prefix is invalidated"),
    /// It departs before its leader looks into the near tier once more.
    DepartureBeforeTheSecondLook => Nowhere(
        Configuration::loads_without_redis,
        "what the leader finds there is not shared, so nobody who joins meanwhile gets it",
    ),
    /// A leader without Redis looks into the near tier once more.
    SecondLookWithoutRedis => In("alone: calls"),
    /// What a leader finds there is not shared: its flight is dissolved.
    FoundIsNotShared => In("alone: an entry is invalidated"),
    /// Without Redis a load is kept while its flight is the one of the table.
    KeptByTheFlightOfTheTable => In("alone: an entry is invalidated"),
    /// What that is, is looked at and acted on under the lock of the table.
    KeptUnderTheLock => In("alone: an entry is invalidated"),
    /// It is kept under the epochs from before the load, not those at the fill.
    KeptUnderEpochsFromBefore => In("alone: a prefix is invalidated"),
    /// The lease of a dead holder ends.
    LeasesEnd => In("a fleet and a crash"),
    /// Invalidating an entry deletes its lease too.
    InvalidationDeletesTheLease => In("an entry is invalidated"),
}
