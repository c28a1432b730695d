//! The result of the run: a table for people, one JSON object for programs.

use crate::model::Faults;
use crate::supervisor::Outcome;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

#[derive(Serialize)]
struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<usize>,
    kills: u64,
    objects: u64,
    compared: u64,
    acknowledged: u64,
    letters: u64,
    lost: u64,
    torn: u64,
    duplicated: u64,
    resurrected: u64,
    named: u64,
    cut: u64,
    resume_us_p50: u64,
    resume_us_max: u64,
    kill_to_ready_us_p50: u64,
    kill_to_ready_us_max: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by_process: Vec<Summary>,
}

impl Summary {
    fn of(outcome: &Outcome) -> Self {
        let Faults { lost, torn, duplicated, resurrected } = outcome.faults;
        let (resume_us_p50, resume_us_max) = p50_and_max(&outcome.resumes);
        let (kill_to_ready_us_p50, kill_to_ready_us_max) = p50_and_max(&outcome.gaps);
        Summary {
            process: Some(outcome.process.clone()),
            processes: None,
            kills: outcome.kills,
            objects: outcome.objects,
            compared: outcome.compared,
            acknowledged: outcome.acknowledged,
            letters: outcome.letters.received,
            lost,
            torn,
            duplicated,
            resurrected,
            named: outcome.named,
            cut: outcome.cut,
            resume_us_p50,
            resume_us_max,
            kill_to_ready_us_p50,
            kill_to_ready_us_max,
            by_process: Vec::new(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let name = self.process.clone().unwrap_or_else(|| "all".into());
        let pair = |p50: u64, max: u64| format!("{p50} / {max}");
        let numbers = [self.kills, self.objects, self.acknowledged, self.letters, self.lost, self.torn];
        let more = [self.duplicated, self.resurrected, self.named, self.cut];
        let mut cells = vec![name];
        cells.extend(numbers.iter().chain(&more).map(u64::to_string));
        cells.push(pair(self.resume_us_p50, self.resume_us_max));
        cells.push(pair(self.kill_to_ready_us_p50, self.kill_to_ready_us_max));
        cells
    }
}

pub(crate) fn print(outcomes: &[Outcome], json: bool) -> Result<(), serde_json::Error> {
    let by_process: Vec<Summary> = outcomes.iter().map(Summary::of).collect();
    let all = Summary {
        process: None,
        processes: Some(outcomes.len()),
        by_process,
        ..Summary::of(&total(outcomes))
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "process",
        "kills",
        "objects",
        "acknowledged",
        "letters",
        "lost",
        "torn",
        "duplicated",
        "resurrected",
        "named",
        "interrupted",
        "resume us p50 / max",
        "kill to ready us p50 / max",
    ]);
    for summary in all.by_process.iter().chain([&all]) {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row(summary.cells().into_iter().map(right));
    }
    println!("{table}");
    println!("named: kills during a write; the resume report names the object");
    println!(
        "resume: starts that found the pool free; kill to ready: starts while the old process was still dying"
    );
    println!("interrupted: kills during a transaction; the resume rolled it back or finished it");
    if json {
        println!("{}", serde_json::to_string(&all)?);
    }
    Ok(())
}

fn total(outcomes: &[Outcome]) -> Outcome {
    let mut total = Outcome::default();
    for outcome in outcomes {
        total.kills += outcome.kills;
        total.objects += outcome.objects;
        total.compared += outcome.compared;
        total.acknowledged += outcome.acknowledged;
        total.letters.received += outcome.letters.received;
        total.named += outcome.named;
        total.cut += outcome.cut;
        total.faults.add(outcome.faults);
        total.resumes.extend(&outcome.resumes);
        total.gaps.extend(&outcome.gaps);
    }
    total
}

fn p50_and_max(times: &[Duration]) -> (u64, u64) {
    let mut micros: Vec<u64> = times.iter().map(|time| time.as_micros() as u64).collect();
    micros.sort_unstable();
    (micros.get(micros.len() / 2).copied().unwrap_or(0), micros.last().copied().unwrap_or(0))
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Faults { lost, torn, duplicated, resurrected } = self;
        write!(f, "{lost} lost, {torn} torn, {duplicated} duplicated, {resurrected} resurrected")
    }
}
