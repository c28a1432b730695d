//! The pages that pools are measured on.

use clap::ValueEnum;

/// Page size of the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pages {
    /// 4 KiB.
    Small,
    /// 2 MiB, where the library and the host offer them.
    Huge,
}

impl Pages {
    /// Refuses what the library cannot be asked for.
    pub fn check(self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self == Pages::Small,
            "this hotpool has no setting for huge pages; measure with `--pages small`"
        );
        Ok(())
    }
}
