//! Calls `ConfMgr::parse` on any text.
#![no_main]

use hotpool::ConfMgr;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match ConfMgr::parse(text, "any.ini") {
        Ok(conf) => assert!(!conf.processes().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
