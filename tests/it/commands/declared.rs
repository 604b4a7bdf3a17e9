//! Reference systems as files of every format declare them, through the real command.

use std::process::Command;

use lidmark::crs::{Crs, CrsBook};
use serde_json::Value;

use super::{DISTRICTS, Place, count};
use crate::support::server::Said;
use crate::support::{have, skip_or_fail};

/// Covers along a street of Dongying.
const STREET: usize = 12;

/// A grid of a city's own as ESRI's programs describe it: CGCS2000 on 118°30′, without a code.
const OWN_GRID: &str = r#"PROJCS["Dongying_CM_118_30",GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",118.5],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]"#;

fn system(name: &str) -> Crs {
    CrsBook::built_in().named(name).unwrap()
}

fn census(crs: &Crs) -> String {
    let mut text = "source_key,district,class,lon,lat\n".to_owned();
    for at in 0..STREET {
        let (lon, lat) = (118.58 + at as f64 * 1e-3, 37.46 + at as f64 * 5e-4);
        let (east, north) = crs.to_grid(lon, lat).unwrap();
        text.push_str(&format!("k{at},370502,sewage,{east:.6},{north:.6}\n"));
    }
    text
}

/// The street in a format, with the system written into the file as GDAL writes it.
fn write(place: &Place, name: &str, driver: &str, crs: &Crs, declared: &str) -> String {
    let census = place.file("street.csv", &census(crs));
    let out = place.path(name);
    let mut ogr2ogr = Command::new("ogr2ogr");
    ogr2ogr.args(["-f", driver, &out, &census]);
    if !matches!(driver, "XLSX" | "ODS") {
        ogr2ogr.args(["-oo", "X_POSSIBLE_NAMES=lon", "-oo", "Y_POSSIBLE_NAMES=lat"]);
        ogr2ogr.args(["-oo", "KEEP_GEOM_COLUMNS=NO", "-a_srs", declared]);
    }
    let said = ogr2ogr.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    out
}

fn look(place: &Place, file: &str, extra: &[&str]) -> Said {
    let mut arguments = vec!["import", file, "--json", "--dry-run"];
    arguments.extend(DISTRICTS);
    arguments.extend(extra);
    place.run(&arguments)
}

/// Code and evidence under which the whole street was understood.
fn understood(said: &Said) -> (u64, String) {
    assert_eq!(said.code, Some(0), "{said:?}");
    let summary = said.json();
    assert_eq!(count(&summary, "created"), STREET as u64, "{summary}");
    let coordinates = &summary["files"][0]["understood"]["coordinates"];
    (count(coordinates, "epsg"), codes(coordinates))
}

