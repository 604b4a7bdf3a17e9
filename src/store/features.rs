//! Rows of cases, manholes and plates as programs that read maps ask for them: those columns alone that are wanted,
//! in the order of a key, from any row on.

use sqlx::Row as _;
use uuid::Uuid;

use super::abuse::HELD;
use super::piece::Piece::{self, Bool, Id, Int, Real, Sql, Text};
use super::piece::push_pieces;
use super::{StoreError, Tx, on_db};
use crate::domain::ids::PartyId;
use crate::domain::table_layer::TableLayer;

/// Where a row stands in the order of its table: cases by their ids, manholes by quadkey and id, plates by batch and
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct FeatureKey {
    pub number: i64,
    pub id: Uuid,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureCell {
    Null,
    Text(String),
    Number(f64),
    Boolean(bool),
    /// Milliseconds since 1970.
    Moment(i64),
    Texts(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRow {
    pub key: FeatureKey,
    /// Degrees; a plate that hangs nowhere has no place.
    pub place: Option<(f64, f64)>,
    /// One for each column that was wanted.
    pub cells: Vec<FeatureCell>,
}

/// What must hold of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureTest {
    OneOf(Vec<String>),
    /// Bounds are infinite where they are open.
    Between(f64, f64),
    Is(bool),
}

/// Which rows, and what of them.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureQuery {
    pub layer: TableLayer,
    /// By the names of [`feature_columns`].
    pub columns: Vec<&'static str>,
    /// On columns; what a column cannot check is left out.
    pub tests: Vec<(&'static str, FeatureTest)>,
    /// West, south, east, north in degrees, west of `east` unless they cross the antimeridian. Rows without a place
    /// lie in every box.
    pub boxes: Vec<[f64; 4]>,
    /// Of manholes: quadkeys from and to.
    pub keys: (i64, i64),
    /// Of cases: what a party has on its list.
    pub business_of: Option<PartyId>,
    /// Of cases: those about covers, that wait for nobody's look.
    pub is_public: bool,
}

/// How a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Id,
    Integer,
    Real,
    Boolean,
    Moment,
    /// With blanks between.
    Texts,
}

type Column = (&'static str, Kind, &'static str);

const CASE_COLUMNS: &[Column] = &[
    ("number", Kind::Text, "k.number"),
    ("hazard", Kind::Text, "k.hazard"),
    (
        "status",
        Kind::Text,
        "CASE WHEN k.state IN ('closed', 'rejected', 'joined') THEN 'closed' ELSE 'open' END",
    ),
    ("code", Kind::Text, "c.code"),
    ("district", Kind::Text, "k.district"),
    ("road", Kind::Text, "h.road"),
    ("reported_at", Kind::Moment, "k.created_at"),
    ("closed_at", Kind::Moment, "k.closed_at"),
    ("state", Kind::Text, "k.state"),
    ("source", Kind::Text, "k.source"),
    ("emergency", Kind::Boolean, "k.emergency"),
    ("report_count", Kind::Integer, "k.report_count"),
    ("party", Kind::Text, "p.name"),
    ("party_id", Kind::Id, "k.party_id"),
    ("due_at", Kind::Moment, "k.due_at"),
    ("until", Kind::Moment, "k.until"),
    ("updated_at", Kind::Moment, "k.updated_at"),
];

const MANHOLE_COLUMNS: &[Column] = &[
    ("id", Kind::Id, "h.id"),
    ("district", Kind::Text, "h.district"),
    ("road", Kind::Text, "h.road"),
    ("address", Kind::Text, "h.address"),
    ("placement", Kind::Text, "h.placement"),
    (
        "codes",
        Kind::Texts,
        "(SELECT string_agg(c.code, ' ' ORDER BY c.code) FROM covers c WHERE c.manhole_id = h.id AND c.retired_at IS NULL)",
    ),
    (
        "covers",
        Kind::Integer,
        "(SELECT COUNT(*) FROM covers c WHERE c.manhole_id = h.id AND c.retired_at IS NULL)",
    ),
    ("surveyed_at", Kind::Moment, "h.surveyed_at"),
    ("position_method", Kind::Text, "h.position_method"),
    ("accuracy_m", Kind::Real, "h.accuracy_m"),
    ("epsg", Kind::Integer, "h.raw_epsg"),
    ("entries", Kind::Integer, "h.history_length"),
    ("created_at", Kind::Moment, "h.created_at"),
];

const PLATE_COLUMNS: &[Column] = &[
    ("batch", Kind::Id, "p.batch_id"),
    ("ordinal", Kind::Integer, "p.ordinal"),
    ("state", Kind::Text, "p.state"),
    ("state_at", Kind::Moment, "p.state_at"),
    ("face", Kind::Text, "b.face"),
    ("printed_code", Kind::Text, "p.printed_code"),
    ("code", Kind::Text, "c.code"),
    ("district", Kind::Text, "h.district"),
    ("road", Kind::Text, "h.road"),
    ("page", Kind::Integer, "p.page"),
    ("place_on_page", Kind::Integer, "p.place_on_page"),
];

const fn columns(layer: TableLayer) -> &'static [Column] {
    match layer {
        TableLayer::Cases => CASE_COLUMNS,
        TableLayer::Manholes => MANHOLE_COLUMNS,
        TableLayer::Plates => PLATE_COLUMNS,
    }
}

