//! The pools that a command line names, by ini or by segment key.

use crate::declared::{self, DeclaredQueue};
use crate::exit::Exit;
use crate::human;
use crate::sets;
use clap::ArgGroup;
use hotpool::ConfMgr;
use hotpool::conf::{ConfError, ProcessConf};
use hotpool::inspect::DescribeError;
use hotpool::pool::PostMortemError;
use hotpool::share::{Home, ShareError, Verdict, explain_look, observe};
use hotpool::units::Key;
use std::path::PathBuf;

/// The arguments that select pools.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["conf", "key", "set"]))]
#[group(skip)]
pub(crate) struct Which {
    /// Read the pools of this ini
    #[arg(long, value_name = "INI")]
    conf: Option<PathBuf>,

    /// Only the pool of this process name; may be repeated
    #[arg(long, value_name = "NAME", requires = "conf")]
    process: Vec<String>,

    /// Read the System V pool whose base segment has this key
    #[arg(long, value_name = "KEY", value_parser = human::key)]
    key: Option<Key>,

    /// Read a snapshot: the folder of one set
    #[arg(value_name = "SET")]
    set: Option<PathBuf>,
}

impl Which {
    /// Returns the pools that the command line names.
    pub(crate) fn targets(&self) -> Result<Vec<Target>, ConfError> {
        if let Some(set) = &self.set {
            return Ok(vec![sets::target(set, None)]);
        }
        find(self.conf.as_slice(), &self.process, self.key.as_slice())
    }

    /// Returns the queues that the command line names with its ini.
    pub(crate) fn queues(&self) -> Result<Vec<DeclaredQueue>, ConfError> {
        declared::queues(self.conf.as_slice(), &self.process)
    }
}

/// A pool that the command line names.
pub(crate) struct Target {
    pub(crate) key: Key,
    pub(crate) home: Home,
    /// The process name, if an ini names the pool.
    pub(crate) process: Option<String>,
    /// The keys of the blocks that the ini names.
    pub(crate) blocks: Vec<Key>,
    /// What the ini says of the process.
    pub(crate) conf: Option<Box<ProcessConf>>,
    /// Why a snapshot could not be read.
    pub(crate) unread: Option<Missing>,
}

impl Target {
    /// Returns the System V pool whose base has this key.
    pub(crate) fn of_key(key: Key) -> Self {
        Target { key, home: Home::sysv(), process: None, blocks: Vec::new(), conf: None, unread: None }
    }

    /// Returns the key, and the process name if it is known.
    pub(crate) fn name(&self) -> String {
        match &self.process {
            _ if self.unread.is_some() => "snapshot".into(),
            Some(process) => format!("{} ({process})", self.key),
            None => self.key.to_string(),
        }
    }
}

/// Why a pool could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It does not exist.
    Absent(String),
    /// Its creation is under way or was interrupted.
    Unfinished(String),
    /// The segment is a block of a pool.
    Block(String),
    /// The segment is not a pool, or has another layout.
    Unreadable(String),
    /// The base is damaged.
    Damaged(String),
    /// A system call failed.
    System(String),
}

impl Missing {
    /// Returns the reason in words.
    pub(crate) fn why(&self) -> &str {
        let (Missing::Absent(why)
        | Missing::Unfinished(why)
        | Missing::Block(why)
        | Missing::Unreadable(why)
        | Missing::Damaged(why)
        | Missing::System(why)) = self;
        why
    }

    pub(crate) fn word(&self) -> &'static str {
        match self {
            Missing::Absent(_) => "absent",
            Missing::Unfinished(_) => "unfinished",
            Missing::Block(_) => "block",
            Missing::Unreadable(_) => "unreadable",
            Missing::Damaged(_) => "damaged",
            Missing::System(_) => "failed",
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Missing::Absent(_) | Missing::Unfinished(_) => Exit::Absent,
            Missing::Block(_) | Missing::Unreadable(_) => Exit::Problems,
            Missing::Damaged(_) => Exit::Damage,
            Missing::System(_) => Exit::Environment,
        }
    }
}

impl From<ShareError> for Missing {
    fn from(error: ShareError) -> Self {
        let why = error.to_string();
        match error {
            ShareError::Refused { verdict: Verdict::Absent, .. } => Missing::Absent(why),
            ShareError::Refused { verdict: Verdict::Unfinished | Verdict::Making { .. }, .. } => {
                Missing::Unfinished(why)
            }
            ShareError::Block { .. } => Missing::Block(why),
            ShareError::System { .. } => Missing::System(why),
            _ => Missing::Unreadable(why),
        }
    }
}

impl From<DescribeError> for Missing {
    fn from(error: DescribeError) -> Self {
        match error {
            DescribeError::Share(error) => error.into(),
            error => Missing::Damaged(error.to_string()),
        }
    }
}

impl From<PostMortemError> for Missing {
    fn from(error: PostMortemError) -> Self {
        match error {
            PostMortemError::Share(error) => error.into(),
            error => Missing::Damaged(error.to_string()),
        }
    }
}

impl Target {
    /// Reads the pool if it exists, is complete and has this version's layout.
    pub(crate) fn read<T, E: Into<Missing>>(
        &self,
        read: impl FnOnce(Key, &Home) -> Result<T, E>,
    ) -> Result<T, Missing> {
        if let Some(unread) = &self.unread {
            return Err(unread.clone());
        }
        let facts = observe(self.key, &self.home)
            .map_err(|error| Missing::System(explain_look(self.key, &self.home, &error)))?;
        match facts.verdict() {
            verdict @ (Verdict::Absent
            | Verdict::Unfinished
            | Verdict::Gone
            | Verdict::Incompatible { .. }) => {
                Err(ShareError::Refused { verdict, facts: Box::new(facts) }.into())
            }
            _ => read(self.key, &self.home).map_err(Into::into),
        }
    }
}

/// Returns each pool once: those of `inis` (if `processes` is not empty, only theirs), then those of
/// `keys` in System V memory.
pub(crate) fn find(inis: &[PathBuf], processes: &[String], keys: &[Key]) -> Result<Vec<Target>, ConfError> {
    let by_key = keys.iter().map(|&key| Target::of_key(key));
    let confs = ConfMgr::load_fleet(inis)?;
    let mut targets = Vec::new();
    // A name that no ini has is an error of the last ini, which lists the names it has.
    for name in processes {
        if let Some(conf) = confs.last()
            && !confs.iter().any(|conf| conf.process(name).is_ok())
        {
            conf.process(name)?;
        }
    }
    for process in confs.iter().flat_map(ConfMgr::processes) {
        if processes.is_empty() || processes.contains(&process.name) {
            let home = Home::of(process);
            let (name, blocks) = (Some(process.name.clone()), process.shm_keys.clone());
            let conf = Some(Box::new(process.clone()));
            targets.push(Target { key: process.base_key, home, process: name, blocks, conf, unread: None });
        }
    }
    targets.extend(by_key);
    let mut seen = Vec::new();
    targets.retain(|target| {
        let is_new = !seen.contains(&(target.key, target.home.clone()));
        seen.push((target.key, target.home.clone()));
        is_new
    });
    Ok(targets)
}
