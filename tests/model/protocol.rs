//! What can happen next in a state of the world.

use crate::checker::{Model, Steps};
use crate::configuration::{By, Configuration, What};
use crate::guard::Guard;
use crate::world::{
    CALLS, Entry, Event, FRESH, FlightPhase, LEVELS, Near, PROCESSES, Phase, Process, Redis, Role,
    Stage, Token, Version, Watched, World,
};

/// Times a leader looks again because the entry changed under it; 3 in the runtime, where more calls can change it. With 1
/// what comes after is within the reach of few calls.
pub(crate) const MAX_CHANGES: u8 = 1;

/// The token of every generation once tokens repeat.
pub(crate) const REPEATED: Token = 1;

/// The protocol with a cast, and with at most one guard left out.
pub(crate) struct Protocol<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) without: Option<Guard>,
}

/// A step, as a counterexample tells it; numbers are those of calls, processes, invalidations and levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A call begins: it takes epochs and mark, and looks into the near tier.
    Begin(usize),
    /// The `MGET` reaches the server.
    LookUp(usize),
    /// The `MGET`, or what a leader asks, is not answered.
    Unanswered(usize),
    /// The call looks into the near tier instead.
    LookHere(usize),
    /// It joins a flight, or begins one.
    Join(usize),
    /// Its flight departs without Redis.
    DepartHere(usize),
    /// It looks into the near tier once more.
    LookAgain(usize),
    /// It returns what it found there.
    ReturnFound(usize),
    /// It puts what it has loaded into the near tier.
    Keep(usize),
    /// The reply reaches the call: it is a hit, or the call joins a flight, or a leader goes on.
    Answer(usize),
    /// A follower gets the value, or takes the seat of a leader that was dropped.
    Landing(usize),
    /// `SET NX` of the missing generations.
    CreateGenerations(usize),
    /// `GET` of the same.
    ReadGenerations(usize),
    /// The script `ACQUIRE` runs.
    Acquire(usize),
    /// Its answer reaches the leader: the flight departs.
    Depart(usize),
    /// The wait for another process's leader ends, since lease or entry is another.
    Wake(usize),
    /// The body begins, and reads the truth.
    Load(usize),
    /// The body ends: the followers get the value.
    Land(usize),
    /// The script `FILL` runs.
    Fill(usize),
    /// Its answer reaches the leader, who inserts into the near tier and leaves.
    Leave(usize),
    /// The truth is written; then the first half of the first local pass, which is all of it for a level.
    BeginInvalidation(usize),
    /// The second half of a local pass of an entry's invalidation.
    Remove(usize),
    /// `UNLINK`.
    Delete(usize),
    /// The first half of the second local pass.
    DetachAgain(usize),
    /// What is left of the second local pass; then the invalidation has returned.
    Return(usize),
    /// A push reaches the process.
    Push(usize),
    /// The process notices that its connection is dead, and has another.
    Reconnect(usize),
    /// The lease of a dead holder is given back or expires.
    LeaseEnds,
    EvictEntry,
    EvictGeneration(usize),
    EvictNear,
    ExpireLease,
    /// A leader that waits looks again, though nothing has changed.
    Timer(usize),
    /// A leader is dropped.
    Crash(usize),
    LoseConnection(usize),
    /// A process that has filled lets the generations live longer.
    Prolong(usize),
    /// There is no step, and somebody waits.
    Nothing,
}

pub(crate) type Outcome = Result<World, &'static str>;
type StepOfCall<'a> = fn(&Protocol<'a>, World, usize) -> Outcome;

