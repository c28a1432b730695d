//! What a program has a pool's health ask, beyond what the pool can see itself.

/// A question to which the answer is what is wrong, if anything is.
type Watch = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// The questions of a program.
#[derive(Default)]
pub(crate) struct Watches(Vec<Watch>);

impl Watches {
    pub(crate) fn add(&mut self, watch: Watch) {
        self.0.push(watch);
    }

    /// Returns what is wrong.
    pub(crate) fn ask(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|watch| watch())
    }
}
