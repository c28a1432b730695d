//! The queues that an ini declares, for the verbs that deal with everything that an ini has.

use crate::exit::Exit;
use crate::human;
use crate::remains::Remains;
use hotpool::ConfMgr;
use hotpool::conf::ConfError;
use hotpool::queue::{QueueFacts, observe};
use hotpool::sync::{self, parts};
use hotpool::units::{Key, plural};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;

/// A queue of an ini and what was found under its key.
pub(crate) struct DeclaredQueue {
    name: String,
    key: Key,
    found: io::Result<Option<QueueFacts>>,
    remains: Remains,
}

/// Returns the queues of these inis; none if only some processes of them are named.
pub(crate) fn queues(inis: &[PathBuf], processes: &[String]) -> Result<Vec<DeclaredQueue>, ConfError> {
    if !processes.is_empty() {
        return Ok(Vec::new());
    }
    let confs = ConfMgr::load_fleet(inis)?;
    let all = confs.iter().flat_map(|conf| conf.queues());
    let look = |name: &String, key| {
        let (found, parts) = (observe(key), parts(key));
        let is_queue = matches!(found, Ok(Some(_)));
        let found = parts.and_then(|parts| Ok((found?, Remains::of(parts, is_queue))));
        let (found, remains) = match found {
            Ok((found, remains)) => (Ok(found), remains),
            Err(error) => (Err(error), Remains::Whole),
        };
        DeclaredQueue { name: name.clone(), key, found, remains }
    };
    Ok(all.map(|queue| look(&queue.name, queue.key)).collect())
}

impl DeclaredQueue {
    /// Returns whether something is under its key.
    pub(crate) fn exists(&self) -> bool {
        self.found.is_err() || self.remains != Remains::Absent
    }

    /// Returns the members that live.
    fn living(&self) -> usize {
        let Ok(Some(facts)) = &self.found else { return 0 };
        let writers = facts.writers.iter().filter(|writer| writer.process.is_some()).count();
        writers + facts.readers.iter().filter(|reader| reader.process.is_some()).count()
    }

    /// Returns its state in one word.
    fn state(&self) -> &'static str {
        match &self.found {
            Err(_) => "failed",
            Ok(Some(facts)) if !facts.damage.is_empty() => "damaged",
            Ok(_) => self.remains.word().unwrap_or("sound"),
        }
    }

    /// Returns the exit code of a check.
    pub(crate) fn exit(&self) -> Exit {
        match &self.found {
            Err(_) => Exit::Environment,
            Ok(Some(facts)) if !facts.damage.is_empty() => Exit::Damage,
            Ok(_) => self.remains.exit(),
        }
    }

    /// Returns one line on its state, and one on each broken rule.
    pub(crate) fn lines(&self) -> Vec<String> {
        let name = format!("{} (queue {})", self.key, human::printable(&self.name));
        let facts = match &self.found {
            Err(error) => return vec![format!("{name}: failed: {error}")],
            Ok(None) => return vec![format!("{name}: {}: {}", self.state(), self.remains.why())],
            Ok(Some(facts)) => facts,
        };
        let mut lines = vec![format!(
            "{name}: {}: {} of {}, {} sent, {} of {} alive",
            self.state(),
            facts.kind,
            plural(facts.capacity, "message"),
            facts.sent,
            self.living(),
            plural((facts.writers.len() + facts.readers.len()) as u64, "member"),
        )];
        if let Remains::Half(why) = self.remains {
            lines.push(format!("  {why}"));
        }
        lines.extend(facts.damage.iter().map(|damage| format!("  damaged: {}", human::printable(damage))));
        lines
    }

    /// Returns why it cannot be removed.
    pub(crate) fn refusal(&self) -> Option<String> {
        let living = self.living();
        let why = match &self.found {
            Err(error) => error.to_string(),
            Ok(_) => match self.remains {
                Remains::Foreign(why) => format!("{why}; choose another Key"),
                _ if living == 0 => return None,
                _ => format!("{} of it alive; stop them first", plural(living as u64, "member")),
            },
        };
        Some(format!("{} (queue {}): refused: {why}", self.key, human::printable(&self.name)))
    }

    /// Removes it with all its messages; returns the line that says so.
    pub(crate) fn remove(&self) -> Result<String, String> {
        let name = format!("{} (queue {})", self.key, human::printable(&self.name));
        match sync::remove(self.key) {
            Ok(true) => Ok(format!("{name}: removed")),
            Ok(false) => Ok(format!("{name}: nothing to remove")),
            Err(error) => Err(format!("{name}: refused: {error}")),
        }
    }

    /// Returns why it is not sound.
    fn reason(&self) -> Option<String> {
        match &self.found {
            Err(error) => Some(error.to_string()),
            Ok(_) => Some(self.remains.why().to_owned()).filter(|why| !why.is_empty()),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let facts = self.found.as_ref().ok().and_then(Option::as_ref);
        json!({
            "name": self.name,
            "key": self.key.to_string(),
            "state": self.state(),
            "reason": self.reason(),
            "kind": facts.map(|facts| facts.kind),
            "sent": facts.map(|facts| facts.sent),
            "living": self.living(),
            "damage": facts.map(|facts| facts.damage.clone()).unwrap_or_default(),
        })
    }
}
