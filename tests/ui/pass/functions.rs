//! Free functions of every shape.
#![deny(warnings)]

use cache_runtime::cached;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::{Debug, Display, Formatter, Result as Written};

/// Cannot be serialized, as errors mostly cannot.
#[derive(Debug)]
pub enum Trouble {
    Number(std::num::ParseIntError),
    Negative,
}

impl From<std::num::ParseIntError> for Trouble {
    fn from(error: std::num::ParseIntError) -> Self {
        Self::Number(error)
    }
}

type Outcome<T> = Result<T, Trouble>;

#[cached]
pub async fn bare() -> u32 {
    1
}

#[cached(ttl = 60, prefix = "numbers")]
pub(crate) async fn question_mark(text: &str) -> Outcome<i32> {
    let number: i32 = text.trim().parse()?;
    if number < 0 {
        return Err(Trouble::Negative);
    }
    Ok(number)
}

#[cached(ttl = "1h 30m")]
async fn inferred(text: String) -> Outcome<Vec<i32>> {
    text.split(',').map(|part| Ok(part.parse()?)).collect()
}

#[cached]
async fn early(found: bool) -> Option<String> {
    if !found {
        return None;
    }
    Some(Default::default())
}

#[cached]
async fn diverging(loops: bool) -> Result<u8, String> {
    if loops {
        panic!("no value");
    }
    loop {
        return Err("no value".into());
    }
}

#[cached]
async fn never(_id: u8) -> Result<u8, String> {
    std::future::pending().await
}

#[cached]
async fn generic<T: Serialize + Debug, U>(value: T, other: U) -> String
where
    U: Display + Serialize,
{
    format!("{value:?} {other}")
}

#[cached(skip(make))]
async fn made<T, F>(make: F) -> T
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: FnOnce() -> T,
{
    make()
}

#[cached]
async fn constant<const N: usize>(seed: u8) -> Vec<u8> {
    vec![seed; N]
}

#[cached]
async fn lifetimes<'a, 'b: 'a>(one: &'a str, many: &'b [&'a str]) -> usize {
    one.len() + many.len()
}

#[cached]
async fn opaque(
    text: impl AsRef<str> + Serialize,
    mut numbers: impl Iterator<Item = u8> + Serialize,
) -> usize {
    text.as_ref().len() + usize::from(numbers.next().unwrap_or(0))
}

#[cached]
async fn consumed(names: Vec<String>, mut count: usize) -> usize {
    for name in names {
        count += name.len();
    }
    count
}

#[cached]
async fn recursive(n: u64) -> u64 {
    if n < 2 {
        n
    } else {
        Box::pin(recursive(n - 1)).await + Box::pin(recursive(n - 2)).await
    }
}

#[cached]
async fn borrowed_error(text: &str) -> Result<u8, Wrong<'_>> {
    text.parse().map_err(|_| Wrong(text))
}

#[derive(Debug)]
struct Wrong<'a>(&'a str);

impl Display for Wrong<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        f.write_str(self.0)
    }
}

/// Documentation stays.
#[cached]
#[must_use]
#[inline]
async fn documented(r#type: u8) -> u8 {
    #![allow(unused_variables)]
    let unused = 1;
    r#type
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(is_send(bare()).await, 1);
    assert_eq!(is_send(question_mark(" 7 ")).await.unwrap(), 7);
    assert!(matches!(question_mark("-7").await, Err(Trouble::Negative)));
    assert!(matches!(
        question_mark("seven").await,
        Err(Trouble::Number(_))
    ));
    assert_eq!(inferred("1,2".into()).await.unwrap(), [1, 2]);
    assert_eq!(early(false).await, None);
    assert_eq!(early(true).await.as_deref(), Some(""));
    assert!(diverging(false).await.is_err());
    drop(never(1));
    assert_eq!(is_send(generic(1, "a")).await, "1 a");
    assert_eq!(made(|| 5_u8).await, 5);
    assert_eq!(made(|| "five".to_owned()).await, "five");
    assert_eq!(constant::<2>(7).await, [7, 7]);
    assert_eq!(constant::<3>(7).await, [7, 7, 7]);
    assert_eq!(lifetimes("a", &["b", "c"]).await, 3);
    assert_eq!(opaque("ab", Bytes).await, 2);
    assert_eq!(consumed(vec!["a".into()], 1).await, 2);
    assert_eq!(recursive(20).await, 6765);
    assert_eq!(borrowed_error("x").await.unwrap_err().to_string(), "x");
    assert_eq!(documented(1).await, 1);
}

#[derive(Serialize)]
struct Bytes;

impl Iterator for Bytes {
    type Item = u8;
    fn next(&mut self) -> Option<u8> {
        None
    }
}
