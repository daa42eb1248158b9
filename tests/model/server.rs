//! What Redis does, what happens to it and to its connections, and what a process forgets.

use crate::call::DONE;
use crate::configuration::{By, What};
use crate::guard::Guard;
use crate::protocol::Protocol;
use crate::world::{Cabin, FRESH, FlightPhase, LEVELS, Phase, Process, Role, Watched, World};

impl Protocol<'_> {
    pub(crate) fn delete(&self, world: &mut World, by: By, what: What) {
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
    pub(crate) fn changed(&self, world: &mut World, key: Watched, by: By) {
        for (number, process) in world.processes.iter_mut().enumerate() {
            let interested = std::mem::take(&mut process.interest[key.index()]);
            if interested && by != By::Process(number) {
                process.pushes.add(key);
            }
        }
    }

    /// `PEXPIRE` of the generations: a change, though the tokens stay, and so nobody is told who made it.
    pub(crate) fn prolong(&self, world: &mut World, number: usize) {
        for level in 0..self.configuration.levels {
            let watched = Watched::Generation(level as u8);
            if world.redis.generations[level] != 0 {
                self.changed(world, watched, By::Process(number));
            }
            if self.has(Guard::ProlongingEndsTheEpoch) {
                world.processes[number].pushed[level] = FRESH;
            }
        }
    }

    /// A leader is dropped: a follower takes the seat over, or the flight ends and the lease is given back.
    pub(crate) fn crash(&self, world: &mut World, number: usize) {
        let call = world.calls[number];
        let Role::Leads(flight) = call.role else {
            unreachable!("only a leader's crash matters");
        };
        let landed = matches!(
            call.phase,
            Phase::Filling(_) | Phase::Keeping(_) | Phase::Filled { .. }
        );
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
    pub(crate) fn lose_connection(&self, world: &mut World, number: usize) {
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

    /// The first half of what an invalidation ends in its own process: the flight of its entry, or all there is of a level.
    pub(crate) fn forget_first(&self, process: &mut Process, what: What) {
        match what {
            What::Entry if self.has(Guard::DetachedBeforeRemoved) => self.detach(process),
            What::Entry => remove(process),
            What::Level(level) => process.epochs[usize::from(level)] = FRESH,
        }
    }

    /// The second half, of an entry.
    pub(crate) fn forget_second(&self, process: &mut Process) {
        match self.has(Guard::DetachedBeforeRemoved) {
            true => remove(process),
            false => self.detach(process),
        }
    }

    fn detach(&self, process: &mut Process) {
        if self.has(Guard::FlightsDetached) {
            process.table = None;
        }
    }
}

/// The mark moves and the near entry goes, under one lock.
fn remove(process: &mut Process) {
    process.mark = FRESH;
    process.near = None;
}
