//! Workbooks, archives and databases as they should not be.

use std::io::Write;
use std::path::Path;

use proptest::prelude::*;

use super::{read_path, story};
use lidmark::import::{Encoding, Profile, Told, find_built_in};

/// A plain archive of these entries.
pub fn zip_of(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read_bytes(profile: &Profile, name: &str, bytes: &[u8], told: &Told) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    story_of(profile, &path, told)
}

/// The story of a file, or the refusal of the whole.
fn story_of(profile: &Profile, path: &Path, told: &Told) -> Vec<String> {
    match read_path(profile, path, told) {
        Ok((rows, _)) => story(&rows),
        Err(refusal) => vec![refusal.code.to_owned()],
    }
}

fn read_own(name: &str, bytes: &[u8]) -> Vec<String> {
    read_bytes(&find_built_in("lidmark-csv").unwrap(), name, bytes, &Told::default())
}

/// A workbook with one sheet of this XML.
fn workbook(sheet_data: &str, after: &str) -> Vec<u8> {
    let part = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    zip_of(&[
        part("[Content_Types].xml", "<Types/>"),
        part(
            "xl/workbook.xml",
            r#"<workbook xmlns:r="r"><sheets><sheet name="说明" sheetId="1" r:id="rId1"/><sheet name="井盖" sheetId="2" r:id="rId2"/></sheets></workbook>"#,
        ),
        part(
            "xl/_rels/workbook.xml.rels",
            r#"<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/></Relationships>"#,
        ),
        part(
            "xl/styles.xml",
            r#"<styleSheet><numFmts><numFmt numFmtId="176" formatCode="yyyy&quot;年&quot;m&quot;月&quot;"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="176"/></cellXfs></styleSheet>"#,
        ),
        part("xl/worksheets/sheet1.xml", "<worksheet><sheetData/></worksheet>"),
        part(
            "xl/worksheets/sheet2.xml",
            &format!("<worksheet><sheetData>{sheet_data}</sheetData>{after}</worksheet>"),
        ),
    ])
}

