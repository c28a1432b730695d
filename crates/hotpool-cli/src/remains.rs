//! What the segment and the semaphores of a queue say before anyone reads its messages.

use crate::exit::Exit;
use hotpool::sync::{Part, Parts};

/// What is under the key of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remains {
    /// Nothing.
    Absent,
    /// Both parts.
    Whole,
    /// What a killed process left. The next open completes it.
    Unfinished(&'static str),
    /// A queue without its semaphores.
    Half(&'static str),
    /// Something else.
    Foreign(&'static str),
}

impl Remains {
    /// `is_queue` tells whether the segment is that of a queue, if it is whole.
    pub(crate) fn of(parts: Parts, is_queue: bool) -> Remains {
        match (parts.segment, parts.seats) {
            (Part::Foreign, _) => Remains::Foreign("the key has a segment of another kind"),
            (Part::Whole, _) if !is_queue => Remains::Foreign("the key has a lock"),
            (_, Part::Foreign) => Remains::Foreign("the key has semaphores of another kind"),
            (Part::Absent, Part::Absent) => Remains::Absent,
            (Part::Whole, Part::Whole) => Remains::Whole,
            (Part::Whole, _) => Remains::Half(
                "its semaphores were removed; the next open creates them when no process has the queue attached",
            ),
            (Part::Absent, _) => {
                Remains::Unfinished("it has semaphores and no segment; the next open creates that")
            }
            (Part::Unfinished, _) => Remains::Unfinished(
                "its creator has not filled the segment; if it was killed, the next open does",
            ),
        }
    }

    /// Returns the state in one word, if it is not that of the messages.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Remains::Whole => None,
            Remains::Absent => Some("absent"),
            Remains::Unfinished(_) => Some("unfinished"),
            Remains::Half(_) => Some("half"),
            Remains::Foreign(_) => Some("foreign"),
        }
    }

    pub(crate) fn why(self) -> &'static str {
        match self {
            Remains::Whole => "",
            Remains::Absent => "no process has created it yet",
            Remains::Unfinished(why) | Remains::Half(why) | Remains::Foreign(why) => why,
        }
    }

    /// Returns the exit code of a check. A queue that no process has created yet is no problem.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Remains::Absent | Remains::Whole => Exit::Ok,
            Remains::Unfinished(_) | Remains::Half(_) => Exit::Warnings,
            Remains::Foreign(_) => Exit::Refused,
        }
    }
}
