//! Measures hotpool and its peers in the same run.
#![deny(unsafe_code)]
// In a program, `pub` marks what a file offers to the others; no other crate can reach it.
#![allow(unreachable_pub)]

mod charts;
mod compare;
mod goals;
mod growth;
mod imaging;
mod keeper;
mod keyed;
mod many;
mod measure;
mod messaging;
mod object;
mod op;
mod options;
mod pages;
mod peer;
mod pin;
mod profile;
mod report;
mod restart;
mod rng;
mod row;
mod runner;
mod scratch;
mod segments;
mod slots;
mod snapshots;
mod stats;
mod subject;

use clap::Parser;
use op::Kind;
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((word, rest)) if word == "--child" => restart::run_child(rest),
        Some((word, rest)) if word == messaging::WORD => Ok(messaging::answer(rest)),
        _ => measure(options::Options::parse()).map(|()| ExitCode::SUCCESS),
    }
}

fn measure(options: options::Options) -> anyhow::Result<()> {
    options.pages.choose()?;
    let _sweep = segments::Sweep::new()?;
    if let Some(options::Command::Snapshots(options)) = &options.command {
        return snapshots::run(options);
    }
    let pin = pin::Pin::new(options.cpu)?;
    if let Some(options::Command::Messaging(options)) = &options.command {
        println!("on processor {}, and the other process beside it", pin.cpu());
        return messaging::run(options, pin);
    }
    if let (Some(profile), true) = (options.profile, options.images) {
        println!("on all processors, pages of {}", options.pages.name());
        return imaging::run(profile, options.ticks, pin);
    }
    println!("on processor {}, pages of {}", pin.cpu(), options.pages.name());
    if let Some(profile) = options.profile {
        return profile::run(profile, options.ticks);
    }
    if options.growth {
        let lines = growth::run(options.effort().rounds, options.quick)?;
        return options.charts().map_or(Ok(()), |folder| charts::attach(&lines, &folder));
    }
    let (missing, peers): (Vec<_>, Vec<_>) =
        options.peers().into_iter().partition(|peer| peer.missing().is_some());
    for peer in missing {
        println!("skipped {}: {}", peer.name(), peer.missing().unwrap_or_default());
    }
    let plan = compare::Plan {
        ops: options.ops(),
        peers,
        pin,
        populations: options.populations(),
        effort: options.effort(),
    };
    let mut rows = compare::compare(&plan)?;
    let restarts: Vec<_> = plan.ops.iter().copied().filter(|op| op.kind() == Kind::Restart).collect();
    if !restarts.is_empty() {
        rows.extend(restart::measure(&restarts, &plan.peers, options.players(), plan.effort.rounds, pin)?);
    }
    if plan.ops.contains(&op::Op::TakeOver) && plan.peers.contains(&peer::Peer::TearDown) {
        rows.push(restart::take_over::measure(options.take_over_bytes(), plan.effort.rounds, pin)?);
    }
    report::print(&rows);
    if let Some(folder) = options.charts() {
        charts::draw(&rows, &folder)?;
    }
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}
