//! Rows for files out: pages in the order of ids. A page of covers is one text that the database puts
//! together: row by row the driver copies every value on its way between two threads, which took four times
//! as long as reading the city (a million covers, 30 columns: 8 s against 2).

use sqlx::FromRow;
use uuid::Uuid;

use super::case_list::CaseFilter;
use super::cover_list::{CoverFilter, conditions};
use super::piece::push_pieces;
use super::{EngineKind, StoreError, Tx, on_db};
use crate::domain::case::CaseState;
use crate::domain::cover::{CoverClass, CoverState, LoadClass, Material, Placement, Shape};
use crate::domain::edit::RetireReason;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{BatchId, CaseId, CoverId, ManholeId, Millis, PartyId};
use crate::domain::plate::PlateState;
use crate::domain::position::{PositionMethod, RawPosition};
use crate::domain::token::Token;

/// Between the fields of a row and between rows: no text that people write holds them.
const FIELD: char = '\u{1f}';
const ROW: char = '\u{1e}';

/// Which cases.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaseSelection {
    /// As for the list; its page does not count.
    pub which: CaseFilter,
    /// Reported from this moment on, and before that one.
    pub from: Option<Millis>,
    pub until: Option<Millis>,
}

/// Which plates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlateSelection {
    pub state: Option<PlateState>,
    pub district: Option<String>,
    pub batch: Option<BatchId>,
}

/// A page of covers as the database wrote it.
pub struct CoverPage {
    text: String,
    rows: usize,
}

/// A cover on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct CoverLine<'p> {
    pub cover: CoverId,
    pub manhole: ManholeId,
    pub scheme: &'p str,
    pub code: &'p str,
    pub district: &'p str,
    pub class: CoverClass,
    pub state: CoverState,
    pub lon: f64,
    pub lat: f64,
    pub raw: RawPosition,
    pub method: PositionMethod,
    pub accuracy_m: Option<f64>,
    pub surveyed_at: Option<Millis>,
    pub device: Option<&'p str>,
    pub road: Option<&'p str>,
    pub address: Option<&'p str>,
    pub placement: Option<Placement>,
    pub material: Option<Material>,
    pub shape: Option<Shape>,
    pub load_class: Option<LoadClass>,
    pub owner: Option<PartyId>,
    pub maintainer: Option<PartyId>,
    pub supervisor: Option<PartyId>,
    /// An object in JSON.
    pub extra: &'p str,
    pub source: &'p str,
    pub source_key: Option<&'p str>,
    /// Codes that it had before, with blanks between.
    pub former_codes: Option<&'p str>,
    /// Since when it is no longer in use, why, and the code of the cover that took its place.
    pub retired_at: Option<Millis>,
    pub retired_reason: Option<RetireReason>,
    pub successor: Option<&'p str>,
    pub version: i64,
    pub created_at: Millis,
}

/// How a column is written into the text of a page.
enum Said {
    Id,
    /// Digits that are read back to the same number.
    Real,
    Plain,
    /// May hold anything that people or their programs write.
    Free,
}

/// The columns of a page, in the order of [`CoverLine::read`].
const COLUMNS: &[(&str, Said)] = &[
    ("c.id", Said::Id),
    ("c.manhole_id", Said::Id),
    ("c.scheme", Said::Plain),
    ("c.code", Said::Plain),
    ("h.district", Said::Plain),
    ("c.class", Said::Plain),
    ("c.state", Said::Plain),
    ("h.lon", Said::Real),
    ("h.lat", Said::Real),
    ("h.raw_x", Said::Real),
    ("h.raw_y", Said::Real),
    ("h.raw_epsg", Said::Plain),
    ("h.position_method", Said::Plain),
    ("h.accuracy_m", Said::Real),
    ("h.surveyed_at", Said::Plain),
    ("h.device", Said::Free),
    ("h.road", Said::Free),
    ("h.address", Said::Free),
    ("h.placement", Said::Plain),
    ("c.material", Said::Plain),
    ("c.shape", Said::Plain),
    ("c.load_class", Said::Plain),
    ("c.owner_id", Said::Id),
    ("c.maintainer_id", Said::Id),
    ("c.supervisor_id", Said::Id),
    ("c.extra", Said::Free),
    ("c.source", Said::Free),
    ("c.source_key", Said::Free),
    (
        "(SELECT string_agg(a.code, ' ' ORDER BY a.code) FROM code_aliases a WHERE a.cover_id = c.id)",
        Said::Plain,
    ),
    ("c.retired_at", Said::Plain),
    ("c.retired_reason", Said::Plain),
    ("s.code", Said::Plain),
    ("c.version", Said::Plain),
    ("h.created_at", Said::Plain),
];

