#[path = "model/checker.rs"]
mod checker;
#[path = "model/configuration.rs"]
mod configuration;
#[path = "model/guard.rs"]
mod guard;
#[path = "model/protocol.rs"]
mod protocol;
#[path = "model/world.rs"]
mod world;

use checker::search;
use configuration::CONFIGURATIONS;
use protocol::Protocol;

#[test]
fn explore() {
    for configuration in CONFIGURATIONS {
        let began = std::time::Instant::now();
        let report = search(&Protocol { configuration, without: None });
        println!("{:40} {:8} {:3} {:?}", configuration.name, report.states, report.depth, began.elapsed());
        if let Some(c) = report.counterexample {
            println!("   {}", c.broken);
            for s in c.steps { println!("      {s:?}"); }
        }
    }
}
