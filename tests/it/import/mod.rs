//! Census files, whole: the Vermont towns, ugly files, and whatever bytes there are.

mod any_bytes;
mod areas;
mod containers;
mod formats;
mod fuzzed;
mod old_workbooks;
mod proposed;
mod ugly;
mod vermont;

use lidmark::domain::code::built_in_schemes;
use lidmark::domain::cover::Candidate;
use std::path::Path;

use lidmark::import::{
    Findings, Format, Problem, Profile, Source, Told, find_built_in, read_file, read_rows,
};

type Row = Result<Candidate, Problem>;

/// Reads a whole file that is at hand; answers the rows and how many the reader counted.
fn read_as(profile: &Profile, format: Format, file_name: &str, bytes: &[u8]) -> (Vec<Row>, u64) {
    let schemes = built_in_schemes();
    let source = Source { format, file_name, scheme: None, told: &Told::default() };
    let mut rows = read_rows(profile, &schemes, &source, bytes).unwrap();
    let found: Vec<Row> = rows.by_ref().collect();
    (found, rows.rows_read())
}

/// Reads a file of any format from the disk.
fn read_path(
    profile: &Profile,
    path: &Path,
    told: &Told,
) -> Result<(Vec<Row>, Findings), lidmark::domain::Refusal> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let format = Format::of_file(path, &name)?;
    let schemes = built_in_schemes();
    let source = Source { format, file_name: &name, scheme: None, told };
    let mut rows = read_file(profile, &schemes, &source, path)?;
    let found: Vec<Row> = rows.by_ref().collect();
    Ok((found, rows.findings()))
}

fn read_csv(bytes: impl AsRef<[u8]>) -> Vec<Row> {
    read_as(&find_built_in("lidmark-csv").unwrap(), Format::Csv, "covers.csv", bytes.as_ref()).0
}

fn read_census(bytes: impl AsRef<[u8]>) -> Vec<Row> {
    read_as(&find_built_in("census-zh").unwrap(), Format::Csv, "普查.csv", bytes.as_ref()).0
}

/// Reads features with a small profile of its own: `id`, `class`, `district`.
fn read_geojson(bytes: impl AsRef<[u8]>) -> Vec<Row> {
    let profile = Profile::from_toml(
        r#"
        id = "features"
        version = 1
        name_zh = "要素"
        name_en = "Features"
        [fields]
        source_key.columns = ["key", "@id"]
        class.columns = ["class"]
        district = { columns = ["district"], default = "370502" }
        "#,
    )
    .unwrap();
    read_as(&profile, Format::GeoJson, "covers.geojson", bytes.as_ref()).0
}

/// `line code column` of each problem, `line ok` of each candidate: what the table of ugly files compares.
fn story(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|row| match row {
            Ok(candidate) => format!("{} ok", candidate.line),
            Err(problem) => format!(
                "{} {} {}",
                problem.line,
                problem.refusal.code,
                problem.column.as_deref().unwrap_or("-")
            ),
        })
        .collect()
}