/// One row's text. `careful` takes the separators out of what people wrote, which costs a sixth of the time
/// and is done where a page turns out to need it.
fn line(engine: EngineKind, careful: bool) -> String {
    let said = COLUMNS.iter().map(|(column, said)| {
        let text = match (said, engine) {
            (Said::Id, EngineKind::Sqlite) => format!("hex({column})"),
            // A number of up to seven decimals, as people and receivers give them, goes as a whole number of
            // ten-millionths where that is the same; SQLite's way to write digits takes ten times as long.
            (Said::Real, EngineKind::Sqlite) => {
                let half = format!("CASE WHEN {column} < 0 THEN -0.5 ELSE 0.5 END");
                let whole = format!("CAST({column} * 1e7 + {half} AS INTEGER)");
                format!("CASE WHEN {whole} / 1e7 = {column} THEN '#' || {whole} ELSE quote({column}) END")
            }
            (Said::Free, _) if careful => format!("replace(replace({column}, $1, ' '), $2, ' ')"),
            _ => format!("CAST({column} AS TEXT)"),
        };
        format!("COALESCE({text}, '')")
    });
    said.collect::<Vec<_>>().join(", ")
}

/// The covers after `after`, at most `limit`; `None` when there are no more.
pub async fn list_cover_page(
    tx: &mut Tx,
    selection: &CoverFilter,
    after: Option<CoverId>,
    limit: i64,
) -> Result<Option<CoverPage>, StoreError> {
    for careful in [false, true] {
        let (rows, text) = read_page(tx, selection, after, limit, careful).await?;
        let page = CoverPage { rows: rows as usize, text: text.unwrap_or_default() };
        if page.rows == 0 {
            return Ok(None);
        }
        if page.is_whole() {
            return Ok(Some(page));
        }
    }
    Err(StoreError::inconsistent("covers", "id", "a page with separators in its words"))
}

async fn read_page(
    tx: &mut Tx,
    selection: &CoverFilter,
    after: Option<CoverId>,
    limit: i64,
    careful: bool,
) -> Result<(i64, Option<String>), StoreError> {
    let engine = tx.engine();
    let line = line(engine, careful);
    on_db!(tx, |c| {
        // The separators are bound first, so that they have the numbers that `line` names.
        let mut query = sqlx::QueryBuilder::new("SELECT COUNT(*), string_agg(line, ");
        query.push_bind(ROW.to_string());
        query.push(") FROM (SELECT concat_ws(").push_bind(FIELD.to_string());
        query.push(", ").push(&line);
        query.push(
            ") AS line FROM covers c JOIN manholes h ON h.id = c.manhole_id
             LEFT JOIN covers s ON s.id = c.successor_id WHERE c.id > ",
        );
        query.push_bind(after.map_or(Uuid::nil(), |id| id.0));
        push_pieces!(query, conditions(&CoverFilter { within: None, ..selection.clone() }, engine));
        if let Some((_, [west, south, east, north])) = selection.within {
            // By the plain numbers, not by quadkeys: the pages go through the ids in their order, and
            // an index on anything else would be gone through for every page anew.
            query.push(" AND h.lat BETWEEN ").push_bind(south).push(" AND ").push_bind(north);
            query.push(if west <= east { " AND (h.lon >= " } else { " AND (h.lon <= " });
            query.push_bind(if west <= east { west } else { east });
            query.push(if west <= east { " AND h.lon <= " } else { " OR h.lon >= " });
            query.push_bind(if west <= east { east } else { west }).push(")");
        }
        query.push(" ORDER BY c.id LIMIT ").push_bind(limit).push(") AS page");
        Ok(query.build_query_as().fetch_one(&mut *c).await?)
    })
}

