//! Six ways in which a producer P and a consumer C exchange data, each with real processes. Each
//! process reads what the other one writes, and each death leaves the state that is checked.

mod messages;
mod skip;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{ProcessConf, QueueConf, QueueKind};
use hotpool::object::Schema;
use hotpool::queue::{Receiver, Sender};
use hotpool::sync::{End, Event, LockConf, Mutex, Watch, WatchError};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject, StartMode};
use messages::OwnKey;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
const ROLE: &str = "HOTPOOL_TEST_MEETINGS";
const KEYS: &str = "HOTPOOL_TEST_MEETINGS_KEYS";

/// What P and C share: the memory that both write, an event for each, and the two queues.
struct Place {
    keys: [Key; 7],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, Schema)]
struct Note {
    text: [u8; 32],
    bytes: [u8; 32],
    number: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, PoolObject)]
#[pool(id = 7, keyed)]
struct Task {
    number: u64,
    result: u64,
}

fn text(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

impl Place {
    fn lock(&self, number: usize) -> LockConf {
        LockConf { wait_ms: 10_000, ..LockConf::new(self.keys[number], ["p", "c"]) }
    }

    fn memory(&self, me: &str) -> Mutex<Note> {
        Mutex::open(&self.lock(0), me).unwrap()
    }

    /// Opens event `number`, 1 or 2.
    fn event(&self, number: usize, me: &str) -> Event {
        Event::open(&self.lock(number), me).unwrap()
    }

    fn queue(&self, number: usize, writer: &str, reader: &str) -> QueueConf {
        let key = self.keys[number];
        let mut conf = QueueConf::new("test", key, QueueKind::Channel, 4, Bytes(64));
        (conf.writers, conf.readers, conf.wait_ms) = (vec![writer.into()], vec![reader.into()], 10_000);
        conf
    }

    /// Returns the configuration of the queue from P to C.
    fn tasks(&self) -> QueueConf {
        self.queue(3, "p", "c")
    }

    /// Returns the configuration of the queue from C to P.
    fn answers(&self) -> QueueConf {
        self.queue(4, "c", "p")
    }

    fn pool(&self) -> MemoryPoolMgr {
        let mut conf = ProcessConf::new("p", self.keys[5], Bytes(1 << 20), &[self.keys[6]]);
        conf.owner_wait_ms = 10_000;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Task>().unwrap();
        pool.ready().unwrap();
        pool
    }
}

/// A place that belongs to one test, removed after it.
struct Meeting {
    place: Place,
    _keys: Vec<OwnKey>,
}

/// A process and all its children, killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SAFETY: integers only; its group has its pid, which is not reused before the `wait`.
        unsafe { libc::kill(-(self.0.id() as i32), libc::SIGKILL) };
        let _ = self.0.wait();
    }
}

impl Meeting {
    fn new() -> Self {
        let keys: Vec<OwnKey> = (0..7).map(|_| OwnKey::take()).collect();
        Meeting { place: Place { keys: std::array::from_fn(|n| keys[n].0) }, _keys: keys }
    }

