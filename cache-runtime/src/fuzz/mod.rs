//! What a fuzzer is given: one function for each part that reads what comes from outside, which panics where a promise is broken.
//!
//! There only in tests, and in a build with `--cfg fuzzing`; `fuzz/` has the programs and the corpus, which the tests run as well.

mod codec;
mod envelope;
mod environment;
mod input;
mod key;
mod pattern;
mod url;

pub use codec::codec;
pub use envelope::envelope;
pub use environment::environment;
pub use key::key;
pub use pattern::pattern;
pub use url::url;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Runs what lies in the corpus of one target; `bytes` is one input.
    fn run(target: &str, check: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let inputs = fs::read_dir(corpus.join(target)).unwrap();
        let mut count = 0;
        for input in inputs {
            let path = input.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let checked = std::panic::catch_unwind(|| check(&bytes));
            assert!(checked.is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count > 5, "{target} has a corpus of {count}");
    }

    #[test]
    fn the_corpus_of_envelopes_breaks_nothing() {
        run("envelope", envelope);
    }

    #[test]
    fn nor_does_that_of_key_texts() {
        run("key", key);
    }

    #[test]
    fn nor_that_of_patterns() {
        run("pattern", pattern);
    }

    #[test]
    fn nor_that_of_urls() {
        run("url", url);
    }

    #[test]
    fn nor_that_of_environments() {
        run("environment", environment);
    }

    #[test]
    fn nor_that_of_encoded_values() {
        run("codec", |bytes| {
            codec(bytes);
        });
    }
}
