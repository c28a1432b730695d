//! The one pool that a command line names: by process name, by ini, or by segment key.

use crate::exit::Exit;
use crate::human;
use crate::output::Output;
use crate::problems;
use crate::sets;
use crate::target::{self, Target};
use anyhow::{Result, anyhow};
use hotpool::conf::ConfError;
use hotpool::share::{Home, explain_listing, list_pools};
use hotpool::units::Key;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The arguments that select one pool.
#[derive(clap::Args)]
pub(crate) struct OnePool {
    /// Process name of the pool, or the folder of a snapshot; without --conf, the System V pools of this host are
    /// searched for the name
    #[arg(value_name = "PROCESS", required_unless_present_any = ["conf", "key"])]
    process: Option<String>,

    /// Take the pool from this ini
    #[arg(long, value_name = "INI", conflicts_with = "key")]
    conf: Option<PathBuf>,

    /// Take the System V pool whose base segment has this key
    #[arg(long, value_name = "KEY", value_parser = human::key)]
    key: Option<Key>,
}

/// Why there is not one pool.
enum NotOne {
    Conf(ConfError),
    Said(String, Exit),
}

impl From<ConfError> for NotOne {
    fn from(error: ConfError) -> Self {
        NotOne::Conf(error)
    }
}

impl OnePool {
    /// Takes the process name away if a key names the pool, so that the word can mean something else.
    pub(crate) fn spare_word(&mut self) -> Option<String> {
        self.process.take_if(|_| self.key.is_some())
    }

    /// Returns the pool, or prints why there is not one and returns the exit code.
    pub(crate) fn target(&self, verb: &str, out: &mut Output) -> Result<Result<Target, Exit>> {
        match self.find()? {
            Ok(target) => Ok(Ok(target)),
            Err(NotOne::Conf(error)) => problems::instead_of_pools(&error, out).map(Err),
            Err(NotOne::Said(why, exit)) => {
                if out.wants_json() {
                    out.document(&json!({ "ok": false, "reason": why, "problems": [] }))?;
                }
                let _ = writeln!(std::io::stderr(), "hotpool {verb}: {why}");
                Ok(Err(exit))
            }
        }
    }

    fn find(&self) -> Result<Result<Target, NotOne>> {
        if let Some(set) = self.process.as_deref().map(Path::new).filter(|path| sets::is_set(path)) {
            return Ok(Ok(sets::target(set, self.conf.as_deref())));
        }
        let targets = match (&self.conf, &self.process) {
            (None, Some(process)) if self.key.is_none() => pools_of(process)?,
            _ => match target::find(self.conf.as_slice(), self.process.as_slice(), self.key.as_slice()) {
                Ok(targets) => targets,
                Err(error) => return Ok(Err(error.into())),
            },
        };
        let names = || targets.iter().map(Target::name).collect::<Vec<_>>().join(", ");
        let said = |why: String, exit| Ok(Err(NotOne::Said(why, exit)));
        match targets.len() {
            1 => Ok(targets.into_iter().next().ok_or_else(|| NotOne::Said(String::new(), Exit::Absent))),
            0 => {
                let process = human::printable(self.process.as_deref().unwrap_or_default());
                let why = format!(
                    "no System V pool of this host has the process name {process:?}; name its ini with --conf"
                );
                said(why, Exit::Absent)
            }
            _ if self.conf.is_some() => {
                said(format!("name one process of the ini, after the verb: {}", names()), Exit::Usage)
            }
            _ => {
                let why = format!("several pools have this process name: {}; name one with --key", names());
                said(why, Exit::Usage)
            }
        }
    }
}

/// Returns the System V pools of this host with this process name.
fn pools_of(process: &str) -> Result<Vec<Target>> {
    let home = Home::sysv();
    let listing = list_pools(&home).map_err(|error| anyhow!(explain_listing(&home, &error)))?;
    let found = listing.pools.iter().map(|pool| &pool.base);
    let found = found.filter(|base| base.head().is_some_and(|head| head.process == process));
    Ok(found.map(|base| Target::of_key(base.key)).collect())
}
