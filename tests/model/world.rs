//! The state of the world: the truth, Redis, the processes, the calls, their flights, the invalidations.
//!
//! Everything is small and is copied. Tokens, stamps and counters are only ever compared for equality, so after each
//! step they are renamed in the order in which they occur; states that differ in names alone are one state.

pub(crate) const LEVELS: usize = 2;
pub(crate) const PROCESSES: usize = 2;
pub(crate) const CALLS: usize = 4;
pub(crate) const INVALIDATIONS: usize = 2;

/// Something that is only compared for equality; 0 is none.
pub(crate) type Token = u8;

/// What is new gets this name, until it is renamed at the end of the step.
pub(crate) const FRESH: Token = u8::MAX;

/// A state of the source of truth: how often it was written.
pub(crate) type Version = u8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct World {
    pub(crate) truth: Version,
    /// The newest version whose invalidation has returned.
    pub(crate) settled: Version,
    pub(crate) redis: Redis,
    pub(crate) processes: [Process; PROCESSES],
    pub(crate) calls: [Call; CALLS],
    /// A flight has the number of the call that began it.
    pub(crate) flights: [Option<Flight>; CALLS],
    pub(crate) invalidations: [Stage; INVALIDATIONS],
    /// What the environment may still do, by `Event`.
    pub(crate) may: [bool; Event::COUNT],
    /// Bodies that were run, where nothing interferes.
    pub(crate) bodies: u8,
}

/// What the environment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    EvictEntry,
    EvictGeneration,
    /// The near tier of the first process drops what it has.
    EvictNear,
    /// The lease ends while its holder is alive.
    ExpireLease,
    /// A leader is dropped.
    Crash,
    LoseConnection,
    /// A leader that waits for another process looks again, though nothing has changed.
    Timer,
    /// Redis does not answer a request of a call.
    Unanswered,
    /// A process prolongs the life of the generations.
    Prolong,
}

impl Event {
    pub(crate) const COUNT: usize = 9;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Redis {
    pub(crate) entry: Option<Entry>,
    pub(crate) lease: Token,
    pub(crate) generations: [Token; LEVELS],
    /// For each process, the newest version whose invalidation has been made here by somebody else.
    pub(crate) deleted: [Version; PROCESSES],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Entry {
    pub(crate) version: Version,
    pub(crate) stamp: Token,
    pub(crate) generations: [Token; LEVELS],
}

impl Redis {
    /// The stamp of the entry that stands.
    pub(crate) fn stamp(&self) -> Token {
        self.entry.map_or(0, |entry| entry.stamp)
    }
}

/// A key of Redis that the tracking of the server watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Watched {
    Entry,
    Generation(u8),
}

impl Watched {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Entry => 0,
            Self::Generation(level) => 1 + usize::from(level),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Process {
    /// The local epoch of each level.
    pub(crate) epochs: [Token; LEVELS],
    /// The pushed epoch of each level.
    pub(crate) pushed: [Token; LEVELS],
    /// The mark of the entry.
    pub(crate) mark: Token,
    pub(crate) connection: Token,
    /// The connection is dead, which has not been noticed.
    pub(crate) lost: bool,
    /// What the server will tell this connection, once.
    pub(crate) interest: [bool; 1 + LEVELS],
    pub(crate) pushes: Pushes,
    pub(crate) near: Option<Near>,
    /// The flight that can be joined.
    pub(crate) table: Option<u8>,
    /// The newest version whose invalidation has returned in this process.
    pub(crate) settled: Version,
    /// The newest version whose deletion, by somebody else, is older than a reply that this process has handled.
    pub(crate) heard: Version,
    /// A lease on its way back.
    pub(crate) returning: Token,
}

/// What the server has pushed to one connection, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Pushes([Option<Watched>; 6]);

impl Pushes {
    pub(crate) fn len(&self) -> u8 {
        self.0.iter().flatten().count() as u8
    }

    pub(crate) fn add(&mut self, key: Watched) {
        let free = self.0.iter_mut().find(|slot| slot.is_none());
        *free.expect("the queue of pushes is longer than any configuration fills it") = Some(key);
    }

