//! Which renames of the ini concern a type of a build.

use crate::conf::{ProcessConf, RenameConf};
use crate::object::{Change, How};
use crate::pool::error::PoolError;

/// Renames of the ini, with the positions that the report names.
pub(crate) struct Renames<'a>(Vec<(&'a RenameConf, String)>);

impl<'a> Renames<'a> {
    /// Returns the renames of the type `name`, whose fields are `fields`, as a schema text names them.
    ///
    /// A line about a field that this build does not have yet, but by its former name, is for a later
    /// build, and has no effect.
    ///
    /// # Errors
    ///
    /// A line is about a field that this build has by neither name, or by both.
    pub(crate) fn of(conf: &'a ProcessConf, name: &str, fields: &[String]) -> Result<Self, PoolError> {
        let has = |path: &String| fields.contains(path);
        let mut found = Vec::new();
        for one in conf.renames.iter().filter(|one| one.is_of(name)) {
            let former = one.was.iter().find(|was| has(was));
            let what = match (has(&one.field), former) {
                (true, None) => {
                    found.push((one, place(one)));
                    continue;
                }
                (false, Some(_)) => continue,
                (true, Some(was)) => format!("`{name}` of this build has both `{}` and `{was}`", one.field),
                (false, None) => {
                    let near = one.nearest(fields);
                    let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
                    format!("`{name}` of this build has no field `{}`{near}", one.field)
                }
            };
            return Err(PoolError::BadRename { line: one.to_string(), what });
        }
        Ok(Renames(found))
    }

    /// Returns them as changes, like those that a source declares.
    pub(crate) fn changes(&self) -> Vec<Change<'_>> {
        let all = self.0.iter().flat_map(|(one, place)| one.was.iter().map(move |was| (one, place, was)));
        all.map(|(one, place, was)| Change { field: &one.field, how: How::WasByIni(was, place) }).collect()
    }
}

/// Returns where a line is, for the report.
fn place(one: &RenameConf) -> String {
    match one.place.line {
        0 => one.to_string(),
        line => format!("{}:{line}", one.place.file.display()),
    }
}
