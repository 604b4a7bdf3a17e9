//! 会商: joint meetings with what they decided, the covers and roads that come again and again, and exemplary cases.

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder};
use uuid::Uuid;

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::code::ComponentCode;
use crate::domain::ids::{CaseId, CoverId, MeetingId, Millis, PartyId};
use crate::domain::meeting::{Decision, DecisionQuery, Quarter, Subject, SubjectKind};

/// One meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    pub id: MeetingId,
    /// Year and running number.
    pub number: String,
    pub held_at: Millis,
    pub place: String,
    /// One a line.
    pub attendees: String,
    pub decision: String,
    pub lead: PartyId,
    /// Until when; from then on it overrides nothing.
    pub due_at: Millis,
    pub actor: String,
    pub created_at: Millis,
    pub revoked: Option<Revoked>,
}

/// That a decision no longer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    pub at: Millis,
    pub by: String,
    pub why: String,
}

#[derive(FromRow)]
struct MeetingRow {
    id: Uuid,
    number: String,
    held_at: i64,
    place: String,
    attendees: String,
    decision: String,
    lead_id: Uuid,
    due_at: i64,
    actor: String,
    created_at: i64,
    revoked_at: Option<i64>,
    revoked_by: Option<String>,
    revoked_why: Option<String>,
}

impl From<MeetingRow> for Meeting {
    fn from(row: MeetingRow) -> Self {
        let revoked = row.revoked_at.zip(row.revoked_by).zip(row.revoked_why);
        Self {
            id: MeetingId(row.id),
            number: row.number,
            held_at: Millis(row.held_at),
            place: row.place,
            attendees: row.attendees,
            decision: row.decision,
            lead: PartyId(row.lead_id),
            due_at: Millis(row.due_at),
            actor: row.actor,
            created_at: Millis(row.created_at),
            revoked: revoked.map(|((at, by), why)| Revoked { at: Millis(at), by, why }),
        }
    }
}

const MEETING: &str =
    "SELECT m.id, m.number, m.held_at, m.place, m.attendees, m.decision, m.lead_id, m.due_at, m.actor,
    m.created_at, m.revoked_at, m.revoked_by, m.revoked_why FROM meetings m ";

/// The decision that is in force about where a case is: about the case itself before its cover before its road, of
/// several the one that was recorded last.
pub async fn find_decision(
    tx: &mut Tx,
    asked: &DecisionQuery<'_>,
    now: Millis,
) -> Result<Option<Decision>, StoreError> {
    let row: Option<(String, Uuid, i64)> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(
            "SELECT m.number, m.lead_id, m.due_at FROM meetings m JOIN meeting_subjects s ON s.meeting_id = m.id
             WHERE m.revoked_at IS NULL AND m.due_at > ",
        );
        query.push_bind(now.0).push(" AND (1 = 0");
        if let Some(case) = asked.case {
            query.push(" OR s.case_id = ").push_bind(case.0);
        }
        if let Some(cover) = asked.cover {
            query.push(" OR s.cover_id = ").push_bind(cover.0);
        }
        if let Some(road) = asked.road {
            query.push(" OR (s.road = ").push_bind(road.to_owned());
            query.push(" AND s.district = ").push_bind(asked.district.to_owned()).push(")");
        }
        query.push(
            ") ORDER BY CASE s.kind WHEN 'case' THEN 0 WHEN 'cover' THEN 1 ELSE 2 END, m.created_at DESC, m.id DESC LIMIT 1",
        );
        query.build_query_as().fetch_optional(&mut *c).await?
    });
    Ok(row.map(|(meeting, lead, due)| Decision { meeting, lead: PartyId(lead), due_at: Millis(due) }))
}

pub async fn add_meeting(tx: &mut Tx, meeting: &Meeting, subjects: &[Subject]) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO meetings (id, number, held_at, place, attendees, decision, lead_id, due_at, actor, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(meeting.id.0)
        .bind(&meeting.number)
        .bind(meeting.held_at.0)
        .bind(&meeting.place)
        .bind(&meeting.attendees)
        .bind(&meeting.decision)
        .bind(meeting.lead.0)
        .bind(meeting.due_at.0)
        .bind(&meeting.actor)
        .bind(meeting.created_at.0)
        .execute(&mut *c)
        .await?;
    });
    let columns = ["meeting_id", "ordinal", "kind", "case_id", "cover_id", "district", "road"];
    let row = |(subject, ordinal): (&Subject, i64)| {
        let (mut case, mut cover, mut place) = (None, None, (None, None));
        match subject {
            Subject::Case(id) => case = Some(id.0),
            Subject::Cover(id) => cover = Some(id.0),
            Subject::Road { district, road } => place = (Some(district.clone()), Some(road.clone())),
        }
        cells![meeting.id.0, ordinal, subject.kind().as_str(), case, cover, place.0, place.1]
    };
    let mut script = Script::new(tx.engine());
    script.add(Sheet::new("meeting_subjects", columns, subjects.iter().zip(1..).map(row)));
    script.execute(tx).await.map(drop)
}

