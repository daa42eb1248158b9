//! What an entry in the process takes beside its key and its value: the bytes that stay allocated, in ours and in moka itself.

use std::sync::Arc;

use super::{Figures, Order};
use crate::allocator::Counted;
use crate::candidate::Outcome;
use crate::candidate::ours::{self, Place};
use crate::work::{LANGUAGE, Video};

/// Right after a table has doubled it looks large, right before it small; the mean of several sizes depends less on that.
const SIZES: [u64; 4] = [50_000, 75_000, 100_000, 125_000];

pub async fn run(order: &Order) -> Outcome<Figures> {
    ours::Process::open(&order.redis).await?;
    // What the first entry makes for all is no entry's.
    ours::shared(u64::MAX, LANGUAGE).await;
    let mut payloads = Vec::new();
    for size in SIZES {
        payloads.push(payload(size)?);
    }
    let footprints = match order.candidate.as_str() {
        "ours_arc" => of_ours().await,
        #[cfg(feature = "moka")]
        "moka_arc" => of_moka()?,
        unknown => return Err(format!("no candidate {unknown} in this build").into()),
    };
    let beside = footprints
        .iter()
        .zip(&payloads)
        .zip(SIZES)
        .map(|((footprint, payload), size)| (footprint - payload) as f64 / size as f64);
    Ok(vec![
        ("bytes", beside.sum::<f64>() / SIZES.len() as f64),
        ("key_and_value", payloads[0] as f64 / SIZES[0] as f64),
    ])
}

/// What the bytes of so many keys and values take by themselves.
fn payload(size: u64) -> Outcome<i64> {
    let mut values = Vec::with_capacity(usize::try_from(size)?);
    Counted::start();
    for id in 0..size {
        values.push(Arc::new(Video::new(id, LANGUAGE)));
    }
    let bytes = Counted::stop().live;
    let mut keys = 0;
    for id in 0..size {
        keys += i64::try_from(key(id)?.len())?;
    }
    Ok(bytes + keys)
}

fn key(id: u64) -> Outcome<String> {
    Ok(cache_runtime::key_of(ours::shared(id, LANGUAGE))?)
}

async fn of_ours() -> Vec<i64> {
    let (mut filled, mut footprints) = (0, Vec::new());
    Counted::start();
    for size in SIZES {
        for id in filled..size {
            ours::shared(id, LANGUAGE).await;
        }
        filled = size;
        // Counting its entries, the tier does what it has put off.
        let entries = cache_runtime::cache().stats().entries;
        assert!(entries >= size, "{entries} of {size} are kept");
        footprints.push(Counted::so_far().live);
    }
    footprints
}

#[cfg(feature = "moka")]
fn of_moka() -> Outcome<Vec<i64>> {
    let cache = crate::candidate::moka::of_texts();
    let (mut filled, mut footprints) = (0, Vec::new());
    Counted::start();
    for size in SIZES {
        for id in filled..size {
            let value = Arc::new(Video::new(id, LANGUAGE));
            cache.insert(Arc::from(key(id)?), value);
        }
        filled = size;
        cache.run_pending_tasks();
        footprints.push(Counted::so_far().live);
    }
    Ok(footprints)
}
