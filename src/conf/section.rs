//! Reads the section of one process, and the section of its types, into a [`ProcessConf`].

use super::collide::KeyUse;
use super::fits;
use super::ini::{Entry, Section, Span};
use super::memory::{HugePages, MemoryConf};
use super::nearest::nearest;
use super::problem::ProblemKind;
use super::process::{BackendKind, CoreDump, Places, ProcessConf, RenameConf, TypeConf};
use super::rename;
use super::report::{Report, Spot};
use super::resume::{OnCrashLoop, OnTorn, ResumeConf};
use super::rules;
use super::snapshots::{OnMissing, SnapshotConf};
use super::values;
use crate::limits;
use crate::units::{Bytes, Key};
use std::path::{Path, PathBuf};

/// The ini keys of a process, in the order in which they are documented.
pub(crate) const KEYS: &[&str] = &[
    "FormerName",
    "BaseKey",
    "BlockSize",
    "ShmKeys",
    "Backend",
    "Dir",
    "Mode",
    "OwnerWaitMs",
    "CoreDump",
    "UndoSize",
    "HugePages",
    "Prefault",
    "LockMemory",
    "MaxCrashResumes",
    "CrashWindowSec",
    "OnCrashLoop",
    "OnTorn",
    "MustBeHot",
    "SnapshotDir",
    "SnapshotEverySec",
    "SnapshotKeep",
    "SnapshotOnClose",
    "OnMissing",
];

/// The entries of a section by key.
pub(super) struct Fields<'a> {
    pub(super) section: &'a Section<'a>,
    /// Keys that the section can have.
    pub(super) known: &'static [&'static str],
}

impl<'a> Fields<'a> {
    /// Returns the value of a key; `None` if the section does not have it.
    pub(super) fn get(&self, key: &str) -> Option<Spot<'a>> {
        let entry = self.section.entries.iter().find(|entry| entry.key.text == key)?;
        Some(Spot::value(self.section.name.text, *entry))
    }

    /// Returns the value of a required key, and reports its absence.
    ///
    /// Its absence is not reported if a line that was reported already looks like an attempt at it.
    pub(super) fn require(
        &self,
        key: &'static str,
        example: &'static str,
        report: &mut Report<'_>,
    ) -> Option<Spot<'a>> {
        let found = self.get(key);
        let attempted = || {
            let mut slips = self
                .section
                .entries
                .iter()
                .filter_map(|entry| nearest(entry.key.text, self.known.iter().copied()));
            let mut malformed = self.section.malformed.iter();
            malformed.any(|line| line.text.starts_with(key)) || slips.any(|slip| slip == key)
        };
        if found.is_none() && !attempted() {
            let spot = Spot { key, ..Spot::section(self.section.name) };
            report.add(spot, ProblemKind::MissingKey { example });
        }
        found
    }

    /// Returns the value of an optional key: its default if it is absent, `None` if it is invalid.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, ProblemKind>,
        report: &mut Report<'_>,
    ) -> Option<T> {
        match self.get(key) {
            Some(spot) => report.keep(spot, parse(spot.span.text)),
            None => Some(default),
        }
    }
}

