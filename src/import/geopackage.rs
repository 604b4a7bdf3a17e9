//! GeoPackage → cells, through the SQLite that is in the program anyway: read-only, believed in
//! nothing. Only plain tables are read, in the order of their keys; views and virtual tables of a
//! foreign file could run for ever. What is selected is always an expression: the driver asks for the
//! declared type of a plain column, and panics where that is no text.

use std::collections::VecDeque;
use std::path::Path;

use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, TypeInfo, ValueRef};
use tokio::runtime::Runtime;

use super::declared::DeclaredCrs;
use super::mapping::{Cell, Columns, Mapper};
use super::place::Point;
use super::wkb::point_of_geopackage;
use super::{Findings, Item, Problem, RowReader, Scope, Told, one_layer};
use crate::domain::Refusal;

/// Bytes that a value may have; longer texts are refused by the mapping anyway.
const MAX_VALUE: usize = 16 * 1024;
const MAX_COLUMNS: usize = 512;
/// What is fetched at once.
const BATCH_ROWS: i64 = 5_000;
const BATCH_BYTES: usize = 4 << 20;

pub(super) struct GeoPackageReader {
    runtime: Runtime,
    connection: Option<SqliteConnection>,
    layer: Layer,
    others: Vec<String>,
    /// Columns beside the geometry, as the table spells them.
    names: Vec<String>,
    sql: String,
    columns: Option<Columns>,
    crs: Option<DeclaredCrs>,
    last_key: Option<i64>,
    ahead: VecDeque<Fetched>,
    ended: bool,
    done: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) table: String,
    geometry: String,
    pub(super) kind: String,
    pub(super) srs_id: i64,
}

/// A row as it came.
struct Fetched {
    key: i64,
    /// `Err` = no geometry at all, or what is wrong with it.
    point: Result<Point, Refusal>,
    /// `Err` = the column whose text is none, or too long.
    texts: Result<Vec<String>, (usize, &'static str)>,
}

/// Whatever SQLite says of a foreign file is not for the reader's eyes.
pub(super) fn broken(error: sqlx::Error) -> Refusal {
    tracing::debug!(%error, "a GeoPackage cannot be read");
    Refusal::new("gpkg.unreadable")
}

/// A runtime for the reading thread, and the file opened read-only.
pub(super) fn connect(path: &Path, rows_ahead: usize) -> Result<(Runtime, SqliteConnection), Refusal> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0) {
        return Err(Refusal::new("gpkg.in_use"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| super::unreadable(&error))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(true)
        .row_buffer_size(rows_ahead)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging();
    let connection = runtime.block_on(SqliteConnection::connect_with(&options)).map_err(broken)?;
    Ok((runtime, connection))
}

pub(super) fn open(path: &Path, told: &Told) -> Result<GeoPackageReader, Refusal> {
    // Each row crosses a thread; handed over one by one that costs a fifth more.
    let (runtime, mut connection) = connect(path, 1000)?;
    let layers = runtime.block_on(list_layers(&mut connection))?;
    let points: Vec<&Layer> = layers.iter().filter(|layer| layer.may_be_points()).collect();
    if points.is_empty() {
        return Err(match layers.first() {
            Some(other) => {
                Refusal::new("geometry.type").at("position").with("read", super::shown(&other.kind))
            }
            None => Refusal::new("gpkg.no_layer"),
        });
    }
    let mut names: Vec<String> = points.iter().map(|layer| layer.table.clone()).collect();
    let at = one_layer(&names, told.layer.as_deref())?;
    let layer = points[at].clone();
    names.remove(at);
    let crs = runtime.block_on(declared_crs(&mut connection, layer.srs_id))?;
    let (columns, sql) = runtime.block_on(selection(&mut connection, &layer, MAX_VALUE))?;
    Ok(GeoPackageReader {
        runtime,
        connection: Some(connection),
        layer,
        others: names,
        names: columns,
        sql,
        columns: None,
        crs,
        last_key: None,
        ahead: VecDeque::new(),
        ended: false,
        done: false,
    })
}

impl Layer {
    fn may_be_points(&self) -> bool {
        ["POINT", "MULTIPOINT", "GEOMETRY"].iter().any(|kind| self.kind.eq_ignore_ascii_case(kind))
    }
}

/// Whether this name belongs to a plain table.
async fn is_table(connection: &mut SqliteConnection, name: &str) -> Result<bool, Refusal> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1 COLLATE NOCASE \
         AND sql NOT LIKE 'CREATE VIRTUAL%' AND sql NOT LIKE '%WITHOUT%ROWID%'",
    )
    .bind(name)
    .fetch_optional(connection)
    .await
    .map_err(broken)?;
    Ok(found.is_some())
}

