//! `hotpool doctor`: does this host keep waiting pools, and does it have room for them?

use crate::agreement;
use crate::exit::{self, Exit};
use crate::output::Output;
use crate::probe::{self, Finding, Needs, Root, Severity};
use crate::problems;
use crate::queue_health;
use anyhow::{Result, anyhow};
use hotpool::ConfMgr;
use hotpool::conf::{BackendKind, ConfError, ProcessConf};
use hotpool::pool::{PostMortem, ipc_namespace};
use hotpool::share::Home;
use hotpool::units::plural;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Check whether this host keeps waiting pools and has room for the pools of an ini
///
/// Run it as the server's user, in the server's container and cgroup: limits and namespaces are those of
/// this shell. It reads files under /proc, /sys and /etc and, with --conf, the base segments of the pools and
/// the queues.
/// It creates one segment and one semaphore without a key, removes them at once, and changes nothing else.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool doctor                                 check what would remove waiting pools
  hotpool doctor --conf config/memorypool.ini    also check whether the pools of this ini fit
  hotpool doctor --user game --json | jq -r '.findings[] | select(.severity == \"error\") | .fix'

{}", exit::HELP))]
pub(crate) struct Args {
    /// Also check whether the pools and queues of this ini fit, and the state of the queues; may be repeated
    #[arg(long, value_name = "INI")]
    conf: Vec<PathBuf>,

    /// The user that runs the servers, by name or uid; by default the current user
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Also show the checks that passed
    #[arg(long)]
    all: bool,

    /// Read the files below this folder instead of those of the host
    #[arg(long, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
}

/// Fails if stdout does, or if the user does not exist.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let confs = match load(&args.conf) {
        Ok(confs) => confs,
        Err(error) => {
            if out.wants_json() {
                out.document(&json!({ "ok": false, "findings": [], "problems": problems::json(&error) }))?;
            } else {
                problems::print(&error, out)?;
            }
            return Ok(problems::exit(&error));
        }
    };
    let root = Root::new(args.root.as_deref().unwrap_or(Path::new("/")));
    let user = args.user.as_deref().map(|name| uid(&root, name)).transpose()?;
    let processes: Vec<&ProcessConf> = confs.iter().flat_map(|conf| conf.processes()).collect();
    let queues = confs.iter().flat_map(|conf| conf.queues());
    let needs = Needs::of(processes.iter().copied()).with_queues(queues);
    let mut findings = probe::all(&root, &needs, user);
    if args.root.is_none() {
        findings.push(probe::sysv());
        findings.extend(processes.iter().filter_map(|process| owner_namespace(process)));
        findings.extend(agreement::findings(&confs));
        findings.extend(confs.iter().flat_map(|conf| conf.queues()).flat_map(queue_health::findings));
    }
    print(&findings, args.all, out)?;
    let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
    Ok(if worst >= Severity::Warning { Exit::Problems } else { Exit::Ok })
}

fn load(files: &[PathBuf]) -> Result<Vec<ConfMgr>, ConfError> {
    if files.is_empty() { Ok(Vec::new()) } else { ConfMgr::load_fleet(files) }
}

fn uid(root: &Root, name: &str) -> Result<u32> {
    if let Ok(uid) = name.parse() {
        return Ok(uid);
    }
    let users = root.text("etc/passwd").unwrap_or_default();
    let found = users
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.split(':').nth(1)?.parse().ok());
    found.ok_or_else(|| anyhow!("cannot find user {name} in /etc/passwd; give a uid to --user"))
}

/// Compares the IPC namespace of a pool's last owner with this one. Returns nothing if no pool exists.
fn owner_namespace(process: &ProcessConf) -> Option<Finding> {
    if process.backend == BackendKind::Heap {
        return None;
    }
    let found = PostMortem::read(process.base_key, &Home::of(process)).ok()?;
    Some(probe::owner_namespace(&process.name, found.ipc_namespace, ipc_namespace()))
}

fn print(findings: &[Finding], all: bool, out: &mut Output) -> Result<()> {
    let bad = |finding: &&Finding| finding.severity >= Severity::Warning;
    if out.wants_json() {
        let rows: Vec<Value> = findings
            .iter()
            .map(|f| json!({ "check": f.check, "severity": f.severity.word(), "found": f.found, "fix": f.fix }))
            .collect();
        let ok = !findings.iter().any(|finding| bad(&finding));
        return Ok(out.document(&json!({ "ok": ok, "findings": rows, "problems": [] }))?);
    }
    let mut sorted: Vec<&Finding> =
        findings.iter().filter(|finding| all || finding.severity != Severity::Ok).collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in sorted {
        let Finding { check, severity, found, fix } = finding;
        out.line(format_args!("{:8} {check}: {found}", severity.word()))?;
        if !fix.is_empty() {
            out.line(format_args!("{:8} {fix}", ""))?;
        }
    }
    let good = findings.iter().filter(|finding| finding.severity == Severity::Ok).count();
    let bad = findings.iter().filter(bad).count();
    let checks = plural(findings.len() as u64, "check");
    let notes = plural((findings.len() - good - bad) as u64, "note");
    let need = if bad == 1 { "needs" } else { "need" };
    Ok(out.line(format_args!("{checks}: {good} passed, {notes}, {bad} {need} attention"))?)
}
