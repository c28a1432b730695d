//! An image is the pool at the moment when it began, whatever one operation of the program changes
//! before the image is complete. Every operation of the crash tests runs once; a debug build runs
//! every eighth.

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
#[test]
fn an_image_does_not_see_the_operation_that_runs_while_it_is_taken() {
    let mut tally = harness::run::Tally::default();
    let one_of = if cfg!(debug_assertions) { 8 } else { 1 };
    let number = std::cell::Cell::new(0_u64);
    harness::imaging::images(&mut tally, |_| number.replace(number.get() + 1).is_multiple_of(one_of));
    assert!(tally.points > 80 / one_of, "{} operations", tally.points);
    assert_eq!(tally.violations, 0, "{}", tally.first.unwrap_or_default());
}
