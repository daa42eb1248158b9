use cache_runtime::cached;

#[cached(key = "")]
async fn empty(id: u64) -> u64 {
    id
}

#[cached(key = "{}:profile")]
async fn empty_hole(id: u64) -> u64 {
    id
}

#[cached(key = "{id")]
async fn open(id: u64) -> u64 {
    id
}

#[cached(key = "{id}{place}")]
async fn adjacent(id: u64, place: u64) -> u64 {
    id + place
}

#[cached(key = "{id + 1}")]
async fn expression(id: u64) -> u64 {
    id
}

#[cached(key = "{id}:*")]
async fn glob(id: u64) -> u64 {
    id
}

#[cached(key = "{{id}")]
async fn braces(id: u64) -> u64 {
    id
}

fn main() {}
