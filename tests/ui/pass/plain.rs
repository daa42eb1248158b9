//! Functions that are not `async`.
#![deny(warnings)]

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{cache_invalidate, cached};
use serde::{Serialize, de::DeserializeOwned};

type Fallible<T> = Result<T, std::num::ParseIntError>;

/// Keeps its documentation.
#[inline]
#[must_use]
#[cached(
    ttl = "1h",
    prefix = "double",
    near_ttl = "5s",
    max_loads = 4,
    coalesce = "off"
)]
pub fn double(id: u64) -> u64 {
    id * 2
}

#[cached(prefix = "sum", key = "{text}", tags = ["all", "text:{text}"])]
fn parse(text: &str, mut times: u64) -> Fallible<u64> {
    times += 1;
    if text.is_empty() {
        return Ok(0);
    }
    Ok(text.parse::<u64>()? * times)
}

#[cached(ttl = Duration::from_secs(count), near = true)]
fn pair((left, right): (u64, u64), count: u64, _: bool) -> Option<Arc<u64>> {
    Some(Arc::new(left.checked_sub(right)? + count))
}

#[cached(skip(shown))]
fn shown<T: Serialize + Clone>(value: T, shown: impl Display) -> String
where
    T: DeserializeOwned,
{
    drop(value);
    shown.to_string()
}

#[rustfmt::skip]
#[cached]
fn one_line(id: u64) -> u64 { id + 1 }

#[rustfmt::skip]
#[cached]
fn one_line_pattern((id, _): (u64, u64)) -> u64 { id + 1 }

#[cached]
fn factorial(number: u64) -> u64 {
    match number {
        0 => 1,
        _ => number * factorial(number - 1),
    }
}

trait Shop {
    fn price(&self, item: &str) -> u64;
    fn set_price(&mut self, item: &str, price: u64) -> &mut Self;
}

#[derive(Serialize)]
struct Corner {
    price: u64,
    name: String,
}

impl Shop for Corner {
    #[cached(prefix = "price", key = "{self.name}:{item}")]
    fn price(&self, item: &str) -> u64 {
        self.price + item.len() as u64
    }

    #[cache_invalidate(prefix = "price", key = "{self.name}:{item}")]
    fn set_price(&mut self, item: &str, price: u64) -> &mut Self {
        self.price = price;
        self
    }
}

impl Corner {
    #[cache_invalidate(prefix = "price", when = "before")]
    fn rename(&mut self, name: String) -> &str {
        self.name = name;
        &self.name
    }
}

#[cache_invalidate(tags = ["text:{text}"], when = "ok")]
fn forget(text: &str) -> Fallible<()> {
    text.parse::<u64>().map(drop)
}

#[cache_invalidate(prefix = ["double", "sum"])]
fn forget_all() {}

fn main() {
    assert_eq!([double(2), double(2)], [4, 4]);
    assert_eq!(parse("", 1), Ok(0));
    assert!(parse("a", 1).is_err());
    assert_eq!(parse("7", 1), Ok(14));
    assert_eq!(forget("7"), Ok(()));
    assert_eq!(parse("7", 2), Ok(21));
    forget_all();
    assert_eq!(parse("7", 1), Ok(14));
    assert_eq!(pair((3, 1), 60, true), Some(Arc::new(62)));
    assert_eq!(pair((1, 3), 60, true), None);
    assert_eq!(shown(7_u8, 8), "8");
    assert_eq!(factorial(5), 120);
    assert_eq!([one_line(1), one_line_pattern((1, 2))], [2, 2]);

    let mut corner = Corner {
        price: 1,
        name: "corner".into(),
    };
    assert_eq!(corner.price("tea"), 4);
    assert_eq!(corner.set_price("tea", 3).price("tea"), 6);
    assert_eq!(corner.rename("market".into()), "market");
}
