//! What a start does with a pool that keeps killing its owner, or that is not there.

use crate::limits;

/// What to do when owner after owner has died before it was ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCrashLoop {
    /// Refuse to start, and change nothing.
    #[default]
    Fail,
    /// Resume without the objects that were last worked on.
    Quarantine,
    /// Copy the pool to its post-mortem keys and start empty.
    Cold,
}

impl OnCrashLoop {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Fail, Self::Quarantine, Self::Cold];

    /// The word that stands for it in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Quarantine => "quarantine",
            Self::Cold => "cold",
        }
    }
}

/// What to do with objects that were being written when an owner died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTorn {
    /// Name them in the report.
    #[default]
    Report,
    /// Name them, and keep them out of reach.
    Quarantine,
}

impl OnTorn {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 2] = [Self::Report, Self::Quarantine];

    /// The word that stands for it in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Quarantine => "quarantine",
        }
    }
}

/// How a start treats what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeConf {
    /// So many owners in a row that died before they were ready are a crash loop; 0: nothing is.
    pub max_crash_resumes: u32,
    /// Only starts of the last so many seconds count.
    pub crash_window_sec: u64,
    /// What to do in a crash loop.
    pub on_crash_loop: OnCrashLoop,
    /// Whether a start that would be cold is refused.
    pub must_be_hot: bool,
    /// What to do with objects that were being written.
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