/// The columns there are.
pub fn feature_columns(layer: TableLayer) -> impl Iterator<Item = &'static str> {
    columns(layer).iter().map(|(name, ..)| *name)
}

fn column(layer: TableLayer, name: &str) -> Result<&'static Column, StoreError> {
    let found = columns(layer).iter().find(|(known, ..)| *known == name);
    found.ok_or_else(|| StoreError::inconsistent(layer.as_str(), "columns", name))
}

const fn from(layer: TableLayer) -> &'static str {
    match layer {
        TableLayer::Cases => {
            " FROM cases k JOIN manholes h ON h.id = k.manhole_id LEFT JOIN covers c ON c.id = k.cover_id
             LEFT JOIN parties p ON p.id = k.party_id WHERE 1 = 1"
        }
        // Where nothing but a report was, there is no manhole to survey.
        TableLayer::Manholes => {
            " FROM manholes h WHERE EXISTS (SELECT 1 FROM covers e WHERE e.manhole_id = h.id)"
        }
        TableLayer::Plates => {
            " FROM plates p JOIN plate_batches b ON b.id = p.batch_id LEFT JOIN covers c ON c.id = p.cover_id
             LEFT JOIN manholes h ON h.id = p.manhole_id WHERE 1 = 1"
        }
    }
}

/// Number and id of the key, and the order that they stand in.
const fn key(layer: TableLayer) -> (&'static str, &'static str) {
    match layer {
        TableLayer::Cases => ("SELECT 0, k.id", " ORDER BY k.id"),
        TableLayer::Manholes => ("SELECT h.quadkey, h.id", " ORDER BY h.quadkey, h.id"),
        TableLayer::Plates => ("SELECT p.ordinal, p.batch_id", " ORDER BY p.batch_id, p.ordinal"),
    }
}

/// What narrows the rows, each piece led by ` AND `.
fn conditions(query: &FeatureQuery) -> Result<Vec<Piece>, StoreError> {
    let mut pieces = Vec::new();
    if query.layer == TableLayer::Manholes {
        let (first, last) = query.keys;
        pieces.extend([Sql(" AND h.quadkey BETWEEN "), Int(first), Sql(" AND "), Int(last)]);
    }
    for [west, south, east, north] in &query.boxes {
        let (west, south, east, north) = (*west, *south, *east, *north);
        pieces.extend([Sql(" AND (h.lat IS NULL OR h.lat BETWEEN "), Real(south), Sql(" AND "), Real(north)]);
        let (beyond, until) = if west <= east {
            (" AND h.lon >= ", " AND h.lon <= ")
        } else {
            (" AND (h.lon >= ", " OR h.lon <= ")
        };
        pieces.extend([
            Sql(beyond),
            Real(west),
            Sql(until),
            Real(east),
            Sql(if west <= east { ")" } else { "))" }),
        ]);
    }
    if let Some(party) = query.business_of {
        pieces.extend(super::case_list::business_of(party));
    }
    if query.is_public && query.layer == TableLayer::Cases {
        pieces.extend([Sql(" AND k.cover_id IS NOT NULL AND NOT "), Sql(HELD)]);
    }
    for (name, test) in &query.tests {
        let (_, kind, sql) = column(query.layer, name)?;
        pieces.extend(tested(*kind, sql, test));
    }
    Ok(pieces)
}

fn tested(kind: Kind, sql: &'static str, test: &FeatureTest) -> Vec<Piece> {
    let led = [Sql(" AND "), Sql(sql)];
    match (kind, test) {
        (Kind::Text | Kind::Id, FeatureTest::OneOf(texts)) => {
            let value = |text: &String| match kind {
                // What is no id is nobody's.
                Kind::Id => Uuid::try_parse(text).ok().map(Id),
                _ => Some(Text(text.clone())).filter(|_| !text.contains('\0')),
            };
            let values: Vec<Piece> = texts.iter().filter_map(value).collect();
            if values.is_empty() {
                return vec![Sql(" AND 1 = 0")];
            }
            let mut pieces = Vec::from(led);
            for (at, value) in values.into_iter().enumerate() {
                pieces.extend([Sql(if at == 0 { " IN (" } else { ", " }), value]);
            }
            pieces.push(Sql(")"));
            pieces
        }
        (Kind::Integer | Kind::Moment, FeatureTest::Between(low, high)) => {
            let mut pieces = Vec::new();
            if low.is_finite() {
                pieces.extend([Sql(" AND "), Sql(sql), Sql(" >= "), Int(low.floor() as i64)]);
            }
            if high.is_finite() {
                pieces.extend([Sql(" AND "), Sql(sql), Sql(" <= "), Int(high.ceil() as i64)]);
            }
            pieces
        }
        (Kind::Boolean, FeatureTest::Is(yes)) => {
            let mut pieces = Vec::from(led);
            pieces.extend([Sql(" = "), Bool(*yes)]);
            pieces
        }
        // Left to whoever asks.
        _ => Vec::new(),
    }
}

