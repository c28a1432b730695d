//! `hotpool restore`: makes a pool from a set.

use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::problems;
use crate::progress::Bar;
use crate::sets::{self, Chosen, NoSet};
use crate::verbs::snapshot::exit_of_share;
use anyhow::Result;
use hotpool::ConfMgr;
use hotpool::conf::{ConfError, ProcessConf};
use hotpool::pool::{
    Existing, Progress, RestoreError, RestoreOptions, Restored, check_restore, restore_pool,
};
use hotpool::snapshot::{Chain, SetError, SetInfo};
use hotpool::units::plural;
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Make a pool from a snapshot
///
/// The next start of the process resumes the pool as it was saved: objects, handles, user keys, quarantine. It
/// works over a reboot, on another host, in another backend (--conf) and for another process (--as). A pool that
/// exists is refused, or removed first with --replace. Every checksum is checked. A restore that fails or is
/// killed leaves no pool. From an object store, the snapshot is brought into a folder in TMPDIR first; while
/// another host holds the token of the process, nothing is restored (`hotpool fence`).
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool restore snapshots                                   the latest snapshot in a folder
  hotpool restore snapshots --dry-run                         tell what would be made
  hotpool restore snapshots --conf config/memorypool.ini      keys and backend of an ini
  hotpool restore snapshots --conf test.ini --as zone_test    the pool of another process
  hotpool restore snapshots --replace --yes                   remove the present pool first
  hotpool restore s3://backups/game --process zone            from an object store

{}", exit::HELP))]
pub(crate) struct Args {
    /// The folder of a snapshot, or a folder or store that has snapshots: then the latest whole one is taken
    #[arg(value_name = "SET_OR_DIR")]
    set: PathBuf,

    /// The process whose latest snapshot is taken, if the folder has those of several
    #[arg(long, value_name = "NAME")]
    process: Option<String>,

    /// Take keys, backend and mode from this ini, instead of from the snapshot
    #[arg(long, value_name = "INI")]
    conf: Option<PathBuf>,

    /// Make it the pool of this process of the ini
    #[arg(long = "as", value_name = "PROCESS", requires = "conf")]
    other: Option<String>,

    /// Remove the pool that exists under the base key first
    #[arg(long)]
    replace: bool,

    /// Tell what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,

    /// Check every checksum before anything is made
    #[arg(long)]
    verify: bool,

    /// With --replace, do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

/// Why nothing was restored.
enum Failed {
    Conf(ConfError),
    Said(String, Exit),
}

impl From<NoSet> for Failed {
    fn from(error: NoSet) -> Self {
        match error {
            NoSet::Said(why) => Failed::Said(why, Exit::Absent),
            NoSet::Set(error) => Failed::Said(error.to_string(), exit_of_set(&error)),
        }
    }
}

impl From<ConfError> for Failed {
    fn from(error: ConfError) -> Self {
        Failed::Conf(error)
    }
}

impl From<RestoreError> for Failed {
    fn from(error: RestoreError) -> Self {
        let exit = match &error {
            RestoreError::Share(error) => exit_of_share(error),
            RestoreError::Set(error) => exit_of_set(error),
            RestoreError::Damaged { .. } => Exit::Damage,
            RestoreError::NoRoom(_) => Exit::Environment,
            _ => Exit::Refused,
        };
        match error {
            RestoreError::Conf(error) => Failed::Conf(error),
            error => Failed::Said(error.to_string(), exit),
        }
    }
}

fn exit_of_set(error: &SetError) -> Exit {
    match error {
        SetError::System { .. } | SetError::Codec { .. } => Exit::Environment,
        SetError::NoSet { .. } => Exit::Absent,
        SetError::Newer { .. } => Exit::Refused,
        _ => Exit::Damage,
    }
}

/// Fails only if stdout or stdin does.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    match sets::url(&args.set) {
        Some(url) => from_store(url, &args, out),
        None => from_folder(&args, &Source { folder: &args.set, url: None }, out),
    }
}

/// Where the set is read, and the store that it comes from.
struct Source<'a> {
    folder: &'a Path,
    url: Option<&'a str>,
}

/// Restores the youngest set of a store. Meanwhile no other host can begin to own the process.
#[cfg(feature = "object-store")]
fn from_store(url: &str, args: &Args, out: &mut Output) -> Result<Exit> {
    use crate::verbs::pull;
    use hotpool_snapshot_store::{Fence, Taking};
    let near = tempfile::tempdir()?;
    crate::stores::with(url, |store| {
        let process = pull::process_of(store, args.process.as_deref())?;
        let _held = match args.dry_run {
            true => None,
            false => Some(Fence::take(store, &process, Taking::default())?),
        };
        let (set, _) = pull::bring(store, &process, near.path())?;
        from_folder(args, &Source { folder: set.path(), url: Some(store.url()) }, out)
    })
}

#[cfg(not(feature = "object-store"))]
fn from_store(url: &str, _: &Args, _: &mut Output) -> Result<Exit> {
    anyhow::bail!(
        "cannot read {url}: this build has no stores; install hotpool-cli with the feature `object-store`"
    )
}

