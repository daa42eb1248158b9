use cache_runtime::{cache_put, cached};
#[cached]
async fn get(id: u8) -> u8 {
    id
}
#[cache_put(entry = get(id))]
async fn put(id: u8) -> u8 {
    id + 1
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{}", get(1).await);
    println!("{:?}", cache_runtime::peek(get(1)).await);
    println!("{}", put(1).await);
    println!("{}", get(1).await);
    println!(
        "{:?} {:?}",
        cache_runtime::cache().mode(),
        cache_runtime::cache().stats()
    );
}
