//! The kind of pages of a pool, and when they are populated.

/// Whether a pool uses pages of 2 MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// The default pages of the kernel.
    #[default]
    Off,
    /// Reserved pages if the host has them, else transparent huge pages if it allows them, else
    /// small pages.
    Try,
    /// Reserved pages only; a start that cannot create a segment with them is refused.
    On,
}

impl HugePages {
    /// All values, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Off, Self::Try, Self::On];

    /// Returns the word for this value in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Try => "try",
            Self::On => "on",
        }
    }
}

/// Settings for the memory of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryConf {
    /// Kind of pages of new segments; existing segments keep theirs.
    pub huge_pages: HugePages,
    /// Whether `open` populates every page before it returns.
    pub prefault: bool,
    /// Whether the pool is locked in RAM while it has an owner. This populates every page, too.
    pub lock_memory: bool,
}
