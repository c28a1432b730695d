//! Reads damaged schemas of a build, and compares them with a pool.
#![no_main]

#[path = "../../tests/damage/mod.rs"]
mod damage;

use damage::{Images, schemas};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static IMAGES: LazyLock<Images> = LazyLock::new(|| Images::make(0x7dc0_0000));

fuzz_target!(|input: &[u8]| schemas::schemas(&IMAGES, input));
