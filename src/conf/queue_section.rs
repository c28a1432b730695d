//! Reads `[queue.NAME]` to a [`QueueConf`].

use super::collide::KeyUse;
use super::ini::Section;
use super::nearest::nearest;
use super::problem::{Found, ProblemKind};
use super::queue::{OnDead, OnSlow, QueueConf, QueueKind};
use super::report::{Report, Spot};
use super::rules;
use super::section::{Fields, check_keys, named_items, one_key};
use super::values;
use crate::limits;
use crate::units::Bytes;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What the name of a queue follows in the header of its section.
pub(super) const PREFIX: &str = "queue";

/// The keys of a queue, in the order in which they are documented.
pub(crate) const QUEUE_KEYS: &[&str] = &[
    "Key",
    "Kind",
    "Capacity",
    "MessageSize",
    "PayloadBytes",
    "Writers",
    "Readers",
    "OnDead",
    "OnSlow",
    "Mode",
    "WaitMs",
];

const CAPACITY: RangeInclusive<u32> = 1..=limits::MAX_CHUNKS as u32 - limits::MAX_MEMBERS as u32;
const MESSAGE_SIZE: RangeInclusive<Bytes> = Bytes(1)..=Bytes(limits::MAX_MESSAGE_BYTES);
const PAYLOAD: RangeInclusive<Bytes> = Bytes(1)..=Bytes(limits::MAX_BLOCK_BYTES);
const HOLD_SECONDS: RangeInclusive<u64> = 1..=86_400;

/// Reads one queue; returns `None` if a part of it is invalid. Adds its key to `keys` in either
/// case.
pub(super) fn queue(
    section: &Section<'_>,
    processes: &[&str],
    keys: &mut Vec<KeyUse>,
    report: &mut Report<'_>,
) -> Option<QueueConf> {
    check_keys(section, QUEUE_KEYS, report);
    let name = section.name.text.split_once('.').map_or("", |(_, name)| name);
    let name = report.keep(Spot::section(section.name), rules::name(name, limits::MAX_PROCESS_NAME));
    let fields = Fields { section, known: QUEUE_KEYS };

    let key = fields.require("Key", "Key = 0x48500f01", report);
    let key = key.and_then(|spot| one_key(spot, keys, report));
    let kind = fields.require("Kind", "Kind = channel", report);
    let kind = kind
        .and_then(|spot| report.keep(spot, values::choice(spot.span.text, &QueueKind::ALL, QueueKind::name)));
    let capacity = fields.require("Capacity", "Capacity = 4096", report);
    let capacity = capacity.and_then(|spot| report.keep(spot, values::number(spot.span.text, &CAPACITY)));
    let size_at = fields.require("MessageSize", "MessageSize = 256", report);
    let size = size_at.and_then(|spot| report.keep(spot, values::bytes(spot.span.text, &MESSAGE_SIZE)));
    let payload_at = fields.get("PayloadBytes");
    let payload = match payload_at {
        Some(spot) => report.keep(spot, values::bytes(spot.span.text, &PAYLOAD)),
        None => Some(Bytes(0)),
    };
    let writers = members(fields.require("Writers", "Writers = zone", report), processes, report);
    let readers = members(fields.require("Readers", "Readers = world", report), processes, report);
    let on_dead = fields.optional("OnDead", OnDead::Hold, self::on_dead, report);
    let slow = |text: &str| values::choice(text, &OnSlow::ALL, OnSlow::name);
    let on_slow = fields.optional("OnSlow", OnSlow::Block, slow, report);
    let mode = fields.optional("Mode", 0o600, values::mode, report);
    let wait = |text: &str| values::number(text, &rules::OWNER_WAIT_MS);
    let wait_ms = fields.optional("WaitMs", limits::OWNER_WAIT_MS, wait, report);

    if kind.is_some_and(|kind| kind != QueueKind::Channel) {
        for spot in ["OnDead", "OnSlow"].into_iter().filter_map(|key| fields.get(key)) {
            report.add(spot, ProblemKind::PolicyUnused);
        }
    }
    if let (Some(capacity), Some(size), Some(spot)) = (capacity, size, size_at) {
        report.keep(spot, fits(capacity, size))?;
    }
    let conf = QueueConf {
        name: name?.to_owned(),
        key: key?,
        kind: kind?,
        capacity: capacity?,
        message_bytes: size?,
        payload_bytes: payload?,
        writers: writers?,
        readers: readers?,
        on_dead: on_dead?,
        on_slow: on_slow?,
        mode: mode?,
        wait_ms: wait_ms?,
        place: report.place(Spot::section(section.name)),
    };
    if let Some(spot) = payload_at {
        report.keep(spot, payload_fits(&conf))?;
    }
    Some(conf)
}

