//! `hotpool schema`: the structs that a pool stores, as a table, as Rust, or as JSON.

use crate::exit::{self, Exit};
use crate::human;
use crate::one_pool::OnePool;
use crate::output::Output;
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use hotpool::inspect::describe_pool;
use hotpool::object::{Schemas, StoredField, TypeSchema, rust_source};
use serde_json::json;
use std::io::Write;

/// Print the structs of which a pool has objects
///
/// Reads only the base of the pool, and a live server does not notice. With --json it prints a document that
/// `hotpool compat` compares with other pools.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool schema zone                                        the pool of process zone on this host
  hotpool schema zone player --conf config/memorypool.ini    one type of the pool of an ini
  hotpool schema --key 0x48500100 player --rust              a type as Rust source
  hotpool schema zone --json > zone.json

{}", exit::HELP))]
pub(crate) struct Args {
    #[command(flatten)]
    pool: OnePool,

    /// Show only this type
    #[arg(value_name = "TYPE")]
    type_name: Option<String>,

    /// Print Rust source with the stored layout
    #[arg(long, conflicts_with = "json")]
    rust: bool,
}

/// Fails only if stdout does, or if the pools of the host cannot be listed.
pub(crate) fn run(mut args: Args, out: &mut Output) -> Result<Exit> {
    let type_name = args.pool.spare_word().or_else(|| args.type_name.take());
    let target = match args.pool.target("schema", out)? {
        Ok(target) => target,
        Err(exit) => return Ok(exit),
    };
    let pool = match target.read(describe_pool) {
        Ok(pool) => pool,
        Err(missing) => {
            if out.wants_json() {
                let (name, word, why) = (target.name(), missing.word(), missing.why());
                out.document(&json!({ "ok": false, "pool": name, "state": word, "reason": why }))?;
            } else {
                out.line(format_args!("{}: {}: {}", target.name(), missing.word(), missing.why()))?;
            }
            return Ok(missing.exit());
        }
    };
    let mut schemas = pool.schemas();
    let mut exit = Exit::Ok;
    let unread: Vec<&str> = { pool.types.iter() }
        .filter(|of| schemas.types.iter().all(|one| one.id != of.id))
        .map(|of| of.name.as_str())
        .collect();
    for name in unread.iter().filter(|name| type_name.as_ref().is_none_or(|only| only == *name)) {
        complain(format_args!("the fields of type `{}` are not stored, or damaged", human::printable(name)));
        exit = Exit::Damage;
    }
    if let Some(only) = &type_name {
        let others: Vec<String> = pool.types.iter().map(|of| human::printable(&of.name)).collect();
        schemas.types.retain(|one| one.name == *only);
        if schemas.types.is_empty() && exit == Exit::Ok {
            complain(format_args!("the pool has no type {only:?}; its types are {}", others.join(", ")));
            return Ok(Exit::Usage);
        }
    }
    if out.wants_json() {
        out.document(&schemas)?;
    } else if args.rust {
        exit = Exit::worst([exit, print_rust(&schemas, out)?]);
    } else {
        print_tables(&schemas, out)?;
    }
    Ok(exit)
}

fn complain(what: impl std::fmt::Display) {
    // An error of stderr itself cannot be reported anywhere.
    let _ = writeln!(std::io::stderr(), "hotpool schema: {what}");
}

fn print_tables(schemas: &Schemas, out: &mut Output) -> Result<()> {
    for (number, one) in schemas.types.iter().enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        let (keyed, name) = (if one.keyed { ", keyed" } else { "" }, human::printable(&one.name));
        out.line(format_args!(
            "{gap}{name}: type {}, {} bytes, align {}{keyed}",
            one.id, one.bytes, one.align
        ))?;
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["offset", "size", "type", "name"]);
        table.column_iter_mut().take(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        for field in &one.fields {
            let (type_name, name) = (human::printable(&field.type_name), human::printable(&field.name));
            table.add_row([field.offset.to_string(), field.bytes.to_string(), type_name, name]);
        }
        for line in table.trim_fmt().lines() {
            out.line(line.trim_end())?;
        }
    }
    Ok(())
}

fn print_rust(schemas: &Schemas, out: &mut Output) -> Result<Exit> {
    let mut exit = Exit::Ok;
    for (number, one) in schemas.types.iter().enumerate() {
        match rust(one) {
            Ok(source) => out.text(format_args!("{}{source}", if number == 0 { "" } else { "\n" }))?,
            Err(why) => {
                complain(format_args!("type `{}`: {why}", human::printable(&one.name)));
                exit = Exit::Damage;
            }
        }
    }
    Ok(exit)
}

/// Returns a type as Rust source, in which the object itself derives `PoolObject`.
fn rust(one: &TypeSchema) -> Result<String, String> {
    const DERIVE: &str = "#[derive(Clone, Copy, Schema)]";
    let fields: Vec<StoredField> = one.fields.iter().map(|field| field.stored()).collect();
    let source =
        rust_source(&fields, one.bytes, &camel_case(&one.name)).map_err(|error| error.to_string())?;
    let keyed = if one.keyed { ", keyed" } else { "" };
    let (id, name) = (one.id, &one.name);
    let object = format!("#[derive(Clone, Copy, PoolObject)]\n#[pool(id = {id}, name = {name:?}{keyed})]");
    // The object comes last, after the types of its fields.
    match source.rsplit_once(DERIVE) {
        Some((before, after)) => Ok(format!("{before}{object}{after}")),
        None => Ok(source),
    }
}

/// Returns the name of a type in the pool as Rust would write it.
fn camel_case(name: &str) -> String {
    let words = name.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    };
    let name: String = words.map(word).collect();
    if name.starts_with(char::is_alphabetic) { name } else { format!("Type{name}") }
}
