use cache_runtime::cached;

#[derive(Clone)]
struct User;

#[cached]
async fn get_user(id: u64) -> Result<User, String> {
    let _ = id;
    Ok(User)
}

fn main() {}
