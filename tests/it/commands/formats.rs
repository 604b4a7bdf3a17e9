//! Files as surveyors hand them over, through the program.

use serde_json::json;

use super::{Place, assert_accounted_for, count};
use crate::support::checkout;

#[test]
fn a_workbook_and_a_gbk_table_are_understood_and_said_to_be() {
    let place = Place::new();
    let workbook = checkout().join("tests/assets/import/census.xls").display().to_string();
    let (bytes, ..) = encoding_rs::GB18030.encode(
        "东营区井盖普查表\t\t\t\t\n部件标识码\t井盖类别\t道路\t经度\t纬度\n\
         3705020103000021\t雨水井盖\t西四路\t118.57\t37.45\n3705020103000022\t雨水井盖\t北二路\t118.58\t\n",
    );
    let table = place.path("普查.txt");
    std::fs::write(&table, bytes).unwrap();
    let said = place.run(&["import", &workbook, &table, "--profile", "census-zh", "--dry-run", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let summary = said.json();
    assert_accounted_for(&summary);
    assert_eq!((count(&summary, "read"), count(&summary, "created"), count(&summary, "problems")), (4, 2, 2));
    assert!(said.stderr.contains("census.xls:4 部件标识码: "), "{said:?}");
    assert!(said.stderr.contains("普查.txt:4 纬度: "), "{said:?}");
    let files = summary["files"].as_array().unwrap();
    assert_eq!(files[0]["understood"]["format"], "xls");
    assert_eq!(files[0]["understood"]["layer"], "井盖");
    let table = &files[1]["understood"];
    assert_eq!(table["encoding"]["encoding"], "GB18030");
    assert_eq!((&table["delimiter"], &table["header_line"]), (&json!("\t"), &json!(2)));
    assert_eq!(table["above_header"], json!(["1: 东营区井盖普查表"]));

    let file = place.path("普查.txt");
    let said = place.run(&["import", &file, "--profile", "census-zh", "--dry-run"]);
    assert!(said.stdout.contains("GB18030"), "{said:?}");
    // Told wrongly, every row is a problem and none is bent into shape.
    let said =
        place.run(&["import", &file, "--profile", "census-zh", "--encoding", "utf-8", "--dry-run", "--json"]);
    assert_eq!((count(&said.json(), "read"), count(&said.json(), "file_problems")), (0, 1), "{said:?}");
}
