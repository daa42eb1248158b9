use cache_runtime::cached;
use std::borrow::Cow;

#[cached]
async fn get_user(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name)
}

fn main() {}
