//! Durations as people write them: `300` (seconds), `0.25`, `90s`, `250ms`, `1h 30m`, `1d`.
//!
//! Nothing written outside the program may make this panic: every sum is checked.
//! Zero is a duration; whether it makes sense is for the caller to say.

use std::time::Duration;

const NOT_A_DURATION: &str =
    "expected a duration such as `300` (seconds), `0.25`, `250ms`, `5m`, `1h 30m` or `1d`";
const TOO_LONG: &str = "expected a shorter duration; this one cannot be counted";

/// Reads a duration: a bare number of seconds, or whole numbers each followed by `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// What was expected; the text itself is not in it.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    if text.ends_with(|last: char| last.is_ascii_digit()) {
        return seconds(text);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (count, after) = leading(rest, |next| next.is_ascii_digit());
        let (unit, after) = leading(after.trim_start(), |next| next.is_ascii_alphabetic());
        total = total.checked_add(term(count, unit)?).ok_or(TOO_LONG)?;
        rest = after.trim_start();
    }
    if text.is_empty() {
        Err(NOT_A_DURATION)
    } else {
        Ok(total)
    }
}

/// A bare number: whole seconds, or seconds and a fraction of which nine digits count.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return Err(NOT_A_DURATION);
    }
    let whole = whole.parse().map_err(|_| TOO_LONG)?;
    let nanoseconds = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |sum: u32, digit| sum * 10 + u32::from(digit - b'0'));
    Ok(Duration::new(whole, nanoseconds))
}

/// One `30m` of `1h 30m`.
fn term(count: &str, unit: &str) -> Result<Duration, &'static str> {
    let seconds_each = match unit {
        "ms" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(NOT_A_DURATION),
    };
    if count.is_empty() {
        return Err(NOT_A_DURATION);
    }
    let count: u64 = count.parse().map_err(|_| TOO_LONG)?;
    if unit == "ms" {
        return Ok(Duration::from_millis(count));
    }
    count
        .checked_mul(seconds_each)
        .map(Duration::from_secs)
        .ok_or(TOO_LONG)
}

/// The longest beginning of `text` whose characters all satisfy `accept`, and what follows it.
fn leading(text: &str, accept: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|next| !accept(next)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{NOT_A_DURATION, TOO_LONG, parse};

    #[test]
    fn every_documented_form_is_read() {
        let table = [
            ("300", Duration::from_secs(300)),
            (" 300\n", Duration::from_secs(300)),
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("0.25", Duration::from_millis(250)),
            ("1.0000000019", Duration::new(1, 1)),
            ("250ms", Duration::from_millis(250)),
            ("90s", Duration::from_secs(90)),
            ("5m", Duration::from_secs(300)),
            ("5 m", Duration::from_secs(300)),
            ("1h 30m", Duration::from_secs(5_400)),
            ("1h30m", Duration::from_secs(5_400)),
            ("1d 1ms", Duration::new(86_400, 1_000_000)),
            ("18446744073709551615", Duration::from_secs(u64::MAX)),
        ];

        for (text, expected) in table {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        let table = [
            "",
            " ",
            "s",
            "ms",
            "-5",
            "+5",
            "5x",
            "5M",
            "5 minutes",
            "1h 30",
            "30 1h",
            "1.5h",
            ".5",
            "5.",
            "1.2.3",
            "1e3",
            "inf",
            "5mm",
            "5m,3s",
            "٣s",
            "٣",
            "1_000",
            "1h é",
        ];

        for text in table {
            assert_eq!(parse(text), Err(NOT_A_DURATION), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let table = [
            "18446744073709551616",
            "18446744073709551616s",
            "18446744073709551615m",
            "18446744073709551615d",
            "18446744073709551615s 1s",
            "18446744073709551616ms",
        ];

        for text in table {
            assert_eq!(parse(text), Err(TOO_LONG), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn text_that_is_nearly_a_duration_is_read_or_refused(text in "[0-9.smhd -]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn terms_add_up(days in 0..1_000_u64, minutes in 0..1_000_u64, milliseconds in 0..10_000_u64) {
            let read = parse(&format!("{days}d {minutes}m {milliseconds}ms"));

            prop_assert_eq!(read, Ok(Duration::from_millis(days * 86_400_000 + minutes * 60_000 + milliseconds)));
        }
    }
}
