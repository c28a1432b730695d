//! Searches for the pool of a process in places that its ini does not name: another backend,
//! another base key.

use crate::conf::{BackendKind, ConfMgr, Place, ProcessConf, key_plan};
use crate::layout::{BASE_KIND, MAGIC_READY};
use crate::pool::start::agree::{self, Stored, where_is};
use crate::pool::start::disagreement::{
    Disagreement, NOT_LISTED, OTHER_BACKEND, OTHER_BASE, OTHER_DIR, SAME_NAME, SEMAPHORES_ALONE, Severity,
};
use crate::pool::store::base::Base;
use crate::share::{
    Facts, Home, LockFacts, Observed, ShareError, Verdict, list_pools, observe, was_in_other_folder,
};
use crate::units::Key;

/// Returns whether a complete base belongs to this process and this user.
fn is_of(conf: &ProcessConf, facts: &Facts) -> bool {
    let mine = facts
        .segment
        .as_ref()
        .is_some_and(|segment| !segment.removed && segment.uid == crate::sys::sysv::effective_uid());
    let name = |name: &String| *name == conf.name || conf.former_name.as_ref() == Some(name);
    mine && facts.head().is_some_and(|head| {
        head.magic == MAGIC_READY && head.sound && head.kind == BASE_KIND && name(&head.process)
    })
}

/// Returns the disagreement of a cold start if the pool of the process is under its key in another
/// backend.
///
/// Only keys of this process are read, so that no pool of another process is touched.
pub(crate) fn in_other_backend(conf: &ProcessConf) -> Vec<Disagreement> {
    if conf.backend == BackendKind::Heap {
        return Vec::new();
    }
    let others = [BackendKind::Sysv, BackendKind::Posix].into_iter().filter(|other| *other != conf.backend);
    let found = others.filter_map(|backend| {
        let home = Home { backend, ..Home::sysv() };
        observe(conf.base_key, &home).ok().filter(|facts| is_of(conf, facts)).map(|_| {
            let said = format!(
                "the pool of {} waits under {} in {}, but the ini names {}",
                conf.name,
                conf.base_key,
                where_is(&home),
                where_is(&Home::of(conf))
            );
            let remove = match backend {
                BackendKind::Sysv => format!("`hotpool rm --key {}`", conf.base_key),
                other => format!("`hotpool rm --conf` of an ini with Backend = {}", other.name()),
            };
            let next = format!(
                "set Backend = {}, or give up its objects with {remove} and start cold",
                backend.name()
            );
            agree::found(conf, &OTHER_BACKEND, said, next)
        })
    });
    found.collect()
}

/// Returns the disagreement about semaphores of an earlier owner without a pool.
pub(crate) fn semaphores_alone(conf: &ProcessConf) -> Disagreement {
    let home = Home::of(conf);
    if was_in_other_folder(conf.base_key, &home) {
        let said = format!(
            "the last pool under {} was in another folder, and {} has no pool",
            conf.base_key,
            where_is(&home)
        );
        let next = format!(
            "set Backend = file and the Dir of that pool to resume it; if it is gone, or to give up its objects, run \
             {} and start cold",
            agree::removal(conf)
        );
        return agree::found(conf, &OTHER_DIR, said, next);
    }
    let said = format!(
        "an earlier owner has left semaphores under {}, but {} has no pool",
        conf.base_key,
        where_is(&home)
    );
    let next = "if the segments were removed, nothing needs to be done".into();
    agree::found(conf, &SEMAPHORES_ALONE, said, next)
}

/// Returns pools of this process on the same backend under other base keys.
fn under_other_key(conf: &ProcessConf) -> Vec<Disagreement> {
    let Ok(listing) = list_pools(&Home::of(conf)) else { return Vec::new() };
    let own = [conf.base_key, key_plan::post_mortem(conf.base_key)];
    let waits = |pool: &&crate::share::PoolFacts| !matches!(pool.base.lock, LockFacts::Held { .. });
    let others = listing
        .pools
        .iter()
        .filter(waits)
        .filter(|pool| !own.contains(&pool.base.key) && is_of(conf, &pool.base));
    let tell = |pool: &crate::share::PoolFacts| {
        let key = pool.base.key;
        let shared = pool.blocks.iter().find(|block| conf.shm_keys.contains(&block.key));
        let next =
            format!("set BaseKey = {key} to resume it, or give up its objects with `hotpool rm --key {key}`");
        match shared {
            Some(block) => Some({
                let said = format!("the pool of {} under {key} has the block {}", conf.name, block.key);
                agree::found(conf, &OTHER_BASE, said, next)
            }),
            // Many pools of a host may have had the same name at some time.
            None => (pool.base.head()?.process == conf.name).then(|| {
                let said = format!(
                    "there is no pool under {}, but one with the name {} under {key}",
                    conf.base_key, conf.name
                );
                agree::found(conf, &SAME_NAME, said, next)
            }),
        }
    };
    others.filter_map(tell).collect()
}