impl CoverPage {
    /// Whether the text has as many separators as its rows need: one in somebody's words would be one
    /// too many.
    fn is_whole(&self) -> bool {
        let count = |separator: char| -> usize {
            // In parts whose count fits a byte: the compiler compares many bytes at once then.
            let is = |part: &[u8]| part.iter().map(|byte| u8::from(*byte == separator as u8)).sum::<u8>();
            self.text.as_bytes().chunks(255).map(|part| usize::from(is(part))).sum()
        };
        count(ROW) + 1 == self.rows && count(FIELD) == self.rows * (COLUMNS.len() - 1)
    }

    pub fn count(&self) -> usize {
        self.rows
    }

    /// The covers in the order of their ids.
    pub fn lines(&self) -> impl Iterator<Item = Result<CoverLine<'_>, StoreError>> {
        self.text.split(ROW).map(CoverLine::read)
    }

    /// The last cover of the page.
    pub fn last(&self) -> Result<CoverId, StoreError> {
        let row = self.text.rsplit(ROW).next().unwrap_or_default();
        CoverLine::read(row).map(|line| line.cover)
    }
}

/// The fields of a row, one after the other.
struct Fields<'p> {
    parts: std::str::Split<'p, char>,
    cover: Uuid,
}

impl<'p> Fields<'p> {
    fn broken(&self, column: &'static str) -> StoreError {
        StoreError::inconsistent("covers", column, self.cover)
    }

    fn text(&mut self) -> &'p str {
        self.parts.next().unwrap_or_default()
    }

    /// An empty text is none.
    fn text_if(&mut self) -> Option<&'p str> {
        Some(self.text()).filter(|text| !text.is_empty())
    }

    fn read<T: std::str::FromStr>(&mut self, column: &'static str) -> Result<T, StoreError> {
        self.text().parse().map_err(|_| self.broken(column))
    }

    fn read_if<T: std::str::FromStr>(&mut self, column: &'static str) -> Result<Option<T>, StoreError> {
        match self.text_if() {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| self.broken(column)),
        }
    }

    fn real_if(&mut self, column: &'static str) -> Result<Option<f64>, StoreError> {
        match self.text_if() {
            // As the database writes what is unknown.
            None | Some("NULL") => Ok(None),
            Some(text) => read_real(text).map(Some).ok_or_else(|| self.broken(column)),
        }
    }

    fn real(&mut self, column: &'static str) -> Result<f64, StoreError> {
        self.real_if(column)?.ok_or_else(|| self.broken(column))
    }

    fn id_if(&mut self, column: &'static str) -> Result<Option<Uuid>, StoreError> {
        self.text_if().map(|text| Uuid::try_parse(text).map_err(|_| self.broken(column))).transpose()
    }

    fn id(&mut self, column: &'static str) -> Result<Uuid, StoreError> {
        self.id_if(column)?.ok_or_else(|| self.broken(column))
    }
}

/// A number as it is, or behind `#` a whole number of ten-millionths.
fn read_real(text: &str) -> Option<f64> {
    match text.strip_prefix('#') {
        // The database compared with what this division gives.
        Some(whole) => whole.parse::<i64>().ok().map(|whole| whole as f64 / 1e7),
        None => text.parse().ok(),
    }
}

