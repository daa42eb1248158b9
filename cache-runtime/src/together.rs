//! Several parts of one call at once, in its own task: what they send to Redis travels together.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// A part that leaves its result where its owner finds it.
pub(crate) type Part<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs these parts side by side, to the end of the last one.
///
/// # Cancellation
/// Dropping this drops all parts that have not ended.
pub(crate) async fn together(mut parts: Vec<Part<'_>>) {
    poll_fn(|context| {
        parts.retain_mut(|part| part.as_mut().poll(context).is_pending());
        match parts.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}
