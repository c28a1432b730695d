//! The process at the other end of a way, and the rounds with it.

use super::answer::WORD;
use super::link::End;
use super::op::Op;
use super::peer::{AnyLink, Peer, Place, Server};
use crate::pin::Pin;
use crate::{scratch, segments};
use anyhow::{Context, ensure};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// One way, with a process at its other end.
pub struct Partner {
    op: Op,
    size: usize,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    child: Child,
    link: AnyLink,
    place: Place,
    /// The process waits for a line of input.
    is_idle: bool,
    _server: Option<Server>,
    _folder: TempDir,
}

impl Partner {
    /// Opens a way and starts the process at its other end.
    pub fn start(peer: Peer, op: Op, size: usize, pin: Pin) -> anyhow::Result<Self> {
        let folder = scratch::folder()?;
        let server = Server::start(peer, folder.path(), pin)?;
        let place = Place {
            peer,
            op,
            size,
            key: segments::keys(2)[0].0,
            at: server.as_ref().map_or_else(|| folder.path().to_owned(), Server::place),
            alone: pin.is_alone(),
        };
        let waiting = place.prepare()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(WORD).args(place.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pin.beside(&mut command).spawn()?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the process has no output")?);
        let link = waiting.open(&place, End::Here)?;
        let (is_idle, _server, _folder) = (false, server, folder);
        let mut partner =
            Partner { op, size, questions, answers, child, link, place, is_idle, _server, _folder };
        partner.expect("open").with_context(|| format!("{} did not open", peer.name()))?;
        // Some ways are only whole when both ends have looked after both were there.
        partner.link.connect()?;
        partner.ask("connect")?;
        partner.expect("connected")?;
        partner.link.connect()?;
        partner.is_idle = true;
        Ok(partner)
    }

    /// Runs a round. Returns the nanoseconds of a message.
    pub fn round(&mut self) -> anyhow::Result<f64> {
        self.is_idle = false;
        self.ask("round")?;
        self.expect("ready")?;
        let ours = self.link.lead(self.op, self.size)?;
        let theirs = self.line()?;
        self.is_idle = true;
        match ours {
            Some(nanos) => Ok(nanos),
            None => Ok(theirs.parse()?),
        }
    }

    fn ask(&mut self, what: &str) -> anyhow::Result<()> {
        let questions = self.questions.as_mut().context("the process has ended")?;
        Ok(writeln!(questions, "{what}")?)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the process at the other end has failed");
        Ok(line.trim_end().to_owned())
    }

    fn expect(&mut self, wanted: &str) -> anyhow::Result<()> {
        let line = self.line()?;
        ensure!(line == wanted, "the process at the other end said {line:?}, not {wanted:?}");
        Ok(())
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // The end of its input ends the process.
        self.questions = None;
        if !self.is_idle {
            _ = self.child.kill();
        }
        _ = self.child.wait();
        self.place.remove();
    }
}
