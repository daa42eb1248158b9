//! What a call does, in its order: it reads, joins a flight, takes off, loads and fills.

use crate::configuration::{By, Coalesce};
use crate::guard::Guard;
use crate::protocol::{MAX_CHANGES, Outcome, Protocol, REPEATED};
use crate::world::{
    Call, Departure, Entry, FRESH, Flight, FlightPhase, LEVELS, Near, Phase, Process, Role, Stage,
    Version, View, Watched, World,
};

// --- read -----------------------------------------------------------------------------------

impl Protocol<'_> {
    pub(crate) fn begin(&self, mut world: World, number: usize) -> Outcome {
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
    pub(crate) fn deletes(&self, world: &World, process: usize) -> bool {
        let invalidations = self.configuration.invalidations.iter();
        { invalidations }
            .zip(world.invalidations)
            .any(|(invalidation, stage)| {
                let deletes = matches!(stage, Stage::Deleted(_) | Stage::HalfwayAgain(_));
                invalidation.by == By::Process(process) && deletes
            })
    }

    /// Epochs, mark and connection, from before the look-up.
    pub(crate) fn take_marks(&self, world: &mut World, number: usize) {
        let process = &world.processes[self.process_of(number)];
        let call = &mut world.calls[number];
        call.view = View {
            epochs: process.epochs,
            pushed: process.pushed,
            mark: process.mark,
            connection: process.connection,
            ..View::default()
        };
        call.alone = false;
        call.phase = match self.configuration.redis {
            true => Phase::Asking,
            false => Phase::Here,
        };
    }

    /// Whether an entry answers a read at this moment.
    pub(crate) fn is_hit(&self, world: &World, entry: &Entry) -> bool {
        let now = world.redis.generations;
        let current = entry.generations == now && !now.contains(&0);
        current || !self.has(Guard::GenerationsComparedOnRead)
    }

    pub(crate) fn is_near_hit(&self, process: &Process, near: &Near) -> bool {
        let same_epochs =
            near.epochs == process.epochs || !self.has(Guard::EpochsComparedByNearHit);
        let same_connection =
            near.connection == process.connection || !self.has(Guard::NearBoundToConnection);
        same_epochs && near.pushed == process.pushed && same_connection
    }

    pub(crate) fn look_up(&self, mut world: World, number: usize) -> Outcome {
        let hit = world.redis.entry.filter(|entry| self.is_hit(&world, entry));
        let stamp = world.redis.stamp();
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

    pub(crate) fn answer(&self, mut world: World, number: usize) -> Outcome {
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
            (None, _) => self.join(world, number),
        }
    }

    pub(crate) fn insert_near(&self, world: &mut World, number: usize, version: Version) {
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
    pub(crate) fn finish(&self, mut world: World, number: usize, version: Version) -> Outcome {
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
pub(crate) const DONE: Call = Call {
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

// --- who may join a flight ------------------------------------------------------------------

impl Protocol<'_> {
    pub(crate) fn join(&self, mut world: World, number: usize) -> Outcome {
        let process = self.process_of(number);
        // Redis has not told it of what others invalidate, and nothing else may.
        let blind = self.configuration.redis && !world.calls[number].view.answered;
        let goes_alone = blind && !self.configuration.calls[number].near;
        if !goes_alone
            && let Some(joinable) = world.processes[process].table
            && let Some(flight) = &world.flights[usize::from(joinable)]
            && self.admits(flight, number, &world.calls[number].view)
        {
            world.calls[number].role = Role::Follows(joinable);
            world.calls[number].phase = Phase::Following;
            return Ok(world);
        }
        let displaced = world.processes[process].table.replace(number as u8);
        world.flights[number] = Some(Flight {
            phase: FlightPhase::Led,
            departure: None,
            displaced,
        });
        world.calls[number].role = Role::Leads(number as u8);
        Ok(self.take_off(world, number))
    }

    pub(crate) fn admits(&self, flight: &Flight, caller: usize, view: &View) -> bool {
        let Some(departure) = &flight.departure else {
            return true;
        };
        let began_before = departure.begun & (1 << caller) != 0;
        (began_before && self.has(Guard::EarlierCallersMayFollow))
            || self.covers(&departure.view, view)
    }

    pub(crate) fn covers(&self, mine: &View, theirs: &View) -> bool {
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

    pub(crate) fn landing(&self, mut world: World, number: usize) -> Outcome {
        let Role::Follows(followed) = world.calls[number].role else {
            unreachable!("only a follower waits for a landing");
        };
        let Some(flight) = &mut world.flights[usize::from(followed)] else {
            unreachable!("a followed flight stays");
        };
        let cabin = match flight.phase {
            FlightPhase::Led => unreachable!("a led flight has not landed"),
            FlightPhase::Dissolved => {
                world.calls[number].role = Role::None;
                return self.wake(world, number);
            }
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
    pub(crate) fn depart_flight(&self, world: &mut World, number: usize) {
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

    /// Sends everybody back to look again, its leader too.
    pub(crate) fn dissolve(&self, world: &mut World, number: usize) {
        let Role::Leads(flight) = world.calls[number].role else {
            unreachable!("only a leader dissolves its flight");
        };
        if let Some(flight) = &mut world.flights[usize::from(flight)] {
            flight.phase = FlightPhase::Dissolved;
        }
        self.leave_table(world, number, flight);
        world.calls[number].role = Role::None;
    }

    pub(crate) fn land_flight(&self, world: &mut World, flight: u8, version: Version) {
        if let Some(flight) = &mut world.flights[usize::from(flight)] {
            flight.phase = FlightPhase::Landed(version);
        }
    }

    pub(crate) fn leave_table(&self, world: &mut World, number: usize, flight: u8) {
        let table = &mut world.processes[self.process_of(number)].table;
        *table = table.filter(|&joinable| joinable != flight);
    }
}

// --- from the lead to the leave to fill -----------------------------------------------------

impl Protocol<'_> {
    pub(crate) fn take_off(&self, mut world: World, number: usize) -> World {
        let view = &world.calls[number].view;
        let missing = view.generations.contains(&0);
        let phase = match (view.answered, world.calls[number].changes) {
            (false, _) => Phase::DepartingHere,
            // In a fleet whoever does not get the lease waits, so nobody has to give up.
            (true, MAX_CHANGES) if self.configuration.coalesce == Coalesce::Process => {
                self.depart_flight(&mut world, number);
                Phase::Ready
            }
            (true, _) if missing => Phase::Renewing,
            (true, _) => Phase::Acquiring,
        };
        world.calls[number].phase = phase;
        self.ask(&mut world, number);
        world
    }

    /// The request for the lease leaves.
    pub(crate) fn ask(&self, world: &mut World, number: usize) {
        let asks = world.calls[number].phase == Phase::Acquiring;
        if asks && !self.has(Guard::DepartureAfterTheAnswer) {
            self.depart_flight(world, number);
        }
    }

    pub(crate) fn create_generations(&self, mut world: World, number: usize) -> Outcome {
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

    pub(crate) fn read_generations(&self, mut world: World, number: usize) -> Outcome {
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

    pub(crate) fn acquire(&self, mut world: World, number: usize) -> Outcome {
        let returning = world.processes[self.process_of(number)].returning;
        let stamp = world.redis.stamp();
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

    pub(crate) fn depart(&self, mut world: World, number: usize) -> Outcome {
        let phase = world.calls[number].phase;
        let guard = match phase {
            Phase::Granted => Guard::DepartureWhenGranted,
            Phase::Held => Guard::DepartureWhenHeld,
            _ => Guard::DissolvedBeforeTheSecondLook,
        };
        match (self.has(guard), phase) {
            (true, Phase::Changed) => self.dissolve(&mut world, number),
            (true, _) => self.depart_flight(&mut world, number),
            (false, _) => {}
        }
        world.calls[number].phase = match (phase, self.configuration.coalesce) {
            (Phase::Changed, _) => {
                let changes = &mut world.calls[number].changes;
                *changes = (*changes + 1).min(MAX_CHANGES);
                return self.wake(world, number);
            }
            (Phase::Held, Coalesce::Fleet) => Phase::Waiting,
            _ => Phase::Ready,
        };
        Ok(world)
    }

    /// Looks again.
    pub(crate) fn wake(&self, mut world: World, number: usize) -> Outcome {
        self.take_marks(&mut world, number);
        Ok(world)
    }
}

// --- load and fill --------------------------------------------------------------------------

impl Protocol<'_> {
    pub(crate) fn load(&self, mut world: World, number: usize) -> Outcome {
        let call = &world.calls[number];
        for other in &world.calls {
            let loads = matches!(other.phase, Phase::Loading(_));
            let beside = displaced(&world, call.role, other.role)
                || displaced(&world, other.role, call.role);
            if loads && beside && self.is_same_view(&call.view, &other.view) {
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

    pub(crate) fn land(&self, mut world: World, number: usize) -> Outcome {
        let call = &mut world.calls[number];
        let (Phase::Loading(version), Role::Leads(flight)) = (call.phase, call.role) else {
            unreachable!("only a leader that loads lands");
        };
        // An envelope names every generation, so without one of them there is nothing to store.
        let leased = call.leave != 0 && !call.view.generations.contains(&0);
        let may_fill = leased || !self.configuration.redis;
        call.phase = Phase::Filling(version);
        self.land_flight(&mut world, flight, version);
        if may_fill {
            return Ok(world);
        }
        self.give_back(&mut world, number);
        self.leave_table(&mut world, number, flight);
        self.finish(world, number, version)
    }

    pub(crate) fn give_back(&self, world: &mut World, number: usize) {
        let leave = std::mem::take(&mut world.calls[number].leave);
        if leave != 0 {
            world.processes[self.process_of(number)].returning = leave;
        }
    }

    pub(crate) fn fill(&self, mut world: World, number: usize) -> Outcome {
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

    pub(crate) fn leave(&self, mut world: World, number: usize) -> Outcome {
        let call = world.calls[number];
        let (Phase::Filled { version, .. }, Role::Leads(flight)) = (call.phase, call.role) else {
            unreachable!("only a leader that has filled leaves");
        };
        if call.view.answered {
            self.insert_near(&mut world, number, version);
        }
        self.leave_table(&mut world, number, flight);
        self.finish(world, number, version)
    }

    /// Whether two loads are one too many: they run under the same lease, or without Redis, and nothing had changed in between.
    pub(crate) fn is_same_view(&self, one: &View, other: &View) -> bool {
        let leased = one.lease != 0 && one.lease == other.lease && !one.generations.contains(&0);
        (leased || !self.configuration.redis)
            && one.epochs == other.epochs
            && one.generations == other.generations
    }
}

/// Whether one leader's flight took the place of the other's in the table.
pub(crate) fn displaced(world: &World, new: Role, old: Role) -> bool {
    let (Role::Leads(new), Role::Leads(old)) = (new, old) else {
        return false;
    };
    let new = world.flights[usize::from(new)];
    new.is_some_and(|new| new.displaced == Some(old))
}
