//! Damage to the schemas of a build, which `hotpool compat` reads from a file.

use super::{Bulky, Bytes, Images, Item, Tiny, Wide, changed, plant_damaged, says};
use hotpool::inspect::compat_pool;
use hotpool::object::Schemas;
use hotpool::share::Home;

/// What replaces numbers and texts.
const TOKENS: [&str; 16] = [
    "0",
    "1",
    "7",
    "8",
    "65535",
    "4294967296",
    "18446744073709551615",
    "-1",
    "1e308",
    "\"u64\"",
    "\"[u64; 18446744073709551615]\"",
    "\"FixedVec<u8, 4000000000>\"",
    "\"a.b\"",
    "\"\"",
    "[]",
    "{}",
];

/// Returns what a build with these types prints: `number` chooses which.
fn printed(number: u8) -> String {
    let same = Schemas::new().with::<Item>().with::<Tiny>().with::<Bulky>().with::<Wide>();
    let other = Schemas::new().with::<changed::Tiny>().with::<Item>();
    if number & 1 == 0 { same.to_json() } else { other.to_json() }
}

/// Changes a text: the bytes of the input say what.
fn edit(text: &mut Vec<u8>, input: &mut Bytes<'_>) {
    let at = input.word(2) as usize % (text.len() + 1);
    let line = |from: usize| text[from..].iter().position(|byte| *byte == b'\n').map(|end| from + end + 1);
    match input.byte() % 5 {
        0 => match text.get_mut(at) {
            Some(byte) => *byte = input.byte(),
            None => text.push(input.byte()),
        },
        // The rest of a line is removed, or is there twice.
        1 => drop(line(at).map(|end| text.drain(at..end))),
        2 => {
            if let Some(end) = line(at) {
                let twice = text[at..end].to_vec();
                text.splice(at..at, twice);
            }
        }
        // The next value is replaced.
        3 => {
            let token = TOKENS[input.byte() as usize % TOKENS.len()];
            if let Some(colon) = text[at..].iter().position(|byte| *byte == b':') {
                let from = at + colon + 1;
                let is_end = |byte: &u8| matches!(byte, b',' | b'\n');
                let end = text[from..].iter().position(is_end).map_or(text.len(), |end| from + end);
                text.splice(from..end, token.bytes());
            }
        }
        _ => text.truncate(at),
    }
}

/// The fuzz target `schemas`: compares damaged schemas of a build with a pool, which may be damaged,
/// too.
///
/// The text is the input itself, or what a build prints, with some changes.
pub fn schemas(images: &Images, input: &[u8]) {
    let mut input = Bytes(input);
    let how = input.byte();
    let text = if how & 1 == 0 {
        input.0.to_vec()
    } else {
        let mut text = printed(how >> 1).into_bytes();
        for _ in 0..=how >> 5 {
            edit(&mut text, &mut input);
        }
        text
    };
    let build = match Schemas::from_json(&String::from_utf8_lossy(&text)) {
        Ok(build) => build,
        Err(error) => return assert!(says(&error)),
    };
    // A text is what it was, written and read again.
    assert_eq!(Schemas::from_json(&build.to_json()).as_ref(), Ok(&build));
    let image = if how & 4 == 0 { &images.closed } else { plant_damaged(images, &mut input) };
    if how & 4 == 0 {
        image.plant();
    }
    match compat_pool(image.conf.base_key, &Home::of(&image.conf), &build, Some(&image.conf)) {
        Ok(compat) => {
            let told = |id| compat.types.iter().any(|of| of.id == id);
            assert!(build.types.iter().all(|of| told(of.id)), "a type has no verdict");
        }
        Err(error) => assert!(says(&error)),
    }
}
