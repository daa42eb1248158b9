//! Durations as people write them, `"1h 30m"`, read at compile time.

use std::time::Duration;

/// Units from large to small, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads `90s`, `5m`, `250ms`, `1h 30m`; a mistake is a sentence that names the remedy.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!(
            "`{text:?}` is not a duration; write one such as `\"5m\"`"
        ));
    }
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, unit, remaining) = part(rest)?;
        let &(_, millis) = units
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| misplaced(unit))?;
        total = number
            .checked_mul(millis)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| {
                format!("`{text}` is longer than can be counted; give a shorter duration")
            })?;
        rest = remaining;
    }
    Ok(Duration::from_millis(total))
}

/// Splits off the first number and its unit.
fn part(text: &str) -> Result<(u64, &str, &str), String> {
    let (digits, rest) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let rest = rest.trim_start();
    let (unit, rest) = rest.split_at(
        rest.find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len()),
    );
    match (digits.parse(), unit) {
        (Ok(number), "") if rest.is_empty() => Err(format!(
            "`{number}` has no unit; write `\"{number}s\"`, or `{number}` without quotes for seconds"
        )),
        (Ok(number), unit) if !unit.is_empty() => Ok((number, unit, rest.trim_start())),
        _ => Err(format!(
            "`{text}` is not a duration; write whole numbers with units, such as `\"1h 30m\"`"
        )),
    }
}

fn misplaced(unit: &str) -> String {
    if UNITS.iter().any(|(name, _)| *name == unit) {
        format!(
            "`{unit}` is out of order; write each unit once, from large to small, such as `\"1h 30m\"`"
        )
    } else {
        format!("`{unit}` is not a unit of time; use `d`, `h`, `m`, `s` or `ms`")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[track_caller]
    fn check(text: &str, millis: u64) {
        assert_eq!(super::parse(text), Ok(Duration::from_millis(millis)));
    }

    #[track_caller]
    fn check_error(text: &str, message: &str) {
        assert_eq!(super::parse(text), Err(message.to_owned()));
    }

    #[test]
    fn every_unit_is_read() {
        check("250ms", 250);
        check("90s", 90_000);
        check("5m", 300_000);
        check("2h", 7_200_000);
        check("1d", 86_400_000);
    }

    #[test]
    fn units_add_up() {
        check("1h 30m", 5_400_000);
        check("1h30m", 5_400_000);
        check(" 1d 2 h  3m 4s 5ms ", 93_784_005);
    }

    #[test]
    fn zero_is_a_duration_and_the_caller_judges_it() {
        check("0s", 0);
    }

    #[test]
    fn mistakes_name_the_remedy() {
        check_error("", "`\"\"` is not a duration; write one such as `\"5m\"`");
        check_error(
            "300",
            "`300` has no unit; write `\"300s\"`, or `300` without quotes for seconds",
        );
        check_error(
            "soon",
            "`soon` is not a duration; write whole numbers with units, such as `\"1h 30m\"`",
        );
        check_error(
            "1.5h",
            "`1.5h` is not a duration; write whole numbers with units, such as `\"1h 30m\"`",
        );
        check_error(
            "-5m",
            "`-5m` is not a duration; write whole numbers with units, such as `\"1h 30m\"`",
        );
        check_error(
            "5 minutes",
            "`minutes` is not a unit of time; use `d`, `h`, `m`, `s` or `ms`",
        );
        check_error(
            "5m 1h",
            "`h` is out of order; write each unit once, from large to small, such as `\"1h 30m\"`",
        );
        check_error(
            "5m 5m",
            "`m` is out of order; write each unit once, from large to small, such as `\"1h 30m\"`",
        );
        check_error(
            "999999999999999999d",
            "`999999999999999999d` is longer than can be counted; give a shorter duration",
        );
        check_error(
            "99999999999999999999s",
            "`99999999999999999999s` is not a duration; write whole numbers with units, such as `\"1h 30m\"`",
        );
    }
}
