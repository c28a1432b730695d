//! The crash-loop breaker: detects a state that kills one owner after another.

use crate::conf::{OnCrashLoop, ProcessConf};
use crate::pool::start::starts::{Now, Start};
use std::time::Duration;

/// Consecutive owners that died before they were ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashLoop {
    /// Number of such owners.
    pub crashes: u32,
    /// Time since the first of them attached.
    pub since: Duration,
    /// Time until enough of them have left the window that this is no crash loop any more.
    pub passes_in: Duration,
    /// Configured response.
    pub policy: OnCrashLoop,
}

/// Returns the crash loop that the ring of starts shows, if it shows one.
///
/// The last start is over, because the caller holds the owner lock. Starts are counted backwards,
/// until one that was ready or that is before the window. Starts that ended cleanly are skipped:
/// they tell nothing about the state.
pub(crate) fn crash_loop(conf: &ProcessConf, starts: &[Start], now: Now) -> Option<CrashLoop> {
    let resume = &conf.resume;
    let window = Duration::from_secs(resume.crash_window_sec);
    let row = starts.iter().rev().take_while(|start| start.ready.is_none() && start.age(now) <= window);
    let crashed: Vec<Duration> = row.filter(|start| start.crashed()).map(|start| start.age(now)).collect();
    let crashes = crashed.len() as u32;
    let one_too_many = crashed.get((resume.max_crash_resumes as usize).checked_sub(1)?)?;
    Some(CrashLoop {
        crashes,
        since: crashed.last().copied().unwrap_or_default(),
        passes_in: window.saturating_sub(*one_too_many),
        policy: resume.on_crash_loop,
    })
}
