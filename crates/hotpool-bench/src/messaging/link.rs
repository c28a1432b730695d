//! One end of a way that messages take.

/// Which of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The bench.
    Here,
    /// The process that it starts.
    There,
}

impl End {
    /// Returns the two ends, this one first.
    pub fn both(self) -> (&'static str, &'static str) {
        match self {
            End::Here => ("here", "there"),
            End::There => ("there", "here"),
        }
    }

    /// Returns the number of the direction in which this end sends, and of the other.
    pub fn directions(self) -> (usize, usize) {
        if self == End::Here { (0, 1) } else { (1, 0) }
    }
}

/// One end of a way, with both directions.
pub trait Link {
    /// Sends a message. Waits while there is no room.
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()>;

    /// Sends messages. A way without batches sends one after the other.
    #[inline]
    fn send_all(&mut self, messages: &[Vec<u8>]) -> anyhow::Result<()> {
        messages.iter().try_for_each(|message| self.send(message))
    }

    /// Waits for a message and hands it to `f`.
    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()>;
}

impl<L: Link> Link for Box<L> {
    #[inline(always)]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        (**self).send(message)
    }

    #[inline(always)]
    fn send_all(&mut self, messages: &[Vec<u8>]) -> anyhow::Result<()> {
        (**self).send_all(messages)
    }

    #[inline(always)]
    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        (**self).receive(f)
    }
}

/// Passes the time until another look.
#[inline(always)]
pub fn pause(alone: bool) {
    match alone {
        // The other process needs the processor.
        true => std::thread::yield_now(),
        false => std::hint::spin_loop(),
    }
}
