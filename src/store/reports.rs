//! What filing reports reads and writes: for a whole group of them in a handful of statements.

use sqlx::FromRow;
use uuid::Uuid;

use super::abuse::{self, HELD, Watched};
use super::cases::OPEN;
use super::feed::{self, News};
use super::history::{self, ChainHead, LockedFile};
use super::people::AnsweredCall;
use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, cases, on_db, photos};
use crate::domain::case::{Case, CaseState, Report};
use crate::domain::cover::{CoverClass, Placement};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis, PartyId};
use crate::domain::token::Token;

/// Where a plate hangs, with one open case on its cover; a plate has a scene for each of them.
#[derive(Debug, Clone)]
pub struct Scene {
    pub token: Token,
    /// `None` for a blank plate.
    pub place: Option<Place>,
    pub open: Option<OpenCase>,
}

#[derive(Debug, Clone)]
pub struct Place {
    pub manhole: ManholeId,
    pub cover: CoverId,
    /// The cover is no longer in use: no case can be opened on it.
    pub is_retired: bool,
    pub class: CoverClass,
    pub road: Option<String>,
    pub placement: Option<Placement>,
    pub owner: Option<PartyId>,
    pub maintainer: Option<PartyId>,
    pub supervisor: Option<PartyId>,
    pub file: LockedFile,
}

#[derive(Debug, Clone)]
pub struct OpenCase {
    pub id: CaseId,
    pub number: String,
    pub hazard: Hazard,
    pub state: CaseState,
    pub emergency: bool,
    pub report_count: i64,
    pub party: Option<PartyId>,
    pub due_at: Option<Millis>,
    /// The hazard was there before.
    pub recurs: bool,
    /// It waits for a look before the public sees it.
    pub is_held: bool,
    pub created_at: Millis,
    pub version: i64,
}

#[derive(FromRow)]
struct SceneRow {
    token: i64,
    manhole_id: Option<Uuid>,
    cover_id: Option<Uuid>,
    history_length: Option<i64>,
    history_hash: Option<Vec<u8>>,
    district: Option<String>,
    retired_at: Option<i64>,
    class: Option<String>,
    road: Option<String>,
    placement: Option<String>,
    owner_id: Option<Uuid>,
    maintainer_id: Option<Uuid>,
    supervisor_id: Option<Uuid>,
    case_id: Option<Uuid>,
    number: Option<String>,
    hazard: Option<String>,
    state: Option<String>,
    emergency: Option<bool>,
    report_count: Option<i64>,
    party_id: Option<Uuid>,
    due_at: Option<i64>,
    recurs: Option<Uuid>,
    is_held: bool,
    created_at: Option<i64>,
    version: Option<i64>,
}

impl TryFrom<SceneRow> for Scene {
    type Error = StoreError;
    fn try_from(row: SceneRow) -> Result<Self, StoreError> {
        let token = Token::from_i64(row.token)
            .ok_or_else(|| StoreError::inconsistent("plates", "token", "a plate that was scanned"))?;
        let place = match (row.manhole_id, row.cover_id, row.history_length, row.history_hash, row.district) {
            (Some(manhole), Some(cover), Some(length), Some(hash), Some(district)) => {
                let head = ChainHead { length, hash: history::to_hash(hash, manhole, "manholes")? };
                let file = LockedFile { head, district };
                let broken = |table, column| StoreError::inconsistent(table, column, cover);
                let class = row.class.as_deref().map(str::parse).transpose();
                let placement = row.placement.as_deref().map(str::parse).transpose();
                Some(Place {
                    manhole: ManholeId(manhole),
                    cover: CoverId(cover),
                    is_retired: row.retired_at.is_some(),
                    class: class.ok().flatten().ok_or_else(|| broken("covers", "class"))?,
                    road: row.road,
                    placement: placement.map_err(|_| broken("manholes", "placement"))?,
                    owner: row.owner_id.map(PartyId),
                    maintainer: row.maintainer_id.map(PartyId),
                    supervisor: row.supervisor_id.map(PartyId),
                    file,
                })
            }
            _ => None,
        };
        let open = match (row.case_id, row.number, row.hazard, row.state, row.emergency, row.version) {
            (Some(id), Some(number), Some(hazard), Some(state), Some(emergency), Some(version)) => {
                let broken = |column| StoreError::inconsistent("cases", column, id);
                Some(OpenCase {
                    id: CaseId(id),
                    number,
                    hazard: hazard.parse().map_err(|_| broken("hazard"))?,
                    state: state.parse().map_err(|_| broken("state"))?,
                    emergency,
                    report_count: row.report_count.unwrap_or(1),
                    party: row.party_id.map(PartyId),
                    due_at: row.due_at.map(Millis),
                    recurs: row.recurs.is_some(),
                    is_held: row.is_held,
                    created_at: Millis(row.created_at.unwrap_or(0)),
                    version,
                })
            }
            _ => None,
        };
        Ok(Self { token, place, open })
    }
}

