//! The page size of the measured pools.

use clap::ValueEnum;
use hotpool::conf::{HugePages, MemoryConf};
use hotpool::limits::HUGE_PAGE;
use std::sync::atomic::{AtomicBool, Ordering};

/// Page size of the pools. Peers use the pages of their allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pages {
    /// 4 KiB.
    Small,
    /// 2 MiB, reserved by the host.
    Huge,
}

static HUGE: AtomicBool = AtomicBool::new(false);
const FREE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";

impl Pages {
    /// Makes all pools of this process use these pages. Fails if the host has no free huge page. If
    /// it has too few, the first pool that does not fit fails with the required number.
    pub fn choose(self) -> anyhow::Result<()> {
        let free = std::fs::read_to_string(FREE).ok().and_then(|text| text.trim().parse::<u64>().ok());
        anyhow::ensure!(
            self == Pages::Small || free.is_some_and(|free| free != 0),
            "skipped --pages huge: this host has no free page of 2 MiB ({FREE}); run `sysctl vm.nr_hugepages=N` as root, N \
             for twice the largest population (10,000,000 objects of 64 bytes: {}), and restore it after the run",
            (2 * 10_000_000 * (64 + 48) * 5 / 4_u64).div_ceil(HUGE_PAGE)
        );
        HUGE.store(self == Pages::Huge, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the name of the page size.
    pub fn name(self) -> &'static str {
        match self {
            Pages::Small => "4 KiB",
            Pages::Huge => "2 MiB",
        }
    }
}

/// Returns whether pools use pages of 2 MiB.
pub fn are_huge() -> bool {
    HUGE.load(Ordering::Relaxed)
}

/// Returns the memory configuration of every pool of this process.
pub fn memory() -> MemoryConf {
    let huge_pages = if are_huge() { HugePages::On } else { HugePages::Off };
    MemoryConf { huge_pages, ..MemoryConf::default() }
}
