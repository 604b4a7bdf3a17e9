//! 行政区、管理区与网格: outlines out of every format, and what is no outline.

use std::path::{Path, PathBuf};
use std::process::Command;

use lidmark::crs::CrsBook;
use lidmark::domain::Refusal;
use lidmark::domain::area::{Area, AreaKind, Ring};
use lidmark::import::{AreaColumns, AreaLook, AreaOrder, Told, TypedTold, read_areas};
use proptest::prelude::*;

use super::containers::zip_of;

fn order(crs: Option<&str>) -> AreaOrder {
    AreaOrder {
        kind: AreaKind::District,
        columns: AreaColumns::default(),
        told: Told::default(),
        crs: crs.map(str::to_owned),
        book: CrsBook::built_in(),
    }
}

fn read(path: &Path, order: &AreaOrder) -> Result<AreaLook, Refusal> {
    read_areas(path, &path.file_name().unwrap().to_string_lossy(), order)
}

fn read_text(name: &str, text: &str, order: &AreaOrder) -> Result<AreaLook, Refusal> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    read(&path, order)
}

fn square(west: f64, south: f64, side: f64) -> String {
    let (east, north) = (west + side, south + side);
    format!("[[{west},{south}],[{east},{south}],[{east},{north}],[{west},{north}],[{west},{south}]]")
}

fn feature(code: &str, name: &str, geometry: &str) -> String {
    format!(r#"{{"type":"Feature","properties":{{"XZQDM":{code},"XZQMC":"{name}"}},"geometry":{geometry}}}"#)
}

fn polygon(rings: &[String]) -> String {
    format!(r#"{{"type":"Polygon","coordinates":[{}]}}"#, rings.join(","))
}

fn collection(features: &[String]) -> String {
    format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","))
}

