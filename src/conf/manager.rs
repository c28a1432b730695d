//! `ConfMgr`: the processes of one ini.

use super::collide::{KeyUse, collisions};
use super::nearest::nearest;
use super::problem::{ConfError, Found, Problem, ProblemKind};
use super::process::{Place, ProcessConf};
use super::queue::QueueConf;
use super::read::read;
use crate::limits;
use crate::units::Bytes;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The validated processes of one ini, as plain data. It opens no segment.
///
/// ```
/// use hotpool::ConfMgr;
///
/// let text = "
///     [common]
///     ProcessList = zone
///
///     [zone]
///     BaseKey   = 0x48500100
///     BlockSize = 64M
///     ShmKeys   = 0x48500101, 0x48500102
///
///     [zone.types]
///     player = 5000 x 12K     ; set aside 5000, and check that one has 12 KiB
/// ";
/// let conf = ConfMgr::parse(text, "memorypool.ini")?;
/// let zone = conf.process("zone")?;
/// assert_eq!(zone.shm_keys.len(), 2);
/// assert_eq!(zone.type_conf("player").unwrap().capacity, 5000);
/// # Ok::<(), hotpool::conf::ConfError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfMgr {
    file: PathBuf,
    processes: Vec<ProcessConf>,
    queues: Vec<QueueConf>,
}

impl ConfMgr {
    /// Reads and validates an ini.
    ///
    /// # Errors
    ///
    /// Returns every problem of the ini, see [`ProblemKind`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfError> {
        let path = path.as_ref();
        Self::parse(&read_text(path)?, path)
    }

    /// Validates the text of an ini; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// Returns every problem of the text, see [`ProblemKind`].
    pub fn parse(text: &str, file: impl AsRef<Path>) -> Result<Self, ConfError> {
        let mut one = Self::parse_fleet([(text, file)])?;
        Ok(one.swap_remove(0))
    }

    /// Reads the inis of all processes that run on one host, in the order given.
    ///
    /// # Errors
    ///
    /// Returns every problem of any ini, and every segment key that two of them use.
    pub fn load_fleet(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Vec<Self>, ConfError> {
        let mut fleet = Fleet::default();
        let mut names: HashMap<PathBuf, PathBuf> = HashMap::new();
        for path in paths {
            let path = path.as_ref();
            // A path that cannot be resolved cannot be read either, which is reported below.
            let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            match names.get(&real) {
                Some(first) => {
                    let kind = ProblemKind::FileTwice { first: first.clone() };
                    fleet.refuse(path, whole(path, kind).into());
                }
                None => match read_text(path) {
                    Ok(text) => fleet.add(&text, path),
                    Err(error) => fleet.refuse(path, error),
                },
            }
            names.entry(real).or_insert_with(|| path.to_owned());
        }
        fleet.finish()
    }

    /// Validates the texts of several inis, each with its file name, like [`ConfMgr::load_fleet`].
    ///
    /// # Errors
    ///
    /// Returns every problem of any text, and every segment key that two of them use.
    pub fn parse_fleet<T, P>(files: impl IntoIterator<Item = (T, P)>) -> Result<Vec<Self>, ConfError>
    where
        T: AsRef<str>,
        P: AsRef<Path>,
    {
        let mut fleet = Fleet::default();
        for (text, file) in files {
            fleet.add(text.as_ref(), file.as_ref());
        }
        fleet.finish()
    }

    /// Returns the path or name under which the ini was read.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the processes in the order of `ProcessList`.
    pub fn processes(&self) -> &[ProcessConf] {
        &self.processes
    }

    /// Returns the process with this name.
    ///
    /// # Errors
    ///
    /// Fails if the ini has no such process; the error lists the processes that it has.
    pub fn process(&self, name: &str) -> Result<&ProcessConf, ConfError> {
        self.processes.iter().find(|process| process.name == name).ok_or_else(|| {
            let names = || self.processes.iter().map(|process| process.name.as_str());
            let kind = ProblemKind::NoSuchProcess {
                asked: Found::new(name),
                nearest: nearest(name, names()),
                names: names().map(str::to_owned).collect(),
            };
            whole(&self.file, kind).into()
        })
    }

    /// Returns the queues in the order of their sections.
    pub fn queues(&self) -> &[QueueConf] {
        &self.queues
    }

    /// Returns the queue of section `[queue.NAME]`.
    ///
    /// # Errors
    ///
    /// Fails if the ini has no queue of that name. The error lists those that it has.
    pub fn queue(&self, name: &str) -> Result<&QueueConf, ConfError> {
        self.queues.iter().find(|queue| queue.name == name).ok_or_else(|| {
            let names = || self.queues.iter().map(|queue| queue.name.as_str());
            let kind = ProblemKind::NoSuchQueue {
                asked: Found::new(name),
                nearest: nearest(name, names()),
                names: names().map(str::to_owned).collect(),
            };
            whole(&self.file, kind).into()
        })
    }
}

