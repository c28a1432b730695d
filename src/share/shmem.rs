//! Answers of the crate `shared_memory`, as this one wants them.

use shared_memory::{Shmem, ShmemError};
use std::io;

/// Keeps the crate from removing the memory when its creator drops it.
pub(super) fn kept(answer: Result<Shmem, ShmemError>) -> io::Result<Shmem> {
    match answer {
        Ok(mut map) => {
            map.set_owner(false);
            Ok(map)
        }
        Err(ShmemError::MappingIdExists) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(
            ShmemError::MapCreateFailed(code)
            | ShmemError::MapOpenFailed(code)
            | ShmemError::UnknownOsError(code),
        ) => Err(io::Error::from_raw_os_error(code as i32)),
        Err(other) => Err(io::Error::other(other)),
    }
}
