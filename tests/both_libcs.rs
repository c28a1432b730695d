//! Builds with glibc and with musl resume each other's pool.
//!
//! `.ci/musl` builds this test program with musl and passes its path in `HOTPOOL_OTHER_LIBC`.

mod owner;

use owner::{Keys, Owner};

/// Runs as an owner if this process was launched as one.
#[test]
fn serve() {
    owner::serve();
}

#[test]
fn builds_with_two_c_libraries_resume_each_other() {
    let Some(other) = std::env::var_os("HOTPOOL_OTHER_LIBC") else {
        eprintln!(
            "!!! SKIPPED: HOTPOOL_OTHER_LIBC is not set to a build of this test with the other C library; see .ci/musl"
        );
        return;
    };
    let start = |turn: u64| match turn % 2 {
        0 => Owner::start(),
        _ => Owner::start_program(&other),
    };
    let keys = Keys::take(1 << 20);
    let mut owner = start(0);
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    assert_eq!(owner.ask("fill"), "15");
    for turn in 1..=6 {
        assert_eq!(owner.ask("touch"), "touched");
        let mut next = start(turn);
        let refused = keys.open_by(&mut next, 0);
        assert!(refused.contains(&format!("is owned by pid {} (", owner.pid())), "{refused}");
        owner.kill();
        let report = keys.open_by(&mut next, 30_000);
        assert!(
            report.contains(&format!("hot start {}, the last owner died while serving", turn + 1)),
            "{report}"
        );
        assert_eq!(next.ask("sum"), (15 * 16 * turn).to_string());
        owner = next;
    }
    assert_eq!(owner.ask("close"), "Ok(())");
}
