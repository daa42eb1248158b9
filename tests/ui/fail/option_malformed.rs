use cache_runtime::cached;

#[cached(ttl)]
async fn without_value(id: u64) -> u64 {
    id
}

#[cached(ttl(60))]
async fn in_parentheses(id: u64) -> u64 {
    id
}

#[cached(skip = id)]
async fn without_parentheses(id: u64) -> u64 {
    id
}

#[cached(skip())]
async fn without_names(id: u64) -> u64 {
    id
}

#[cached(ttl = 60 prefix = "user")]
async fn without_comma(id: u64) -> u64 {
    id
}

#[cached(60)]
async fn without_name(id: u64) -> u64 {
    id
}

fn main() {}
