//! The steps of the protocol, in the order in which a call takes them.

use crate::checker::{Model, Steps};
use crate::configuration::{By, Coalesce, Configuration, What};
use crate::guard::Guard;
use crate::world::{
    CALLS, Cabin, Call, Departure, Entry, Event, FRESH, Flight, FlightPhase, LEVELS, Near,
    PROCESSES, Phase, Process, Redis, Role, Stage, Token, Version, View, Watched, World,
};

/// Times a leader looks again because the entry changed under it; 3 in the runtime, where more calls can change it.
const MAX_CHANGES: u8 = 2;

/// The token of every generation once tokens repeat.
const REPEATED: Token = 1;

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
    /// The `MGET` is not answered.
    Unanswered(usize),
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
    /// The truth is written; then the first local pass.
    BeginInvalidation(usize),
    /// `UNLINK`.
    Delete(usize),
    /// The second local pass; then the invalidation has returned.
    Return(usize),
    /// A push reaches the process.
    Push(usize),
    /// The process notices that its connection is dead, and has another.
    Reconnect(usize),
    /// The lease of a dead holder is given back or expires.
    LeaseEnds,
    EvictEntry,
    EvictGeneration(usize),
    ExpireLease,
    /// A leader is dropped.
    Crash(usize),
    LoseConnection(usize),
    /// A process that has filled lets the generations live longer.
    Prolong(usize),
    /// There is no step, and somebody waits.
    Nothing,
}

type Outcome = Result<World, &'static str>;
type StepOfCall<'a> = fn(&Protocol<'a>, World, usize) -> Outcome;

