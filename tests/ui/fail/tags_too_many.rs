use cache_runtime::cached;

#[cached(tags = [
    "t01", "t02", "t03", "t04", "t05", "t06", "t07", "t08",
    "t09", "t10", "t11", "t12", "t13", "t14", "t15", "t16",
    "t17", "t18",
])]
async fn get_user(id: u64) -> String {
    id.to_string()
}

fn main() {}
