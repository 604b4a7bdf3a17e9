//! Districts, manholes and covers.

use std::collections::{BTreeMap, HashMap};

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Encode, FromRow, Postgres, Sqlite, Type};
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::code::ComponentCode;
use crate::domain::cover::{CoverClass, CoverFile, CoverState, District, Party, Retired, Survey};
use crate::domain::ids::{CoverId, ManholeId, Millis, PartyId};
use crate::domain::position::{Position, RawPosition};
use crate::domain::quality::{Attached, FileSketch};

pub async fn put_district(tx: &mut Tx, district: &District) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO districts (code, name_zh, name_en) VALUES ($1, $2, $3)
             ON CONFLICT (code) DO UPDATE SET name_zh = excluded.name_zh, name_en = excluded.name_en",
        )
        .bind(&district.code)
        .bind(&district.name_zh)
        .bind(&district.name_en)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn list_districts(tx: &mut Tx) -> Result<Vec<District>, StoreError> {
    let rows: Vec<(String, String, String)> =
        on_db!(tx, |c| sqlx::query_as("SELECT code, name_zh, name_en FROM districts ORDER BY code")
            .fetch_all(&mut *c)
            .await?);
    Ok(rows.into_iter().map(|(code, name_zh, name_en)| District { code, name_zh, name_en }).collect())
}

/// A sequence and a number: where it stands, where it must stand at least, or how far it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceMove {
    pub scheme: String,
    pub district: String,
    pub class: CoverClass,
    pub number: i64,
}

/// Where every sequence stands.
pub async fn list_sequences(tx: &mut Tx) -> Result<Vec<SequenceMove>, StoreError> {
    let rows: Vec<(String, String, String, i64)> =
        on_db!(tx, |c| sqlx::query_as("SELECT scheme, district, class, last FROM code_sequences")
            .fetch_all(&mut *c)
            .await?);
    rows.into_iter()
        .map(|(scheme, district, class, number)| {
            let class =
                class.parse().map_err(|_| StoreError::inconsistent("code_sequences", "class", &district))?;
            Ok(SequenceMove { scheme, district, class, number })
        })
        .collect()
}

/// Advances sequences, each at most once in a call; answers their new last numbers in the same
/// order. Give them sorted, so that no two transactions wait for each other.
pub async fn advance_sequences(tx: &mut Tx, moves: &[SequenceMove]) -> Result<Vec<i64>, StoreError> {
    let mut lasts = Vec::with_capacity(moves.len());
    for chunk in moves.chunks(500) {
        let rows: Vec<(String, String, String, i64)> = on_db!(tx, |c| {
            let mut query =
                sqlx::QueryBuilder::new("INSERT INTO code_sequences (scheme, district, class, last) ");
            query.push_values(chunk, |mut row, one| {
                row.push_bind(&one.scheme)
                    .push_bind(&one.district)
                    .push_bind(one.class.as_str())
                    .push_bind(one.number);
            });
            query.push(
                " ON CONFLICT (scheme, district, class) DO UPDATE SET last = code_sequences.last + excluded.last
                 RETURNING scheme, district, class, last",
            );
            query.build_query_as().fetch_all(&mut *c).await?
        });
        for one in chunk {
            let row = rows.iter().find(|(scheme, district, class, _)| {
                *scheme == one.scheme && *district == one.district && class == one.class.as_str()
            });
            let Some((.., last)) = row else {
                return Err(StoreError::inconsistent("code_sequences", "last", &one.district));
            };
            lasts.push(*last);
        }
    }
    Ok(lasts)
}