impl Model for Protocol<'_> {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        let warm = self.configuration.warm;
        let present = |level| Token::from(warm.is_some() || level >= self.configuration.levels);
        let generations = std::array::from_fn(present);
        let in_redis = warm.filter(|_| self.configuration.redis);
        let redis = Redis {
            entry: in_redis.map(|version| Entry {
                version,
                stamp: 1,
                generations,
            }),
            generations,
            ..Redis::default()
        };
        let mut world = World {
            redis,
            processes: [Process {
                epochs: [1; LEVELS],
                pushed: [1; LEVELS],
                mark: 1,
                connection: 1,
                interest: [warm.is_some() && self.configuration.near; 1 + LEVELS],
                near: warm
                    .filter(|_| self.configuration.near)
                    .map(|version| Near {
                        version,
                        epochs: [1; LEVELS],
                        pushed: [1; LEVELS],
                        connection: 1,
                    }),
                ..Process::default()
            }; PROCESSES],
            ..World::default()
        };
        for &event in self.configuration.events {
            world.may[event as usize] = true;
        }
        for call in self.configuration.calls.len()..CALLS {
            world.calls[call].phase = Phase::Done;
        }
        for number in self.configuration.invalidations.len()..world.invalidations.len() {
            world.invalidations[number] = Stage::Returned;
        }
        world
    }

    fn steps(&self, world: &World, add: &mut Steps<Step, World>) {
        for number in 0..CALLS {
            self.steps_of_call(world, number, add);
        }
        for number in 0..world.invalidations.len() {
            self.steps_of_invalidation(world, number, add);
        }
        for process in 0..PROCESSES {
            self.steps_of_connection(world, process, add);
        }
        let lease = world.redis.lease;
        if lease != 0 && !world.is_alive(lease) && self.has(Guard::LeasesEnd) {
            let mut next = *world;
            next.redis.lease = 0;
            add.push((Step::LeaseEnds, self.settle(next)));
        }
        let waits = world.calls.iter().any(|call| call.phase != Phase::Done);
        if add.is_empty() && waits {
            add.push((Step::Nothing, Err("progress: a call waits for ever")));
        }
        self.steps_of_environment(world, add);
    }
}

// --- what can happen next -------------------------------------------------------------------

