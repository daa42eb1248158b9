//! A key: readable text, the levels it can be invalidated by, and the names under which Redis knows its parts.
//!
//! `{key_prefix:}{prefix}:{function}:{args}`, or `{key_prefix:}{prefix}:{template}`.
//! Arguments never contain a `:`, a brace or a glob character, so the `:` in a key are its levels.

#[cfg(feature = "redis")]
mod alike;
pub(crate) mod pattern;
pub(crate) mod raw;
pub(crate) mod text;
mod writer;

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
pub(crate) use text::Unwritable;
pub use writer::{KeyPart, KeyWriter};
pub(crate) use writer::{Opening, escape_separator, give_back, spare};

/// Levels below the root that a key can be invalidated by; deeper `:` are part of the name.
pub(crate) const MAX_DEPTH: usize = 16;

const GENERATION: &str = "gen@";
const LEASE: &str = "lease@";
const TAG: &str = "tag@";
const MARKER: &str = "run@";

/// A longer tag is kept as its hash.
const LONGEST_TAG: usize = 256;

/// One key. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    text: Arc<str>,
    levels: Levels,
    origin: u64,
    /// The groups of its tags, as [`tag`] writes them.
    tags: Tags,
}

/// The groups that the tags of an entry stand for.
pub(crate) type Tags = Option<Arc<[Box<str>]>>;

/// Where the levels of a key end: at the root, and at each of the first `depth` colons after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Levels {
    root: usize,
    depth: usize,
}

impl Levels {
    pub(crate) fn new(root: usize, depth: usize) -> Self {
        Self {
            root,
            depth: depth.min(MAX_DEPTH),
        }
    }

    /// As many levels as the text has: all but its last segment.
    pub(crate) fn all(root: usize, text: &str) -> Self {
        let below = text.get(below_root(root)..).unwrap_or_default();
        Self::new(root, below.bytes().filter(|byte| *byte == b':').count())
    }

    /// The texts of the levels of `text`, the root first.
    pub(crate) fn of(self, text: &str) -> impl Iterator<Item = &str> {
        let start = below_root(self.root);
        let below = text.get(start..).unwrap_or_default();
        // Byte by byte: to set out to search a long text costs more than to walk through a short one.
        let ends = (start..).zip(below.bytes());
        let ends = ends.filter_map(|(at, byte)| (byte == b':').then_some(at));
        std::iter::once(self.root)
            .chain(ends.take(self.depth))
            .filter_map(|end| text.get(..end))
    }
}

/// Where the text after `{key_prefix}:` begins.
fn below_root(root: usize) -> usize {
    if root == 0 { 0 } else { root + 1 }
}

impl Key {
    pub(crate) fn new(text: &str, levels: Levels, origin: u64) -> Self {
        Self {
            text: text.into(),
            levels,
            origin,
            tags: None,
        }
    }

    /// A key given as text by the user, below `root`.
    pub(crate) fn by_hand(root: &str, name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Key, "a key must not be empty"));
        }
        check_reserved(name)?;
        let text = below(root, name);
        Ok(Self::new(&text, Levels::all(root.len(), &text), 0))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Which function's arguments this key was built from; 0 where the text was chosen by the user.
    pub(crate) fn origin(&self) -> u64 {
        self.origin
    }

    /// The levels this key can be invalidated by, the root first.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &str> {
        self.levels.of(&self.text)
    }

    /// Everything this key can be invalidated by: its levels, and then its tags.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.levels().chain(self.tags())
    }

    /// The groups of its tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        let tags = self.tags.as_deref().unwrap_or_default();
        tags.iter().map(Box::as_ref)
    }

    /// The same key with these tags.
    pub(crate) fn with_tags(self, tags: Tags) -> Self {
        Self { tags, ..self }
    }

    /// The same key, with as many levels and the very tags that an entry found under it names.
    pub(crate) fn widened(&self, level_count: usize, tags: Tags) -> Self {
        Self {
            levels: Levels::new(self.levels.root, level_count.saturating_sub(1)),
            ..self.clone().with_tags(tags)
        }
    }

    /// How many levels there are, the root included: fewer than asked for where the text has no more.
    pub(crate) fn level_count(&self) -> usize {
        self.levels().count()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.text)
    }
}

/// `name` under the root: `{root}:{name}`, or just the name where there is no root.
pub(crate) fn below(root: &str, name: &str) -> String {
    if root.is_empty() {
        name.to_owned()
    } else {
        format!("{root}:{name}")
    }
}

/// The text of the level that invalidating `prefix` ends; an error where no key can have such a level.
pub(crate) fn level(root: &str, prefix: &str) -> Result<String, Error> {
    let prefix = prefix.trim_end_matches(':');
    if prefix.is_empty() {
        return Err(Error::new(
            ErrorKind::Key,
            "a prefix must not be empty; use `clear(\"*\")` to delete every entry",
        ));
    }
    check_reserved(prefix)?;
    if prefix.split(':').count() > MAX_DEPTH {
        let problem = format!(
            "the prefix `{prefix}` has more than {MAX_DEPTH} levels; invalidate a shorter one"
        );
        return Err(Error::new(ErrorKind::Key, problem));
    }
    Ok(below(root, prefix))
}

