//! Files of segments that were removed while a process has them mapped: the backends `file` and `posix`.

use super::backend::SegmentFacts;
use crate::sys::proc;
use crate::units::Bytes;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What the kernel appends to the name of a removed file in the table of mappings.
const SUFFIX: &str = " (deleted)";

/// Finds the removed files that a process still has mapped for writing.
#[derive(Debug, Default)]
pub(super) struct Unlinked {
    /// Cache for [`list_once`](super::backend::Backend::list_once).
    listed: Mutex<Listed>,
}

#[derive(Debug, Default)]
enum Listed {
    /// Listed anew for each path.
    #[default]
    Never,
    /// The next absent path lists them for the paths after it.
    Next,
    Once(Vec<Mapping>),
}

#[derive(Debug)]
struct Mapping {
    pid: i32,
    name: String,
    inode: u64,
}

impl Unlinked {
    /// Searches the mappings once for all paths, instead of once for each.
    pub(super) fn list_once(&self, once: bool) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        *listed = if once { Listed::Next } else { Listed::Never };
    }

    /// Returns the facts of the file that had this path until it was removed; its size is unknown.
    pub(super) fn facts_of(&self, path: &Path) -> Option<SegmentFacts> {
        let folder = fs::canonicalize(path.parent()?).ok()?;
        let name = format!("{}{SUFFIX}", folder.join(path.file_name()?).display());
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Listed::Next = *listed {
            *listed = Listed::Once(list());
        }
        let fresh;
        let found = match &*listed {
            Listed::Once(found) => found,
            _ => {
                fresh = list();
                &fresh
            }
        };
        let mut pids: Vec<i32> = found.iter().filter(|map| map.name == name).map(|map| map.pid).collect();
        pids.dedup();
        let inode = found.iter().rfind(|map| map.name == name)?.inode;
        let pid = *pids.first()?;
        let owner = fs::metadata(format!("/proc/{pid}")).ok()?;
        Some(SegmentFacts {
            bytes: Bytes(0),
            uid: owner.uid(),
            gid: owner.gid(),
            mode: 0,
            id: inode,
            creator_pid: None,
            last_pid: Some(pid),
            attached: Some(pids.len() as u64),
            removed: true,
            changed: 0,
            last_attach: None,
            last_detach: None,
        })
    }
}

fn list() -> Vec<Mapping> {
    proc::collect_mappings(|pid, name, inode, writes| {
        (writes && name.ends_with(SUFFIX)).then(|| Mapping { pid, name: name.to_string(), inode })
    })
}
