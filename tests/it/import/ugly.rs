use super::{read_as, read_census, read_csv, read_geojson, story};
use lidmark::domain::cover::{CoverClass, LoadClass, Material, Placement};
use lidmark::import::{Format, Profile, Scope, Source, Told, find_built_in, read_rows};

const HEAD: &str = "source_key,district,class,lon,lat\n";
const GOOD: &str = "k,370502,gas,118.59,37.46\n";

fn with_head(rows: &str) -> Vec<String> {
    story(&read_csv(format!("{HEAD}{rows}")))
}

#[test]
fn each_ugly_csv_row_gets_its_line_column_and_reason_and_costs_no_other() {
    for (bad, expected) in [
        ("k,370502,gas,118.59,north\n", "position.unreadable lat"),
        ("k,370502,gas,\"118,5,9\",37.46\n", "position.unreadable lon"),
        ("k,370502,gas,37.46,118.59\n", "position.swapped lat"),
        ("k,370502,gas,0,0\n", "position.null_island lon"),
        ("k,370502,gas,640676.2,4148750.1\n", "position.beyond_globe lat"),
        ("k,370502,gas,NaN,37.46\n", "position.unreadable lon"),
        ("k,370502,gas,,37.46\n", "position.missing lon"),
        ("k,370502,gas,118.59,\n", "position.missing lat"),
        ("k,370502,swamp,118.59,37.46\n", "class.unknown class"),
        ("k,370502,,118.59,37.46\n", "field.missing class"),
        ("k,,gas,118.59,37.46\n", "field.missing district"),
        ("k,370502,gas,118.59\n", "row.ragged -"),
        ("k,370502,gas,118.59,37.46,more\n", "row.ragged -"),
        ("k,370502,gas,\"118.59,37.46\n", "csv.quote -"),
        ("3.70502E+15,370502,gas,118.59,37.46\n", "id.rounded source_key"),
        ("k\0,370502,gas,118.59,37.46\n", "text.nul source_key"),
        (",,,,\n", "row.blank -"),
    ] {
        assert_eq!(
            with_head(&format!("{GOOD}{bad}{GOOD}")),
            ["2 ok".to_owned(), format!("3 {expected}"), "4 ok".to_owned()],
            "{bad}"
        );
    }
    let ragged = read_csv(format!("{HEAD}k,370502,\"gas\",118.59\n")).remove(0).unwrap_err();
    assert_eq!(ragged.read, "k, 370502, gas, 118.59", "as cells, not run together");
}

