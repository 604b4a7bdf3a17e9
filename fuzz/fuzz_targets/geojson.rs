//! GeoJSON, a feature a line, and text sequences.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lidmark::import::Format;

fuzz_target!(|bytes: &[u8]| {
    lidmark_fuzz::read(Format::GeoJson, "covers.geojson", bytes);
});
