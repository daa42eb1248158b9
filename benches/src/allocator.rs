//! The system's allocator, which counts while it is asked to; so a timed run pays one load of a flag for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// What was allocated between [`Counted::start`] and [`Counted::stop`].
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Calls of `alloc` and `realloc`.
    pub allocations: u64,
    /// Bytes asked for.
    pub allocated: u64,
    /// Bytes asked for and not given back.
    pub live: i64,
}

impl Counted {
    pub fn start() {
        ALLOCATIONS.store(0, Relaxed);
        ALLOCATED.store(0, Relaxed);
        LIVE.store(0, Relaxed);
        COUNTING.store(true, Relaxed);
    }

    pub fn stop() -> Self {
        COUNTING.store(false, Relaxed);
        Self::so_far()
    }

    /// Since the start, while counting goes on.
    pub fn so_far() -> Self {
        Self {
            allocations: ALLOCATIONS.load(Relaxed),
            allocated: ALLOCATED.load(Relaxed),
            live: LIVE.load(Relaxed),
        }
    }
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn count(given: usize, taken: usize) {
    if COUNTING.load(Relaxed) {
        if given > 0 {
            ALLOCATIONS.fetch_add(1, Relaxed);
            ALLOCATED.fetch_add(given as u64, Relaxed);
        }
        LIVE.fetch_add(signed(given) - signed(taken), Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
}
