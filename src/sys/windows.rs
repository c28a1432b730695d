//! The calls of the kernel that regions need, on Windows.
//!
//! This is the root of the module there, in place of `mod.rs`. Windows has no `fork`, no System V
//! memory and no holes that a read populates, so most of it is short. What it lacks is an error.

mod wall;

use crate::region::Region;
use memmap2::MmapRaw;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
pub(crate) use wall::{wall_nanos, wall_seconds};

/// Whether the kernel must not be queried.
pub(crate) const BYTES_ONLY: bool = false;

fn none<T>(text: &'static str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// Returns two random words.
pub(crate) fn random_id() -> io::Result<[u64; 2]> {
    // Each state has random keys.
    Ok([0, 1].map(|word: u64| RandomState::new().hash_one(word)))
}

/// Refuses: no other process could map the memory.
pub(crate) fn zeros() -> io::Result<File> {
    none("Windows has no fork, so no child could share the memory; use a named region")
}

/// Forks, which Windows lacks: the creator of a value is always this process.
pub(crate) mod fork {
    use super::{Region, io};

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Origin;

    impl Origin {
        pub(crate) fn here() -> Self {
            Origin
        }

        pub(crate) fn is_here(self) -> bool {
            true
        }
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Inherited {
        No,
        Yes,
    }

    /// A span without forks, as every span is.
    pub(crate) struct Section;

    impl Section {
        pub(crate) fn enter() -> io::Result<Self> {
            Ok(Section)
        }

        pub(crate) fn keep(&self, _range: &Region, _inherited: Inherited) {}

        pub(crate) fn release(&self, _range: &Region) {}
    }
}

/// Mappings without an inaccessible page after them: Windows maps at multiples of 64 KiB, so that
/// no page can be placed there.
pub(crate) mod guard {
    use super::{MmapRaw, Range, io};

    /// Nothing.
    #[derive(Debug)]
    pub(crate) struct Guard;

    /// Returns the addresses of a mapping.
    pub(crate) fn span(map: &MmapRaw) -> Range<usize> {
        let start = map.as_mut_ptr().addr();
        start..start + map.len()
    }

    /// Creates a mapping.
    pub(crate) fn guarded<M>(
        mut map: impl FnMut() -> io::Result<M>,
        _pages: impl Fn(&M) -> Range<usize>,
    ) -> io::Result<(M, Guard)> {
        Ok((map()?, Guard))
    }
}

/// Advice on mapped memory.
pub(crate) mod mem {
    use super::{Region, io, none};

    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Advice {
        /// Keeps the mapping out of children, which never inherit one.
        DontFork,
    }

    pub(crate) fn advise(_region: &Region, _offset: u64, _bytes: u64, advice: Advice) -> io::Result<()> {
        match advice {
            Advice::DontFork => Ok(()),
        }
    }

    /// Returns false: the caller reads every page.
    pub(crate) fn try_populate(_region: &Region, _offset: u64, _bytes: u64) -> io::Result<bool> {
        Ok(false)
    }

    pub(crate) fn resident(_region: &Region, _offset: u64, _bytes: u64) -> io::Result<Vec<u8>> {
        none("Windows does not report which pages are in RAM")
    }
}

/// Pages and limits of this process.
pub(crate) mod pages {
    use crate::limits::PAGE;

    /// Returns `None`: a process has no limit for the size of a file.
    pub(crate) fn file_limit() -> Option<u64> {
        None
    }

    /// Returns the size of small pages, the only ones that are mapped here.
    pub(crate) fn size_at(_address: u64) -> u64 {
        PAGE
    }
}

/// Facts about System V segments, which Windows lacks.
pub(crate) mod proc {
    pub(crate) fn swapped(_shmid: i32) -> Option<u64> {
        None
    }
}

/// The disk space of a file.
pub(crate) mod sparse {
    use super::{File, io, none};

    pub(crate) fn next_bytes(_file: &File, _from: u64) -> io::Result<Option<u64>> {
        none("holes of files are not read on Windows")
    }

    pub(crate) fn next_hole(_file: &File, _from: u64) -> io::Result<Option<u64>> {
        none("holes of files are not read on Windows")
    }

    /// Makes the file longer if it ends before the range does. Windows gives a longer file its
    /// clusters at once, unless the file is sparse or compressed.
    pub(crate) fn reserve(file: &File, from: u64, bytes: u64) -> io::Result<()> {
        let end = from.checked_add(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        match file.metadata()?.len() < end {
            true => file.set_len(end),
            false => Ok(()),
        }
    }
}

/// System V segments, which Windows lacks.
pub(crate) mod sysv {
    use std::ptr::NonNull;

    /// An attached segment: there is none.
    pub(crate) enum Attached {}

    impl Attached {
        pub(crate) fn base(&self) -> NonNull<u8> {
            match *self {}
        }
    }

    /// Returns 0, the user of every segment here: Windows has no numbers of users.
    pub(crate) fn effective_uid() -> u32 {
        0
    }
}