/// What follows a row in the order of its table.
fn behind(layer: TableLayer, after: FeatureKey) -> Vec<Piece> {
    let FeatureKey { number, id } = after;
    match layer {
        TableLayer::Cases => vec![Sql(" AND k.id > "), Id(id)],
        TableLayer::Manholes => {
            vec![Sql(" AND (h.quadkey > "), Int(number), Sql(" OR h.id > "), Id(id), Sql(")")]
        }
        TableLayer::Plates => {
            vec![Sql(" AND (p.batch_id, p.ordinal) > ("), Id(id), Sql(", "), Int(number), Sql(")")]
        }
    }
}

/// The rows behind `after`, at most `limit`.
pub async fn list_features(
    tx: &mut Tx,
    query: &FeatureQuery,
    after: Option<FeatureKey>,
    limit: i64,
) -> Result<Vec<FeatureRow>, StoreError> {
    let wanted = query.columns.iter().map(|name| column(query.layer, name)).collect::<Result<Vec<_>, _>>()?;
    let mut pieces = conditions(query)?;
    pieces.extend(after.into_iter().flat_map(|after| behind(query.layer, after)));
    Ok(on_db!(tx, |c| {
        let (key, order) = key(query.layer);
        let mut statement = sqlx::QueryBuilder::new(key);
        statement.push(", h.lon, h.lat");
        wanted.iter().for_each(|(_, _, sql)| {
            statement.push(", ").push(sql);
        });
        statement.push(from(query.layer));
        push_pieces!(statement, pieces);
        statement.push(order).push(" LIMIT ").push_bind(limit);
        let rows = statement.build().fetch_all(&mut *c).await?;
        rows.iter()
            .map(|row| {
                let place: (Option<f64>, Option<f64>) = (row.try_get(2)?, row.try_get(3)?);
                let mut cells = Vec::with_capacity(wanted.len());
                for (at, (_, kind, _)) in (4..).zip(&wanted) {
                    cells.push(match kind {
                        Kind::Text => text(row.try_get(at)?),
                        Kind::Id => text(row.try_get::<Option<Uuid>, _>(at)?.map(|id| id.to_string())),
                        Kind::Integer => number(row.try_get::<Option<i64>, _>(at)?.map(|whole| whole as f64)),
                        Kind::Real => number(row.try_get(at)?),
                        Kind::Boolean => row
                            .try_get::<Option<bool>, _>(at)?
                            .map_or(FeatureCell::Null, FeatureCell::Boolean),
                        Kind::Moment => {
                            row.try_get::<Option<i64>, _>(at)?.map_or(FeatureCell::Null, FeatureCell::Moment)
                        }
                        Kind::Texts => {
                            let joined = row.try_get::<Option<String>, _>(at)?.unwrap_or_default();
                            FeatureCell::Texts(joined.split_whitespace().map(str::to_owned).collect())
                        }
                    });
                }
                // The first column of cases is a number without a type on PostgreSQL.
                let number = if query.layer == TableLayer::Cases { 0 } else { row.try_get(0)? };
                Ok(FeatureRow {
                    key: FeatureKey { number, id: row.try_get(1)? },
                    place: place.0.zip(place.1),
                    cells,
                })
            })
            .collect::<Result<Vec<_>, sqlx::Error>>()?
    }))
}

fn text(text: Option<String>) -> FeatureCell {
    text.map_or(FeatureCell::Null, FeatureCell::Text)
}

fn number(number: Option<f64>) -> FeatureCell {
    number.map_or(FeatureCell::Null, FeatureCell::Number)
}

/// How many rows there are, without looking at any.
pub async fn count_features(tx: &mut Tx, query: &FeatureQuery) -> Result<i64, StoreError> {
    let pieces = conditions(query)?;
    Ok(on_db!(tx, |c| {
        let mut statement = sqlx::QueryBuilder::new("SELECT COUNT(*)");
        statement.push(from(query.layer));
        push_pieces!(statement, pieces);
        statement.build_query_scalar().fetch_one(&mut *c).await?
    }))
}