/// Checks that the messages of a queue fit the largest segment.
fn fits(capacity: u32, size: Bytes) -> Result<(), ProblemKind> {
    let needed = Bytes(size.0.saturating_mul(capacity.into()));
    let max = Bytes(limits::MAX_BLOCK_BYTES);
    if needed > max { Err(ProblemKind::QueueTooBig { capacity, needed, max }) } else { Ok(()) }
}

/// Checks that the payload area of each writer is of use, and that all of them fit the largest segment.
fn payload_fits(conf: &QueueConf) -> Result<(), ProblemKind> {
    let (payload, message, writers) = (conf.payload_bytes, conf.message_bytes, conf.writers.len());
    if conf.kind == QueueKind::Latest {
        return Err(ProblemKind::PayloadUnused);
    }
    if payload <= message {
        return Err(ProblemKind::PayloadTooSmall { payload, message });
    }
    let areas = payload.0.saturating_mul(writers as u64);
    let needed = Bytes(message.0.saturating_mul(conf.capacity.into()).saturating_add(areas));
    let max = Bytes(limits::MAX_BLOCK_BYTES);
    if needed > max { Err(ProblemKind::PayloadTooBig { writers, needed, max }) } else { Ok(()) }
}

/// Reads a list of processes.
fn members(spot: Option<Spot<'_>>, processes: &[&str], report: &mut Report<'_>) -> Option<Vec<String>> {
    let spot = spot?;
    let items = spot.span.items();
    match items.len() {
        0 => {
            report.add(spot, ProblemKind::NoMembers);
            return None;
        }
        found if found > limits::MAX_MEMBERS => {
            report.add(spot, ProblemKind::TooManyMembers { found });
            return None;
        }
        _ => {}
    }
    let mut names: Vec<String> = Vec::new();
    let mut sound = true;
    for item in named_items(spot, &items, report) {
        let Some(item) = item else {
            sound = false;
            continue;
        };
        let name = item.text;
        let kind = if names.iter().any(|other| other == name) {
            Some(ProblemKind::ListedTwice { name: name.into() })
        } else if !processes.contains(&name) {
            let nearest = nearest(name, processes.iter().copied());
            Some(ProblemKind::MemberNotListed { name: Found::new(name), nearest })
        } else {
            None
        };
        match kind {
            Some(kind) => {
                report.add(spot.at(item), kind);
                sound = false;
            }
            None => names.push(name.into()),
        }
    }
    sound.then_some(names)
}

/// Reads `hold`, `evict` or `hold_for 30s`.
fn on_dead(text: &str) -> Result<OnDead, ProblemKind> {
    const WORDS: [&str; 3] = ["hold", "evict", "hold_for"];
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match (values::choice(word, &WORDS, |word| word)?, rest.trim()) {
        ("hold", "") => Ok(OnDead::Hold),
        ("evict", "") => Ok(OnDead::Evict),
        ("hold_for", time) => {
            let Some(seconds) = time.strip_suffix('s') else {
                let expected = "hold_for and a time in seconds, such as hold_for 30s";
                return Err(ProblemKind::NotANumber { found: Found::new(text), expected });
            };
            Ok(OnDead::HoldFor(Duration::from_secs(values::number(seconds, &HOLD_SECONDS)?)))
        }
        _ => Err(ProblemKind::NotANumber { found: Found::new(text), expected: "one word" }),
    }
}