/// Returns a refusal that names the pool to which a block under a key of this process belongs.
#[cold]
pub(crate) fn owner_of_block(conf: &ProcessConf, block: &Facts) -> Option<Disagreement> {
    let pool_id = block.head().filter(|head| head.sound)?.pool_id;
    let listing = list_pools(&Home::of(conf)).ok()?;
    let named = |facts: &Facts| facts.head().is_some_and(|head| head.pool_id == pool_id);
    let base = &listing.pools.iter().find(|pool| named(&pool.base))?.base;
    let (key, process) = (base.key, base.head()?.process.clone());
    if key == conf.base_key {
        return None;
    }
    let said = format!("{} is a block of the pool of {process} under {key}", block.key);
    let next = match process == conf.name {
        true => format!(
            "set BaseKey = {key} to resume that pool, or give up its objects with `hotpool rm --key {key}`"
        ),
        false => format!(
            "choose another key for {}, or give up the objects of {process} with `hotpool rm --key {key}`",
            conf.name
        ),
    };
    Some(Disagreement { place: conf.places.shm_keys.clone(), ..agree::found(conf, &OTHER_BASE, said, next) })
}

/// Returns every disagreement between an ini and the host about one process, without a change.
///
/// # Errors
///
/// Fails if the system does not report the segment under the base key. A segment that is no pool of
/// hotpool has no disagreement: its verdict describes it.
pub fn disagreements(conf: &ProcessConf) -> Result<Vec<Disagreement>, ShareError> {
    if conf.backend == BackendKind::Heap {
        return Ok(Vec::new());
    }
    let compared = Observed::steadily(conf.base_key, &Home::of(conf), |observed: &mut Observed| {
        let Ok(base) = Base::find(observed.base()) else { return Ok::<_, ShareError>(Vec::new()) };
        let stored = Stored { base: &base, facts: observed.facts(), page: observed.page() };
        let mut found = agree::compare(conf, &stored);
        found.extend(agree::compare_types(conf, &base));
        Ok(found)
    });
    match compared {
        Ok(found) => Ok(found),
        Err(ShareError::Refused {
            verdict: Verdict::Absent | Verdict::Unfinished | Verdict::Busy { .. },
            facts,
        }) => {
            let mut found = in_other_backend(conf);
            found.extend(under_other_key(conf));
            // A pool of the same name, which is only told, does not hide what a start refuses.
            let is_refused = found.iter().any(|one| one.rule.severity == Severity::Refused);
            let is_alone = facts.segment.is_none() && matches!(facts.lock, LockFacts::Free { .. });
            if !is_refused && is_alone {
                found.push(semaphores_alone(conf));
            }
            Ok(found)
        }
        Err(ShareError::Refused { .. } | ShareError::Block { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Returns pools in the key range of an ini that belong to none of its processes.
///
/// The key range is the worlds and zones of the ini in the key plan.
pub fn not_listed(conf: &ConfMgr) -> Vec<Disagreement> {
    let zone = |key: Key| key_plan::coordinates(key).map(|at| (at.world, at.zone));
    let processes = conf.processes();
    let zones: Vec<_> = processes.iter().filter_map(|process| zone(process.base_key)).collect();
    let Ok(listing) = list_pools(&Home::sysv()) else { return Vec::new() };
    let left = listing.pools.iter().map(|pool| &pool.base).filter(|base| {
        let known = processes.iter().any(|process| process.base_key == base.key);
        let is_in_range = zone(base.key).is_some_and(|zone| zones.contains(&zone));
        let complete = base.head().is_some_and(|head| head.magic == MAGIC_READY && head.kind == BASE_KIND);
        is_in_range && !known && complete
    });
    let tell = |base: &Facts| {
        let process = base.head().map(|head| head.process.clone()).unwrap_or_default();
        let key = base.key;
        Disagreement {
            rule: &NOT_LISTED,
            place: Place {
                file: conf.file().to_owned(),
                section: "common".into(),
                key: "ProcessList".into(),
                ..Place::default()
            },
            found: format!(
                "the pool of {process} under {key} lies in the key range of this ini, but no process has that BaseKey"
            ),
            next: format!("put {process} back, or give up its objects with `hotpool rm --key {key}`"),
        }
    };
    left.map(tell).collect()
}
