//! Archives as they come: the directory, the packing, what they name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lidmark::import::Format;

fuzz_target!(|bytes: &[u8]| {
    lidmark_fuzz::read(Format::Zip, "covers.zip", bytes);
});
