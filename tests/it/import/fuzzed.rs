//! What the fuzzer begins with and what it ever found, read again by what the fuzzer runs.

#[path = "../../../fuzz/src/lib.rs"]
mod target;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lidmark::import::Format;

#[test]
fn every_seed_and_every_find_of_the_fuzzer_ends_well() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut targets = 0;
    // A driver's thread that panics is for its caller an error like any other.
    let panics = Arc::new(AtomicU64::new(0));
    let counted = panics.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        counted.fetch_add(1, Ordering::SeqCst);
        before(panic);
    }));
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let run: Box<dyn Fn(&[u8]) -> u64> = match name.as_str() {
            "csv" => Box::new(|bytes| target::read(Format::Csv, "covers.csv", bytes)),
            "geojson" => Box::new(|bytes| target::read(Format::GeoJson, "covers.geojson", bytes)),
            "kml" => Box::new(|bytes| target::read(Format::Kml, "covers.kml", bytes)),
            "xls" => Box::new(|bytes| target::read(Format::Xls, "covers.xls", bytes)),
            "geopackage" => Box::new(|bytes| target::read(Format::GeoPackage, "covers.gpkg", bytes)),
            "archive" => Box::new(|bytes| target::read(Format::Zip, "covers.zip", bytes)),
            "xlsx" => Box::new(|bytes| target::read_parts(Format::Xlsx, "covers.xlsx", bytes)),
            "ods" => Box::new(|bytes| target::read_parts(Format::Ods, "covers.ods", bytes)),
            "shapefile" => Box::new(|bytes| target::read_parts(Format::Zip, "covers.zip", bytes)),
            "areas" => Box::new(|bytes| {
                target::read_outlines(bytes);
                1
            }),
            "cql2" => Box::new(|bytes| u64::from(target::filter(bytes))),
            "prj" => Box::new(|bytes| {
                target::understand_system(bytes);
                1
            }),
            "route" => Box::new(|bytes| u64::from(target::walk_route(bytes))),
            "profile" => Box::new(|bytes| {
                target::use_profile(bytes);
                1
            }),
            other => panic!("no target reads fuzz/seeds/{other}"),
        };
        let seeds = std::fs::read_dir(entry.path()).unwrap();
        let candidates: u64 = seeds.map(|seed| run(&std::fs::read(seed.unwrap().path()).unwrap())).sum();
        assert!(candidates > 0, "the seeds of {name} lead nowhere");
        assert_eq!(panics.load(Ordering::SeqCst), 0, "a thread panicked at a seed of {name}");
        targets += 1;
    }
    let built = std::fs::read_dir(folder.with_file_name("fuzz_targets")).unwrap().count();
    assert_eq!(targets, built, "each target has seeds");
}
