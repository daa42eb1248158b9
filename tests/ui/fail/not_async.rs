use cache_runtime::cached;

#[cached]
fn get_user(id: u64) -> String {
    id.to_string()
}

fn main() {}