fn codes(coordinates: &Value) -> String {
    let evidence = coordinates["evidence"].as_array().unwrap();
    evidence.iter().map(|said| said["code"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn gdal_is_here() -> bool {
    let here = have("ogr2ogr");
    if !here {
        skip_or_fail("ogr2ogr (package gdal-bin)");
    }
    here
}

#[test]
fn a_street_is_understood_by_what_its_file_declares() {
    if !gdal_is_here() {
        return;
    }
    for (name, driver, crs, declared, code) in [
        ("zone.shp", "ESRI Shapefile", "EPSG:4527", "EPSG:4527", 4527),
        ("meridian.shp", "ESRI Shapefile", "EPSG:4549", "EPSG:4549", 4549),
        ("own.shp", "ESRI Shapefile", "CM:118.5", OWN_GRID, 10_426_600),
        ("own.gpkg", "GPKG", "CM:118.5", OWN_GRID, 10_426_600),
        ("zone.gpkg", "GPKG", "EPSG:4528", "EPSG:4528", 4528),
        ("zone.geojson", "GeoJSON", "EPSG:4527", "EPSG:4527", 4527),
        ("utm.gpkg", "GPKG", "EPSG:32650", "EPSG:32650", 32650),
        ("web.shp", "ESRI Shapefile", "EPSG:3857", "EPSG:3857", 3857),
        ("degrees.shp", "ESRI Shapefile", "EPSG:4490", "EPSG:4490", 4490),
        ("degrees.kml", "KML", "EPSG:4326", "EPSG:4326", 4326),
    ] {
        let place = Place::new();
        let file = write(&place, name, driver, &system(crs), declared);
        let (found, evidence) = understood(&look(&place, &file, &[]));
        assert_eq!(found, code, "{name}");
        assert!(
            evidence.starts_with("file_says ") && evidence.ends_with("first_point"),
            "{name}: {evidence}"
        );
    }
}

#[test]
fn what_the_user_says_goes_before_the_file_and_both_are_told() {
    if !gdal_is_here() {
        return;
    }
    let place = Place::new();
    let crs = system("EPSG:4527");
    // Exported with the definition of the neighboring zone.
    for (name, driver) in
        [("wrong.shp", "ESRI Shapefile"), ("wrong.gpkg", "GPKG"), ("wrong.geojson", "GeoJSON")]
    {
        let file = write(&place, name, driver, &crs, "EPSG:4528");
        let said = look(&place, &file, &[]);
        assert_eq!(said.code, Some(2), "{said:?}");
        let error = &said.json()["error"];
        assert_eq!(error["code"], "crs.declared_fits_not_but", "{name}");
        assert!(error["detail"].as_str().unwrap().contains("EPSG:4527"), "{error}");
        let (code, evidence) = understood(&look(&place, &file, &["--crs", "EPSG:4527"]));
        assert_eq!(code, 4527);
        assert!(evidence.starts_with("file_overruled declared easting_zone_prefix"), "{name}: {evidence}");
    }
}

#[test]
fn a_file_that_declares_nothing_is_found_by_its_numbers_or_asks() {
    if !gdal_is_here() {
        return;
    }
    let place = Place::new();
    let crs = system("EPSG:4527");
    let shape = write(&place, "bare.shp", "ESRI Shapefile", &crs, "EPSG:4527");
    std::fs::remove_file(place.path("bare.prj")).unwrap();
    let files = [
        shape,
        place.file("bare.csv", &census(&crs)),
        write(&place, "bare.xlsx", "XLSX", &crs, ""),
        write(&place, "bare.ods", "ODS", &crs, ""),
    ];
    for file in &files {
        let said = look(&place, file, &[]);
        assert_eq!(
            (said.code, &said.json()["error"]["code"]),
            (Some(2), &"crs.declared_fits_not_but".into())
        );
        let (code, evidence) = understood(&look(&place, file, &["--crs", "auto"]));
        assert_eq!(code, 4527, "{file}");
        assert!(evidence.starts_with("easting_zone_prefix inside_area"), "{file}: {evidence}");
    }
    // An old datum needs the parameters of the survey office.
    let xian = OWN_GRID.replace("China_Geodetic_Coordinate_System_2000", "Xian_1980");
    let xian =
        xian.replace("D_China_2000", "D_Xian_1980").replace("6378137.0,298.257222101", "6378140.0,298.257");
    std::fs::write(place.path("bare.prj"), xian).unwrap();
    let said = look(&place, &files[0], &[]);
    assert_eq!(said.json()["error"]["code"], "crs.transformation_needed", "{said:?}");
}

#[test]
fn a_declaration_behind_more_features_than_are_looked_at_is_heard() {
    let place = Place::new();
    let crs = system("EPSG:4549");
    let features: Vec<String> = (0..1200)
        .map(|at| {
            let (east, north) = crs.to_grid(118.58 + f64::from(at) * 1e-4, 37.46).unwrap();
            format!(
                r#"{{"type":"Feature","properties":{{"source_key":"k{at}","district":"370502","class":"gas"}},"geometry":{{"type":"Point","coordinates":[{east:.4},{north:.4}]}}}}"#
            )
        })
        .collect();
    let text = format!(
        "{{\"type\":\"FeatureCollection\",\"features\":[{}],\n\"crs\":{{\"type\":\"name\",\"properties\":{{\"name\":\"EPSG:4549\"}}}}}}",
        features.join(",\n")
    );
    let said = look(&place, &place.file("late.geojson", &text), &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let summary = said.json();
    assert_eq!((count(&summary, "created"), count(&summary, "file_problems")), (1200, 0), "{summary}");
    assert_eq!(summary["files"][0]["understood"]["coordinates"]["epsg"], 4549);
}

#[test]
fn a_file_without_a_coordinate_says_what_is_wrong_with_it_and_not_with_its_system() {
    let place = Place::new();
    for (text, code) in [
        ("source_key,district,class,lon\nk,370502,gas,1\n", "header.column_missing"),
        ("source_key,district,class,lon,lat\nk,370502,gas,,\n", "position.missing"),
    ] {
        for crs in ["auto", "EPSG:4527"] {
            let problems = place.path("problems.csv");
            let said = look(&place, &place.file("a.csv", text), &["--crs", crs, "--problems", &problems]);
            assert_ne!(said.code, Some(0), "{said:?}");
            assert!(std::fs::read_to_string(&problems).unwrap().contains(code), "{said:?}");
        }
    }
}