/// `false` when it was revoked before.
pub async fn revoke(tx: &mut Tx, id: MeetingId, revoked: &Revoked) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE meetings SET revoked_at = $2, revoked_by = $3, revoked_why = $4
             WHERE id = $1 AND revoked_at IS NULL",
        )
        .bind(id.0)
        .bind(revoked.at.0)
        .bind(&revoked.by)
        .bind(&revoked.why)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

pub async fn find_meeting(tx: &mut Tx, number: &str) -> Result<Option<Meeting>, StoreError> {
    let row: Option<MeetingRow> = on_db!(tx, |c| {
        let sql = format!("{MEETING} WHERE m.number = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(number).fetch_optional(&mut *c).await?
    });
    Ok(row.map(Meeting::from))
}

/// The last recorded before `before`.
pub async fn list_meetings(
    tx: &mut Tx,
    before: Option<MeetingId>,
    limit: i64,
) -> Result<Vec<Meeting>, StoreError> {
    let rows: Vec<MeetingRow> = on_db!(tx, |c| {
        let sql = format!("{MEETING} WHERE m.id < $1 ORDER BY m.id DESC LIMIT $2");
        let before = before.map_or(Uuid::max(), |id| id.0);
        sqlx::query_as(AssertSqlSafe(sql)).bind(before).bind(limit).fetch_all(&mut *c).await?
    });
    Ok(rows.into_iter().map(Meeting::from).collect())
}

#[derive(FromRow)]
struct SubjectRow {
    kind: String,
    case_id: Option<Uuid>,
    cover_id: Option<Uuid>,
    district: Option<String>,
    road: Option<String>,
}

/// What a meeting decided about, in its order.
pub async fn list_subjects(tx: &mut Tx, id: MeetingId) -> Result<Vec<Subject>, StoreError> {
    let rows: Vec<SubjectRow> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT kind, case_id, cover_id, district, road FROM meeting_subjects WHERE meeting_id = $1 ORDER BY ordinal"
    )
    .bind(id.0)
    .fetch_all(&mut *c)
    .await?
    });
    rows.into_iter()
        .map(|row| {
            let broken = || StoreError::inconsistent("meeting_subjects", "kind", id);
            let subject = match row.kind.parse::<SubjectKind>().map_err(|_| broken())? {
                SubjectKind::Case => row.case_id.map(|case| Subject::Case(CaseId(case))),
                SubjectKind::Cover => row.cover_id.map(|cover| Subject::Cover(CoverId(cover))),
                SubjectKind::Road => {
                    row.district.zip(row.road).map(|(district, road)| Subject::Road { district, road })
                }
            };
            subject.ok_or_else(broken)
        })
        .collect()
}

/// A cover or a road with its cases of some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotSpot {
    pub place: HotPlace,
    pub district: String,
    pub road: Option<String>,
    pub cases: i64,
    /// How often something that was there before came again on the same cover.
    pub repeats: i64,
    pub open: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HotPlace {
    Cover(ComponentCode),
    Road,
}

#[derive(FromRow)]
struct HotRow {
    scheme: Option<String>,
    code: Option<String>,
    district: String,
    road: Option<String>,
    cases: i64,
    repeats: i64,
    open: i64,
}

/// Cases since then by cover and hazard; those that turned out to be none or the same as another are left out.
const BY_COVER: &str = "FROM (SELECT k.cover_id, k.hazard, COUNT(*) AS n, COUNT(*) - 1 AS again,
    COUNT(CASE WHEN k.state <> 'closed' THEN 1 END) AS still
    FROM cases k WHERE k.cover_id IS NOT NULL AND k.state NOT IN ('rejected', 'joined') AND k.created_at >= $1
    GROUP BY k.cover_id, k.hazard) g JOIN covers c ON c.id = g.cover_id JOIN manholes h ON h.id = c.manhole_id ";
