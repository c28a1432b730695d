//! Plans: how the bytes of stored objects become objects of this build.

use super::batch::{Batch, Misfits, Part};
use super::matcher::Matcher;
use super::migration::Migration;
#[cfg(feature = "schemas")]
use super::migration::is_layout;
use super::misfit::Misfit;
use super::op::{Op, run};
use super::refusal::Refusal;
use super::shape::Shape;
use super::source::function_to_write;
use super::step::Step;
use super::tree::Tree;
use crate::object::desc::Rule;
use crate::object::schema_diff::diff_lines;
use crate::object::schema_text::flatten;
#[cfg(feature = "schemas")]
use crate::object::schemas::TypeSchema;
use crate::object::{Change, Field, PoolObject, StoredField, check_rule};

/// A type of this build, into which stored objects are converted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewType {
    /// Name of the type in the pool.
    pub(crate) name: &'static str,
    pub(crate) size: usize,
    pub(crate) fields: &'static [Field],
    pub(crate) rule: &'static Rule,
    pub(crate) changes: &'static [Change<'static>],
    pub(crate) migrations: &'static [Migration],
}

/// How each object of a type is converted.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    old_size: usize,
    new_size: usize,
    way: Way,
    steps: Vec<Step>,
}

/// How the bytes are converted.
#[derive(Clone, Debug)]
enum Way {
    /// Field by field, to bytes that keep a rule, of which these parts can be broken.
    Ops(Vec<Op>, &'static Rule, Vec<Part>),
    /// By a function of the program.
    Function(Migration),
}

impl NewType {
    /// Describes `T`.
    pub(crate) const fn of<T: PoolObject>() -> Self {
        let (fields, rule, changes) = (T::FIELDS, T::RULE, T::CHANGES);
        let (name, migrations) = (T::NAME, T::MIGRATIONS);
        NewType { name, size: size_of::<T>(), fields, rule, changes, migrations }
    }
}

impl Plan {
    /// Plans how objects with the fields `old`, of `old_size` bytes each, become objects of `new`.
    /// `renames` are the changes that the ini declares.
    ///
    /// Evaluates the declared defaults, each once. A function that is declared for exactly the stored
    /// layout comes before everything else.
    ///
    /// # Errors
    ///
    /// Refuses a change that would lose or invent data without an attribute that says so, and a
    /// schema that describes no type.
    pub(crate) fn of(
        old: &[StoredField],
        old_size: u64,
        new: &NewType,
        renames: &[Change<'_>],
    ) -> Result<Plan, Refusal> {
        if let Some(found) = new.migrations.iter().find(|migration| migration.is_from(old, old_size)) {
            let (old_size, steps) = (found.size(), vec![by_function(new.name)]);
            return Ok(Plan { old_size, new_size: new.size, way: Way::Function(*found), steps });
        }
        let mut tree = Tree::of_fields(new.fields, new.size as u64, new.changes);
        tree.changes.extend(renames);
        let (ops, steps) = matched(old, old_size, new.name, &tree, || flatten(new.fields))?;
        let mut parts = Vec::new();
        new.rule.add_parts(0, &mut parts);
        let (old_size, way) = (old_size as usize, Way::Ops(ops, new.rule, parts));
        Ok(Plan { old_size, new_size: new.size, way, steps })
    }

    /// Returns what happens to each field of objects with the fields `old` if a program with the type
    /// `new` starts, as [`of`](Self::of) plans it.
    ///
    /// # Errors
    ///
    /// Returns the refusal that the start would report.
    #[cfg(feature = "schemas")]
    pub(crate) fn steps_of(
        old: &[StoredField],
        old_size: u64,
        new: &TypeSchema,
        renames: &[Change<'_>],
    ) -> Result<Vec<Step>, Refusal> {
        if new.functions.iter().any(|function| is_layout(&function.lines(), function.bytes, old, old_size)) {
            return Ok(vec![by_function(&new.name)]);
        }
        let mut tree = Tree::of_schema(new).map_err(Refusal::Damaged)?;
        tree.changes.extend(renames);
        let (_, steps) = matched(old, old_size, &new.name, &tree, || new.lines())?;
        Ok(steps)
    }

    /// Converts all objects of a batch.
    ///
    /// # Errors
    ///
    /// Counts the objects that do not fit, or are no values of their type. All new bytes may have been
    /// written then.
    pub(crate) fn convert_all(&self, batch: &mut Batch<'_>) -> Result<(), Misfits> {
        let (old, new) = (self.old_size, self.new_size);
        if let Way::Ops(ops, _, parts) = &self.way {
            if batch.run(ops, old, new).is_ok() && batch.are_values(parts) {
                return Ok(());
            }
            batch.clear(new);
        }
        batch.each(old, new, |old, new| self.convert(old, new))
    }

    /// Converts an object. `new` has the size of the new type, and all its bytes are zero.
    ///
    /// # Errors
    ///
    /// The object does not fit, or is no value of its type. `new` may have been written then.
    pub(crate) fn convert(&self, old: &[u8], new: &mut [u8]) -> Result<(), Misfit> {
        if old.len() != self.old_size || new.len() != self.new_size {
            return Err(Misfit::short());
        }
        match &self.way {
            Way::Function(migration) => migration.convert(old, new),
            Way::Ops(ops, rule, _) => {
                run(ops, old, new)?;
                if rule.any_bits { Ok(()) } else { check_rule(rule, new).map_err(Misfit::from) }
            }
        }
    }

    /// Returns what happens to each field.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// Matches the stored fields with those of `new`, whose lines `lines` returns.
fn matched(
    old: &[StoredField],
    old_size: u64,
    name: &str,
    new: &Tree<'_>,
    lines: impl FnOnce() -> Vec<StoredField>,
) -> Result<(Vec<Op>, Vec<Step>), Refusal> {
    let tree = Tree::of_lines(old, old_size).map_err(Refusal::Damaged)?;
    let stored = Shape::of_object(&tree).map_err(Refusal::Damaged)?;
    let wanted = Shape::of_object(new).map_err(Refusal::Damaged)?;
    let (ops, steps, reasons) = Matcher::default().object(&stored, &wanted);
    if reasons.is_empty() {
        return Ok((ops, steps));
    }
    let differences = diff_lines(old, old_size, &lines(), new.size);
    let needs_function = reasons.iter().any(|reason| reason.write.is_empty());
    let function = needs_function.then(|| function_to_write((old, old_size), &stored, &wanted, name));
    let function = function.and_then(Result::ok);
    Err(Refusal::Changed { name: name.to_owned(), reasons, differences, function })
}

/// Returns the step of a type that a function of the program converts.
fn by_function(name: &str) -> Step {
    let what = "converted by the function that `migration!` declares".to_owned();
    Step { field: name.to_owned(), what, by_ini: false }
}