/// The group of a tag: where the text of a level would stand, which never begins like this.
pub(crate) fn tag(root: &str, tag: &str) -> String {
    if tag.len() > LONGEST_TAG {
        let hash = blake3::hash(tag.as_bytes()).to_hex();
        return format!("{TAG}{}", below(root, &format!("#{hash}")));
    }
    format!("{TAG}{}", below(root, tag))
}

/// The group that invalidating `name` ends; an error where no entry can have such a tag.
pub(crate) fn tag_by_hand(root: &str, name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::new(ErrorKind::Key, "a tag must not be empty"));
    }
    Ok(tag(root, name))
}

fn check_reserved(name: &str) -> Result<(), Error> {
    if is_reserved(name) {
        let problem = format!(
            "`{name}` begins with `{GENERATION}`, `{LEASE}`, `{TAG}` or `{MARKER}`, which are the cache's own; choose another name"
        );
        return Err(Error::new(ErrorKind::Key, problem));
    }
    Ok(())
}

/// Whether a name is one of ours rather than an entry's.
pub(crate) fn is_reserved(name: &str) -> bool {
    [GENERATION, LEASE, TAG, MARKER]
        .into_iter()
        .any(|own| name.starts_with(own))
}

/// Redis' name of the generation of a level.
pub(crate) fn generation_name(level: &str) -> String {
    let mut name = String::with_capacity(GENERATION.len() + level.len());
    write_generation_name(&mut name, level);
    name
}

/// Appends it.
pub(crate) fn write_generation_name(out: &mut String, level: &str) {
    out.extend(generation_name_parts(level));
}

/// What it is put together of.
pub(crate) fn generation_name_parts(level: &str) -> [&str; 2] {
    [GENERATION, level]
}

/// Where stands which servers have served the data of a cache, by their `run_id`s.
#[cfg(feature = "redis")]
pub(crate) fn marker_name(root: &str) -> String {
    format!("{MARKER}{root}")
}

/// Redis' name of the lease of an entry: its hash tag puts it into the slot of the entry.
pub(crate) fn lease_name(entry: &str) -> String {
    let mut name = String::with_capacity(LEASE.len() + entry.len() + 2);
    write_lease_name(&mut name, entry);
    name
}

/// Appends it.
pub(crate) fn write_lease_name(out: &mut String, entry: &str) {
    out.extend(lease_name_parts(entry));
}

/// What it is put together of.
pub(crate) fn lease_name_parts(entry: &str) -> [&str; 4] {
    [LEASE, "{", entry, "}"]
}

/// The group whose generation has this name.
pub(crate) fn group_of_generation(name: &str) -> Option<&str> {
    name.strip_prefix(GENERATION)
}

/// The entry a lease is for.
pub(crate) fn entry_of_lease(lease: &str) -> Option<&str> {
    lease
        .strip_prefix(LEASE)?
        .strip_prefix('{')?
        .strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(root: &str, name: &str) -> Vec<String> {
        let key = Key::by_hand(root, name).unwrap();
        key.levels().map(str::to_owned).collect()
    }

    #[test]
    fn a_key_by_hand_has_every_level_but_its_last_segment() {
        assert_eq!(levels("", "user:42:profile"), ["", "user", "user:42"]);
        assert_eq!(levels("app", "user:42"), ["app", "app:user"]);
        assert_eq!(levels("", "single"), [""]);
        assert_eq!(levels("a:b", "c:d"), ["a:b", "a:b:c"]);
    }

    #[test]
    fn levels_beyond_the_limit_are_part_of_the_name() {
        let name = vec!["x"; 40].join(":");

        assert_eq!(levels("", &name).len(), 1 + MAX_DEPTH);
        assert!(level("", &name).is_err());
    }

    #[test]
    fn names_of_the_cache_itself_are_refused() {
        assert!(Key::by_hand("", "gen@video").is_err());
        assert!(Key::by_hand("", "lease@{video}").is_err());
        assert!(Key::by_hand("", "").is_err());
        assert!(level("", "").is_err());
    }

    fn template(first: &str, separator: &str, second: &str) -> String {
        let mut text = String::new();
        let mut writer = KeyWriter::new(&mut text, None);
        writer.hole(first);
        writer.text(separator);
        writer.hole(second);
        writer.finish().unwrap();
        text
    }

    #[test]
    fn a_separator_never_stands_in_the_argument_before_it() {
        assert_eq!(template("x-y", "-", "z"), "x%2Dy-z");
        assert_eq!(template("x", "-", "y-z"), "x-y-z");
        assert_eq!(template("x-y", ":", "z"), "x-y:z");
        assert_eq!(template("x-y", "-:", "z"), "x-y-:z");
    }

    #[test]
    fn a_generation_names_its_group() {
        let tag = tag("app", "genre:scifi");
        assert_eq!(group_of_generation(&generation_name(&tag)), Some(&*tag));
        assert_eq!(group_of_generation("video:42"), None);
        assert!(is_reserved(&tag));
    }

    #[test]
    fn a_long_tag_is_kept_as_its_hash() {
        let long = "x".repeat(1_000);
        assert!(tag("", &long).len() < 100);
        assert_ne!(tag("", &long), tag("", &format!("{long}x")));
    }

    #[test]
    fn a_lease_names_its_entry() {
        assert_eq!(entry_of_lease(&lease_name("video:42")), Some("video:42"));
        assert_eq!(entry_of_lease("video:42"), None);
    }
}
