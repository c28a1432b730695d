//! Makes the inis of a fleet from a template and values, and checks each of them.

use crate::deploy::{Deploy, Process, Queue};
use hotpool::ConfMgr;
use hotpool::conf::ConfError;
use hotpool::conf::key_plan::{self, Coordinates, OutOfPlan};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;
use std::collections::BTreeMap;

/// The ini of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZoneIni {
    pub(crate) world: u32,
    pub(crate) zone: u32,
    pub(crate) text: String,
}

impl ZoneIni {
    /// Returns the file name of this ini in a folder with all inis.
    pub(crate) fn file_name(&self) -> String {
        format!("memorypool.w{}z{}.ini", self.world, self.zone)
    }
}

/// Why the inis could not be made. Each message follows the name of the file at fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    #[error("{}", .0.to_string().trim_end())]
    Values(#[from] toml::de::Error),
    #[error("defines no {0}")]
    Empty(&'static str),
    #[error("{what} {name} of world {world}, zone {zone}: {source}")]
    Key { what: &'static str, name: String, world: u32, zone: u32, source: OutOfPlan },
    #[error("{0}")]
    Template(#[from] minijinja::Error),
    #[error("the template and these values make an invalid ini")]
    Unsound(ConfError),
}

/// A process as the template sees it.
#[derive(Serialize)]
struct ProcessView<'a> {
    name: &'a str,
    base_key: String,
    block_size: &'a str,
    shm_keys: Vec<String>,
    /// The optional ini keys that the values set.
    options: BTreeMap<&'static str, String>,
    types: Vec<TypeView<'a>>,
}

/// A type as the template sees it.
#[derive(Serialize)]
struct TypeView<'a> {
    name: &'a str,
    capacity: u32,
    bytes: Option<&'a str>,
}

/// A queue as the template sees it.
#[derive(Serialize)]
struct QueueView<'a> {
    name: &'a str,
    key: String,
    kind: &'a str,
    capacity: u64,
    message_size: &'a str,
    writers: &'a [String],
    readers: &'a [String],
    /// The optional ini keys that the values set.
    options: BTreeMap<&'static str, String>,
}

/// Returns the inis of all zones of all worlds. Fails if one of them would not load, or if two
/// would share a segment key.
pub(crate) fn render(values: &str, template: &str) -> Result<Vec<ZoneIni>, RenderError> {
    let deploy: Deploy = toml::from_str(values)?;
    if deploy.processes.is_empty() {
        return Err(RenderError::Empty("process"));
    }
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // A line that holds only a tag leaves no empty line.
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build()?);
    environment.add_template("memorypool.ini.tmpl", template)?;
    let template = environment.get_template("memorypool.ini.tmpl")?;

    let mut inis = Vec::new();
    for world in deploy.fleet.worlds() {
        for zone in deploy.fleet.zones() {
            let views = deploy.processes.iter().map(|process| view(process, world, zone));
            let processes = views.collect::<Result<Vec<_>, _>>()?;
            let views = deploy.queues.iter().map(|queue| queue_view(queue, world, zone));
            let queues = views.collect::<Result<Vec<_>, _>>()?;
            let context = context! { world, zone, processes => Serde(processes), queues => Serde(queues) };
            let text = template.render(context)?;
            inis.push(ZoneIni { world, zone, text });
        }
    }
    if inis.is_empty() {
        return Err(RenderError::Empty("zone"));
    }
    check(&inis).map_err(RenderError::Unsound)?;
    Ok(inis)
}

/// Checks each ini alone and stops at the first one with problems, because the others likely have the
/// same; then checks all of them together.
fn check(inis: &[ZoneIni]) -> Result<(), ConfError> {
    for ini in inis {
        ConfMgr::parse(&ini.text, ini.file_name())?;
    }
    ConfMgr::parse_fleet(inis.iter().map(|ini| (&ini.text, ini.file_name())))?;
    Ok(())
}

/// Returns the key for these coordinates, as the ini has it.
fn planned(what: &'static str, name: &str, at: Coordinates) -> Result<String, RenderError> {
    let Coordinates { world, zone, .. } = at;
    key_plan::key(at).map(|key| key.to_string()).map_err(|source| {
        // The block field of a queue is its number.
        let field = if what == "queue" && source.field == "block" { "number" } else { source.field };
        RenderError::Key { what, name: name.into(), world, zone, source: OutOfPlan { field, ..source } }
    })
}

fn queue_view(queue: &Queue, world: u32, zone: u32) -> Result<QueueView<'_>, RenderError> {
    let at = Coordinates { world, zone, process: key_plan::QUEUES, block: queue.number };
    let options = [
        ("PayloadBytes", queue.payload_bytes.clone()),
        ("OnDead", queue.on_dead.clone()),
        ("OnSlow", queue.on_slow.clone()),
        ("Mode", queue.mode.clone()),
        ("WaitMs", queue.wait_ms.map(|ms| ms.to_string())),
    ];
    Ok(QueueView {
        name: &queue.name,
        key: planned("queue", &queue.name, at)?,
        kind: &queue.kind,
        capacity: queue.capacity,
        message_size: &queue.message_size,
        writers: &queue.writers,
        readers: &queue.readers,
        options: options.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
    })
}

fn view(process: &Process, world: u32, zone: u32) -> Result<ProcessView<'_>, RenderError> {
    let key = |block| {
        if process.number >= key_plan::QUEUES {
            let (found, max) = (process.number, key_plan::QUEUES - 1);
            let source = OutOfPlan { field: "process", found, max };
            return Err(RenderError::Key {
                what: "process",
                name: process.name.clone(),
                world,
                zone,
                source,
            });
        }
        let at = Coordinates { world, zone, process: process.number, block };
        planned("process", &process.name, at)
    };
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_string();
    let options = [
        ("Backend", process.backend.clone()),
        ("Dir", process.dir.clone()),
        ("Mode", process.mode.clone()),
        ("OwnerWaitMs", process.owner_wait_ms.map(|ms| ms.to_string())),
        ("CoreDump", process.core_dump.clone()),
        ("UndoSize", process.undo_size.clone()),
        ("HugePages", process.huge_pages.clone()),
        ("Prefault", process.prefault.map(yes_or_no)),
        ("LockMemory", process.lock_memory.map(yes_or_no)),
        ("MaxCrashResumes", process.max_crash_resumes.map(|n| n.to_string())),
        ("CrashWindowSec", process.crash_window_sec.map(|n| n.to_string())),
        ("OnCrashLoop", process.on_crash_loop.clone()),
        ("OnTorn", process.on_torn.clone()),
        ("MustBeHot", process.must_be_hot.map(yes_or_no)),
        ("SnapshotDir", process.snapshot_dir.clone()),
        ("SnapshotEverySec", process.snapshot_every_sec.map(|sec| sec.to_string())),
        ("SnapshotKeep", process.snapshot_keep.map(|n| n.to_string())),
        ("SnapshotOnClose", process.snapshot_on_close.map(yes_or_no)),
        ("OnMissing", process.on_missing.clone()),
    ];
    let types = process.types.iter().map(|(name, size)| TypeView {
        name,
        capacity: size.capacity,
        bytes: size.bytes.as_deref(),
    });
    Ok(ProcessView {
        name: &process.name,
        base_key: key(0)?,
        block_size: &process.block_size,
        shm_keys: (1..=process.blocks).map(key).collect::<Result<_, _>>()?,
        options: options.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        types: types.collect(),
    })
}
