//! Files that nobody has said how to read.

use std::path::Path;
use std::sync::Arc;

use lidmark::domain::code::built_in_schemes;
use lidmark::domain::cover::{Candidate, Material};
use lidmark::import::{
    AUTO, City, Format, Look, Means, Source, Told, WantedCrs, find_built_in_for, look, read_file,
};

fn look_and_read(city: City, table: &str) -> (Look, Vec<Candidate>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("普查.csv");
    std::fs::write(&path, table).unwrap();
    let profile = find_built_in_for(AUTO, &Arc::new(city)).unwrap().unwrap();
    read(&Arc::new(profile), &path)
}

fn read(profile: &Arc<lidmark::import::Profile>, path: &Path) -> (Look, Vec<Candidate>) {
    let schemes = built_in_schemes();
    let source =
        Source { format: Format::Csv, file_name: "普查.csv", scheme: None, told: &Told::default() };
    let look = look(profile, &schemes, &source, path, &WantedCrs::Unsaid).unwrap();
    let rows = read_file(&look.profile, &schemes, &source, path).unwrap().map(Result::unwrap).collect();
    (look, rows)
}

#[test]
fn a_day_is_a_day_of_the_city_and_a_depth_is_in_the_unit_of_its_header() {
    let table = "普查编号,区划代码,井盖类别,材质,经度,纬度,普查日期,井深(cm)\n\
                 A1,370502,污水井盖,铸铁,118.59,37.46,2023年5月1日,120\n";
    for (utc_offset_minutes, day_begins) in [(480, "2023-04-30T16:00:00Z"), (-300, "2023-05-01T05:00:00Z")] {
        let (_, rows) = look_and_read(City { utc_offset_minutes, ..City::built_in() }, table);
        let survey = &rows[0].survey;
        assert_eq!(survey.position.surveyed_at.unwrap().to_rfc3339(), day_begins);
        assert_eq!(survey.extra["depth_mm"], "1200");
        assert_eq!(survey.material, Some(Material::CastIron));
    }
}

#[test]
fn sixty_columns_that_nobody_knows_are_kept_and_two_that_say_the_same_are_not_chosen_from() {
    let odd: Vec<String> = (0..60).map(|at| format!("旧系统栏目{at}")).collect();
    let head = format!("普查编号,区划代码,井盖类别,经度,纬度,备注,备注,材质,井盖材质,{}\n", odd.join(","));
    let cells: Vec<String> = (0..60).map(|at| format!("值{at}")).collect();
    let row = format!("A1,370502,污水井盖,118.59,37.46,甲,乙,铸铁,钢,{}\n", cells.join(","));
    let (look, rows) = look_and_read(City::built_in(), &(head + &row));
    let survey = &rows[0].survey;
    for (column, cell) in odd.iter().zip(&cells) {
        assert_eq!(survey.extra.get(column), Some(cell), "{column}");
    }
    assert_eq!((survey.extra["notes"].as_str(), survey.extra["备注 (2)"].as_str()), ("甲", "乙"));
    assert_eq!(survey.material, None, "nobody said which of the two");
    assert_eq!((survey.extra["材质"].as_str(), survey.extra["井盖材质"].as_str()), ("铸铁", "钢"));
    let contested = |name: &str| {
        let column = look.columns.iter().find(|column| column.name == name).unwrap();
        column.means == Means::AsItIs && column.notes.iter().any(|note| note.code == "contested")
    };
    assert!(contested("材质") && contested("井盖材质"), "{:?}", look.columns);
}
