//! `hotpool rm`: removes pools for good, after showing what that removes.

use crate::declared::{self, DeclaredQueue};
use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::problems;
use crate::target::{self, Target};
use anyhow::Result;
use clap::ArgGroup;
use hotpool::share::{OwnerError, Removal, Removed, ShareError, Verdict, remove_orphans, remove_pool};
use hotpool::units::Key;
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Remove pools with all their objects, segments and owner semaphores
///
/// Lists what it will remove and asks for confirmation; without a terminal, it needs --yes. If one of the
/// pools has a live owner or is not hotpool's, nothing is removed at all; an owner that was just stopped
/// has a second to end. With --conf and without
/// --process it removes the queues of the ini too. Completes an interrupted removal,
/// and removes semaphores and blocks that have lost their base.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["conf", "key"]), after_help = format!("\
Examples:
  hotpool rm --key 0x48500100 --dry-run                     list what would be removed
  hotpool rm --conf config/memorypool.ini --process zone    remove the pool of one process name
  hotpool rm --conf config/memorypool.ini --yes             remove all pools without asking

{}", exit::HELP))]
pub(crate) struct Args {
    /// Remove the pools of this ini; may be repeated
    #[arg(long, value_name = "INI")]
    conf: Vec<PathBuf>,

    /// Only the pool of this process name; may be repeated
    #[arg(long, value_name = "NAME", requires = "conf")]
    process: Vec<String>,

    /// Remove the System V pool with this base key, or the remains of one; may be repeated
    #[arg(long, value_name = "KEY", value_parser = human::key)]
    key: Vec<Key>,

    /// List what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

/// Longest wait for owners that were just stopped.
const OWNER_ENDS: Duration = Duration::from_secs(1);

/// A target and the result of its removal.
struct Answer<'a> {
    target: &'a Target,
    removal: Result<Removal, ShareError>,
}

/// Fails only if stdout or stdin does.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let both = target::find(&args.conf, &args.process, &args.key)
        .and_then(|targets| Ok((targets, declared::queues(&args.conf, &args.process)?)));
    let (targets, mut queues) = match both {
        Ok(both) => both,
        Err(error) => return problems::instead_of_pools(&error, out),
    };
    queues.retain(DeclaredQueue::exists);
    let planned = || targets.iter().map(|target| Answer::of(target, true)).collect();
    let mut plan = Plan { answers: planned(), queues };
    let began = Instant::now();
    while !args.dry_run && plan.answers.iter().any(Answer::has_owner) && began.elapsed() < OWNER_ENDS {
        std::thread::sleep(Duration::from_millis(20));
        plan.answers = planned();
    }
    let is_refused = plan.is_refused();
    if is_refused || plan.is_empty() || args.dry_run {
        print(&plan, Tense::WouldBe, out)?;
        if is_refused {
            complain("nothing was removed");
        }
        return Ok(plan.exit());
    }
    let is_agreed = args.yes || std::io::stdin().is_terminal() && agreed(&plan)?;
    if !is_agreed {
        return decline(&plan, out);
    }
    let answers = targets.iter().map(|target| Answer::of(target, false)).collect();
    let done = Plan { answers, queues: plan.queues };
    print(&done, Tense::Was, out)
}

/// All that is to be removed.
struct Plan<'a> {
    answers: Vec<Answer<'a>>,
    /// Those that exist.
    queues: Vec<DeclaredQueue>,
}

impl Plan<'_> {
    fn is_refused(&self) -> bool {
        let mut queues = self.queues.iter();
        self.answers.iter().any(|answer| answer.removal.is_err())
            || queues.any(|queue| queue.refusal().is_some())
    }

    fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.answers.iter().all(|answer| answer.things().is_empty())
    }

    fn exit(&self) -> Exit {
        let queues = self.queues.iter().filter_map(|queue| queue.refusal());
        Exit::worst([exit_of(&self.answers)].into_iter().chain(queues.map(|_| Exit::Refused)))
    }

    /// Returns the lines that tell what would be removed.
    fn lines(&self) -> Vec<String> {
        let pools = self.answers.iter().flat_map(|answer| lines(answer, Tense::WouldBe));
        pools
            .chain(
                self.queues
                    .iter()
                    .flat_map(|queue| queue.refusal().map_or_else(|| queue.lines(), |why| vec![why])),
            )
            .collect()
    }
}

/// Prints what was not removed, and why.
fn decline(plan: &Plan<'_>, out: &mut Output) -> Result<Exit> {
    if std::io::stdin().is_terminal() {
        complain("nothing was removed");
        return Ok(Exit::Refused);
    }
    print(plan, Tense::WouldBe, out)?;
    complain("cannot ask for confirmation without a terminal: nothing was removed; confirm with --yes");
    Ok(Exit::Usage)
}

impl<'a> Answer<'a> {
    fn of(target: &'a Target, dry_run: bool) -> Self {
        // Stray blocks that the ini names do not belong to the pool under its base key.
        let removal = remove_pool(target.key, &target.home, dry_run).and_then(|mut removal| {
            removal.removed.extend(remove_orphans(&target.blocks, &target.home, dry_run)?);
            Ok(removal)
        });
        Answer { target, removal }
    }

