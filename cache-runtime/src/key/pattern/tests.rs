use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(pattern: &str, matching: &[&str], other: &[&str]) {
    let parsed = Pattern::new(pattern);
    assert_eq!(parsed.as_str(), pattern);
    for key in matching {
        assert!(parsed.matches(key), "`{pattern}` should match `{key}`");
    }
    for key in other {
        assert!(!parsed.matches(key), "`{pattern}` should not match `{key}`");
    }
}

#[test]
fn text_without_glob_characters_matches_itself() {
    check(
        "user:42",
        &["user:42"],
        &["user:4", "user:421", "xuser:42", "", "USER:42"],
    );
    check("", &[""], &["a"]);
}

#[test]
fn a_star_takes_any_bytes() {
    check("*", &["", "a", "a:b"], &[]);
    check("**", &["", "a"], &[]);
    check("video:*", &["video:", "video:1:2"], &["video", "avideo:"]);
    check("*:42", &[":42", "a:42", "42:42:42"], &["42", "a:421"]);
    check(
        "a*b*c",
        &["abc", "axbxc", "abbcc", "acbbcbc"],
        &["acb", "abcx", "ac"],
    );
    check("*ab*ab", &["abab", "aabbaab"], &["ab", "aba"]);
}

#[test]
fn a_question_mark_takes_one_byte() {
    check("h?llo", &["hello", "h:llo"], &["hllo", "heello"]);
    check("??", &["ab", "é"], &["a", "abc", "東"]);
}

#[test]
fn a_class_takes_one_of_its_bytes() {
    check(
        "h[ae]llo",
        &["hello", "hallo"],
        &["hillo", "hllo", "haello"],
    );
    check("[a-c]", &["a", "b", "c"], &["d", "-", ""]);
    check("[^a-c1]", &["d", "^", "2"], &["a", "b", "1", ""]);
    check("[a^]", &["a", "^"], &["b"]);
    check("[*?]", &["*", "?"], &["a"]);
    check("[\\]x]", &["]", "x"], &["\\", "x]"]);
    check("[é]?", &["é"], &["e"]);
}

#[test]
fn a_backslash_takes_the_next_byte_as_it_is() {
    check("\\*\\?\\[\\\\", &["*?[\\"], &["a?[\\"]);
    check("\\a", &["a"], &["\\a"]);
    check("[\\^a]", &["^", "a"], &["\\", "b"]);
    check("[\\a-c]", &["a", "-", "c"], &["b"]);
}

#[test]
fn odd_patterns_mean_what_they_mean_to_redis() {
    check("a\\", &["a\\"], &["a"]);
    check("[abc", &["a", "c"], &["[abc", "d"]);
    check("[", &[], &["[", "", "a"]);
    check("[^", &["a", "^"], &["", "ab"]);
    check("[a\\", &["a", "\\"], &["b"]);
    check("[]", &[], &["]", "", "[]"]);
    check("[]a]", &[], &["a", "]", "a]"]);
    check("[^]", &["a", "]"], &[""]);
    check("[^]a]", &["xa]"], &["x", "b"]);
    check("[z-a]", &["a", "m", "z"], &["-", "A"]);
    check("[a-]", &["]", "^", "_", "`", "a"], &["-", "b"]);
    check("[-a]", &["-", "a"], &["b"]);
    check("[a-\\]]", &["a]", "\\]", "]]"], &["a", "b]"]);
    check("[a-", &["a", "-"], &["b"]);
    check("]^-", &["]^-"], &[]);
}

// Finishing is the proof: a matcher that tries every star anew would not.
#[test]
fn a_hostile_pattern_costs_at_most_its_length_times_the_keys() {
    let key = "a".repeat(20_000);

    check(&("*a".repeat(1_000) + "b"), &[], &[&key]);
    check(&format!("*{}b*", "a".repeat(200)), &[], &[&key]);
    check(&"*a".repeat(5_000), &[&key], &[&key[..4_999]]);
}

/// The definition: every way to share out the key.
fn matches_by_definition(parts: &[Part], key: &[u8]) -> bool {
    match (parts, key) {
        ([], key) => key.is_empty(),
        ([Part::Anything, rest @ ..], key) => {
            (0..=key.len()).any(|taken| matches_by_definition(rest, &key[taken..]))
        }
        ([part, rest @ ..], [byte, after @ ..]) => {
            part.takes(*byte) && matches_by_definition(rest, after)
        }
        (_, []) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn giving_way_at_the_last_star_is_enough(text in "[ab*?\\[\\]^\\\\-]{0,10}", key in "[ab]{0,10}") {
        let pattern = Pattern::new(&text);
        prop_assert_eq!(pattern.matches(&key), matches_by_definition(&pattern.parts, key.as_bytes()));
    }

    #[test]
    fn an_escaped_text_matches_itself_and_nothing_else(
        text in "[ab*?\\[\\]^\\\\é-]{0,5}",
        other in "[ab*?\\[\\]^\\\\é-]{0,5}",
    ) {
        let pattern = Pattern::new(&escape(&text));
        prop_assert!(pattern.matches(&text));
        prop_assert_eq!(pattern.matches(&other), text == other);
    }

    #[test]
    fn any_pattern_can_be_read(text in ".*", key in ".*") {
        Pattern::new(&text).matches(&key);
    }
}
