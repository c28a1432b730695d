//! Half-made segments: what the tools say of them.

use crate::bench::{Bench, raw};
use hotpool::__internal::layout::MAGIC_MAKING;
use hotpool::StartMode;

/// What a creation has left that was killed after its first store: a base of `bytes` bytes with its first word.
fn begin(bench: &Bench) {
    bench.open(0).close().unwrap();
    let bytes = raw::bytes(bench.base(0));
    for key in [bench.base(0), bench.block(0, 0), bench.block(0, 1)] {
        raw::remove_segment(key);
    }
    raw::make_of(bench.base(0), bytes);
    raw::set_first_word(bench.base(0), MAGIC_MAKING);
}

#[test]
fn verify_calls_a_creation_that_was_cut_unfinished_and_the_next_start_takes_it() {
    for word in [MAGIC_MAKING, 0] {
        let bench = Bench::new();
        begin(&bench);
        raw::set_first_word(bench.base(0), word);
        for verb in ["verify", "inspect"] {
            let answer = bench.hotpool(&[verb, "--key", &bench.base(0).to_string()]);
            let told = answer.out + &answer.err;
            assert_eq!(answer.code, 7, "{verb}: {told}");
            assert!(
                told.contains("was interrupted, and it holds nothing; nothing to do: the next start uses it"),
                "{verb}: {told}"
            );
        }
        let verify = bench.hotpool(&["verify", "--key", &bench.base(0).to_string()]);
        assert!(verify.out.contains(": unfinished: "), "{}", verify.out);
        assert_eq!(bench.open(0).start_mode(), StartMode::Init);
    }
}

#[test]
fn verify_calls_a_creation_that_goes_on_unfinished_and_names_its_maker() {
    let bench = Bench::new();
    begin(&bench);
    let maker = raw::hold(bench.base(0));
    let answer = bench.hotpool(&["verify", "--key", &bench.base(0).to_string()]);
    assert_eq!(answer.code, 7, "{}", answer.out);
    let making = format!(": unfinished: the segment under {}", bench.base(0));
    let by = format!("is being created by pid {}", std::process::id());
    assert!(answer.out.contains(&making) && answer.out.contains(&by), "{}", answer.out);
    drop(maker);
    assert_eq!(bench.open(0).start_mode(), StartMode::Init);
}
