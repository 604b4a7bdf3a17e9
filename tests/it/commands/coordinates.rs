//! Census files in the plane, in either order, shifted or in minutes: through the real command.

use lidmark::crs::{Crs, CrsBook};
use lidmark::domain::code::built_in_schemes;
use lidmark::registry::{Clock, CoverFilter, Database, Registry, RegistryOptions};
use serde_json::Value;

use super::{DISTRICTS, Place, count};
use crate::support::server::Said;

/// Twelve covers along a street of Dongying.
const STREET: usize = 12;

fn street() -> impl Iterator<Item = (f64, f64)> {
    (0..STREET).map(|at| (118.58 + at as f64 * 1e-3, 37.46 + at as f64 * 5e-4))
}

fn system(name: &str) -> Crs {
    CrsBook::built_in().named(name).unwrap()
}

/// A census whose columns `lon` and `lat` hold what `write` says of a place.
fn census(write: impl Fn(f64, f64) -> (String, String)) -> String {
    let mut text = "source_key,district,class,lon,lat\n".to_owned();
    for (at, (lon, lat)) in street().enumerate() {
        let (x, y) = write(lon, lat);
        text.push_str(&format!("k{at},370502,sewage,{x},{y}\n"));
    }
    text
}

/// The same in a system, to the tenth of a millimeter, north first.
fn north_first(crs: &Crs) -> impl Fn(f64, f64) -> (String, String) {
    |lon, lat| {
        let (east, north) = crs.to_grid(lon, lat).unwrap();
        (format!("{north:.4}"), format!("{east:.4}"))
    }
}

fn east_first(crs: &Crs) -> impl Fn(f64, f64) -> (String, String) {
    |lon, lat| {
        let (east, north) = crs.to_grid(lon, lat).unwrap();
        (format!("{east:.4}"), format!("{north:.4}"))
    }
}

fn import(place: &Place, text: &str, extra: &[&str]) -> Said {
    let file = place.file("census.csv", text);
    let mut arguments = vec!["import", &file, "--json", "--yes"];
    arguments.extend(DISTRICTS);
    arguments.extend(extra);
    place.run(&arguments)
}

/// What the registry keeps of each cover: degrees, then the numbers as surveyed.
async fn kept(place: &Place) -> Vec<(f64, f64, f64, f64, u32)> {
    let folder = place.home.folder().to_owned();
    let options =
        RegistryOptions { clock: Clock::System, schemes: built_in_schemes(), ..RegistryOptions::default() };
    let registry = Registry::open(&Database::Sqlite(folder), options).await.unwrap();
    let filter = CoverFilter { limit: 100, ..CoverFilter::default() };
    let mut covers = registry.list_covers(filter).await.unwrap();
    registry.close().await;
    covers.sort_by_key(|cover| {
        let key = cover.source_key.clone().unwrap();
        (key.len(), key)
    });
    covers
        .into_iter()
        .map(|cover| {
            let position = cover.survey.position;
            (position.lon, position.lat, position.raw.x, position.raw.y, position.raw.epsg)
        })
        .collect()
}

#[tokio::test]
async fn a_census_in_a_zone_is_kept_as_surveyed_beside_its_degrees_in_either_order() {
    for (wanted, crs, code) in [
        ("EPSG:4527", "EPSG:4527", 4527),
        ("auto", "EPSG:4527", 4527),
        ("EPSG:4548", "EPSG:4548", 4548),
        ("CM:118.5", "CM:118.5", 10_426_600),
    ] {
        let crs = system(crs);
        for (axes, text) in
            [("north_east", census(north_first(&crs))), ("east_north", census(east_first(&crs)))]
        {
            let place = Place::new();
            let said = import(&place, &text, &["--crs", wanted]);
            assert_eq!(said.code, Some(0), "{said:?}");
            let summary = said.json();
            assert_eq!(count(&summary, "created"), STREET as u64);
            let understood = &summary["files"][0]["understood"]["coordinates"];
            assert_eq!(understood["epsg"], code, "{summary}");
            assert_eq!(understood["axes"], axes, "{summary}");
            for (((lon, lat), (kept_lon, kept_lat, x, y, epsg)), at) in
                street().zip(kept(&place).await).zip(0..)
            {
                assert!((kept_lon - lon).abs() < 1e-8 && (kept_lat - lat).abs() < 1e-8, "cover {at}");
                let (east, north) = crs.to_grid(lon, lat).unwrap();
                assert_eq!(
                    (format!("{x:.4}"), format!("{y:.4}")),
                    (format!("{east:.4}"), format!("{north:.4}"))
                );
                assert_eq!(epsg, code);
            }
        }
    }
}

#[test]
fn the_evidence_is_said_in_words() {
    let place = Place::new();
    let file = place.file("census.csv", &census(north_first(&system("EPSG:4527"))));
    for (language, words) in [
        ("en", ["Eastings of 8 digits begin with 39: zone 39", "north before east"]),
        ("zh", ["8 位的东坐标以 39 开头：39 带", "北坐标在前"]),
    ] {
        let mut arguments = vec!["import", &file, "--dry-run", "--crs", "auto", "--lang", language];
        arguments.extend(DISTRICTS);
        let said = place.run(&arguments);
        assert_eq!(said.code, Some(0), "{said:?}");
        for words in words {
            assert!(said.stdout.contains(words), "{said:?}");
        }
    }
}

