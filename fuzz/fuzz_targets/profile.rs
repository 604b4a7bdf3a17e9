//! Profiles that people wrote, on a small file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lidmark_fuzz::use_profile(bytes));
