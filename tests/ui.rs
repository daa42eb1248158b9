//! Mistakes in an attribute: one file each, the message at the word that is wrong, with the remedy.
//! `TRYBUILD=overwrite` writes what the compiler says anew; read it before you keep it.

#[test]
fn each_mistake_is_one_error_at_the_word_that_is_wrong() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
