//! A million covers out of a registry into a GeoPackage with its spatial index, beside `ogr2ogr` writing the
//! same rows into one, and once into every other format.
//! `cargo bench --bench export [-- --covers N] [--rounds N]`.

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use std::path::Path;
use std::process::Command;

use support::{lidmark, median, option, print, said, synthetic_city, timed, verdict};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    let covers = option("--covers", 1_000_000);
    let rounds = option("--rounds", 3);
    let folder = support::workshop();
    let data = synthetic_city(&folder, covers).display().to_string();
    let out = tempfile::tempdir_in(&folder).expect("target can be written");
    let target = |name: &str| out.path().join(name).display().to_string();
    let (mut speeds, mut peaks, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let file = target("covers.gpkg");
        let (seconds, peak) = export(&data, &file, covers);
        let size = std::fs::metadata(&file).map_or(0, |file| file.len());
        let again = target("again.gpkg");
        let _ = std::fs::remove_file(&again);
        let (theirs, _, _) = timed(Command::new("ogr2ogr").args(["-f", "GPKG", &again, &file, "covers"]));
        print(&format!(
            "  round {round}: {covers} rows in {seconds:.1} s, {:.0}/s, peak {peak:.0} MB, {:.0} MB on disk; \
             ogr2ogr of that file into another one {theirs:.1} s, {:.0}/s",
            covers as f64 / seconds,
            size as f64 / 1e6,
            covers as f64 / theirs
        ));
        speeds.push(covers as f64 / seconds);
        peaks.push(peak);
        ratios.push(theirs / seconds);
    }
    check(Path::new(&target("covers.gpkg")), covers);
    let (speed, peak) = (median(speeds), peaks.into_iter().fold(0.0, f64::max));
    verdict("export: rows/s into an indexed GeoPackage", speed, "rows/s", speed >= 150_000.0, ">= 150000");
    verdict("export: peak memory", peak, "MB", peak <= 150.0, "<= 150");
    print(&format!("as fast as ogr2ogr from GeoPackage to GeoPackage, times: {:.2}", median(ratios)));
    for name in ["covers.csv", "covers.geojson", "covers.geojsonl", "covers.zip", "covers.xlsx"] {
        let (seconds, peak) = export(&data, &target(name), covers);
        print(&format!("  {name}: {seconds:.1} s, {:.0} rows/s, peak {peak:.0} MB", covers as f64 / seconds));
    }
}

/// Seconds and peak memory.
fn export(data: &str, file: &str, covers: u64) -> (f64, f64) {
    let mut command = lidmark(&["export", "covers", "--json", "--data", data, "-o", file]);
    let (seconds, peak, summary) = timed(&mut command);
    assert!(summary.contains(&format!("\"rows\":{covers}")), "not every cover is in the file: {summary}");
    (seconds, peak)
}

/// SQLite finds the file whole, and its index as well.
fn check(file: &Path, covers: u64) {
    let statements =
        "PRAGMA integrity_check; SELECT rtreecheck('rtree_covers_geom'); SELECT COUNT(*) FROM covers;";
    let answer = said(Command::new("sqlite3").arg(file).arg(statements));
    assert_eq!(answer.trim(), format!("ok\nok\n{covers}"));
}
