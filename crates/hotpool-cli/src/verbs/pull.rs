//! `hotpool pull`: brings the youngest set of a process from a store.

use crate::exit::{self, Exit};
use crate::output::Output;
use crate::progress::Bar;
use crate::{human, stores};
use anyhow::{Result, bail};
use hotpool::snapshot::Set;
use hotpool_snapshot_store::Store;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Bring the youngest snapshot of a process from an object store into a folder
///
/// Brings those that it builds on, too, unless the folder has them. Checks every chunk. A set is whole or
/// absent in the folder.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool pull s3://backups/game snapshots                   bring the youngest set
  hotpool pull s3://backups/game snapshots --process zone    of this process, if there are several

{}", exit::HELP))]
pub(crate) struct Args {
    /// The store: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER
    #[arg(value_name = "URL")]
    url: String,

    /// The folder that gets the sets
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Bring the youngest set of this process
    #[arg(long, value_name = "NAME")]
    process: Option<String>,
}

/// Fails if the store has no such set, if it is damaged, or if the store cannot be reached or refuses.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    stores::with(&args.url, |store| pull(&args, store, out))
}

fn pull(args: &Args, store: &Store, out: &mut Output) -> Result<Exit> {
    let process = process_of(store, args.process.as_deref())?;
    let (set, bytes) = bring(store, &process, &args.folder)?;
    let path = set.path().display().to_string();
    if out.wants_json() {
        let document = json!({ "ok": true, "process": process, "path": path, "bytes": bytes });
        out.document(&document)?;
    } else if bytes == 0 {
        out.line(format_args!("{} is already here", human::printable(&path)))?;
    } else {
        out.line(format_args!("{} is here, {}", human::printable(&path), human::size(bytes)))?;
    }
    Ok(Exit::Ok)
}

/// Brings the youngest set of a process into a folder; returns it, and the bytes that were brought.
pub(crate) fn bring(store: &Store, process: &str, folder: &Path) -> Result<(Set, u64)> {
    let bar = Bar::new("bringing");
    let mut bytes = 0;
    let set = store.get(process, folder, |moved| {
        bytes = moved.total;
        bar.show(moved.done, moved.total);
    })?;
    Ok((set, bytes))
}

/// Returns the named process, or that of all sets of a store.
pub(crate) fn process_of(store: &Store, named: Option<&str>) -> Result<String> {
    named.map_or_else(|| only_process(store), |process| Ok(process.into()))
}

/// Returns the process of all sets of a store.
fn only_process(store: &Store) -> Result<String> {
    let sets = store.list()?;
    let all: BTreeSet<&str> = sets
        .iter()
        .filter_map(|set| set.contents.as_ref().ok())
        .map(|set| set.info().process.as_str())
        .collect();
    match all.iter().collect::<Vec<_>>()[..] {
        [only] => Ok((*only).into()),
        [] => bail!("{} has no snapshot that can be read", store.url()),
        _ => {
            let names = all.into_iter().collect::<Vec<_>>().join(", ");
            bail!("{} has snapshots of {names}: add --process", store.url())
        }
    }
}
