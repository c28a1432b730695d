//! Stubs: attributes to paste into the source.

use super::scalar::Scalar;
use super::shape::{Kind, Member, Shape};

/// Returns the field with a default, to be pasted.
pub(super) fn with_default(field: &Member<'_>) -> String {
    let Member { name, type_name, shape, .. } = field;
    match default(shape, type_name) {
        Some(value) => format!("#[pool(default = {value})] {name}: {type_name},"),
        None => format!("#[pool(default)] {name}: {type_name},"),
    }
}

/// Returns the field with its former name, to be pasted.
pub(super) fn with_was(field: &Member<'_>, was: &str) -> String {
    let Member { name, type_name, .. } = field;
    format!("#[pool(was = \"{was}\")] {name}: {type_name},")
}

/// Returns a default that is not that of `Default`.
fn default(shape: &Shape<'_>, type_name: &str) -> Option<String> {
    Some(match &shape.kind {
        Kind::Scalar(Scalar::Int(_)) => "0".to_owned(),
        Kind::Scalar(Scalar::Float(_)) => "0.0".to_owned(),
        Kind::Scalar(Scalar::Bool) => "false".to_owned(),
        Kind::Scalar(Scalar::Char) => "' '".to_owned(),
        Kind::Scalar(Scalar::NonZero(int)) => format!("NonZero::<{int}>::MIN"),
        Kind::Array { len, of } => format!("[{}; {len}]", default(of, "")?),
        Kind::Enum { variants, .. } if !type_name.is_empty() => {
            let variant = variants.iter().find(|variant| variant.members.is_empty())?;
            let path = type_name.split('<').next().filter(|path| *path != "Maybe")?;
            format!("{path}::{}", variant.name)
        }
        _ => return None,
    })
}
