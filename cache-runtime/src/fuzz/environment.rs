//! Environment variables, and the texts in them.

use std::time::Duration;

use super::input::Input;
use crate::config::CacheBuilder;
use crate::{duration, env};

/// Stands for the byte 1 in an input, and in no message of ours.
const SECRET: &str = "q7Zk9XvB2w";

/// Lines of `NAME=text`, or of a byte that chooses a name and the text. No text makes reading panic, and no complaint quotes
/// what may be a secret.
pub fn environment(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).replace('\u{1}', SECRET);
    let lookup = |name: &str| text.lines().find_map(|line| value_of(name, line));
    match env::read(&lookup) {
        Ok(config) => {
            let _ = CacheBuilder::from(config).finish();
        }
        Err(error) => {
            let complaint = format!("{error} {error:?}");
            let secret = env::VARIABLES.into_iter().any(|name| {
                let value = lookup(name).unwrap_or_default();
                let quoted = complaint.starts_with(name) && complaint.contains(SECRET);
                quoted
                    && (name.ends_with("PASSWORD") || value.contains('@') || value.contains("://"))
            });
            assert!(!secret, "{complaint}");
        }
    }
    one_duration(&text);
    written_durations(Input::new(bytes));
}

fn value_of(name: &str, line: &str) -> Option<String> {
    if let Some((named, value)) = line.split_once('=') {
        return (named == name).then(|| value.to_owned());
    }
    let chosen = line.chars().next()?;
    let at = usize::try_from(u32::from(chosen)).unwrap_or_default() % env::VARIABLES.len();
    let chosen_name = env::VARIABLES.get(at)?;
    (*chosen_name == name).then(|| line.chars().skip(1).collect())
}

fn one_duration(text: &str) {
    let Ok(read) = duration::parse(text) else {
        return;
    };
    let written = format!("{}s {}ms", read.as_secs(), read.subsec_millis());
    let whole = Duration::new(read.as_secs(), read.subsec_millis() * 1_000_000);
    assert_eq!(duration::parse(&written), Ok(whole), "{text}");
}

/// A duration written in any of its forms is read as what it is.
fn written_durations(mut input: Input<'_>) {
    let [days, hours, minutes, seconds] = input.bytes().map(u64::from);
    let milliseconds = u64::from(u16::from_le_bytes(input.bytes()));
    let gap = if input.byte().is_multiple_of(2) {
        ""
    } else {
        " "
    };
    let text = format!("{days}d{gap}{hours}h{gap}{minutes}m{gap}{seconds}s{gap}{milliseconds}ms");
    let seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
    let expected = Duration::from_secs(seconds) + Duration::from_millis(milliseconds);
    assert_eq!(duration::parse(&text), Ok(expected), "{text}");
    assert_eq!(
        duration::parse(&seconds.to_string()),
        Ok(Duration::from_secs(seconds))
    );
}
