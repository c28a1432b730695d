//! The rules for the bytes of a segment, each with the text for bytes that break it.

use std::fmt;

/// Defines [`Broken`] from the list of all rules.
macro_rules! rules {
    ($($rule:ident: $text:literal,)*) => {
        /// A rule that the bytes of a segment break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Broken {
            $($rule,)*
        }

        impl Broken {
            /// Returns what is wrong.
            #[cold]
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Broken::$rule => $text,)*
                }
            }
        }

        #[cfg(test)]
        const ALL: &[Broken] = &[$(Broken::$rule,)*];
    };
}

rules! {
    // The undo log, as a start finds it.
    LogOutside: "its undo log lies outside the segment",
    LogTooLong: "its undo log is longer than its lane",
    LogInvalid: "its undo log is invalid",
    LogObject: "its undo log names no object",
    LogType: "its undo log names a type that it does not have",
    LogSize: "its undo log has another size than the type",
    LogSlot: "its undo log names a slot that does not exist",
    LogReader: "its undo log names a reader that does not exist",

    // The undo log, as `hotpool verify` finds it.
    LogCut: "the undo log is truncated",
    RecordCut: "a record of the undo log is truncated",
    RecordKind: "a record of the undo log has an unknown kind",
    RecordLength: "a record of the undo log is longer than the log",
    RecordReader: "a record of the undo log names no reader",
    RecordObject: "a record of the undo log names no object",
    RecordSize: "a record of the undo log does not have the size of its object",

    // The index of a keyed type.
    NoGroup: "the index has no group for this key",
    NoEntry: "no index entry leads from this key to the object",
    SecondGroup: "its entry is in its second group, but its first group counts no such entry",

    // A lock or queue.
    SegmentLength: "it is too short",
    Head: "its head",
    SegmentSizes: "its sizes",
    ValueOutside: "its value lies outside",

    // The records of a queue.
    NoWriter: "a writer is not there",
    NoPlace: "a place is not there",
    NoChunk: "a chunk is not there",
    PlaceChunk: "a place names a chunk that is not there",
    MessageWriter: "a message is of a writer that is not there",
    MessageChunk: "a message replaces a chunk that is not there",
    NoReader: "a reader is not there",
    NoClaim: "a claim is not there",
    Lap: "a place is in a lap that cannot be",
    EarlierLap: "a place went back to an earlier lap",
    MessageNumber: "a message does not have the number of its place",
    MessageLength: "a message has another length",
    HeldMessage: "a message that a consumer has is not there",
    HeldByOther: "another consumer has the message of this one",
    Read: "a reader has read more messages than there can be",
    ReadUnsent: "a reader has read more messages than there are",
    Messages: "more messages were sent than there can be",
    Sent: "a writer has sent more messages than there can be",
}

impl From<Broken> for &'static str {
    fn from(broken: Broken) -> Self {
        broken.as_str()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_rule_has_a_text_of_its_own() {
        let texts: HashSet<&str> = ALL.iter().map(|rule| rule.as_str()).collect();
        assert_eq!(texts.len(), ALL.len());
    }
}