    /// Returns the command for a process that plays `role`, run `under` another program if one is
    /// named.
    fn command(&self, role: &str, under: &[&str]) -> Command {
        let keys = self.place.keys.map(|key| key.0.to_string()).join(" ");
        let program = std::env::current_exe().unwrap();
        let mut command = match under {
            [] => Command::new(program),
            [first, others @ ..] => {
                let mut command = Command::new(first);
                command.args(others).arg(program);
                command
            }
        };
        command.args(["--exact", "a_process", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role).env(KEYS, keys).env("RUST_BACKTRACE", "0").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, role: &str) -> Running {
        Running(self.command(role, &[]).spawn().unwrap())
    }

    /// Runs a process until it ends cleanly; returns its output.
    #[track_caller]
    fn run(&self, role: &str) -> String {
        let Output { status, stdout, stderr } = self.command(role, &[]).output().unwrap();
        assert!(status.success(), "{role}: {status}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }
}

impl Running {
    /// Kills this process alone; its children continue.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        assert_eq!(self.0.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[track_caller]
    fn ends_well(&mut self) {
        let status = self.0.wait().unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.0.stderr.take().unwrap(), &mut said).unwrap();
        assert!(status.success(), "{status}: {said}");
    }
}

/// Plays the part of another process, if this test program was run as one.
#[test]
fn a_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let keys: Vec<Key> =
        std::env::var(KEYS).unwrap().split(' ').map(|key| Key(key.parse().unwrap())).collect();
    let place = Place { keys: keys.try_into().unwrap() };
    match role.split_once(' ').unwrap_or((&role, "")) {
        ("overwrite", _) => overwrite(&place),
        ("answer", _) => answer(&place),
        ("progress", _) => progress(&place),
        ("die", how) => die(&place, how),
        ("post", _) => post(&place),
        ("finish", _) => finish_alone(&place),
        ("collect", _) => collect(&place),
        ("work", when) => work(&place, when),
        (other, _) => panic!("{other}?"),
    }
}

// 1. P writes, launches C and waits; C reads and overwrites.

fn overwrite(place: &Place) {
    let memory = place.memory("c");
    let mut note = memory.lock().unwrap();
    assert_eq!((note.text, note.bytes, note.number), (text("north"), [7; 32], 1));
    *note = Note { text: text("south"), bytes: [9; 32], number: note.number + 1 };
}

#[test]
fn p_finds_what_c_wrote_over_its_memory() {
    let meeting = Meeting::new();
    let memory = meeting.place.memory("p");
    *memory.lock().unwrap() = Note { text: text("north"), bytes: [7; 32], number: 1 };
    meeting.run("overwrite");
    assert_eq!(*memory.lock().unwrap(), Note { text: text("south"), bytes: [9; 32], number: 2 });
}

// 2. C answers in new memory of P.

fn answer(place: &Place) {
    let mut tasks: Receiver<[u8]> = Receiver::open(&place.tasks(), "c").unwrap();
    let mut answers: Sender<[u8]> = Sender::open(&place.answers(), "c").unwrap();
    let view = tasks.recv_ref().unwrap();
    let mut loan = answers.loan(view.len() + 1).unwrap();
    let (last, others) = loan.bytes().split_last_mut().unwrap();
    others.copy_from_slice(&view);
    others.reverse();
    *last = b'!';
    println!("answered as {}", loan.commit().unwrap());
    tasks.ack();
}

#[test]
fn p_reads_in_place_what_c_wrote_in_new_memory() {
    let meeting = Meeting::new();
    let mut tasks: Sender<[u8]> = Sender::open(&meeting.place.tasks(), "p").unwrap();
    let mut answers: Receiver<[u8]> = Receiver::open(&meeting.place.answers(), "p").unwrap();
    tasks.send(b"north").unwrap();
    assert!(meeting.run("answer").contains("answered as 0"));
    let view = answers.recv_ref().unwrap();
    assert_eq!((&*view, view.meta.id), (&b"htron!"[..], 0));
    // The answer becomes an object of P's pool, where its handle resolves.
    let mut pool = meeting.place.pool();
    let task = Task { number: 1, result: view.len() as u64 };
    let id = pool.alloc_keyed(1, task).unwrap();
    assert_eq!(pool.get(id), Some(&task));
    pool.destroy().unwrap();
}

// 3. P launches C and continues; C reports its progress and its end.

fn progress(place: &Place) {
    let (memory, event) = (place.memory("c"), place.event(1, "c"));
    for part in 0..=10 {
        memory.lock().unwrap().number = part * 10;
        event.set();
    }
    place.event(2, "c").set();
}

#[test]
fn p_sees_the_progress_of_c_and_then_its_end() {
    let meeting = Meeting::new();
    let memory = meeting.place.memory("p");
    let [progress, end] = [1, 2].map(|number| meeting.place.event(number, "p"));
    let mut c = meeting.start("progress");
    let (mut told, mut seen) = (0, Vec::new());
    while told < 11 {
        told += match progress.wait_timeout(LONG) {
            0 => panic!("C does not go on after {seen:?}"),
            times => times,
        };
        seen.push(memory.lock().unwrap().number);
    }
    assert!(seen.is_sorted() && seen.last() == Some(&100), "{seen:?}");
    assert_eq!(end.wait_timeout(LONG), 1);
    c.ends_well();
}

// 4. C dies, and P learns the cause.

const DEATHS: [(&str, End); 4] = [
    ("exit", End::Exited(3)),
    ("panic", End::Panicked),
    ("fault", End::Killed(libc::SIGSEGV)),
    ("kill", End::Killed(libc::SIGKILL)),
];

fn nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it fills a timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn die(place: &Place, how: &str) {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: sets a limit of this process: no core dump.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    let mut tasks: Receiver<u64> = Receiver::open(&place.tasks(), "c").unwrap();
    // SAFETY: the kernel chooses a free address.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    place.event(1, "c").set();
    tasks.recv_timeout(LONG).unwrap();
    place.memory("c").lock().unwrap().number = nanos();
    match how {
        "exit" => std::process::exit(3),
        "panic" => panic!("on purpose"),
        // SAFETY: a page of its own that is not readable: the read ends the process.
        "fault" => unsafe { page.cast::<u8>().read_volatile().into() },
        // SAFETY: integers only.
        _ => unsafe { libc::raise(libc::SIGKILL) },
    };
}

/// Gives this thread and its children priority on a busy machine, if the system allows it.
fn go_first() {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: passes a parameter of this frame.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const first) };
}

