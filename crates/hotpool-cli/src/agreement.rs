//! How `ls` and `doctor` report disagreements between an ini and a pool.

use crate::probe::{Finding, Severity as Probed};
use hotpool::ConfMgr;
use hotpool::conf::ProcessConf;
use hotpool::pool::{Disagreement, Severity, disagreements, not_listed};
use serde_json::{Value, json};

/// Returns the disagreements between the ini and the pool of one process name; none if the pool cannot be read.
pub(crate) fn of(process: &ProcessConf) -> Vec<Disagreement> {
    disagreements(process).unwrap_or_default()
}

/// Whether the next start is refused because of one of them.
pub(crate) fn is_refused(said: &[Disagreement]) -> bool {
    said.iter().any(|one| one.rule.severity == Severity::Refused)
}

/// Formats a disagreement as a line of `ls`.
pub(crate) fn line(one: &Disagreement) -> String {
    match one.rule.severity {
        Severity::Told => one.to_string(),
        Severity::Refused => format!("{one}; the next start is refused"),
    }
}

pub(crate) fn json(said: &[Disagreement]) -> Vec<Value> {
    let one = |one: &Disagreement| {
        json!({
            "code": one.rule.code,
            "key": one.rule.key,
            "severity": word(one.rule.severity),
            "place": one.place.to_string(),
            "found": one.found,
            "next": one.next,
        })
    };
    said.iter().map(one).collect()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Told => "told",
        Severity::Refused => "refused",
    }
}

/// Returns all disagreements as findings of `doctor`.
pub(crate) fn findings(confs: &[ConfMgr]) -> Vec<Finding> {
    let said = confs.iter().flat_map(|conf| {
        let processes = conf.processes().iter().flat_map(of);
        processes.chain(not_listed(conf)).collect::<Vec<_>>()
    });
    let finding = |one: Disagreement| {
        let severity = match one.rule.severity {
            Severity::Told => Probed::Warning,
            Severity::Refused => Probed::Error,
        };
        Finding::new(one.rule.code, severity, format!("{}: {}", one.place, one.found), one.next)
    };
    said.map(finding).collect()
}
