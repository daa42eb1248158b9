use cache_runtime::{cache_invalidate, cache_put, cached};

#[cached(ttl = "soon", prefx = "user", skip(db))]
async fn get_user(id: u64) -> String {
    id.to_string()
}

#[cache_invalidate(prefx = "user", key = "{idd}", when = "later", tags = ["id:{id"], cache = "")]
async fn forget_user(id: u64) -> u64 {
    id
}

#[cache_put(entry = get_user(id).await, ttl = "soon", prefix = "user")]
async fn put_user(id: u64) -> String {
    id.to_string()
}

async fn caller() {
    let _ = (get_user(1).await, forget_user(2).await, put_user(3).await);
}

fn main() {
    let _ = caller();
}
