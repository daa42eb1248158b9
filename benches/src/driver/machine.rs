//! What was measured on, and with which versions.

use std::fs;
use std::process::Command;

use super::server;

/// Pairs of a name and what it is here, in the order of the page.
pub fn describe() -> Vec<(String, String)> {
    let lines = [
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("processor", processor()),
        ("kernel", output("uname", &["-sr"])),
        ("rustc", output("rustc", &["--version"])),
        ("server", output(&server::program(), &["--version"])),
        ("commit", commit()),
        ("command", command()),
        ("versions", versions()),
    ];
    lines.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_else(|_| "unknown".to_owned())
}

fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = memory
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|number| number.parse::<u64>().ok());
    let gibibytes = kibibytes.unwrap_or(0).div_ceil(1 << 20);
    let kind = if information.contains(" hypervisor") {
        ", a virtual machine"
    } else {
        ""
    };
    format!("{cores} cores of {model}, {gibibytes} GiB{kind}")
}

fn commit() -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    let commit = output("git", &["-C", folder, "rev-parse", "--short", "HEAD"]);
    let changed = output(
        "git",
        &[
            "-C",
            folder,
            "status",
            "--porcelain",
            "--",
            "../cache-runtime",
            "../cache-macros",
        ],
    );
    if changed.is_empty() {
        commit
    } else {
        format!("{commit}, with changes")
    }
}

fn command() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("benches/run {}", words.join(" ")).trim().to_owned()
}

/// Those of the lock file whose names stand in the manifest.
fn versions() -> String {
    let wanted = [
        "cached",
        "foyer",
        "hitbox",
        "hitbox-fn",
        "memoize",
        "moka",
        "multi-tier-cache",
        "quick_cache",
        "redis",
        "tokio",
    ];
    let lock = include_str!("../../Cargo.lock");
    let mut versions = Vec::new();
    for package in lock.split("[[package]]") {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim_matches([' ', '=', '"']))
        };
        if let (Some(name), Some(version)) = (field("name"), field("version"))
            && wanted.contains(&name)
        {
            versions.push(format!("{name} {version}"));
        }
    }
    versions.join(", ")
}
