//! The pages of mappings, as `/proc` and `/sys` report them.

use crate::limits::{HUGE_PAGE, PAGE};
use std::fs;
use std::io;

/// A mapping of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Size of the mapping's smallest page in bytes.
    pub(crate) page: u64,
    /// Bytes on transparent huge pages, of those that this process has touched.
    pub(crate) transparent: u64,
}

/// Returns all mappings of this process in address order. The time grows with the number of touched
/// pages.
pub(crate) fn mappings() -> io::Result<Vec<Mapping>> {
    Ok(parse(&fs::read_to_string("/proc/self/smaps")?))
}

/// Returns the mapping that contains `address`.
pub(crate) fn containing(mappings: &[Mapping], address: u64) -> Option<Mapping> {
    let next = mappings.partition_point(|mapping| mapping.start <= address);
    mappings.get(next.checked_sub(1)?).copied().filter(|mapping| address < mapping.end)
}

/// Returns the size in bytes of the pages at `address`; small pages if the kernel does not report it.
pub(crate) fn size_at(address: u64) -> u64 {
    containing(&mappings().unwrap_or_default(), address).map_or(PAGE, |mapping| mapping.page.max(PAGE))
}

fn parse(text: &str) -> Vec<Mapping> {
    let mut found: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let bytes = || value.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kb| kb << 10);
        match (name, found.last_mut()) {
            ("KernelPageSize", Some(mapping)) => mapping.page = bytes().unwrap_or(0),
            ("ShmemPmdMapped" | "FilePmdMapped" | "AnonHugePages", Some(mapping)) => {
                mapping.transparent += bytes().unwrap_or(0);
            }
            // A header line has its colon in the device number; a field begins with a capital
            // letter.
            _ => found.extend(range(line).map(|(start, end)| Mapping { start, end, ..Mapping::default() })),
        }
    }
    found
}

/// Returns begin and end from the header line of a mapping.
fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

/// Numbers of huge pages of 2 MiB that the host has reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// All reserved pages.
    pub(crate) total: u64,
    /// Pages that are neither in use nor promised to a mapping.
    pub(crate) free: u64,
}

/// Reads the numbers of reserved huge pages; `None` if the host has no support for them.
pub(crate) fn reserved() -> Option<Reserved> {
    let folder = format!("/sys/kernel/mm/hugepages/hugepages-{}kB", HUGE_PAGE >> 10);
    let number = |name: &str| super::read_short(&format!("{folder}/{name}")).ok()?.trim().parse::<u64>().ok();
    let promised = number("resv_hugepages").unwrap_or(0);
    Some(Reserved {
        total: number("nr_hugepages")?,
        free: number("free_hugepages")?.saturating_sub(promised),
    })
}

/// Returns the bytes that this process may lock; `None` if unlimited.
pub(crate) fn lock_limit() -> Option<u64> {
    limit("Max locked memory")
}

/// Returns the largest file in bytes that this process may create; `None` if unlimited.
pub(crate) fn file_limit() -> Option<u64> {
    limit("Max file size")
}

/// Returns the bytes that this process may map; `None` if unlimited.
pub(crate) fn address_limit() -> Option<u64> {
    limit("Max address space")
}

fn limit(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
7f00-8000 rw-s 00000000 00:10 32769                      /SYSV7d0100a1 (deleted)
Size:               2048 kB
KernelPageSize:     2048 kB
MMUPageSize:        2048 kB
VmFlags: rd wr sh mr mw me ms ht sd
9000-a000 rw-s 00000000 00:01 3                          /SYSV7d0100a2 (deleted)
KernelPageSize:        4 kB
AnonHugePages:         0 kB
ShmemPmdMapped:     4096 kB
FilePmdMapped:         0 kB
THPeligible:           1
a000-b000 rw-p 00000000 00:00 0
KernelPageSize:        4 kB
";

    #[test]
    fn pages_are_read_mapping_by_mapping() {
        let found = parse(SMAPS);
        let (huge, small) = (2 << 20, 4096);
        assert_eq!(
            found,
            [
                Mapping { start: 0x7f00, end: 0x8000, page: huge, transparent: 0 },
                Mapping { start: 0x9000, end: 0xa000, page: small, transparent: 4 << 20 },
                Mapping { start: 0xa000, end: 0xb000, page: small, transparent: 0 },
            ]
        );
        let at = |address| containing(&found, address).map(|mapping| mapping.start);
        assert_eq!(
            [0, 0x7f00, 0x7fff, 0x8000, 0x9fff, 0xa000, 0xb000].map(at),
            [None, Some(0x7f00), Some(0x7f00), None, Some(0x9000), Some(0xa000), None]
        );
    }

    #[test]
    fn this_process_has_mappings_of_whole_pages() {
        let here = 0u8;
        let mapping = containing(&mappings().unwrap(), (&raw const here).addr() as u64).unwrap();
        assert_eq!(mapping.page, crate::limits::PAGE);
    }
}
