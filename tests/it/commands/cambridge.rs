//! The catch basins of Cambridge, whole: a real export with a code table for each column, sentinels,
//! two forms of dates and ids that were used twice.

use std::collections::{BTreeMap, BTreeSet};

use lidmark::domain::code::built_in_schemes;
use lidmark::domain::cover::{CoverClass, CoverState, Material};
use lidmark::import::{Format, Source, Told, find_built_in, read_file, read_rows};
use lidmark::registry::{Clock, CoverFilter, Database, Registry, RegistryOptions};

use super::{Place, assert_accounted_for, count};
use crate::support::checkout;

const ROWS: usize = 5457;

fn folder() -> std::path::PathBuf {
    checkout().join("tests/assets/import/cambridge-catchbasins")
}

/// Basins of each neighborhood by SOURCE.md, which counted them with a program of its own.
const NEIGHBORHOODS: [(&str, u64); 13] = [
    ("101", 693),
    ("102", 239),
    ("103", 362),
    ("104", 376),
    ("105", 600),
    ("106", 417),
    ("107", 337),
    ("108", 228),
    ("109", 532),
    ("110", 726),
    ("111", 611),
    ("112", 174),
    ("113", 159),
];

async fn covers_by_district(place: &Place) -> BTreeMap<String, u64> {
    let folder = place.home.folder().to_owned();
    let options =
        RegistryOptions { clock: Clock::System, schemes: built_in_schemes(), ..RegistryOptions::default() };
    let registry = Registry::open(&Database::Sqlite(folder), options).await.unwrap();
    let mut counts = BTreeMap::new();
    let mut after = None;
    loop {
        let filter = CoverFilter { after, limit: 1000, ..CoverFilter::default() };
        let page = registry.list_covers(filter).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cover);
        for cover in page {
            *counts.entry(cover.district.code).or_default() += 1;
        }
    }
    registry.close().await;
    counts
}

