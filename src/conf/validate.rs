//! Applies the rules of the ini to a configuration that a program created.

use super::collide::{KeyUse, collisions};
use super::fits;
use super::problem::{ConfError, Problem, ProblemKind};
use super::process::{Place, ProcessConf, TypeConf};
use super::rename;
use super::rules;
use super::snapshots::SnapshotConf;
use crate::limits;
use crate::units::Bytes;
use std::fmt::Display;

impl ProcessConf {
    /// Checks every value by the rules of the ini. Opening a pool calls it first.
    ///
    /// # Errors
    ///
    /// Returns every problem, each with its section and key.
    ///
    /// # Examples
    ///
    /// ```
    /// use hotpool::conf::ProcessConf;
    /// use hotpool::units::{Bytes, Key};
    ///
    /// let conf = ProcessConf::new("zone", Key(0x4850_0100), Bytes(70_000), &[Key(0x4850_0101)]);
    /// let error = conf.validate().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "[zone] BlockSize: 70000 is not a multiple of 4096; the nearest are 68K and 72K"
    /// );
    /// ```
    pub fn validate(&self) -> Result<(), ConfError> {
        let mut found = Vec::new();
        self.check_values(&mut found);
        self.check_keys(&mut found);
        self.check_types(&mut found);
        found.extend(rename::check(&self.renames));
        ConfError::of(found).map_or(Ok(()), Err)
    }

    /// Returns the position of an ini key of the process, as far as it is known.
    fn place(&self, key: &str) -> Place {
        let places = &self.places;
        let known = [&places.base_key, &places.block_size, &places.shm_keys];
        let known = known.into_iter().find(|place| place.key == key);
        known.cloned().unwrap_or_else(|| Place { key: key.into(), ..places.section.clone() })
    }

    fn check_values(&self, found: &mut Vec<Problem>) {
        let mut rule = |key: &str, broken: Option<ProblemKind>| {
            found.extend(broken.map(|kind| problem(self.place(key), kind)));
        };
        rule("", rules::process_name(&self.name).err());
        rule("FormerName", self.former_name.as_ref().and_then(|name| rules::process_name(name).err()));
        let size = &self.block_size;
        rule("BlockSize", rules::whole_pages(Some(*size), &rules::BLOCK_SIZE, size).err());
        let undo = &self.undo_size;
        rule("UndoSize", rules::whole_pages(Some(*undo), &rules::UNDO_SIZE, undo).err());
        rule("Mode", rules::mode(self.mode, &format_args!("{:04o}", self.mode)).err());
        rule("OwnerWaitMs", range(self.owner_wait_ms, &rules::OWNER_WAIT_MS));
        // An empty path stands for an absent folder.
        let dir = (!self.dir.as_os_str().is_empty()).then_some(self.dir.as_path());
        rule("Dir", rules::dir(self.backend, dir).err());
        rule("HugePages", rules::memory(&self.memory, self.backend).err());
        rule("MaxCrashResumes", range(self.resume.max_crash_resumes, &rules::CRASH_RESUMES));
        rule("CrashWindowSec", range(self.resume.crash_window_sec, &rules::CRASH_WINDOW_SEC));
        rule("MustBeHot", rules::resume(&self.resume).err());
        let (snapshots, default) = (&self.snapshots, SnapshotConf::default());
        let setting = |is_set| rules::snapshot_setting(snapshots, is_set).err();
        rule("SnapshotDir", rules::snapshot_dir(&snapshots.dir).err());
        let every = range(snapshots.every_sec, &rules::SNAPSHOT_EVERY_SEC);
        rule("SnapshotEverySec", every.or_else(|| setting(snapshots.every_sec != default.every_sec)));
        let keep = range(snapshots.keep, &rules::SNAPSHOT_KEEP);
        rule("SnapshotKeep", keep.or_else(|| setting(snapshots.keep != default.keep)));
        rule("SnapshotOnClose", setting(snapshots.on_close != default.on_close));
        rule("OnMissing", setting(snapshots.on_missing != default.on_missing));
    }

    fn check_keys(&self, found: &mut Vec<Problem>) {
        let (base, blocks) = (self.place("BaseKey"), self.place("ShmKeys"));
        if let Err(kind) = rules::blocks(self.shm_keys.len()) {
            return found.push(problem(blocks, kind));
        }
        let uses =
            || std::iter::once((self.base_key, &base)).chain(self.shm_keys.iter().map(|key| (*key, &blocks)));
        found.extend(
            uses().filter_map(|(key, place)| Some(problem(place.clone(), rules::key(key, &key).err()?))),
        );
        let mut sorted: Vec<_> = uses().map(|(key, _)| key).collect();
        sorted.sort_unstable();
        if !sorted.is_sorted_by(|one, next| one < next) {
            let uses = uses().map(|(key, place)| KeyUse { key, place: place.clone(), column: 0 });
            found.extend(collisions(&uses.collect::<Vec<_>>()));
        }
    }

    fn check_types(&self, found: &mut Vec<Problem>) {
        if let Err(kind) = rules::types(self.types.len()) {
            return found.push(problem(self.places.section.clone(), kind));
        }
        // A block size that breaks a rule has a problem of its own, and is not compared with
        // objects.
        let block = Some(self.block_size).filter(|size| rules::BLOCK_SIZE.contains(size));
        found.extend(self.types.iter().filter_map(|of| Some(problem(of.place.clone(), broken(of, block)?))));
        let mut sorted: Vec<&TypeConf> = self.types.iter().collect();
        sorted.sort_by_key(|of| &of.name);
        for pair in sorted.windows(2) {
            if let [first, next] = pair
                && first.name == next.name
            {
                let kind = ProblemKind::RepeatedKey { first: first.place.clone() };
                found.push(problem(next.place.clone(), kind));
            }
        }
        if found.is_empty()
            && let Some(kind) = fits::total(&self.types, self.block_size, self.shm_keys.len())
        {
            found.push(problem(self.place("BlockSize"), kind));
        }
    }
}

fn problem(place: Place, kind: ProblemKind) -> Problem {
    Problem { place, column: 0, kind }
}

fn range<T: Ord + Display + Copy>(value: T, range: &std::ops::RangeInclusive<T>) -> Option<ProblemKind> {
    rules::within(Some(value), range, &value).err()
}

/// Returns the first rule that a type breaks.
fn broken(of: &TypeConf, block: Option<Bytes>) -> Option<ProblemKind> {
    let name = rules::name(&of.name, limits::MAX_TYPE_NAME).err();
    let capacity = || range(of.capacity, &rules::CAPACITY);
    let object = || {
        let size = rules::within(Some(Bytes(of.object_bytes?)), &rules::OBJECT_BYTES, &of.object_bytes?);
        size.and_then(|size| rules::object(size, block)).err()
    };
    name.or_else(capacity).or_else(object)
}
