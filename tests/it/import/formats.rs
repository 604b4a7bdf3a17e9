//! The same covers through every format.

use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

use super::{read_path, story};
use lidmark::domain::cover::Candidate;
use lidmark::import::{Encoding, Format, FoundBy, Profile, Told};

const COLUMNS: &str = "key,class,district,road,owner,note";

fn profile() -> Profile {
    Profile::from_toml(
        r#"
        id = "points"
        version = 1
        name_zh = "点"
        name_en = "Points"
        drop = ["folder", "Name", "description", "x", "y"]
        [fields]
        source_key.columns = ["key"]
        class = { columns = ["class"], values = { sewage = ["污水"], storm = ["雨水"] } }
        district = { columns = ["district"] }
        lon.columns = ["lon"]
        lat.columns = ["lat"]
        road.columns = ["road"]
        owner.columns = ["owner"]
        "#,
    )
    .unwrap()
}

#[derive(Debug, Clone)]
struct Row {
    class: &'static str,
    lon: f64,
    lat: f64,
    road: String,
    owner: String,
    note: String,
}

fn csv_of(rows: &[Row]) -> String {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(format!("lon,lat,{COLUMNS}").split(',')).unwrap();
    for (at, row) in rows.iter().enumerate() {
        csv.write_record([
            &row.lon.to_string(),
            &row.lat.to_string(),
            &format!("K{at:04}"),
            row.class,
            "370502",
            &row.road,
            &row.owner,
            &row.note,
        ])
        .unwrap();
    }
    String::from_utf8(csv.into_inner().unwrap()).unwrap()
}

fn gdal_is_here() -> bool {
    let here = Command::new("ogr2ogr").arg("--version").output().is_ok();
    assert!(here || std::env::var_os("CI").is_none(), "CI needs ogr2ogr (gdal-bin)");
    here
}

