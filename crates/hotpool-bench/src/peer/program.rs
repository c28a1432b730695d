//! Peers in other languages. They are built with the host's compiler if their headers are
//! installed, and run in turn with the bench.

use crate::op::{Kind, Op};
use crate::subject::{Lap, Subject};
use anyhow::{Context, ensure};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A program in `peers/`.
#[derive(Clone, Copy)]
pub struct Source {
    /// The name of its file, without `.cpp`.
    pub name: &'static str,
    /// The libraries that it is linked with.
    pub libraries: &'static [&'static str],
}

/// Boost.Interprocess.
pub const BOOST: Source = Source { name: "boost", libraries: &["-lrt", "-lpthread"] };
/// PMDK.
pub const PMDK: Source = Source { name: "pmdk", libraries: &["-lpmemobj"] };

impl Source {
    /// Returns the program, built if it is older than its source, or `None` if the host cannot
    /// build or run it.
    pub fn build(self) -> Option<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let source = folder.join(self.name).with_extension("cpp");
        let program = std::env::current_exe().ok()?.with_file_name(format!("hotpool-bench-{}", self.name));
        let changed = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
        let sources = changed(&source).max(changed(&folder.join("peer.hpp")));
        let runs =
            || Command::new(&program).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if changed(&program) > sources && runs() {
            return Some(program);
        }
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let mut command = Command::new(compiler);
        command.args(["-O3", "-DNDEBUG", "-std=c++17", "-o"]).arg(&program).arg(&source).args(self.libraries);
        let status = command.stderr(Stdio::null()).status().ok()?;
        (status.success() && runs()).then_some(program)
    }
}

/// A running program with its population.
pub struct Program {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// Launches a program with `count` objects of `size` bytes.
    pub fn start(source: Source, kind: Kind, size: usize, count: usize) -> anyhow::Result<Self> {
        let program = source.build().context("the program can no longer be built")?;
        let keyed = if kind == Kind::Keyed { "keyed" } else { "plain" };
        let mut command = Command::new(program);
        command.args([&size.to_string(), &count.to_string(), keyed]);
        // The memory here is not persistent, and does not need to be flushed to survive a kill.
        command.env("PMEM_IS_PMEM_FORCE", "1").env("PMEM_NO_FLUSH", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut program = Program { child, questions, answers };
        ensure!(program.answer()? == "ready", "{} did not start", source.name);
        Ok(program)
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the program ended");
        Ok(line.trim_end().to_owned())
    }

    fn ask(&mut self, op: Op, count: usize) -> anyhow::Result<Option<Lap>> {
        let questions = self.questions.as_mut().context("the program has ended")?;
        writeln!(questions, "{} {count}", op.name())?;
        let answer = self.answer()?;
        let Some((count, nanos)) = answer.split_once(' ') else { return Ok(None) };
        Ok(Some(Lap { count: count.parse()?, time: Duration::from_nanos(nanos.parse()?) }))
    }
}

impl Subject for Program {
    fn prepare(&mut self, op: Op) -> anyhow::Result<bool> {
        Ok(self.ask(op, 1)?.is_some())
    }

    fn run(&mut self, op: Op, count: usize) -> anyhow::Result<Lap> {
        self.ask(op, count)?.context("the program does not support the operation")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The end of its input makes the program remove its memory and end.
        self.questions = None;
        _ = self.child.wait();
    }
}