    /// Returns whether the removal is refused because a process owns the pool.
    fn has_owner(&self) -> bool {
        match &self.removal {
            Err(ShareError::Refused { verdict, .. }) => {
                matches!(verdict, Verdict::Busy { .. } | Verdict::Dying)
            }
            Err(ShareError::Owner(OwnerError::Attached { .. })) => true,
            _ => false,
        }
    }

    fn things(&self) -> &[Removed] {
        self.removal.as_ref().map_or(&[], |removal| &removal.removed)
    }
}

/// Returns the exit code. A refusal outweighs a failed system call.
fn exit_of(answers: &[Answer]) -> Exit {
    let failed = answers.iter().filter_map(|answer| answer.removal.as_ref().err());
    let codes: Vec<Exit> = failed
        .map(|error| match error {
            ShareError::System { .. } => Exit::Environment,
            ShareError::Owner(OwnerError::System { .. } | OwnerError::Base { .. }) => Exit::Environment,
            _ => Exit::Refused,
        })
        .collect();
    match codes.contains(&Exit::Refused) {
        true => Exit::Refused,
        false => codes.first().copied().unwrap_or(Exit::Ok),
    }
}

/// Shows the plan on stderr and asks there, so that stdout holds the result alone.
fn agreed(plan: &Plan<'_>) -> Result<bool> {
    let mut err = std::io::stderr();
    for line in plan.lines() {
        writeln!(err, "{line}")?;
    }
    write!(err, "All objects and messages in these segments will be lost. Remove them? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "hotpool rm: {message}");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tense {
    WouldBe,
    Was,
}

/// Prints the plan, or removes the queues and prints what was removed.
fn print(plan: &Plan<'_>, tense: Tense, out: &mut Output) -> Result<Exit> {
    let removed = tense == Tense::Was;
    let (mut exit, mut said) = (exit_of(&plan.answers), plan.lines());
    if removed {
        said = plan.answers.iter().flat_map(|answer| lines(answer, tense)).collect();
        for answer in plan.queues.iter().map(DeclaredQueue::remove) {
            exit = Exit::worst([exit, if answer.is_ok() { Exit::Ok } else { Exit::Refused }]);
            said.push(answer.unwrap_or_else(|why| why));
        }
    }
    if out.wants_json() {
        let pools: Vec<Value> = plan.answers.iter().map(json_of).collect();
        let queues: Vec<Value> = plan.queues.iter().map(DeclaredQueue::json).collect();
        let ok = exit == Exit::Ok && (removed || !plan.is_refused());
        out.document(
            &json!({ "ok": ok, "removed": removed, "pools": pools, "queues": queues, "problems": [] }),
        )?;
        return Ok(exit);
    }
    for line in said {
        out.line(line)?;
    }
    Ok(exit)
}

fn lines(answer: &Answer, tense: Tense) -> Vec<String> {
    let name = answer.target.name();
    let removal = match &answer.removal {
        Err(error) => return vec![format!("{name}: refused: {error}")],
        Ok(removal) if removal.removed.is_empty() => return vec![format!("{name}: nothing to remove")],
        Ok(removal) => removal,
    };
    let verb = if tense == Tense::Was { "removed" } else { "would remove" };
    let bytes: u64 = removal.removed.iter().map(bytes).sum();
    let count = |n: usize| format!("{n} segment{}", if n == 1 { "" } else { "s" });
    let segments = removal.removed.iter().filter(|thing| matches!(thing, Removed::Segment { .. })).count();
    let head = format!("{name}: {verb} {}, {} in total", count(segments), human::size(bytes));
    let mut lines = vec![head];
    lines.extend(removal.removed.iter().map(|thing| match thing {
        Removed::Segment { key, bytes, block: Some(n) } => {
            format!("  {key}  block {n:<5} {:>8}", human::size(bytes.0))
        }
        Removed::Segment { key, bytes, block: None } => {
            format!("  {key}  base        {:>8}", human::size(bytes.0))
        }
        Removed::Semaphores { key } => format!("  {key}  semaphores"),
    }));
    lines
}

fn bytes(thing: &Removed) -> u64 {
    match thing {
        Removed::Segment { bytes, .. } => bytes.0,
        Removed::Semaphores { .. } => 0,
    }
}

fn json_of(answer: &Answer) -> Value {
    let things = answer.things().iter().map(|thing| match thing {
        Removed::Segment { key, bytes, block } => json!({
            "kind": if block.is_some() { "block" } else { "base" },
            "key": key.to_string(), "bytes": bytes.0, "block": block,
        }),
        Removed::Semaphores { key } => json!({ "kind": "semaphores", "key": key.to_string() }),
    });
    json!({
        "key": answer.target.key.to_string(),
        "process": answer.target.process,
        "backend": answer.target.home.backend.name(),
        "things": things.collect::<Vec<_>>(),
        "refused": answer.removal.as_ref().err().map(ToString::to_string),
    })
}