fn text_row(row: usize, texts: &[&str]) -> String {
    let cells: Vec<String> = texts
        .iter()
        .enumerate()
        .filter(|(_, text)| !text.is_empty())
        .map(|(at, text)| {
            let letter = char::from(b'A' + at as u8);
            match text.strip_prefix('=') {
                Some(raw) => format!(r#"<c r="{letter}{row}"{raw}</c>"#),
                None => format!(r#"<c r="{letter}{row}" t="inlineStr"><is><t>{text}</t></is></c>"#),
            }
        })
        .collect();
    format!(r#"<row r="{row}">{}</row>"#, cells.concat())
}

#[test]
fn titles_merged_headers_dates_and_long_numbers_of_a_workbook_are_understood() {
    let profile = find_built_in("census-zh").unwrap();
    let rows = [
        text_row(1, &["东营市窨井盖普查登记表"]),
        text_row(2, &["部件标识码", "井盖类别", "位置", "", "普查日期", "备注"]),
        text_row(3, &["", "", "经度", "纬度", "", ""]),
        text_row(
            5,
            &[
                "3705020102000017",
                "污水井盖",
                "=><v>118.59</v>",
                "=><v>37.46</v>",
                "= s=\"1\"><v>45052</v>",
                "井深2米",
            ],
        ),
        text_row(6, &["", "", "", "", "", "= s=\"2\"><v></v>"]),
        text_row(7, &["=><v>3705020102000017</v>", "污水井盖", "=><v>118.59</v>", "=><v>37.46</v>"]),
        text_row(8, &["", "雨水箅子", "=><v>118.59</v>", "= t=\"e\"><v>#REF!</v>"]),
        text_row(
            9,
            &[
                "3705020104000002",
                "雨水箅子",
                "=><v>118.59</v>",
                "=><v>37.46</v>",
                "= s=\"2\"><v>45052.5</v>",
            ],
        ),
        text_row(
            10,
            &["3705020104000002", "雨水箅子", "=><v>118.59</v>", "=><v>37.46</v>", "", "", "", "多"],
        ),
    ];
    let bytes = workbook(
        &rows.concat(),
        r#"<mergeCells><mergeCell ref="A1:F1"/><mergeCell ref="A2:A3"/><mergeCell ref="C2:D2"/><mergeCell ref="B9:B10"/></mergeCells>"#,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("普查.xlsx");
    std::fs::write(&path, &bytes).unwrap();
    let (rows, findings) = read_path(&profile, &path, &Told::default()).unwrap();
    assert_eq!(
        story(&rows),
        ["5 ok", "7 id.number 部件标识码", "8 sheet.error 纬度", "9 ok", "10 row.ragged -"]
    );
    assert_eq!((findings.layer.as_deref(), findings.header_line), (Some("井盖"), Some(2)));
    assert_eq!(findings.above_header, ["1: 东营市窨井盖普查登记表"]);
    let first = rows[0].as_ref().unwrap();
    assert_eq!(first.survey.position.surveyed_at.unwrap().to_rfc3339(), "2023-05-05T16:00:00Z");
    assert_eq!((first.survey.position.raw.x, first.survey.extra["备注"].as_str()), (118.59, "井深2米"));
    let noon = rows[3].as_ref().unwrap();
    assert_eq!(noon.survey.position.surveyed_at.unwrap().to_rfc3339(), "2023-05-06T04:00:00Z");

    let told = |layer: &str| Told { layer: Some(layer.into()), ..Told::default() };
    assert_eq!(read_bytes(&profile, "a.xlsx", &bytes, &told("说明")), ["1 file.empty -"]);
    assert_eq!(read_bytes(&profile, "a.xlsx", &bytes, &told("井")), ["layer.unknown"]);
    // Content speaks before the name.
    assert_eq!(read_bytes(&profile, "a.csv", &bytes, &Told::default()).len(), 5);
}

#[test]
fn a_preamble_and_a_header_in_two_rows_are_found_in_csv_too() {
    let profile = find_built_in("census-zh").unwrap();
    let text = "东营区窨井盖普查表,,,,\n填表单位：养护所,,日期：2023年5月,,\n部件标识码,井盖类别,位置,,备注\n,,经度,纬度,\n\
                3705020102000017,污水井盖,118.59,37.46,一\n";
    for (sign, text) in
        [(",", text.to_owned()), ("|", text.replace(',', "|")), ("\t", text.replace(',', "\t"))]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("普查.txt");
        let (bytes, ..) = encoding_rs::GB18030.encode(&text);
        std::fs::write(&path, bytes).unwrap();
        let (rows, findings) = read_path(&profile, &path, &Told::default()).unwrap();
        assert_eq!(story(&rows), ["5 ok"], "{sign}");
        assert_eq!((findings.header_line, findings.above_header.len()), (Some(3), 2));
        assert_eq!(findings.delimiter.map(String::from).as_deref(), Some(sign));
        assert_eq!(rows[0].as_ref().unwrap().survey.extra["备注"], "一");
    }
}

#[test]
fn a_german_table_with_semicolons_and_decimal_commas_is_read() {
    let text = "source_key;district;class;lon;lat;road;accuracy_m\n\
                k1;370502;gas;118,5912345;37,46;Müllerstraße 7 – groß;0,05\n\
                k2;370502;gas;118.591.234;37,46;Ölhafen;0,05\n";
    let (bytes, _, lost) = encoding_rs::WINDOWS_1252.encode(text);
    assert!(!lost);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Schächte.csv");
    std::fs::write(&path, bytes).unwrap();
    let (rows, findings) =
        read_path(&find_built_in("lidmark-csv").unwrap(), &path, &Told::default()).unwrap();
    assert_eq!(story(&rows), ["2 ok", "3 position.unreadable lon"]);
    assert_eq!((findings.delimiter, findings.encoding.unwrap().encoding), (Some(';'), Encoding::Windows1252));
    let survey = &rows[0].as_ref().unwrap().survey;
    assert_eq!((survey.position.raw.x, survey.position.accuracy_m), (118.591_234_5, Some(0.05)));
    assert_eq!(survey.road.as_deref(), Some("Müllerstraße 7 – groß"));
    assert!(survey.extra.is_empty(), "{:?}", survey.extra);
}

#[test]
fn names_over_three_rows_and_the_same_name_in_two_groups_are_told_apart() {
    let profile = Profile::from_toml(
        r#"
        id = "pipes"
        version = 1
        name_zh = "管线"
        name_en = "Pipes"
        [fields]
        source_key.columns = ["编号"]
        class = { columns = ["类别"], values = { sewage = ["污水"] } }
        district.default = "370502"
        lon.columns = ["起点X"]
        lat.columns = ["起点Y"]
        "#,
    )
    .unwrap();
    let text = "管线点成果表,,,,,,\n编号,属性,,位置,,,\n,类别,材质,起点,,终点,\n,,,X,Y,X,Y\n\
                K1,污水,混凝土,118.59,37.46,118.60,37.47\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("管线.csv");
    std::fs::write(&path, text).unwrap();
    let (rows, findings) = read_path(&profile, &path, &Told::default()).unwrap();
    assert_eq!(story(&rows), ["5 ok"], "{rows:?}");
    assert_eq!((findings.header_line, findings.above_header.len()), (Some(2), 1));
    let row = rows[0].as_ref().unwrap();
    assert_eq!(row.survey.position.lon, 118.59);
    assert_eq!((row.survey.extra["终点X"].as_str(), row.survey.extra["材质"].as_str()), ("118.60", "混凝土"));
}

#[test]
fn the_text_of_a_merged_cell_goes_down_to_every_row_of_it() {
    let profile = find_built_in("census-zh").unwrap();
    let row = |row: usize, road: &str, lon: &str| {
        text_row(row, &["370502", "污水井盖", road, &format!("=><v>{lon}</v>"), "=><v>37.46</v>"])
    };
    let rows = [
        text_row(1, &["区划代码", "井盖类别", "道路", "经度", "纬度"]),
        row(2, "黄河路", "118.51"),
        row(3, "", "118.52"),
        text_row(4, &[]),
        row(5, "", "118.53"),
        row(6, "", "118.54"),
    ];
    let xlsx = workbook(&rows.concat(), r#"<mergeCells count="1"><mergeCell ref="C2:C5"/></mergeCells>"#);
    let ods_row = |road: &str, lon: &str| {
        format!(
            r#"<table:table-row><table:table-cell><text:p>370502</text:p></table:table-cell><table:table-cell><text:p>污水井盖</text:p></table:table-cell>{road}<table:table-cell office:value-type="float" office:value="{lon}"/><table:table-cell office:value-type="float" office:value="37.46"/></table:table-row>"#
        )
    };
    let covered = "<table:covered-table-cell/>";
    let head = ["区划代码", "井盖类别", "道路", "经度", "纬度"]
        .map(|name| format!("<table:table-cell><text:p>{name}</text:p></table:table-cell>"));
    let content = [
        "<office:document-content><office:body><office:spreadsheet><table:table table:name=\"井盖\"><table:table-row>",
        &head.concat(),
        "</table:table-row>",
        &ods_row(
            "<table:table-cell table:number-rows-spanned=\"4\"><text:p>黄河路</text:p></table:table-cell>",
            "118.51",
        ),
        &ods_row(covered, "118.52"),
        "<table:table-row/>",
        &ods_row(covered, "118.53"),
        &ods_row("<table:table-cell/>", "118.54"),
        "</table:table></office:spreadsheet></office:body></office:document-content>",
    ]
    .concat();
    let ods = zip_of(&[
        ("mimetype".to_owned(), b"application/vnd.oasis.opendocument.spreadsheet".to_vec()),
        ("content.xml".to_owned(), content.into_bytes()),
    ]);
    for (name, bytes) in [("merged.xlsx", xlsx), ("merged.ods", ods)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let (rows, findings) = read_path(&profile, &path, &Told::default()).unwrap();
        assert_eq!(story(&rows), ["2 ok", "3 ok", "5 ok", "6 ok"], "{name}");
        let roads: Vec<Option<&str>> =
            rows.iter().map(|row| row.as_ref().unwrap().survey.road.as_deref()).collect();
        assert_eq!(roads, [Some("黄河路"), Some("黄河路"), Some("黄河路"), None], "{name}");
        assert_eq!(findings.merged_down, 2, "{name}");
    }
}

const CSV: &str = "source_key,district,class,lon,lat\nk,370502,gas,118.59,37.46\n";

#[test]
fn of_several_layers_one_must_be_chosen() {
    let profile = find_built_in("lidmark-csv").unwrap();
    let entry = |name: &str| (name.to_owned(), CSV.as_bytes().to_vec());
    let told = |layer: &str| Told { layer: Some(layer.into()), ..Told::default() };
    let two = zip_of(&[
        entry("a/东区.csv"),
        entry("a/西区.csv"),
        entry("a/readme.txt"),
        entry("__MACOSX/a/._东区.csv"),
    ]);
    assert_eq!(read_bytes(&profile, "a.zip", &two, &Told::default()), ["layer.several"]);
    assert_eq!(read_bytes(&profile, "a.zip", &two, &told("东区")), ["2 ok"]);
    assert_eq!(read_bytes(&profile, "a.zip", &two, &told("A/西区.CSV")), ["2 ok"]);
    assert_eq!(read_bytes(&profile, "a.zip", &two, &told("readme")), ["layer.unknown"]);
    assert_eq!(read_own("a.zip", &zip_of(&[entry("../../etc/one.csv")])), ["2 ok"]);
    assert_eq!(read_own("a.zip", &zip_of(&[entry("readme.md")])), ["archive.no_layer"]);
    let nested = zip_of(&[("in.zip".to_owned(), two)]);
    assert_eq!(read_own("a.zip", &nested), ["archive.nested"]);
}

#[test]
fn what_is_damaged_says_so_and_never_more() {
    let shp_without_table = [&[0, 0, 0x27, 0x0A][..], &[0; 28], &[1, 0, 0, 0], &[0; 64]].concat();
    let mut wrong_sum = zip_of(&[("covers.csv".to_owned(), CSV.as_bytes().to_vec())]);
    let directory = wrong_sum.windows(4).position(|magic| magic == b"PK\x01\x02").unwrap();
    wrong_sum[directory + 16] ^= 1;
    let mut long_line = CSV.as_bytes().to_vec();
    long_line.extend(vec![b'x'; 10 << 20]);
    long_line.extend_from_slice(b"\nk,370502,gas,118.59,37.46\n");
    let long_kml = format!("<kml><Placemark><name>{}</name></Placemark></kml>", "x".repeat(10 << 20));
    for (name, bytes, expected) in [
        ("a.zip", b"PK\x03\x04".to_vec(), "archive.damaged"),
        ("a.xlsx", b"PK\x03\x04\0\0".to_vec(), "archive.damaged"),
        ("a.zip", wrong_sum, "2 ok|3 file.unreadable -"),
        ("a.xls", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 and nothing".to_vec(), "sheet.unreadable"),
        ("a.gpkg", b"SQLite format 3\0 and nothing".to_vec(), "gpkg.unreadable"),
        ("a.shp", b"\0\0\x27\x0A".to_vec(), "shape.damaged"),
        ("a.shp", shp_without_table, "shape.no_table"),
        ("a.kml", b"<kml><Placemark><name>x".to_vec(), "1 xml.truncated -"),
        ("a.kml", b"<kml><Placemark></name>".to_vec(), "1 xml.unreadable -"),
        ("a.kml", b"<html><body/></html>".to_vec(), "0 kml.not_one -"),
        ("a.kml", long_kml.into_bytes(), "1 xml.too_long -"),
        ("a.kml", Vec::new(), "0 file.empty -"),
        ("a.csv", Vec::new(), "1 file.empty -"),
        ("a.bin", Vec::new(), "file.kind"),
        ("a.pdf", b"%PDF-1.7".to_vec(), "file.kind"),
        ("a.csv", long_line, "2 ok|3 row.too_long -|4 ok"),
        ("a.xlsx", workbook("", ""), "1 file.empty -"),
        ("a.xlsx", workbook(&text_row(1, &["source_key", "district", "class", "lon", "lat"]), ""), ""),
        ("a.xlsx", workbook("<row r=\"1\"><c t=\"s\"><v>99</v></c>", ""), "1 xml.unreadable -"),
    ] {
        assert_eq!(read_own(name, &bytes).join("|"), expected, "{name} {} bytes", bytes.len());
    }
}

#[test]
fn a_small_archive_that_unpacks_without_end_is_given_up() {
    let line = format!("{}\n", "x".repeat(10_000));
    let bomb = zip_of(&[("covers.csv".to_owned(), [CSV, &line.repeat(7_000)].concat().into_bytes())]);
    assert!(bomb.len() < 200_000);
    let told = read_own("a.zip", &bomb);
    assert_eq!((told[0].as_str(), told.len() < 7_000), ("2 ok", true));
    assert!(told.last().unwrap().contains("archive.too_large"), "{:?}", told.last());
}

#[test]
fn an_old_workbook_is_read() {
    let profile = find_built_in("census-zh").unwrap();
    let path = lidmark_file("tests/assets/import/census.xls");
    let (rows, findings) = read_path(&profile, &path, &Told::default()).unwrap();
    assert_eq!(story(&rows), ["3 ok", "4 id.number 部件标识码"]);
    assert_eq!((findings.layer.as_deref(), findings.header_line), (Some("井盖"), Some(2)));
    let first = rows[0].as_ref().unwrap();
    assert_eq!(first.survey.position.surveyed_at.unwrap().to_rfc3339(), "2023-05-05T16:00:00Z");
    assert_eq!(first.survey.road.as_deref(), Some("黄河路"));
}

fn lidmark_file(path: &str) -> std::path::PathBuf {
    crate::support::checkout().join(path)
}

#[test]
fn placemarks_keep_what_they_say() {
    let kml = "<?xml version=\"1.0\" encoding=\"GBK\"?><kml xmlns=\"http://www.opengis.net/kml/2.2\"><Document><name>普查</name><Folder><name>黄河路</name>\
        <Placemark id=\"p1\"><name>K1</name><description><![CDATA[<table><tr><td>井深</td></tr></table>]]></description>\
        <ExtendedData><Data name=\"class\"><value>gas</value></Data><SchemaData><SimpleData name=\"district\">370502</SimpleData></SchemaData></ExtendedData>\
        <Point><coordinates> 118.59,37.46,7.5 </coordinates></Point></Placemark>\
        <Placemark><name>A&amp;B</name><LineString><coordinates>1,2 3,4</coordinates></LineString></Placemark>\
        <Placemark><name>C</name></Placemark>\
        <Placemark><name>D</name><Point><coordinates>118.59;37.46</coordinates></Point></Placemark>\
        </Folder></Document></kml>";
    let (bytes, ..) = encoding_rs::GB18030.encode(kml);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("普查.kml");
    std::fs::write(&path, bytes).unwrap();
    let profile = find_built_in("lidmark-csv").unwrap();
    let (rows, _) = read_path(&profile, &path, &Told::default()).unwrap();
    assert_eq!(
        story(&rows),
        [
            "1 ok",
            "2 geometry.type geometry",
            "3 position.missing geometry",
            "4 geometry.coordinates geometry"
        ]
    );
    let extra = &rows[0].as_ref().unwrap().survey.extra;
    assert_eq!(extra["folder"], "黄河路");
    assert_eq!(extra["description"], "<table><tr><td>井深</td></tr></table>");
    assert_eq!((extra["name"].as_str(), extra["z"].as_str()), ("K1", "7.5"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_file_spoiled_anywhere_never_panics(at in 0.0f64..1.0, byte in any::<u8>(), cut in any::<bool>(), which in 0usize..4) {
        let kml = "<kml><Placemark><name>井盖</name><Point><coordinates>1,2</coordinates></Point></Placemark></kml>";
        let (name, mut bytes) = match which {
            0 => ("a.xlsx", workbook(&text_row(1, &["source_key", "district", "class", "lon", "lat"]), "")),
            1 => ("a.zip", zip_of(&[("a.csv".to_owned(), CSV.as_bytes().to_vec())])),
            2 => ("a.kml", kml.as_bytes().to_vec()),
            _ => ("a.xls", std::fs::read(lidmark_file("tests/assets/import/census.xls")).unwrap()),
        };
        let at = ((bytes.len() - 1) as f64 * at) as usize;
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        read_own(name, &bytes);
    }
}
