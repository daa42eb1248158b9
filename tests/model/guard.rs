//! What the protocol consists of: each guard stands against one thing that could happen without it.

/// A rule of the protocol that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// `FILL` stores only while the lease is the leader's.
    LeaseCheckedByFill,
    /// A fill names the generations that were read before the load, not those at the fill.
    GenerationsFromBeforeTheLoad,
    /// `ACQUIRE` answers *changed* where the entry is not the one that was seen.
    StampCheckedByAcquire,
    /// A hit is an entry that names the generations of this moment.
    GenerationsComparedOnRead,
    /// A follower saw the lease of the flight.
    FollowersSawTheLease,
    /// A flight without a lease is followed by nobody who began after its departure.
    FollowersNeedALease,
    /// A follower saw the generations of the flight.
    FollowersSawTheGenerations,
    /// A flight that departed without a generation is followed by nobody who began after its departure.
    FollowersNeedEveryGeneration,
    /// A follower saw the local epochs of the flight.
    FollowersSawTheEpochs,
    /// Who began before the departure may follow, whatever was seen.
    EarlierCallersMayFollow,
    /// After *changed* the flight departs before the leader looks again.
    DepartureBeforeTheSecondLook,
    /// After a second look that found nothing the flight has not departed any more.
    DepartureTakenBack,
    /// The flight departs when the lease is granted.
    DepartureWhenGranted,
    /// The flight departs when the lease is held by another.
    DepartureWhenHeld,
    /// The departure waits for the answer about the lease.
    DepartureAfterTheAnswer,
    /// Local epochs end, flights are detached and near entries removed before the deletion.
    LocalPassBefore,
    /// The same after the deletion.
    LocalPassAfter,
    /// A near hit names the local epochs of this moment.
    EpochsComparedByNearHit,
    /// A near insert needs the mark from before the look-up.
    MarkCheckedByNearInsert,
    /// A pushed generation ends the pushed epoch of its level.
    PushedEpochs,
    /// A pushed entry is removed from the near tier.
    PushedEntries,
    /// A near hit needs the connection under which the entry was inserted.
    NearBoundToConnection,
    /// `FILL` reads the entry after it has set it, so that the server watches it for this connection.
    FillRegistersAgain,
    /// Pushes are handled before the replies that follow them.
    PushesBeforeLaterReplies,
    /// A generation that is created again has another token.
    TokensNeverRepeat,
    /// The lease of a dead holder ends.
    LeasesEnd,
    /// Invalidating an entry deletes its lease too.
    InvalidationDeletesTheLease,
}
