use cache_runtime::cache_invalidate;

#[cache_invalidate(prefix = "user")]
fn update_user(id: u64) -> u64 {
    id
}

fn main() {}
