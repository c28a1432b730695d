//! Replacing a token only if it is still the one that was read.

use crate::error::{StoreError, system};
use crate::place::Place;
use crate::token::{self, Token};
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the lock of a token in a folder is waited for. Its holder has it for milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A token as it was read, or that there was none.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) token: Option<Token>,
    bytes: Vec<u8>,
    version: Option<UpdateVersion>,
}

impl Seen {
    /// Reads the token of a process.
    pub(crate) async fn read(place: &Place, process: &str) -> Result<Seen, StoreError> {
        let name = token::name(process);
        let found = match place.objects.get(&place.key(&name)).await {
            Err(Error::NotFound { .. }) => return Ok(Seen { token: None, bytes: Vec::new(), version: None }),
            found => found.map_err(|error| place.failed("read", &name, error))?,
        };
        let (e_tag, version) = (found.meta.e_tag.clone(), found.meta.version.clone());
        let bytes = found.bytes().await.map_err(|error| place.failed("read", &name, error))?.to_vec();
        let token = Some(Token::decode(&bytes, place, process)?);
        Ok(Seen { token, bytes, version: Some(UpdateVersion { e_tag, version }) })
    }

    /// Stores `token` if the one that was read is still there; `None` if it is not.
    pub(crate) async fn replace(&self, place: &Place, token: &Token) -> Result<Option<Seen>, StoreError> {
        let name = token::name(&token.process);
        let _lock = place.folder.as_deref().map(|folder| lock(folder, &name)).transpose()?;
        let mode = match (&self.version, place.folder.is_some()) {
            // A folder has no conditional write but that of a new file; the lock makes up for it.
            (_, true) if Self::read(place, &token.process).await?.bytes != self.bytes => return Ok(None),
            (Some(_), true) => PutMode::Overwrite,
            (None, _) => PutMode::Create,
            (Some(version), false) => PutMode::Update(version.clone()),
        };
        let text = token.encode();
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = place.objects.put_opts(&place.key(&name), text.clone().into(), options).await;
        match put {
            Ok(put) => {
                let version = Some(UpdateVersion { e_tag: put.e_tag, version: put.version });
                Ok(Some(Seen { token: Some(token.clone()), bytes: text.into(), version }))
            }
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. }) => {
                Ok(None)
            }
            Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                Err(StoreError::Unconditional { url: place.url().into() })
            }
            Err(error) => Err(place.failed("write", &name, error)),
        }
    }
}

/// Takes the lock of a token in a folder, which ends with its holder.
fn lock(folder: &Path, name: &str) -> Result<File, StoreError> {
    let path = folder.join(format!(".{name}.lock"));
    fs::create_dir_all(folder).map_err(system("create", folder))?;
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(system("open", &path))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WAIT => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(system("lock", &path)(error.into())),
        }
    }
}