/// Reports every key of a section that is not in `known`.
pub(super) fn check_keys(section: &Section<'_>, known: &'static [&'static str], report: &mut Report<'_>) {
    for entry in section.entries.iter().filter(|entry| !known.contains(&entry.key.text)) {
        let spot = Spot { span: entry.key, ..Spot::value(section.name.text, *entry) };
        let nearest = nearest(entry.key.text, known.iter().copied());
        report.add(spot, ProblemKind::UnknownKey { nearest, known });
    }
}

/// Returns whether a section has an ini key of a process.
pub(super) fn is_process(section: &Section<'_>) -> bool {
    section.entries.iter().any(|entry| KEYS.contains(&entry.key.text))
}

/// Reads a process; returns `None` if a part of it is invalid.
///
/// Its segment keys are appended to `keys` in either case.
pub(super) fn process(
    section: &Section<'_>,
    types: Option<&Section<'_>>,
    keys: &mut Vec<KeyUse>,
    report: &mut Report<'_>,
) -> Option<ProcessConf> {
    check_keys(section, KEYS, report);
    let fields = Fields { section, known: KEYS };

    let base_at = fields.require("BaseKey", "BaseKey = 0x48500100", report);
    let size_at = fields.require("BlockSize", "BlockSize = 64M", report);
    let keys_at = fields.require("ShmKeys", "ShmKeys = 0x48500101, 0x48500102", report);
    let base_key = base_at.and_then(|spot| one_key(spot, keys, report));
    let block_size = size_at.and_then(|spot| report.keep(spot, values::block_size(spot.span.text)));
    let shm_keys = keys_at.and_then(|spot| many_keys(spot, keys, report));

    let name = |text: &str| rules::process_name(text).map(|name| Some(name.to_owned()));
    let former_name = fields.optional("FormerName", None, name, report);
    let backend = backend(&fields, report);
    let mode = fields.optional("Mode", 0o600, values::mode, report);
    let wait = |text: &str| values::number(text, &rules::OWNER_WAIT_MS);
    let owner_wait_ms = fields.optional("OwnerWaitMs", limits::OWNER_WAIT_MS, wait, report);
    let core_dump = fields.optional("CoreDump", CoreDump::None, core_dump, report);
    let undo_size = fields.optional("UndoSize", Bytes(limits::UNDO_BYTES), values::undo_size, report);

    let memory = memory(&fields, backend.as_ref().map(|(kind, _)| *kind), report);
    let resume = resume(&fields, report);
    let snapshots = snapshots(&fields, report);

    let entries =
        types.map_or(Some(Entries::default()), |section| self::types(section, block_size, report))?;
    let Entries { types, renames } = entries;
    let (block_size, shm_keys) = (block_size?, shm_keys?);
    if let (Some(spot), Some(kind)) = (size_at, fits::total(&types, block_size, shm_keys.len())) {
        report.add(spot, kind);
        return None;
    }

    let (backend, dir) = backend?;
    Some(ProcessConf {
        name: section.name.text.into(),
        former_name: former_name?,
        base_key: base_key?,
        block_size,
        shm_keys,
        backend,
        dir,
        mode: mode?,
        owner_wait_ms: owner_wait_ms?,
        core_dump: core_dump?,
        undo_size: undo_size?,
        memory: memory?,
        resume: resume?,
        snapshots: snapshots?,
        types,
        renames,
        places: Places {
            section: report.place(Spot::section(section.name)),
            base_key: report.place(base_at?),
            block_size: report.place(size_at?),
            shm_keys: report.place(keys_at?),
        },
    })
}

pub(super) fn one_key(spot: Spot<'_>, keys: &mut Vec<KeyUse>, report: &mut Report<'_>) -> Option<Key> {
    let key = report.keep(spot, values::key(spot.span.text))?;
    keys.push(KeyUse { key, place: report.place(spot), column: spot.span.column });
    Some(key)
}

fn many_keys(spot: Spot<'_>, keys: &mut Vec<KeyUse>, report: &mut Report<'_>) -> Option<Vec<Key>> {
    let items = spot.span.items();
    report.keep(spot, rules::blocks(items.len()))?;
    let parsed: Vec<Option<Key>> = named_items(spot, &items, report)
        .into_iter()
        .map(|item| one_key(spot.at(item?), keys, report))
        .collect();
    parsed.into_iter().collect()
}

/// Returns the items of a list, with `None` instead of an empty one, which is reported.
pub(super) fn named_items<'a>(
    spot: Spot<'a>,
    items: &[Span<'a>],
    report: &mut Report<'_>,
) -> Vec<Option<Span<'a>>> {
    let numbered = items.iter().enumerate();
    let named = numbered.map(|(i, item)| {
        let empty = item.text.is_empty();
        if empty {
            report.add(spot.at(*item), ProblemKind::EmptyItem { item: i + 1 });
        }
        (!empty).then_some(*item)
    });
    named.collect()
}

