//! Polygons of a GeoPackage → features, in the order of their keys.

use std::path::Path;

use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row, TypeInfo, ValueRef};

use super::super::geopackage::{self as package, Layer, broken};
use super::super::{Told, one_layer};
use super::features::{Feature, Features, FoundAlong, RawShape, no_polygon};
use super::wkb::shape_of_geopackage;
use crate::domain::Refusal;

/// Bytes of one geometry.
const MOST_GEOMETRY: usize = 128 << 20;

pub(super) fn read(path: &Path, told: &Told, features: &mut Features) -> Result<FoundAlong, Refusal> {
    let (runtime, mut connection) = package::connect(path, 2)?;
    let read = runtime.block_on(read_layer(&mut connection, told, features));
    // Read-only: nothing can be lost by a close that fails.
    let _ = runtime.block_on(connection.close());
    read
}

fn may_hold(layer: &Layer) -> bool {
    let kinds = ["POLYGON", "MULTIPOLYGON", "SURFACE", "MULTISURFACE", "GEOMETRY", "GEOMETRYCOLLECTION"];
    kinds.iter().any(|kind| layer.kind.eq_ignore_ascii_case(kind))
}

async fn read_layer(
    connection: &mut SqliteConnection,
    told: &Told,
    features: &mut Features,
) -> Result<FoundAlong, Refusal> {
    let layers = package::list_layers(connection).await?;
    let surfaces: Vec<&Layer> = layers.iter().filter(|layer| may_hold(layer)).collect();
    if surfaces.is_empty() {
        return Err(match layers.first() {
            Some(other) => no_polygon(&other.kind),
            None => Refusal::new("gpkg.no_layer"),
        });
    }
    let mut others: Vec<String> = surfaces.iter().map(|layer| layer.table.clone()).collect();
    let layer = surfaces[one_layer(&others, told.layer.as_deref())?];
    others.retain(|other| *other != layer.table);
    let crs = package::declared_crs(connection, layer.srs_id).await?;
    let (names, sql) = package::selection(connection, layer, MOST_GEOMETRY).await?;
    let mut last = i64::MIN;
    loop {
        let before = last;
        let mut rows = sqlx::query(AssertSqlSafe(sql.clone())).bind(last).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.map_err(broken)? {
            let key: i64 = row.try_get(0).map_err(broken)?;
            // The keys of a sound table rise.
            if key <= last {
                return Err(Refusal::new("gpkg.unreadable"));
            }
            last = key;
            let shape = shape_of(&row)?;
            let cells = cells_of(&row, &names)?;
            features.push(Feature { line: u64::try_from(key).unwrap_or_default(), cells, shape })?;
        }
        if last == before {
            let layer = Some((layer.table.clone(), others));
            return Ok(FoundAlong { encoding: None, crs, layer });
        }
    }
}

fn shape_of(row: &SqliteRow) -> Result<Result<RawShape, Refusal>, Refusal> {
    if row.try_get_raw(1).map_err(broken)?.is_null() {
        return Ok(Err(no_polygon("NULL")));
    }
    Ok(shape_of_geopackage(row.try_get_unchecked::<&[u8], _>(1).map_err(broken)?))
}

fn cells_of(row: &SqliteRow, names: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    let mut cells = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let value = row.try_get_raw(at + 2).map_err(broken)?;
        let kind = value.type_info().name().to_owned();
        let text = match kind.as_str() {
            _ if value.is_null() => String::new(),
            "INTEGER" => row.try_get_unchecked::<i64, _>(at + 2).map_err(broken)?.to_string(),
            "REAL" => row.try_get_unchecked::<f64, _>(at + 2).map_err(broken)?.to_string(),
            "TEXT" => {
                let bytes = row.try_get_unchecked::<&[u8], _>(at + 2).map_err(broken)?;
                let misfit = |_| Refusal::new("text.misfit").with("column", name).with("encoding", "UTF-8");
                std::str::from_utf8(bytes).map_err(misfit)?.to_owned()
            }
            // A picture is no text.
            _ => String::new(),
        };
        cells.push((name.clone(), text));
    }
    Ok(cells)
}
