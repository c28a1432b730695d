//! How the derive macros refuse an invalid struct.
//!
//! The invalid structs are in `tests/refused/`, each with the expected compiler output. If a message
//! changes, check the difference and run with `TRYBUILD=overwrite`.

#[test]
fn invalid_structs_are_refused_with_a_helpful_message() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
