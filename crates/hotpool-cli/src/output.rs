//! The result of a verb on stdout, as text or as one JSON document.

use serde::Serialize;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// The result of a verb. Everything else that a verb prints goes to stderr.
pub(crate) struct Output {
    to: Box<dyn Write>,
    json: bool,
    /// The reader has closed the pipe, as `head` does. The rest is not printed, and the exit code
    /// is still that of the whole result.
    closed: bool,
}

impl Output {
    pub(crate) fn stdout(json: bool) -> Self {
        Output { to: Box::new(io::stdout()), json, closed: false }
    }

    /// Whether the verb must call [`Output::document`] once, instead of printing text.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }

    /// Prints text as it is. Fails if stdout does, unless the reader has closed the pipe.
    pub(crate) fn text(&mut self, text: impl Display) -> io::Result<()> {
        let written = write!(self.to, "{text}");
        self.settle(written)
    }

    /// Prints a line. Fails like [`Output::text`].
    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        self.text(format_args!("{line}\n"))
    }

    /// Prints a JSON document. Fails like [`Output::text`].
    pub(crate) fn document(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.line(text)
    }

    fn settle(&mut self, written: io::Result<()>) -> io::Result<()> {
        match written.and_then(|()| if self.closed { Ok(()) } else { self.to.flush() }) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                self.to = Box::new(io::sink());
                Ok(())
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let mut out = Output { to: Box::new(Gone), json: false, closed: false };
        out.line("one").unwrap();
        out.line("two").unwrap();
    }
}
