use cache_runtime::cached;

struct Repo;

impl Repo {
    #[cached(stale_while_revalidate = "1m", background = true, skip(self))]
    async fn method(&self, id: u64) -> u64 {
        id
    }
}

#[cached(early_refresh = true, background = true)]
async fn generic<T: serde::Serialize>(id: T) -> u64 {
    let _ = id;
    1
}

#[cached(early_refresh = true, background = true)]
async fn opaque(id: impl serde::Serialize) -> u64 {
    let _ = id;
    1
}

#[cached(background = true)]
async fn nothing_runs_behind(id: u64) -> u64 {
    id
}

#[cached(early_refresh = 1)]
async fn number(id: u64) -> u64 {
    id
}

fn main() {}
