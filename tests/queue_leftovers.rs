//! What a killed process or an operator leaves under the key of a queue, and what belongs to another
//! program there (G13).

mod messages;

use hotpool::conf::QueueKind;
use hotpool::queue::Sender;
use hotpool::sync::{OpenError, Part, RemoveError, parts, remove};
use hotpool::units::Key;
use messages::Queue;

fn queue() -> Queue {
    Queue::new(QueueKind::Channel, 3, &["a"], &["x"])
}

fn open(queue: &Queue) -> Result<Sender<[u8]>, OpenError> {
    Sender::open(&queue.conf, "a")
}

/// Creates a set of semaphores as another program would, with these values; `None` leaves one as it
/// was created.
fn foreign_set(key: Key, values: &[Option<i32>]) -> i32 {
    // SAFETY: integers only.
    let semid =
        unsafe { libc::semget(key.raw(), values.len() as i32, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert_ne!(semid, -1, "{}", std::io::Error::last_os_error());
    for (number, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        // SAFETY: SETVAL takes an int.
        assert_ne!(unsafe { libc::semctl(semid, number as i32, libc::SETVAL, *value) }, -1);
    }
    semid
}

fn values(semid: i32, count: usize) -> Vec<i32> {
    // SAFETY: GETVAL takes no argument.
    (0..count as i32).map(|number| unsafe { libc::semctl(semid, number, libc::GETVAL) }).collect()
}

/// Creates a segment with these bytes at its beginning, as another program would.
fn foreign_segment(key: Key, at: usize, bytes: &[u8]) -> *mut u8 {
    // SAFETY: integers only.
    let shmid = unsafe { libc::shmget(key.raw(), 8192, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert_ne!(shmid, -1, "{}", std::io::Error::last_os_error());
    // SAFETY: the kernel chooses a free address.
    let start = unsafe { libc::shmat(shmid, std::ptr::null(), 0) }.cast::<u8>();
    assert_ne!(start.addr(), usize::MAX, "{}", std::io::Error::last_os_error());
    // SAFETY: all of them are inside the segment, which no other process has.
    let all = unsafe { std::slice::from_raw_parts_mut(start, 8192) };
    all[at..at + bytes.len()].copy_from_slice(bytes);
    start
}

fn detach(start: *mut u8) {
    // SAFETY: the address came from `shmat`.
    unsafe { libc::shmdt(start.cast()) };
}

#[test]
fn semaphores_that_their_creator_did_not_mark_are_removed() {
    let queue = queue();
    foreign_set(queue.conf.key, &[None; 4]);
    assert_eq!(parts(queue.conf.key).unwrap().seats, Part::Unfinished);
    assert!(remove(queue.conf.key).unwrap());
    assert_eq!(parts(queue.conf.key).unwrap().seats, Part::Absent);
    assert!(!remove(queue.conf.key).unwrap());
}

#[test]
fn unmarked_semaphores_for_other_members_do_not_keep_the_queue_from_being_removed_and_created() {
    let queue = queue();
    foreign_set(queue.conf.key, &[None; 7]);
    assert!(matches!(open(&queue), Err(OpenError::Differs { .. })));
    assert!(remove(queue.conf.key).unwrap());
    open(&queue).unwrap();
}

#[test]
fn semaphores_without_a_segment_and_a_segment_without_semaphores_are_removed() {
    let queue = queue();
    drop(open(&queue).unwrap());
    // SAFETY: integers only.
    let shmid = unsafe { libc::shmget(queue.conf.key.raw(), 0, 0) };
    // SAFETY: IPC_RMID takes no buffer.
    assert_eq!(unsafe { libc::shmctl(shmid, libc::IPC_RMID, std::ptr::null_mut()) }, 0);
    let found = parts(queue.conf.key).unwrap();
    assert_eq!((found.segment, found.seats), (Part::Absent, Part::Whole));
    assert!(remove(queue.conf.key).unwrap());
    assert_eq!(parts(queue.conf.key).unwrap().seats, Part::Absent);

    drop(open(&queue).unwrap());
    queue.remove_semaphores();
    let found = parts(queue.conf.key).unwrap();
    assert_eq!((found.segment, found.seats), (Part::Whole, Part::Absent));
    assert!(remove(queue.conf.key).unwrap());
    assert_eq!(parts(queue.conf.key).unwrap().segment, Part::Absent);
}

#[test]
fn semaphores_of_another_program_are_never_touched() {
    let sets: [&[Option<i32>]; 4] = [
        &[Some(1), Some(0), Some(1), Some(0)],
        // Set to zero, so it is in use.
        &[Some(0), None, None, None],
        &[None, None, None, Some(7)],
        // Too few for a queue.
        &[None, None],
    ];
    for set in sets {
        let queue = queue();
        let semid = foreign_set(queue.conf.key, set);
        let before = values(semid, set.len());
        assert_eq!(parts(queue.conf.key).unwrap().seats, Part::Foreign, "{set:?}");
        assert!(!remove(queue.conf.key).unwrap(), "{set:?}");
        let error = open(&queue).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{set:?}: {error}");
        assert_eq!(values(semid, set.len()), before, "{set:?}");
    }
}

#[test]
fn a_segment_of_another_program_is_never_touched() {
    // The first one begins with zeros, like a segment whose creator was killed at once.
    for (at, bytes) in [(4096, &b"theirs"[..]), (0, &b"theirs"[..])] {
        let queue = queue();
        detach(foreign_segment(queue.conf.key, at, bytes));
        assert_eq!(parts(queue.conf.key).unwrap().segment, Part::Foreign);
        let error = remove(queue.conf.key).unwrap_err();
        assert!(matches!(error, RemoveError::Foreign { .. }), "{error}");
        let error = open(&queue).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert_eq!(parts(queue.conf.key).unwrap().segment, Part::Foreign);
    }
}

#[test]
fn a_blank_segment_is_removed_and_created_again() {
    let queue = queue();
    detach(foreign_segment(queue.conf.key, 0, &[]));
    assert_eq!(parts(queue.conf.key).unwrap().segment, Part::Unfinished);
    open(&queue).unwrap();
    assert_eq!(parts(queue.conf.key).unwrap().segment, Part::Whole);
}

#[test]
fn a_removal_waits_for_a_tool_that_reads_the_segment() {
    let queue = queue();
    drop(open(&queue).unwrap());
    // SAFETY: integers only.
    let shmid = unsafe { libc::shmget(queue.conf.key.raw(), 0, 0) };
    // SAFETY: the kernel chooses a free address; the mapping is only read.
    let start = unsafe { libc::shmat(shmid, std::ptr::null(), libc::SHM_RDONLY) }.addr();
    assert_ne!(start, usize::MAX, "{}", std::io::Error::last_os_error());
    let reader = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        detach(std::ptr::without_provenance_mut(start));
    });
    assert!(remove(queue.conf.key).unwrap());
    reader.join().unwrap();
    assert_eq!(parts(queue.conf.key).unwrap().seats, Part::Absent);
}
