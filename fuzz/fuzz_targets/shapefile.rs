//! The files of a Shapefile; the archive around them is sound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lidmark::import::Format;

fuzz_target!(|bytes: &[u8]| {
    lidmark_fuzz::read_parts(Format::Zip, "covers.zip", bytes);
});
