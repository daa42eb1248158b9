//! Arguments without a name, or with more than one.
#![deny(warnings)]

use cache_runtime::{cache_invalidate, cached};
use serde::Serialize;

#[derive(Clone, Copy, Serialize)]
struct Point {
    x: i32,
    y: i32,
}

#[cached]
async fn tuple((a, mut b): (u32, u32), [first, ..]: [u32; 3]) -> u32 {
    b += a;
    b + first
}

#[cached]
async fn fields(Point { x, y: height }: Point, argument_0: i32) -> i32 {
    x * height + argument_0
}

#[cached(skip(_why))]
async fn unnamed(_: u32, mut count: u32, _why: fn()) -> u32 {
    count += 1;
    count
}

#[cached]
async fn whole(all @ Point { x, .. }: Point, ref other: Point) -> i32 {
    all.y + x + other.x
}

#[cached(key = "{id}")]
async fn beside((a, b): (u32, u32), id: u32) -> u32 {
    a + b + id
}

#[cached]
async fn conditional(
    #[cfg(true)] present: u32,
    #[cfg(false)] absent: Missing,
    #[allow(unused)] kept: u32,
) -> u32 {
    present
}

#[cache_invalidate(prefix = "points", key = "{id}")]
async fn moved(Point { x, y }: Point, _: &str, id: u32) -> (i32, i32, u32) {
    (x, y, id)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(tuple((1, 2), [3, 4, 5]).await, 6);
    assert_eq!(tuple((1, 3), [3, 4, 5]).await, 7);
    assert_eq!(fields(Point { x: 2, y: 3 }, 4).await, 10);
    assert_eq!(fields(Point { x: 2, y: 4 }, 4).await, 12);
    assert_eq!(unnamed(1, 2, || ()).await, 3);
    assert_eq!(whole(Point { x: 1, y: 2 }, Point { x: 3, y: 4 }).await, 6);
    assert_eq!(beside((1, 2), 3).await, 6);
    assert_eq!(conditional(1, 2).await, 1);
    assert_eq!(moved(Point { x: 1, y: 2 }, "", 3).await, (1, 2, 3));
}