pub(super) async fn list_layers(connection: &mut SqliteConnection) -> Result<Vec<Layer>, Refusal> {
    for table in ["gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys"] {
        if !is_table(connection, table).await? {
            return Err(Refusal::new("gpkg.not_one"));
        }
    }
    let rows = sqlx::query(
        "SELECT substr(c.table_name, 1, 200), substr(g.column_name, 1, 200), substr(g.geometry_type_name, 1, 40), +g.srs_id \
         FROM gpkg_contents c JOIN gpkg_geometry_columns g ON g.table_name = c.table_name \
         WHERE c.data_type = 'features' ORDER BY c.rowid LIMIT 1000",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(broken)?;
    let mut layers = Vec::new();
    for row in rows {
        let layer = Layer {
            table: row.try_get(0).map_err(broken)?,
            geometry: row.try_get(1).map_err(broken)?,
            kind: row.try_get(2).map_err(broken)?,
            srs_id: row.try_get(3).map_err(broken)?,
        };
        if is_table(connection, &layer.table).await? {
            layers.push(layer);
        }
    }
    Ok(layers)
}

pub(super) async fn declared_crs(
    connection: &mut SqliteConnection,
    srs_id: i64,
) -> Result<Option<DeclaredCrs>, Refusal> {
    // −1 and 0 are "undefined", Cartesian and geographic.
    if srs_id <= 0 {
        return Ok(None);
    }
    let row: Option<(String, i64, String)> = sqlx::query_as(
        "SELECT upper(substr(organization, 1, 100)), +organization_coordsys_id, substr(definition, 1, 10000) \
         FROM gpkg_spatial_ref_sys WHERE srs_id = $1 LIMIT 1",
    )
    .bind(srs_id)
    .fetch_optional(connection)
    .await
    .map_err(broken)?;
    let declared = row.map(|(organization, code, definition)| DeclaredCrs {
        epsg: u32::try_from(code).ok().filter(|_| organization == "EPSG"),
        // Some programs write "undefined".
        wkt: Some(definition).filter(|text| text.contains('[')),
        name: None,
    });
    Ok(declared.filter(|declared| *declared != DeclaredCrs::default()))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The columns beside the geometry, and the statement that reads a batch of rows. A geometry of more than so
/// many bytes is read as none.
pub(super) async fn selection(
    connection: &mut SqliteConnection,
    layer: &Layer,
    most_geometry: usize,
) -> Result<(Vec<String>, String), Refusal> {
    let columns: Vec<(String, i64)> = sqlx::query_as("SELECT name, hidden FROM pragma_table_xinfo($1)")
        .bind(&layer.table)
        .fetch_all(connection)
        .await
        .map_err(broken)?;
    let has = |name: &str| columns.iter().any(|(column, _)| column.eq_ignore_ascii_case(name));
    let key = ["rowid", "_rowid_", "oid"].into_iter().find(|key| !has(key));
    let (Some(key), true) = (key, has(&layer.geometry)) else {
        return Err(Refusal::new("gpkg.unreadable"));
    };
    let names: Vec<String> = columns
        .into_iter()
        .filter(|(name, hidden)| matches!(hidden, 0 | 3) && !name.eq_ignore_ascii_case(&layer.geometry))
        .map(|(name, _)| name)
        .collect();
    if names.len() > MAX_COLUMNS {
        return Err(Refusal::new("gpkg.unreadable"));
    }
    let longer = |column: &str, most: usize| {
        format!("typeof({column}) IN ('text', 'blob') AND octet_length({column}) > {most}")
    };
    let is_long = |column: &str| longer(column, MAX_VALUE);
    let geometry = quoted(&layer.geometry);
    let mut sql = format!(
        "SELECT +{key}, CASE WHEN {} THEN NULL ELSE {geometry} END",
        longer(&geometry, most_geometry)
    );
    let mut too_long = String::from("CASE");
    for (at, name) in names.iter().enumerate() {
        let column = quoted(name);
        sql.push_str(&format!(", CASE WHEN {} THEN NULL ELSE {column} END", is_long(&column)));
        too_long.push_str(&format!(" WHEN {} THEN {at}", is_long(&column)));
    }
    let too_long = if names.is_empty() { "NULL".to_owned() } else { format!("{too_long} END") };
    sql.push_str(&format!(
        ", {too_long} FROM {} WHERE {key} > $1 ORDER BY {key} LIMIT {BATCH_ROWS}",
        quoted(&layer.table)
    ));
    Ok((names, sql))
}

impl GeoPackageReader {
    fn fetch(&mut self) -> Result<(), Refusal> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let after = self.last_key;
        let sql = self.sql.clone();
        let count = self.names.len();
        let ahead = &mut self.ahead;
        let fetched = self.runtime.block_on(async {
            let query = sqlx::query(AssertSqlSafe(sql)).bind(after.unwrap_or(i64::MIN));
            let mut rows = query.fetch(connection);
            let mut bytes = 0;
            let mut last = after;
            let mut read = 0;
            while let Some(row) = rows.try_next().await.map_err(broken)? {
                let key: i64 = row.try_get(0).map_err(broken)?;
                // The keys of a sound table rise.
                if last.is_some_and(|last| key <= last) {
                    return Err(Refusal::new("gpkg.unreadable"));
                }
                last = Some(key);
                let fetched = take(&row, key, count).map_err(broken)?;
                bytes += fetched.texts.as_ref().map_or(0, |texts| texts.iter().map(String::len).sum());
                ahead.push_back(fetched);
                read += 1;
                if bytes > BATCH_BYTES {
                    return Ok((last, false));
                }
            }
            Ok((last, read < BATCH_ROWS))
        });
        let (last, ended) = fetched?;
        self.last_key = last;
        self.ended = ended;
        Ok(())
    }
}

fn take(row: &SqliteRow, key: i64, count: usize) -> Result<Fetched, sqlx::Error> {
    let geometry = row.try_get_raw(1)?;
    let point = match geometry.is_null() {
        true => Err(Refusal::new("position.missing").at("position")),
        false => match point_of_geopackage(row.try_get_unchecked::<&[u8], _>(1)?) {
            Ok(Some(point)) => Ok(point),
            Ok(None) => Err(Refusal::new("position.missing").at("position")),
            Err(refusal) => Err(refusal),
        },
    };
    let long: Option<i64> = row.try_get(count + 2)?;
    if let Some(at) = long {
        return Ok(Fetched { key, point, texts: Err((at as usize, "text.long")) });
    }
    let mut texts = Vec::with_capacity(count);
    for at in 0..count {
        let value = row.try_get_raw(at + 2)?;
        let kind = value.type_info().name().to_owned();
        texts.push(match kind.as_str() {
            _ if value.is_null() => String::new(),
            "INTEGER" => row.try_get_unchecked::<i64, _>(at + 2)?.to_string(),
            "REAL" => row.try_get_unchecked::<f64, _>(at + 2)?.to_string(),
            "TEXT" => match std::str::from_utf8(row.try_get_unchecked::<&[u8], _>(at + 2)?) {
                Ok(text) => text.to_owned(),
                Err(_) => return Ok(Fetched { key, point, texts: Err((at, "text.misfit")) }),
            },
            // A picture is no text.
            _ => String::new(),
        });
    }
    Ok(Fetched { key, point, texts: Ok(texts) })
}

impl RowReader for GeoPackageReader {
    fn next_row(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        if self.done {
            return None;
        }
        if self.columns.is_none() {
            match mapper.columns_of_header(self.names.clone(), true) {
                Ok(columns) => self.columns = Some(columns),
                Err(flaw) => {
                    self.done = true;
                    return Some(Err(flaw.into_problem(0, Scope::File)));
                }
            }
        }
        while self.ahead.is_empty() {
            if self.ended {
                self.done = true;
                return None;
            }
            if let Err(refusal) = self.fetch() {
                self.done = true;
                let line = self.last_key.map_or(0, line_of);
                return Some(Err(Problem::of_file(line, "", refusal)));
            }
        }
        let Fetched { key, point, texts } = self.ahead.pop_front()?;
        let line = line_of(key);
        let columns = self.columns.as_ref()?;
        let problem = |column: Option<&str>, refusal: Refusal| {
            let mut problem = Problem::of_row(line, "", refusal);
            problem.column = column.map(str::to_owned);
            Some(Err(problem))
        };
        let texts = match texts {
            Ok(texts) => texts,
            Err((at, "text.misfit")) => {
                let refusal = Refusal::new("text.misfit").with("column", at + 1).with("encoding", "UTF-8");
                return problem(columns.name(at), refusal);
            }
            Err((at, _)) => return problem(columns.name(at), Refusal::new("row.too_long")),
        };
        let point = match point {
            Ok(point) => point,
            Err(refusal) => return problem(Some("geometry"), refusal),
        };
        let id = key.to_string();
        let meaning = mapper.meaning_of("@id");
        let by_id =
            mapper.wants("@id").then(|| Cell { name: "@id", meaning: &meaning, text: &id, inexact: false });
        let cells = columns
            .iter()
            .zip(&texts)
            // The key that GDAL makes says nothing of the cover.
            .filter(|((name, _), _)| !matches!(*name, "fid" | "ogc_fid") || mapper.wants(name))
            .map(|((name, meaning), text)| Cell { name, meaning, text, inexact: false })
            .chain(by_id);
        Some(mapper.candidate(line, cells, Some(point)).map_err(|flaw| flaw.into_problem(line, Scope::Row)))
    }

    fn declared(&self) -> Option<DeclaredCrs> {
        self.crs.clone()
    }

    fn tell(&self, findings: &mut Findings) {
        findings.layer = Some(self.layer.table.clone());
        findings.other_layers = self.others.clone();
        findings.crs = self.crs.clone();
    }
}

impl Drop for GeoPackageReader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Read-only: nothing can be lost by a close that fails.
            let _ = self.runtime.block_on(connection.close());
        }
    }
}

/// The key as programs show it.
fn line_of(key: i64) -> u64 {
    u64::try_from(key).unwrap_or_default()
}
