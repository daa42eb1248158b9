use std::rc::Rc;

use cache_runtime::cached;

async fn load(id: &u64) -> u64 {
    *id
}

#[cached(stale_while_revalidate = "1m")]
async fn row(id: u64) -> u64 {
    let id = Rc::new(id);
    load(&id).await
}

fn main() {}