/// Launches a C and lets it die; returns the cause, and the time until P learned of it.
fn death_of_c(how: &str, under: &[&str]) -> (End, Duration) {
    let meeting = Meeting::new();
    let (memory, here) = (meeting.place.memory("p"), meeting.place.event(1, "p"));
    let mut tasks: Sender<u64> = Sender::open(&meeting.place.tasks(), "p").unwrap();
    let absent = Watch::open(meeting.place.tasks().key, "c").unwrap_err();
    assert!(matches!(absent, WatchError::Absent { .. }), "{absent}");
    let _c = Running(meeting.command(&format!("die {how}"), under).spawn().unwrap());
    assert_eq!(here.wait_timeout(LONG), 1);
    let watch = Watch::open(meeting.place.tasks().key, "c").unwrap();
    assert_eq!(watch.wait_for_end(Duration::ZERO).unwrap(), None);
    tasks.send(&1).unwrap();
    let end = watch.wait_for_end(LONG).unwrap();
    let known = nanos();
    let died = memory.lock().unwrap().number;
    (end.expect("C did not die"), Duration::from_nanos(known - died))
}

fn p_learns_of_it(under: &[&str]) {
    go_first();
    for (how, why) in DEATHS {
        // Half of the rounds have to be in time: the machine may be busy.
        let mut times = Vec::new();
        for round in 1..=60 {
            let (end, took) = death_of_c(how, under);
            assert_eq!(end, why, "{how} under {under:?}");
            times.push(took);
            times.sort();
            if round >= 5 && times[round / 2] < Duration::from_millis(5) {
                break;
            }
        }
        let median = times[times.len() / 2];
        println!("{how} under {under:?}: {median:?} of {}", times.len());
        assert!(median < Duration::from_millis(5), "{how} under {under:?}: {times:?}");
    }
}

#[test]
fn p_learns_within_5_ms_that_its_child_c_died_and_why() {
    p_learns_of_it(&[]);
}

#[test]
fn p_learns_within_5_ms_that_c_died_and_why_if_c_is_not_its_child() {
    // The shell does not wait for C, so C stays a zombie.
    p_learns_of_it(&["sh", "-c", "\"$0\" \"$@\" & exec sleep 100"]);
}

