use cache_runtime::cached;

#[cached]
async fn touch(id: u64) {
    println!("{id}");
}

fn main() {}
