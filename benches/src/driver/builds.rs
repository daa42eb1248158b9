//! What a user's build costs: a small program from nothing, the lines of its `cargo tree`, and each annotated function.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Options;
use super::samples::Samples;
use crate::candidate::Outcome;

/// Functions of the crate that is checked with and without their attributes.
const FUNCTIONS: usize = 200;

const OURS: &str = r#"
use cache_runtime::{cache_invalidate, cached};

#[cached(ttl = 300, prefix = "video")]
async fn title(id: u64) -> Result<String, std::io::Error> {
    Ok(format!("Video number {id}"))
}

#[cache_invalidate(prefix = "video")]
async fn rename(id: u64, title: &str) -> Result<(), std::io::Error> {
    println!("renaming {id} to {title}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), std::io::Error> {
    println!("{}", title(42).await?);
    rename(42, "Another title").await
}
"#;

const CACHED: &str = r#"
use cached::macros::concurrent_cached;

#[concurrent_cached(redis = true, ttl_secs = 300, map_error = |e| std::io::Error::other(format!("{e:?}")))]
async fn title(id: u64) -> Result<String, std::io::Error> {
    Ok(format!("Video number {id}"))
}

async fn rename(id: u64, title: &str) -> Result<(), std::io::Error> {
    println!("renaming {id} to {title}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), std::io::Error> {
    println!("{}", title(42).await?);
    rename(42, "Another title").await
}
"#;

const COMMON: &str = r#"serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
"#;

/// A crate of a user's, in a folder of its own.
struct Crate {
    folder: PathBuf,
    target: PathBuf,
}

impl Crate {
    fn new(parent: &Path, name: &str, dependency: &str, file: &str, text: &str) -> Outcome<Self> {
        let folder = parent.join(name);
        fs::create_dir_all(folder.join("src"))?;
        let manifest = format!(
            "[workspace]\n\n[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[dependencies]\n{dependency}{COMMON}"
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        fs::write(folder.join("src").join(file), text)?;
        // The versions of the benches, all of which are on this machine.
        fs::copy(here().join("Cargo.lock"), folder.join("Cargo.lock"))?;
        let target = folder.join("target");
        Ok(Self { folder, target })
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command =
            Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        command
            .args(arguments)
            .arg("--offline")
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            // Else a check of what has not changed checks nothing.
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What that command of cargo's has taken until it ended well.
    fn cost(&self, arguments: &[&str]) -> Outcome<Cost> {
        let (start, processor) = (Instant::now(), processor_seconds());
        let output = self.cargo(arguments).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let seconds = start.elapsed().as_secs_f64();
        let processor = processor.zip(processor_seconds());
        Ok(Cost {
            seconds,
            processor: processor.map(|(before, after)| after - before),
        })
    }

    fn clean_build(&self) -> Outcome<Cost> {
        self.clean()?;
        let cost = self.cost(&["build"])?;
        // Else the next one is written to a fuller disk.
        self.clean()?;
        Ok(cost)
    }

    fn clean(&self) -> Outcome<()> {
        if self.target.exists() {
            fs::remove_dir_all(&self.target)?;
        }
        Ok(())
    }

    /// Dependencies are there, the crate itself is not.
    fn check(&self) -> Outcome<f64> {
        let file = fs::File::options()
            .append(true)
            .open(self.folder.join("src/lib.rs"))?;
        file.set_modified(std::time::SystemTime::now())?;
        Ok(self.cost(&["check"])?.seconds)
    }

    fn tree_lines(&self) -> Outcome<f64> {
        let output = self.cargo(&["tree"]).output()?;
        Ok(String::from_utf8(output.stdout)?.lines().count() as f64)
    }
}

/// What a build took.
struct Cost {
    seconds: f64,
    /// Those of all processors together, which other work on the machine hardly changes; `None` where they are not told.
    processor: Option<f64>,
}

/// What the processes took that this one has waited for, and those that they have waited for.
fn processor_seconds() -> Option<f64> {
    // Of Linux, as programs see them.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may have spaces. `cutime` and `cstime` are the 14th and 15th field after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: Vec<f64> = ticks.filter_map(|field| field.parse().ok()).collect();
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Many functions, with what stands above each.
fn functions(attribute: impl Fn(usize) -> String) -> String {
    let mut text = "use cache_runtime as _;\n".to_owned();
    for number in 0..FUNCTIONS {
        let _ = write!(
            text,
            "{}pub async fn title_{number}(id: u64, language: &str) -> Result<String, std::io::Error> {{\n    \
             Ok(format!(\"Video {{id}} in {{language}}\"))\n}}\n",
            attribute(number)
        );
    }
    text
}

/// As many rounds as asked for, at most five: each takes a minute.
pub fn run(options: &Options, samples: &mut Samples) -> Outcome<()> {
    let scratch = std::env::temp_dir().join(format!("cache-benches-{}", std::process::id()));
    let outcome = measure(&scratch, options.rounds.min(5), samples);
    let _ = fs::remove_dir_all(&scratch);
    outcome
}

fn measure(scratch: &Path, rounds: usize, samples: &mut Samples) -> Outcome<()> {
    let runtime = here().join("../cache-runtime").canonicalize()?;
    let runtime = format!(
        "cache-runtime = {{ path = {:?} }}\n",
        runtime.display().to_string()
    );
    let cached = "cached = { version = \"=4.1.0\", features = [\"async\", \"redis_tokio\"] }\n";
    let programs = [
        (
            "ours",
            Crate::new(scratch, "hello-ours", &runtime, "main.rs", OURS)?,
        ),
        (
            "cached",
            Crate::new(scratch, "hello-cached", cached, "main.rs", CACHED)?,
        ),
    ];
    // Once before it counts, so that what both compile has been read from the disk.
    let [(_, first), _] = &programs;
    first.clean_build()?;
    for round in 0..rounds {
        let mut turns: Vec<_> = programs.iter().collect();
        turns.rotate_left(round % programs.len());
        for (candidate, program) in turns {
            let cost = program.clean_build()?;
            samples.add("build", candidate, "seconds", round, cost.seconds);
            if let Some(processor) = cost.processor {
                samples.add("build", candidate, "processor_s", round, processor);
            }
            samples.add("build", candidate, "tree", round, program.tree_lines()?);
        }
    }

    let plain = functions(|_| String::new());
    let annotated = functions(|number| {
        format!("#[cache_runtime::cached(ttl = 300, prefix = \"title{number}\")]\n")
    });
    let plain = Crate::new(scratch, "plain", &runtime, "lib.rs", &plain)?;
    let mut annotated = Crate::new(scratch, "annotated", &runtime, "lib.rs", &annotated)?;
    // Their dependencies are the same, and checked once.
    annotated.target.clone_from(&plain.target);
    plain.check()?;
    annotated.check()?;
    for round in 0..rounds {
        let without = plain.check()?;
        let with = annotated.check()?;
        let each = (with - without) * 1e3 / FUNCTIONS as f64;
        samples.add("check", "ours", "ms", round, each);
        samples.add("check", "ours", "plain_s", round, without);
    }
    Ok(())
}
