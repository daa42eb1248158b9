use cache_runtime::cache_invalidate;

#[cache_invalidate(pattern = "")]
async fn empty(id: u64) {
    println!("{id}");
}

#[cache_invalidate(pattern = [])]
async fn none(id: u64) {
    println!("{id}");
}

#[cache_invalidate(pattern = "user:{id}")]
async fn without_wildcard(id: u64) {
    println!("{id}");
}

#[cache_invalidate(pattern = ["user_*", "user:{id}*"])]
async fn open_ended(id: u64) {
    println!("{id}");
}

#[cache_invalidate(pattern = "user:[{id}]:*")]
async fn in_a_class(id: u64) {
    println!("{id}");
}

#[cache_invalidate(pattern = "user:[a-z")]
async fn open(id: u64) {
    println!("{id}");
}

#[cache_invalidate(pattern = id)]
async fn no_literal(id: u64) {
    println!("{id}");
}

#[cache_invalidate(pattern = "user:{name}:*")]
async fn of_no_argument(id: u64) {
    println!("{id}");
}

#[cache_invalidate(pattern = ["user:*", "user:*"])]
async fn twice(id: u64) {
    println!("{id}");
}

fn main() {}
