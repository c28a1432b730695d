//! The operations.

use clap::ValueEnum;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Op {
    /// One way of a message, both processes awake
    LatencySpin,
    /// One way of a message to a process that sleeps until it comes
    LatencyBlock,
    /// One of many messages sent one after the other
    Throughput,
    /// One of many messages, of which hotpool sends 32 in one call
    Batches,
    /// One of many messages that lie in the payload area of their writer
    Payload,
    /// A video frame of 1280x720x3 bytes, written and read in full
    Frames,
}

/// Bytes of a message of `Payload`.
const LARGE: usize = 64 * 1024;

/// Bytes of a frame.
pub const FRAME: usize = 1280 * 720 * 3;

impl Op {
    /// Returns the name in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Returns the sizes of messages.
    pub fn sizes(self) -> &'static [usize] {
        match self {
            Op::Payload => &[LARGE],
            Op::Frames => &[FRAME],
            _ => &[64, 1024],
        }
    }

    /// Returns how many messages a queue has room for.
    pub fn capacity(self) -> u32 {
        match self {
            // Frames in few places stay in the cache.
            Op::Frames => 2,
            Op::Payload => 16,
            _ => 64,
        }
    }

    /// Returns the number of spans in a round. The round takes a few milliseconds.
    pub fn spans(self) -> usize {
        match self {
            Op::LatencySpin => 4000,
            Op::LatencyBlock => 400,
            Op::Throughput | Op::Batches => 40,
            Op::Payload => 20,
            Op::Frames => 8,
        }
    }

    /// Returns the number of messages in a span: more than fit any queue, so that none is read
    /// without one being written.
    pub fn span(self) -> usize {
        match self {
            Op::LatencySpin | Op::LatencyBlock => 1,
            Op::Throughput | Op::Batches => 512,
            Op::Payload => 64,
            Op::Frames => 4,
        }
    }

    /// Returns whether a reader sleeps until a message comes.
    pub fn blocks(self) -> bool {
        self == Op::LatencyBlock
    }

    /// Returns whether messages go there and back.
    pub fn is_latency(self) -> bool {
        matches!(self, Op::LatencySpin | Op::LatencyBlock)
    }
}