/// Lifts sequences to at least these numbers, after a census brought codes of its own. Give them
/// sorted, each once.
pub async fn lift_sequences(tx: &mut Tx, moves: &[SequenceMove]) -> Result<(), StoreError> {
    for chunk in moves.chunks(500) {
        on_db!(tx, |c| {
            let mut query =
                sqlx::QueryBuilder::new("INSERT INTO code_sequences (scheme, district, class, last) ");
            query.push_values(chunk, |mut row, one| {
                row.push_bind(&one.scheme)
                    .push_bind(&one.district)
                    .push_bind(one.class.as_str())
                    .push_bind(one.number);
            });
            query.push(
                " ON CONFLICT (scheme, district, class) DO UPDATE SET last = CASE
                 WHEN code_sequences.last < excluded.last THEN excluded.last ELSE code_sequences.last END",
            );
            query.build().execute(&mut *c).await?;
        });
    }
    Ok(())
}

#[derive(FromRow)]
pub(super) struct CoverRow {
    id: Uuid,
    manhole_id: Uuid,
    scheme: String,
    code: String,
    class: String,
    state: String,
    material: Option<String>,
    shape: Option<String>,
    load_class: Option<String>,
    owner_id: Option<Uuid>,
    owner_name: Option<String>,
    owner_hotline: Option<String>,
    maintainer_id: Option<Uuid>,
    maintainer_name: Option<String>,
    maintainer_hotline: Option<String>,
    supervisor_id: Option<Uuid>,
    supervisor_name: Option<String>,
    supervisor_hotline: Option<String>,
    source: String,
    source_key: Option<String>,
    extra: String,
    version: i64,
    district: String,
    district_zh: String,
    district_en: String,
    road: Option<String>,
    address: Option<String>,
    placement: Option<String>,
    #[sqlx(flatten)]
    position: PositionSql,
    created_at: i64,
    retired_at: Option<i64>,
    retired_reason: Option<String>,
    successor_id: Option<Uuid>,
    successor_scheme: Option<String>,
    successor_code: Option<String>,
    covers_here: i64,
    leads: bool,
}

/// Where a manhole lies, as its columns say it.
#[derive(FromRow)]
pub(super) struct PositionSql {
    lon: f64,
    lat: f64,
    raw_x: f64,
    raw_y: f64,
    raw_epsg: i64,
    position_method: String,
    accuracy_m: Option<f64>,
    surveyed_at: Option<i64>,
    device: Option<String>,
}

impl PositionSql {
    /// Names the column that cannot be.
    pub(super) fn read(self) -> Result<Position, &'static str> {
        Ok(Position {
            lon: self.lon,
            lat: self.lat,
            raw: RawPosition {
                x: self.raw_x,
                y: self.raw_y,
                epsg: u32::try_from(self.raw_epsg).map_err(|_| "raw_epsg")?,
            },
            method: self.position_method.parse().map_err(|_| "position_method")?,
            accuracy_m: self.accuracy_m,
            surveyed_at: self.surveyed_at.map(Millis),
            device: self.device,
        })
    }
}

/// The columns and joins of a cover's file; a condition follows.
pub(super) const FILE: &str = "SELECT c.id, c.manhole_id, c.scheme, c.code, c.class, c.state, c.material, c.shape, c.load_class,
    c.owner_id, o.name AS owner_name, o.hotline AS owner_hotline,
    c.maintainer_id, m.name AS maintainer_name, m.hotline AS maintainer_hotline,
    c.supervisor_id, s.name AS supervisor_name, s.hotline AS supervisor_hotline,
    c.source, c.source_key, c.extra, c.version,
    h.district, d.name_zh AS district_zh, d.name_en AS district_en, h.road, h.address, h.placement, h.lon, h.lat,
    h.raw_x, h.raw_y, h.raw_epsg, h.position_method, h.accuracy_m, h.surveyed_at, h.device, h.created_at,
    c.retired_at, c.retired_reason, c.successor_id, n.scheme AS successor_scheme, n.code AS successor_code,
    (SELECT COUNT(*) FROM covers w WHERE w.manhole_id = c.manhole_id) AS covers_here,
    NOT EXISTS (SELECT 1 FROM covers w WHERE w.manhole_id = c.manhole_id AND w.id < c.id AND w.retired_at IS NULL)
        AS leads
    FROM covers c
    JOIN manholes h ON h.id = c.manhole_id
    JOIN districts d ON d.code = h.district
    LEFT JOIN parties o ON o.id = c.owner_id
    LEFT JOIN parties m ON m.id = c.maintainer_id
    LEFT JOIN parties s ON s.id = c.supervisor_id
    LEFT JOIN covers n ON n.id = c.successor_id ";

