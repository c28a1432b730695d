//! What removes waiting pools.

use super::{Finding, Root, Severity};

/// Checks `kernel.shm_rmid_forced`.
pub(crate) fn rmid_forced(root: &Root) -> Finding {
    const CHECK: &str = "shm-rmid-forced";
    const FILE: &str = "proc/sys/kernel/shm_rmid_forced";
    match root.number(FILE) {
        Some(0) => Finding::ok(CHECK, "segments stay when no process is attached"),
        Some(_) => Finding::new(
            CHECK,
            Severity::Error,
            "kernel.shm_rmid_forced = 1 removes a segment as soon as no process is attached, so every start is cold",
            "run `sysctl -w kernel.shm_rmid_forced=0`, and add a file with it to /etc/sysctl.d",
        ),
        None => Finding::unread(CHECK, FILE),
    }
}

/// Checks `RemoveIPC` of systemd-logind, which removes the segments of ordinary users.
pub(crate) fn remove_ipc(root: &Root, user: Option<u32>) -> Finding {
    const CHECK: &str = "remove-ipc";
    if root.text("proc/1/comm").is_none_or(|name| name.trim() != "systemd") {
        return Finding::ok(CHECK, "systemd-logind does not run here");
    }
    let Some(uid) = user.or_else(|| own_uid(root)) else { return Finding::unread(CHECK, "proc/self/status") };
    let (removes, file) = remove_ipc_setting(root);
    if !removes {
        return Finding::ok(CHECK, format!("{file} sets RemoveIPC=no"));
    }
    if is_system_user(root, uid) {
        return Finding::ok(
            CHECK,
            format!("uid {uid} is a system user, whose segments systemd-logind keeps"),
        );
    }
    Finding::new(
        CHECK,
        Severity::Error,
        format!(
            "RemoveIPC=yes ({file}): systemd-logind removes all segments of uid {uid} when the user's last session ends, even \
             those of running servers"
        ),
        "run the server as a system user (`useradd --system`), or set RemoveIPC=no in /etc/systemd/logind.conf and run \
         `systemctl restart systemd-logind`",
    )
}

/// Returns the setting and the file it comes from. Files in folders come after the main one, and the last one wins.
fn remove_ipc_setting(root: &Root) -> (bool, String) {
    let mut files = vec!["etc/systemd/logind.conf".to_string()];
    for folder in ["usr/lib/systemd/logind.conf.d", "run/systemd/logind.conf.d", "etc/systemd/logind.conf.d"]
    {
        files.extend(root.conf_files(folder));
    }
    let mut found = (true, "the default".to_string());
    for file in files {
        let text = root.text(&file).unwrap_or_default();
        for value in text.lines().filter_map(|line| line.trim().strip_prefix("RemoveIPC")) {
            let value = value.trim_start().trim_start_matches('=').trim().to_ascii_lowercase();
            found = (!["no", "false", "0", "off", "n", "f"].contains(&value.as_str()), format!("/{file}"));
        }
    }
    found
}

fn own_uid(root: &Root) -> Option<u32> {
    let status = root.text("proc/self/status")?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()
}

fn is_system_user(root: &Root, uid: u32) -> bool {
    let defs = root.text("etc/login.defs").unwrap_or_default();
    let max = defs.lines().find_map(|line| line.trim().strip_prefix("SYS_UID_MAX")?.trim().parse().ok());
    uid <= max.unwrap_or(999)
}

/// Checks whether this is the IPC namespace of pid 1.
pub(crate) fn namespace(root: &Root) -> Finding {
    const CHECK: &str = "ipc-namespace";
    match (root.link("proc/self/ns/ipc"), root.link("proc/1/ns/ipc")) {
        (None, _) => Finding::unread(CHECK, "proc/self/ns/ipc"),
        (Some(own), None) => {
            Finding::note(CHECK, format!("{own}; cannot read whether it is the namespace of pid 1"))
        }
        (Some(own), Some(init)) if own == init => {
            Finding::ok(CHECK, format!("{own}, the namespace of pid 1"))
        }
        (Some(own), Some(init)) => Finding::new(
            CHECK,
            Severity::Warning,
            format!(
                "this shell is in {own}, pid 1 in {init}: the kernel removes segments with the last process of their namespace"
            ),
            "run server and tools in one namespace that outlives the server: without PrivateIPC=yes, or in a container with \
             --ipc=host or --ipc=container:NAME",
        ),
    }
}

