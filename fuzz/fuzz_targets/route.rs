//! Ways out of GPX and GeoJSON, and what lies beside them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    lidmark_fuzz::walk_route(bytes);
});