#[tokio::test]
async fn every_basin_of_cambridge_is_accounted_for_and_the_odd_ones_are_named() {
    let place = Place::new();
    let outlines = folder().join("neighborhoods.geojson").display().to_string();
    let areas = ["areas", "import", &outlines, "--kind", "district", "--code", "N_HOOD", "--name", "NAME"];
    let said = place.run(&[&areas[..], &["--code-prefix", "1", "--code-length", "3"]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    let file = folder().join("catchbasins.csv").display().to_string();
    let (duplicates, problems) = (place.path("duplicates.csv"), place.path("problems.csv"));
    let import = ["import", &file, "--profile", "cambridge-catchbasins", "--yes", "--json"];
    let said = place.run(&[&import[..], &["--duplicates", &duplicates, "--problems", &problems]].concat());
    assert_eq!(said.code, Some(1), "{said:?}");
    let summary = said.json();
    assert_accounted_for(&summary);
    assert_eq!((count(&summary, "read"), count(&summary, "created")), (ROWS as u64, 5431));
    assert_eq!((count(&summary, "duplicates"), count(&summary, "problems")), (23, 3));
    let understood = &summary["files"][0]["understood"];
    assert_eq!(
        (&understood["encoding"]["by"], &understood["delimiter"]),
        (&"byte_order_mark".into(), &",".into())
    );
    assert_eq!(understood["coordinates"]["share"], 1.0, "{summary}");

    // The three that lie outside all neighborhoods.
    let named: Vec<String> =
        csv::Reader::from_path(&problems).unwrap().records().map(|row| row.unwrap()[4].to_owned()).collect();
    assert_eq!(named, ["position.outside_jurisdiction"; 3]);

    // Of every repeated id, each row after the first is told beside it.
    let mut lines_of: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut table = csv::Reader::from_path(folder().join("catchbasins.csv")).unwrap();
    for (at, row) in table.records().enumerate() {
        lines_of.entry(row.unwrap()[5].to_owned()).or_default().push(at as u64 + 2);
    }
    let expected: BTreeSet<(u64, u64)> =
        lines_of.values().flat_map(|lines| lines[1..].iter().map(|line| (*line, lines[0]))).collect();
    assert_eq!(lines_of.values().filter(|lines| lines.len() > 1).count(), 22);
    let told: BTreeSet<(u64, u64)> = csv::Reader::from_path(&duplicates)
        .unwrap()
        .records()
        .map(|row| {
            let row = row.unwrap();
            (row[1].parse().unwrap(), row[3].parse().unwrap())
        })
        .collect();
    assert_eq!(told, expected);

    let again = place.run(&import).json();
    assert_eq!((count(&again, "unchanged"), count(&again, "duplicates")), (5431, 23), "{again}");

    let mut of_district = covers_by_district(&place).await;
    let mut repeated = 0;
    for (district, counted) in NEIGHBORHOODS {
        let here = of_district.remove(district).unwrap_or_default();
        assert!(here <= counted && here + 23 >= counted, "{district}: {here} of {counted}");
        repeated += counted - here;
    }
    assert_eq!((of_district.len(), repeated), (0, 23));
}

#[test]
fn the_citys_code_tables_and_sentinels_are_understood() {
    let profile = find_built_in("cambridge-catchbasins").unwrap();
    let schemes = built_in_schemes();
    let told = Told::default();
    let source = Source { format: Format::Csv, file_name: "catchbasins.csv", scheme: None, told: &told };
    let rows: Vec<_> = read_file(&profile, &schemes, &source, &folder().join("catchbasins.csv"))
        .unwrap()
        .map(|row| row.unwrap())
        .collect();
    assert_eq!(rows.len(), ROWS);
    let counted = |test: &dyn Fn(&lidmark::domain::cover::Survey) -> bool| {
        rows.iter().filter(|row| test(&row.survey)).count()
    };
    let kept =
        |name: &str, text: &str| counted(&|survey| survey.extra.get(name).is_some_and(|kept| kept == text));
    let told = |name: &str| counted(&|survey| survey.extra.contains_key(name));
    assert_eq!(counted(&|survey| survey.class == CoverClass::StormGrate), ROWS);
    assert_eq!(counted(&|survey| survey.state == CoverState::Abandoned), 18);
    assert_eq!(counted(&|survey| survey.material == Some(Material::Steel)), 1783 + 9);
    assert_eq!(counted(&|survey| survey.material == Some(Material::CastIron)), 369);
    assert_eq!(counted(&|survey| survey.owner.as_deref() == Some("City of Cambridge")), ROWS);
    assert_eq!((kept("wall_material", "Concrete Block"), kept("wall_material", "PCC")), (242, 9));
    assert_eq!(kept("water", "Storm"), 5451);
    // Installed in 1753, or at 0 and 999 feet: nobody knows.
    assert_eq!(told("installed"), ROWS - 522 - 2868);
    assert_eq!((kept("installed", "1974-11-26"), kept("installed", "2002-09-04")), (134, 73));
    assert_eq!(counted(&|survey| survey.extra.get("installed").is_some_and(|day| day.as_str() < "1940")), 0);
    assert_eq!(told("depth"), ROWS - 4999 - 234);
    assert_eq!(told("rim_elevation"), ROWS - 4236 - 577);
    assert_eq!(told("coating"), 0);
    // Nobody's initials or name.
    assert_eq!(told("LASTEDITOR"), 0);
    assert_eq!(counted(&|survey| survey.extra.values().any(|text| text.contains("FABRIZIO"))), 0);
}

#[test]
fn every_code_of_the_citys_tables_is_in_the_profile() {
    let profile = find_built_in("cambridge-catchbasins").unwrap();
    let schemes = built_in_schemes();
    let told = Told::default();
    let source = Source { format: Format::Csv, file_name: "catchbasins.csv", scheme: None, told: &told };
    for (table, column, kept) in [
        ("D_AccessFrameMaterial.csv", "FRAMEMATER", Some("frame_material")),
        ("D_WallMaterial.csv", "WALLMATERI", Some("wall_material")),
        ("D_ExteriorCoatingType.csv", "COATINGTYP", Some("coating")),
        ("D_CatchbasinGrateType.csv", "GRATETYPE", None),
        ("D_LifecycleStatus.csv", "LIFECYCLES", None),
        ("D_Owner.csv", "OWNER", None),
    ] {
        let table = std::fs::read_to_string(folder().join("domains").join(table)).unwrap();
        for line in table.lines().skip(1).filter(|line| !line.is_empty()) {
            let (code, description) = line.split_once(',').unwrap();
            let text = format!("FACILITYID,{column},x,y\nk,{code},-71.1,42.37\n");
            let row = read_rows(&profile, &schemes, &source, text.as_bytes()).unwrap().next().unwrap();
            let survey = row.unwrap_or_else(|problem| panic!("{line}: {problem:?}")).survey;
            let unknown = code == "UNK";
            if let Some(kept) = kept {
                let expected = Some(description.trim()).filter(|_| !unknown);
                assert_eq!(survey.extra.get(kept).map(String::as_str), expected, "{line}");
            }
            if column == "OWNER" && !matches!(code, "MWRA" | "DCR" | "MBTA" | "MIT") {
                assert_ne!(survey.owner.as_deref(), Some(code), "{line}");
            }
        }
    }
}