/// Checks whether the last owner of a pool was in this IPC namespace. Only a base in a file is visible from another
/// namespace. Its base lock works there, but the pid of the owner may not be visible.
pub(crate) fn owner_namespace(process: &str, then: u64, now: u64) -> Finding {
    const CHECK: &str = "pool-namespace";
    if then == 0 || now == 0 || then == now {
        return Finding::ok(CHECK, format!("the last owner of {process} was in this IPC namespace"));
    }
    Finding::note(
        CHECK,
        format!(
            "the last owner of {process} was in IPC namespace {then}, this shell is in {now}: the base lock still prevents a \
             second owner, but a start knows the owner's pid only from the base"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::root::testing::Fake;
    use super::*;

    #[test]
    fn a_kernel_that_removes_segments_is_an_error() {
        let with =
            |text| rmid_forced(&Fake::with(&[("proc/sys/kernel/shm_rmid_forced", text)]).root()).severity;
        assert_eq!(with("1\n"), Severity::Error);
        assert_eq!(with("0\n"), Severity::Ok);
        assert_eq!(rmid_forced(&Fake::with(&[]).root()).severity, Severity::Note);
    }

    #[test]
    fn logind_is_an_error_for_ordinary_users_unless_it_is_told_not_to() {
        let comm = ("proc/1/comm", "systemd\n");
        let player = ("proc/self/status", "Name:\tx\nUid:\t1000\t1000\t1000\t1000\n");
        let severity = |files: &[(&str, &str)]| remove_ipc(&Fake::with(files).root(), None).severity;
        assert_eq!(severity(&[comm, player]), Severity::Error, "yes is the default");
        assert_eq!(severity(&[player, ("proc/1/comm", "tini\n")]), Severity::Ok);
        assert_eq!(severity(&[comm, ("proc/self/status", "Uid:\t0\t998\t0\t0\n")]), Severity::Ok);
        let main = ("etc/systemd/logind.conf", "[Login]\n#RemoveIPC=yes\nRemoveIPC=no\n");
        assert_eq!(severity(&[comm, player, main]), Severity::Ok);
        let drop_in = ("etc/systemd/logind.conf.d/50.conf", "[Login]\nRemoveIPC = yes\n");
        assert_eq!(severity(&[comm, player, main, drop_in]), Severity::Error, "the last one wins");
        let defs = ("etc/login.defs", "SYS_UID_MIN 100\nSYS_UID_MAX  1500\n");
        assert_eq!(severity(&[comm, player, defs]), Severity::Ok);
        let root = Fake::with(&[comm, player]);
        assert_eq!(remove_ipc(&root.root(), Some(7)).severity, Severity::Ok, "the server's user counts");
    }

    #[test]
    fn a_namespace_of_its_own_is_a_warning() {
        let fake = |own: &str| Fake::with(&[]).link("proc/self/ns/ipc", own).link("proc/1/ns/ipc", "ipc:[1]");
        assert_eq!(namespace(&fake("ipc:[1]").root()).severity, Severity::Ok);
        let apart = namespace(&fake("ipc:[2]").root());
        assert_eq!(apart.severity, Severity::Warning);
        assert!(apart.found.contains("ipc:[2]") && apart.found.contains("ipc:[1]"));
        let hidden = Fake::with(&[]).link("proc/self/ns/ipc", "ipc:[1]");
        assert_eq!(namespace(&hidden.root()).severity, Severity::Note);
    }

    #[test]
    fn a_pool_whose_owner_was_in_another_namespace_is_a_note() {
        let apart = owner_namespace("zone", 1, 2);
        assert_eq!(apart.severity, Severity::Note);
        assert!(apart.found.contains("the base lock still prevents a second owner"), "{}", apart.found);
        assert_eq!(owner_namespace("zone", 2, 2).severity, Severity::Ok);
        assert_eq!(owner_namespace("zone", 0, 2).severity, Severity::Ok, "it did not say");
    }
}
