//! Filters in both encodings.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lidmark_fuzz::filter(bytes));
