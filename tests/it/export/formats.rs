//! Each format as another program reads it.

use lidmark::domain::case::CaseState;
use lidmark::domain::cover::CoverClass;
use lidmark::domain::hazard::Hazard;
use lidmark::messages::Language;
use lidmark::outlet::{CoverFilters, FileOrder, Format, PlateFilters, What};
use lidmark::registry::{CaseFilter, CaseSelection, PlateSelection};
use sqlx::Connection;

use super::{Desk, LONG, covers, gdal, order, rows_by_gdal, text, ugly_town};
use crate::both_engines;
use crate::registry::ground::{Town, candidate};

/// Runs SQL on a file that was written.
async fn sql(file: &std::path::Path, statement: &'static str) -> Vec<String> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query_scalar(statement).fetch_all(&mut connection).await.unwrap()
}

both_engines! {
    async fn a_geopackage_in_a_grid_opens_with_its_system_its_points_and_its_chinese(ground: Ground) {
        let town = ugly_town(&ground).await;
        let desk = Desk::new();
        let wanted = FileOrder { crs: Some("EPSG:4549".into()), ..covers(Format::GeoPackage) };
        let (file, exported) = desk.write(&town, wanted).await.unwrap();
        // The one in Ürümqi has no place in a zone of Shandong.
        assert_eq!((exported.written.rows, exported.written.without_place), (5, 1));
        assert_eq!(sql(&file, "PRAGMA integrity_check").await, ["ok"]);
        assert_eq!(sql(&file, "SELECT rtreecheck('rtree_covers_geom')").await, ["ok"]);
        let journal = sql(&file, "PRAGMA journal_mode").await;
        assert_eq!(journal, ["delete"]);

        let name = file.display().to_string();
        let Some(summary) = gdal("ogrinfo", &["-so", &name, "covers"]) else { return };
        for said in ["Feature Count: 5", "ID[\"EPSG\",4549]", "Geometry: Point", "DESCRIPTION=井盖"] {
            assert!(summary.contains(said), "{said} in {summary}");
        }
        let rows = rows_by_gdal(&name, "covers").unwrap();
        assert_eq!(rows[0]["road"], "\"黄河路\", 东段");
        assert_eq!(rows[0]["extra"], r#"{"备注":"第一行\n第二行","编号":"000"}"#);
        assert_eq!(rows[1]["address"], LONG.repeat(12));
        let point = |at: usize| -> (f64, f64) { (rows[at]["X"].parse().unwrap(), rows[at]["Y"].parse().unwrap()) };
        // Computed with cs2cs; the third was surveyed in this very system and keeps its digits.
        let (east, north) = point(0);
        assert!((east - 375_250.337_2).abs() < 1e-3 && (north - 4_148_496.376_5).abs() < 1e-3);
        assert_eq!(point(2), (375_303.293_1, 4_148_495.668_4));
        assert_eq!((rows[2]["placement"].as_str(), rows[2]["raw_crs"].as_str()), ("carriageway", "EPSG:4549"));
        assert_eq!((rows[4]["class"].as_str(), rows[4]["X"].as_str()), ("gas", ""));
        assert_eq!((rows[3]["owner"].as_str(), rows[3]["accuracy_m"].as_str()), ("", ""));
        let near = gdal("ogrinfo", &["-so", &name, "covers", "-spat", "375240", "4148490", "375260", "4148500"]);
        assert!(near.unwrap().contains("Feature Count: 1"));
    }

    async fn a_shapefile_says_its_encoding_its_system_and_what_its_fields_mean(ground: Ground) {
        let town = ugly_town(&ground).await;
        let desk = Desk::new();
        let wanted = FileOrder { crs: Some("EPSG:4527".into()), ..covers(Format::Shapefile) };
        let (file, exported) = desk.write(&town, wanted).await.unwrap();
        assert_eq!((exported.written.rows, exported.written.without_place, exported.written.cut), (5, 1, 1));
        let mut zip = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
        let mut inside = |name: &str| -> String {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut zip.by_name(name).unwrap(), &mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        assert_eq!(inside("covers.cpg"), "UTF-8");
        assert!(inside("covers.prj").starts_with("PROJCS[\"CGCS2000_3_Degree_GK_Zone_39\""));
        let legend = inside("covers-fields.csv");
        assert!(legend.contains("\r\npos_method,position_method,定位方式,Method of survey,C,3\r\n"), "{legend}");
        // What does not fit into a field is whole beside it.
        let long = inside("covers-long.csv");
        assert_eq!(long, format!("\u{feff}row,field,value\r\n2,address,\"{}\"\r\n", LONG.repeat(12)));

        let name = format!("/vsizip/{}/covers.shp", file.display());
        let Some(summary) = gdal("ogrinfo", &["-so", &name, "covers"]) else { return };
        for said in ["Feature Count: 5", "ID[\"EPSG\",4527]", "Geometry: Point"] {
            assert!(summary.contains(said), "{said} in {summary}");
        }
        let rows = rows_by_gdal(&name, "covers").unwrap();
        assert_eq!((rows[0]["road"].as_str(), rows[0]["X"].as_str()), ("\"黄河路\", 东段", "39640676.1648"));
        // 254 bytes are 84 ideographs of three.
        assert_eq!(rows[1]["address"], LONG.repeat(12).chars().take(84).collect::<String>());
        assert_eq!((rows[0]["accuracy_m"].as_str(), rows[3]["accuracy_m"].as_str()), ("0.05", ""));
        assert_eq!(rows[0]["surveyed"], "2026-03-02T08:00:00+08:00");
    }

    async fn geojson_in_all_its_forms_is_read_alike(ground: Ground) {
        let town = ugly_town(&ground).await;
        let desk = Desk::new();
        for format in [Format::GeoJson, Format::GeoJsonLines, Format::GeoJsonSequence] {
            let (file, exported) = desk.write(&town, covers(format)).await.unwrap();
            assert_eq!(exported.written.rows, 5);
            let text = text(&file);
            let records: Vec<&str> = text.split('\u{1e}').collect();
            assert_eq!(records.len(), if format == Format::GeoJsonSequence { 6 } else { 1 });
            assert!(!text.contains("\"crs\""), "degrees need no name: {text}");
            let Some(rows) = rows_by_gdal(&file.display().to_string(), "covers") else { return };
            assert_eq!((rows[0]["X"].as_str(), rows[0]["Y"].as_str()), ("118.59", "37.46"), "{format}");
            assert_eq!(rows[0]["road"], "\"黄河路\", 东段");
        }
        let (file, _) = desk
            .write(&town, FileOrder { crs: Some("EPSG:3857".into()), ..covers(Format::GeoJson) })
            .await
            .unwrap();
        if let Some(summary) = gdal("ogrinfo", &["-so", &file.display().to_string(), "covers"]) {
            assert!(summary.contains("ID[\"EPSG\",3857]"), "{summary}");
        }
    }

    async fn tables_open_in_excel_with_whole_codes_and_the_words_of_the_city(ground: Ground) {
        let town = ugly_town(&ground).await;
        let desk = Desk::new();
        let in_a_grid = FileOrder { crs: Some("EPSG:4549".into()), ..covers(Format::Csv) };
        let (file, _) = desk.write(&town, in_a_grid).await.unwrap();
        let table = text(&file);
        let lines: Vec<&str> = table.split("\r\n").collect();
        let head = "\u{feff}code,scheme,district,district_name,class,state,lon,lat,east,north,crs,road,";
        assert!(lines[0].starts_with(head), "{table}");
        let first = "3705020102000001,component-16,370502,东营区,sewage,intact,118.59,37.46,375250.3372,4148496.3765,\
            EPSG:4549,\"\"\"黄河路\"\", 东段\",";
        assert!(lines[1].starts_with(first), "{table}");
        assert!(table.contains("3705020111000001,component-16,370502,东营区,gas,intact,87.6,43.8,,,,"), "{table}");

        let spoken = FileOrder { words: Some(Language::Zh), ..covers(Format::Xlsx) };
        let (file, exported) = desk.write(&town, spoken).await.unwrap();
        assert_eq!(exported.written.rows, 5);
        let name = file.display().to_string();
        let Some(sheet) = gdal("ogr2ogr", &["-f", "CSV", "/vsistdout/", &name, "covers"]) else { return };
        let lines: Vec<&str> = sheet.lines().collect();
        assert!(lines[0].starts_with("部件标识码,编码方案,区划代码,区划名称,井盖类别,井盖状态,经度,纬度,道路,"), "{sheet}");
        assert!(lines[1].starts_with("\"3705020102000001\",component-16,\"370502\",东营区,污水井盖,完好,118.59,37.46,"), "{sheet}");
        assert!(lines[1].contains(",2026/03/02 08:00:00,"), "times are times on the city's clock: {sheet}");
        let legend = gdal("ogr2ogr", &["-f", "CSV", "/vsistdout/", &name, "fields"]).unwrap();
        assert!(legend.contains("\nload_class,承载等级,Load class"), "{legend}");
        let unfit = FileOrder { words: Some(Language::Zh), ..covers(Format::GeoPackage) };
        assert!(desk.write(&town, unfit).await.is_err());
    }

    async fn a_file_has_what_its_filters_say(ground: Ground) {
        let town = ugly_town(&ground).await;
        let desk = Desk::new();
        let filters = |change: &dyn Fn(&mut CoverFilters)| {
            let mut filters = CoverFilters::default();
            change(&mut filters);
            filters
        };
        let cases: [(&dyn Fn(&mut CoverFilters), u64); 9] = [
            (&|_| {}, 5),
            (&|filters| filters.class = Some("gas".into()), 1),
            (&|filters| filters.state = Some("broken".into()), 1),
            (&|filters| filters.district = Some("370502".into()), 5),
            (&|filters| filters.road = Some("黄河路".into()), 3),
            (&|filters| filters.owner = Some("东营水务".into()), 4),
            (&|filters| filters.owner = Some("unknown".into()), 1),
            (&|filters| filters.bbox = Some("118.5895,37,118.5905,38".into()), 2),
            (&|filters| filters.bbox = Some("118.5905,37,100,60".into()), 3),
        ];
        for (at, (change, count)) in cases.into_iter().enumerate() {
            let selection = filters(change).read(&town.registry).await.unwrap();
            let (_, exported) = desk.write(&town, order(What::Covers(selection), Format::Csv)).await.unwrap();
            assert_eq!(exported.written.rows, count, "filter {at}");
        }
        for wrong in [
            filters(&|filters| filters.class = Some("manhole".into())),
            filters(&|filters| filters.district = Some("999999".into())),
            filters(&|filters| filters.owner = Some("nobody".into())),
            filters(&|filters| filters.bbox = Some("1,2,3".into())),
        ] {
            assert!(wrong.clone().read(&town.registry).await.is_err(), "{wrong:?}");
        }
    }

    async fn cases_and_plates_come_with_their_places(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(3).await;
        town.report(tokens[0], Hazard::Broken).await;
        town.report(tokens[1], Hazard::Missing).await;
        let desk = Desk::new();
        let all = What::Cases(CaseSelection::default());
        let (file, exported) = desk.write(&town, order(all, Format::GeoJson)).await.unwrap();
        assert_eq!(exported.written.rows, 2);
        let read: serde_json::Value = serde_json::from_str(&text(&file)).unwrap();
        let first = &read["features"][0];
        assert_eq!(first["geometry"]["coordinates"], serde_json::json!([118.59, 37.46]));
        assert_eq!(first["properties"]["hazard"], "broken");
        assert_eq!(first["properties"]["cover_code"], "3705020102000001");
        let which = CaseFilter { states: vec![CaseState::Dispatched], ..CaseFilter::default() };
        let filed = CaseSelection { which, ..CaseSelection::default() };
        let (_, exported) = desk.write(&town, order(What::Cases(filed), Format::Csv)).await.unwrap();
        assert_eq!(exported.written.rows, 1, "an emergency is sent on at once");

        let plates = What::Plates(PlateSelection::default());
        let (file, exported) = desk.write(&town, order(plates, Format::Csv)).await.unwrap();
        assert_eq!(exported.written.rows, 3);
        let table = text(&file);
        assert!(tokens.iter().all(|token| table.contains(&token.to_string())), "{table}");
        let made = PlateFilters { state: Some("made".into()), ..PlateFilters::default() };
        let made = What::Plates(made.read(&town.registry).await.unwrap());
        assert_eq!(desk.write(&town, order(made, Format::Csv)).await.unwrap().1.written.rows, 0);
    }

    async fn separators_in_peoples_words_do_not_shift_a_column(ground: Ground) {
        let town = ugly_town(&ground).await;
        let mischief = match ground.database() {
            lidmark::registry::Database::Sqlite(_) => "UPDATE manholes SET road = 'a' || char(31) || 'b' || char(30)",
            lidmark::registry::Database::Postgres(_) => "UPDATE manholes SET road = 'a' || chr(31) || 'b' || chr(30)",
        };
        ground.sql(mischief);
        let desk = Desk::new();
        let (file, exported) = desk.write(&town, covers(Format::Csv)).await.unwrap();
        assert_eq!(exported.written.rows, 5);
        assert_eq!(text(&file).matches(",a b ,").count(), 5);
    }

    async fn numbers_come_out_as_they_went_in(ground: Ground) {
        let town = Town::found(&ground).await;
        let odd = [
            0.1 + 0.2, -72.581_234_5, -72.581_234_567_890_12, 1e-12, 5.0, 640_676.164_767_12, 118.590_292_5,
            4_148_750.030_2, 123_456_789.123_456_79, 1e15, 9.007_199_254_740_993e15, f64::MIN_POSITIVE,
        ];
        let rows = odd.iter().enumerate().map(|(at, number)| {
            let mut row = candidate(at as u64, CoverClass::Sewage);
            row.survey.position.raw.x = *number;
            row.survey.position.raw.y = -number;
            row
        });
        town.import(rows.collect()).await;
        let desk = Desk::new();
        let (file, _) = desk.write(&town, covers(Format::GeoJson)).await.unwrap();
        let read: serde_json::Value = serde_json::from_str(&text(&file)).unwrap();
        let features = read["features"].as_array().unwrap();
        assert_eq!(features.len(), odd.len());
        let written = text(&file);
        for number in odd {
            // As text: the reader of JSON in this test is off by one in some.
            assert!(written.contains(&format!("\"raw_x\":{number},\"raw_y\":{},", -number)), "{number}");
        }
    }

    async fn an_exported_table_that_is_imported_again_changes_nothing(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::new();
        let census = "source_key,district,class,state,lon,lat,road,owner,material,accuracy_m,surveyed_at\n\
            a1,370502,sewage,intact,118.6001,37.4601,黄河路,东营水务,cast_iron,0.05,2026-01-02T03:04:05+08:00\n\
            -a2,370502,gas,broken,118.6002,37.4602,=1+1,,,,\n";
        let first = desk.path("census.csv");
        std::fs::write(&first, census).unwrap();
        assert_eq!(import(&town, &first).await, (2, 0));
        let (file, _) = desk.write(&town, covers(Format::Csv)).await.unwrap();
        assert!(text(&file).contains(",'=1+1,") && text(&file).contains(",'-a2,"), "{}", text(&file));
        assert_eq!(import(&town, &file).await, (0, 2), "{}", text(&file));
        for format in [
            Format::GeoJson,
            Format::GeoJsonLines,
            Format::GeoJsonSequence,
            Format::Xlsx,
            Format::GeoPackage,
            Format::Shapefile,
        ] {
            let (file, _) = desk.write(&town, covers(format)).await.unwrap();
            assert_eq!(import(&town, &file).await, (0, 2), "{format:?}");
        }
    }
}

/// Imports a file with our own profile; answers how many covers it created and how many it left alone.
async fn import(town: &Town, file: &std::path::Path) -> (u64, u64) {
    use lidmark::import::{Format, find_built_in};
    use lidmark::intake::{Body, IntakeFile, Reading, take_file};
    use lidmark::registry::{ImportMode, ImportOptions};
    let options = ImportOptions { source: "lidmark-csv".into(), ..town.options(ImportMode::Write) };
    let mut run = town.registry.begin_import(options).await.unwrap();
    let profile = find_built_in("lidmark-csv").unwrap();
    let reading = Reading {
        profile: std::sync::Arc::new(profile),
        schemes: std::sync::Arc::new(town.registry.schemes()),
        scheme: Some("component-16".into()),
        told: lidmark::import::Told::default(),
    };
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let format = Format::of_file(file, &name).unwrap();
    let taken = IntakeFile { name, format, body: Body::Path(file.to_owned()) };
    take_file(&mut run, &reading, taken, |note| panic!("{note:?}"), |_| {}).await.unwrap();
    assert_eq!(run.summary.updated, 0, "{:?}", run.summary);
    (run.summary.created, run.summary.unchanged)
}