impl Protocol<'_> {
    pub(crate) fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    pub(crate) fn process_of(&self, call: usize) -> usize {
        self.configuration
            .calls
            .get(call)
            .map_or(0, |caller| caller.process)
    }

    fn steps_of_call(&self, world: &World, number: usize, add: &mut Steps<Step, World>) {
        let process = &world.processes[self.process_of(number)];
        let in_time = |behind: u8| behind == 0 || !self.has(Guard::PushesBeforeLaterReplies);
        let (step, next): (Step, StepOfCall<'_>) = match world.calls[number].phase {
            Phase::Idle if self.is_next(world, number) => (Step::Begin(number), Self::begin),
            Phase::Answered { behind, .. } if in_time(behind) => {
                (Step::Answer(number), Self::answer)
            }
            Phase::Following if self.has_landed(world, number) => {
                (Step::Landing(number), Self::landing)
            }
            Phase::Granted | Phase::Held | Phase::Changed => (Step::Depart(number), Self::depart),
            Phase::Waiting if Self::has_changed(world, number) => (Step::Wake(number), Self::wake),
            Phase::Here => (Step::LookHere(number), Self::look_here),
            Phase::Joining => (Step::Join(number), Self::join),
            Phase::DepartingHere => (Step::DepartHere(number), Self::depart_here),
            Phase::LookingAgain => (Step::LookAgain(number), Self::look_again),
            Phase::Found(_) => (Step::ReturnFound(number), Self::return_found),
            Phase::Filling(_) if !self.configuration.redis => (Step::Keep(number), Self::keep),
            Phase::Keeping(_) => (Step::Keep(number), Self::insert_late),
            Phase::Ready => (Step::Load(number), Self::load),
            Phase::Loading(_) => (Step::Land(number), Self::land),
            Phase::Filled { behind, .. } if in_time(behind) => (Step::Leave(number), Self::leave),
            // Everything below goes to Redis.
            _ if process.lost => return,
            Phase::Asking => (Step::LookUp(number), Self::look_up),
            Phase::Renewing => (Step::CreateGenerations(number), Self::create_generations),
            Phase::Renewed => (Step::ReadGenerations(number), Self::read_generations),
            Phase::Acquiring => (Step::Acquire(number), Self::acquire),
            Phase::Filling(_) => (Step::Fill(number), Self::fill),
            _ => return,
        };
        add.push((step, self.settled(next(self, *world, number))));
    }

    /// Whether this call may begin: equal calls begin in their order, since another order is the same in other names.
    fn is_next(&self, world: &World, number: usize) -> bool {
        let calls = self.configuration.calls;
        number == 0
            || calls[number - 1] != calls[number]
            || world.calls[number - 1].phase != Phase::Idle
    }

    fn has_landed(&self, world: &World, number: usize) -> bool {
        let Role::Follows(flight) = world.calls[number].role else {
            return false;
        };
        let flight = world.flights[usize::from(flight)];
        flight.is_some_and(|flight| flight.phase != FlightPhase::Led)
    }

    /// Whether another look would see something else; a timer may make a waiting leader look for nothing.
    fn has_changed(world: &World, number: usize) -> bool {
        let view = &world.calls[number].view;
        view.lease != world.redis.lease || view.stamp != world.redis.stamp()
    }

    fn steps_of_invalidation(&self, world: &World, number: usize, add: &mut Steps<Step, World>) {
        let Some(invalidation) = self.configuration.invalidations.get(number) else {
            return;
        };
        let mut next = *world;
        let what = invalidation.what;
        let step = match (world.invalidations[number], invalidation.by) {
            (Stage::Waiting, by) => {
                next.truth += 1;
                let before = self.has(Guard::LocalPassBefore) || !self.configuration.redis;
                next.invalidations[number] = match by {
                    By::Process(process) if before => {
                        self.forget_first(&mut next.processes[process], what);
                        after_first_half(what, next.truth)
                    }
                    By::Process(_) | By::Operator => Stage::Begun(next.truth),
                };
                Step::BeginInvalidation(number)
            }
            (Stage::Halfway(version), By::Process(process)) => {
                self.forget_second(&mut next.processes[process]);
                next.invalidations[number] = Stage::Begun(version);
                Step::Remove(number)
            }
            (Stage::Begun(version), by) if !self.configuration.redis => {
                settle_invalidation(&mut next, number, by, version);
                Step::Return(number)
            }
            (Stage::Begun(_), By::Process(process)) if world.processes[process].lost => return,
            (Stage::Begun(version), by) => {
                self.delete(&mut next, by, what);
                for (process, deleted) in next.redis.deleted.iter_mut().enumerate() {
                    if self.configuration.near && by != By::Process(process) {
                        *deleted = version.max(*deleted);
                    }
                }
                next.invalidations[number] = Stage::Deleted(version);
                Step::Delete(number)
            }
            (Stage::Deleted(version), By::Process(process))
                if what == What::Entry && self.has(Guard::LocalPassAfter) =>
            {
                self.forget_first(&mut next.processes[process], what);
                next.invalidations[number] = Stage::HalfwayAgain(version);
                Step::DetachAgain(number)
            }
            (Stage::Deleted(version), by) => {
                if let By::Process(process) = by
                    && self.has(Guard::LocalPassAfter)
                {
                    self.forget_first(&mut next.processes[process], what);
                }
                settle_invalidation(&mut next, number, by, version);
                Step::Return(number)
            }
            (Stage::HalfwayAgain(version), by) => {
                if let By::Process(process) = by {
                    self.forget_second(&mut next.processes[process]);
                }
                settle_invalidation(&mut next, number, by, version);
                Step::Return(number)
            }
            (Stage::Halfway(_), By::Operator) | (Stage::Returned, _) => return,
        };
        add.push((step, self.settle(next)));
    }

    fn steps_of_connection(&self, world: &World, number: usize, add: &mut Steps<Step, World>) {
        let mut next = *world;
        let process = &mut next.processes[number];
        if process.lost {
            process.lost = false;
            process.connection = FRESH;
            add.push((Step::Reconnect(number), self.settle(next)));
            return;
        }
        let Some(key) = process.pushes.next() else {
            return;
        };
        match key {
            Watched::Entry => {
                process.mark = FRESH;
                if self.has(Guard::PushedEntries) {
                    process.near = None;
                }
            }
            Watched::Generation(level) => {
                if self.has(Guard::PushedEpochs) {
                    process.pushed[usize::from(level)] = FRESH;
                }
            }
        }
        self.each_reply(&mut next, number, |behind| {
            *behind = behind.saturating_sub(1);
        });
        add.push((Step::Push(number), self.settle(next)));
    }

    fn each_reply(&self, world: &mut World, process: usize, change: impl Fn(&mut u8)) {
        for (number, call) in world.calls.iter_mut().enumerate() {
            if let Phase::Answered { behind, .. } | Phase::Filled { behind, .. } = &mut call.phase
                && self.process_of(number) == process
            {
                change(behind);
            }
        }
    }

    fn steps_of_environment(&self, world: &World, add: &mut Steps<Step, World>) {
        let may = |event: Event| world.may[event as usize];
        let mut after = |step, event, change: &dyn Fn(&mut World)| {
            let mut next = *world;
            next.may[event as usize] = false;
            change(&mut next);
            add.push((step, self.settle(next)));
        };
        if may(Event::EvictEntry) && world.redis.entry.is_some() {
            after(Step::EvictEntry, Event::EvictEntry, &|next| {
                next.redis.entry = None;
                self.changed(next, Watched::Entry, By::Operator);
            });
        }
        if may(Event::EvictNear) && world.processes[0].near.is_some() {
            after(Step::EvictNear, Event::EvictNear, &|next| {
                next.processes[0].near = None;
            });
        }
        for level in 0..self.configuration.levels {
            if may(Event::EvictGeneration) && world.redis.generations[level] != 0 {
                after(
                    Step::EvictGeneration(level),
                    Event::EvictGeneration,
                    &|next| {
                        self.delete(next, By::Operator, What::Level(level as u8));
                    },
                );
            }
        }
        if may(Event::ExpireLease) && world.redis.lease != 0 && world.is_alive(world.redis.lease) {
            after(Step::ExpireLease, Event::ExpireLease, &|next| {
                next.redis.lease = 0;
            });
        }
        for (number, call) in world.calls.iter().enumerate() {
            if may(Event::Crash) && matches!(call.role, Role::Leads(_)) {
                after(Step::Crash(number), Event::Crash, &|next| {
                    self.crash(next, number);
                });
            }
            if may(Event::Timer) && call.phase == Phase::Waiting {
                after(Step::Timer(number), Event::Timer, &|next| {
                    self.take_marks(next, number);
                });
            }
            if may(Event::Unanswered) && asks_redis(call.phase) {
                after(Step::Unanswered(number), Event::Unanswered, &|next| {
                    self.unanswered(next, number);
                });
            }
        }
        for (number, process) in world.processes.iter().enumerate() {
            if may(Event::Prolong) && !process.lost {
                after(Step::Prolong(number), Event::Prolong, &|next| {
                    self.prolong(next, number);
                });
            }
            if may(Event::LoseConnection) && !process.lost {
                after(
                    Step::LoseConnection(number),
                    Event::LoseConnection,
                    &|next| {
                        self.lose_connection(next, number);
                    },
                );
            }
        }
    }

    fn settled(&self, outcome: Outcome) -> Outcome {
        outcome.and_then(|world| self.settle(world))
    }

    /// Checks what must always hold, and gives the state its one form.
    fn settle(&self, mut world: World) -> Outcome {
        let readable = world.redis.entry.filter(|entry| self.is_hit(&world, entry));
        if readable.is_some_and(|entry| entry.version < world.settled) {
            return Err("P3: a value from before an invalidation can be read after it");
        }
        for number in 0..PROCESSES {
            let process = &mut world.processes[number];
            // What can never be hit again is as good as removed.
            process.near = process.near.filter(|near| self.is_near_hit(process, near));
        }
        world.sweep();
        world.rename(
            |call| self.process_of(call),
            self.has(Guard::TokensNeverRepeat),
        );
        Ok(world)
    }
}

/// Whether a call waits for Redis.
fn asks_redis(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Asking
            | Phase::Renewing
            | Phase::Renewed
            | Phase::Acquiring
            | Phase::Granted
            | Phase::Held
            | Phase::Changed
    )
}

/// The stage after the first half of a local pass: a level has no second one.
fn after_first_half(what: What, version: Version) -> Stage {
    match what {
        What::Entry => Stage::Halfway(version),
        What::Level(_) => Stage::Begun(version),
    }
}

/// From here on an invalidation binds all calls that begin.
fn settle_invalidation(world: &mut World, number: usize, by: By, version: Version) {
    if let By::Process(process) = by {
        let settled = &mut world.processes[process].settled;
        *settled = version.max(*settled);
    }
    world.settled = world.settled.max(version);
    world.invalidations[number] = Stage::Returned;
}
