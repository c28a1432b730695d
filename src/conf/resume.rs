//! How a start treats crash loops, torn objects and missing pools.

use crate::limits;

/// The response to a crash loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCrashLoop {
    /// Refuses the start, and changes nothing.
    #[default]
    Fail,
    /// Resumes without the objects that were written last.
    Quarantine,
    /// Copies the pool to its post-mortem keys and begins an empty one.
    Cold,
}

impl OnCrashLoop {
    /// All values, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Fail, Self::Quarantine, Self::Cold];

    /// Returns the word for this value in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Quarantine => "quarantine",
            Self::Cold => "cold",
        }
    }
}

/// The response to torn objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTorn {
    /// Names them in the report.
    #[default]
    Report,
    /// Names them in the report, and puts them into quarantine.
    Quarantine,
}

impl OnTorn {
    /// All values, in the order in which they are documented.
    pub const ALL: [Self; 2] = [Self::Report, Self::Quarantine];

    /// Returns the word for this value in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Quarantine => "quarantine",
        }
    }
}

/// Settings for starts: crash loops, torn objects and missing pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeConf {
    /// Number of consecutive owners that died before `ready()` that is a crash loop; 0 turns the
    /// breaker off.
    pub max_crash_resumes: u32,
    /// Seconds of the window in which starts count.
    pub crash_window_sec: u64,
    /// Response to a crash loop.
    pub on_crash_loop: OnCrashLoop,
    /// Whether a start that would be cold is refused.
    pub must_be_hot: bool,
    /// Response to torn objects.
    pub on_torn: OnTorn,
}

impl Default for ResumeConf {
    fn default() -> Self {
        ResumeConf {
            max_crash_resumes: 0,
            crash_window_sec: limits::CRASH_WINDOW_SEC,
            on_crash_loop: OnCrashLoop::Fail,
            must_be_hot: false,
            on_torn: OnTorn::Report,
        }
    }
}
