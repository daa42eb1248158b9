use cache_runtime::cached;

#[cached(coalesce = "fleet")]
fn over_the_fleet(id: u64) -> String {
    id.to_string()
}

#[cached(stale_while_revalidate = "1m", background = true)]
fn behind(id: u64) -> String {
    id.to_string()
}

#[cached(stale_if_error = "1h", load_timeout = "1s", early_refresh = true)]
fn in_time(id: u64) -> String {
    id.to_string()
}

#[cached(near = false, codec = "json")]
fn nowhere(id: u64) -> String {
    id.to_string()
}

fn main() {}
