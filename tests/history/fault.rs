//! What happens meanwhile, to the server, to the processes, and to what is between them.

use std::thread::sleep;
use std::time::Duration;

use super::support::{Dice, Fault as Network, Process, Proxy, RedisServer};
use super::truth::{FAULTS as EVENTS, clock_ms};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Every connection to the server is closed.
    Kill,
    /// The server is full for a while, and evicts whatever it likes, or what was used least recently.
    EvictAny,
    EvictOldest,
    Flush,
    StopAProcess,
    /// The server accepts commands and answers later.
    HoldUp,
    /// The same of commands that write.
    HoldUpWrites,
    StopTheServer,
    /// Nothing passes between one process and the server, and neither is told.
    Partition,
    /// One process loses its connection, and gets no other for a while.
    Cut,
    /// The server is restarted from what it has saved a while before.
    RollBack,
}

pub const FAULTS: [Fault; 11] = [
    Fault::Kill,
    Fault::EvictAny,
    Fault::EvictOldest,
    Fault::Flush,
    Fault::StopAProcess,
    Fault::HoldUp,
    Fault::HoldUpWrites,
    Fault::StopTheServer,
    Fault::Partition,
    Fault::Cut,
    Fault::RollBack,
];

/// Where faults are injected.
pub struct Scene<'a> {
    pub server: &'a RedisServer,
    pub truth: &'a RedisServer,
    pub processes: &'a [Process],
    /// What stands before the server, for all processes but the first.
    pub proxies: &'a [Proxy],
}

impl Scene<'_> {
    /// Each of these faults once, in an order of the dice's choice.
    pub fn inject_each(&self, faults: &[Fault], dice: &mut Dice) {
        let mut deck = faults.to_vec();
        for last in (1..deck.len()).rev() {
            deck.swap(last, dice.below(last as u64 + 1));
        }
        for fault in deck {
            // Long enough for reads to be answered in process, which is what faults are to disturb.
            sleep(Duration::from_millis(dice.roll() % 500));
            self.inject(fault, dice);
        }
    }

    fn inject(&self, fault: Fault, dice: &mut Dice) {
        let long = Duration::from_millis(50 + dice.roll() % 1_450);
        let short = long / 4;
        self.note(&format!("{fault:?} begins"));
        let server = self.server;
        match fault {
            Fault::Kill => drop(server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])),
            Fault::Flush => drop(server.cli(&["FLUSHALL"])),
            Fault::EvictAny => self.fill_up("allkeys-random", short),
            Fault::EvictOldest => self.fill_up("allkeys-lru", short),
            Fault::StopAProcess => {
                let process = &self.processes[dice.below(self.processes.len() as u64)];
                process.signal("STOP");
                self.meanwhile(long, dice);
                process.signal("CONT");
            }
            Fault::HoldUp => self.hold_up(short, "ALL"),
            Fault::HoldUpWrites => self.hold_up(short, "WRITE"),
            Fault::StopTheServer => {
                server.pause();
                sleep(short);
                server.resume();
            }
            Fault::Partition => self.network(Network::BlackHole, long, dice),
            Fault::Cut => self.network(Network::Refuse, long, dice),
            Fault::RollBack => {
                server.cli(&["SAVE"]);
                sleep(long);
                server.restart();
            }
        }
        self.note(&format!("{fault:?} has ended"));
    }

    fn fill_up(&self, policy: &str, a_while: Duration) {
        let set = |name, value| drop(self.server.cli(&["CONFIG", "SET", name, value]));
        set("maxmemory-policy", policy);
        set("maxmemory", "1mb");
        sleep(a_while);
        set("maxmemory", "0");
    }

    fn hold_up(&self, a_while: Duration, what: &str) {
        let ms = a_while.as_millis().to_string();
        self.server.cli(&["CLIENT", "PAUSE", &ms, what]);
        sleep(a_while);
    }

    fn network(&self, network: Network, a_while: Duration, dice: &mut Dice) {
        let proxy = &self.proxies[dice.below(self.proxies.len() as u64)];
        proxy.set(network);
        self.meanwhile(a_while, dice);
        proxy.set(Network::None);
    }

    /// Time passes, in which something else may happen to everybody.
    fn meanwhile(&self, a_while: Duration, dice: &mut Dice) {
        sleep(a_while / 2);
        match dice.below(4) {
            0 => drop(self.server.cli(&["FLUSHALL"])),
            1 => drop(
                self.server
                    .cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]),
            ),
            _ => {}
        }
        sleep(a_while / 2);
    }

    fn note(&self, what: &str) {
        let event = format!("{} {what}", clock_ms());
        self.truth.cli(&["RPUSH", EVENTS, &event]);
    }
}
