//! A zone server for one test: an ini with unused keys, all removed at the end.

#[path = "../harness/own_keys.rs"]
mod own_keys;

use hotpool::share::{Home, remove_pool};
use hotpool::units::Key;
use own_keys::own_keys;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A pool, and the servers that run on it one after the other.
pub(crate) struct Zone {
    dir: tempfile::TempDir,
    base_key: Key,
    child: Option<(Child, BufReader<ChildStdout>)>,
    pub(crate) port: u16,
    /// The example that the next start runs.
    pub(crate) program: &'static str,
}

impl Zone {
    /// Creates an ini and runs a server until it is ready.
    #[allow(dead_code, reason = "one test has more lines in its ini")]
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// Creates an ini with these lines, too, and runs a server until it is ready. `DIR` in them is the
    /// folder of the ini.
    pub(crate) fn start_with(lines: &str) -> Self {
        let base = own_keys(4);
        let dir = tempfile::tempdir().unwrap();
        let ini = format!(
            "[common]\nProcessList = zone\n[zone]\nBaseKey = {base:#x}\nBlockSize = 16M\nShmKeys = {:#x}, {:#x}\n{}",
            base + 1,
            base + 2,
            lines.replace("DIR", &dir.path().display().to_string())
        );
        std::fs::write(dir.path().join("zone.ini"), ini).unwrap();
        let mut zone = Zone { dir, base_key: Key(base), child: None, port: 0, program: "zone_server" };
        zone.restart();
        zone
    }

    /// Launches a server on the existing pool. Returns the line it prints when it is ready.
    pub(crate) fn restart(&mut self) -> String {
        let mut child = self.command("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        output.read_line(&mut ready).unwrap();
        self.child = Some((child, output));
        let address = ready.strip_prefix("ready on ").and_then(|rest| rest.split(';').next());
        let port = address.and_then(|address| address.rsplit(':').next()).and_then(|port| port.parse().ok());
        self.port = port.unwrap_or_else(|| panic!("the server printed {ready:?}"));
        ready
    }

    /// Returns the command of a server with the same ini.
    pub(crate) fn command(&self, listen: &str) -> Command {
        let mut command = Command::new(crate::example::built(self.program));
        command.arg("--conf").arg(self.dir.path().join("zone.ini")).arg("--listen").arg(listen);
        command
    }

    /// Returns the base key of the pool.
    #[allow(dead_code, reason = "only some tests need it")]
    pub(crate) fn base_key(&self) -> Key {
        self.base_key
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn kill(&mut self) {
        let (mut child, _) = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends SIGTERM and returns the exit status of the server.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.as_ref().unwrap().0.id().to_string();
        assert!(Command::new("kill").arg("-TERM").arg(pid).status().unwrap().success());
        self.wait()
    }

    /// Waits for the server to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().0.wait().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(TcpStream::connect(("127.0.0.1", self.port)).unwrap())
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Err(error) = remove_pool(self.base_key, &Home::sysv(), false) {
            eprintln!("cannot remove the pool under {}: {error}", self.base_key);
        }
    }
}

/// A client that speaks only the RESP that the tests need.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    /// Sends bytes unchanged.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Reads the next reply: strings, integers and errors with their type mark, the parts of an
    /// array in one line. Returns `None` if the server is gone.
    pub(crate) fn receive(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let line = line.strip_suffix("\r\n")?;
        let (mark, rest) = line.split_at_checked(1)?;
        match mark {
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().ok()? + 2];
                self.stream.read_exact(&mut bytes).ok()?;
                Some(String::from_utf8_lossy(&bytes[..bytes.len() - 2]).into_owned())
            }
            "*" => {
                let parts = (0..rest.parse().ok()?).map(|_| self.receive());
                Some(parts.collect::<Option<Vec<_>>>()?.join(" "))
            }
            _ => Some(line.into()),
        }
    }

    /// Sends one command and returns its reply.
    pub(crate) fn ask(&mut self, command: &str) -> Option<String> {
        let words: Vec<&str> = command.split(' ').collect();
        let frame: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        self.send(format!("*{}\r\n{frame}", words.len())).ok()?;
        self.receive()
    }
}
