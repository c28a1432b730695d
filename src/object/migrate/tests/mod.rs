//! Tests of plans: each kind of change by itself, and random ones against a model.

use super::{Misfit, NewType, Plan, Refusal};
use crate::object::{Schema, SchemaText, bytes_for_tests};

/// Declares the types of one version of a server.
macro_rules! version {
    ($version:ident { $($item:item)* }) => {
        mod $version {
            #[allow(unused_imports)]
            use super::*;
            $(#[derive(Clone, Copy, Debug, Schema)] #[allow(dead_code, reason = "only its bytes are read")] $item)*
        }
    };
}

fn new_type<T: Schema>() -> NewType {
    let (size, fields, rule, changes) = (size_of::<T>(), T::FIELDS, T::RULE, T::CHANGES);
    NewType { name: "hero", size, fields, rule, changes, migrations: &[] }
}

fn plan<Old: Schema, New: Schema>() -> Result<Plan, Refusal> {
    let old = SchemaText::parse(&SchemaText::of::<Old>()).unwrap();
    Plan::of(&old, size_of::<Old>() as u64, &new_type::<New>(), &[])
}

/// Returns what a plan does.
fn steps<Old: Schema, New: Schema>() -> String {
    plan::<Old, New>()
        .unwrap_or_else(|refusal| panic!("{refusal}"))
        .steps()
        .iter()
        .map(|s| format!("{s}\n"))
        .collect()
}

/// Returns why there is no plan.
fn refusal<Old: Schema, New: Schema>() -> String {
    plan::<Old, New>().map(|plan| plan.steps().to_vec()).unwrap_err().to_string()
}

/// Converts an object.
fn convert<Old: Schema + Copy, New: Schema>(old: &Old) -> Result<Vec<u8>, Misfit> {
    let plan = plan::<Old, New>().unwrap_or_else(|refusal| panic!("{refusal}"));
    let mut new = vec![0; size_of::<New>()];
    plan.convert(&bytes_for_tests(old), &mut new).map(|()| new)
}

#[track_caller]
fn becomes<Old: Schema + Copy, New: Schema + Copy>(old: Old, new: New) {
    assert_eq!(convert::<Old, New>(&old).unwrap(), bytes_for_tests(&new));
}

version! { v1 {
    #[repr(C)] pub(super) struct Hero { pub hp: u16, pub level: u8, pub uid: u64, pub speed: f32, pub pos: Pos }
    #[repr(C)] pub(super) struct Pos { pub x: f32, pub y: f32 }
    #[repr(u8)] pub(super) enum Order { Rest, Walk { to: Pos, fast: bool }, Attack(u16) }
    #[repr(C)] pub(super) struct Stack { pub item: u16, pub count: u8 }
} }

const POS: v1::Pos = v1::Pos { x: 1.5, y: -2.0 };
const HERO: v1::Hero = v1::Hero { hp: 900, level: 7, uid: 77, speed: 0.5, pos: POS };

mod changer;
mod fields;
mod inside;
mod model;
mod random;
