//! The examples of this package, as programs.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// Returns the path of an example, and builds it if it is not up to date.
pub(crate) fn built(name: &str) -> PathBuf {
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let test = std::env::current_exe().unwrap();
    let profile_dir = test.ancestors().nth(2).unwrap();
    let program = profile_dir.join("examples").join(name);
    let mut done = BUILT.lock().unwrap();
    if !done.iter().any(|known| known == name) {
        let target = profile_dir.parent().unwrap();
        let profile = profile_dir.file_name().unwrap().to_str().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--example", name]);
        build.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
        build.arg("--target-dir").arg(target);
        assert!(build.status().unwrap().success(), "the example {name} does not build");
        done.push(name.into());
    }
    program
}
