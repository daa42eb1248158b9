#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
#[global_allocator]
static COUNTING: cache_fuzz::Counting = cache_fuzz::Counting;

// The guard admits an element for each byte, and a thousand that take none; the widest here has 256 bytes, and a vector that
// grows is there twice, one half of it empty. The value is decoded a second time for comparison.
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (length, most) = cache_fuzz::measured(|| cache_runtime::__fuzz::codec(bytes));
    assert!(
        most <= 2_048 * (1_024 + length),
        "{most} bytes for an input of {length}"
    );
});

#[cfg(not(fuzzing))]
fn main() {}
