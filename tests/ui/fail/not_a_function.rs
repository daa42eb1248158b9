use cache_runtime::cached;

#[cached]
struct User;

fn main() {}
