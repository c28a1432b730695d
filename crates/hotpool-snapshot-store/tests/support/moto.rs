//! An S3-compatible server, which moto from PyPI is.

use super::skip::skipped;
use hotpool_snapshot_store::Settings;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Serves one request after the other, so that a conditional write is atomic, as in S3. Ends when
/// its standard input does, and so with the test.
const SERVER: &str = r#"
import logging, os, sys, threading
from werkzeug.serving import make_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", int(sys.argv[1]), app)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A running server. Dropped, it ends.
pub struct Moto {
    child: Child,
    pub port: u16,
}

/// Returns the Python that has moto; `None` if it cannot be installed, which is reported.
fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<String>> = OnceLock::new();
    let install = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/install-moto");
        let output = Command::new(script).output().ok().filter(|output| output.status.success());
        let path = output.and_then(|output| String::from_utf8(output.stdout).ok());
        if path.is_none() {
            skipped("moto, a server with the protocol of S3, cannot be installed; run .ci/install-moto");
        }
        path.map(|path| path.trim().to_string())
    };
    PYTHON.get_or_init(install).as_deref()
}

impl Moto {
    /// Starts a server with the bucket `test` on a free port; `None` if moto cannot be installed.
    pub fn start() -> Option<Moto> {
        Self::at(0)
    }

    /// Starts a server on a port.
    pub fn at(port: u16) -> Option<Moto> {
        let mut command = Command::new(python()?);
        command.args(["-c", SERVER, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("moto says its port");
        let moto = Moto { child, port };
        moto.create_bucket();
        Some(moto)
    }

    /// Creates the bucket with a plain request, because a client of objects cannot.
    fn create_bucket(&self) {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let request = "PUT /test HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    }

    pub fn settings(&self) -> Settings {
        settings(self.port)
    }

    pub fn signal(&self, signal: &str) {
        super::signal_to(self.child.id(), signal);
    }

    /// Kills the server, with all it has.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the settings that lead to the server on a port.
pub fn settings(port: u16) -> Settings {
    Settings::default()
        .option("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{port}"))
        .option("AWS_ACCESS_KEY_ID", "test")
        .option("AWS_SECRET_ACCESS_KEY", "test")
        .option("AWS_REGION", "us-east-1")
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.kill();
    }
}
