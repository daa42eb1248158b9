use cache_runtime::cached;

struct Name<'a>(&'a str);

#[cached]
async fn get_user(name: &str) -> Name<'_> {
    Name(name)
}

fn main() {}
