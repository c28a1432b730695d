//! `hotpool push`: sends the youngest set of a folder to a store.

use crate::exit::{self, Exit};
use crate::output::Output;
use crate::progress::Bar;
use crate::{human, stores};
use anyhow::{Context, Result, bail};
use hotpool::snapshot::{Set, latest, list};
use hotpool::units::plural;
use hotpool_snapshot_store::{Fence, Store, Taking};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Send the youngest snapshot of a folder to an object store
///
/// Sends those that it builds on, too, unless the store has them. Checks every chunk first. Holds the
/// token of the process meanwhile, so it is refused while another host has the pool; `hotpool fence`
/// shows who. Removes what interrupted uploads of the process left. A set is whole or absent in the store.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool push snapshots s3://backups/game                      send the youngest set
  hotpool push snapshots s3://backups/game --process zone       of this process, if there are several
  hotpool push snapshots file:///mnt/backups/game --keep 7      and drop all but the 7 youngest in the store

The credentials come from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY.

{}", exit::HELP))]
pub(crate) struct Args {
    /// The folder that has the sets, or the folder of one set
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// The store: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER
    #[arg(value_name = "URL")]
    url: String,

    /// Send the youngest set of this process
    #[arg(long, value_name = "NAME")]
    process: Option<String>,

    /// Drop all sets of the process in the store but the youngest, and those that they build on
    #[arg(long, value_name = "SETS", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
}

/// Fails if there is no set, if one is damaged, or if the store cannot be reached or refuses.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    stores::with(&args.url, |store| push(&args, store, out))
}

fn push(args: &Args, store: &Store, out: &mut Output) -> Result<Exit> {
    let set = chosen(&args.folder, args.process.as_deref())?;
    let process = &set.info().process;
    let Sent { sets: sent, bytes, swept, dropped } = send(store, &set, args.keep)?;
    let name = set.path().file_name().unwrap_or_default().to_string_lossy();
    if out.wants_json() {
        out.document(&json!({
            "ok": true, "process": process, "snapshot": name, "url": store.url(), "sent": sent,
            "bytes": bytes, "swept": swept, "dropped": dropped,
        }))?;
        return Ok(Exit::Ok);
    }
    let name = human::printable(&name);
    match sent {
        0 => out.line(format_args!("{} already has {name}", store.url()))?,
        _ => {
            let (sets, bytes) = (plural(sent as u64, "snapshot"), human::size(bytes));
            out.line(format_args!("{name} is in {}: {sets} sent, {bytes}", store.url()))?;
        }
    }
    if swept > 0 {
        out.line(format_args!("removed what was left of {}", plural(swept as u64, "interrupted upload")))?;
    }
    for name in dropped {
        out.line(format_args!("dropped {}", human::printable(&name)))?;
    }
    Ok(Exit::Ok)
}

/// What was sent to a store, and removed there.
pub(crate) struct Sent {
    pub(crate) sets: usize,
    pub(crate) bytes: u64,
    /// Interrupted uploads whose remains were removed.
    pub(crate) swept: usize,
    /// Names of sets.
    pub(crate) dropped: Vec<String>,
}

/// Sends a set, as the holder of the token of its process.
pub(crate) fn send(store: &Store, set: &Set, keep: Option<u32>) -> Result<Sent> {
    let mut fence = Fence::take(store, &set.info().process, Taking::default())?;
    let swept = fence.sweep()?;
    let bar = Bar::new("sending");
    let mut bytes = 0;
    let sets = fence.put(set, |moved| {
        bytes = moved.total;
        bar.show(moved.done, moved.total);
    })?;
    drop(bar);
    let dropped = keep.map_or(Ok(Vec::new()), |keep| fence.drop_older(keep as usize))?;
    Ok(Sent { sets, bytes, swept, dropped })
}

/// Opens the set that is meant by a folder and the name of a process.
fn chosen(folder: &Path, process: Option<&str>) -> Result<Set> {
    if folder.join("manifest.toml").exists() {
        let set = Set::open(folder)?;
        match process.filter(|process| *process != set.info().process) {
            Some(process) => {
                bail!("{} is of the process {}, not {process}", folder.display(), set.info().process)
            }
            None => return Ok(set),
        }
    }
    let sets = list(folder)?;
    let all: BTreeSet<&str> =
        sets.iter().filter_map(|set| set.info.as_ref().ok()).map(|info| info.process.as_str()).collect();
    let only = all.first().copied().filter(|_| all.len() == 1);
    let Some(process) = process.or(only) else {
        let names = all.into_iter().collect::<Vec<_>>().join(", ");
        match names.as_str() {
            "" => bail!("{} has no snapshot that can be read", folder.display()),
            names => bail!("{} has snapshots of {names}: add --process", folder.display()),
        }
    };
    let found = latest(folder, process)?;
    let found =
        found.with_context(|| format!("{} has no snapshot of the process {process}", folder.display()))?;
    Ok(Set::open(&found)?)
}