pub(super) fn word<T: std::str::FromStr>(
    value: Option<String>,
    column: &'static str,
    row: Uuid,
) -> Result<Option<T>, StoreError> {
    value.map(|text| text.parse().map_err(|_| StoreError::inconsistent("covers", column, row))).transpose()
}

fn party(id: Option<Uuid>, name: Option<String>, hotline: Option<String>) -> Option<Party> {
    Some(Party { id: PartyId(id?), name: name?, hotline })
}

impl TryFrom<CoverRow> for CoverFile {
    type Error = StoreError;
    fn try_from(row: CoverRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("covers", column, row.id);
        let extra: BTreeMap<String, String> =
            serde_json::from_str(&row.extra).map_err(|_| broken("extra"))?;
        let owner = party(row.owner_id, row.owner_name, row.owner_hotline);
        let maintainer = party(row.maintainer_id, row.maintainer_name, row.maintainer_hotline);
        let supervisor = party(row.supervisor_id, row.supervisor_name, row.supervisor_hotline);
        let name_of = |party: &Option<Party>| party.as_ref().map(|party| party.name.clone());
        let retired = match (row.retired_at, row.retired_reason) {
            (Some(at), Some(reason)) => Some(Retired {
                at: Millis(at),
                reason: reason.parse().map_err(|_| broken("retired_reason"))?,
                successor: match (row.successor_id, row.successor_scheme, row.successor_code) {
                    (Some(id), Some(scheme), Some(digits)) => {
                        Some((CoverId(id), ComponentCode { scheme, digits }))
                    }
                    _ => None,
                },
            }),
            (None, None) => None,
            _ => return Err(broken("retired_at")),
        };
        Ok(CoverFile {
            cover: CoverId(row.id),
            manhole: ManholeId(row.manhole_id),
            code: ComponentCode { scheme: row.scheme, digits: row.code },
            survey: Survey {
                district: row.district.clone(),
                class: row.class.parse().map_err(|_| broken("class"))?,
                state: row.state.parse().map_err(|_| broken("state"))?,
                position: row.position.read().map_err(broken)?,
                road: row.road,
                address: row.address,
                placement: word(row.placement, "placement", row.id)?,
                material: word(row.material, "material", row.id)?,
                shape: word(row.shape, "shape", row.id)?,
                load_class: word(row.load_class, "load_class", row.id)?,
                owner: name_of(&owner),
                maintainer: name_of(&maintainer),
                supervisor: name_of(&supervisor),
                extra,
            },
            district: District { code: row.district, name_zh: row.district_zh, name_en: row.district_en },
            owner,
            maintainer,
            supervisor,
            source: row.source,
            source_key: row.source_key,
            version: row.version,
            created_at: Millis(row.created_at),
            retired,
            covers_here: row.covers_here,
            leads: row.leads,
        })
    }
}

