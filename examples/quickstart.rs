//! cargo run --example quickstart
//!
//! A service that answers questions about 1,707 real earthquakes (see `data/README.md`), and what
//! caching does to its calls. It needs no server; with `REDIS_URL` set, its answers outlive it:
//! the first call of a second run is answered by what the first run stored.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cache_runtime::{Mode, cache, cache_invalidate, cached};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

const DATA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/earthquakes.json"
);

/// Only what is cached needs serde: an error is never stored, so any type will do.
type ServiceError = Box<dyn Error + Send + Sync>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Quake {
    id: String,
    magnitude: f64,
    place: String,
}

// --- the service ----------------------------------------------------------------------------

/// The strongest quakes of a region, strongest first.
#[cached(ttl = "5m", prefix = "quakes")]
async fn strongest(region: &str, count: usize) -> Result<Vec<Quake>, ServiceError> {
    let mut quakes = read_catalogue().await?;
    quakes.retain(|quake| quake.place.ends_with(region));
    quakes.sort_by(|one, other| other.magnitude.total_cmp(&one.magnitude));
    quakes.truncate(count);
    Ok(quakes)
}

/// How many quakes were at least this strong; an answer is good for a moment only.
#[cached(ttl = "300ms", prefix = "census")]
async fn count_from(magnitude: u8) -> Result<usize, ServiceError> {
    let mut quakes = read_catalogue().await?;
    quakes.retain(|quake| quake.magnitude >= f64::from(magnitude));
    Ok(quakes.len())
}

/// Corrects a magnitude. Whoever asks for the strongest quakes from now on gets the corrected one.
#[cache_invalidate(prefix = "quakes")]
async fn revise(id: &str, magnitude: f64) {
    let mut revised = REVISED.lock().unwrap_or_else(PoisonError::into_inner);
    revised.insert(id.to_owned(), magnitude);
}

// --- its data -------------------------------------------------------------------------------

/// Magnitudes that differ from the file's, by quake.
static REVISED: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

/// How often a cached function really ran: each run reads the catalogue once.
static BODY_RUNS: AtomicU64 = AtomicU64::new(0);

/// The file is GeoJSON.
#[derive(Deserialize)]
struct Catalogue {
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    id: String,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    mag: f64,
    place: String,
}

/// All quakes, read from the file as slowly as from any other database.
async fn read_catalogue() -> Result<Vec<Quake>, ServiceError> {
    BODY_RUNS.fetch_add(1, Ordering::Relaxed);
    let read = || -> Result<Catalogue, ServiceError> {
        let text = std::fs::read_to_string(DATA)?;
        Ok(serde_json::from_str(&text)?)
    };
    let catalogue = tokio::task::spawn_blocking(read).await??;

    let revised = REVISED.lock().unwrap_or_else(PoisonError::into_inner);
    let quakes = catalogue.features.into_iter().map(|feature| Quake {
        magnitude: *revised.get(&feature.id).unwrap_or(&feature.properties.mag),
        place: feature.properties.place,
        id: feature.id,
    });
    Ok(quakes.collect())
}

// --- its calls, and where their answers come from ----------------------------------------------

#[tokio::main]
async fn main() -> Result<(), ServiceError> {
    println!("{:<38} {:<24} {:>10}", "call", "answered by", "time");

    let quakes = show("strongest in Alaska", strongest("Alaska", 5)).await?;
    let stored_before = BODY_RUNS.load(Ordering::Relaxed) == 0;
    show("  again", strongest("Alaska", 5)).await?;
    show("  other arguments", strongest("Alaska", 3)).await?;

    show("strongest in Nevada, 100 callers", async {
        let callers: JoinSet<_> = (0..100).map(|_| strongest("Nevada", 5)).collect();
        let answers = callers.join_all().await;
        answers.into_iter().collect::<Result<Vec<_>, _>>()
    })
    .await?;

    show("quakes from magnitude 4", count_from(4)).await?;
    show("  again", count_from(4)).await?;
    tokio::time::sleep(Duration::from_millis(350)).await;
    show("  after 350 ms: expired", count_from(4)).await?;

    let Some(first) = quakes.first() else {
        return Err("no quake in Alaska".into());
    };
    revise(&first.id, first.magnitude + 0.3).await;
    let revised = show("strongest in Alaska, revised", strongest("Alaska", 5)).await?;
    // Taken back, so that what a second run finds in Redis is what the file says.
    revise(&first.id, first.magnitude).await;
    show("  after taking it back", strongest("Alaska", 5)).await?;
    show("  again", strongest("Alaska", 5)).await?;

    println!();
    println!("strongest   M {:.1}, {}", first.magnitude, first.place);
    println!(
        "  revised   M {:.1}",
        revised.first().map_or(f64::NAN, |quake| quake.magnitude)
    );
    print_summary(stored_before);
    Ok(())
}

/// Awaits one call and prints its line of the table.
async fn show<T>(
    call: &str,
    answer: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    let runs = BODY_RUNS.load(Ordering::Relaxed);
    let before = cache().stats();
    let start = Instant::now();

    let value = answer.await?;

    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let after = cache().stats();
    let sources = [
        ("body", BODY_RUNS.load(Ordering::Relaxed) - runs),
        ("shared", after.coalesced - before.coalesced),
        ("cache", after.hits - before.hits),
    ];
    let sources = sources.into_iter().filter(|(_, count)| *count > 0);
    let sources: Vec<_> = sources
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    println!(
        "{call:<38} {:<24} {milliseconds:>7.2} ms",
        sources.join(", ")
    );
    Ok(value)
}

fn print_summary(stored_before: bool) {
    let stats = cache().stats();
    println!(
        "statistics  {} hits, {} misses, {} loads, {} coalesced; hit rate {:.0} %",
        stats.hits,
        stats.misses,
        stats.loads,
        stats.coalesced,
        stats.hit_rate() * 100.0
    );
    let mode = match cache().mode() {
        Mode::Redis if stored_before => "Redis; the first call found what an earlier run stored",
        Mode::Redis => "Redis; run this again, and the first call finds what this run stored",
        Mode::Memory => "in process; set REDIS_URL to share answers between processes and runs",
        Mode::Fallback => "in process for now, since Redis is away",
        Mode::Disabled => "disabled; every call ran its body",
    };
    println!("mode        {mode}");
}
