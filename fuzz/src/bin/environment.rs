#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cache_runtime::__fuzz::environment(bytes));

#[cfg(not(fuzzing))]
fn main() {}