fn from_folder(args: &Args, source: &Source<'_>, out: &mut Output) -> Result<Exit> {
    match restore(args, source, out) {
        Ok(result) => result,
        Err(Failed::Conf(error)) => problems::instead_of_pools(&error, out),
        Err(Failed::Said(why, exit)) => {
            if out.wants_json() {
                out.document(&json!({ "ok": false, "reason": why }))?;
            }
            complain(&why);
            Ok(exit)
        }
    }
}

fn restore(args: &Args, source: &Source<'_>, out: &mut Output) -> Result<Result<Exit>, Failed> {
    let Chosen { chain, skipped } = sets::choose(source.folder, args.process.as_deref(), args.verify)?;
    let set = set_of(&chain, source.url);
    skipped.iter().for_each(|why| complain(&format!("passed over a younger snapshot: {why}")));
    let conf = conf(args, chain.info())?;
    let existing = if args.replace { Existing::Replace } else { Existing::Refuse };
    let options = RestoreOptions::default().existing(existing).other_process(args.other.is_some());
    let planned = check_restore(&chain, &conf, &options)?;
    if args.dry_run {
        return Ok(print(&planned, &set, Tense::WouldBe, out).map(|()| Exit::Ok));
    }
    if planned.replaced && !args.yes {
        match agreed(&planned) {
            Ok(None) => {}
            Ok(Some(exit)) => return Ok(Ok(exit)),
            Err(error) => return Ok(Err(error)),
        }
    }
    let bar = Bar::new("restoring");
    let show = |progress: Progress| bar.show(progress.done, progress.all);
    let restored = restore_pool(&chain, &conf, &options.progress(&show));
    drop(bar);
    Ok(print(&restored?, &set, Tense::Was, out).map(|()| Exit::Ok))
}

/// Returns the configuration of the pool: that of the ini, or what the set describes.
fn conf(args: &Args, info: &SetInfo) -> Result<ProcessConf, Failed> {
    let Some(ini) = &args.conf else {
        let need = || {
            let (process, backend) = (&info.process, info.backend.name());
            let why =
                format!("the pool of {process} was in the backend `{backend}`; name its ini with --conf");
            Failed::Said(why, Exit::Usage)
        };
        return sets::own_conf(info).ok_or_else(need);
    };
    let conf = ConfMgr::load(ini)?;
    let name = args.other.as_deref().unwrap_or(&info.process);
    let renamed = conf.processes().iter().find(|of| of.former_name.as_deref() == Some(name)).cloned();
    renamed.map_or_else(|| Ok(conf.process(name)?.clone()), Ok)
}

/// Returns where the set is: its folder, or its name in a store.
fn set_of(chain: &Chain, url: Option<&str>) -> String {
    let path = chain.sets().first().map_or(Path::new(""), |set| set.path());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    url.map_or_else(|| path.display().to_string(), |url| format!("{url}/{name}"))
}

fn complain(why: &str) {
    // An error of stderr itself cannot be reported anywhere.
    let _ = writeln!(std::io::stderr(), "hotpool restore: {}", human::printable(why));
}

/// Asks whether the existing pool may be removed; returns the exit code if not.
fn agreed(planned: &Restored) -> Result<Option<Exit>> {
    if !std::io::stdin().is_terminal() {
        complain("cannot ask for confirmation without a terminal: nothing was changed; confirm with --yes");
        return Ok(Some(Exit::Usage));
    }
    let mut err = std::io::stderr();
    let (process, key) = (human::printable(&planned.process), planned.base);
    write!(err, "All objects of the present pool of {process} under {key} will be lost. Replace it? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        return Ok(None);
    }
    complain("nothing was changed");
    Ok(Some(Exit::Refused))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tense {
    WouldBe,
    Was,
}

fn print(restored: &Restored, set: &str, tense: Tense, out: &mut Output) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let age = now.saturating_sub(Duration::from_nanos(restored.info.taken_ns)).as_secs();
    if out.wants_json() {
        return Ok(out.document(&json!({
            "ok": true,
            "set": set,
            "age_seconds": age,
            "process": restored.process,
            "key": restored.base.to_string(),
            "blocks": restored.blocks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "bytes": restored.bytes.0,
            "replaced": restored.replaced,
            "seconds": restored.took.as_secs_f64(),
            "dry_run": tense == Tense::WouldBe,
        }))?);
    }
    let (process, key) = (human::printable(&restored.process), restored.base);
    let (size, blocks) = (human::size(restored.bytes.0), plural(restored.blocks.len() as u64, "block"));
    let from = format!("{}, {} old", human::printable(set), human::age(age));
    let replaced = if restored.replaced { ", in place of the present pool" } else { "" };
    match tense {
        Tense::WouldBe => out.line(format_args!(
            "{process}: would restore {size} in {blocks} under {key} from {from}{replaced}; nothing was made"
        ))?,
        Tense::Was => out.line(format_args!(
            "{process}: restored {size} in {blocks} under {key} from {from}{replaced}, in {:.1} s; the next start resumes it",
            restored.took.as_secs_f64()
        ))?,
    }
    Ok(())
}
