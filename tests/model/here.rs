//! What a call does without an answer of Redis: in a cache in process alone, and where Redis is away.

use crate::guard::Guard;
use crate::protocol::{Outcome, Protocol};
use crate::world::{Near, Phase, Role, Version, View, World};

impl Protocol<'_> {
    /// Redis does not answer a look-up, or what a leader asks of it.
    pub(crate) fn unanswered(&self, world: &mut World, number: usize) {
        let call = &mut world.calls[number];
        call.alone = true;
        if call.phase == Phase::Asking && call.role == Role::None {
            call.phase = Phase::Here;
            return;
        }
        // A leader, which looks into the near tier once it has departed.
        // Whether the lease was granted is not known: it belongs to nobody, and ends.
        call.leave = 0;
        call.view = View {
            answered: false,
            lease: 0,
            stamp: 0,
            generations: Default::default(),
            ..call.view
        };
        call.phase = Phase::DepartingHere;
    }

    fn near_hit(&self, world: &World, number: usize) -> Option<Version> {
        let near = world.processes[self.process_of(number)].near;
        let allowed = self.configuration.calls[number].near;
        near.filter(|_| allowed).map(|near| near.version)
    }

    pub(crate) fn look_here(&self, mut world: World, number: usize) -> Outcome {
        if let Some(version) = self.near_hit(&world, number) {
            return self.finish(world, number, version);
        }
        world.calls[number].phase = Phase::Joining;
        Ok(world)
    }

    pub(crate) fn depart_here(&self, mut world: World, number: usize) -> Outcome {
        if self.has(Guard::DepartureWithoutRedis) && self.has(Guard::DepartureBeforeTheSecondLook) {
            self.depart_flight(&mut world, number);
        }
        world.calls[number].phase = match self.has(Guard::SecondLookWithoutRedis) {
            true => Phase::LookingAgain,
            false => Phase::Ready,
        };
        Ok(world)
    }

    /// Whoever led before may have filled.
    pub(crate) fn look_again(&self, mut world: World, number: usize) -> Outcome {
        if let Some(version) = self.near_hit(&world, number) {
            world.calls[number].phase = Phase::Found(version);
            return Ok(world);
        }
        if !self.has(Guard::DepartureBeforeTheSecondLook) {
            self.depart_flight(&mut world, number);
        }
        world.calls[number].phase = Phase::Ready;
        Ok(world)
    }

    /// What a leader found in the near tier is its own: an invalidation that is half-way knows nothing of its flight.
    pub(crate) fn return_found(&self, mut world: World, number: usize) -> Outcome {
        let call = world.calls[number];
        let (Phase::Found(version), Role::Leads(flight)) = (call.phase, call.role) else {
            unreachable!("only a leader has something to share");
        };
        if self.has(Guard::FoundIsNotShared) {
            self.dissolve(&mut world, number);
            return self.finish(world, number, version);
        }
        self.land_flight(&mut world, flight, version);
        world.calls[number].phase = Phase::Filled { version, behind: 0 };
        Ok(world)
    }

    /// The near tier gets what was loaded while the flight is in the table, whose lock is held.
    pub(crate) fn keep(&self, mut world: World, number: usize) -> Outcome {
        let call = world.calls[number];
        let (Phase::Filling(version), Role::Leads(flight)) = (call.phase, call.role) else {
            unreachable!("only a leader that has landed keeps");
        };
        let current = world.processes[self.process_of(number)].table == Some(flight);
        if !current && self.has(Guard::KeptByTheFlightOfTheTable) {
            world.calls[number].phase = Phase::Filled { version, behind: 0 };
            return Ok(world);
        }
        if !self.has(Guard::KeptUnderTheLock) {
            world.calls[number].phase = Phase::Keeping(version);
            return Ok(world);
        }
        self.insert_here(world, number, version)
    }

    pub(crate) fn insert_late(&self, world: World, number: usize) -> Outcome {
        let Phase::Keeping(version) = world.calls[number].phase else {
            unreachable!("only what is to be kept is inserted");
        };
        self.insert_here(world, number, version)
    }

    fn insert_here(&self, mut world: World, number: usize, version: Version) -> Outcome {
        let process = &mut world.processes[self.process_of(number)];
        let from_before = self.has(Guard::KeptUnderEpochsFromBefore);
        process.near = Some(Near {
            version,
            epochs: match from_before {
                true => world.calls[number].view.epochs,
                false => process.epochs,
            },
            pushed: process.pushed,
            connection: process.connection,
        });
        world.calls[number].phase = Phase::Filled { version, behind: 0 };
        Ok(world)
    }
}
