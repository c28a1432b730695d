//! `hotpool snapshot`: writes a set of a pool that no process has open.

use crate::exit::{self, Exit};
use crate::human;
use crate::one_pool::OnePool;
use crate::output::Output;
use crate::progress::Bar;
use crate::sets;
use anyhow::Result;
use clap::ValueEnum;
use hotpool::conf::BackendKind;
use hotpool::pool::{Progress, SaveError, SaveOptions, Saved, check_save, save_pool};
use hotpool::share::{OwnerError, ShareError, Verdict};
use hotpool::snapshot::{Chain, Compression, Set, SetError};
use hotpool::units::plural;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Save a pool that no process has open as a snapshot
///
/// The pool must be closed, or its owner dead. Meanwhile a start waits. The snapshot is a folder in DIR, which
/// is whole or absent; `hotpool restore` makes a pool of it, here or on another host. Bytes that the pool never
/// used take no space. If DIR is the URL of an object store, the snapshot goes there, through a folder in TMPDIR.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool snapshot zone snapshots              the System V pool of a process
  hotpool snapshot zone snapshots --conf config/memorypool.ini --compression zstd
  hotpool snapshot zone snapshots --dry-run    tell how large it would be
  hotpool snapshot zone s3://backups/game      send it to an object store
  hotpool snapshots snapshots                  list the snapshots

{}", exit::HELP))]
pub(crate) struct Args {
    #[command(flatten)]
    pool: OnePool,

    /// The folder of the snapshots, which is created if it is absent, or the URL of an object store
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,

    /// How to compress
    #[arg(long, value_name = "HOW", value_enum, default_value = "none")]
    compression: How,

    /// Check whether the pool can be saved, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Read the snapshot after it was written, and check every checksum
    #[arg(long)]
    verify: bool,
}

/// A compression.
#[derive(Clone, Copy, ValueEnum)]
enum How {
    None,
    Lz4,
    Zstd,
}

impl From<How> for Compression {
    fn from(how: How) -> Self {
        match how {
            How::None => Compression::None,
            How::Lz4 => Compression::Lz4,
            How::Zstd => Compression::Zstd,
        }
    }
}

/// Fails only if stdout does, or if the pools of the host cannot be listed.
pub(crate) fn run(mut args: Args, out: &mut Output) -> Result<Exit> {
    // With --key, the first word is the folder.
    let folder = args.pool.spare_word().map(PathBuf::from).or_else(|| args.folder.take());
    let Some(folder) = folder else {
        complain("name the folder of the snapshots, after the process");
        return Ok(Exit::Usage);
    };
    let target = match args.pool.target("snapshot", out)? {
        Ok(target) => target,
        Err(exit) => return Ok(exit),
    };
    if target.home.backend == BackendKind::Heap {
        complain(
            "that is a snapshot already: name a process, with --conf if its pool is not in System V memory",
        );
        return Ok(Exit::Usage);
    }
    let url = sets::url(&folder);
    // What goes to a store is written here first.
    let near = url.map(|_| tempfile::tempdir()).transpose()?;
    let shelf = near.as_ref().map_or(folder.as_path(), |near| near.path());
    let bar = Bar::new("saving");
    let show = |progress: Progress| bar.show(progress.done, progress.all);
    let how = Compression::from(args.compression);
    let options = SaveOptions::default().compression(how).progress(&show);
    let saved = match args.dry_run {
        // What is free here says nothing of a store.
        true => check_save(target.key, &target.home, shelf, &options).map(|mut saved| {
            saved.free = saved.free.filter(|_| url.is_none());
            saved
        }),
        false => save_pool(target.key, &target.home, shelf, &options),
    };
    drop(bar);
    let checked = saved.and_then(|saved| {
        match (&saved.set, args.verify) {
            (Some(set), true) => {
                Chain::open(set.path()).and_then(|chain| chain.verify(|_| ())).map(|()| saved)
            }
            _ => Ok(saved),
        }
        .map_err(SaveError::from)
    });
    match checked {
        Ok(saved) => match (url, &saved.set) {
            (Some(url), Some(set)) => send(url, set, &saved, args.verify, out),
            _ => {
                let path = saved.set.as_ref().map(|set| set.path().display().to_string());
                print(&saved, path, &folder, args.verify, out)?;
                if how == Compression::None && saved.free.is_some_and(|free| free < saved.bytes) {
                    complain("it may not fit: free some space there, or try --compression zstd");
                }
                Ok(Exit::Ok)
            }
        },
        Err(error) => {
            if out.wants_json() {
                out.document(&json!({ "ok": false, "reason": error.to_string() }))?;
            }
            complain(&error.to_string());
            Ok(exit_of(&error))
        }
    }
}

