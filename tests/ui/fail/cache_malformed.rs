use cache_runtime::{cache_invalidate, cached};

#[cached(cache = 7)]
async fn by_number() -> u64 {
    7
}

#[cached(cache = "")]
async fn by_nothing() -> u64 {
    7
}

#[cached(cache("sessions"))]
async fn by_a_list() -> u64 {
    7
}

#[cache_invalidate(prefix = "user", cache = SESSIONS)]
async fn by_a_constant() {}

fn main() {}
