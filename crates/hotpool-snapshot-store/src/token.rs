//! The token of a process in a store: who owns its pool.

use crate::error::StoreError;
use crate::place::Place;
use chrono::DateTime;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Version of the bytes of a token.
const FORMAT: u32 = 1;
/// Longest lease; a token that says more is damaged.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Who owns the pool of a process, as a store says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Token {
    format: u32,
    /// Process in the ini.
    pub process: String,
    /// Number of this ownership: each new one has a higher number.
    pub epoch: u64,
    /// Whether it is held. One that was given back keeps its epoch.
    pub held: bool,
    /// Host name of the owner.
    pub host: String,
    /// Process number of the owner.
    pub pid: u32,
    /// Boot of the owner's host.
    pub boot: String,
    /// The space in which the process number counts, as the kernel names it; empty if it did not.
    #[serde(default)]
    pub pid_namespace: String,
    /// What only this owner has.
    pub nonce: String,
    /// Number of the last renewal.
    pub renewal: u64,
    /// Lease in milliseconds.
    pub lease_ms: u64,
    /// When it was taken, in seconds since 1970 by the owner's clock.
    pub taken: u64,
    /// When it was last renewed, in seconds since 1970 by the owner's clock.
    pub renewed: u64,
}

impl Token {
    /// Returns a new token of this process.
    pub(crate) fn new(process: &str, epoch: u64, lease: Duration) -> Token {
        let now = seconds();
        Token {
            format: FORMAT,
            process: process.into(),
            epoch,
            held: true,
            host: kernel("hostname"),
            pid: std::process::id(),
            boot: kernel("random/boot_id"),
            pid_namespace: pid_namespace(),
            nonce: kernel("random/uuid"),
            renewal: 0,
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            taken: now,
            renewed: now,
        }
    }

    /// Returns the token as its next renewal.
    pub(crate) fn renewed(&self) -> Token {
        Token { renewal: self.renewal + 1, renewed: seconds(), ..self.clone() }
    }

    /// Returns the token given back.
    pub(crate) fn released(&self) -> Token {
        Token { held: false, ..self.renewed() }
    }

    /// Returns whether the owner was a process of this machine that has ended.
    ///
    /// Only the kernel's word counts: a number that another process has by now is no proof, and
    /// neither is one that counts in another namespace.
    pub(crate) fn is_of_the_dead(&self) -> bool {
        let is_here = self.boot == kernel("random/boot_id") && self.pid_namespace == pid_namespace();
        let is_known = !self.boot.is_empty() && !self.pid_namespace.is_empty();
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        is_here && is_known && test_kill_process(pid) == Err(Errno::SRCH)
    }

    /// Returns how long the owner holds it after each renewal.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// Returns who the owner is and until when, by its clock.
    pub fn owner(&self) -> String {
        let Token { host, pid, .. } = self;
        let (since, until) =
            (utc(self.taken), utc(self.renewed.saturating_add(self.lease_ms.div_ceil(1000))));
        format!("host {host} (pid {pid}), since {since} until {until} by its clock")
    }

    pub(crate) fn encode(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8], place: &Place, process: &str) -> Result<Token, StoreError> {
        let damaged = |why: String| StoreError::Token { key: place.shown(&name(process)), why };
        let text = String::from_utf8_lossy(bytes);
        let table: toml::Table = text.parse().map_err(|error| damaged(format!("{error}")))?;
        let format = table.get("format").and_then(toml::Value::as_integer).unwrap_or(0);
        if format != i64::from(FORMAT) {
            return Err(damaged(format!("it has the format {format}, and this build reads {FORMAT}")));
        }
        let token: Token = table.try_into().map_err(|error| damaged(format!("{error}")))?;
        if token.process != process {
            return Err(damaged(format!("it is the token of the process {}", token.process)));
        }
        if token.lease() > LONGEST {
            return Err(damaged("its lease is longer than a day".into()));
        }
        Ok(token)
    }
}

/// Returns the name of the token of a process.
pub(crate) fn name(process: &str) -> String {
    format!("{process}.owner")
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns the namespace of this process's number, for example `pid:[4026531836]`.
fn pid_namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

/// Returns a line of the kernel.
fn kernel(file: &str) -> String {
    fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap_or_default().trim().into()
}

fn utc(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.map_or_else(|| format!("second {seconds}"), |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}
