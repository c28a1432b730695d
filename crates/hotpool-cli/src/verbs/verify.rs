//! `hotpool verify`: do all invariants of a pool hold, for every byte?

use crate::declared::DeclaredQueue;
use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::problems;
use crate::target::{Missing, Target, Which};
use anyhow::Result;
use comfy_table::{Table, presets};
use hotpool::inspect::{Finding, Report, Severity, TypeReport, verify_pool};
use hotpool::units::plural;
use serde_json::{Value, json};

/// Check every byte of pools against the invariants of the layout
///
/// With an ini it checks the queues too, except with --process. Reads base and blocks and stores nothing, so it is safe to run next to a live server. Then it reads
/// suspicious bytes again before it reports them, and reports sums that change meanwhile as notes. The time it
/// takes grows with the pool.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool verify --conf config/memorypool.ini                   check every pool of an ini
  hotpool verify --conf config/memorypool.ini --process zone    check the pool of one process name
  hotpool verify --key 0x48500100 || echo \"exit code $?\"
  hotpool verify --key 0x48500100 --json | jq '.pools[].findings[] | select(.severity == \"damage\")'

{}", exit::HELP))]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

/// A pool and the result of its check.
struct Row {
    target: Target,
    walked: Result<Report, Missing>,
}

/// Fails only if stdout does.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let both = args.which.targets().and_then(|targets| Ok((targets, args.which.queues()?)));
    let (targets, queues) = match both {
        Ok(both) => both,
        Err(error) => return problems::instead_of_pools(&error, out),
    };
    let walk = |target: Target| Row { walked: target.read(verify_pool), target };
    let rows: Vec<Row> = targets.into_iter().map(walk).collect();
    let exits = rows.iter().map(Row::exit).chain(queues.iter().map(DeclaredQueue::exit));
    let exit = Exit::worst(exits);
    if out.wants_json() {
        let pools: Vec<Value> = rows.iter().map(Row::json).collect();
        let queues: Vec<Value> = queues.iter().map(DeclaredQueue::json).collect();
        out.document(&json!({ "ok": exit == Exit::Ok, "pools": pools, "queues": queues, "problems": [] }))?;
    } else {
        for row in &rows {
            row.print(out)?;
        }
        for line in queues.iter().flat_map(DeclaredQueue::lines) {
            out.line(line)?;
        }
    }
    Ok(exit)
}

fn count(report: &Report, severity: Severity) -> usize {
    report.findings.iter().filter(|finding| finding.severity == severity).count()
}

impl Row {
    fn exit(&self) -> Exit {
        match &self.walked {
            Err(missing) => missing.exit(),
            Ok(report) => match report.worst() {
                None | Some(Severity::Note) => Exit::Ok,
                Some(Severity::Warning) => Exit::Warnings,
                Some(Severity::Damage) => Exit::Damage,
            },
        }
    }

    /// Returns the result in one word.
    fn outcome(&self) -> &'static str {
        match &self.walked {
            Err(missing) => missing.word(),
            Ok(report) => match report.worst() {
                None | Some(Severity::Note) => "sound",
                Some(Severity::Warning) => "warnings",
                Some(Severity::Damage) => "damaged",
            },
        }
    }

    /// Returns the process name that the segment stores, or else that of the ini.
    fn process(&self) -> Option<String> {
        let said = self.walked.as_ref().ok().map(|report| report.process.clone());
        said.filter(|name| !name.is_empty()).or_else(|| self.target.process.clone())
    }

    fn print(&self, out: &mut Output) -> Result<()> {
        let name = match self.process() {
            Some(process) => format!("{} ({})", self.target.key, human::printable(&process)),
            None => self.target.name(),
        };
        let report = match &self.walked {
            Ok(report) => report,
            Err(missing) => {
                return Ok(out.line(format_args!("{name}: {}: {}", missing.word(), missing.why()))?);
            }
        };
        let found = |severity| count(report, severity) as u64;
        let live = match (report.live, report.grew) {
            (true, true) => "; its owner was running and the pool grew: run verify again",
            (true, false) => "; its owner was running",
            (false, _) => "",
        };
        out.line(format_args!(
            "{name}: {}: {} of {} in {} and {}; {} damaged, {}, {}{live}",
            self.outcome(),
            plural(report.objects(), "object"),
            plural(report.types.len() as u64, "type"),
            plural(report.blocks, "block"),
            plural(report.extents, "extent"),
            found(Severity::Damage),
            plural(found(Severity::Warning), "warning"),
            plural(found(Severity::Note), "note"),
        ))?;
        if !report.findings.is_empty() {
            for line in table(&report.findings).trim_fmt().lines() {
                out.line(format_args!(" {}", line.trim_end()))?;
            }
        }
        if report.left_out != 0 {
            out.line(format_args!("  and {}", plural(report.left_out, "more finding")))?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let mut pool = json!({
            "key": self.target.key.to_string(),
            "process": self.process(),
            "backend": self.target.home.backend.name(),
            "outcome": self.outcome(),
            "reason": self.walked.as_ref().err().map(Missing::why),
        });
        if let (Ok(report), Some(pool)) = (&self.walked, pool.as_object_mut()) {
            let more = json!({
                "live": report.live,
                "grew": report.grew,
                "objects": report.objects(),
                "blocks": report.blocks,
                "extents": report.extents,
                "damage": count(report, Severity::Damage),
                "warnings": count(report, Severity::Warning),
                "notes": count(report, Severity::Note),
                "left_out": report.left_out,
                "types": report.types.iter().map(type_json).collect::<Vec<_>>(),
                "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
            });
            pool.extend(more.as_object().cloned().unwrap_or_default());
        }
        pool
    }
}

/// Creates a table whose rows never wrap, so that each finding can be searched as one line.
fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["severity", "where", "what"]);
    for Finding { severity, place, what } in findings {
        table.add_row([severity.to_string(), place.to_string(), human::printable(what)]);
    }
    table
}

fn type_json(of: &TypeReport) -> Value {
    json!({ "id": of.id, "name": of.name, "slots": of.slots, "live": of.live, "retired": of.retired,
        "groups": of.groups, "stale_entries": of.stale_entries })
}

fn finding_json(finding: &Finding) -> Value {
    let place = &finding.place;
    json!({ "severity": finding.severity.to_string(), "where": place.to_string(), "type_id": place.type_id,
        "slot": place.slot, "segment": place.segment.map(|key| key.to_string()), "offset": place.offset,
        "what": finding.what })
}