pub async fn find_cover(tx: &mut Tx, id: CoverId) -> Result<Option<CoverFile>, StoreError> {
    let row: Option<CoverRow> = on_db!(tx, |c| {
        let sql = format!("{FILE} WHERE c.id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(CoverFile::try_from).transpose()
}

/// The cover of a code, by its present code or one it had before. Codes of two schemes may share
/// their digits; the present one of the lowest scheme name wins.
pub async fn find_cover_by_code(tx: &mut Tx, digits: &str) -> Result<Option<CoverFile>, StoreError> {
    let row: Option<CoverRow> = on_db!(tx, |c| {
        let sql = format!("{FILE} WHERE c.code = $1 ORDER BY c.scheme LIMIT 1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(digits).fetch_optional(&mut *c).await?
    });
    if let Some(row) = row {
        return CoverFile::try_from(row).map(Some);
    }
    let alias: Option<Uuid> = on_db!(tx, |c| sqlx::query_scalar(
        "SELECT cover_id FROM code_aliases WHERE code = $1 ORDER BY scheme LIMIT 1"
    )
    .bind(digits)
    .fetch_optional(&mut *c)
    .await?);
    match alias {
        Some(id) => find_cover(tx, CoverId(id)).await,
        None => Ok(None),
    }
}

/// Most keys that one statement asks for.
const KEYS_AT_ONCE: usize = 500;

/// The rows of `select` whose `column` has one of these keys, in no particular order.
pub(super) async fn list_by_key<R, K>(
    tx: &mut Tx,
    select: &'static str,
    column: &'static str,
    keys: &[K],
) -> Result<Vec<R>, StoreError>
where
    R: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    K: Clone + Send + Sync + 'static + Type<Sqlite> + Type<Postgres>,
    K: for<'q> Encode<'q, Sqlite> + for<'q> Encode<'q, Postgres>,
{
    let mut rows = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(KEYS_AT_ONCE) {
        let found: Vec<R> = on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new(select);
            query.push(" WHERE ").push(column).push(" IN (");
            let mut list = query.separated(", ");
            for key in chunk {
                list.push_bind(key.clone());
            }
            query.push(")");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        rows.extend(found);
    }
    Ok(rows)
}

/// The files of these covers, in no particular order; unknown ids are left out.
pub async fn list_covers_by_id(tx: &mut Tx, ids: &[CoverId]) -> Result<Vec<CoverFile>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<CoverRow> = list_by_key(tx, FILE, "c.id", &ids).await?;
    rows.into_iter().map(CoverFile::try_from).collect()
}

/// Covers by their codes, present or former; codes that nothing has are left out. The present one of the
/// lowest scheme name wins.
pub async fn list_ids_by_code(tx: &mut Tx, codes: &[String]) -> Result<HashMap<String, CoverId>, StoreError> {
    let mut rows: Vec<(String, String, Uuid)> =
        list_by_key(tx, "SELECT code, scheme, id FROM covers", "code", codes).await?;
    rows.sort();
    let mut known: HashMap<String, CoverId> = HashMap::with_capacity(rows.len());
    for (code, _, id) in rows {
        known.entry(code).or_insert(CoverId(id));
    }
    let others: Vec<String> = codes.iter().filter(|code| !known.contains_key(*code)).cloned().collect();
    let mut rows: Vec<(String, String, Uuid)> =
        list_by_key(tx, "SELECT code, scheme, cover_id FROM code_aliases", "code", &others).await?;
    rows.sort();
    for (code, _, id) in rows {
        known.entry(code).or_insert(CoverId(id));
    }
    Ok(known)
}

/// What the snapshot keeps of a cover.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRow {
    pub cover: CoverId,
    pub manhole: ManholeId,
    pub lon: f64,
    pub lat: f64,
    pub quadkey: i64,
    pub code: ComponentCode,
    pub state: CoverState,
    pub district: String,
    pub road: Option<String>,
    /// With the name that the public sees.
    pub owner: Option<(PartyId, String)>,
    pub maintainer: Option<(PartyId, String)>,
    pub surveyed_at: Option<Millis>,
    /// `installed` is not filled in: which columns say it is a rule.
    pub sketch: FileSketch,
    pub extra: BTreeMap<String, String>,
    /// Has a case that is not closed.
    pub has_open_case: bool,
}

#[derive(FromRow)]
struct PointSql {
    id: Uuid,
    manhole_id: Uuid,
    lon: f64,
    lat: f64,
    quadkey: i64,
    scheme: String,
    code: String,
    class: String,
    state: String,
    district: String,
    road: Option<String>,
    owner_id: Option<Uuid>,
    owner_name: Option<String>,
    maintainer_id: Option<Uuid>,
    maintainer_name: Option<String>,
    has_supervisor: bool,
    has_address: bool,
    has_accuracy: bool,
    surveyed_at: Option<i64>,
    placement: Option<String>,
    material: Option<String>,
    shape: Option<String>,
    load_class: Option<String>,
    extra: String,
    has_plate: bool,
    has_photo: bool,
    has_open_case: bool,
}

/// An open case that waits for a look shows nowhere.
const POINT: &str = "SELECT c.id, c.manhole_id, h.lon, h.lat, h.quadkey, c.scheme, c.code, c.class, c.state, h.district, h.road,
    c.owner_id, o.name AS owner_name, c.maintainer_id, m.name AS maintainer_name, c.supervisor_id IS NOT NULL AS has_supervisor, h.address IS NOT NULL AS has_address,
    h.accuracy_m IS NOT NULL AS has_accuracy, h.surveyed_at, h.placement, c.material, c.shape, c.load_class, c.extra,
    EXISTS (SELECT 1 FROM plates p WHERE p.cover_id = c.id AND p.state = 'installed') AS has_plate,
    EXISTS (SELECT 1 FROM photos f WHERE f.manhole_id = c.manhole_id AND f.cover_id = c.id) AS has_photo,
    EXISTS (SELECT 1 FROM cases k WHERE k.cover_id = c.id AND k.state NOT IN ('closed', 'rejected', 'joined')
        AND (k.state <> 'reported' OR NOT EXISTS
            (SELECT 1 FROM case_holds q WHERE q.case_id = k.id AND q.ended_at IS NULL)))
        AS has_open_case
    FROM covers c JOIN manholes h ON h.id = c.manhole_id AND c.retired_at IS NULL
    LEFT JOIN parties o ON o.id = c.owner_id LEFT JOIN parties m ON m.id = c.maintainer_id ";

impl TryFrom<PointSql> for PointRow {
    type Error = StoreError;
    fn try_from(row: PointSql) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("covers", column, row.id);
        Ok(Self {
            cover: CoverId(row.id),
            manhole: ManholeId(row.manhole_id),
            lon: row.lon,
            lat: row.lat,
            quadkey: row.quadkey,
            state: row.state.parse().map_err(|_| broken("state"))?,
            owner: row.owner_id.map(PartyId).zip(row.owner_name),
            maintainer: row.maintainer_id.map(PartyId).zip(row.maintainer_name),
            surveyed_at: row.surveyed_at.map(Millis),
            sketch: FileSketch {
                class: row.class.parse().map_err(|_| broken("class"))?,
                placement: word(row.placement, "placement", row.id)?,
                material: word(row.material, "material", row.id)?,
                shape: word(row.shape, "shape", row.id)?,
                load_class: word(row.load_class, "load_class", row.id)?,
                owner: row.owner_id.is_some(),
                maintainer: row.maintainer_id.is_some(),
                supervisor: row.has_supervisor,
                road: row.road.is_some(),
                address: row.has_address,
                accuracy: row.has_accuracy,
                surveyed_at: row.surveyed_at.is_some(),
                installed: None,
                attached: Attached { plate: row.has_plate, photo: row.has_photo },
            },
            extra: match row.extra.as_str() {
                "{}" => BTreeMap::new(),
                text => serde_json::from_str(text).map_err(|_| broken("extra"))?,
            },
            code: ComponentCode { scheme: row.scheme, digits: row.code },
            district: row.district,
            road: row.road,
            has_open_case: row.has_open_case,
        })
    }
}

/// Points of covers in use in the order of their ids, after `after`.
pub async fn list_points(
    tx: &mut Tx,
    after: Option<CoverId>,
    limit: i64,
) -> Result<Vec<PointRow>, StoreError> {
    let rows: Vec<PointSql> = on_db!(tx, |c| {
        let sql = format!("{POINT} WHERE c.id > $1 ORDER BY c.id LIMIT $2");
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(limit)
            .fetch_all(&mut *c)
            .await?
    });
    rows.into_iter().map(PointRow::try_from).collect()
}

/// The points of these covers; an id that has no cover in use is left out.
pub async fn list_points_by_id(tx: &mut Tx, ids: &[CoverId]) -> Result<Vec<PointRow>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<PointSql> = list_by_key(tx, POINT, "c.id", &ids).await?;
    rows.into_iter().map(PointRow::try_from).collect()
}

