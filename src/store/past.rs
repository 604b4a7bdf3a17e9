//! What is asked of the tables about a moment that is over: what happened since, and how that to which it
//! happened stands now.

use std::collections::{BTreeMap, HashMap};

use sqlx::FromRow;
use uuid::Uuid;

use super::covers::{PositionSql, list_by_key, word};
use super::{StoreError, Tx, on_db};
use crate::domain::case::CaseState;
use crate::domain::code::ComponentCode;
use crate::domain::cover::{CoverClass, CoverState, LoadClass, Material, Placement, Shape};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis, PartyId};
use crate::domain::plate::PlateState;
use crate::domain::position::Position;

/// Where an entry stands among those of all files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryKey {
    pub at: Millis,
    pub manhole: ManholeId,
    /// Within its file.
    pub sequence: i64,
}

impl EntryKey {
    /// Behind everything that happened up to a moment.
    pub fn behind(at: Millis) -> Self {
        Self { at, manhole: ManholeId(Uuid::max()), sequence: i64::MAX }
    }
}

/// An entry without what proves it.
#[derive(Debug, Clone)]
pub struct LaterEntry {
    pub key: EntryKey,
    pub kind: HistoryKind,
    pub case: Option<CaseId>,
    pub body: String,
}

/// When the first entry of all files was written; `None` = there is none.
pub async fn find_first_moment(tx: &mut Tx) -> Result<Option<Millis>, StoreError> {
    let first: Option<i64> =
        on_db!(tx, |c| sqlx::query_scalar("SELECT MIN(at) FROM history").fetch_one(&mut *c).await?);
    Ok(first.map(Millis))
}

/// Entries of these kinds after `after`, in the order of time, first entries of files left out: those of a
/// census are many, and what they founded is asked for by itself.
pub async fn list_entries_behind(
    tx: &mut Tx,
    kinds: &[HistoryKind],
    after: EntryKey,
    limit: i64,
) -> Result<Vec<LaterEntry>, StoreError> {
    let rows: Vec<(i64, Uuid, i64, String, Option<Uuid>, String)> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT at, manhole_id, sequence, kind, case_id, body FROM history
             WHERE (at, manhole_id, sequence) > (",
        );
        query.push_bind(after.at.0).push(", ").push_bind(after.manhole.0).push(", ");
        query.push_bind(after.sequence).push(") AND sequence > 1 AND kind IN (");
        let mut list = query.separated(", ");
        kinds.iter().for_each(|kind| {
            list.push_bind(kind.as_str());
        });
        query.push(") ORDER BY at, manhole_id, sequence LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|(at, manhole, sequence, kind, case, body)| {
            let kind = kind.parse().map_err(|_| StoreError::inconsistent("history", "kind", manhole))?;
            let key = EntryKey { at: Millis(at), manhole: ManholeId(manhole), sequence };
            Ok(LaterEntry { key, kind, case: case.map(CaseId), body })
        })
        .collect()
}

/// A cover on a manhole whose file begins behind a moment, and where it stands among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundedKey {
    pub at: Millis,
    pub manhole: ManholeId,
    pub cover: CoverId,
}

impl FoundedKey {
    pub fn behind(at: Millis) -> Self {
        Self { at, manhole: ManholeId(Uuid::max()), cover: CoverId(Uuid::max()) }
    }
}

/// Covers that lie now on manholes whose files began after `after`.
pub async fn list_founded_behind(
    tx: &mut Tx,
    after: FoundedKey,
    limit: i64,
) -> Result<Vec<FoundedKey>, StoreError> {
    // The first condition is the one for the index: many files begin in the same millisecond.
    let rows: Vec<(i64, Uuid, Uuid)> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT e.at, e.manhole_id, c.id FROM history e JOIN covers c ON c.manhole_id = e.manhole_id
         WHERE (e.at, e.manhole_id) >= ($1, $2) AND e.sequence = 1 AND (e.at, e.manhole_id, c.id) > ($1, $2, $3)
         ORDER BY e.at, e.manhole_id, c.id LIMIT $4"
    )
    .bind(after.at.0)
    .bind(after.manhole.0)
    .bind(after.cover.0)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?
    });
    let key = |(at, manhole, cover)| FoundedKey {
        at: Millis(at),
        manhole: ManholeId(manhole),
        cover: CoverId(cover),
    };
    Ok(rows.into_iter().map(key).collect())
}

/// A cover as it stands, in use or not.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingCover {
    pub cover: CoverId,
    pub manhole: ManholeId,
    pub code: ComponentCode,
    pub class: CoverClass,
    pub state: CoverState,
    pub material: Option<Material>,
    pub shape: Option<Shape>,
    pub load_class: Option<LoadClass>,
    pub owner: Option<PartyId>,
    pub maintainer: Option<PartyId>,
    pub supervisor: Option<PartyId>,
    pub extra: BTreeMap<String, String>,
    pub is_retired: bool,
}

