//! Measures hotpool and its peers in the same run.
#![deny(unsafe_code)]
// In a program `pub` says what a file offers to the others; nothing else could reach it.
#![allow(unreachable_pub)]

mod compare;
mod goals;
mod keeper;
mod keyed;
mod measure;
mod object;
mod op;
mod options;
mod pages;
mod peer;
mod pin;
mod report;
mod rng;
mod row;
mod runner;
mod scratch;
mod segments;
mod slots;
mod stats;
mod subject;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    let options = options::Options::parse();
    options.pages.check()?;
    let _sweep = segments::Sweep::new()?;
    let pin = pin::Pin::new(options.cpu)?;
    println!("on processor {}, pages of 4 KiB", pin.cpu());
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
    let rows = compare::compare(&plan)?;
    report::print(&rows);
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}
