//! `lidmark export` as an operator runs it.

use std::path::Path;

use crate::support::engines::Ground;
use crate::support::server::{Home, run_command};

const CENSUS: &str =
    "district,class,lon,lat,road\n370502,sewage,118.58,37.46,济南路\n370502,gas,118.59,37.47,黄河路\n";

/// A registry with two covers; answers the folder beside it.
fn town(ground: &Ground) -> (Home, std::path::PathBuf) {
    let home = ground.home();
    let desk = home.folder().parent().unwrap().to_owned();
    let census = desk.join("census.csv");
    std::fs::write(&census, CENSUS).unwrap();
    let census = census.display().to_string();
    let said = run_command(&home, &["import", &census, "--district", "370502=东营区", "--yes"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    (home, desk)
}

#[test]
fn a_file_is_of_the_kind_that_its_name_says_and_the_summary_says_what_is_in_it() {
    let ground = Ground::sqlite().unwrap();
    let (home, desk) = town(&ground);
    let path = |name: &str| desk.join(name).display().to_string();
    let file = path("井盖.gpkg");
    let said = run_command(&home, &["export", "covers", "--class", "gas", "-o", &file, "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let summary = said.json();
    assert_eq!((&summary["rows"], &summary["format"]), (&1.into(), &"gpkg".into()), "{summary}");
    assert_eq!(summary["crs"], "EPSG:4490 China Geodetic Coordinate System 2000");
    assert_eq!(summary["bytes"], std::fs::metadata(&file).unwrap().len());

    // In another continent's zone nobody has a place: part of it was done, and it is said.
    let table = path("covers.csv");
    let said = run_command(&home, &["export", "covers", "--crs", "EPSG:32145", "-o", &table, "--json"]);
    assert_eq!((said.code, &said.json()["without_place"]), (Some(1), &2.into()), "{said:?}");
    assert!(said.stderr.contains("2 rows have no point"), "{said:?}");
    let read = std::fs::read_to_string(&table).unwrap();
    assert!(read.contains(",118.58,37.46,,,,济南路,"), "{read}");

    let spoken = path("covers.xlsx");
    assert_eq!(run_command(&home, &["export", "covers", "--words", "zh", "-o", &spoken]).code, Some(0));
    let before =
        run_command(&home, &["export", "covers", "--at", "2026-01-01", "-o", &path("b.csv"), "--json"]);
    assert_eq!((before.code, &before.json()["rows"]), (Some(0), &0.into()), "{before:?}");
    let nothing =
        run_command(&home, &["export", "cases", "--state", "open", "-o", &path("c.geojson"), "--json"]);
    assert_eq!((nothing.code, &nothing.json()["rows"]), (Some(0), &0.into()), "{nothing:?}");
    let left: Vec<_> = std::fs::read_dir(&desk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
}

#[test]
fn what_cannot_be_exported_is_refused_and_leaves_the_file_alone() {
    let ground = Ground::sqlite().unwrap();
    let (home, desk) = town(&ground);
    let path = |name: &str| desk.join(name).display().to_string();
    let (out, nowhere) = (path("out.csv"), path("no/such/folder.csv"));
    std::fs::write(&out, "mine").unwrap();
    let unnamed = path("covers");
    let lines = path("out.geojsonl");
    let refused: [(&[&str], &str); 14] = [
        (&["export", "covers", "-o", &unnamed], "export.format_missing"),
        (&["export", "covers", "--format", "dwg", "-o", &out], "format.unknown"),
        (&["export", "covers", "-o", &nowhere], "file.no_folder"),
        (&["export", "covers", "--crs", "EPSG:4214", "-o", &out], "crs.unsupported"),
        (&["export", "covers", "--crs", "gcj02", "-o", &out], "export.shifted"),
        (&["export", "covers", "--crs", "EPSG:4549", "-o", &lines], "export.lines_in_degrees"),
        (&["export", "covers", "--words", "zh", "-o", &lines], "export.words"),
        (&["export", "covers", "--class", "swamp", "-o", &out], "class.unknown"),
        (&["export", "covers", "--owner", "nobody", "-o", &out], "party.unknown"),
        (&["export", "covers", "--box", "1,2", "-o", &out], "bbox.four_numbers"),
        (&["export", "covers", "--at", "2199-01-01", "-o", &out], "map.to_come"),
        (&["export", "cases", "--from", "today", "-o", &out], "form.day"),
        (&["export", "plates", "--batch", "x", "-o", &out], "batch.unknown"),
        (&["export", "files", "-o", &nowhere], "file.no_folder"),
    ];
    for (arguments, code) in refused {
        let said = run_command(&home, &[arguments, &["--json"]].concat());
        assert_eq!(said.code, Some(2), "{arguments:?}: {said:?}");
        assert_eq!(said.json()["error"]["code"], code, "{arguments:?}: {said:?}");
    }
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
    assert!(!Path::new(&lines).exists());
    let nobody = Home::Folder(desk.join("nobody"));
    let said = run_command(&nobody, &["export", "files", "-o", &out, "--json"]);
    assert_eq!(said.json()["error"]["code"], "data.none", "{said:?}");
}
