//! Runs of the examples that kill their own processes and report in JSON.

use hotpool::share::{Home, LockFacts, observe};
use hotpool::units::Key;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A run of an example and the keys that it uses.
pub(crate) struct Run {
    pub(crate) command: Command,
    pub(crate) keys: Vec<Key>,
}

impl Run {
    /// Runs it to its end, with a planted mistake if one is named. Returns the exit code, and the
    /// JSON object in the last line.
    pub(crate) fn outcome(mut self, plant: Option<&str>) -> (Option<i32>, Value) {
        self.command.args(plant.map(|mistake| format!("--plant={mistake}")));
        let output = self.command.output().unwrap();
        self.assert_nothing_is_left();
        let text = String::from_utf8(output.stdout).unwrap();
        let last = text.lines().last().unwrap_or_default();
        let json = serde_json::from_str(last).unwrap_or_else(|error| {
            panic!("{error} in {last:?}; {}", String::from_utf8_lossy(&output.stderr));
        });
        (output.status.code(), json)
    }

    /// Interrupts it some time after its first line, as Ctrl-C does. It has to say so and to leave
    /// nothing.
    pub(crate) fn interrupt(mut self, after: Duration) {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it ended before it had begun");
        std::thread::sleep(after);
        assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(2));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("stopped by a signal"), "{said}");
        self.assert_nothing_is_left();
    }

    pub(crate) fn assert_nothing_is_left(&self) {
        for &key in &self.keys {
            let facts = observe(key, &Home::sysv()).unwrap();
            assert!(facts.segment.is_none(), "a segment is left under {key}");
            assert_eq!(facts.lock, LockFacts::None, "semaphores are left under {key}");
        }
    }
}
