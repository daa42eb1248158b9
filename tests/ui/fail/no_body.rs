use cache_runtime::{cache_invalidate, cached};

trait Load {
    #[cached]
    async fn load(&self) -> u64;

    #[cache_invalidate(prefix = "user")]
    async fn save(&self);
}

fn main() {}
