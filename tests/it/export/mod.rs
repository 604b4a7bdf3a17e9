//! Files out, read by the programs that cities use (GDAL), and whole files from registry to registry.

mod archive;
mod command;
mod formats;
mod paper;

use std::path::{Path, PathBuf};
use std::process::Command;

use lidmark::domain::cover::{Candidate, CoverClass, CoverState, Placement};
use lidmark::domain::position::RawPosition;
use lidmark::outlet::{Exported, FileOrder, Format, OutletError, What, write_file};
use lidmark::registry::CoverFilter;

use crate::registry::ground::{Town, candidate};
use crate::support::engines::Ground;
use crate::support::{have, skip_or_fail};

/// 450 bytes: no field of a Shapefile holds it.
const LONG: &str = "济南路与黄河路交叉口东北角";

/// A town whose covers bring what breaks files: quotes and commas, a text beyond every field, a position
/// surveyed in a grid, one far away, and nothing at all.
async fn ugly_town(ground: &Ground) -> Town {
    let town = Town::found(ground).await;
    let mut rows: Vec<Candidate> = (0..5).map(|at| candidate(at, CoverClass::Sewage)).collect();
    rows[0].survey.road = Some("\"黄河路\", 东段".into());
    rows[0].survey.extra.insert("备注".into(), "第一行\n第二行".into());
    rows[1].survey.address = Some(LONG.repeat(12));
    rows[1].survey.state = CoverState::Broken;
    rows[2].survey.position.raw = RawPosition { x: 375_303.293_1, y: 4_148_495.668_4, epsg: 4549 };
    rows[2].survey.placement = Some(Placement::Carriageway);
    let bare = &mut rows[3].survey;
    (bare.road, bare.owner) = (None, None);
    bare.extra.clear();
    bare.position.accuracy_m = None;
    bare.position.surveyed_at = None;
    let far = &mut rows[4].survey.position;
    (far.lon, far.lat) = (87.6, 43.8);
    rows[4].survey.class = CoverClass::Gas;
    town.import(rows).await;
    town
}

fn order(what: What, format: Format) -> FileOrder {
    FileOrder { what, format, crs: None, words: None, utc_offset_minutes: 480, only: None, at: None }
}

fn covers(format: Format) -> FileOrder {
    order(What::Covers(CoverFilter::default()), format)
}

/// A folder for files, gone with the value.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file; answers where.
    async fn write(&self, town: &Town, order: FileOrder) -> Result<(PathBuf, Exported), OutletError> {
        let name = format!("{}.{}", order.what.name(), order.format.extension());
        let path = self.path(&name);
        let out = std::fs::File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let exported =
            write_file(&town.registry, self.folder.path(), order, (out.unwrap(), self.folder.path()), |_| {})
                .await?;
        Ok((path, exported))
    }
}

/// What a program of GDAL says. `None`, with a message, where there is none; a failure where `CI` is set.
fn gdal(program: &str, arguments: &[&str]) -> Option<String> {
    if !have(program) {
        skip_or_fail("GDAL (package gdal-bin)");
        return None;
    }
    let output = Command::new(program).args(arguments).output().unwrap();
    let (said, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && complaints.is_empty(), "{arguments:?}: {said}{complaints}");
    Some(said.into_owned())
}

/// Every row of a file as GDAL reads it, by column, in the order of the codes.
fn rows_by_gdal(source: &str, layer: &str) -> Option<Vec<std::collections::BTreeMap<String, String>>> {
    let table = gdal("ogr2ogr", &["-f", "CSV", "/vsistdout/", source, layer, "-lco", "GEOMETRY=AS_XY"])?;
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let mut rows: Vec<std::collections::BTreeMap<String, String>> = reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            columns.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
        })
        .collect();
    rows.sort_by(|one, other| one.get("code").cmp(&other.get("code")));
    Some(rows)
}

fn text(path: &Path) -> String {
    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
}
