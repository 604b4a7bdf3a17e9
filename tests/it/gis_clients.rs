//! Programs of GIS people against the server: GDAL, which QGIS uses as well, and OWSLib.

use std::path::Path;
use std::process::Command;

use lidmark::domain::role::Role;
use lidmark::registry::CoverFilter;

use crate::contract::house::{As, House};
use crate::support::{have, skip_or_fail};

/// What a program says; it must succeed without a complaint.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let (said, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && complaints.is_empty(), "{program} {arguments:?}: {said}{complaints}");
    said.into_owned()
}

async fn blocking(program: &'static str, arguments: Vec<String>) -> String {
    let run = move || run(program, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The number behind a label, e.g. `Feature Count: 6`.
fn number(said: &str, label: &str) -> usize {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(label))
        .unwrap_or_else(|| panic!("no {label} in {said}"));
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gdal_reads_counts_bounds_rows_and_conditions() {
    if !have("ogr2ogr") {
        return skip_or_fail("GDAL (package gdal-bin)");
    }
    let house = House::open().await;
    house.reload_map().await;
    let covers =
        house.town.registry.list_covers(CoverFilter { limit: 100, ..CoverFilter::default() }).await.unwrap();
    let source = format!("OAPIF:{}/ogc", house.base);
    let layers = blocking("ogrinfo", vec!["-ro".into(), "-q".into(), source.clone()]).await;
    assert!(layers.contains("covers") && layers.contains("districts"), "{layers}");

    let summary =
        blocking("ogrinfo", vec!["-ro".into(), "-so".into(), source.clone(), "covers".into()]).await;
    assert_eq!(number(&summary, "Feature Count:"), covers.len(), "{summary}");
    for field in ["code: String", "has_plate: Integer(Boolean)", "Geometry: Point"] {
        assert!(summary.contains(field), "{field}: {summary}");
    }
    let edges = summary.lines().find_map(|line| line.strip_prefix("Extent: ")).unwrap();
    let edges: Vec<f64> = edges
        .split(|sign: char| !matches!(sign, '0'..='9' | '.' | '-'))
        .filter_map(|part| part.parse().ok())
        .collect();
    let [west, south, east, north] = edges[..] else { panic!("{summary}") };
    for cover in &covers {
        let place = &cover.survey.position;
        assert!((west..=east).contains(&place.lon) && (south..=north).contains(&place.lat), "{summary}");
    }

    // Page by page into a GeoPackage: every cover once, where it lies.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("covers.gpkg").display().to_string();
    let copy = ["-f", "GPKG", &file, &source, "covers", "-oo", "PAGE_SIZE=4"].map(str::to_owned);
    blocking("ogr2ogr", copy.to_vec()).await;
    let copied = blocking("ogrinfo", vec!["-ro".into(), "-so".into(), file.clone(), "covers".into()]).await;
    assert_eq!(number(&copied, "Feature Count:"), covers.len());
    let table = ["-f", "CSV", "/vsistdout/", &file, "covers", "-lco", "GEOMETRY=AS_XY"].map(str::to_owned);
    let table = blocking("ogr2ogr", table.to_vec()).await;
    for cover in &covers {
        let row =
            table.lines().find(|line| line.contains(&cover.code.digits)).unwrap_or_else(|| panic!("{table}"));
        let place: Vec<f64> = row.split(',').take(2).map(|part| part.parse().unwrap()).collect();
        let off = lidmark::domain::position::distance_m(
            (place[0], place[1]),
            (cover.survey.position.lon, cover.survey.position.lat),
        );
        assert!(off < 0.15, "{row}: {off} m");
    }

    // A condition becomes a parameter, a box a box.
    let code = covers[0].code.digits.clone();
    let one = vec![
        "-ro".into(),
        "-q".into(),
        source.clone(),
        "covers".into(),
        "-where".into(),
        format!("code = '{code}'"),
    ];
    let one = blocking("ogrinfo", one).await;
    assert_eq!(one.matches("OGRFeature(covers)").count(), 1, "{one}");
    let place = &covers[0].survey.position;
    let edges =
        [place.lon - 1e-5, place.lat - 1e-5, place.lon + 1e-5, place.lat + 1e-5].map(|edge| edge.to_string());
    let mut boxed: Vec<String> =
        vec!["-ro".into(), "-q".into(), source.clone(), "covers".into(), "-spat".into()];
    boxed.extend(edges);
    let boxed = blocking("ogrinfo", boxed).await;
    assert_eq!(boxed.matches("OGRFeature(covers)").count(), 1, "{boxed}");

    // With a token there is more to read.
    let bearer = format!("Authorization: Bearer {}", house.bearer(Role::Engineer));
    let with_token = |more: &[&str]| -> Vec<String> {
        let token = ["--config", "GDAL_HTTP_HEADERS", &bearer];
        token.iter().chain(more).map(|&argument| argument.to_owned()).collect()
    };
    let staff = blocking("ogrinfo", with_token(&["-ro", "-so", &source, "covers"])).await;
    assert!(staff.contains("completeness: Integer") && !summary.contains("completeness"), "{staff}");

    // What is read from the tables comes page by page as well, each row once; a plate that is bound lies where its cover does.
    let file_of = |layer: &str| folder.path().join(format!("{layer}.gpkg")).display().to_string();
    for layer in ["manholes", "plates"] {
        let there = blocking("ogrinfo", with_token(&["-ro", "-so", &source, layer])).await;
        let count = number(&there, "Feature Count:");
        let file = file_of(layer);
        // A GeoPackage has no lists: the codes of a manhole become a text.
        let lists = ["-mapFieldType", "StringList=String"];
        let copy = ["-f", "GPKG", &file, &source, layer, "-oo", "PAGE_SIZE=3"];
        blocking("ogr2ogr", with_token(&[&copy[..], &lists[..]].concat())).await;
        let copied = blocking("ogrinfo", vec!["-ro".into(), "-so".into(), file, layer.into()]).await;
        assert!(count > 3 && number(&copied, "Feature Count:") == count, "{layer}: {there}{copied}");
    }
    let bound = "SELECT count(*) AS bound FROM plates WHERE geom IS NOT NULL AND state = 'installed'";
    let said =
        blocking("ogrinfo", vec!["-ro".into(), "-q".into(), file_of("plates"), "-sql".into(), bound.into()])
            .await;
    let marked =
        covers.iter().filter(|cover| house.state.snapshot.load().find(cover.cover).unwrap().flags.has_plate);
    assert!(said.contains(&format!("bound (Integer) = {}", marked.count())), "{said}");
    house.ask(As::Nobody, "GET", "/ogc").expect(200).await;
    house.assert_faultless();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owslib_finds_its_way() {
    // The system's Python, for whose packages Debian cares.
    const PYTHON: &str = "/usr/bin/python3";
    if !Path::new("/usr/lib/python3/dist-packages/owslib/__init__.py").exists() {
        return skip_or_fail("OWSLib (package python3-owslib)");
    }
    let house = House::open().await;
    house.reload_map().await;
    let script = r"
import sys
from owslib.ogcapi.features import Features
w = Features(sys.argv[1])
assert w.feature_collections() == ['covers', 'cases', 'districts'], w.feature_collections()
assert any(c.endswith('/conf/core') for c in w.conformance()['conformsTo'])
assert w.api()['openapi'].startswith('3.0')
assert 'class' in w.collection_queryables('covers')['properties']
page = w.collection_items('covers', limit=2)
assert page['numberReturned'] == 2 and len(page['features']) == 2
code = page['features'][1]['id']
assert w.collection_item('covers', code)['properties']['code'] == code
second = w.collection_items('covers', limit=1, offset=1)
assert second['features'][0]['id'] == code
lon, lat = page['features'][0]['geometry']['coordinates']
boxed = w.collection_items('covers', bbox=[lon - 1e-6, lat - 1e-6, lon + 1e-6, lat + 1e-6])
assert [f['id'] for f in boxed['features']] == [page['features'][0]['id']]
found = w.collection_items('covers', filter='code = \'%s\'' % code)
assert found['numberMatched'] == 1, found
print(page['numberMatched'])
";
    let said = blocking(PYTHON, vec!["-c".into(), script.into(), format!("{}/ogc", house.base)]).await;
    assert_eq!(said.trim(), house.state.snapshot.load().len().to_string());
}
