use cache_runtime::cached;

#[cached(ttl = "soon", prefx = "user", skip(db))]
async fn get_user(id: u64) -> String {
    id.to_string()
}

async fn caller() {
    let _ = get_user(1).await;
}

fn main() {
    let _ = caller();
}