impl<'p> CoverLine<'p> {
    fn read(row: &'p str) -> Result<Self, StoreError> {
        let mut fields = Fields { parts: row.split(FIELD), cover: Uuid::nil() };
        let cover = fields.id("id")?;
        fields.cover = cover;
        Ok(Self {
            cover: CoverId(cover),
            manhole: ManholeId(fields.id("manhole_id")?),
            scheme: fields.text(),
            code: fields.text(),
            district: fields.text(),
            class: fields.read("class")?,
            state: fields.read("state")?,
            lon: fields.real("lon")?,
            lat: fields.real("lat")?,
            raw: RawPosition {
                x: fields.real("raw_x")?,
                y: fields.real("raw_y")?,
                epsg: fields.read("raw_epsg")?,
            },
            method: fields.read("position_method")?,
            accuracy_m: fields.real_if("accuracy_m")?,
            surveyed_at: fields.read_if("surveyed_at")?.map(Millis),
            device: fields.text_if(),
            road: fields.text_if(),
            address: fields.text_if(),
            placement: fields.read_if("placement")?,
            material: fields.read_if("material")?,
            shape: fields.read_if("shape")?,
            load_class: fields.read_if("load_class")?,
            owner: fields.id_if("owner_id")?.map(PartyId),
            maintainer: fields.id_if("maintainer_id")?.map(PartyId),
            supervisor: fields.id_if("supervisor_id")?.map(PartyId),
            extra: fields.text(),
            source: fields.text(),
            source_key: fields.text_if(),
            former_codes: fields.text_if(),
            retired_at: fields.read_if("retired_at")?.map(Millis),
            retired_reason: fields.read_if("retired_reason")?,
            successor: fields.text_if(),
            version: fields.read("version")?,
            created_at: Millis(fields.read("created_at")?),
        })
    }
}

/// A case for a file, with where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseRecord {
    pub id: CaseId,
    pub number: String,
    pub cover_code: Option<String>,
    pub district: String,
    pub road: Option<String>,
    pub lon: f64,
    pub lat: f64,
    pub raw: RawPosition,
    pub hazard: Hazard,
    pub state: CaseState,
    pub emergency: bool,
    pub report_count: i64,
    pub party: Option<PartyId>,
    pub until: Option<Millis>,
    pub created_at: Millis,
    pub updated_at: Millis,
    pub closed_at: Option<Millis>,
}

#[derive(FromRow)]
struct CaseRow {
    id: Uuid,
    number: String,
    code: Option<String>,
    district: String,
    road: Option<String>,
    lon: f64,
    lat: f64,
    raw_x: f64,
    raw_y: f64,
    raw_epsg: i64,
    hazard: String,
    state: String,
    emergency: bool,
    report_count: i64,
    party_id: Option<Uuid>,
    until: Option<i64>,
    created_at: i64,
    updated_at: i64,
    closed_at: Option<i64>,
}

impl TryFrom<CaseRow> for CaseRecord {
    type Error = StoreError;
    fn try_from(row: CaseRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("cases", column, row.id);
        Ok(Self {
            raw: RawPosition {
                x: row.raw_x,
                y: row.raw_y,
                epsg: u32::try_from(row.raw_epsg).map_err(|_| broken("raw_epsg"))?,
            },
            hazard: row.hazard.parse().map_err(|_| broken("hazard"))?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            id: CaseId(row.id),
            number: row.number,
            cover_code: row.code,
            district: row.district,
            road: row.road,
            lon: row.lon,
            lat: row.lat,
            emergency: row.emergency,
            report_count: row.report_count,
            party: row.party_id.map(PartyId),
            until: row.until.map(Millis),
            created_at: Millis(row.created_at),
            updated_at: Millis(row.updated_at),
            closed_at: row.closed_at.map(Millis),
        })
    }
}

/// The cases after `after` in the order of their ids, at most `limit`.
pub async fn list_case_page(
    tx: &mut Tx,
    selection: &CaseSelection,
    after: Option<CaseId>,
    limit: i64,
) -> Result<Vec<CaseRecord>, StoreError> {
    let engine = tx.engine();
    let rows: Vec<CaseRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT k.id, k.number, c.code, k.district, h.road, h.lon, h.lat, h.raw_x, h.raw_y, h.raw_epsg,
             k.hazard, k.state, k.emergency, k.report_count, k.party_id, k.until, k.created_at, k.updated_at,
             k.closed_at FROM cases k JOIN manholes h ON h.id = k.manhole_id
             LEFT JOIN covers c ON c.id = k.cover_id WHERE k.id > ",
        );
        query.push_bind(after.map_or(Uuid::nil(), |id| id.0));
        push_pieces!(query, super::case_list::conditions(&selection.which, engine));
        if let Some(from) = selection.from {
            query.push(" AND k.created_at >= ").push_bind(from.0);
        }
        if let Some(until) = selection.until {
            query.push(" AND k.created_at < ").push_bind(until.0);
        }
        query.push(" ORDER BY k.id LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(CaseRecord::try_from).collect()
}

