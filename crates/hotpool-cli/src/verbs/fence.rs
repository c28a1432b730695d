//! `hotpool fence`: who owns the pool of a process, as a store says.

use crate::exit::{self, Exit};
use crate::output::Output;
use crate::{human, stores};
use anyhow::Result;
use hotpool_snapshot_store::{Fence, Store, Taking, Token, owner};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Show which host owns the pool of a process, or take it over
///
/// A token in the store says who owns the pool: one host at a time.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool fence show s3://backups/game zone            who owns the pool, since when, and its epoch
  hotpool fence take s3://backups/game zone            make a dead owner's token free, after its lease
  hotpool fence take s3://backups/game zone --force    also if the owner lives: it finds out and must stop

{}", exit::HELP))]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Show who owns the pool, since when, and its epoch
    Show(Whose),
    /// Take the token from its owner, so that another server can have it
    ///
    /// Waits for one lease to see that the owner is dead, and is refused if it lives. With --force the
    /// owner may live: it loses the token at once, finds out at its next renewal, and sends no snapshot
    /// from then on. Stop it: its players' changes are not in the world that goes on.
    Take {
        #[command(flatten)]
        whose: Whose,

        /// Take it also from an owner that lives
        #[arg(long)]
        force: bool,
    },
}

#[derive(clap::Args)]
struct Whose {
    /// The store: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER
    #[arg(value_name = "URL")]
    url: String,

    /// The process in the ini
    #[arg(value_name = "PROCESS")]
    process: String,
}

/// Fails if the store cannot be reached or refuses, or if the token is damaged.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    match args.what {
        What::Show(whose) => stores::with(&whose.url, |store| show(store, &whose.process, out)),
        What::Take { whose, force } => {
            stores::with(&whose.url, |store| take(store, &whose.process, force, out))
        }
    }
}

fn show(store: &Store, process: &str, out: &mut Output) -> Result<Exit> {
    let token = owner(store, process)?;
    if out.wants_json() {
        out.document(&document(process, token.as_ref()))?;
        return Ok(Exit::Ok);
    }
    match token {
        None => out.line(format_args!("{} has no token of {process}: no host owns its pool", store.url()))?,
        Some(token) => out.line(text(&token))?,
    }
    Ok(Exit::Ok)
}

fn take(store: &Store, process: &str, force: bool, out: &mut Output) -> Result<Exit> {
    let before = owner(store, process)?.filter(|token| token.held);
    let taking = if force { Taking::default().by_force() } else { Taking::default() };
    let fence = Fence::take(store, process, taking)?;
    let epoch = fence.epoch();
    // Given back: the next server takes it at once.
    drop(fence);
    if out.wants_json() {
        out.document(&document(process, owner(store, process)?.as_ref()))?;
        return Ok(Exit::Ok);
    }
    let from =
        before.map_or_else(String::new, |token| format!(", taken from {}", human::printable(&token.owner())));
    out.line(format_args!(
        "{process}: epoch {epoch}{from}; the token is free, and the next server can have it"
    ))?;
    Ok(Exit::Ok)
}

fn text(token: &Token) -> String {
    let (process, epoch) = (&token.process, token.epoch);
    let ago = human::age(seconds_since(token.renewed));
    match token.held {
        true => {
            let owner = human::printable(&token.owner());
            format!("{process}: epoch {epoch}, held by {owner}; renewed {ago} ago")
        }
        false => format!(
            "{process}: epoch {epoch}, free; given back {ago} ago by host {}",
            human::printable(&token.host)
        ),
    }
}

fn seconds_since(moment: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().saturating_sub(moment)
}

fn document(process: &str, token: Option<&Token>) -> Value {
    let Some(token) = token else {
        return json!({ "ok": true, "process": process, "held": false, "epoch": 0 });
    };
    json!({
        "ok": true,
        "process": token.process,
        "held": token.held,
        "epoch": token.epoch,
        "host": token.host,
        "pid": token.pid,
        "boot": token.boot,
        "pid_namespace": token.pid_namespace,
        "lease_ms": token.lease_ms,
        "taken": token.taken,
        "renewed": token.renewed,
        "age_seconds": seconds_since(token.renewed),
    })
}
