//! What the command prints and how it ends, for what people type.
//!
//! The sessions are in `cmd/`. `TRYCMD=overwrite cargo test -p hotpool-cli --test commands`
//! writes down what the command prints now; read the difference before you commit it.

#[test]
fn sessions() {
    trycmd::TestCases::new().case("tests/cmd/*.md");
}
