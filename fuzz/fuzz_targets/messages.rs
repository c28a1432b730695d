//! Opens damaged locks and queues, and works with them while their bytes change further.
#![no_main]

#[path = "../../tests/messages/damage.rs"]
mod damage;

use damage::{ALL, Image};
use hotpool::units::Key;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// The first bits of the keys; the low 16 bits of the process number and `IMAGE_BITS` follow.
const KEYS: u32 = 0x7da0_0000;
/// Bits of a key that number the images of a process.
const IMAGE_BITS: u32 = 4;
const _: () = assert!(ALL.len() <= 1 << IMAGE_BITS && KEYS.trailing_zeros() >= 16 + IMAGE_BITS);

static IMAGES: LazyLock<Vec<Image>> = LazyLock::new(|| {
    sweep();
    // SAFETY: the function takes nothing and leaves nothing undone.
    unsafe { libc::atexit(remove) };
    let first = KEYS | (std::process::id() & 0xffff) << IMAGE_BITS;
    ALL.iter().enumerate().map(|(n, kind)| Image::make(*kind, Key(first | n as u32))).collect()
});

extern "C" fn remove() {
    IMAGES.iter().for_each(Image::remove);
}

/// Removes what runs left that crashed: segments and sets under keys of processes that are gone.
fn sweep() {
    for (table, is_segment) in [("/proc/sysvipc/shm", true), ("/proc/sysvipc/sem", false)] {
        for line in std::fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let mut fields = line.split_ascii_whitespace().filter_map(|field| field.parse::<i64>().ok());
            let (Some(key), Some(id)) = (fields.next(), fields.next()) else { continue };
            let (key, id) = (key as u32, id as i32);
            let pid = key >> IMAGE_BITS & 0xffff;
            let is_ours = key >> (16 + IMAGE_BITS) == KEYS >> (16 + IMAGE_BITS);
            if !is_ours || std::path::Path::new(&format!("/proc/{pid}")).exists() {
                continue;
            }
            match is_segment {
                // SAFETY: IPC_RMID takes no buffer.
                true => unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) },
                // SAFETY: IPC_RMID takes no argument.
                false => unsafe { libc::semctl(id, 0, libc::IPC_RMID) },
            };
        }
    }
}

fuzz_target!(|input: &[u8]| damage::run(&IMAGES.iter().collect::<Vec<_>>(), input));
