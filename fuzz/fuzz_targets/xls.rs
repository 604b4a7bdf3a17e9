//! Workbooks of before 2007: the container and the records in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lidmark::import::Format;

fuzz_target!(|bytes: &[u8]| {
    lidmark_fuzz::read(Format::Xls, "covers.xls", bytes);
});