#[derive(FromRow)]
struct CoverSql {
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
    maintainer_id: Option<Uuid>,
    supervisor_id: Option<Uuid>,
    extra: String,
    is_retired: bool,
}

impl TryFrom<CoverSql> for StandingCover {
    type Error = StoreError;
    fn try_from(row: CoverSql) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("covers", column, row.id);
        Ok(Self {
            cover: CoverId(row.id),
            manhole: ManholeId(row.manhole_id),
            class: row.class.parse().map_err(|_| broken("class"))?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            material: word(row.material, "material", row.id)?,
            shape: word(row.shape, "shape", row.id)?,
            load_class: word(row.load_class, "load_class", row.id)?,
            owner: row.owner_id.map(PartyId),
            maintainer: row.maintainer_id.map(PartyId),
            supervisor: row.supervisor_id.map(PartyId),
            extra: match row.extra.as_str() {
                "{}" => BTreeMap::new(),
                text => serde_json::from_str(text).map_err(|_| broken("extra"))?,
            },
            code: ComponentCode { scheme: row.scheme, digits: row.code },
            is_retired: row.is_retired,
        })
    }
}

/// These covers, in no particular order; one that is not there is left out.
pub async fn list_standing_covers(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<StandingCover>, StoreError> {
    let select = "SELECT c.id, c.manhole_id, c.scheme, c.code, c.class, c.state, c.material, c.shape, c.load_class,
        c.owner_id, c.maintainer_id, c.supervisor_id, c.extra, c.retired_at IS NOT NULL AS is_retired FROM covers c";
    let rows: Vec<CoverSql> = list_by_key(tx, select, "c.id", ids).await?;
    rows.into_iter().map(StandingCover::try_from).collect()
}

/// A manhole's place as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingPlace {
    pub manhole: ManholeId,
    pub district: String,
    pub road: Option<String>,
    pub address: Option<String>,
    pub placement: Option<Placement>,
    pub position: Position,
    /// When its file began.
    pub founded_at: Millis,
}

#[derive(FromRow)]
struct PlaceSql {
    id: Uuid,
    district: String,
    road: Option<String>,
    address: Option<String>,
    placement: Option<String>,
    #[sqlx(flatten)]
    position: PositionSql,
    founded_at: i64,
}

impl TryFrom<PlaceSql> for StandingPlace {
    type Error = StoreError;
    fn try_from(row: PlaceSql) -> Result<Self, StoreError> {
        Ok(Self {
            manhole: ManholeId(row.id),
            placement: word(row.placement, "placement", row.id)?,
            position: row
                .position
                .read()
                .map_err(|column| StoreError::inconsistent("manholes", column, row.id))?,
            district: row.district,
            road: row.road,
            address: row.address,
            founded_at: Millis(row.founded_at),
        })
    }
}

/// The places of these manholes, in no particular order.
pub async fn list_standing_places(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<StandingPlace>, StoreError> {
    let select =
        "SELECT h.id, h.district, h.road, h.address, h.placement, h.lon, h.lat, h.raw_x, h.raw_y, h.raw_epsg,
        h.position_method, h.accuracy_m, h.surveyed_at, h.device, e.at AS founded_at
        FROM manholes h JOIN history e ON e.manhole_id = h.id AND e.sequence = 1";
    let rows: Vec<PlaceSql> = list_by_key(tx, select, "h.id", ids).await?;
    rows.into_iter().map(StandingPlace::try_from).collect()
}

/// A step of a plate, by which pages of them go on: moment, token as it is stored, step.
pub type StepKey = (i64, i64, i64);

/// Steps of plates after `after`, in the order of time.
pub async fn list_plate_steps_behind(
    tx: &mut Tx,
    after: StepKey,
    limit: i64,
) -> Result<Vec<StepKey>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT at, token, step FROM plate_events WHERE at >= $1 AND (at, token, step) > ($1, $2, $3)
         ORDER BY at, token, step LIMIT $4"
    )
    .bind(after.0)
    .bind(after.1)
    .bind(after.2)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?))
}

/// A plate that was on a cover, and since when it had that state.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct WornPlate {
    pub token: i64,
    pub cover_id: Uuid,
    pub at: i64,
}

/// Which of these plates hung on a cover at a moment, by their last step until then.
pub async fn list_worn_at(tx: &mut Tx, tokens: &[i64], at: Millis) -> Result<Vec<WornPlate>, StoreError> {
    let mut worn = Vec::new();
    for chunk in tokens.chunks(500) {
        let rows: Vec<WornPlate> = on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new(
                "SELECT e.token, e.cover_id, e.at FROM plate_events e WHERE e.cover_id IS NOT NULL AND e.state = ",
            );
            query.push_bind(PlateState::Installed.as_str());
            query.push(
                " AND e.step = (SELECT MAX(l.step) FROM plate_events l WHERE l.token = e.token AND l.at <= ",
            );
            query.push_bind(at.0).push(") AND e.token IN (");
            let mut list = query.separated(", ");
            chunk.iter().for_each(|token| {
                list.push_bind(*token);
            });
            query.push(")");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        worn.extend(rows);
    }
    Ok(worn)
}