/// Several inis while they are being read.
#[derive(Default)]
struct Fleet {
    files: Vec<ConfMgr>,
    keys: Vec<KeyUse>,
    problems: Vec<Problem>,
    /// Files in the order given, which is the order of their problems.
    order: Vec<PathBuf>,
}

impl Fleet {
    fn add(&mut self, text: &str, file: &Path) {
        let draft = read(text, file);
        self.files.push(ConfMgr { file: file.to_owned(), processes: draft.processes, queues: draft.queues });
        self.keys.extend(draft.keys);
        self.problems.extend(draft.problems);
        self.order.push(file.to_owned());
    }

    /// Records a file that could not be read.
    fn refuse(&mut self, file: &Path, error: ConfError) {
        self.problems.extend(error.into_problems());
        self.order.push(file.to_owned());
    }

    fn finish(mut self) -> Result<Vec<ConfMgr>, ConfError> {
        let files = std::mem::take(&mut self.files);
        self.into_error().map_or(Ok(files), Err)
    }

    fn into_error(mut self) -> Option<ConfError> {
        self.problems.extend(collisions(&self.keys));
        let position = |file: &Path| self.order.iter().position(|other| other == file);
        self.problems.sort_by_cached_key(|p| (position(&p.place.file), p.place.line, p.column));
        ConfError::of(self.problems)
    }
}

/// Creates a problem with a file as a whole.
fn whole(file: &Path, kind: ProblemKind) -> Problem {
    Problem { place: Place { file: file.to_owned(), ..Place::default() }, column: 0, kind }
}

/// Reads the text of a file, up to the size limit of an ini, so that `/dev/zero` is an error too.
fn read_text(path: &Path) -> Result<String, ConfError> {
    let bytes = read_some(path)
        .map_err(|error| whole(path, ProblemKind::Unreadable { reason: error.to_string() }))?;
    if bytes.len() as u64 > limits::MAX_INI_BYTES {
        return Err(whole(path, ProblemKind::TooLarge { max: Bytes(limits::MAX_INI_BYTES) }).into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let last = sound.rsplit(|b| *b == b'\n').next().unwrap_or_default();
        let mut problem = whole(path, ProblemKind::NotUtf8);
        problem.place.line = 1 + sound.iter().filter(|b| **b == b'\n').count();
        problem.column = 1 + String::from_utf8_lossy(last).chars().count();
        problem.into()
    })
}

fn read_some(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a named pipe would wait for a writer. The pipe of `<(...)` has no path of its own, so
    // it passes.
    if fs::canonicalize(path).and_then(fs::metadata).is_ok_and(|found| is_pipe(&found)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a named pipe, not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::MAX_INI_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
fn is_pipe(found: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type())
}

/// Windows has its pipes in a folder of their own, where no ini is.
#[cfg(windows)]
fn is_pipe(_found: &fs::Metadata) -> bool {
    false
}
