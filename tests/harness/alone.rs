//! A PID namespace of the test, with a `/proc` of its own.
//!
//! Each start looks for rivals in `/proc`. Thousands of starts on a host with hundreds of processes
//! would spend most of their time there, and more on a busy host.

/// Continues as the first process of a new PID namespace. Without the right to do so the test goes
/// on where it is.
///
/// It must be called while this process has one thread. The calling process waits for the end of
/// the test and then ends with its exit code.
pub fn enter() {
    // SAFETY: integers only.
    if unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS) } != 0 {
        println!("this process may not make a PID namespace, so each start looks at all processes");
        return;
    }
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => mount_proc(),
        pid => {
            let mut status = 0;
            // SAFETY: waits for a child of this process, with a valid pointer for its status.
            while unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid {}
            let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 };
            std::process::exit(code)
        }
    }
}

fn mount_proc() {
    let (none, proc) = (c"none".as_ptr(), c"proc".as_ptr());
    let null = std::ptr::null();
    // SAFETY: integers only. The test ends when the process that waits for it is killed.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the strings are constants that end with a NUL.
    let kept = unsafe { libc::mount(none, c"/".as_ptr(), null, private, null.cast()) };
    // SAFETY: as above.
    let mounted = unsafe { libc::mount(proc, c"/proc".as_ptr(), proc, 0, null.cast()) };
    assert_eq!((kept, mounted), (0, 0), "mount: {}", std::io::Error::last_os_error());
}
