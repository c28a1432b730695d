//! The crash-loop breaker: is it the state that kills one owner after the other?

use crate::conf::{OnCrashLoop, ProcessConf};
use crate::pool::start::starts::{Now, Start};
use std::time::Duration;

/// Owners in a row that died before they were ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashLoop {
    /// How many.
    pub crashes: u32,
    /// Since the first of them attached.
    pub since: Duration,
    /// Until so few of them are in the window that they are none any more.
    pub passes_in: Duration,
    /// What was done about it.
    pub policy: OnCrashLoop,
}

/// Whether the starts that a pool has seen are a crash loop. The last one is over: who asks holds the lock.
///
/// Counted from the last start backwards, up to one that was ready or that is too long ago. Starts that left
/// in order are passed over: they say nothing of the state.
pub(crate) fn crash_loop(conf: &ProcessConf, starts: &[Start], now: Now) -> Option<CrashLoop> {
    let resume = &conf.resume;
    let window = Duration::from_secs(resume.crash_window_sec);
    let row = starts.iter().rev().take_while(|start| start.ready.is_none() && start.age(now) <= window);
    let crashed: Vec<Duration> = row.filter(|start| start.crashed()).map(|start| start.age(now)).collect();
    let crashes = crashed.len() as u32;
    let looping = resume.max_crash_resumes != 0 && crashes >= resume.max_crash_resumes;
    looping.then(|| CrashLoop {
        crashes,
        since: crashed.last().copied().unwrap_or_default(),
        passes_in: window.saturating_sub(crashed[resume.max_crash_resumes as usize - 1]),
        policy: resume.on_crash_loop,
    })
}