impl Model for Protocol<'_> {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        let warm = self.configuration.warm;
        let present = |level| Token::from(warm.is_some() || level >= self.configuration.levels);
        let generations = std::array::from_fn(present);
        let redis = Redis {
            entry: warm.map(|version| Entry {
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
    fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    fn process_of(&self, call: usize) -> usize {
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

    /// Whether another look would see something else; the timer that makes a waiting leader look for nothing is left out.
    fn has_changed(world: &World, number: usize) -> bool {
        let view = &world.calls[number].view;
        view.lease != world.redis.lease || view.stamp != stamp_of(world)
    }

    fn steps_of_invalidation(&self, world: &World, number: usize, add: &mut Steps<Step, World>) {
        let Some(invalidation) = self.configuration.invalidations.get(number) else {
            return;
        };
        let mut next = *world;
        let step = match (world.invalidations[number], invalidation.by) {
            (Stage::Waiting, by) => {
                next.truth += 1;
                next.invalidations[number] = Stage::Begun(next.truth);
                if let By::Process(process) = by
                    && self.has(Guard::LocalPassBefore)
                {
                    self.forget_locally(&mut next.processes[process], invalidation.what);
                }
                Step::BeginInvalidation(number)
            }
            (Stage::Begun(_), By::Process(process)) if world.processes[process].lost => return,
            (Stage::Begun(version), by) => {
                self.delete(&mut next, by, invalidation.what);
                for (process, deleted) in next.redis.deleted.iter_mut().enumerate() {
                    if self.configuration.near && by != By::Process(process) {
                        *deleted = version.max(*deleted);
                    }
                }
                next.invalidations[number] = Stage::Deleted(version);
                Step::Delete(number)
            }
            (Stage::Deleted(version), by) => {
                if let By::Process(process) = by {
                    let process = &mut next.processes[process];
                    if self.has(Guard::LocalPassAfter) {
                        self.forget_locally(process, invalidation.what);
                    }
                    process.settled = process.settled.max(version);
                }
                next.settled = next.settled.max(version);
                next.invalidations[number] = Stage::Returned;
                Step::Return(number)
            }
            (Stage::Returned, _) => return,
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
            if may(Event::Unanswered) && call.phase == Phase::Asking {
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

// --- read -----------------------------------------------------------------------------------

impl Protocol<'_> {
    fn begin(&self, mut world: World, number: usize) -> Outcome {
        let process = &world.processes[self.process_of(number)];
        let settled = world.settled;
        let call = &mut world.calls[number];
        call.floor = settled;
        call.own_floor = process.settled;
        self.take_marks(&mut world, number);
        let process = &world.processes[self.process_of(number)];
        let hit = process
            .near
            .filter(|_| self.configuration.calls[number].near);
        let Some(hit) = hit else {
            return Ok(world);
        };
        if hit.version < process.settled {
            return Err("P2b: a near hit is older than an invalidation of this process");
        }
        // Nobody tells a connection what it deletes itself: until the second local pass nothing is known of the entry.
        let deletes = self.deletes(&world, self.process_of(number));
        if hit.version < process.heard && !deletes {
            return Err("P2c: a near hit is older than a deletion of which the process has heard");
        }
        let lags = process.lost || process.pushes.len() > 0 || deletes;
        if hit.version < settled && !lags {
            return Err("P2c: a near hit is older than an invalidation, and no push is on its way");
        }
        world.calls[number] = DONE;
        Ok(world)
    }

    /// Whether an invalidation of this process has deleted in Redis, and not returned yet.
    fn deletes(&self, world: &World, process: usize) -> bool {
        let invalidations = self.configuration.invalidations.iter();
        { invalidations }
            .zip(world.invalidations)
            .any(|(invalidation, stage)| {
                invalidation.by == By::Process(process) && matches!(stage, Stage::Deleted(_))
            })
    }

    /// Epochs, mark and connection, from before the look-up.
    fn take_marks(&self, world: &mut World, number: usize) {
        let process = &world.processes[self.process_of(number)];
        let call = &mut world.calls[number];
        call.view = View {
            epochs: process.epochs,
            pushed: process.pushed,
            mark: process.mark,
            connection: process.connection,
            ..View::default()
        };
        call.phase = Phase::Asking;
    }

    /// Whether an entry answers a read at this moment.
    fn is_hit(&self, world: &World, entry: &Entry) -> bool {
        let now = world.redis.generations;
        let current = entry.generations == now && !now.contains(&0);
        current || !self.has(Guard::GenerationsComparedOnRead)
    }

    fn is_near_hit(&self, process: &Process, near: &Near) -> bool {
        let same_epochs =
            near.epochs == process.epochs || !self.has(Guard::EpochsComparedByNearHit);
        let same_connection =
            near.connection == process.connection || !self.has(Guard::NearBoundToConnection);
        same_epochs && near.pushed == process.pushed && same_connection
    }

    fn look_up(&self, mut world: World, number: usize) -> Outcome {
        let hit = world.redis.entry.filter(|entry| self.is_hit(&world, entry));
        let stamp = stamp_of(&world);
        let news = world.redis.deleted[self.process_of(number)];
        let process = &mut world.processes[self.process_of(number)];
        if self.configuration.near {
            process.interest = [true; 1 + LEVELS];
        }
        let call = &mut world.calls[number];
        call.view.answered = true;
        call.view.lease = world.redis.lease;
        call.view.stamp = stamp;
        call.view.generations = world.redis.generations;
        call.phase = Phase::Answered {
            hit: hit.map(|entry| entry.version),
            behind: process.pushes.len(),
            news,
        };
        Ok(world)
    }

    fn unanswered(&self, world: &mut World, number: usize) {
        let call = &mut world.calls[number];
        call.alone = true;
        call.phase = Phase::Answered {
            hit: None,
            behind: 0,
            news: 0,
        };
    }

    fn answer(&self, mut world: World, number: usize) -> Outcome {
        let process = self.process_of(number);
        let call = &mut world.calls[number];
        let Phase::Answered { hit, news, .. } = call.phase else {
            unreachable!("only an answered call gets an answer");
        };
        world.processes[process].heard = world.processes[process].heard.max(news);
        let role = call.role;
        match (hit, role) {
            (Some(version), Role::Leads(flight)) => {
                self.insert_near(&mut world, number, version);
                self.land_flight(&mut world, flight, version);
                self.leave_table(&mut world, number, flight);
                self.finish(world, number, version)
            }
            (Some(version), _) => {
                self.insert_near(&mut world, number, version);
                self.finish(world, number, version)
            }
            (None, Role::Leads(_)) => Ok(self.take_off(world, number)),
            (None, _) => Ok(self.join(world, number)),
        }
    }

    fn insert_near(&self, world: &mut World, number: usize, version: Version) {
        let view = &world.calls[number].view;
        let process = &mut world.processes[self.process_of(number)];
        if !self.configuration.calls[number].near {
            return;
        }
        if process.mark != view.mark && self.has(Guard::MarkCheckedByNearInsert) {
            return;
        }
        process.near = Some(Near {
            version,
            epochs: view.epochs,
            pushed: view.pushed,
            connection: view.connection,
        });
    }

    /// The call returns this version.
    fn finish(&self, mut world: World, number: usize, version: Version) -> Outcome {
        let call = world.calls[number];
        if version < call.own_floor {
            return Err("P2b: a call returned what its own process had invalidated before");
        }
        if version < call.floor && !call.alone {
            return Err("P2a: a call returned what had been invalidated before it began");
        }
        world.calls[number] = DONE;
        Ok(world)
    }
}

/// A call that has ended, of which nothing matters any more.
const DONE: Call = Call {
    phase: Phase::Done,
    role: Role::None,
    view: View {
        epochs: [0; LEVELS],
        pushed: [0; LEVELS],
        mark: 0,
        connection: 0,
        answered: false,
        lease: 0,
        stamp: 0,
        generations: [0; LEVELS],
    },
    leave: 0,
    changes: 0,
    alone: false,
    floor: 0,
    own_floor: 0,
};

fn stamp_of(world: &World) -> Token {
    world.redis.entry.map_or(0, |entry| entry.stamp)
}

// --- who may join a flight ------------------------------------------------------------------

impl Protocol<'_> {
    fn join(&self, mut world: World, number: usize) -> World {
        let process = self.process_of(number);
        if let Some(joinable) = world.processes[process].table
            && let Some(flight) = &world.flights[usize::from(joinable)]
            && self.admits(flight, number, &world.calls[number].view)
        {
            world.calls[number].role = Role::Follows(joinable);
            world.calls[number].phase = Phase::Following;
            return world;
        }
        let displaced = world.processes[process].table.replace(number as u8);
        world.flights[number] = Some(Flight {
            phase: FlightPhase::Led,
            departure: None,
            displaced,
        });
        world.calls[number].role = Role::Leads(number as u8);
        self.take_off(world, number)
    }

    fn admits(&self, flight: &Flight, caller: usize, view: &View) -> bool {
        let Some(departure) = &flight.departure else {
            return true;
        };
        let began_before = departure.begun & (1 << caller) != 0;
        (began_before && self.has(Guard::EarlierCallersMayFollow))
            || self.covers(&departure.view, view)
    }

    fn covers(&self, mine: &View, theirs: &View) -> bool {
        let unless = |guard, holds: bool| holds || !self.has(guard);
        if !unless(Guard::FollowersSawTheEpochs, mine.epochs == theirs.epochs) {
            return false;
        }
        if !theirs.answered {
            return true;
        }
        mine.answered
            && unless(Guard::FollowersSawTheLease, mine.lease == theirs.lease)
            && unless(Guard::FollowersNeedALease, mine.lease != 0)
            && unless(
                Guard::FollowersSawTheGenerations,
                mine.generations == theirs.generations,
            )
            && unless(
                Guard::FollowersNeedEveryGeneration,
                !mine.generations.contains(&0),
            )
    }

    fn landing(&self, mut world: World, number: usize) -> Outcome {
        let Role::Follows(followed) = world.calls[number].role else {
            unreachable!("only a follower waits for a landing");
        };
        let Some(flight) = &mut world.flights[usize::from(followed)] else {
            unreachable!("a followed flight stays");
        };
        let cabin = match flight.phase {
            FlightPhase::Led => unreachable!("a led flight has not landed"),
            FlightPhase::Landed(version) => return self.finish(world, number, version),
            FlightPhase::Vacant(cabin) => cabin,
        };
        flight.phase = FlightPhase::Led;
        let call = &mut world.calls[number];
        call.role = Role::Leads(followed);
        let Some(cabin) = cabin else {
            return Ok(self.take_off(world, number));
        };
        call.view = cabin.view;
        call.leave = cabin.leave;
        call.phase = Phase::Ready;
        Ok(world)
    }

    /// Departs under the view of the leader; the last departure counts.
    fn depart_flight(&self, world: &mut World, number: usize) {
        let Role::Leads(flight) = world.calls[number].role else {
            unreachable!("only a leader departs");
        };
        let begun = |(number, call): (usize, &Call)| u8::from(call.phase != Phase::Idle) << number;
        let begun = world.calls.iter().enumerate().map(begun).sum();
        let view = View {
            pushed: [0; LEVELS],
            mark: 0,
            connection: 0,
            stamp: 0,
            ..world.calls[number].view
        };
        if let Some(flight) = &mut world.flights[usize::from(flight)] {
            flight.departure = Some(Departure { begun, view });
        }
    }

    fn land_flight(&self, world: &mut World, flight: u8, version: Version) {
        if let Some(flight) = &mut world.flights[usize::from(flight)] {
            flight.phase = FlightPhase::Landed(version);
        }
    }

    fn leave_table(&self, world: &mut World, number: usize, flight: u8) {
        let table = &mut world.processes[self.process_of(number)].table;
        *table = table.filter(|&joinable| joinable != flight);
    }
}

// --- from the lead to the leave to fill -----------------------------------------------------

impl Protocol<'_> {
    fn take_off(&self, mut world: World, number: usize) -> World {
        let view = &world.calls[number].view;
        let missing = view.generations.contains(&0);
        let phase = match (view.answered, world.calls[number].changes) {
            (false, _) => {
                self.depart_flight(&mut world, number);
                Phase::Ready
            }
            (true, MAX_CHANGES) => Phase::Ready,
            (true, _) if missing => Phase::Renewing,
            (true, _) => Phase::Acquiring,
        };
        world.calls[number].phase = phase;
        self.ask(&mut world, number);
        world
    }

    /// The request for the lease leaves.
    fn ask(&self, world: &mut World, number: usize) {
        let asks = world.calls[number].phase == Phase::Acquiring;
        if asks && !self.has(Guard::DepartureAfterTheAnswer) {
            self.depart_flight(world, number);
        }
    }

    fn create_generations(&self, mut world: World, number: usize) -> Outcome {
        let by = By::Process(self.process_of(number));
        for level in 0..LEVELS {
            let missing = world.calls[number].view.generations[level] == 0;
            if missing && world.redis.generations[level] == 0 {
                let never_repeats = self.has(Guard::TokensNeverRepeat);
                world.redis.generations[level] = if never_repeats { FRESH } else { REPEATED };
                self.changed(&mut world, Watched::Generation(level as u8), by);
            }
        }
        world.calls[number].phase = Phase::Renewed;
        Ok(world)
    }

    fn read_generations(&self, mut world: World, number: usize) -> Outcome {
        for level in 0..LEVELS {
            if world.calls[number].view.generations[level] == 0 {
                world.calls[number].view.generations[level] = world.redis.generations[level];
                if self.configuration.near {
                    let watched = Watched::Generation(level as u8);
                    world.processes[self.process_of(number)].interest[watched.index()] = true;
                }
            }
        }
        world.calls[number].phase = Phase::Acquiring;
        self.ask(&mut world, number);
        Ok(world)
    }

    fn acquire(&self, mut world: World, number: usize) -> Outcome {
        let returning = world.processes[self.process_of(number)].returning;
        let stamp = stamp_of(&world);
        let holder = world.redis.lease;
        let call = &mut world.calls[number];
        if call.view.stamp != stamp && self.has(Guard::StampCheckedByAcquire) {
            call.phase = Phase::Changed;
        } else if holder != 0 && holder != returning {
            call.view.lease = holder;
            call.phase = Phase::Held;
        } else {
            world.redis.lease = FRESH;
            call.view.lease = FRESH;
            call.leave = FRESH;
            call.phase = Phase::Granted;
        }
        Ok(world)
    }

    fn depart(&self, mut world: World, number: usize) -> Outcome {
        let phase = world.calls[number].phase;
        let guard = match phase {
            Phase::Granted => Guard::DepartureWhenGranted,
            Phase::Held => Guard::DepartureWhenHeld,
            _ => Guard::DepartureBeforeTheSecondLook,
        };
        if self.has(guard) {
            self.depart_flight(&mut world, number);
        }
        world.calls[number].phase = match (phase, self.configuration.coalesce) {
            (Phase::Changed, _) => {
                world.calls[number].changes += 1;
                return self.wake(world, number);
            }
            (Phase::Held, Coalesce::Fleet) => Phase::Waiting,
            _ => Phase::Ready,
        };
        Ok(world)
    }

    /// Looks again.
    fn wake(&self, mut world: World, number: usize) -> Outcome {
        self.take_marks(&mut world, number);
        Ok(world)
    }
}

// --- load and fill --------------------------------------------------------------------------

impl Protocol<'_> {
    fn load(&self, mut world: World, number: usize) -> Outcome {
        let call = &world.calls[number];
        for other in &world.calls {
            // While a leader looks a second time, a call that begins cannot follow it, and either may get the lease.
            let at_first_look = call.changes == 0 && other.changes == 0;
            let loads = matches!(other.phase, Phase::Loading(_));
            let beside = displaced(&world, call.role, other.role)
                || displaced(&world, other.role, call.role);
            if loads && at_first_look && beside && is_same_view(&call.view, &other.view) {
                return Err("P4: two bodies run in one process under one view");
            }
        }
        if self.configuration.is_quiet() {
            world.bodies += 1;
            let one_process = self
                .configuration
                .calls
                .iter()
                .all(|call| call.process == 0);
            let together = one_process || self.configuration.coalesce == Coalesce::Fleet;
            if together && world.bodies > 1 {
                return Err("P4: a second body runs, where nothing interferes");
            }
        }
        world.calls[number].phase = Phase::Loading(world.truth);
        Ok(world)
    }

    fn land(&self, mut world: World, number: usize) -> Outcome {
        let call = &mut world.calls[number];
        let (Phase::Loading(version), Role::Leads(flight)) = (call.phase, call.role) else {
            unreachable!("only a leader that loads lands");
        };
        // An envelope names every generation, so without one of them there is nothing to store.
        let may_fill = call.leave != 0 && !call.view.generations.contains(&0);
        call.phase = Phase::Filling(version);
        self.land_flight(&mut world, flight, version);
        if may_fill {
            return Ok(world);
        }
        self.give_back(&mut world, number);
        self.leave_table(&mut world, number, flight);
        self.finish(world, number, version)
    }

    fn give_back(&self, world: &mut World, number: usize) {
        let leave = std::mem::take(&mut world.calls[number].leave);
        if leave != 0 {
            world.processes[self.process_of(number)].returning = leave;
        }
    }

    fn fill(&self, mut world: World, number: usize) -> Outcome {
        let process = self.process_of(number);
        let call = world.calls[number];
        let (Phase::Filling(version), Role::Leads(flight)) = (call.phase, call.role) else {
            unreachable!("only a leader that has landed fills");
        };
        if world.redis.lease != call.leave && self.has(Guard::LeaseCheckedByFill) {
            self.leave_table(&mut world, number, flight);
            return self.finish(world, number, version);
        }
        let from_before = self.has(Guard::GenerationsFromBeforeTheLoad);
        world.redis.entry = Some(Entry {
            version,
            stamp: FRESH,
            generations: if from_before {
                call.view.generations
            } else {
                world.redis.generations
            },
        });
        world.redis.lease = 0;
        self.changed(&mut world, Watched::Entry, By::Process(process));
        let process = &mut world.processes[process];
        if self.configuration.near && self.has(Guard::FillRegistersAgain) {
            process.interest[Watched::Entry.index()] = true;
        }
        world.calls[number].phase = Phase::Filled {
            version,
            behind: process.pushes.len(),
        };
        Ok(world)
    }

    fn leave(&self, mut world: World, number: usize) -> Outcome {
        let call = world.calls[number];
        let (Phase::Filled { version, .. }, Role::Leads(flight)) = (call.phase, call.role) else {
            unreachable!("only a leader that has filled leaves");
        };
        self.insert_near(&mut world, number, version);
        self.leave_table(&mut world, number, flight);
        self.finish(world, number, version)
    }
}

/// Whether one leader's flight took the place of the other's in the table.
fn displaced(world: &World, new: Role, old: Role) -> bool {
    let (Role::Leads(new), Role::Leads(old)) = (new, old) else {
        return false;
    };
    let new = world.flights[usize::from(new)];
    new.is_some_and(|new| new.displaced == Some(old))
}

/// Whether two loads are one too many: they run under the same lease, and nothing had changed in between.
fn is_same_view(one: &View, other: &View) -> bool {
    let leased = one.lease != 0 && one.lease == other.lease;
    leased
        && !one.generations.contains(&0)
        && one.epochs == other.epochs
        && one.generations == other.generations
}

// --- what Redis does, and what happens to it ------------------------------------------------

impl Protocol<'_> {
    fn delete(&self, world: &mut World, by: By, what: What) {
        match what {
            What::Entry => {
                if world.redis.entry.take().is_some() {
                    self.changed(world, Watched::Entry, by);
                }
                if self.has(Guard::InvalidationDeletesTheLease) {
                    world.redis.lease = 0;
                }
            }
            What::Level(level) => {
                if std::mem::take(&mut world.redis.generations[usize::from(level)]) != 0 {
                    self.changed(world, Watched::Generation(level), by);
                }
            }
        }
    }

    /// The server tells everybody who asked for this key, once; the connection that changed it is forgotten without a word.
    fn changed(&self, world: &mut World, key: Watched, by: By) {
        for (number, process) in world.processes.iter_mut().enumerate() {
            let interested = std::mem::take(&mut process.interest[key.index()]);
            if interested && by != By::Process(number) {
                process.pushes.add(key);
            }
        }
    }

    /// `PEXPIRE` of the generations: a change, though the tokens stay, and so nobody is told who made it.
    fn prolong(&self, world: &mut World, number: usize) {
        for level in 0..self.configuration.levels {
            let watched = Watched::Generation(level as u8);
            if world.redis.generations[level] != 0 {
                self.changed(world, watched, By::Process(number));
            }
            if self.has(Guard::ProlongingRegistersAgain) {
                world.processes[number].interest[watched.index()] = true;
            }
        }
    }

    /// A leader is dropped: a follower takes the seat over, or the flight ends and the lease is given back.
    fn crash(&self, world: &mut World, number: usize) {
        let call = world.calls[number];
        let Role::Leads(flight) = call.role else {
            unreachable!("only a leader's crash matters");
        };
        let landed = matches!(call.phase, Phase::Filling(_) | Phase::Filled { .. });
        let prepared = matches!(call.phase, Phase::Ready | Phase::Loading(_));
        if !prepared {
            self.give_back(world, number);
        }
        if world.has_followers(flight) && !landed {
            let cabin = prepared.then_some(Cabin {
                view: call.view,
                leave: call.leave,
            });
            if let Some(flight) = &mut world.flights[usize::from(flight)] {
                flight.phase = FlightPhase::Vacant(cabin);
            }
        } else {
            self.give_back(world, number);
            self.leave_table(world, number, flight);
        }
        world.calls[number] = DONE;
    }

    /// Pushes and replies on their way are lost; whoever waits for a look-up asks again, and a fill counts as refused.
    fn lose_connection(&self, world: &mut World, number: usize) {
        let process = &mut world.processes[number];
        process.interest = [false; 1 + LEVELS];
        process.pushes = Default::default();
        process.lost = true;
        for (call_number, call) in world.calls.iter_mut().enumerate() {
            if self.process_of(call_number) != number {
                continue;
            }
            match call.phase {
                Phase::Answered { behind: 1.., .. } => call.phase = Phase::Asking,
                Phase::Filled {
                    version,
                    behind: 1..,
                } => call.phase = Phase::Filling(version),
                _ => {}
            }
        }
    }

    /// What an invalidation ends in its own process.
    fn forget_locally(&self, process: &mut Process, what: What) {
        match what {
            What::Entry => {
                if self.has(Guard::FlightsDetached) {
                    process.table = None;
                }
                process.mark = FRESH;
                process.near = None;
            }
            What::Level(level) => process.epochs[usize::from(level)] = FRESH,
        }
    }
}
