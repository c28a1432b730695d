//! The configuration on which all processes that share a lock have to agree.

use super::head::Kind;
use super::site::{MODE, Role, Spec};
use crate::limits;
use crate::object::{Schema, SchemaText};
use crate::units::Key;
use bytemuck::Pod;
use std::time::Duration;

/// The key of a lock and the names of its members. Every process opens the lock with the same
/// configuration, each as another member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockConf {
    /// Key of the segment and of the semaphores, used for nothing else.
    pub key: Key,
    /// Names of the members. Each process that uses the lock opens it under a name of its own.
    pub members: Vec<String>,
    /// Permission bits.
    pub mode: u32,
    /// How long an open waits for a dying process of the same name, in milliseconds.
    pub wait_ms: u64,
}

impl LockConf {
    /// Returns a configuration with this key and these members, and defaults for the rest.
    ///
    /// ```
    /// use hotpool::sync::LockConf;
    /// use hotpool::units::Key;
    ///
    /// let conf = LockConf::new(Key(0x4850_0f00), ["zone", "world"]);
    /// assert_eq!(conf.members.len(), 2);
    /// ```
    pub fn new(key: Key, members: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let members = members.into_iter().map(Into::into).collect();
        LockConf { key, members, mode: MODE, wait_ms: limits::OWNER_WAIT_MS }
    }

    /// Describes a lock with a value of this type.
    pub(super) fn spec<T: Pod + Schema>(&self, kind: Kind, body_bytes: u64) -> Spec<'_> {
        Spec {
            schema: SchemaText::of::<T>(),
            fingerprint: T::FINGERPRINT,
            fields: T::FIELDS,
            value_bytes: size_of::<T>() as u64,
            ..self.plain(kind, body_bytes)
        }
    }

    /// Describes a lock without a value.
    pub(super) fn plain(&self, kind: Kind, body_bytes: u64) -> Spec<'_> {
        Spec {
            key: self.key,
            mode: self.mode,
            wait: Duration::from_millis(self.wait_ms.min(limits::MAX_OWNER_WAIT_MS)),
            kind,
            members: self.members.iter().map(|name| (name.as_str(), Role::Both)).collect(),
            fingerprint: 0,
            fields: &[],
            schema: String::new(),
            value_bytes: 0,
            capacity: 0,
            policy: 0,
            payload_bytes: 0,
            body_bytes,
        }
    }
}
