use cache_runtime::cached;

#[cached(bypass = fresh)]
async fn get_user(id: u64, fresh: u8) -> String {
    format!("{id} {fresh}")
}

fn main() {}
