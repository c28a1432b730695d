//! What the tests of stores share: servers, folders, and sets to send.
#![allow(dead_code, unreachable_pub, reason = "each test uses only a part")]

pub mod moto;
pub mod sets;
#[path = "../../../../tests/skip/mod.rs"]
mod skip;

#[allow(unused_imports, reason = "not every test skips")]
pub(crate) use skip::skipped;

use futures_util::TryStreamExt;
use hotpool_snapshot_store::{Settings, Store};
use moto::Moto;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Where a store of a test is.
pub enum Ground {
    Files(TempDir),
    S3(Moto),
}

impl Ground {
    /// Returns a store in files, and one in an S3-compatible server if that can be installed.
    pub fn all() -> Vec<Ground> {
        let files = Ground::Files(tempfile::tempdir().unwrap());
        [Some(files), Moto::start().map(Ground::S3)].into_iter().flatten().collect()
    }

    pub fn url(&self, prefix: &str) -> String {
        match self {
            Ground::Files(folder) => format!("file://{}/{prefix}", folder.path().display()),
            Ground::S3(_) => format!("s3://test/{prefix}"),
        }
    }

    pub fn settings(&self) -> Settings {
        match self {
            Ground::Files(_) => Settings::default(),
            Ground::S3(moto) => moto.settings(),
        }
    }

    pub fn store(&self, prefix: &str) -> Store {
        Store::open_with(&self.url(prefix), &self.settings().patience(Duration::from_secs(5))).unwrap()
    }

    fn port(&self) -> u16 {
        match self {
            Ground::Files(_) => 0,
            Ground::S3(moto) => moto.port,
        }
    }

    /// Changes the bytes of an object without the store.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.raw(|objects, at| async move {
            let key = at(name);
            let mut bytes = objects.get(&key).await.unwrap().bytes().await.unwrap().to_vec();
            change(&mut bytes);
            objects.put(&key, bytes.into()).await.unwrap();
        });
    }

    /// Removes an object without the store.
    pub fn remove(&self, name: &str) {
        self.raw(|objects, at| async move { objects.delete(&at(name)).await.unwrap() });
    }

    /// Returns the names of all objects below a prefix; in files also of those that are hidden.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let mut found = Vec::new();
        match self {
            Ground::Files(folder) => walk(&folder.path().join(prefix), "", &mut found),
            Ground::S3(_) => {
                let all = std::sync::Mutex::new(Vec::new());
                self.raw(|objects, at| {
                    let all = &all;
                    async move {
                        let listed: Vec<_> = objects.list(Some(&at(prefix))).try_collect().await.unwrap();
                        all.lock()
                            .unwrap()
                            .extend(listed.into_iter().map(|object| object.location.to_string()));
                    }
                });
                let skip = prefix.len() + 1;
                found.extend(all.into_inner().unwrap().into_iter().map(|key| key[skip..].to_string()));
            }
        }
        found.retain(|name| !name.ends_with(".lock"));
        found.sort();
        found
    }

    fn raw<F: Future<Output = ()>>(&self, work: impl FnOnce(Arc<dyn ObjectStore>, fn(&str) -> Key) -> F) {
        let objects: Arc<dyn ObjectStore> = match self {
            Ground::Files(folder) => Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap()),
            Ground::S3(moto) => {
                let endpoint = format!("http://127.0.0.1:{}", moto.port);
                let built = AmazonS3Builder::new().with_bucket_name("test").with_region("us-east-1");
                let built = built.with_endpoint(endpoint).with_allow_http(true);
                Arc::new(built.with_access_key_id("test").with_secret_access_key("test").build().unwrap())
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work(objects, |name| Key::parse(name).unwrap()));
    }
}

fn walk(folder: &Path, under: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let name = format!("{under}{}", entry.file_name().to_str().unwrap());
        match entry.path().is_dir() {
            true => walk(&entry.path(), &format!("{name}/"), found),
            false => found.push(name),
        }
    }
}

/// A child that runs the test `child` of this binary. Dropped, it is killed.
pub struct Other(pub Child);

impl Other {
    /// Starts a child that will do `what` with the store of a ground.
    pub fn start(what: &str, ground: &Ground, prefix: &str, local: &Path) -> Other {
        Self::start_under(&[], what, ground, prefix, local)
    }

    /// Starts a child as an argument of another program, such as `unshare`.
    pub fn start_under(under: &[&str], what: &str, ground: &Ground, prefix: &str, local: &Path) -> Other {
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        let words: Vec<&str> = under.iter().copied().chain([own]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
        command.env("STORE_WHAT", what).env("STORE_URL", ground.url(prefix)).env("STORE_LOCAL", local);
        command.env("STORE_PORT", ground.port().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Other(command.spawn().unwrap())
    }

    /// Sends a line to the child and returns its answer.
    pub fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.answer()
    }

    pub fn tell(&mut self, line: &str) {
        use std::io::Write;
        writeln!(self.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Returns what the child says after `>`; the test harness prints other lines.
    pub fn answer(&mut self) -> String {
        use std::io::Read;
        let (mut line, out) = (Vec::new(), self.0.stdout.as_mut().unwrap());
        loop {
            let mut byte = [0];
            out.read_exact(&mut byte).expect("the child answers");
            if byte != *b"\n" {
                line.push(byte[0]);
                continue;
            }
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            if let Some((_, answer)) = text.split_once('>') {
                return answer.to_string();
            }
        }
    }

    pub fn signal(&self, signal: &str) {
        signal_to(self.0.id(), signal);
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In a child: what it shall do, its store and its folder.
pub fn order() -> Option<(String, Store, std::path::PathBuf)> {
    let what = std::env::var("STORE_WHAT").ok()?;
    let port = std::env::var("STORE_PORT").unwrap().parse().unwrap();
    let settings = if port == 0 { Settings::default() } else { moto::settings(port) };
    let store = Store::open_with(&std::env::var("STORE_URL").unwrap(), &settings).unwrap();
    Some((what, store, std::env::var_os("STORE_LOCAL").unwrap().into()))
}

pub fn signal_to(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}
