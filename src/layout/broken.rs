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
    // The base segment.
    BaseLength: "it is shorter than its header",
    GeometrySum: "the checksum of its geometry is wrong",
    TypeTable: "its type table has another size",
    BlockSize: "its block size is out of range",
    PartOutside: "a part of it lies outside the segment",
    SmallParts: "its ring of starts, its black box or its directory of queues has another size",
    Overlap: "its parts overlap",
    LogBytes: "its undo log has a size that no pool has",
    NoRoom: "it has no room for the parts of a new pool",
    BlockCount: "it counts more blocks than its table has",
    ExtentCount: "it counts more extents than its table has",
    TypeCount: "it counts more types than a pool can have",
    Epoch: "its epoch is the largest possible",

    // An entry of the table of types.
    TypeRange: "its number is out of range",
    TypeTwice: "it occurs twice",
    FormPlace: "the position of a form of it is out of range",
    FormType: "a form of it has another type number",
    TypeNumber: "its type number does not match its position in the table",
    TypeSum: "its checksum is wrong",
    Alignment: "its alignment is out of range",
    Sizes: "its sizes do not fit together",
    ExtentShape: "the shape of its extents is out of range",
    MapTooShort: "the map of its extents is too short for their slots",
    ExtentsTooShort: "its extents are too short for their slots",
    TooFewSlots: "its extents have too few slots",
    IndexShape: "the shape of its index is out of range",
    LastGeneration: "its last generation is out of range",
    SlotCount: "it has more slots than handles can name",
    ObjectCount: "it counts more objects than it has slots",
    NamedSlot: "it names a slot that it does not have",
    GroupCount: "its index uses more groups than it has",
    NoIndex: "it counts objects, but has no index for them",

    // An extent.
    ExtentOwner: "its owner word is invalid",
    ExtentType: "its type is not in use",
    ExtentNotKeyed: "it is an index extent of a type without user keys",
    ExtentLength: "its length does not match its type",
    ExtentOutside: "it ends outside its block",
    ExtentPlace: "it does not follow the previous extent of its block",
    ExtentOrder: "it is out of order",
    FreeFirst: "it begins free bytes",
    NoBlock: "its block does not exist",
    BlockUnreadable: "its block cannot be read",
    NoExtent: "one of its extents is missing",
    ExtentCut: "one of its extents is too short",
    NoIndexExtent: "an extent of its index is missing",
    IndexExtentCut: "an extent of its index is too short",

    // The undo log, as a start finds it.
    LogOutside: "its undo log lies outside the segment",
    LogTooLong: "its undo log is longer than its lane",
    LogInvalid: "its undo log is invalid",
    LogObject: "its undo log names no object",
    LogType: "its undo log names a type that it does not have",
    LogSize: "its undo log has another size than the type",
    LogSlot: "its undo log names a slot that does not exist",
    LogReader: "its undo log names a reader that does not exist",
    LogLanes: "its undo log is divided into lanes for which it has no room",

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
    PayloadOutside: "a message lies outside the payload area of its writer",
    PayloadTwice: "two messages have the same bytes of a payload area",
    HeldMessage: "a message that a consumer has is not there",
    HeldByOther: "another consumer has the message of this one",
    Read: "a reader has read more messages than there can be",
    ReadUnsent: "a reader has read more messages than there are",
    Messages: "more messages were sent than there can be",
    Sent: "a writer has sent more messages than there can be",
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