fn refused(said: &Said) -> (String, String) {
    assert_eq!(said.code, Some(2), "{said:?}");
    let error = &said.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    (text("code"), text("detail"))
}

#[test]
fn what_the_numbers_leave_open_stops_the_import_and_asks() {
    let short = census(north_first(&system("EPSG:4548")));
    let zoned = census(east_first(&system("EPSG:4528")));
    let nonsense = census(|lon, lat| (format!("{}", lon * 1e9), format!("{}", lat * 1e9)));
    for (text, wanted, code, says) in [
        (&short, "auto", "crs.ask_zone", "EPSG:4548"),
        (&short, "EPSG:4527", "crs.declared_fits_not_but", "EPSG:4548"),
        (&zoned, "EPSG:4527", "crs.declared_fits_not_but", "EPSG:4528"),
        (&nonsense, "auto", "crs.nothing_fits", "--crs"),
        (&nonsense, "EPSG:4490", "crs.declared_fits_not", "EPSG:4490"),
        (&short, "EPSG:2437", "crs.unsupported", "crs.toml"),
        (&short, "north", "crs.argument", "EPSG:4527"),
    ] {
        let place = Place::new();
        let (refusal, detail) = refused(&import(&place, text, &["--crs", wanted]));
        assert_eq!(refusal, code, "{wanted}: {detail}");
        assert!(detail.contains(says) && !detail.contains('{'), "{wanted}: {detail}");
    }
}

#[tokio::test]
async fn degrees_of_an_online_map_are_brought_back_when_they_are_declared() {
    for name in ["gcj02", "bd09"] {
        let crs = system(name);
        let text = census(|lon, lat| {
            let (lon, lat) = crs.to_grid(lon, lat).unwrap();
            (format!("{lon:.9}"), format!("{lat:.9}"))
        });
        let place = Place::new();
        let said = import(&place, &text, &["--crs", name]);
        assert_eq!(said.code, Some(0), "{said:?}");
        for ((lon, lat), (kept_lon, kept_lat, x, _, epsg)) in street().zip(kept(&place).await) {
            assert!((kept_lon - lon).abs() < 1e-8 && (kept_lat - lat).abs() < 1e-8);
            assert!((x - lon).abs() > 1e-3);
            assert_eq!(Some(epsg), crs.code());
        }
    }
}

#[tokio::test]
async fn degrees_in_minutes_and_seconds_are_read_and_kept_as_written() {
    let text = "source_key,district,class,lon,lat\n\
        a,370502,sewage,118°35'24\"E,N37°27′36″\n\
        b,370502,sewage,118 35 24,37 27 36\n";
    let place = Place::new();
    let said = import(&place, text, &[]);
    let summary = said.json();
    // Both rows mean one cover.
    assert_eq!((count(&summary, "read"), count(&summary, "problems")), (2, 0), "{summary}");
    let (lon, lat, ..) = kept(&place).await[0];
    assert!((lon - 118.59).abs() < 1e-9 && (lat - 37.46).abs() < 1e-9);
}

#[test]
fn a_grid_of_the_citys_own_is_read_from_its_file() {
    let own = "[[system]]\ncode = 910001\nname = \"东营城市坐标系\"\n\
        proj = \"+proj=tmerc +lat_0=0 +lon_0=118.5 +k=1 +x_0=500000 +y_0=-4000000 +ellps=GRS80 +units=m\"\n\
        datum = \"CGCS2000\"\narea = [117.5, 36.5, 119.5, 38.5]\n";
    let crs = CrsBook::built_in().with(own).unwrap().find(910_001).unwrap();
    let place = Place::new();
    std::fs::create_dir_all(place.home.folder()).unwrap();
    std::fs::write(place.home.folder().join("crs.toml"), own).unwrap();
    let said = import(&place, &census(north_first(&crs)), &["--crs", "OWN:910001"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let summary: Value = said.json();
    assert_eq!(summary["files"][0]["understood"]["coordinates"]["crs"], "OWN:910001 东营城市坐标系");

    std::fs::write(place.home.folder().join("crs.toml"), own.replace("910001", "4527")).unwrap();
    let (code, detail) = refused(&import(&place, &census(north_first(&crs)), &[]));
    assert_eq!(code, "crs.file_unusable", "{detail}");
}

#[test]
fn a_few_rows_in_the_other_order_are_problems_and_not_a_place_in_the_sea() {
    let crs = system("EPSG:4527");
    let mut text = census(north_first(&crs));
    let (lon, lat) = street().next().unwrap();
    let (east, north) = crs.to_grid(lon, lat).unwrap();
    text.push_str(&format!("odd,370502,sewage,{east:.3},{north:.3}\nzero,370502,sewage,0,0\n"));
    text.push_str("far,370502,sewage,4148750.03,40375250.3\n");
    let place = Place::new();
    let problems = place.path("problems.csv");
    let said = import(&place, &text, &["--crs", "EPSG:4527", "--problems", &problems]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(count(&said.json(), "problems"), 3);
    let listed = std::fs::read_to_string(&problems).unwrap();
    for code in ["position.axes_swapped", "position.zero", "position.outside_system"] {
        assert!(listed.contains(code), "{listed}");
    }
}
