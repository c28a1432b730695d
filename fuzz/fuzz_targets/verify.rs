//! Inspects damaged pools, and any bytes, from outside.
#![no_main]

#[path = "../../tests/damage/mod.rs"]
mod damage;

use damage::Images;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static IMAGES: LazyLock<Images> = LazyLock::new(|| Images::make(0x7da0_0000));

fuzz_target!(|input: &[u8]| damage::verify(&IMAGES, input));
