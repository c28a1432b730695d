//! What pages a pool is made of, and when it gets its memory.

/// Whether a pool is made of pages of 2 MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Of the pages that the kernel gives by itself.
    #[default]
    Off,
    /// Of reserved ones where the host has them, else of transparent ones where it allows them, else of small ones.
    Try,
    /// Of reserved ones; a start that would have to make a segment without them is refused.
    On,
}

impl HugePages {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Off, Self::Try, Self::On];

    /// The word that stands for it in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Try => "try",
            Self::On => "on",
        }
    }
}

/// What a start does about the memory of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryConf {
    /// Pages of segments that are made; those that are there keep what they have.
    pub huge_pages: HugePages,
    /// Whether every page gets its memory before `open` returns.
    pub prefault: bool,
    /// Whether the pool is kept in RAM while it has an owner. Gives every page its memory, too.
    pub lock_memory: bool,
}
