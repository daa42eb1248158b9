use std::collections::HashSet;

use super::*;
use crate::random;

const ROOMY: Bounds = Bounds {
    names: usize::MAX,
    bytes: usize::MAX,
};

/// Choices that repeat with their seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// A name of one to five segments, of which few begin alike.
    fn name(&mut self) -> String {
        let mut name = format!("p{}", self.below(6));
        for _ in 0..self.below(5) {
            name += &format!(":s{}", self.below(9));
        }
        name
    }

    /// One of few tags, so that keys have those that are invalidated.
    fn tag(&mut self, root: &str) -> String {
        let name = format!("p{}:s{}", self.below(3), self.below(3));
        key::tag(root, &name)
    }

    fn key(&mut self, root: &str) -> Key {
        let key = Key::by_hand(root, &self.name()).unwrap();
        let tags = (0..self.below(3)).map(|_| self.tag(root).into());
        key.with_tags(Some(tags.collect()))
    }

    /// What one invalidation deletes.
    fn names(&mut self, root: &str) -> Vec<String> {
        let name = key::below(root, &self.name());
        match self.below(40) {
            0..8 => vec![key::generation_name(&self.tag(root))],
            8 => vec![key::generation_name(root)],
            9..15 => vec![key::generation_name(&name), key::lease_name(&name), name],
            _ => vec![key::lease_name(&name), name],
        }
    }
}

/// Whether deleting these names leaves no entry of a key valid, and no load of it with leave to fill.
fn kills(names: &HashSet<String>, key: &Key) -> bool {
    let generation = |group| names.contains(&key::generation_name(group));
    let lease = key::lease_name(key.as_str());
    key.groups().any(generation) || (names.contains(key.as_str()) && names.contains(&lease))
}

#[test]
fn whatever_stands_for_a_name_covers_all_that_the_name_does() {
    let seed = random::token() | 1;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    for round in 0..300 {
        let root = ["", "app", "team:app"][round % 3];
        let bounds = Bounds {
            names: 2 + dice.below(30),
            bytes: if dice.below(2) == 0 { 1_500 } else { 9_000 },
        };
        let mut owed = Owed::within(root, bounds);
        let mut said = HashSet::new();
        for _ in 0..dice.below(120) {
            for name in dice.names(root) {
                owed.remember(&name);
                said.insert(name);
            }
            assert!(!owed.is_beyond(bounds), "seed {seed}: {owed:?}");
        }
        let kept: HashSet<String> = owed.debt().names.into_iter().collect();
        // Not folded again: what stands for the rest must have been written.
        let mut written = Owed::within(root, ROOMY);
        for name in owed.take_news() {
            written.remember(&name);
        }
        for _ in 0..200 {
            let key = dice.key(root);
            let case = || format!("seed {seed}: {key:?} by {kept:?} for {said:?}");
            assert!(kills(&kept, &key) || !kills(&said, &key), "{}", case());
            assert_eq!(owed.covers(&key), kills(&kept, &key), "{}", case());
            assert!(
                written.covers(&key) || !owed.covers(&key),
                "written: {}",
                case()
            );
        }
        let debt = owed.debt();
        owed.settle(&debt);
        assert!(owed.is_empty() && owed.bytes == 0, "seed {seed}");
    }
}

fn key(name: &str) -> Key {
    Key::by_hand("app", name).unwrap()
}

#[test]
fn a_noisy_prefix_does_not_make_the_rest_cold() {
    let mut owed = Owed::new("app");
    owed.remember("gen@app:film:seen");
    owed.remember("gen@tag@app:quiet");
    owed.remember("app:film:1");
    for number in 0..100_000 {
        owed.remember(&format!("app:video:{number}"));
    }

    let mut names = owed.debt().names;
    names.sort();
    let expected = [
        "app:film:1",
        "gen@app:film:seen",
        "gen@app:video",
        "gen@tag@app:quiet",
        "lease@{app:film:1}",
    ];
    assert_eq!(names, expected);
    assert!(owed.covers(&key("video:7")) && owed.covers(&key("film:1")));
    assert!(!owed.covers(&key("film:2")) && !owed.covers(&key("book:1")));
}

#[test]
fn a_noisy_level_below_a_prefix_becomes_the_prefix() {
    let mut owed = Owed::new("");
    for number in 0..100_000 {
        owed.remember(&format!("gen@user:{number}:posts"));
    }

    assert_eq!(owed.debt().names, ["gen@user"]);
}

