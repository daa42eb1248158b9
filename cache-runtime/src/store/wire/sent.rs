//! How many requests the client has written, as far as it has: it writes as much at a time as the socket takes.

use super::LINE_END;

pub(super) struct Sent {
    at: At,
    /// What the line says, as far as it has been written.
    number: usize,
    /// Texts of the request that are still to come.
    left: usize,
    /// Something was written that is no array of texts.
    is_unknown: bool,
}

#[derive(Clone, Copy)]
enum At {
    Start,
    Number,
    LineEnd,
    /// Within a text, of which so many bytes are still to come, with the end of its line.
    Text(usize),
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            at: At::Start,
            number: 0,
            left: 0,
            is_unknown: false,
        }
    }
}

impl Sent {
    /// Whether a request may be written by somebody else now: none has begun and not ended.
    pub(super) fn is_between(&self) -> bool {
        !self.is_unknown && self.left == 0 && matches!(self.at, At::Start)
    }

    /// Goes on with what was written; answers how many requests that has ended.
    pub(super) fn go_on(&mut self, mut bytes: &[u8]) -> usize {
        let mut ended = 0;
        while let Some((&byte, after)) = bytes.split_first() {
            if self.is_unknown {
                break;
            }
            if let At::Text(rest) = self.at {
                let written = rest.min(bytes.len());
                bytes = bytes.get(written..).unwrap_or_default();
                self.at = At::Text(rest - written);
                if written == rest {
                    self.at = At::Start;
                    self.left -= 1;
                    ended += usize::from(self.left == 0);
                }
                continue;
            }
            self.head(byte);
            bytes = after;
        }
        ended
    }

    /// One byte of a line that says how many texts there are, or how long one is.
    fn head(&mut self, byte: u8) {
        let kind = if self.left == 0 { b'*' } else { b'$' };
        match (self.at, byte) {
            (At::Start, byte) if byte == kind => (self.at, self.number) = (At::Number, 0),
            (At::Number, b'0'..=b'9') => {
                let digit = usize::from(byte - b'0');
                self.number = self.number.saturating_mul(10).saturating_add(digit);
            }
            (At::Number, b'\r') => self.at = At::LineEnd,
            (At::LineEnd, b'\n') if self.left > 0 => {
                self.at = At::Text(self.number.saturating_add(LINE_END.len()));
            }
            (At::LineEnd, b'\n') if self.number > 0 => {
                (self.at, self.left) = (At::Start, self.number);
            }
            _ => self.is_unknown = true,
        }
    }
}
