::core::compile_error! {
    "`tll` is not an option of `#[cached]`; did you mean `ttl`?"
}
::core::compile_error! {
    "`dbb` is not an argument of this function; did you mean `db`?"
}
pub fn load(db: &Db, id: u64) -> u64 {
    id
}
