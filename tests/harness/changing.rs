//! A filter of the kernel that stops a traced child only before system calls that may change
//! something.
//!
//! A start reads thousands of entries of `/proc`. A tracer that stops the child at each of those
//! calls takes seconds for one start; with the filter it takes milliseconds.

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog};

/// The calls that change nothing that another process can see.
const ONLY_LOOKS: [i64; 14] = [
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getrandom,
    libc::SYS_brk,
    libc::SYS_close,
];

/// Offset of the number of the call in what the filter sees.
const NUMBER: u32 = 0;
/// Offset of the lower half of the third argument.
const THIRD: u32 = 32;

/// Stops this process for its tracer before each later call that may change something.
pub fn stop_at_changes() {
    let pass = libc::SECCOMP_RET_ALLOW;
    let step = |code: u32, k: u32, jt: u8, jf: u8| sock_filter { code: code as u16, jt, jf, k };
    let mut program = vec![
        step(BPF_LD | BPF_W | BPF_ABS, NUMBER, 0, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, libc::SYS_openat as u32, 0, 4),
        step(BPF_LD | BPF_W | BPF_ABS, THIRD, 0, 0),
        step(BPF_JMP | BPF_JSET | BPF_K, libc::O_CREAT as u32, 0, 1),
        step(BPF_RET | BPF_K, libc::SECCOMP_RET_TRACE, 0, 0),
        step(BPF_RET | BPF_K, pass, 0, 0),
    ];
    for number in ONLY_LOOKS {
        program.push(step(BPF_JMP | BPF_JEQ | BPF_K, number as u32, 0, 1));
        program.push(step(BPF_RET | BPF_K, pass, 0, 0));
    }
    program.push(step(BPF_RET | BPF_K, libc::SECCOMP_RET_TRACE, 0, 0));
    let filter = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: integers only.
    let quiet = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the kernel copies the program, which outlives the call.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!((quiet, set), (0, 0), "seccomp: {}", std::io::Error::last_os_error());
}
