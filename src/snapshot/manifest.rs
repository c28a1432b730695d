//! The manifest of a set: what it is an image of, and which parts it has.

use super::error::SetError;
use super::part::FORMAT;
use crate::conf::BackendKind;
use crate::units::{Bytes, Key};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a set is an image of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetInfo {
    /// Process in the ini.
    pub process: String,
    /// Backend of its segments.
    pub backend: BackendKind,
    /// Key and length of the base.
    pub base: (Key, Bytes),
    /// Keys of the blocks, in the order of their numbers.
    pub blocks: Vec<Key>,
    /// Length of a block.
    pub block_size: Bytes,
    /// Moment of the image, in nanoseconds of the wall clock.
    pub taken_ns: u64,
    /// Start of the pool, counted from 1.
    pub epoch: u64,
    /// Boot of the host.
    pub boot: String,
    /// Layout version of the segments.
    pub layout: u32,
    /// Types of the objects.
    pub types: Vec<SetType>,
}

/// A type of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SetType {
    /// Type number.
    pub id: u32,
    /// Name of the struct.
    pub name: String,
    /// Number of objects.
    pub objects: u64,
    /// Schema.
    pub schema: String,
}

impl SetType {
    /// Describes a type.
    pub fn new(id: u32, name: &str, objects: u64, schema: &str) -> Self {
        SetType { id, name: name.into(), objects, schema: schema.into() }
    }
}

impl SetInfo {
    /// Describes a pool without types, at this moment and of this host.
    pub fn new(
        process: &str,
        backend: BackendKind,
        base: (Key, Bytes),
        blocks: &[Key],
        block: Bytes,
    ) -> Self {
        SetInfo {
            process: process.into(),
            backend,
            base,
            blocks: blocks.to_vec(),
            block_size: block,
            taken_ns: crate::sys::wall_nanos(),
            epoch: 0,
            boot: hex(crate::sys::boot_id()),
            layout: crate::layout::LAYOUT_VERSION,
            types: Vec::new(),
        }
    }

    /// Returns the number of segments: the base and the blocks.
    pub fn segments(&self) -> u32 {
        self.blocks.len() as u32 + 1
    }

    /// Returns the name of the folder of a set with this identity. Names sort by time.
    pub(super) fn folder(&self, id: &str) -> String {
        let seconds = self.taken_ns / 1_000_000_000;
        let id = id.get(..8).unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let process = self.process.replace(|c: char| !is_plain(c), "_");
        format!("{process}-{seconds:010}-{id}")
    }

    /// Returns the length of a segment; 0 for the base, else the number of the block + 1.
    pub fn segment_bytes(&self, segment: u32) -> u64 {
        if segment == 0 { self.base.1.0 } else { self.block_size.0 }
    }
}

/// A manifest as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<String>,
    pub(super) process: String,
    pub(super) backend: String,
    pub(super) base_key: u32,
    pub(super) base_bytes: u64,
    pub(super) block_keys: Vec<u32>,
    pub(super) block_size: u64,
    pub(super) chunk: u32,
    pub(super) taken_ns: u64,
    pub(super) epoch: u64,
    pub(super) boot: String,
    pub(super) layout: u32,
    #[serde(default)]
    pub(super) types: Vec<SetType>,
    #[serde(default)]
    pub(super) parts: Vec<PartLine>,
}

/// One part of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartLine {
    pub(super) file: String,
    pub(super) segment: u32,
    pub(super) bytes: u64,
    pub(super) chunks: u64,
    pub(super) check: u32,
}

/// What stands before the checksum in the last line of a manifest.
const CHECK: &str = "\n# crc32c ";

impl Manifest {
    /// Returns the text, whose last line is the checksum of all others.
    pub(super) fn encode(&self) -> Result<String, toml::ser::Error> {
        let text = toml::to_string(self)?;
        let text = text.trim_end();
        Ok(format!("{text}{CHECK}{:08x}\n", crc32c::crc32c(text.as_bytes())))
    }

