//! The output and exit code of the command for typical command lines.
//!
//! The sessions are in `cmd/`. `TRYCMD=overwrite cargo test -p hotpool-cli --test commands`
//! records the current output; check the difference before you commit it.

#[test]
fn sessions() {
    trycmd::TestCases::new().case("tests/cmd/*.md");
}
