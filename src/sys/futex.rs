//! Sleeping until a word of shared memory changes.
//!
//! # What the unsafe code here relies on
//!
//! `futex` takes the address of a word and a timespec of this file's own frame. The borrow keeps
//! the word mapped during the call. The kernel reads the word and writes nothing.
#![allow(unsafe_code)]

use crate::word::SharedHalf;
use std::time::Duration;

/// Sleeps while the word has this value, up to `most`; returns whether it slept that long. It may
/// return early.
pub(crate) fn wait(word: &SharedHalf, value: u32, most: Duration) -> bool {
    let most = libc::timespec {
        tv_sec: most.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: most.subsec_nanos().into(),
    };
    // SAFETY: see the top of this file. The timeout is relative, and the kernel measures it by the
    // monotonic clock.
    let answer =
        unsafe { libc::syscall(libc::SYS_futex, word.address(), libc::FUTEX_WAIT, value, &raw const most) };
    answer == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT)
}

/// Wakes up to `most` sleepers.
pub(crate) fn wake(word: &SharedHalf, most: i32) {
    // SAFETY: see the top of this file.
    unsafe { libc::syscall(libc::SYS_futex, word.address(), libc::FUTEX_WAKE, most) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word::Word;

    #[test]
    fn a_sleep_ends_with_its_time_or_at_once_if_the_word_differs() {
        let memory = [Word::new(7)];
        // SAFETY: a word of 8 bytes is two of 4, with the same validity; nothing else uses it.
        let word = unsafe { &*memory.as_ptr().cast::<SharedHalf>() };
        assert!(!wait(word, 8, Duration::from_secs(60)));
        assert!(wait(word, 7, Duration::from_millis(1)));
        wake(word, 1);
    }
}
