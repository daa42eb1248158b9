//! Whether a call has the arguments that were noted.

use super::{Notebook, Notes, Unfit};

/// What was noted and not yet told.
#[derive(Debug)]
pub(crate) struct Check<'a>(&'a [u8]);

impl<'a> Check<'a> {
    /// `None`: the notes are another function's.
    #[inline(always)]
    pub(crate) fn new(notes: &'a Notes, number: u32) -> Option<Self> {
        (notes.number() == Some(number)).then(|| Self(notes.of_arguments()))
    }

    /// Whether all that was noted was told.
    #[inline(always)]
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}

impl Notebook for Check<'_> {
    #[inline(always)]
    fn mark(&mut self, kind: u8) -> Result<(), Unfit> {
        let (noted, rest) = self.0.split_first().ok_or(Unfit)?;
        self.0 = rest;
        if *noted == kind { Ok(()) } else { Err(Unfit) }
    }

    #[inline(always)]
    fn number(&mut self, kind: u8, number: u64) -> Result<(), Unfit> {
        self.mark(kind)?;
        let (noted, rest) = self.0.split_first_chunk().ok_or(Unfit)?;
        self.0 = rest;
        let same = u64::from_le_bytes(*noted) == number;
        if same { Ok(()) } else { Err(Unfit) }
    }

    #[inline(always)]
    fn string(&mut self, kind: u8, text: &str) -> Result<(), Unfit> {
        let length = u8::try_from(text.len()).map_err(|_| Unfit)?;
        self.mark(kind | length)?;
        let (noted, rest) = self.0.split_at_checked(text.len()).ok_or(Unfit)?;
        self.0 = rest;
        if is_same(noted, text.as_bytes()) {
            Ok(())
        } else {
            Err(Unfit)
        }
    }
}

/// Whether two texts of one length are the same. Few bytes take no call of a function.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([one], [other]) => one == other,
        ([one, two], [other, another]) => (one, two) == (other, another),
        _ => one == other,
    }
}