/// Lets GDAL write a file from a CSV with the columns `lon` and `lat`.
fn ogr2ogr(csv: &Path, out: &Path, options: &[&str]) {
    let said = Command::new("ogr2ogr")
        .args(options)
        .arg(out)
        .arg(csv)
        .args(["-oo", "X_POSSIBLE_NAMES=lon", "-oo", "Y_POSSIBLE_NAMES=lat", "-oo", "KEEP_GEOM_COLUMNS=NO"])
        .args(["-oo", "AUTODETECT_TYPE=NO", "-nln", "covers"])
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// What of a candidate does not hang on the format: all but its line.
fn bare(rows: &[super::Row]) -> Vec<Candidate> {
    rows.iter()
        .map(|row| {
            let mut candidate = row.as_ref().unwrap_or_else(|problem| panic!("{problem:?}")).clone();
            candidate.line = 0;
            candidate.survey.position.raw.epsg = 0;
            candidate
        })
        .collect()
}

/// Every format that GDAL writes from the same CSV, zipped ones as well.
fn write_all(folder: &Path, csv: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let crs = ["-a_srs", "EPSG:4326"];
    for (name, driver, more) in [
        ("covers.shp", "ESRI Shapefile", &["-lco", "ENCODING=UTF-8"][..]),
        ("gbk.shp", "ESRI Shapefile", &["-lco", "ENCODING=GBK"]),
        ("covers.gpkg", "GPKG", &[]),
        ("covers.geojson", "GeoJSON", &["-lco", "COORDINATE_PRECISION=15"]),
        ("covers.geojsons", "GeoJSONSeq", &["-lco", "RS=YES", "-lco", "COORDINATE_PRECISION=15"]),
        ("covers.geojsonl", "GeoJSONSeq", &["-lco", "COORDINATE_PRECISION=15"]),
        ("covers.kml", "KML", &[]),
    ] {
        let out = folder.join(name);
        ogr2ogr(csv, &out, &[&["-f", driver][..], &crs, more].concat());
        files.push(out);
    }
    let parts: Vec<(String, Vec<u8>)> = ["shp", "dbf", "prj", "cpg"]
        .iter()
        .map(|ending| {
            let part = std::fs::read(folder.join(format!("covers.{ending}"))).unwrap();
            (format!("普查/covers.{}", ending.to_uppercase()), part)
        })
        .collect();
    let zipped = folder.join("covers.zip");
    std::fs::write(&zipped, super::containers::zip_of(&parts)).unwrap();
    files.push(zipped);
    let kmz = folder.join("covers.kmz");
    let kml = std::fs::read(folder.join("covers.kml")).unwrap();
    std::fs::write(&kmz, super::containers::zip_of(&[("doc.kml".to_owned(), kml)])).unwrap();
    files.push(kmz);
    // Tables keep the coordinates as columns.
    for (name, driver) in [("covers.xlsx", "XLSX"), ("covers.ods", "ODS")] {
        let out = folder.join(name);
        let said = Command::new("ogr2ogr").args(["-f", driver]).arg(&out).arg(csv).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        files.push(out);
    }
    files
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = "[a-zA-Z0-9 路黄河街巷井盖（）,;\"'&<>é]{0,12}";
    let row = (
        prop_oneof![Just("污水"), Just("雨水"), Just("gas")],
        -179.0f64..179.0,
        -80.0f64..80.0,
        text,
        text,
        "[黄河路南侧0-9a-z]{1,20}",
    )
        .prop_map(|(class, lon, lat, road, owner, note)| {
            let rounded = |degrees: f64| (degrees * 1e7).round() / 1e7;
            Row { class, lon: rounded(lon), lat: rounded(lat), road, owner, note }
        });
    prop::collection::vec(row, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn the_same_covers_come_out_of_every_format(rows in rows()) {
        if !gdal_is_here() {
            return Ok(());
        }
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("in.csv");
        std::fs::write(&csv, csv_of(&rows)).unwrap();
        let profile = profile();
        let expected = bare(&read_path(&profile, &csv, &Told::default()).unwrap().0);
        prop_assert_eq!(expected.len(), rows.len());
        for file in write_all(folder.path(), &csv) {
            let (found, findings) = read_path(&profile, &file, &Told::default()).unwrap();
            prop_assert_eq!(&bare(&found), &expected, "{} {:?}", file.display(), findings);
        }
        // The same text in other encodings and with other signs.
        let text = std::fs::read_to_string(&csv).unwrap();
        let (gbk, ..) = encoding_rs::GB18030.encode(&text);
        std::fs::write(&csv, gbk).unwrap();
        prop_assert_eq!(bare(&read_path(&profile, &csv, &Told::default()).unwrap().0), expected.clone());
        let wide: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        std::fs::write(&csv, wide).unwrap();
        prop_assert_eq!(bare(&read_path(&profile, &csv, &Told::default()).unwrap().0), expected);
    }
}

#[test]
fn what_was_understood_is_told_with_the_rows() {
    if !gdal_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("in.csv");
    let row = |road: &str| Row {
        class: "污水",
        lon: 118.59,
        lat: 37.46,
        road: road.into(),
        owner: "水务集团".into(),
        note: "一".into(),
    };
    std::fs::write(&csv, csv_of(&[row("黄河路"), row("西四路"), row("北二路")])).unwrap();
    write_all(folder.path(), &csv);
    let read = |name: &str, told: &Told| read_path(&profile(), &folder.path().join(name), told).unwrap();

    let (_, findings) = read("covers.gpkg", &Told::default());
    assert_eq!((findings.format, findings.layer.as_deref()), (Format::GeoPackage, Some("covers")));
    assert_eq!(findings.crs.unwrap().epsg, Some(4326));
    let (_, findings) = read("covers.zip", &Told::default());
    assert_eq!((findings.format, findings.layer.as_deref()), (Format::Shapefile, Some("普查/covers.SHP")));
    assert!(findings.crs.unwrap().wkt.unwrap().starts_with("GEOGCS["));
    let encoding = |findings: &lidmark::import::Findings| {
        findings.encoding.map(|found| (found.encoding, found.by)).unwrap()
    };
    assert_eq!(encoding(&read("gbk.shp", &Told::default()).1), (Encoding::Gb18030, FoundBy::Declared));
    let (rows, findings) = read("covers.xlsx", &Told::default());
    assert_eq!((findings.layer.as_deref(), findings.header_line), (Some("in"), Some(1)));
    assert_eq!(story(&rows), ["2 ok", "3 ok", "4 ok"]);

    // Without `.cpg` and language byte, with a wrong `.cpg`, and with one that is told to be wrong.
    let dbf = folder.path().join("gbk.dbf");
    let mut table = std::fs::read(&dbf).unwrap();
    table[29] = 0;
    std::fs::write(&dbf, table).unwrap();
    std::fs::remove_file(folder.path().join("gbk.cpg")).unwrap();
    let (rows, findings) = read("gbk.shp", &Told::default());
    assert_eq!(encoding(&findings), (Encoding::Gb18030, FoundBy::Text));
    assert_eq!(rows[0].as_ref().unwrap().survey.road.as_deref(), Some("黄河路"));
    std::fs::write(folder.path().join("gbk.cpg"), "UTF-8").unwrap();
    let (rows, findings) = read("gbk.shp", &Told::default());
    assert_eq!(encoding(&findings), (Encoding::Gb18030, FoundBy::TextAgainstDeclared));
    assert_eq!(rows[2].as_ref().unwrap().survey.road.as_deref(), Some("北二路"));
    let told = Told { encoding: Some(Encoding::Utf8), ..Told::default() };
    let (rows, _) = read("gbk.shp", &told);
    assert_eq!(story(&rows), ["1 text.misfit class", "2 text.misfit class", "3 text.misfit class"]);
}

#[test]
fn deleted_records_null_shapes_and_other_shapes_are_told_apart() {
    if !gdal_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let features = |shapes: &[&str]| {
        let list: Vec<String> = shapes
            .iter()
            .enumerate()
            .map(|(at, shape)| {
                format!(r#"{{"type":"Feature","properties":{{"key":"K{at}","class":"gas","district":"370502"}},"geometry":{shape}}}"#)
            })
            .collect();
        format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, list.join(","))
    };
    let point = r#"{"type":"Point","coordinates":[118.59,37.46,7.5]}"#;
    let convert = |out: &str, kind: &str| {
        let said = Command::new("ogr2ogr")
            .args(["-nlt", kind])
            .arg(path(out))
            .arg(path("in.geojson"))
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        read_path(&profile(), &path(out), &Told::default())
    };
    std::fs::write(path("in.geojson"), features(&[point, "null", point, point])).unwrap();
    for (kind, z) in [("POINT", None), ("POINT25D", Some("7.5")), ("POINTZM", Some("7.5"))] {
        let name = format!("{kind}.shp");
        let (rows, _) = convert(&name, kind).unwrap();
        assert_eq!(story(&rows), ["1 ok", "2 shape.null geometry", "3 ok", "4 ok"], "{kind}");
        assert_eq!(rows[0].as_ref().unwrap().survey.extra.get("z").map(String::as_str), z, "{kind}");
        let name = format!("{kind}.gpkg");
        let (rows, _) = convert(&name, kind).unwrap();
        assert_eq!(story(&rows), ["1 ok", "2 position.missing geometry", "3 ok", "4 ok"], "{kind}");
    }
    let dbf = path("POINT.dbf");
    let mut table = std::fs::read(&dbf).unwrap();
    let header = usize::from(u16::from_le_bytes([table[8], table[9]]));
    let record = usize::from(u16::from_le_bytes([table[10], table[11]]));
    table[header + 2 * record] = b'*';
    std::fs::write(&dbf, &table).unwrap();
    let (rows, findings) = read_path(&profile(), &path("POINT.shp"), &Told::default()).unwrap();
    assert_eq!(story(&rows), ["1 ok", "2 shape.null geometry", "4 ok"]);
    assert_eq!(findings.deleted, 1);

    let two = r#"{"type":"MultiPoint","coordinates":[[118.59,37.46],[118.6,37.46]]}"#;
    let one = r#"{"type":"MultiPoint","coordinates":[[118.59,37.46]]}"#;
    std::fs::write(path("in.geojson"), features(&[one, two])).unwrap();
    for name in ["multi.shp", "multi.gpkg"] {
        let (rows, _) = convert(name, "MULTIPOINT").unwrap();
        assert_eq!(story(&rows), ["1 ok", "2 geometry.type geometry"], "{name}");
    }
    std::fs::write(path("in.geojson"), features(&[r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#]))
        .unwrap();
    for name in ["line.shp", "line.gpkg"] {
        let refusal = convert(name, "LINESTRING").unwrap_err();
        assert_eq!(refusal.code, "geometry.type", "{name}");
    }
    // A system in the plane is understood by its code or by what its `.prj` says.
    std::fs::write(path("in.geojson"), features(&[point])).unwrap();
    for name in ["gauss.shp", "gauss.gpkg"] {
        let said = Command::new("ogr2ogr")
            .args(["-t_srs", "EPSG:4549"])
            .arg(path(name))
            .arg(path("in.geojson"))
            .output()
            .unwrap();
        assert!(said.status.success());
        let (rows, _) = read_path(&profile(), &path(name), &Told::default()).unwrap();
        let position = &rows[0].as_ref().unwrap().survey.position;
        assert_eq!(position.raw.epsg, 4549, "{name}");
        assert!((position.lon - 118.59).abs() < 1e-8 && (position.lat - 37.46).abs() < 1e-8, "{name}");
    }
}