/// A district around an enclave with a lake and an island in it, one beside it, and an exclave as a feature of its own.
fn city() -> Vec<String> {
    let multi = format!(
        r#"{{"type":"MultiPolygon","coordinates":[[{},{}],[{}]]}}"#,
        square(118.5, 37.4, 0.1),
        square(118.54, 37.44, 0.02),
        square(118.548, 37.448, 0.004)
    );
    vec![
        feature(r#""370502""#, "东营区", &multi),
        feature(
            r#""370503""#,
            "河口区",
            &polygon(&[square(118.54, 37.44, 0.02), square(118.548, 37.448, 0.004)]),
        ),
        feature(r#""370505""#, "垦利区", &polygon(&[square(118.6, 37.4, 0.1)])),
        feature(r#""370505""#, "垦利区", &polygon(&[square(118.75, 37.4, 0.01)])),
    ]
}

fn gdal_is_here() -> bool {
    let here = Command::new("ogr2ogr").arg("--version").output().is_ok();
    assert!(here || std::env::var_os("CI").is_none(), "CI needs ogr2ogr (gdal-bin)");
    here
}

fn ogr2ogr(from: &Path, to: &Path, options: &[&str]) {
    let said = Command::new("ogr2ogr").args(options).arg(to).arg(from).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

fn zipped(folder: &Path, stem: &str) -> PathBuf {
    let endings = ["shp", "dbf", "prj", "cpg"];
    let parts = endings.iter().filter_map(|ending| {
        let bytes = std::fs::read(folder.join(format!("{stem}.{ending}"))).ok()?;
        Some((format!("区划/{stem}.{ending}"), bytes))
    });
    let path = folder.join(format!("{stem}.zip"));
    std::fs::write(&path, zip_of(&parts.collect::<Vec<_>>())).unwrap();
    path
}

/// Every ring as a set of its corners in millimeters, outer rings apart from holes.
fn corners(area: &Area) -> Vec<Vec<Vec<[i64; 2]>>> {
    let rounded = |ring: &Ring| {
        let mut ring: Vec<[i64; 2]> =
            ring.iter().map(|corner| corner.map(|degrees| (degrees * 1e8).round() as i64 / 10)).collect();
        ring.sort();
        ring.dedup();
        ring
    };
    let mut parts: Vec<Vec<Vec<[i64; 2]>>> = area
        .shape
        .parts()
        .iter()
        .map(|part| {
            let mut rings: Vec<_> = part.iter().map(rounded).collect();
            rings[1..].sort();
            rings
        })
        .collect();
    parts.sort();
    parts
}

fn close(one: &[Area], other: &[Area]) -> bool {
    let names = |area: &Area| (area.code.clone(), area.name_zh.clone());
    let near = |a: &[i64; 2], b: &[i64; 2]| (a[0] - b[0]).abs() <= 1 && (a[1] - b[1]).abs() <= 1;
    one.len() == other.len()
        && one.iter().zip(other).all(|(a, b)| {
            let flat = |area| corners(area).into_iter().flatten().flatten().collect::<Vec<_>>();
            let shape = |area| -> Vec<Vec<usize>> {
                corners(area).iter().map(|part| part.iter().map(Vec::len).collect()).collect()
            };
            let (ours, theirs) = (flat(a), flat(b));
            names(a) == names(b) && shape(a) == shape(b) && ours.iter().zip(&theirs).all(|(a, b)| near(a, b))
        })
}

#[test]
fn every_format_and_system_gives_the_same_districts() {
    if !gdal_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.geojson");
    std::fs::write(&source, collection(&city())).unwrap();
    let first = read(&source, &order(None)).unwrap();
    assert_eq!(first.problems, []);
    let codes: Vec<&str> = first.areas.iter().map(|area| area.code.as_str()).collect();
    assert_eq!(codes, ["370502", "370503", "370505"]);
    assert_eq!(corners(&first.areas[0]).iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(first.areas[2].shape.parts().len(), 2);
    assert_eq!((first.found.code.as_str(), first.found.name.as_str()), ("XZQDM", "XZQMC"));

    let at = |name: &str| folder.path().join(name);
    let degrees = ["-a_srs", "EPSG:4326"];
    let gauss = ["-a_srs", "EPSG:4490", "-t_srs", "EPSG:4549"];
    ogr2ogr(
        &source,
        &at("plain.shp"),
        &[&["-f", "ESRI Shapefile", "-lco", "ENCODING=UTF-8"][..], &degrees].concat(),
    );
    ogr2ogr(
        &source,
        &at("gbk.shp"),
        &[&["-f", "ESRI Shapefile", "-lco", "ENCODING=GBK"][..], &gauss].concat(),
    );
    ogr2ogr(&source, &at("areas.gpkg"), &[&["-f", "GPKG", "-nlt", "MULTIPOLYGON"][..], &degrees].concat());
    ogr2ogr(&source, &at("grid.gpkg"), &[&["-f", "GPKG", "-nlt", "GEOMETRY"][..], &gauss].concat());
    ogr2ogr(&source, &at("areas.kml"), &["-f", "KML", "-dsco", "NameField=XZQMC"]);
    ogr2ogr(
        &source,
        &at("areas.geojsons"),
        &["-f", "GeoJSONSeq", "-lco", "RS=YES", "-lco", "COORDINATE_PRECISION=15"],
    );
    ogr2ogr(&source, &at("old.geojson"), &[&["-f", "GeoJSON", "-lco", "RFC7946=NO"][..], &gauss].concat());
    std::fs::write(at("areas.kmz"), zip_of(&[("doc.kml".into(), std::fs::read(at("areas.kml")).unwrap())]))
        .unwrap();
    let (plain, gbk) = (zipped(folder.path(), "plain"), zipped(folder.path(), "gbk"));
    // Without a word of the system the numbers of a grid leave several zones open.
    std::fs::remove_file(at("gbk.prj")).unwrap();
    let unsaid = read(&at("gbk.shp"), &order(None)).unwrap_err();
    assert!(unsaid.code.starts_with("crs.ask"), "{unsaid:?}");
    let named = read(&at("gbk.shp"), &order(Some("EPSG:4549"))).unwrap();
    assert!(close(&named.areas, &first.areas));

    for (path, system) in [
        (at("plain.shp"), "4326"),
        (plain, "4326"),
        (gbk, "4549"),
        (at("areas.gpkg"), "4326"),
        (at("grid.gpkg"), "4549"),
        (at("areas.kml"), "4326"),
        (at("areas.kmz"), "4326"),
        (at("areas.geojsons"), "4490"),
        (at("old.geojson"), "4549"),
    ] {
        let look = read(&path, &order(None)).unwrap_or_else(|refusal| panic!("{path:?}: {refusal:?}"));
        assert_eq!(look.problems, [], "{path:?}");
        assert!(close(&look.areas, &first.areas), "{path:?}: {:?}", look.areas);
        assert!(look.found.crs.contains(system), "{path:?}: {}", look.found.crs);
        assert!(!look.found.evidence.is_empty(), "{path:?}");
    }
}

#[test]
fn a_feature_that_is_no_area_is_named_and_loses_no_other() {
    let open = r#"{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,2]]]}"#;
    let good = polygon(&[square(1.0, 1.0, 1.0)]);
    let island = format!(r#"{{"type":"MultiPolygon","coordinates":[[{}]]}}"#, square(5.0, 5.0, 1.0));
    let all = [
        feature("1", "Good", &good),
        feature("2", "Open", open),
        feature("3", "Point", r#"{"type":"Point","coordinates":[1,1]}"#),
        feature("null", "No code", &good),
        feature("1", "Other name", &island),
        feature("\"a b\"", "Bad code", &good),
        feature("7", "Nowhere", "null"),
        feature("8", "Half", r#"{"type":"Polygon","coordinates":[[[1],[2,1],[2,2],[1]]]}"#),
        feature("9", "Empty", r#"{"type":"MultiPolygon","coordinates":[]}"#),
        feature("10", "Beyond", &polygon(&[square(500.0, 1.0, 1.0)])),
        r#"{"type":"Thing"}"#.to_owned(),
        feature("1", "Good", &island),
    ];
    let look = read_text("a.json", &collection(&all), &order(None)).unwrap();
    assert_eq!(look.areas.len(), 1);
    assert_eq!(look.areas[0].shape.parts().len(), 2);
    let said: Vec<(u64, &str, &str, &str)> = look
        .problems
        .iter()
        .map(|problem| {
            (problem.line, problem.column.as_deref().unwrap(), problem.refusal.code, problem.read.as_str())
        })
        .collect();
    assert_eq!(
        said,
        [
            (2, "geometry", "area.ring", "2 Open"),
            (3, "geometry", "area.no_polygon", "3 Point"),
            (4, "XZQDM", "area.property", "No code"),
            (5, "XZQMC", "area.two_names", "1 Other name"),
            (6, "XZQDM", "area.code", "a b Bad code"),
            (7, "geometry", "area.no_polygon", "7 Nowhere"),
            (8, "geometry", "geometry.coordinates", "8 Half"),
            (9, "geometry", "area.empty", "9 Empty"),
            (10, "geometry", "position.beyond_globe", "10 Beyond"),
            (11, "XZQDM", "area.property", ""),
        ]
    );
}

#[test]
fn codes_are_written_out_and_columns_chosen_as_a_person_says() {
    let features = [feature("4", "The Port", &polygon(&[square(1.0, 1.0, 1.0)]))];
    let columns = AreaColumns { code_prefix: "02".into(), code_length: 6, ..AreaColumns::default() };
    let look = read_text("a.json", &collection(&features), &AreaOrder { columns, ..order(None) }).unwrap();
    assert_eq!(look.areas[0].code, "020004");
    let columns = AreaColumns { name: Some("XZQDM".into()), ..AreaColumns::default() };
    let look = read_text("a.json", &collection(&features), &AreaOrder { columns, ..order(None) }).unwrap();
    assert_eq!(look.areas[0].name_zh, "4");
    let columns = AreaColumns { code: Some("NUMBER".into()), ..AreaColumns::default() };
    let refused = read_text("a.json", &collection(&features), &AreaOrder { columns, ..order(None) });
    assert_eq!(refused.unwrap_err().code, "area.column");
}

#[test]
fn what_holds_no_areas_is_refused_whole_with_what_would_fit() {
    let geometry = polygon(&[square(1.0, 1.0, 1.0)]);
    for (name, text, code) in [
        ("a.json", "", "area.unreadable"),
        ("a.json", "{", "area.unreadable"),
        ("a.json", "[]", "area.unreadable"),
        ("a.json", r#"{"type":"FeatureCollection"}"#, "area.unreadable"),
        ("a.json", geometry.as_str(), "area.unreadable"),
        ("a.json", r#"{"type":"FeatureCollection","features":[]}"#, "area.empty_file"),
        ("a.json", r#"{"type":"FeatureCollection","features":[7]}"#, "area.unreadable"),
        ("a.csv", "code,name\n1,x\n", "area.format"),
        ("a.kml", "<kml><Document><Placemark>", "xml.truncated"),
        ("a.kml", "<kml><Document></Document></kml>", "area.empty_file"),
        ("a.gpkg", "SQLite format 3\0 and nothing", "gpkg.unreadable"),
        ("a.zip", "PK\u{3}\u{4}", "archive.damaged"),
        ("a.pdf", "%PDF-1.7", "file.kind"),
    ] {
        let refusal = read_text(name, text, &order(None)).unwrap_err();
        assert_eq!(refusal.code, code, "{name} {text}");
    }
    let kml = r#"<kml><Placemark><name>1</name><MultiGeometry>
        <Polygon><innerBoundaryIs><LinearRing><coordinates>1.2,1.2 1.4,1.2 1.4,1.4 1.2,1.2</coordinates></LinearRing></innerBoundaryIs>
        <outerBoundaryIs><LinearRing><coordinates>1,1,0 2,1,0 2,2,0 1,2,0 1,1,0</coordinates></LinearRing></outerBoundaryIs></Polygon>
        <Point><coordinates>1.5,1.5</coordinates></Point></MultiGeometry></Placemark></kml>"#;
    let columns = AreaColumns { code: Some("name".into()), ..AreaColumns::default() };
    let look = read_text("a.kml", kml, &AreaOrder { columns, ..order(None) }).unwrap();
    assert_eq!(corners(&look.areas[0])[0].iter().map(Vec::len).collect::<Vec<_>>(), [4, 3]);
}

#[test]
fn a_layer_is_chosen_by_name_where_there_are_several() {
    let one = collection(&city());
    let entries = [
        ("东营.geojson".to_owned(), one.clone().into_bytes()),
        ("网格.geojson".to_owned(), one.into_bytes()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.zip");
    std::fs::write(&path, zip_of(&entries)).unwrap();
    assert_eq!(read(&path, &order(None)).unwrap_err().code, "layer.several");
    let told = Told::parse(TypedTold { layer: Some("网格"), ..TypedTold::default() }).unwrap();
    let look = read(&path, &AreaOrder { told, ..order(None) }).unwrap();
    assert_eq!(look.found.layer.as_deref(), Some("网格.geojson"));
    assert_eq!(look.found.other_layers, ["东营.geojson"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// A Shapefile, a GeoPackage and a KML with some bytes of theirs turned: refused or read, and no more.
    #[test]
    fn spoiled_files_are_refused_or_read(
        turned in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        for (name, bytes) in spoilable() {
            let mut bytes = bytes.clone();
            for (at, byte) in &turned {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let folder = tempfile::tempdir().unwrap();
            if name.ends_with(".shp") {
                let table = spoilable().iter().find(|(name, _)| name.ends_with(".dbf")).unwrap();
                std::fs::write(folder.path().join("a.dbf"), &table.1).unwrap();
            }
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            let _ = read(&path, &order(Some("EPSG:4326")));
        }
    }
}

/// Small files of each kind, made once.
fn spoilable() -> &'static [(String, Vec<u8>)] {
    static FILES: std::sync::OnceLock<Vec<(String, Vec<u8>)>> = std::sync::OnceLock::new();
    FILES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source.geojson");
        std::fs::write(&source, collection(&city())).unwrap();
        let mut names = vec!["source.geojson"];
        if gdal_is_here() {
            ogr2ogr(&source, &folder.path().join("a.shp"), &["-f", "ESRI Shapefile"]);
            ogr2ogr(&source, &folder.path().join("a.gpkg"), &["-f", "GPKG"]);
            ogr2ogr(&source, &folder.path().join("a.kml"), &["-f", "KML"]);
            names.extend(["a.shp", "a.dbf", "a.gpkg", "a.kml"]);
        }
        names
            .into_iter()
            .map(|name| (name.to_owned(), std::fs::read(folder.path().join(name)).unwrap()))
            .collect()
    })
}