#[test]
fn lines_are_physical_lines_whatever_ends_them_and_whatever_quotes_hold() {
    let quoted = "\"k\n1\",370502,gas,118.59,37.46\n";
    assert_eq!(
        with_head(&format!("{quoted}\n{quoted}k,370502,swamp,1,1\n")),
        ["2 ok", "5 ok", "7 class.unknown class"]
    );
    for text in [
        format!("\u{feff}{HEAD}{GOOD}k,370502,swamp,118.59,37.46"),
        format!("{HEAD}{GOOD}k,370502,swamp,118.59,37.46").replace('\n', "\r\n"),
        format!("{HEAD}{GOOD}k,370502,swamp,118.59,37.46").replace('\n', "\r"),
        format!("{HEAD}{GOOD}k,370502,swamp,118.59,37.46").replace(',', ";"),
        format!("{HEAD}{GOOD}k,370502,swamp,118.59,37.46").replace(',', "\t"),
        format!("{HEAD}{GOOD}k,370502,swamp,118.59,37.46").to_uppercase().replace("GAS", "Gas"),
    ] {
        assert_eq!(
            story(&read_csv(&text)),
            ["2 ok", "3 class.unknown class"].map(|line| {
                if text.starts_with("SOURCE_KEY") {
                    line.replace("unknown class", "unknown CLASS")
                } else {
                    line.to_owned()
                }
            }),
            "{text:?}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why_and_once() {
    for (bytes, expected) in [
        (&b""[..], "1 file.empty -"),
        (b"\n\n", "1 file.empty -"),
        (b"\xEF\xBB\xBF", "1 file.empty -"),
        (b"\xFF\xFE", "1 file.empty -"),
        (b"\xFF\xFEa\0,\0", "1 header.column_missing lon"),
        (b"PK\x03\x04\x14\0", "1 file.container -"),
        (b"\xBE\xAE\xB8\xC7,lon\n", "1 header.column_missing lat"),
        (b"source_key,district,lon,lat\nk,370502,1,1\n", "1 header.column_missing class"),
        (b"class,district,lon\ngas,370502,1\n", "1 header.column_missing lat"),
        (b"class,district,lon,lat,Class\ngas,370502,1,1,gas\n", "1 header.column_twice Class"),
    ] {
        let rows = read_csv(bytes);
        assert_eq!(story(&rows), [expected], "{bytes:?}");
        assert_eq!(rows[0].as_ref().unwrap_err().scope, Scope::File);
    }
    assert!(read_csv(HEAD).is_empty(), "a header alone is a file without rows");
    let garbage: Vec<u8> = (0..200_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert!(read_csv(garbage).iter().all(Result::is_err));
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_column_and_rows_around_them_stay() {
    let mut bytes = format!("{HEAD}{GOOD}").into_bytes();
    bytes.extend_from_slice("污水井盖检查,370502,gas,118.59,37.46\n".as_bytes());
    bytes.extend_from_slice(b"k,370502,\xC8\xBC\xC6\xF8,118.59,37.46\n");
    bytes.extend_from_slice(GOOD.as_bytes());
    assert_eq!(story(&read_csv(bytes)), ["2 ok", "3 ok", "4 text.misfit class", "5 ok"]);
}

/// Gives some bytes and then breaks.
struct Breaks<'d>(&'d [u8]);

impl std::io::Read for Breaks<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() {
            return Err(std::io::Error::other("the line went dead"));
        }
        self.0.read(out)
    }
}

#[test]
fn a_source_that_breaks_keeps_the_rows_before_and_says_so() {
    let schemes = lidmark::domain::code::built_in_schemes();
    let profile = find_built_in("lidmark-csv").unwrap();
    for (format, text) in [
        (Format::Csv, format!("{HEAD}{GOOD}{GOOD}")),
        (
            Format::GeoJson,
            collection(&format!("{},{}", feature("{}"), feature("{}"))).trim_end_matches("]}").to_owned(),
        ),
    ] {
        let source = Source { format, file_name: "covers", scheme: None, told: &Told::default() };
        let rows: Vec<_> = read_rows(&profile, &schemes, &source, Breaks(text.as_bytes())).unwrap().collect();
        let last = rows.last().unwrap().as_ref().unwrap_err();
        assert_eq!((last.refusal.code, last.scope), ("file.unreadable", Scope::File));
        assert!(rows.len() >= 3);
    }
}

#[test]
fn ids_stay_text_whatever_they_look_like() {
    let keys = ["0012", "370502010200001700", "9223372036854775807123", "1.50", "-0", "007e"];
    let mut csv = HEAD.to_owned();
    for key in keys {
        csv.push_str(&format!("{key},370502,gas,118.59,37.46\n"));
    }
    let read = |rows: Vec<super::Row>| -> Vec<String> {
        rows.into_iter().map(|row| row.unwrap().source_key.unwrap()).collect()
    };
    assert_eq!(read(read_csv(csv)), keys);

    // Written as JSON numbers, beyond 2^53 and beyond 2^64.
    let numbers = ["9007199254740993", "3705020102000017001", "18446744073709551617", "1.50", "-7"];
    let features: Vec<String> =
        numbers.iter().map(|number| feature(&format!("{{\"class\":\"gas\",\"key\":{number}}}"))).collect();
    assert_eq!(read(read_geojson(collection(&features.join(",")))), numbers);
    let texts = collection(&feature(r#"{"class":"gas","key":"00\u0031"}"#));
    assert_eq!(read(read_geojson(texts)), ["001"]);
    let rounded = collection(&feature(r#"{"class":"gas","key":3.70502e15}"#));
    assert_eq!(story(&read_geojson(rounded)), ["1 id.rounded key"]);
    let by_feature_id = collection(
        r#"{"type":"Feature","id":9007199254740993,"geometry":{"type":"Point","coordinates":[1,2]},"properties":{"class":"gas"}}"#,
    );
    assert_eq!(read(read_geojson(by_feature_id)), ["9007199254740993"]);
}

fn feature(properties: &str) -> String {
    with_geometry(r#"{"type":"Point","coordinates":[118.59,37.46]}"#, properties)
}

fn with_geometry(geometry: &str, properties: &str) -> String {
    format!(r#"{{"type":"Feature","geometry":{geometry},"properties":{properties}}}"#)
}

fn collection(features: &str) -> String {
    format!(r#"{{"type":"FeatureCollection","features":[{features}]}}"#)
}

const GAS: &str = r#"{"class":"gas"}"#;

#[test]
fn each_ugly_feature_gets_its_ordinal_and_reason_and_costs_no_other() {
    let good = feature(GAS);
    for (bad, expected) in [
        (with_geometry("null", GAS), "position.missing geometry"),
        (
            with_geometry(r#"{"type":"MultiPoint","coordinates":[[118.59,37.46],[118.6,37.46]]}"#, GAS),
            "geometry.type geometry",
        ),
        (with_geometry(r#"{"type":"Point","coordinates":[]}"#, GAS), "position.missing geometry"),
        (
            with_geometry(r#"{"type":"Point","coordinates":["118","37"]}"#, GAS),
            "geometry.coordinates geometry",
        ),
        (with_geometry(r#"{"type":"Point","coordinates":[118]}"#, GAS), "geometry.coordinates geometry"),
        (with_geometry(r#"{"type":"Point"}"#, GAS), "geometry.coordinates geometry"),
        (with_geometry(r#"{"type":"Point","coordinates":[37.46,118.59]}"#, GAS), "position.swapped geometry"),
        (with_geometry(r#"{"type":"Point","coordinates":[0,0]}"#, GAS), "position.null_island geometry"),
        (with_geometry(r#"{"type":"Point","coordinates":[5e5,4e6]}"#, GAS), "position.beyond_globe geometry"),
        (feature("null"), "field.missing class"),
        (feature(r#"{"class":7}"#), "class.unknown class"),
        (feature(r#"{"class":"gas" "x":1}"#), "json.unreadable -"),
        (r#"{"type":"Point","coordinates":[1,2]}"#.into(), "geojson.not_a_feature -"),
        ("null".into(), "geojson.not_a_feature -"),
        ("[1,{}]".into(), "geojson.not_a_feature -"),
        ("\"a,]{\"".into(), "geojson.not_a_feature -"),
        (feature("{\"class\":\"ga\ns\"}"), "json.line_break -"),
        (feature(r#"{"class":"gas""#), "json.unreadable -"),
    ] {
        let text = collection(&format!("{good},\n{bad}, {good}"));
        assert_eq!(
            story(&read_geojson(&text)),
            ["1 ok".to_owned(), format!("2 {expected}"), "3 ok".to_owned()],
            "{bad}"
        );
    }
}

#[test]
fn every_shape_that_a_collection_can_have_is_read() {
    let good = feature(GAS);
    for (text, expected) in [
        (format!(r#"{{"type":"FeatureCollection","bbox":[1,2,3,4],"features":[{good}]}}"#), vec!["1 ok"]),
        (format!(r#"{{"name":"[x] {{","features":[{good}],"type":"FeatureCollection"}}"#), vec!["1 ok"]),
        (
            format!(r#"{{"type":"FeatureCollection","note":{{"features":[1]}},"features" : [ {good} ] }}"#),
            vec!["1 ok"],
        ),
        (collection(""), vec![]),
        (good.clone(), vec!["1 ok"]),
        (format!("\u{feff} {good}"), vec!["1 ok"]),
        (format!("{good}\n{good}\n"), vec!["1 ok", "2 ok"]),
        (format!("\u{1e}{good}\n\u{1e}{good}\n"), vec!["1 ok", "2 ok"]),
        (good.replace(r#""type":"Feature","#, "").replace(r#"}}"#, r#"},"type":"Feature"}"#), vec!["1 ok"]),
        (collection(&feature(r#"{"class":"gas"}"#).replace("37.46]", "37.46,12.5]")), vec!["1 ok"]),
        (
            collection(&good).replace(
                r#""features""#,
                r#""crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}},"features""#,
            ),
            vec!["1 ok"],
        ),
        (
            collection(&good).replace(
                r#""features""#,
                r#""crs":{"type":"name","properties":{"name":"EPSG:2437"}},"features""#,
            ),
            vec!["0 crs.unsupported -"],
        ),
        // Degrees under the name of a system in meters.
        (
            collection(&good).replace(
                r#""features""#,
                r#""crs":{"type":"name","properties":{"name":"EPSG:3857"}},"features""#,
            ),
            vec!["1 position.outside_system geometry"],
        ),
        (
            collection(&good.replace("118.59,37.46", "39640676.165,4148750.030")).replace(
                r#""features""#,
                r#""crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::4527"}},"features""#,
            ),
            vec!["1 ok"],
        ),
        (r#"{"type":"FeatureCollection"}"#.into(), vec!["0 geojson.no_features -"]),
        (r#"{"type":"Point","coordinates":[1,2]}"#.into(), vec!["0 geojson.type -"]),
        ("[1,2]".into(), vec!["0 geojson.not_an_object -"]),
        ("".into(), vec!["0 file.empty -"]),
        (format!("{} x", collection(&good)), vec!["1 ok", "1 json.trailing -"]),
        (collection(&good).trim_end_matches('}').to_owned(), vec!["1 ok", "1 json.truncated -"]),
        (format!(r#"{{"type":"FeatureCollection","features":[{good},"#), vec!["1 ok", "1 json.truncated -"]),
        (
            format!(r#"{{"type":"FeatureCollection","features":[{good},{}"#, &good[..good.len() - 9]),
            vec!["1 ok", "2 json.truncated -"],
        ),
        (r#"{"type":"FeatureColl"#.into(), vec!["0 json.truncated -"]),
    ] {
        assert_eq!(story(&read_geojson(&text)), expected, "{text}");
    }
}

#[test]
fn a_feature_without_its_brace_does_not_take_the_next_ones_along() {
    let good = feature(GAS);
    let open = &good[..good.len() - 1];
    let rows = read_geojson(collection(&format!("{good},{open},{good},{good}")));
    assert_eq!(story(&rows), ["1 ok", "2 json.unreadable -", "3 ok", "4 ok"]);
}

#[test]
fn heights_are_kept_and_places_outside_the_jurisdiction_are_refused() {
    let high = collection(&feature(GAS).replace("37.46]", "37.46,12.5]"));
    assert_eq!(read_geojson(high)[0].as_ref().unwrap().survey.extra["z"], "12.5");
    let vermont = find_built_in("vermont-manholes").unwrap();
    let read = |x: f64, y: f64| {
        let point = format!(r#"{{"type":"Point","coordinates":[{x},{y}]}}"#);
        let text = collection(&with_geometry(&point, r#"{"Type":"Sewer manhole"}"#));
        story(&read_as(&vermont, Format::GeoJson, "BarrePointFeatures.geojson", text.as_bytes()).0)
    };
    assert_eq!(read(-72.5, 44.2), ["1 ok"]);
    assert_eq!(read(44.2, -72.5), ["1 position.swapped geometry"]);
    assert_eq!(read(118.59, 37.46), ["1 position.outside geometry"]);

    let schemes = lidmark::domain::code::built_in_schemes();
    let source =
        Source { format: Format::GeoJson, file_name: "Paris.geojson", scheme: None, told: &Told::default() };
    assert_eq!(read_rows(&vermont, &schemes, &source, &b""[..]).err().unwrap().code, "file.name");
    let source =
        Source { format: Format::Csv, file_name: "a.csv", scheme: Some("none-7"), told: &Told::default() };
    let profile = find_built_in("lidmark-csv").unwrap();
    assert_eq!(read_rows(&profile, &schemes, &source, &b""[..]).err().unwrap().code, "scheme.unknown");
}

#[test]
fn a_chinese_census_is_understood_in_its_own_words() {
    let rows = read_census(
        "\u{feff}部件标识码,井盖类别,权属单位,养护单位,主管部门,道路,经度,纬度,材质,形状,承载等级,状态,普查日期,设置位置,联系人,备注\r\n\
         3705020102000017,污水井盖,水务集团,养护所,住建局,黄河路,118.59,37.46,球墨铸铁,圆形,D400级,完好,2023年5月6日,机动车道,张三,井深2米\r\n\
         3705020103000017,污水井盖,水务集团,,,黄河路,118.59,37.46,,,,完好,,,,\r\n\
         370502010200001,污水井盖,水务集团,,,黄河路,118.59,37.46,,,,完好,,,,\r\n\
         3705020104000001,,无,,,黄河路,118.59,37.46,竹子,,,,2023/5/6,,,\r\n\
         3705020104000002,雨水箅子,无,,,黄河路,118.59,37.46,,六角,,,,,,\r\n\
         3705020104000003,雨水箅子,无,,,黄河路,118.59,37.46,,,,,去年,,,\r\n",
    );
    assert_eq!(
        story(&rows),
        [
            "2 ok",
            "3 code.class_differs 部件标识码",
            "4 code.length 部件标识码",
            "5 ok",
            "6 shape.unknown 形状",
            "7 date.unreadable 普查日期",
        ]
    );
    let first = rows[0].as_ref().unwrap();
    assert_eq!(first.code.as_ref().unwrap().digits, "3705020102000017");
    assert_eq!(first.survey.district, "370502");
    assert_eq!(first.survey.class, CoverClass::Sewage);
    assert_eq!(first.survey.material, Some(Material::DuctileIron));
    assert_eq!(first.survey.load_class, Some(LoadClass::D400));
    assert_eq!(first.survey.placement, Some(Placement::Carriageway));
    assert_eq!(first.survey.position.surveyed_at.unwrap().to_rfc3339(), "2023-05-05T16:00:00Z");
    assert_eq!(first.survey.extra["备注"], "井深2米");
    assert!(!first.survey.extra.values().any(|text| text == "张三"), "people are not kept");
    // The code says what the row leaves out; an unlisted material is kept in its own words.
    let fourth = rows[3].as_ref().unwrap();
    assert_eq!((fourth.survey.class, fourth.survey.owner.as_deref()), (CoverClass::StormGrate, None));
    assert_eq!(fourth.survey.extra["材质"], "竹子");
}

#[test]
fn of_several_columns_the_first_that_says_something_speaks_and_none_is_lost() {
    let profile = Profile::from_toml(
        r#"
        id = "x"
        version = 1
        name_zh = "x"
        name_en = "x"
        unknown = ["?"]
        [fields]
        class.default = "gas"
        district.default = "370502"
        lon.columns = ["lon"]
        lat.columns = ["lat"]
        road.columns = ["road", "street"]
        "#,
    )
    .unwrap();
    let text = "street,lon,lat,road,Note,Note\nMain,1,2,?,a,b\nMain,1,2,Broad,a,a\n";
    let (rows, _) = read_as(&profile, Format::Csv, "x.csv", text.as_bytes());
    let said: Vec<(Option<&str>, Vec<(&str, &str)>)> = rows
        .iter()
        .map(|row| {
            let survey = &row.as_ref().unwrap().survey;
            let extra = survey.extra.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            (survey.road.as_deref(), extra)
        })
        .collect();
    assert_eq!(
        said,
        [
            (Some("Main"), vec![("Note", "a"), ("Note (2)", "b")]),
            (Some("Broad"), vec![("Note", "a"), ("Note (2)", "a"), ("street", "Main")]),
        ]
    );
}
