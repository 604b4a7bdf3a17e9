//! Reference systems as `.prj` files and people write them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lidmark_fuzz::understand_system(bytes));
