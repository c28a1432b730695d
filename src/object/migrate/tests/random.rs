//! Random changes of random schemas, against the model.

use super::super::plan::{NewType, Plan};
#[cfg(feature = "schemas")]
use super::super::step::Step;
use super::changer::Changer;
use super::model::{Choices, MOST_DEFAULTS, Record, Ty, forget_defaults};
#[cfg(feature = "schemas")]
use crate::object::Schemas;
use crate::object::schema_text::flatten;
use crate::object::{SchemaText, StoredField, rust_source};
use proptest::prelude::*;

/// The numbers that a case is made of; see the model.
fn numbers() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 0..500)
}

/// Returns the fields that a segment has.
fn stored(new: &NewType) -> Vec<StoredField> {
    let text: String = flatten(new.fields).iter().map(|field| format!("{field}\n")).collect();
    SchemaText::parse(&text).unwrap()
}

fn object(choices: &mut Choices) -> Ty {
    if choices.once_in(8) {
        let ty = Ty::random(choices, 3);
        if let Ty::Enum { .. } = ty {
            return ty;
        }
    }
    Ty::Struct(Record::random(choices, 3, 1))
}

/// Returns the configuration of the tests; `PROPTEST_CASES` sets another number of cases.
fn config() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { 1000 };
    ProptestConfig { cases, max_global_rejects: cases, ..config }
}

/// Damages the fields of a stored schema, in a way that the numbers choose.
fn damage(fields: &mut Vec<StoredField>, size: &mut u64, choices: &mut Choices) {
    const NUMBERS: [u64; 8] = [0, 1, 3, 8, 1 << 20, 1 << 32, u64::MAX / 2, u64::MAX];
    for _ in 0..1 + choices.below(3) {
        let (at, other) = (choices.below(fields.len()), choices.below(fields.len()));
        let number = NUMBERS[choices.below(8)];
        let (print, copied) = (fields[other].fingerprint, fields[other].clone());
        match (choices.below(10), &mut fields[at]) {
            (0, field) => field.offset = number,
            (1, field) => field.size = number,
            (2, field) => field.offset = copied.offset,
            (3, field) => field.size = copied.size,
            (4, field) => field.fingerprint = print,
            (5, field) => field.name.clone_from(&copied.name),
            (6, field) => field.type_name = ["variant 1", "variant", "u8"][choices.below(3)].to_owned(),
            (7, _) => drop(fields.remove(at)),
            (8, field) => {
                let inside = [".", "[]", "[][].x", "..", ".x.y", "\u{7}"][choices.below(6)];
                field.name.push_str(inside);
            }
            (_, _) => *size = number,
        }
        if fields.is_empty() {
            fields.push(copied);
        }
    }
}

#[test]
fn a_schema_that_no_segment_holds_is_refused_at_once() {
    let new = Ty::Struct(Record::random(&mut Choices::new(Vec::new()), 0, 1)).build().new_type();
    let line =
        |name: String| StoredField { offset: 0, size: 1, fingerprint: 0, type_name: "u8".into(), name };
    let wide: Vec<_> = (0..1_000_000).map(|number| line(format!("f{number}"))).collect();
    let refusal = Plan::of(&wide, 8, &new, &[]).unwrap_err();
    insta::assert_snapshot!(refusal, @"the stored schema is damaged: it has more fields than a stored schema has room for");
    let deep: Vec<_> = (1..1000).map(|depth| line(vec!["f"; depth].join("."))).collect();
    let refusal = Plan::of(&deep, 8, &new, &[]).unwrap_err().to_string();
    assert!(refusal.ends_with("`: too many fields contain each other"), "{refusal}");
    let huge = StoredField { offset: u64::MAX, size: 0, ..line("f".into()) };
    insta::assert_snapshot!(Plan::of(&[huge], u64::MAX, &new, &[]).unwrap_err(), @"the stored schema is damaged: it is of an object that no memory holds");
    let dims = [line("f".into()), line(format!("f{}.x", "[]".repeat(500)))];
    insta::assert_snapshot!(Plan::of(&dims, 8, &new, &[]).unwrap_err(), @"the stored schema is damaged: field `f`: it has too many dimensions");
}

/// Returns what a tool tells of a build that has printed its schemas.
#[cfg(feature = "schemas")]
fn told(old: &[StoredField], size: u64, new: &NewType) -> Vec<Step> {
    let schemas = Schemas::new().with_fields(new.fields, new.changes, new.size);
    let read = Schemas::from_json(&schemas.to_json()).unwrap();
    assert_eq!(read, schemas);
    Plan::steps_of(old, size, &read.types[0], &[]).unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_stored_bytes_make_it_panic(numbers in numbers(), bytes in any::<[u8; 64]>()) {
        forget_defaults();
        let mut choices = Choices::new(numbers);
        let old = object(&mut choices);
        let value = old.value(&mut choices);
        let built = old.build();
        let (mut fields, mut size) = (stored(&built.new_type()), built.desc.size as u64);
        let mut object = old.bytes(&value, &built, 0xaa);
        let new = Changer::new(&mut choices).change(old, vec![value]).0.build();
        if choices.once_in(2) {
            damage(&mut fields, &mut size, &mut choices);
        }
        let _ = rust_source(&fields, size, "Object");
        match Plan::of(&fields, size, &new.new_type(), &[]) {
            Err(refusal) => prop_assert!(!refusal.to_string().is_empty()),
            Ok(plan) => {
                object.resize(object.len().max(size.min(1 << 16) as usize), 7);
                for (at, byte) in bytes.into_iter().enumerate() {
                    let place = (at * 7 + usize::from(byte)) % object.len();
                    object[place] = byte;
                    let _ = plan.convert(&object, &mut vec![0; new.desc.size]);
                }
                let lines: Vec<_> = plan.steps().iter().map(ToString::to_string).collect();
                prop_assert!(lines.iter().all(|line| !line.contains(char::is_control)));
            }
        }
    }

    #[test]
    fn every_value_is_what_the_model_says(numbers in numbers()) {
        forget_defaults();
        let mut choices = Choices::new(numbers);
        let old = object(&mut choices);
        let value = old.value(&mut choices);
        let built = old.build();
        let (fields, size) = (stored(&built.new_type()), built.desc.size);
        prop_assume!(fields.len() < 200);
        let bytes = old.bytes(&value, &built, 0xaa);

        let mut changer = Changer::new(&mut choices);
        let (new, values) = changer.change(old.clone(), vec![value.clone()]);
        let is_misfit = changer.is_misfit;
        prop_assume!(changer.defaults <= MOST_DEFAULTS);
        let built = new.build();
        let plan = Plan::of(&fields, size as u64, &built.new_type(), &[]);
        let plan = plan.map_err(|refusal| TestCaseError::fail(format!("{refusal}\n{old:#?}\n{new:#?}")))?;
        #[cfg(feature = "schemas")]
        prop_assert_eq!(&told(&fields, size as u64, &built.new_type()), plan.steps());
        let mut converted = vec![0; built.desc.size];
        match plan.convert(&bytes, &mut converted) {
            Err(misfit) => prop_assert!(is_misfit, "{misfit}\n{old:#?}\n{new:#?}\n{value:?}"),
            Ok(()) => {
                prop_assert!(!is_misfit, "should not fit\n{old:#?}\n{new:#?}\n{value:?}");
                let expected = new.bytes(&values[0], &built, 0);
                prop_assert!(converted == expected, "{converted:?}\n{expected:?}\n{old:#?}\n{new:#?}\n{value:?}");
            }
        }
    }
}
