use cache_runtime::{cache_invalidate, cached};

const USER: &str = "user";

#[cached(prefix = "")]
async fn empty(id: u64) -> u64 {
    id
}

#[cached(prefix = "user:")]
async fn empty_level(id: u64) -> u64 {
    id
}

#[cached(prefix = "my users")]
async fn space(id: u64) -> u64 {
    id
}

#[cached(prefix = "user:*")]
async fn glob(id: u64) -> u64 {
    id
}

#[cached(prefix = "gen@user")]
async fn taken(id: u64) -> u64 {
    id
}

#[cached(prefix = USER)]
async fn constant(id: u64) -> u64 {
    id
}

#[cache_invalidate(prefix = ["user", "user:{id}"])]
async fn template(id: u64) -> u64 {
    id
}

fn main() {}