#[test]
fn what_no_prefix_guards_becomes_everything() {
    for name in [
        |n| format!("gen@tag@{n}"),
        |n| format!("gen@{n}"),
        |n| format!("{n}"),
    ] {
        let mut owed = Owed::new("");
        for number in 0..=10_000 {
            owed.remember(&name(number));
        }

        assert_eq!(owed.debt().names, ["gen@"]);
        assert!(owed.covers(&Key::by_hand("", "any").unwrap()));
    }
}

#[test]
fn what_is_remembered_again_while_it_is_being_settled_stays() {
    let mut owed = Owed::new("");
    owed.remember("video:1");
    owed.remember("gen@film");
    let debt = owed.debt();
    owed.remember("lease@{video:1}");
    owed.remember("film:7");

    owed.settle(&debt);

    let mut names = owed.debt().names;
    names.sort();
    assert_eq!(names, ["gen@film", "lease@{video:1}", "video:1"]);
}

#[test]
fn a_deletion_that_was_asked_for_before_settles_nothing() {
    let mut owed = Owed::new("");
    let before = owed.mark();
    owed.remember("video:1");
    let names = ["lease@{video:1}".to_owned(), "video:1".to_owned()];

    owed.settle_names(&names, before);
    assert!(!owed.is_empty());
    owed.settle_names(&names, owed.mark());
    assert!(owed.is_empty() && owed.bytes == 0);
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text)
}

#[test]
fn a_pattern_is_remembered_as_such_and_covers_what_matches() {
    let mut owed = Owed::new("app");
    owed.remember_pattern(&pattern("app:user:*:profile"));

    assert!(owed.covers(&key("user:42:profile")));
    assert!(!owed.covers(&key("user:42:posts")) && !owed.covers(&key("film:1")));
    assert_eq!(
        owed.take_news(),
        ["gen@app:user"],
        "a file keeps names only"
    );
    let debt = owed.debt();
    assert_eq!(
        (debt.names.len(), debt.patterns.len(), owed.count()),
        (0, 1, 1)
    );
    owed.settle(&debt);
    assert!(owed.is_empty() && !owed.covers(&key("user:42:profile")));
}

#[test]
fn a_pattern_that_is_remembered_again_while_it_is_being_settled_stays() {
    let mut owed = Owed::new("app");
    owed.remember_pattern(&pattern("app:user:*"));
    let debt = owed.debt();
    owed.remember_pattern(&pattern("app:user:*"));

    owed.settle(&debt);

    assert!(owed.covers(&key("user:1")));
}

#[test]
fn of_many_patterns_the_further_ones_become_the_level_around_them_or_everything() {
    let mut owed = Owed::new("app");
    for number in 0..MOST_PATTERNS {
        owed.remember_pattern(&pattern(&format!("app:user:{number}:*")));
    }
    owed.remember_pattern(&pattern("app:user:0:*"));
    assert!(!owed.covers(&key("user:99:a")));
    owed.remember_pattern(&pattern("app:user:17:*"));
    assert!(owed.covers(&key("user:99:a")) && !owed.covers(&key("film:1")));
    assert_eq!(owed.debt().names, ["gen@app:user"]);

    let long = "x".repeat(LONGEST_PATTERN);
    owed.remember_pattern(&pattern(&format!("app:film:{long}*")));
    assert!(owed.covers(&key("film:1")) && !owed.covers(&key("book:1")));

    owed.remember_pattern(&pattern("app:bo?k:*"));
    let debt = owed.debt();
    assert_eq!(
        (debt.names, debt.patterns.len()),
        (vec!["gen@app".to_owned()], 0)
    );
    assert!(owed.covers(&key("anything")));
}

#[test]
fn what_stands_for_a_pattern_covers_whatever_matches() {
    let seed = random::token() | 1;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    for round in 0..2_000 {
        let root = ["", "app", "team:app", "a*p"][round % 4];
        let owed = Owed::new(root);
        let mut text = key::below(&key::pattern::escape(root), &dice.name());
        let at = text.len() - dice.below(text.len() - root.len() - 1) - 1;
        text.replace_range(at.., ["*", "?*", "[^x]*", r"\p*", "*:s?*"][dice.below(5)]);
        let pattern = pattern(&text);
        let group = owed.group_around(&pattern);
        for _ in 0..20 {
            let key = dice.key(root);
            let covered = key.groups().any(|of| *of == *group);
            assert!(
                covered || !pattern.matches(key.as_str()),
                "seed {seed}: {key:?} by {group} for {text}"
            );
        }
    }
}
