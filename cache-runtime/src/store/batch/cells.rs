//! Where those who wait are told: a cell for each, which is used again, so that a read that waits allocates nothing.
//!
//! All are under the lock of those who wait in one runtime: who is about to ask takes it in any case, and whoever was asked for
//! together is told in one go. Wakers are not dropped under it, since that may drop a task which waits here as well.

use std::task::Waker;

use super::{MOST_READS, Told};

/// Which of the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

#[derive(Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    free: Vec<Place>,
}

/// Two know of a cell that is not free: who waits, and who carries his read. Whoever is the last of them frees it.
enum Cell {
    Free,
    Awaited(Waker),
    There(Told),
    /// He has gone away, and is still to be told.
    Left,
}

impl Cells {
    /// A cell for one who waits.
    pub(super) fn wait(&mut self, waker: Waker) -> Place {
        let awaited = Cell::Awaited(waker);
        if let Some(place) = self.free.pop()
            && let Some(cell) = self.cells.get_mut(place.0)
        {
            *cell = awaited;
            return place;
        }
        self.cells.push(awaited);
        Place(self.cells.len() - 1)
    }

    /// Whether anybody still waits there. If not it is free from here on, and nobody is to be told.
    pub(super) fn is_awaited_or_free(&mut self, place: Place) -> bool {
        let is_left = matches!(self.cells.get(place.0), Some(Cell::Left));
        if is_left {
            self.release(place);
        }
        !is_left
    }

    /// Tells him who waits, who is then to be woken. To be called once, also where nobody waits any more.
    pub(super) fn tell(&mut self, place: Place, told: Told) -> Option<Waker> {
        let cell = self.cells.get_mut(place.0)?;
        match std::mem::replace(cell, Cell::There(told)) {
            Cell::Awaited(waker) => Some(waker),
            Cell::Left | Cell::There(_) | Cell::Free => {
                self.release(place);
                None
            }
        }
    }

    /// What he was told who waits, if that is there: then he has left the cell. Else it is he who is to be woken, and not
    /// whoever was before.
    pub(super) fn take(&mut self, place: Place, waker: &Waker) -> Result<Told, Option<Waker>> {
        match self.cells.get_mut(place.0) {
            Some(Cell::Awaited(known)) if known.will_wake(waker) => Err(None),
            Some(Cell::Awaited(known)) => Err(Some(std::mem::replace(known, waker.clone()))),
            _ => match self.release(place) {
                Some(Cell::There(told)) => Ok(told),
                _ => Err(None),
            },
        }
    }

    /// Lets go of a cell without having been told; answers what was in it, to be dropped without the lock.
    pub(super) fn leave(&mut self, place: Place) -> Option<impl Sized + use<>> {
        match self.cells.get_mut(place.0) {
            Some(cell @ Cell::Awaited(_)) => Some(std::mem::replace(cell, Cell::Left)),
            _ => self.release(place),
        }
    }

    fn release(&mut self, place: Place) -> Option<Cell> {
        let cell = std::mem::replace(self.cells.get_mut(place.0)?, Cell::Free);
        self.free.push(place);
        if self.free.len() == self.cells.len() && self.cells.len() > MOST_READS {
            // So many may never wait again.
            *self = Self::default();
        }
        Some(cell)
    }

    /// How many there are, and how many of them are free.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        (self.cells.len(), self.free.len())
    }
}
