use cache_runtime::cached;

#[cached(skip(make))]
async fn get_user<T, F: FnOnce() -> T>(make: F) -> T {
    make()
}

fn main() {}
