//! Those who ask beside the client, and what is answered to them.

use std::io;

use super::{State, Whose};

/// One who asks beside the client.
pub(super) struct Asked {
    pub(super) id: u64,
    /// Answers that are still to come; the last is his.
    pub(super) left: usize,
    pub(super) answer: Option<Answer>,
    pub(super) has_gone: bool,
}

/// What is answered to one who asked beside the client.
pub(in crate::store) enum Answer {
    /// Several texts, as they stand in the array that was answered.
    Texts(Vec<u8>),
    /// Something else, as it was answered.
    Other(Vec<u8>),
    /// Nothing will be.
    Lost(io::ErrorKind),
}

impl Answer {
    /// Whether it may be what is answered to something that is asked before what is of interest: that it is done, or why not.
    fn is_of_a_setting(&self) -> bool {
        match self {
            Self::Other(other) => matches!(other.first(), Some(b'+' | b'-')),
            Self::Texts(_) | Self::Lost(_) => false,
        }
    }
}

impl<S> State<S> {
    /// An answer to the first of them who awaits one.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.has_come(Whose::Askers);
        let Some(at) = self.asked.iter().position(|asked| asked.left > 0) else {
            return;
        };
        let Some(asked) = self.asked.get_mut(at) else {
            return;
        };
        asked.left -= 1;
        if asked.left > 0 {
            if !answer.is_of_a_setting() {
                // From here on each would get what another has asked for.
                self.fail(io::ErrorKind::InvalidData);
            }
            return;
        }
        if asked.has_gone {
            self.asked.remove(at);
            return;
        }
        asked.answer = Some(answer);
        let waker = self.bell.forget(asked.id);
        if self.reader != Some(asked.id) {
            self.to_wake.extend(waker);
        }
    }

    pub(super) fn lose_all(&mut self, kind: io::ErrorKind) {
        self.asked.retain(|asked| !asked.has_gone);
        for asked in &mut self.asked {
            if asked.answer.is_none() {
                asked.left = 0;
                asked.answer = Some(Answer::Lost(kind));
                self.to_wake.extend(self.bell.forget(asked.id));
            }
        }
    }

    /// The connection is no good, and ends for all.
    fn fail(&mut self, kind: io::ErrorKind) {
        self.has_ended = true;
        self.failure = Some(kind.into());
        self.start = self.end;
        self.lose_all(kind);
        self.to_wake.extend(self.bell.of_client());
    }

    /// What was answered to this one, if it was.
    pub(in crate::store::wire) fn take_answer(&mut self, id: u64) -> Option<Answer> {
        let at = self.asked.iter().position(|asked| asked.id == id)?;
        let answer = self.asked.get_mut(at)?.answer.take()?;
        self.asked.remove(at);
        Some(answer)
    }

    /// He does not wait any more: what is answered to him is dropped.
    pub(in crate::store::wire) fn give_up(&mut self, id: u64) {
        if let Some(at) = self.asked.iter().position(|asked| asked.id == id) {
            match self.asked.get_mut(at) {
                Some(asked) if asked.left > 0 => asked.has_gone = true,
                _ => drop(self.asked.remove(at)),
            }
        }
    }
}