    pub(crate) fn next(&mut self) -> Option<Watched> {
        let next = self.0[0].take();
        self.0.rotate_left(1);
        next
    }
}

/// An entry of the tier in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Near {
    pub(crate) version: Version,
    pub(crate) epochs: [Token; LEVELS],
    pub(crate) pushed: [Token; LEVELS],
    pub(crate) connection: Token,
}

/// What a call knew at its look-up: `Seen`, and what an insert into the near tier is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct View {
    pub(crate) epochs: [Token; LEVELS],
    pub(crate) pushed: [Token; LEVELS],
    pub(crate) mark: Token,
    pub(crate) connection: Token,
    /// Whether Redis answered; what follows is 0 if it did not.
    pub(crate) answered: bool,
    pub(crate) lease: Token,
    pub(crate) stamp: Token,
    pub(crate) generations: [Token; LEVELS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Call {
    pub(crate) phase: Phase,
    pub(crate) role: Role,
    pub(crate) view: View,
    /// The lease under which this call may fill.
    pub(crate) leave: Token,
    /// How often the entry changed under it.
    pub(crate) changes: u8,
    /// Redis did not answer it, so only invalidations of its own process bind it.
    pub(crate) alone: bool,
    /// What had been settled when it began, anywhere and in its own process.
    pub(crate) floor: Version,
    pub(crate) own_floor: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Phase {
    #[default]
    Idle,
    /// Epochs and mark are taken, the `MGET` is to come.
    Asking,
    /// The server has replied, behind so many pushes.
    Answered {
        hit: Option<Version>,
        behind: u8,
        news: Version,
    },
    /// There is no answer of Redis, so the process is asked.
    Here,
    /// It has nothing either: to join a flight, or to lead one.
    Joining,
    Following,
    /// A leader without Redis: to depart, to look into the near tier once more, and what was found there.
    DepartingHere,
    LookingAgain,
    Found(Version),
    /// The missing generations are to be created (`SET NX`), then to be read (`GET`).
    Renewing,
    Renewed,
    Acquiring,
    Granted,
    Held,
    Changed,
    /// With fleet coalescing, until the lease or the entry is another.
    Waiting,
    /// The body is to run.
    Ready,
    /// The body has read the truth.
    Loading(Version),
    Filling(Version),
    /// It is decided that the near tier gets it; a step of its own only without the lock under which it does.
    Keeping(Version),
    /// The server has stored it, and replied behind so many pushes.
    Filled {
        version: Version,
        behind: u8,
    },
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Role {
    #[default]
    None,
    Leads(u8),
    Follows(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) phase: FlightPhase,
    pub(crate) departure: Option<Departure>,
    /// The flight that stood in the table before, as long as it goes on.
    pub(crate) displaced: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FlightPhase {
    Led,
    /// The entry changed under the leader: everybody looks again.
    Dissolved,
    Vacant(Option<Cabin>),
    Landed(Version),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Departure {
    /// The calls that had begun by then, and have not joined yet: one bit each.
    pub(crate) begun: u8,
    pub(crate) view: View,
}

/// What a leader hands to its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cabin {
    pub(crate) view: View,
    pub(crate) leave: Token,
}

/// How far an invalidation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Stage {
    #[default]
    Waiting,
    /// The truth is written, and the first half of the first local pass is over.
    Halfway(Version),
    /// The first local pass is over.
    Begun(Version),
    /// Redis has deleted.
    Deleted(Version),
    /// The first half of the second local pass is over.
    HalfwayAgain(Version),
    Returned,
}

impl World {
    /// Whether whoever holds this lease may still use it.
    pub(crate) fn is_alive(&self, lease: Token) -> bool {
        let held = self.calls.iter().any(|call| call.leave == lease);
        let vacant = self.flights.iter().flatten().any(|flight| {
            matches!(flight.phase, FlightPhase::Vacant(Some(cabin)) if cabin.leave == lease)
        });
        held || vacant
    }

    pub(crate) fn has_followers(&self, flight: u8) -> bool {
        let follows = Role::Follows(flight);
        self.calls.iter().any(|call| call.role == follows)
    }

    /// Forgets what nothing refers to any more.
    pub(crate) fn sweep(&mut self) {
        for number in 0..CALLS as u8 {
            let named =
                |call: &Call| [Role::Leads(number), Role::Follows(number)].contains(&call.role);
            let joinable = self.processes.iter().any(|p| p.table == Some(number));
            if !joinable && !self.calls.iter().any(named) {
                self.flights[usize::from(number)] = None;
            }
        }
        let goes_on = self.flights.map(|flight| flight.is_some());
        for flight in self.flights.iter_mut().flatten() {
            flight.displaced = flight.displaced.filter(|&old| goes_on[usize::from(old)]);
        }
        let mut undecided = 0;
        for (number, call) in self.calls.iter().enumerate() {
            let asks = matches!(
                call.phase,
                Phase::Asking | Phase::Answered { .. } | Phase::Here | Phase::Joining
            );
            undecided |= u8::from(asks && call.role == Role::None) << number;
        }
        for flight in self.flights.iter_mut().flatten() {
            if let Some(departure) = &mut flight.departure {
                departure.begun &= undecided;
            }
        }
        for process in &mut self.processes {
            if process.returning != self.redis.lease {
                process.returning = 0;
            }
        }
    }

    /// Renames every token in the order in which it occurs.
    pub(crate) fn rename(&mut self, process_of: impl Fn(usize) -> usize, generations_too: bool) {
        let mut leases = Names::default();
        let mut stamps = Names::default();
        let mut generations = [Names::default(); LEVELS];
        let mut local = [Locals::default(); PROCESSES];

        leases.rename(&mut self.redis.lease);
        let entry = self.redis.entry.iter_mut();
        entry.for_each(|entry| stamps.rename(&mut entry.stamp));
        if generations_too {
            each(&mut generations, &mut self.redis.generations);
            let entry = self.redis.entry.iter_mut();
            entry.for_each(|entry| each(&mut generations, &mut entry.generations));
        }
        for (process, local) in self.processes.iter_mut().zip(&mut local) {
            each(&mut local.epochs, &mut process.epochs);
            each(&mut local.pushed, &mut process.pushed);
            local.marks.rename(&mut process.mark);
            local.connections.rename(&mut process.connection);
            leases.rename(&mut process.returning);
            if let Some(near) = &mut process.near {
                each(&mut local.epochs, &mut near.epochs);
                each(&mut local.pushed, &mut near.pushed);
                local.connections.rename(&mut near.connection);
            }
        }
        let mut view = |number: usize, view: &mut View, leave: &mut Token| {
            let local = &mut local[process_of(number)];
            each(&mut local.epochs, &mut view.epochs);
            each(&mut local.pushed, &mut view.pushed);
            local.marks.rename(&mut view.mark);
            local.connections.rename(&mut view.connection);
            leases.rename(&mut view.lease);
            leases.rename(leave);
            stamps.rename(&mut view.stamp);
            if generations_too {
                each(&mut generations, &mut view.generations);
            }
        };
        for (number, call) in self.calls.iter_mut().enumerate() {
            view(number, &mut call.view, &mut call.leave);
        }
        for (number, flight) in self.flights.iter_mut().enumerate() {
            let Some(flight) = flight else { continue };
            if let Some(departure) = &mut flight.departure {
                view(number, &mut departure.view, &mut 0);
            }
            if let FlightPhase::Vacant(Some(cabin)) = &mut flight.phase {
                view(number, &mut cabin.view, &mut cabin.leave);
            }
        }
    }
}

/// The new names of what is counted in one process.
#[derive(Clone, Copy, Default)]
struct Locals {
    epochs: [Names; LEVELS],
    pushed: [Names; LEVELS],
    marks: Names,
    connections: Names,
}

/// The old names in the order of the new ones.
#[derive(Clone, Copy, Default)]
struct Names {
    old: [Token; 16],
    count: usize,
}

impl Names {
    fn rename(&mut self, token: &mut Token) {
        if *token == 0 {
            return;
        }
        let known = self.old[..self.count].iter().position(|old| old == token);
        let position = known.unwrap_or_else(|| {
            self.old[self.count] = *token;
            self.count += 1;
            self.count - 1
        });
        *token = position as Token + 1;
    }
}

fn each(names: &mut [Names; LEVELS], tokens: &mut [Token; LEVELS]) {
    for (names, token) in names.iter_mut().zip(tokens) {
        names.rename(token);
    }
}
