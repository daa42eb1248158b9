use cache_runtime::cached;

#[cached(cache_if = |names: &String| !names.is_empty())]
async fn of_another_value(id: u64) -> Vec<String> {
    vec![id.to_string()]
}

#[cached(cache_if = Vec::len)]
async fn no_bool(id: u64) -> Vec<String> {
    vec![id.to_string()]
}

#[cached(cache_if = true)]
async fn no_question(id: u64) -> Vec<String> {
    vec![id.to_string()]
}

#[cached(cache_if = |names| names.len() > least)]
async fn of_an_argument(least: usize) -> Vec<String> {
    vec![least.to_string()]
}

fn main() {}