#[test]
fn p_learns_why_c_died_if_its_parent_has_already_waited_for_it() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(6), Some(15)) {
        return skip::skipped("kernels before 6.15 forget the exit code with the process");
    }
    p_learns_of_it(&["sh", "-c", "\"$0\" \"$@\" & wait; exec sleep 100"]);
}

#[test]
fn a_stopped_c_is_not_dead_and_one_that_leaves_is_not_killed() {
    let meeting = Meeting::new();
    let here = meeting.place.event(1, "p");
    let mut tasks: Sender<u64> = Sender::open(&meeting.place.tasks(), "p").unwrap();
    let c = meeting.start("die panic");
    assert_eq!(here.wait_timeout(LONG), 1);
    let watch = Watch::open(meeting.place.tasks().key, "c").unwrap();
    let pid = c.0.id() as i32;
    assert_eq!(watch.process().pid, pid);
    // SAFETY: a child that is not reaped, and a word for its status.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
    let mut status = 0;
    // SAFETY: as above.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) }, pid);
    tasks.send(&1).unwrap();
    assert_eq!(watch.wait_for_end(Duration::from_millis(300)).unwrap(), None);
    // SAFETY: as above.
    unsafe { libc::kill(pid, libc::SIGCONT) };
    assert_eq!(watch.wait_for_end(LONG).unwrap(), Some(End::Panicked));
    // A seat with a new process no longer belongs to an earlier one.
    let next: Receiver<u64> = Receiver::open(&meeting.place.tasks(), "c").unwrap();
    assert!(watch.wait_for_end(Duration::ZERO).unwrap().is_some());
    let watch = Watch::open(meeting.place.tasks().key, "c").unwrap();
    drop(next);
    assert_eq!(watch.wait_for_end(Duration::ZERO).unwrap(), Some(End::Left));
}

// 5. P dies after C has arrived; C finishes, and the next P reads the result.

/// Runs P: it stores the task in its pool, sends it, launches C, and is killed.
#[allow(clippy::zombie_processes, reason = "C outlives this process, which the test kills")]
fn post(place: &Place) {
    let mut pool = place.pool();
    pool.alloc_keyed(1, Task { number: 6, result: 0 }).unwrap();
    let mut tasks: Sender<u64> = Sender::open(&place.tasks(), "p").unwrap();
    tasks.send(&6).unwrap();
    let here = place.event(2, "p");
    let mut c = Command::new(std::env::current_exe().unwrap());
    c.args(["--exact", "a_process", "--nocapture", "--test-threads=1"]).env(ROLE, "finish");
    // The test kills this process before it could wait.
    #[allow(clippy::zombie_processes)]
    let _c = c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(here.wait_timeout(LONG), 1);
    // C has arrived: the test may kill this process.
    println!("@posted");
    std::thread::sleep(LONG);
}

/// Runs C: it begins when P is dead.
fn finish_alone(place: &Place) {
    let mut tasks: Receiver<u64> = Receiver::open(&place.tasks(), "c").unwrap();
    let mut answers: Sender<u64> = Sender::open(&place.answers(), "c").unwrap();
    let watch = Watch::open(place.tasks().key, "p").unwrap();
    let number = tasks.recv().unwrap().value;
    place.event(2, "c").set();
    assert_eq!(watch.wait_for_end(LONG).unwrap(), Some(End::Killed(libc::SIGKILL)));
    answers.send(&(number * 7)).unwrap();
    tasks.ack();
}

/// Runs the next P: it finds its task and the result.
fn collect(place: &Place) {
    let mut pool = place.pool();
    assert_eq!(pool.start_mode(), StartMode::Resume);
    let mut answers: Receiver<u64> = Receiver::open(&place.answers(), "p").unwrap();
    let answer = answers.recv_timeout(LONG).unwrap();
    let mut task = pool.get_mut_by_key::<Task>(1).unwrap();
    task.result = answer.value;
    println!("@{} gives {}", task.number, task.result);
    drop(task);
    answers.ack();
    pool.destroy().unwrap();
}

