use cache_runtime::cached;
use std::sync::Arc;

#[derive(serde::Serialize)]
struct Users;

impl Users {
    #[cached(batch)]
    async fn owned(self, ids: Vec<u64>) -> Vec<u64> {
        ids
    }

    #[cached(batch)]
    async fn exclusive(&mut self, ids: Vec<u64>) -> Vec<u64> {
        ids
    }

    #[cached(batch)]
    async fn shared(self: Arc<Self>, ids: Vec<u64>) -> Vec<u64> {
        ids
    }
}

fn main() {}