/// Sends a saved set to a store.
#[cfg(feature = "object-store")]
fn send(url: &str, set: &Set, saved: &Saved, verified: bool, out: &mut Output) -> Result<Exit> {
    crate::stores::with(url, |store| {
        crate::verbs::push::send(store, set, None)?;
        let name = set.path().file_name().unwrap_or_default().to_string_lossy();
        print(saved, Some(format!("{}/{name}", store.url())), Path::new(url), verified, out)?;
        Ok(Exit::Ok)
    })
}

#[cfg(not(feature = "object-store"))]
fn send(url: &str, _: &Set, _: &Saved, _: bool, _: &mut Output) -> Result<Exit> {
    anyhow::bail!(
        "cannot send to {url}: this build has no stores; install hotpool-cli with the feature `object-store`"
    )
}

fn complain(why: &str) {
    // An error of stderr itself cannot be reported anywhere.
    let _ = writeln!(std::io::stderr(), "hotpool snapshot: {}", human::printable(why));
}

/// Prints what was saved, as `path`; or what would be, to `folder`.
fn print(saved: &Saved, path: Option<String>, folder: &Path, verified: bool, out: &mut Output) -> Result<()> {
    let (info, seconds) = (&saved.info, saved.took.as_secs_f64());
    let stored = saved.set.as_ref().map(|set| set.stored().0);
    let objects: u64 = info.types.iter().map(|of| of.objects).sum();
    if out.wants_json() {
        return Ok(out.document(&json!({
            "ok": true,
            "process": info.process,
            "key": info.base.0.to_string(),
            "path": path,
            "id": saved.set.as_ref().map(|set| set.id()),
            "bytes": saved.bytes.0,
            "stored_bytes": stored,
            "free_bytes": saved.free.map(|free| free.0),
            "objects": objects,
            "seconds": seconds,
            "verified": verified && path.is_some(),
            "dry_run": path.is_none(),
        }))?);
    }
    let (process, size) = (human::printable(&info.process), human::size(saved.bytes.0));
    match (path, stored) {
        (Some(path), Some(stored)) => {
            let sound = if verified { ", every checksum is right" } else { "" };
            out.line(format_args!(
                "{process}: saved {size}, {}, as {path} ({}) in {seconds:.1} s{sound}",
                plural(objects, "object"),
                human::size(stored)
            ))?;
        }
        _ => {
            let free = saved.free.map(|free| format!(", where {} are free", human::size(free.0)));
            out.line(format_args!(
                "{process}: would save at most {size}, {}, to {}{}; nothing was written",
                plural(objects, "object"),
                folder.display(),
                free.unwrap_or_default()
            ))?;
        }
    }
    Ok(())
}

fn exit_of(error: &SaveError) -> Exit {
    match error {
        SaveError::Share(error) => exit_of_share(error),
        SaveError::Set(SetError::System { .. }) => Exit::Environment,
        _ => Exit::Damage,
    }
}

/// Returns the exit code of a pool that cannot be used.
pub(crate) fn exit_of_share(error: &ShareError) -> Exit {
    match error {
        ShareError::System { .. } | ShareError::Memory(_) => Exit::Environment,
        ShareError::Owner(OwnerError::System { .. } | OwnerError::Base { .. }) => Exit::Environment,
        ShareError::Refused { verdict: Verdict::Absent | Verdict::Unfinished, .. } => Exit::Absent,
        ShareError::Refused { verdict: Verdict::Corrupt { .. }, .. } => Exit::Damage,
        _ => Exit::Refused,
    }
}
