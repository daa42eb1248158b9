//! Whether two keys have the same groups, told without a look at each: of those that are read together nearly all have.

use super::Key;

impl Key {
    /// Up to where a key with as many levels has to have the same text to have the same groups; `None`: to be told apart
    /// group by group.
    pub(crate) fn reach(&self) -> Option<usize> {
        let mut levels = self.levels();
        let last = levels.nth(self.levels.depth)?;
        // With the colon after the last level: what begins alike and goes on has a longer one.
        self.tags.is_none().then_some(last.len() + 1)
    }

    /// Whether the groups are those of another key, which has this [`reach`](Self::reach).
    pub(crate) fn is_grouped_like(&self, other: &Self, reach: usize) -> bool {
        self.levels == other.levels
            && self.tags.is_none()
            && self.text.as_bytes().get(..reach) == other.text.as_bytes().get(..reach)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Levels;
    use super::*;

    #[test]
    fn keys_of_which_one_is_grouped_like_the_other_have_the_same_groups() {
        let texts = [
            "a", "b", "a:b", "a:c", "a:b:c", "a:b:d", "a:bb:c", "ab:c", "a:c:c", "a:b:c:d", "a:bc",
            ":", "::",
        ];
        let by_hand = texts.map(|text| Key::by_hand("", text).unwrap());
        let below_root = texts.map(|text| Key::by_hand("a", text).unwrap());
        let shallow = texts.map(|text| Key::new(text, Levels::new(0, 1), 7));
        let tagged = shallow
            .clone()
            .map(|key| key.with_tags(Some(["tag@x".into()].into())));
        let keys: Vec<Key> = [by_hand, below_root, shallow, tagged].concat();
        let mut alike = 0;
        for one in &keys {
            for other in &keys {
                let reach = other.reach();
                if reach.is_some_and(|reach| one.is_grouped_like(other, reach)) {
                    assert!(one.groups().eq(other.groups()), "{one} {other}");
                    alike += usize::from(one != other);
                }
            }
        }
        assert!(alike > 10, "{alike}");
    }
}
