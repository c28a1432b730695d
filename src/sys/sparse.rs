//! Data and holes of a file, its blocks, their way to the disk, and the free bytes of its file system.
//!
//! # What the unsafe code here relies on
//!
//! `lseek` takes an open descriptor and integers, and changes nothing but the position of that
//! descriptor. `posix_fallocate` takes the same and changes no byte that the file has, and so
//! does `sync_file_range`. `statvfs` reads a string that ends with a zero and fills a record of its own type, and
//! so does `fstatfs` for a descriptor; all of them outlive the call.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Returns the first offset at or after `from` that has data; `None` if a hole extends to the end.
///
/// A file system without holes reports everything as data.
pub(crate) fn next_bytes(file: &File, from: u64) -> io::Result<Option<u64>> {
    seek(file, from, libc::SEEK_DATA)
}

/// Returns the first offset at or after `from` that lies in a hole, or the end of the file.
pub(crate) fn next_hole(file: &File, from: u64) -> io::Result<Option<u64>> {
    seek(file, from, libc::SEEK_HOLE)
}

/// Gives a range of a file its blocks, and makes the file longer if it ends before the range does.
///
/// The file must be open for writing. A store into the range through a mapping then never lacks
/// memory or disk space, unless the file system copies on write.
pub(crate) fn reserve(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    let offset = |n: u64| libc::off_t::try_from(n).map_err(|_| io::ErrorKind::InvalidInput);
    let (from, bytes) = (offset(from)?, offset(bytes)?);
    loop {
        // SAFETY: an open descriptor and integers.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), from, bytes) } {
            0 => return Ok(()),
            libc::EINTR => {}
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Makes the disk begin to write a range of a file, and does not wait for it.
///
/// It is a hint: what it misses, and every error, is left to the `fsync` that follows.
#[cfg(feature = "snapshots")]
pub(crate) fn begin_write_back(file: &File, from: u64, bytes: u64) {
    // SAFETY: an open descriptor and integers.
    let _ = unsafe {
        libc::sync_file_range(file.as_raw_fd(), from as i64, bytes as i64, libc::SYNC_FILE_RANGE_WRITE)
    };
}

/// Returns the bytes that are free for this user on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a string that ends with a zero, and a record that the call fills.
    if unsafe { libc::statvfs(name.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the record was zeroed before the call filled it, and it consists of integers.
    let found = unsafe { found.assume_init() };
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether an open file lies on an overlay, whose mappings keep the file of the layer below.
pub(crate) fn is_on_overlay(file: &File) -> io::Result<bool> {
    let mut found = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: an open descriptor, and a record that the call fills.
    if unsafe { libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was zeroed before the call filled it, and it is made of integers.
    let found = unsafe { found.assume_init() };
    // Their type differs from one libc to the next.
    #[allow(clippy::unnecessary_cast)]
    Ok(found.f_type as i64 == libc::OVERLAYFS_SUPER_MAGIC as i64)
}

fn seek(file: &File, from: u64, whence: i32) -> io::Result<Option<u64>> {
    let from = i64::try_from(from).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: an open descriptor and integers.
    let found = unsafe { libc::lseek(file.as_raw_fd(), from, whence) };
    match u64::try_from(found) {
        Ok(at) => Ok(Some(at)),
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            error => Err(error),
        },
    }
}