const SUMS: &str = "CAST(SUM(g.n) AS BIGINT) AS cases, CAST(SUM(g.again) AS BIGINT) AS repeats,
    CAST(SUM(g.still) AS BIGINT) AS open ";
const MOST_FIRST: &str = "HAVING SUM(g.n) > 1 ORDER BY SUM(g.n) DESC, SUM(g.again) DESC, ";

/// The covers, then the roads, with more than one case since then; so many of each, the most first.
pub async fn list_hot_spots(tx: &mut Tx, since: Millis, limit: i64) -> Result<Vec<HotSpot>, StoreError> {
    let covers = format!(
        "SELECT c.scheme, c.code, h.district, h.road, {SUMS} {BY_COVER}
         GROUP BY c.scheme, c.code, h.district, h.road {MOST_FIRST} c.code LIMIT $2"
    );
    let roads = format!(
        "SELECT NULL AS scheme, NULL AS code, h.district, h.road, {SUMS} {BY_COVER} WHERE h.road IS NOT NULL
         GROUP BY h.district, h.road {MOST_FIRST} h.road LIMIT $2"
    );
    let mut found = Vec::new();
    for sql in [covers, roads] {
        let rows: Vec<HotRow> = on_db!(tx, |c| sqlx::query_as(AssertSqlSafe(sql))
            .bind(since.0)
            .bind(limit)
            .fetch_all(&mut *c)
            .await?);
        found.extend(rows.into_iter().map(|row| HotSpot {
            place: match row.scheme.zip(row.code) {
                Some((scheme, digits)) => HotPlace::Cover(ComponentCode { scheme, digits }),
                None => HotPlace::Road,
            },
            district: row.district,
            road: row.road,
            cases: row.cases,
            repeats: row.repeats,
            open: row.open,
        }));
    }
    Ok(found)
}

/// A case that is held up as an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemplary {
    pub case: CaseId,
    pub quarter: Quarter,
    /// Why.
    pub sentence: String,
    pub actor: String,
    pub marked_at: Millis,
}

#[derive(FromRow)]
struct ExemplaryRow {
    case_id: Uuid,
    year: i64,
    quarter: i64,
    sentence: String,
    actor: String,
    marked_at: i64,
}

impl TryFrom<ExemplaryRow> for Exemplary {
    type Error = StoreError;
    fn try_from(row: ExemplaryRow) -> Result<Self, StoreError> {
        let broken = |_| StoreError::inconsistent("exemplary_cases", "quarter", row.case_id);
        Ok(Self {
            quarter: Quarter {
                year: row.year.try_into().map_err(broken)?,
                quarter: row.quarter.try_into().map_err(broken)?,
            },
            case: CaseId(row.case_id),
            sentence: row.sentence,
            actor: row.actor,
            marked_at: Millis(row.marked_at),
        })
    }
}

/// Marks a case, in place of an earlier mark.
pub async fn put_exemplary(tx: &mut Tx, mark: &Exemplary) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO exemplary_cases (case_id, year, quarter, sentence, actor, marked_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (case_id) DO UPDATE SET year = excluded.year, quarter = excluded.quarter,
                sentence = excluded.sentence, actor = excluded.actor, marked_at = excluded.marked_at",
        )
        .bind(mark.case.0)
        .bind(i64::from(mark.quarter.year))
        .bind(i64::from(mark.quarter.quarter))
        .bind(&mark.sentence)
        .bind(&mark.actor)
        .bind(mark.marked_at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// `false` when it was not marked.
pub async fn remove_exemplary(tx: &mut Tx, case: CaseId) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query("DELETE FROM exemplary_cases WHERE case_id = $1")
            .bind(case.0)
            .execute(&mut *c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// The examples of a quarter in the order in which they were marked.
pub async fn list_exemplary(tx: &mut Tx, quarter: Quarter) -> Result<Vec<Exemplary>, StoreError> {
    let rows: Vec<ExemplaryRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT case_id, year, quarter, sentence, actor, marked_at FROM exemplary_cases
         WHERE year = $1 AND quarter = $2 ORDER BY marked_at, case_id"
    )
    .bind(i64::from(quarter.year))
    .bind(i64::from(quarter.quarter))
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter().map(Exemplary::try_from).collect()
}