    /// Reads the text of the manifest at `path`.
    pub(super) fn decode(text: &str, path: &Path) -> Result<Manifest, SetError> {
        let refused = |why: String| SetError::Manifest { path: path.to_path_buf(), why };
        let Some((body, sum)) = text.rsplit_once(CHECK) else {
            return Err(refused("its last line is no checksum".into()));
        };
        if sum != format!("{:08x}\n", crc32c::crc32c(body.as_bytes())) {
            return Err(refused("its checksum is wrong".into()));
        }
        let table: toml::Table = body.parse().map_err(|error| refused(format!("{error}")))?;
        let format = table.get("format").and_then(toml::Value::as_integer).unwrap_or(0);
        if format > FORMAT.into() {
            let format = u32::try_from(format).unwrap_or(u32::MAX);
            return Err(SetError::Newer { path: path.to_path_buf(), format, known: FORMAT });
        }
        let manifest: Manifest = table.try_into().map_err(|error| refused(format!("{error}")))?;
        manifest.check().map_err(refused)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("the format {} does not exist", self.format));
        }
        if self.backend_kind().is_none() {
            return Err(format!("the backend `{}` does not exist", self.backend));
        }
        if !self.chunk.is_power_of_two() || !(4096..=64 << 20).contains(&self.chunk) {
            return Err(format!("a chunk cannot have {} bytes", self.chunk));
        }
        if self.block_keys.len() > crate::limits::MAX_BLOCKS as usize {
            return Err(format!("{} blocks are more than a pool can have", self.block_keys.len()));
        }
        let most = |bytes: u64| bytes == 0 || bytes > 1 << 46;
        if most(self.base_bytes) || most(self.block_size) {
            return Err("the length of a segment is out of range".into());
        }
        if self.id().is_none() {
            return Err(format!("`{}` is no identity of a set", self.id));
        }
        let in_order = (0..).zip(&self.parts).all(|(at, part)| part.segment == at);
        if !in_order || self.parts.len() != self.block_keys.len() + 1 {
            return Err("it does not name one part for each segment".into());
        }
        if self.parts.iter().any(|part| part.file != part_name(part.segment)) {
            return Err("a part has another name than the part of its segment".into());
        }
        Ok(())
    }

    fn backend_kind(&self) -> Option<BackendKind> {
        BackendKind::ALL.into_iter().find(|kind| kind.name() == self.backend)
    }

    /// Returns the identity as in the parts.
    pub(super) fn id(&self) -> Option<[u64; 2]> {
        let (high, low) = self.id.split_at_checked(16).filter(|(_, low)| low.len() == 16)?;
        Some([u64::from_str_radix(high, 16).ok()?, u64::from_str_radix(low, 16).ok()?])
    }

    /// Returns what the set is an image of.
    pub(super) fn info(&self) -> SetInfo {
        SetInfo {
            process: self.process.clone(),
            backend: self.backend_kind().unwrap_or_default(),
            base: (Key(self.base_key), Bytes(self.base_bytes)),
            blocks: self.block_keys.iter().copied().map(Key).collect(),
            block_size: Bytes(self.block_size),
            taken_ns: self.taken_ns,
            epoch: self.epoch,
            boot: self.boot.clone(),
            layout: self.layout,
            types: self.types.clone(),
        }
    }

    /// Returns the manifest of a set without parts.
    pub(super) fn of(info: &SetInfo, id: [u64; 2], parent: Option<&str>, chunk: u32) -> Manifest {
        Manifest {
            format: FORMAT,
            id: hex(id),
            parent: parent.map(String::from),
            process: info.process.clone(),
            backend: info.backend.name().into(),
            base_key: info.base.0.0,
            base_bytes: info.base.1.0,
            block_keys: info.blocks.iter().map(|key| key.0).collect(),
            block_size: info.block_size.0,
            chunk,
            taken_ns: info.taken_ns,
            epoch: info.epoch,
            boot: info.boot.clone(),
            layout: info.layout,
            types: info.types.clone(),
            parts: Vec::new(),
        }
    }
}

/// Returns the digits of an identity.
pub(super) fn hex(id: [u64; 2]) -> String {
    format!("{:016x}{:016x}", id[0], id[1])
}

/// Returns the file name of the part of a segment.
pub(super) fn part_name(segment: u32) -> String {
    match segment.checked_sub(1) {
        None => "base.part".into(),
        Some(block) => format!("block-{block:04}.part"),
    }
}
