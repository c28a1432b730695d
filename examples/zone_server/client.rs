//! One client: its input, its commands and its output, each bounded.

use crate::zone::{Reply, Zone, error};
use mio::event::Source;
use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::encode::encode;
use redis_protocol::resp2::types::{OwnedFrame, RangeFrame, Resp2Frame};
use std::io::{self, ErrorKind, Read, Write};

/// Length of the longest command. Bounds the depth and the memory that hostile input can make the
/// decoder use.
const MAX_COMMAND: usize = 4096;
/// Maximum number of unsent bytes for a client that does not read. A client beyond it is
/// disconnected.
const MAX_UNSENT: usize = 1 << 20;
/// Maximum number of bytes read from a client before the others get their turn.
const TURN: usize = 64 << 10;
/// Maximum number of bytes read from a client after its last reply.
const MAX_IGNORED: usize = 4 << 20;

/// A TCP or Unix stream.
pub(crate) trait Stream: Read + Write + Source {
    fn end_output(&self) -> io::Result<()>;
}

impl Stream for mio::net::TcpStream {
    fn end_output(&self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

impl Stream for mio::net::UnixStream {
    fn end_output(&self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

pub(crate) struct Client {
    pub(crate) stream: Box<dyn Stream>,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Set once the last reply is in `output`. From then on input is read and discarded, because
    /// closing a socket with unread input makes the kernel discard that reply.
    leaving: bool,
    ignored: usize,
}

/// The result of a client's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// No input is left for now.
    Idle,
    /// More input can be read.
    Again,
    /// The client has disconnected, or is to be disconnected.
    Gone,
    /// The client has requested the server to end.
    Quit,
}

impl Client {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Client { stream, input: Vec::new(), output: Vec::new(), leaving: false, ignored: 0 }
    }

    /// Reads, executes and replies, up to a limit.
    pub(crate) fn turn(&mut self, zone: &mut Zone) -> Turn {
        let mut buffer = [0; 16 << 10];
        let mut taken = 0;
        loop {
            if self.flush().is_err() {
                return Turn::Gone;
            }
            if taken >= TURN {
                return Turn::Again;
            }
            let count = match self.stream.read(&mut buffer) {
                Ok(0) => return Turn::Gone,
                Ok(count) => count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Turn::Idle,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Turn::Gone,
            };
            taken += count;
            if self.leaving {
                self.ignored += count;
                if self.ignored > MAX_IGNORED {
                    return Turn::Gone;
                }
                continue;
            }
            self.input.extend_from_slice(&buffer[..count]);
            if self.execute_all(zone) {
                let _ = self.flush();
                return Turn::Quit;
            }
            if self.output.len() > MAX_UNSENT && (self.flush().is_err() || self.output.len() > MAX_UNSENT) {
                eprintln!(
                    "a client does not read its replies: cut off with {} bytes unsent",
                    self.output.len()
                );
                return Turn::Gone;
            }
        }
    }

    /// Sends as much as the stream accepts. Returns an error once the client is finished.
    fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.output.len() {
            match self.stream.write(&self.output[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.output.drain(..sent);
        if self.leaving && self.output.is_empty() {
            let _ = self.stream.end_output();
        }
        Ok(())
    }

    /// Executes every complete command in the input. Returns true if one of them ends the server.
    fn execute_all(&mut self, zone: &mut Zone) -> bool {
        let mut start = 0;
        let mut quit = false;
        while !self.leaving && !quit {
            let rest = &self.input[start..];
            let window = &rest[..rest.len().min(MAX_COMMAND)];
            let (reply, used) = match next_command(window) {
                Ok(Some((words, used))) if words.is_empty() => (None, used), // an empty line
                Ok(Some((words, used))) => (Some(zone.execute(&words)), used),
                Ok(None) if window.len() < MAX_COMMAND => break,
                Ok(None) => (Some(refusal("command too long")), 0),
                Err(why) => (Some(refusal(why)), 0),
            };
            start += used;
            let frame = match reply {
                None => continue,
                Some(Reply::Frame(frame)) => frame,
                Some(Reply::Bye(frame)) => {
                    self.leaving = true;
                    frame
                }
                Some(Reply::Quit(frame)) => {
                    quit = true;
                    frame
                }
            };
            append(&mut self.output, &frame);
        }
        self.input.drain(..start);
        if self.leaving {
            self.input = Vec::new();
        }
        quit
    }
}

fn refusal(why: &str) -> Reply {
    Reply::Bye(error(&format!("ERR Protocol error: {why}")))
}

fn append(output: &mut Vec<u8>, frame: &OwnedFrame) {
    let start = output.len();
    output.resize(start + frame.encode_len(false), 0);
    if encode(&mut output[start..], frame, false).is_err() {
        output.truncate(start);
        output.extend_from_slice(b"-ERR the reply cannot be encoded\r\n");
    }
}

type Command<'a> = (Vec<&'a [u8]>, usize);

/// Parses the first command and returns its words and length. A command is an array of bulk
/// strings, or a line as a person types it. Returns `None` if the command is not complete.
fn next_command(input: &[u8]) -> Result<Option<Command<'_>>, &'static str> {
    if input.first() != Some(&b'*') {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let words = input[..end].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        return Ok(Some((words.collect(), end + 1)));
    }
    let Some((frame, used)) = decode_range(input).map_err(|_| "malformed frame")? else { return Ok(None) };
    let RangeFrame::Array(frames) = frame else { return Err("expected an array") };
    let words = frames.iter().map(|frame| match frame {
        RangeFrame::BulkString((from, to)) => Ok(&input[*from..*to]),
        _ => Err("expected an array of bulk strings"),
    });
    Ok(Some((words.collect::<Result<_, _>>()?, used)))
}