/// Reads backend and folder, which are checked together.
fn backend(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<(BackendKind, PathBuf)> {
    let parse = |text: &str| values::choice(text, &BackendKind::ALL, BackendKind::name);
    let kind = fields.optional("Backend", BackendKind::Sysv, parse, report)?;
    let dir = fields.get("Dir");
    let spot = match dir {
        Some(spot) => spot,
        None => {
            fields.get("Backend").map_or(Spot::section(fields.section.name), |at| Spot { key: "Dir", ..at })
        }
    };
    let path = dir.map(|spot| Path::new(spot.span.text));
    report.keep(spot, rules::dir(kind, path))?;
    Some((kind, path.unwrap_or(Path::new("")).into()))
}

fn core_dump(text: &str) -> Result<CoreDump, ProblemKind> {
    values::choice(text, &CoreDump::ALL, CoreDump::name)
}

/// Reads the settings of pages and memory.
fn memory(fields: &Fields<'_>, backend: Option<BackendKind>, report: &mut Report<'_>) -> Option<MemoryConf> {
    let pages = |text: &str| values::choice(text, &HugePages::ALL, HugePages::name);
    let huge_pages = fields.optional("HugePages", HugePages::Off, pages, report);
    let prefault = fields.optional("Prefault", false, values::yes_or_no, report);
    let lock_memory = fields.optional("LockMemory", false, values::yes_or_no, report);
    let conf = MemoryConf { huge_pages: huge_pages?, prefault: prefault?, lock_memory: lock_memory? };
    if let (Some(backend), Some(at)) = (backend, fields.get("HugePages")) {
        report.keep(at, rules::memory(&conf, backend))?;
    }
    Some(conf)
}

/// Reads the settings for crash loops, torn objects and missing pools.
fn resume(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<ResumeConf> {
    let default = ResumeConf::default();
    let resumes = |text: &str| values::number(text, &rules::CRASH_RESUMES);
    let max_crash_resumes = fields.optional("MaxCrashResumes", default.max_crash_resumes, resumes, report);
    let window = |text: &str| values::number(text, &rules::CRASH_WINDOW_SEC);
    let crash_window_sec = fields.optional("CrashWindowSec", default.crash_window_sec, window, report);
    let policy = |text: &str| values::choice(text, &OnCrashLoop::ALL, OnCrashLoop::name);
    let on_crash_loop = fields.optional("OnCrashLoop", default.on_crash_loop, policy, report);
    let torn = |text: &str| values::choice(text, &OnTorn::ALL, OnTorn::name);
    let on_torn = fields.optional("OnTorn", default.on_torn, torn, report);
    let must_be_hot = fields.optional("MustBeHot", default.must_be_hot, values::yes_or_no, report);
    let conf = ResumeConf {
        max_crash_resumes: max_crash_resumes?,
        crash_window_sec: crash_window_sec?,
        on_crash_loop: on_crash_loop?,
        must_be_hot: must_be_hot?,
        on_torn: on_torn?,
    };
    if let Some(at) = fields.get("MustBeHot") {
        report.keep(at, rules::resume(&conf))?;
    }
    Some(conf)
}

/// Reads when and where the running pool writes snapshots.
fn snapshots(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<SnapshotConf> {
    let default = SnapshotConf::default();
    let dir = |text: &str| match text {
        "" => Err(ProblemKind::NoValue { expected: "the absolute path of a folder" }),
        text => rules::snapshot_dir(Path::new(text)).map(|()| text.into()),
    };
    let dir = fields.optional("SnapshotDir", default.dir.clone(), dir, report);
    let every = |text: &str| values::number(text, &rules::SNAPSHOT_EVERY_SEC);
    let every_sec = fields.optional("SnapshotEverySec", default.every_sec, every, report);
    let keep = |text: &str| values::number(text, &rules::SNAPSHOT_KEEP);
    let keep = fields.optional("SnapshotKeep", default.keep, keep, report);
    let on_close = fields.optional("SnapshotOnClose", default.on_close, values::yes_or_no, report);
    let missing = |text: &str| values::choice(text, &OnMissing::ALL, OnMissing::name);
    let on_missing = fields.optional("OnMissing", default.on_missing, missing, report);
    let conf = SnapshotConf {
        dir: dir?,
        every_sec: every_sec?,
        keep: keep?,
        on_close: on_close?,
        on_missing: on_missing?,
    };
    let settings = [
        ("SnapshotEverySec", conf.every_sec != default.every_sec),
        ("SnapshotKeep", conf.keep != default.keep),
        ("SnapshotOnClose", conf.on_close != default.on_close),
        ("OnMissing", conf.on_missing != default.on_missing),
    ];
    let settings = settings.map(|(key, is_set)| match fields.get(key) {
        Some(at) => report.keep(at, rules::snapshot_setting(&conf, is_set)),
        None => Some(()),
    });
    settings.iter().all(Option::is_some).then_some(conf)
}

/// The entries of `[zone.types]`.
#[derive(Default)]
pub(super) struct Entries {
    types: Vec<TypeConf>,
    renames: Vec<RenameConf>,
}

/// Reads all types of a process, and its renamed fields; returns `None` if one is invalid.
pub(super) fn types(
    section: &Section<'_>,
    block_size: Option<Bytes>,
    report: &mut Report<'_>,
) -> Option<Entries> {
    let (renamed, sized): (Vec<Entry<'_>>, Vec<Entry<'_>>) =
        section.entries.iter().partition(|entry| entry.key.text.contains('.'));
    report.keep(Spot::section(section.name), rules::types(sized.len()))?;
    let renames: Vec<Option<RenameConf>> =
        renamed.into_iter().map(|entry| rename::rename(section.name.text, entry, report)).collect();
    let renames: Option<Vec<RenameConf>> = renames.into_iter().collect();
    let twice = renames.as_deref().map(rename::twice).unwrap_or_default();
    let mut sound = twice.is_empty();
    report.extend(twice);
    let mut types = Vec::new();
    for entry in sized {
        let value = Spot::value(section.name.text, entry);
        let name = report.keep(value.at(entry.key), rules::name(entry.key.text, limits::MAX_TYPE_NAME));
        let sizes = type_sizes(value, block_size, report);
        match (name, sizes) {
            (Some(name), Some((capacity, object_bytes))) => {
                let place = report.place(value);
                types.push(TypeConf { name: name.into(), capacity, object_bytes, place });
            }
            _ => sound = false,
        }
    }
    let renames = renames.filter(|_| sound)?;
    Some(Entries { types, renames })
}

/// Reads `5000` or `5000 x 12K`.
fn type_sizes(
    value: Spot<'_>,
    block_size: Option<Bytes>,
    report: &mut Report<'_>,
) -> Option<(u32, Option<u64>)> {
    let (count, object) = match value.span.split('x') {
        Some((count, object)) => (value.at(count), Some(value.at(object))),
        None => (value, None),
    };
    let capacity = report.keep(count, values::number(count.span.text, &rules::CAPACITY));
    let Some(object) = object else {
        return Some((capacity?, None));
    };
    let size = values::bytes(object.span.text, &rules::OBJECT_BYTES);
    let size = report.keep(object, size)?;
    let size = report.keep(object, rules::object(size, block_size))?;
    Some((capacity?, Some(size.0)))
}