/// A plate for a file, with where it is; `None` = a blank one.
#[derive(Debug, Clone, PartialEq)]
pub struct PlateRecord {
    pub token: Token,
    pub batch: BatchId,
    pub ordinal: i64,
    pub state: PlateState,
    pub payload: String,
    pub face: String,
    pub printed_code: Option<String>,
    pub cover_code: Option<String>,
    pub district: Option<String>,
    pub road: Option<String>,
    /// Longitude and latitude, and how they were surveyed.
    pub place: Option<((f64, f64), RawPosition)>,
    pub page: i64,
    pub place_on_page: i64,
    pub successor: Option<Token>,
    pub state_at: Millis,
}

#[derive(FromRow)]
struct PlateRow {
    token: i64,
    batch_id: Uuid,
    ordinal: i64,
    state: String,
    payload: String,
    face: String,
    printed_code: Option<String>,
    code: Option<String>,
    district: Option<String>,
    road: Option<String>,
    lon: Option<f64>,
    lat: Option<f64>,
    raw_x: Option<f64>,
    raw_y: Option<f64>,
    raw_epsg: Option<i64>,
    page: i64,
    place_on_page: i64,
    successor: Option<i64>,
    state_at: i64,
}

impl TryFrom<PlateRow> for PlateRecord {
    type Error = StoreError;
    fn try_from(row: PlateRow) -> Result<Self, StoreError> {
        // A token opens a file: the broken row is named by its batch and ordinal instead.
        let broken = |column| {
            StoreError::inconsistent("plates", column, format!("{} no. {}", row.batch_id, row.ordinal))
        };
        let token = |bits: i64, column| Token::from_i64(bits).ok_or_else(|| broken(column));
        let place = match (row.lon, row.lat, row.raw_x, row.raw_y, row.raw_epsg) {
            (Some(lon), Some(lat), Some(x), Some(y), Some(epsg)) => {
                let epsg = u32::try_from(epsg).map_err(|_| broken("raw_epsg"))?;
                Some(((lon, lat), RawPosition { x, y, epsg }))
            }
            _ => None,
        };
        Ok(Self {
            token: token(row.token, "token")?,
            successor: row.successor.map(|bits| token(bits, "successor")).transpose()?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            batch: BatchId(row.batch_id),
            ordinal: row.ordinal,
            payload: row.payload,
            face: row.face,
            printed_code: row.printed_code,
            cover_code: row.code,
            district: row.district,
            road: row.road,
            place,
            page: row.page,
            place_on_page: row.place_on_page,
            state_at: Millis(row.state_at),
        })
    }
}

/// The plates after `after`, the last batch and ordinal of the page before, in the order of the ledgers.
pub async fn list_plate_page(
    tx: &mut Tx,
    selection: &PlateSelection,
    after: (Uuid, i64),
    limit: i64,
) -> Result<Vec<PlateRecord>, StoreError> {
    let rows: Vec<PlateRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT p.token, p.batch_id, p.ordinal, p.state, p.payload, b.face, p.printed_code, c.code, h.district,
             h.road, h.lon, h.lat, h.raw_x, h.raw_y, h.raw_epsg, p.page, p.place_on_page, p.successor, p.state_at
             FROM plates p JOIN plate_batches b ON b.id = p.batch_id LEFT JOIN covers c ON c.id = p.cover_id
             LEFT JOIN manholes h ON h.id = p.manhole_id WHERE (p.batch_id, p.ordinal) > (",
        );
        query.push_bind(after.0).push(", ").push_bind(after.1).push(")");
        if let Some(state) = selection.state {
            query.push(" AND p.state = ").push_bind(state.as_str());
        }
        if let Some(district) = &selection.district {
            query.push(" AND h.district = ").push_bind(district.clone());
        }
        if let Some(batch) = selection.batch {
            query.push(" AND p.batch_id = ").push_bind(batch.0);
        }
        query.push(" ORDER BY p.batch_id, p.ordinal LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(PlateRecord::try_from).collect()
}
