//! What can be annotated, and mistakes: one file each, the message at the word that is wrong, with the remedy.
//! `TRYBUILD=overwrite` writes what the compiler says anew; read it before you keep it.

#[test]
fn each_mistake_is_one_error_at_the_word_that_is_wrong() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn functions_of_every_shape_compile_without_a_warning_and_run() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
