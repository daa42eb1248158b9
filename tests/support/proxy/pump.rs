//! One direction of one connection, with what a fault does to its bytes.

use std::io;
use std::sync::Weak;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::{Fault, Switch};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    There,
    Back,
}

/// Passes bytes on until either side or a fault ends the connection.
pub(super) async fn pump(
    mut from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    way: Way,
    mut faults: watch::Receiver<(Fault, u64)>,
    switch: &Weak<Switch>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut outlet = Outlet {
        to,
        faults: faults.clone(),
        lost: false,
        left: None,
        done: false,
        incomplete: Vec::new(),
    };
    loop {
        let length = tokio::select! {
            biased;
            changed = faults.changed() => {
                let (fault, _) = *faults.borrow_and_update();
                if changed.is_err() || outlet.lost || matches!(fault, Fault::Refuse | Fault::Reset) {
                    return Ok(());
                }
                outlet.begin_anew().await?;
                continue;
            }
            length = from.read(&mut buffer) => length?,
        };
        let bytes = &mut buffer[..length];
        if bytes.is_empty() {
            return Ok(());
        }
        if way == Way::There && switch.upgrade().is_some_and(|switch| switch.asked(bytes)) {
            // These bytes are the first that the fault meets.
            faults.mark_unchanged();
            outlet.begin_anew().await?;
        }
        let fault = faults.borrow().0;
        let goes_on = match way {
            Way::There => outlet.pass_request(fault, bytes).await?,
            Way::Back => outlet.pass_answer(fault, bytes).await?,
        };
        if !goes_on {
            return Ok(());
        }
    }
}

/// Where the bytes of one direction go, and what the fault of the moment has done to them.
struct Outlet<'a> {
    to: WriteHalf<'a>,
    faults: watch::Receiver<(Fault, u64)>,
    /// Whether bytes are missing, so that the connection is good for nothing any more.
    lost: bool,
    /// Bytes until it is cut.
    left: Option<usize>,
    /// Whether what is done once is done.
    done: bool,
    /// The beginning of an answer that is to be seen as a whole.
    incomplete: Vec<u8>,
}

impl Outlet<'_> {
    async fn begin_anew(&mut self) -> io::Result<()> {
        self.left = None;
        self.done = false;
        let incomplete = std::mem::take(&mut self.incomplete);
        self.to.write_all(&incomplete).await
    }

    /// Answers whether the connection goes on.
    async fn pass_request(&mut self, fault: Fault, bytes: &[u8]) -> io::Result<bool> {
        match fault {
            Fault::Refuse | Fault::Reset => return Ok(false),
            Fault::BlackHole | Fault::LoseRequests => {
                self.lost = true;
                return Ok(true);
            }
            Fault::Delay(delay) => tokio::time::sleep(delay).await,
            _ => {}
        }
        self.to.write_all(bytes).await?;
        Ok(true)
    }

    async fn pass_answer(&mut self, fault: Fault, bytes: &mut [u8]) -> io::Result<bool> {
        match fault {
            Fault::Refuse | Fault::Reset => return Ok(false),
            Fault::BlackHole | Fault::LoseAnswers => {
                self.lost = true;
                return Ok(true);
            }
            Fault::CutAfter(limit) => {
                let left = self.left.get_or_insert(limit);
                let passed = bytes.len().min(*left);
                *left -= passed;
                let goes_on = *left > 0;
                self.to.write_all(&bytes[..passed]).await?;
                return Ok(goes_on);
            }
            Fault::Swallow | Fault::Repeat | Fault::Replace(_) | Fault::ReplaceOne(_) => {
                self.pass_whole_answers(fault, bytes).await?;
                return Ok(true);
            }
            Fault::Drip(pause) => return self.drip(fault, bytes, (1, pause)).await,
            Fault::Throttle(rate) => {
                // Timers are no finer than a millisecond.
                let step = (rate * 2, Duration::from_millis(2));
                return self.drip(fault, bytes, step).await;
            }
            Fault::Garble => bytes[0] = !bytes[0],
            Fault::Delay(delay) => tokio::time::sleep(delay).await,
            Fault::None | Fault::HalfOpen | Fault::LoseRequests => {}
        }
        self.to.write_all(bytes).await?;
        Ok(true)
    }

    /// So many bytes at a time, until the fault is another.
    async fn drip(
        &mut self,
        fault: Fault,
        bytes: &[u8],
        (step, pause): (usize, Duration),
    ) -> io::Result<bool> {
        let mut left = bytes;
        while !left.is_empty() {
            let slow = self.faults.borrow().0 == fault;
            let (now, later) = left.split_at(if slow {
                step.min(left.len())
            } else {
                left.len()
            });
            self.to.write_all(now).await?;
            if slow {
                tokio::time::sleep(pause).await;
            }
            left = later;
        }
        Ok(true)
    }

    async fn pass_whole_answers(&mut self, fault: Fault, bytes: &[u8]) -> io::Result<()> {
        self.incomplete.extend_from_slice(bytes);
        while let Some(length) = answer_length(&self.incomplete) {
            let answer: Vec<u8> = self.incomplete.drain(..length).collect();
            let pushed = answer.starts_with(b">");
            match fault {
                _ if pushed => self.to.write_all(&answer).await?,
                Fault::Replace(other) => self.to.write_all(other.as_bytes()).await?,
                Fault::Swallow if !self.done => self.done = true,
                Fault::ReplaceOne(other) if !self.done => {
                    self.done = true;
                    self.to.write_all(other.as_bytes()).await?;
                }
                Fault::Repeat if !self.done => {
                    self.done = true;
                    self.to.write_all(&answer.repeat(2)).await?;
                }
                _ => self.to.write_all(&answer).await?,
            }
        }
        Ok(())
    }
}

/// How long the first answer is, in RESP2 or RESP3; `None` where it has not come as a whole.
fn answer_length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|end| end == b"\r\n")? + 2;
    let number = std::str::from_utf8(bytes.get(1..line - 2)?).ok();
    let number = number.and_then(|number| number.parse::<usize>().ok());
    let parts = |parts: usize| {
        (0..parts).try_fold(line, |at, _| Some(at + answer_length(bytes.get(at..)?)?))
    };
    match (bytes.first()?, number) {
        (b'$' | b'=' | b'!', Some(length)) => {
            let end = line + length + 2;
            (end <= bytes.len()).then_some(end)
        }
        (b'*' | b'~' | b'>', Some(items)) => parts(items),
        (b'%', Some(pairs)) => parts(2 * pairs),
        // What is said about an answer belongs to it.
        (b'|', Some(pairs)) => parts(2 * pairs + 1),
        _ => Some(line),
    }
}
