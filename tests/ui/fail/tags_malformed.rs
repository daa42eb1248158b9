use cache_runtime::cached;

#[cached(tags = [])]
async fn none(id: u64) -> u64 {
    id
}

#[cached(tags = [""])]
async fn empty(id: u64) -> u64 {
    id
}

#[cached(tags = ["all", "my user"])]
async fn space(id: u64) -> u64 {
    id
}

#[cached(tags = ["{{id}"])]
async fn braces(id: u64) -> u64 {
    id
}

#[cached(tags = ["user:{id"])]
async fn open(id: u64) -> u64 {
    id
}

#[cached(tags = ["{id}{place}"])]
async fn adjacent(id: u64, place: u64) -> u64 {
    id + place
}

#[cached(tags = ["all", id])]
async fn no_literal(id: u64) -> u64 {
    id
}

#[cached(tags = id)]
async fn no_list(id: u64) -> u64 {
    id
}

fn main() {}
