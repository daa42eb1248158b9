//! One expansion per feature, as the compiler sees it. `UPDATE_SNAPSHOTS=1` writes them anew.