fn until_said(running: &mut Running, what: &str) {
    use std::io::BufRead;
    let output = std::io::BufReader::new(running.0.stdout.take().unwrap());
    let said: Vec<String> =
        output.lines().map_while(Result::ok).take_while(|line| !line.contains(what)).collect();
    if running.0.try_wait().unwrap().is_some() {
        let mut error = String::new();
        std::io::Read::read_to_string(&mut running.0.stderr.take().unwrap(), &mut error).unwrap();
        panic!("it ended, and said {said:?}, {error}");
    }
}

#[test]
fn c_finishes_what_a_dead_p_began_and_the_next_p_sees_the_result() {
    let meeting = Meeting::new();
    let mut p = meeting.start("post");
    until_said(&mut p, "@posted");
    p.kill();
    assert!(meeting.run("collect").contains("@6 gives 42"));
}

// 6. Both live: P posts tasks, and C does them.

/// Runs C: it answers each task once, and is killed at a moment that the test chooses.
fn work(place: &Place, when: &str) {
    let mut tasks: Receiver<u64> = Receiver::open(&place.tasks(), "c").unwrap();
    let mut answers: Sender<u64> = Sender::open(&place.answers(), "c").unwrap();
    let half_way = place.event(1, "c");
    let stop = |at: &str| {
        if when == at {
            half_way.set();
            std::thread::sleep(LONG);
        }
    };
    loop {
        let task = tasks.recv_timeout(LONG).unwrap();
        println!("@got {} {}", task.value, task.meta.redelivered);
        stop("before");
        // Each task has one answer, so the number of answers shows whether a predecessor gave this
        // one.
        if answers.sent() == task.meta.id {
            answers.send(&(task.value * 7)).unwrap();
        }
        stop("after");
        tasks.ack();
        if task.value == 0 {
            return;
        }
    }
}

#[test]
fn p_learns_that_c_has_done_the_task() {
    let meeting = Meeting::new();
    let mut tasks: Sender<u64> = Sender::open(&meeting.place.tasks(), "p").unwrap();
    let mut answers: Receiver<u64> = Receiver::open(&meeting.place.answers(), "p").unwrap();
    let mut c = meeting.start("work");
    for task in (1..=20).rev().chain([0]) {
        tasks.send(&task).unwrap();
        let answer = answers.recv_timeout(LONG).unwrap();
        assert_eq!((answer.value, answer.meta.clock), (task * 7, tasks.sent()));
    }
    c.ends_well();
}

#[test]
fn a_task_of_a_killed_c_is_given_to_the_next_one_and_answered_once() {
    for when in ["before", "after"] {
        let meeting = Meeting::new();
        let half_way = meeting.place.event(1, "p");
        let mut tasks: Sender<u64> = Sender::open(&meeting.place.tasks(), "p").unwrap();
        let mut answers: Receiver<u64> = Receiver::open(&meeting.place.answers(), "p").unwrap();
        let mut c = meeting.start(&format!("work {when}"));
        tasks.send(&6).unwrap();
        assert_eq!(half_way.wait_timeout(LONG), 1);
        c.kill();
        tasks.send(&0).unwrap();
        let said = meeting.run("work");
        assert!(said.contains("@got 6 true") && said.contains("@got 0 false"), "{when}: {said}");
        for wanted in [42, 0] {
            assert_eq!(answers.try_recv().unwrap().value, wanted, "{when}");
        }
        assert!(answers.try_recv().is_err(), "{when}: answered twice");
    }
}

#[test]
fn the_result_waits_for_a_killed_p() {
    let meeting = Meeting::new();
    let mut p = meeting.start("post");
    until_said(&mut p, "@posted");
    let began = Instant::now();
    let answers = Watch::open(meeting.place.answers().key, "c").unwrap();
    p.kill();
    // C answers and ends long before the next P runs.
    assert_eq!(answers.wait_for_end(LONG).unwrap(), Some(End::Left));
    println!("C ended {:?} after P", began.elapsed());
    assert!(meeting.run("collect").contains("@6 gives 42"));
}
