//! GeoPackage, byte by byte of the database.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lidmark::import::Format;

fuzz_target!(|bytes: &[u8]| {
    lidmark_fuzz::read(Format::GeoPackage, "covers.gpkg", bytes);
});
