use cache_runtime::{cache_invalidate, cached};

#[cached(ttl = 300, prefix = "video")]
async fn title(id: u64) -> Result<String, std::io::Error> {
    println!("  asking the database for {id}");
    Ok(format!("Video number {id}"))
}

#[cache_invalidate(prefix = "video")]
async fn rename(id: u64, title: &str) -> Result<(), std::io::Error> {
    println!("  renaming {id} to {title}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), std::io::Error> {
    println!("{}", title(42).await?); // runs the body
    println!("{}", title(42).await?); // answered by the cache
    rename(42, "Another title").await?;
    println!("{}", title(42).await?); // runs the body again
    Ok(())
}