/// What identity is matched by: key, class and place of every cover, and its code.
#[derive(Debug, Clone, FromRow)]
pub struct IdentityRow {
    pub id: Uuid,
    pub scheme: String,
    pub code: String,
    pub source: String,
    pub source_key: Option<String>,
    pub class: String,
    pub lon: f64,
    pub lat: f64,
    /// Why it is no longer in use.
    pub retired_reason: Option<String>,
}

pub async fn list_identities(tx: &mut Tx, after: Uuid, limit: i64) -> Result<Vec<IdentityRow>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT c.id, c.scheme, c.code, c.source, c.source_key, c.class, h.lon, h.lat, c.retired_reason
         FROM covers c JOIN manholes h ON h.id = c.manhole_id WHERE c.id > $1 ORDER BY c.id LIMIT $2"
    )
    .bind(after)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?))
}

/// How many covers are in use.
pub async fn count_covers(tx: &mut Tx) -> Result<i64, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar("SELECT COUNT(*) FROM covers WHERE retired_at IS NULL")
        .fetch_one(&mut *c)
        .await?))
}

/// The cover that has a code now: what tells whether a row means it.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeOwner {
    pub code: ComponentCode,
    pub class: CoverClass,
    pub source: String,
    pub source_key: Option<String>,
    pub lon: f64,
    pub lat: f64,
}

