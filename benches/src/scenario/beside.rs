//! Hits of one task while another process does the same: what two threads would cost each other that shared nothing.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::hits::{self, Load};
use super::{Figures, Order};
use crate::candidate::Outcome;
use crate::work::Keys;

/// The scenario of the other process.
const OTHER: &str = "near_zipf";

/// How long the other one takes to get ready, and more.
const READY: Duration = Duration::from_secs(5);

/// The other process, ended in any case.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub async fn run(order: &Order) -> Outcome<Figures> {
    let time = (READY + 2 * order.time).as_millis().to_string();
    let other = Command::new(std::env::current_exe()?)
        .args(["one", OTHER, &order.candidate, &order.redis, &time])
        .stdout(Stdio::null())
        .spawn()?;
    let mut other = Other(other);
    let alone = Load {
        tasks: 1,
        threads: 1,
    };
    let figures = hits::run(order, Keys::Zipf, alone).await?;
    match other.0.try_wait()? {
        None => Ok(figures),
        Some(status) => Err(format!("the other process ended before: {status}").into()),
    }
}