/// The covers on which these plates hang now, one a plate that hangs.
pub async fn list_wearers(tx: &mut Tx, tokens: &[i64]) -> Result<Vec<Uuid>, StoreError> {
    let rows: Vec<(String, Option<Uuid>)> =
        list_by_key(tx, "SELECT p.state, p.cover_id FROM plates p", "p.token", tokens).await?;
    let hangs =
        |(state, cover): (String, Option<Uuid>)| cover.filter(|_| state == PlateState::Installed.as_str());
    Ok(rows.into_iter().filter_map(hangs).collect())
}

/// How many plates hang on these covers; those without one are left out.
pub async fn count_worn(tx: &mut Tx, covers: &[Uuid]) -> Result<HashMap<Uuid, i64>, StoreError> {
    let rows: Vec<(String, Uuid)> =
        list_by_key(tx, "SELECT p.state, p.cover_id FROM plates p", "p.cover_id", covers).await?;
    let mut counts = HashMap::new();
    for (_, cover) in rows.into_iter().filter(|(state, _)| state == PlateState::Installed.as_str()) {
        *counts.entry(cover).or_default() += 1;
    }
    Ok(counts)
}

/// A case of a cover as it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StandingCase {
    pub case: Uuid,
    pub cover: Option<Uuid>,
    pub state: CaseState,
    /// Since when it waited for a look, and until when.
    pub held: Option<(Millis, Option<Millis>)>,
}

#[derive(FromRow)]
struct CaseSql {
    id: Uuid,
    cover_id: Option<Uuid>,
    state: String,
    held_at: Option<i64>,
    ended_at: Option<i64>,
}

const CASE: &str = "SELECT k.id, k.cover_id, k.state, q.held_at, q.ended_at FROM cases k
    LEFT JOIN case_holds q ON q.case_id = k.id";

impl TryFrom<CaseSql> for StandingCase {
    type Error = StoreError;
    fn try_from(row: CaseSql) -> Result<Self, StoreError> {
        let state = row.state.parse().map_err(|_| StoreError::inconsistent("cases", "state", row.id))?;
        let held = row.held_at.map(|at| (Millis(at), row.ended_at.map(Millis)));
        Ok(Self { case: row.id, cover: row.cover_id, state, held })
    }
}

pub async fn list_standing_cases(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<StandingCase>, StoreError> {
    let rows: Vec<CaseSql> = list_by_key(tx, CASE, "k.id", ids).await?;
    rows.into_iter().map(StandingCase::try_from).collect()
}

/// The cases of these covers that are not over.
pub async fn list_unsettled_cases(tx: &mut Tx, covers: &[Uuid]) -> Result<Vec<StandingCase>, StoreError> {
    // As the partial index on open cases says it, so that it is used.
    let column = "k.state NOT IN ('closed', 'rejected', 'joined') AND k.cover_id";
    let rows: Vec<CaseSql> = list_by_key(tx, CASE, column, covers).await?;
    rows.into_iter().map(StandingCase::try_from).collect()
}

/// Cases whose wait for a look ended after a moment.
pub async fn list_released_behind(tx: &mut Tx, at: Millis) -> Result<Vec<Uuid>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar("SELECT case_id FROM case_holds WHERE ended_at > $1")
        .bind(at.0)
        .fetch_all(&mut *c)
        .await?))
}

/// Covers of which a photo came after a moment.
pub async fn list_pictured_behind(tx: &mut Tx, at: Millis) -> Result<Vec<Uuid>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar(
        "SELECT DISTINCT cover_id FROM photos WHERE created_at > $1 AND cover_id IS NOT NULL"
    )
    .bind(at.0)
    .fetch_all(&mut *c)
    .await?))
}

/// The cover of each photo on these manholes that was there at a moment.
pub async fn list_pictured_at(tx: &mut Tx, manholes: &[Uuid], at: Millis) -> Result<Vec<Uuid>, StoreError> {
    let select = "SELECT f.cover_id, f.created_at FROM photos f";
    let rows: Vec<(Option<Uuid>, i64)> = list_by_key(tx, select, "f.manhole_id", manholes).await?;
    Ok(rows.into_iter().filter(|(_, came)| *came <= at.0).filter_map(|(cover, _)| cover).collect())
}

/// Photo, its cover now and when it came.
pub type StandingPhoto = (Uuid, Option<Uuid>, i64);

pub async fn list_standing_photos(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<StandingPhoto>, StoreError> {
    list_by_key(tx, "SELECT f.id, f.cover_id, f.created_at FROM photos f", "f.id", ids).await
}