#[derive(FromRow)]
struct CodeOwnerRow {
    scheme: String,
    code: String,
    class: String,
    source: String,
    source_key: Option<String>,
    lon: f64,
    lat: f64,
}

/// Who has one of these codes now, in no particular order.
pub async fn list_code_owners(tx: &mut Tx, codes: &[&ComponentCode]) -> Result<Vec<CodeOwner>, StoreError> {
    let mut owners = Vec::new();
    for chunk in codes.chunks(500) {
        let rows: Vec<CodeOwnerRow> = on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new(
                "SELECT c.scheme, c.code, c.class, c.source, c.source_key, h.lon, h.lat
                 FROM covers c JOIN manholes h ON h.id = c.manhole_id WHERE c.code IN (",
            );
            let mut list = query.separated(", ");
            for code in chunk {
                list.push_bind(&code.digits);
            }
            query.push(")");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        for row in rows {
            owners.push(CodeOwner {
                class: row
                    .class
                    .parse()
                    .map_err(|_| StoreError::inconsistent("covers", "class", &row.code))?,
                code: ComponentCode { scheme: row.scheme, digits: row.code },
                source: row.source,
                source_key: row.source_key,
                lon: row.lon,
                lat: row.lat,
            });
        }
    }
    Ok(owners)
}

/// Every code that a cover had before; such a code is never given again.
pub async fn list_former_codes(tx: &mut Tx) -> Result<Vec<ComponentCode>, StoreError> {
    let rows: Vec<(String, String)> =
        on_db!(tx, |c| sqlx::query_as("SELECT scheme, code FROM code_aliases").fetch_all(&mut *c).await?);
    Ok(rows.into_iter().map(|(scheme, digits)| ComponentCode { scheme, digits }).collect())
}

/// Which of these codes a cover had before.
pub async fn find_former_codes(
    tx: &mut Tx,
    codes: &[&ComponentCode],
) -> Result<Vec<ComponentCode>, StoreError> {
    let mut known = Vec::new();
    for chunk in codes.chunks(500) {
        let rows: Vec<(String, String)> = on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new("SELECT scheme, code FROM code_aliases WHERE code IN (");
            let mut list = query.separated(", ");
            for code in chunk {
                list.push_bind(&code.digits);
            }
            query.push(")");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        known.extend(rows.into_iter().map(|(scheme, digits)| ComponentCode { scheme, digits }));
    }
    Ok(known)
}
