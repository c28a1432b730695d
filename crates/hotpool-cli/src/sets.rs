//! Snapshots on the command line: a set, or the latest one in a folder of sets.

use crate::target::{Missing, Target};
use hotpool::ConfMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::{RestoreError, RestoreOptions, restore_pool};
use hotpool::share::Home;
use hotpool::snapshot::{Chain, SetError, SetInfo, list};
use hotpool::units::Key;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Returns whether a path is the folder of a set.
pub(crate) fn is_set(path: &Path) -> bool {
    // Without its manifest it is one that was damaged.
    ["manifest.toml", "base.part"].iter().any(|file| path.join(file).is_file())
}

/// Returns the URL of an object store, if a path is one.
pub(crate) fn url(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| text.contains("://"))
}

/// A set that was chosen, and what was said about others.
pub(crate) struct Chosen {
    pub(crate) chain: Chain,
    /// Younger sets that cannot be read.
    pub(crate) skipped: Vec<String>,
}

/// Why no set was chosen.
pub(crate) enum NoSet {
    /// A set is damaged or cannot be read.
    Set(SetError),
    /// The folder has none that fits.
    Said(String),
}

impl From<SetError> for NoSet {
    fn from(error: SetError) -> Self {
        NoSet::Set(error)
    }
}

/// Opens the set in the folder `path`, or the latest whole one of a process in a folder of sets.
///
/// With `verify`, every checksum of a set counts for whether it is whole.
pub(crate) fn choose(path: &Path, process: Option<&str>, verify: bool) -> Result<Chosen, NoSet> {
    let open = |path: &Path| {
        let chain = Chain::open(path)?;
        match verify {
            true => chain.verify(|_| ()).map(|()| chain),
            false => Ok(chain),
        }
    };
    if is_set(path) || !path.is_dir() {
        return Ok(Chosen { chain: open(path)?, skipped: Vec::new() });
    }
    let found = list(path)?;
    let names: BTreeSet<&str> = { found.iter() }
        .filter_map(|found| found.info.as_ref().ok())
        .map(|info| info.process.as_str())
        .collect();
    let process = match (process, names.len()) {
        (Some(process), _) => process.to_string(),
        (None, 1) => names.first().map(ToString::to_string).unwrap_or_default(),
        (None, 0) => {
            let damaged = found.iter().filter_map(|found| found.info.as_ref().err());
            let why = damaged.map(|why| format!("; {why}")).collect::<String>();
            let whole = if why.is_empty() { "" } else { "whole " };
            return Err(NoSet::Said(format!("{} has no {whole}snapshot{why}", path.display())));
        }
        (None, _) => {
            let names: Vec<&str> = names.into_iter().collect();
            let (path, names) = (path.display(), names.join(", "));
            return Err(NoSet::Said(format!("{path} has snapshots of {names}; name one with --process")));
        }
    };
    let mut skipped = Vec::new();
    for found in found.iter().rev() {
        match &found.info {
            Ok(info) if info.process == process => match open(&found.path) {
                Ok(chain) => return Ok(Chosen { chain, skipped }),
                Err(error) => skipped.push(error.to_string()),
            },
            Ok(_) => {}
            Err(error) => skipped.push(error.to_string()),
        }
    }
    let why = skipped.iter().map(|why| format!("; {why}")).collect::<String>();
    Err(NoSet::Said(format!("{} has no whole snapshot of {process}{why}", path.display())))
}

/// Returns the configuration that a set itself describes; `None` if it needs an ini.
pub(crate) fn own_conf(info: &SetInfo) -> Option<ProcessConf> {
    let conf = ProcessConf::new(&info.process, info.base.0, info.block_size, &info.blocks);
    matches!(info.backend, BackendKind::Sysv | BackendKind::Posix).then(|| conf.backend(info.backend))
}

/// Returns a set as a pool that can be read: it is restored into memory of this process.
///
/// With an ini, the target has what it says of the process.
pub(crate) fn target(set: &Path, ini: Option<&Path>) -> Target {
    match load(set) {
        Ok((key, info)) => {
            let conf = ini.and_then(|ini| ConfMgr::load(ini).ok());
            let conf = conf.and_then(|conf| conf.process(&info.process).ok().cloned()).map(Box::new);
            let home = Home { backend: BackendKind::Heap, dir: PathBuf::new() };
            Target { key, home, process: Some(info.process), blocks: info.blocks, conf, unread: None }
        }
        Err(missing) => Target { unread: Some(missing), ..Target::of_key(Key(0)) },
    }
}

fn load(set: &Path) -> Result<(Key, SetInfo), Missing> {
    let missing = |error: SetError| match error {
        SetError::System { .. } => Missing::System(error.to_string()),
        SetError::NoSet { .. } => Missing::Absent(error.to_string()),
        _ => Missing::Damaged(error.to_string()),
    };
    let chain = Chain::open(set).map_err(missing)?;
    let info = chain.info().clone();
    let conf = ProcessConf::new(&info.process, info.base.0, info.block_size, &info.blocks);
    let conf = conf.backend(BackendKind::Heap);
    match restore_pool(&chain, &conf, &RestoreOptions::default()) {
        Ok(_) => Ok((info.base.0, info)),
        Err(RestoreError::Set(error)) => Err(missing(error)),
        Err(error @ RestoreError::Damaged { .. }) => Err(Missing::Damaged(error.to_string())),
        Err(error @ RestoreError::NoRoom(_)) => Err(Missing::System(error.to_string())),
        Err(error) => Err(Missing::Unreadable(error.to_string())),
    }
}