/// Takes the files of the manholes where these plates hang until the commit, so that reports on one
/// cover queue here and two of them cannot both open a case; unknown tokens have no scene.
pub async fn take_scenes(tx: &mut Tx, tokens: &[Token]) -> Result<Vec<Scene>, StoreError> {
    if let Tx::Postgres(connection) = tx {
        // SQLite's one writer is alone anyway.
        let tokens: Vec<i64> = tokens.iter().map(|token| token.to_i64()).collect();
        sqlx::query(
            "SELECT id FROM manholes WHERE id IN (SELECT manhole_id FROM plates WHERE token = ANY($1))
             ORDER BY id FOR UPDATE",
        )
        .bind(tokens)
        .execute(&mut **connection)
        .await?;
    }
    let rows: Vec<SceneRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(format!(
            "SELECT p.token, p.manhole_id, p.cover_id, h.history_length, h.history_hash, h.district,
             c.retired_at, c.class, h.road, h.placement, c.owner_id, c.maintainer_id, c.supervisor_id,
             k.id AS case_id, k.number, k.hazard, k.state, k.emergency, k.report_count, k.party_id,
             k.due_at, k.recurs, k.created_at,
             k.version, {HELD} AS is_held
             FROM plates p LEFT JOIN manholes h ON h.id = p.manhole_id LEFT JOIN covers c ON c.id = p.cover_id
             LEFT JOIN cases k ON k.cover_id = p.cover_id AND {OPEN} WHERE p.token IN ("
        ));
        let mut list = query.separated(", ");
        for token in tokens {
            list.push_bind(token.to_i64());
        }
        query.push(")");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Scene::try_from).collect()
}

/// Reports that joined an open case.
#[derive(Debug, Clone, Copy)]
pub struct JoinedReports {
    pub case: CaseId,
    pub expected_version: i64,
    pub count: i64,
    /// How much the case hurries now.
    pub triage: i64,
}

/// Everything that a group of reports leaves behind.
#[derive(Debug, Default)]
pub struct Filed {
    /// With the district in which the manhole lies.
    pub opened: Vec<(Case, String)>,
    pub joined: Vec<JoinedReports>,
    /// With the language in which the citizen is answered.
    pub reports: Vec<(Report, &'static str)>,
    pub photos: Vec<photos::PhotoRecord>,
    /// Those of one manhole stand together, in order.
    pub entries: Vec<HistoryEntry>,
    pub answers: Vec<AnsweredCall>,
    pub watched: Watched,
    pub news: News,
}

/// Writes it all, and takes the numbers of feed and outbox; call it last in a transaction. `false` when
/// somebody else moved one of the joined cases meanwhile.
pub async fn write(tx: &mut Tx, filed: &Filed, scope: &str, at: Millis) -> Result<bool, StoreError> {
    let last = feed::take_numbers(tx, &filed.news).await?;
    let mut script = Script::new(tx.engine());
    script.add(cases::case_sheet(&filed.opened));
    script.add(Sheet::changing(
        "UPDATE cases SET report_count = cases.report_count + given.reports, updated_at = given.at,
         triage = given.triage, version = cases.version + 1 FROM given WHERE cases.id = given.id AND cases.version = given.version",
        ["id", "version", "reports", "triage", "at"],
        filed.joined.iter().map(|joined| {
            cells![joined.case.0, joined.expected_version, joined.count, joined.triage, at.0]
        }),
    ));
    script.add(report_sheet(&filed.reports));
    script.add(photos::photo_sheet(&filed.photos));
    abuse::add_watched(&mut script, &filed.watched, at);
    history::add_entries(&mut script, &filed.entries);
    let columns = ["key", "scope", "request_hash", "answer", "at"];
    let answer = |call| {
        let call: &AnsweredCall = call;
        cells![call.key.0, scope, call.request_hash.as_slice(), call.answer.as_str(), at.0]
    };
    script.add(Sheet::new("idempotency", columns, filed.answers.iter().map(answer)));
    feed::add_news(&mut script, at, &filed.news, last);
    script.execute(tx).await
}

pub(super) fn report_sheet<'r>(reports: &'r [(Report, &'static str)]) -> Sheet<'r, 13> {
    let columns = [
        "id",
        "tracking",
        "case_id",
        "hazard",
        "description",
        "contact",
        "phone_lon",
        "phone_lat",
        "phone_accuracy_m",
        "language",
        "source",
        "external_number",
        "created_at",
    ];
    let row = |(report, language): &'r (Report, &'static str)| {
        cells![
            report.id.0,
            report.tracking.as_str(),
            report.case.0,
            report.hazard.as_str(),
            report.description.as_str(),
            report.contact.as_deref(),
            report.phone_position.map(|position| position.lon),
            report.phone_position.map(|position| position.lat),
            report.phone_position.map(|position| position.accuracy_m),
            *language,
            report.source.as_str(),
            report.external_number.as_deref(),
            report.created_at.0,
        ]
    };
    Sheet::new("reports", columns, reports.iter().map(row))
}
