//! The threads that work for a pool, and the jobs that they are given.
//!
//! The threads are created when the first job is added, and sleep between two uses. The calling
//! thread does jobs as well: it waits only for jobs that another thread has begun. So a short use
//! need not wait until a thread wakes up.
//!
//! # What the unsafe code here relies on
//!
//! A job may borrow what lives for `'scope`, but the queue holds jobs of any lifetime.
//! [`Workers::with`] returns, or unwinds, only after each job of its batch has run: jobs are counted
//! before they are queued, and counted off after their closure and everything that it has captured
//! is dropped. Nothing in between runs code of the program outside of `catch_unwind`. A batch exists only inside
//! `with`, which no program can leave earlier. `'scope` is chosen by `with` and ends after that.
//!
//! A job returns after it was counted off, so its own call takes the closure as bytes that hold no references
//! (`tests/miri.rs`).
#![allow(unsafe_code)]

use crate::pool::par::protocol::Countdown;
use std::any::Any;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// How often a thread that waits for the last jobs looks again before it sleeps.
const SPINS: u32 = 2000;

/// The threads of a pool.
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    over: Condvar,
    /// How many threads there shall be.
    count: usize,
    threads: OnceLock<Threads>,
}

struct Threads {
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// The process that has created the threads: a forked child has none of them.
    pid: u32,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    stops: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the threads at the first call; fewer if the system allows no more.
    fn start(self: &Arc<Self>) {
        self.threads.get_or_init(|| {
            let named = |number| std::thread::Builder::new().name(format!("hotpool-{number}"));
            let handles = (0..self.count).map_while(|number| {
                let shared = Arc::clone(self);
                named(number).spawn(move || shared.work()).ok()
            });
            Threads { handles: Mutex::new(handles.collect()), pid: std::process::id() }
        });
    }

    /// Does jobs until the pool is dropped.
    fn work(&self) {
        let mut queue = self.queue();
        while !queue.stops {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = self.queue();
                continue;
            }
            queue.idle += 1;
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

impl Workers {
    /// Prepares for `count` threads.
    pub(crate) fn new(count: usize) -> Self {
        let (work, over, threads) = (Condvar::new(), Condvar::new(), OnceLock::new());
        Workers { shared: Arc::new(Shared { queue: Mutex::default(), work, over, count, threads }) }
    }

    /// Calls `f` with a batch to which it may add jobs, and returns when all of them are done.
    ///
    /// If a job panics, the panic continues here after all jobs are done.
    pub(crate) fn with<'env, S: ?Sized, R>(
        &self,
        state: &mut S,
        f: impl for<'scope> FnOnce(&'scope Batch<'scope, 'env>, &'scope mut S) -> R,
    ) -> R {
        let batch = Batch {
            shared: Arc::clone(&self.shared),
            state: Arc::new(BatchState { left: Countdown::new(), panic: Mutex::new(None) }),
            _scope: PhantomData,
            _env: PhantomData,
        };
        let jobs = Arc::clone(&batch.state);
        let result = catch_unwind(AssertUnwindSafe(|| f(&batch, state)));
        jobs.wait(&self.shared);
        let panic = jobs.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        // No job is left, so a panic in the drop of a payload does no harm.
        match (result, panic) {
            (Ok(result), None) => result,
            (Err(panic), _) | (_, Some(panic)) => resume_unwind(panic),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let Some(threads) = self.shared.threads.get() else { return };
        let mut handles = threads.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let handles = std::mem::take(&mut *handles);
        if std::process::id() != threads.pid {
            // A lock may be held by a thread that this child does not have.
            std::mem::forget(handles);
            return;
        }
        self.shared.queue().stops = true;
        self.shared.work.notify_all();
        for handle in handles {
            // A worker catches the panics of its jobs.
            let _ = handle.join();
        }
    }
}

/// Jobs that are done before the call that made them returns.
pub(crate) struct Batch<'scope, 'env> {
    shared: Arc<Shared>,
    state: Arc<BatchState>,
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

struct BatchState {
    left: Countdown,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl BatchState {
    /// Does the jobs that no thread has begun, then waits for the others.
    fn wait(&self, shared: &Shared) {
        while !self.left.is_over() {
            let Some(job) = shared.queue().jobs.pop_front() else { break };
            job();
        }
        for _ in 0..SPINS {
            if self.left.is_over() {
                return;
            }
            std::hint::spin_loop();
        }
        let mut queue = shared.queue();
        while !self.left.is_over() {
            queue = shared.over.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end_one(&self, shared: &Shared) {
        if self.left.end_one() {
            // The lock, so that a waiting thread is either before its look or asleep.
            drop(shared.queue());
            shared.over.notify_all();
        }
    }
}

impl<'scope> Batch<'scope, '_> {
    /// Adds a job.
    pub(crate) fn spawn(&'scope self, f: impl FnOnce() + Send + 'scope) {
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        // What `f` borrows may end as soon as the job is counted off, before its own call returns. So that call
        // takes no references.
        let f = MaybeUninit::new(f);
        let job: Box<dyn FnOnce() + Send + 'scope> = Box::new(move || {
            // SAFETY: it was just initialized, and a job runs once.
            let f = unsafe { f.assume_init_read() };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
                let mut first = state.panic.lock().unwrap_or_else(PoisonError::into_inner);
                match &*first {
                    None => *first = Some(panic),
                    // Its drop is code of the program, which could panic before the job is counted
                    // off.
                    Some(_) => std::mem::forget(panic),
                }
            }
            state.end_one(&shared);
        });
        // SAFETY: only the lifetime differs, and `with` waits for the job before it ends.
        let job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + 'scope>, Job>(job) };
        self.shared.start();
        self.state.left.add();
        let mut queue = self.shared.queue();
        queue.jobs.push_back(job);
        let wakes = queue.idle > 0;
        drop(queue);
        if wakes {
            self.shared.work.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Workers;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A panic whose payload panics when it is dropped.
    struct Again;

    impl Drop for Again {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "planted");
        }
    }

    #[test]
    fn a_panic_with_a_payload_that_panics_leaves_no_job_behind() {
        for threads in [0, 2] {
            let workers = Workers::new(threads);
            let done = AtomicU32::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                workers.with(&mut (), |batch, ()| {
                    for _ in 0..5 {
                        let done = &done;
                        batch.spawn(move || {
                            done.fetch_add(1, Ordering::Relaxed);
                            std::panic::resume_unwind(Box::new(Again));
                        });
                    }
                });
            }));
            assert_eq!(done.load(Ordering::Relaxed), 5);
            std::mem::forget(result.unwrap_err());
        }
    }

    #[test]
    fn every_job_is_done_when_the_call_returns_also_after_a_panic() {
        for threads in [0, 1, 3] {
            let workers = Workers::new(threads);
            for round in 0..200 {
                let done = AtomicU32::new(0);
                let result = catch_unwind(AssertUnwindSafe(|| {
                    workers.with(&mut (), |batch, ()| {
                        for job in 0..7 {
                            let done = &done;
                            batch.spawn(move || {
                                done.fetch_add(1, Ordering::Relaxed);
                                assert!(round % 10 != 3 || job != 2, "planted");
                            });
                        }
                    });
                }));
                assert_eq!(done.load(Ordering::Relaxed), 7);
                assert_eq!(result.is_err(), round % 10 == 3);
            }
        }
    }
}
