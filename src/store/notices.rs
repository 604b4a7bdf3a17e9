//! 督办单: notices, to whom they go, their cases and what was said of them.

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder};
use uuid::Uuid;

use super::cases::case_sheet;
use super::reports::report_sheet;
use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::case::{Case, CaseState, Report};
use crate::domain::code::ComponentCode;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis, NoticeId, PartyId};
use crate::domain::notice::{NoticeNumber, NoticeStanding, NoticeState};

/// One notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub id: NoticeId,
    /// `None` until it is issued.
    pub number: Option<NoticeNumber>,
    pub title: String,
    /// What is asked for.
    pub body: String,
    pub state: NoticeState,
    pub due_at: Millis,
    pub created_by: String,
    pub created_at: Millis,
    pub issued_by: Option<String>,
    pub issued_at: Option<Millis>,
    pub withdrawn_at: Option<Millis>,
    pub withdrawn_why: Option<String>,
    /// The last reminder, in percent of the time; 0 = none yet.
    pub reminded: i64,
    pub version: i64,
}

impl Notice {
    /// How its address names it: by its number, a draft by its id.
    pub fn reference(&self) -> String {
        self.number.map_or_else(|| self.id.to_string(), |number| number.to_string())
    }
}

#[derive(FromRow)]
struct NoticeRow {
    id: Uuid,
    year: Option<i64>,
    issue: Option<i64>,
    title: String,
    body: String,
    state: String,
    due_at: i64,
    created_by: String,
    created_at: i64,
    issued_by: Option<String>,
    issued_at: Option<i64>,
    withdrawn_at: Option<i64>,
    withdrawn_why: Option<String>,
    reminded: i64,
    version: i64,
}

impl TryFrom<NoticeRow> for Notice {
    type Error = StoreError;
    fn try_from(row: NoticeRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("notices", column, row.id);
        let number = match (row.year, row.issue) {
            (Some(year), Some(issue)) => {
                Some(NoticeNumber { year: year.try_into().map_err(|_| broken("year"))?, issue })
            }
            _ => None,
        };
        Ok(Self {
            state: row.state.parse().map_err(|_| broken("state"))?,
            id: NoticeId(row.id),
            number,
            title: row.title,
            body: row.body,
            due_at: Millis(row.due_at),
            created_by: row.created_by,
            created_at: Millis(row.created_at),
            issued_by: row.issued_by,
            issued_at: row.issued_at.map(Millis),
            withdrawn_at: row.withdrawn_at.map(Millis),
            withdrawn_why: row.withdrawn_why,
            reminded: row.reminded,
            version: row.version,
        })
    }
}

const COLUMNS: &str =
    "n.id, n.year, n.issue, n.title, n.body, n.state, n.due_at, n.created_by, n.created_at, n.issued_by,
    n.issued_at, n.withdrawn_at, n.withdrawn_why, n.reminded, n.version";

/// The states of a case in which nobody has to act any more, as `CaseState::is_open` has it.
const OVER: &str = "('closed', 'rejected', 'joined')";

pub async fn add_notice(tx: &mut Tx, notice: &Notice) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO notices (id, year, issue, title, body, state, due_at, created_by, created_at, issued_by,
             issued_at, withdrawn_at, withdrawn_why, reminded, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(notice.id.0)
        .bind(notice.number.map(|number| i64::from(number.year)))
        .bind(notice.number.map(|number| number.issue))
        .bind(&notice.title)
        .bind(&notice.body)
        .bind(notice.state.as_str())
        .bind(notice.due_at.0)
        .bind(&notice.created_by)
        .bind(notice.created_at.0)
        .bind(&notice.issued_by)
        .bind(notice.issued_at.map(|at| at.0))
        .bind(notice.withdrawn_at.map(|at| at.0))
        .bind(&notice.withdrawn_why)
        .bind(notice.reminded)
        .bind(notice.version)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Writes a notice after a step; `false` when somebody was faster. What it was reminded at has its own way.
pub async fn update_notice(tx: &mut Tx, notice: &Notice) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE notices SET year = $3, issue = $4, title = $5, body = $6, state = $7, due_at = $8, issued_by = $9,
             issued_at = $10, withdrawn_at = $11, withdrawn_why = $12, version = version + 1
             WHERE id = $1 AND version = $2",
        )
        .bind(notice.id.0)
        .bind(notice.version)
        .bind(notice.number.map(|number| i64::from(number.year)))
        .bind(notice.number.map(|number| number.issue))
        .bind(&notice.title)
        .bind(&notice.body)
        .bind(notice.state.as_str())
        .bind(notice.due_at.0)
        .bind(&notice.issued_by)
        .bind(notice.issued_at.map(|at| at.0))
        .bind(notice.withdrawn_at.map(|at| at.0))
        .bind(&notice.withdrawn_why)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

pub async fn find_notice(tx: &mut Tx, id: NoticeId) -> Result<Option<Notice>, StoreError> {
    let row: Option<NoticeRow> = on_db!(tx, |c| {
        let sql = format!("SELECT {COLUMNS} FROM notices n WHERE n.id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(Notice::try_from).transpose()
}

pub async fn find_by_number(tx: &mut Tx, number: NoticeNumber) -> Result<Option<Notice>, StoreError> {
    let row: Option<NoticeRow> = on_db!(tx, |c| {
        let sql = format!("SELECT {COLUMNS} FROM notices n WHERE n.year = $1 AND n.issue = $2");
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(i64::from(number.year))
            .bind(number.issue)
            .fetch_optional(&mut *c)
            .await?
    });
    row.map(Notice::try_from).transpose()
}

/// Takes it until the commit.
pub async fn lock_notice(tx: &mut Tx, id: NoticeId) -> Result<Option<Notice>, StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE notices SET version = version WHERE id = $1").bind(id.0).execute(&mut *c).await?;
    });
    find_notice(tx, id).await
}

/// A notice with how its cases stand; of a party alone where one is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeLine {
    pub notice: Notice,
    pub items: i64,
    /// Closed.
    pub struck_off: i64,
    /// Somebody has still to act.
    pub open: i64,
    /// Of which an addressee has said something.
    pub answered: i64,
    pub parties: i64,
    /// Addressees that have said that they have it.
    pub confirmed: i64,
}

#[derive(FromRow)]
struct LineRow {
    #[sqlx(flatten)]
    notice: NoticeRow,
    items: i64,
    struck_off: i64,
    open: i64,
    answered: i64,
    parties: i64,
    confirmed: i64,
}

/// Which notices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoticeFilter {
    pub year: Option<i32>,
    pub standing: Option<NoticeStanding>,
    /// Addressed to it; counts are of its cases then.
    pub party: Option<PartyId>,
    /// Only those that were issued.
    pub issued_only: bool,
    /// The last one of the page before: its number, or its id where it has none.
    pub before: Option<(Option<NoticeNumber>, NoticeId)>,
    pub limit: i64,
}

/// One page, drafts first and then by number, newest first.
pub async fn list_notices(
    tx: &mut Tx,
    filter: &NoticeFilter,
    now: Millis,
) -> Result<Vec<NoticeLine>, StoreError> {
    let rows: Vec<LineRow> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(format!("SELECT {COLUMNS}"));
        let of_items = [
            ("items", "1 = 1".to_owned()),
            ("struck_off", "k.state = 'closed'".to_owned()),
            ("open", format!("k.state NOT IN {OVER}")),
            ("answered", "i.feedback_at IS NOT NULL".to_owned()),
        ];
        for (name, condition) in of_items {
            query.push(
                ", (SELECT COUNT(*) FROM notice_items i JOIN cases k ON k.id = i.case_id WHERE i.notice_id = n.id AND ",
            );
            query.push(condition);
            if let Some(party) = filter.party {
                query.push(" AND i.party_id = ").push_bind(party.0);
            }
            query.push(") AS ").push(name);
        }
        for (name, condition) in [("parties", "1 = 1"), ("confirmed", "a.confirmed_at IS NOT NULL")] {
            query
                .push(", (SELECT COUNT(*) FROM notice_parties a WHERE a.notice_id = n.id AND ")
                .push(condition);
            if let Some(party) = filter.party {
                query.push(" AND a.party_id = ").push_bind(party.0);
            }
            query.push(") AS ").push(name);
        }
        query.push(" FROM notices n WHERE 1 = 1");
        if let Some(year) = filter.year {
            query.push(" AND n.year = ").push_bind(i64::from(year));
        }
        if filter.issued_only {
            query.push(" AND n.issue IS NOT NULL");
        }
        if let Some(party) = filter.party {
            query.push(
                " AND EXISTS (SELECT 1 FROM notice_parties a WHERE a.notice_id = n.id AND a.party_id = ",
            );
            query.push_bind(party.0).push(")");
        }
        if let Some(standing) = filter.standing {
            let open = |query: &mut QueryBuilder<_>, not: &str| {
                query.push(format!(
                    " AND n.state = 'issued' AND {not} EXISTS (SELECT 1 FROM notice_items i JOIN cases k ON k.id = i.case_id
                     WHERE i.notice_id = n.id AND k.state NOT IN {OVER}"
                ));
                if let Some(party) = filter.party {
                    query.push(" AND i.party_id = ").push_bind(party.0);
                }
                query.push(")");
            };
            match standing {
                NoticeStanding::Draft | NoticeStanding::Withdrawn => {
                    query.push(" AND n.state = ").push_bind(standing.as_str());
                }
                NoticeStanding::Settled => open(&mut query, "NOT"),
                NoticeStanding::Running => {
                    open(&mut query, "");
                    query.push(" AND n.due_at > ").push_bind(now.0);
                }
                NoticeStanding::Overdue => {
                    open(&mut query, "");
                    query.push(" AND n.due_at <= ").push_bind(now.0);
                }
            }
        }
        if let Some((number, id)) = filter.before {
            let (year, issue) = number.map_or((9999, 0), |number| (i64::from(number.year), number.issue));
            let id = if number.is_some() { Uuid::nil() } else { id.0 };
            query.push(" AND (COALESCE(n.year, 9999), COALESCE(n.issue, 0), n.id) < (");
            query.push_bind(year).push(", ").push_bind(issue).push(", ").push_bind(id).push(")");
        }
        query.push(" ORDER BY COALESCE(n.year, 9999) DESC, COALESCE(n.issue, 0) DESC, n.id DESC LIMIT ");
        query.push_bind(filter.limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            Ok(NoticeLine {
                notice: row.notice.try_into()?,
                items: row.items,
                struck_off: row.struck_off,
                open: row.open,
                answered: row.answered,
                parties: row.parties,
                confirmed: row.confirmed,
            })
        })
        .collect()
}

/// What a year comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct NoticeYear {
    pub year: i64,
    pub notices: i64,
    /// A case counts once for each notice on which it stands.
    pub items: i64,
    pub struck_off: i64,
}

impl NoticeYear {
    /// All of them together; its year is the first one.
    pub fn sum(years: &[NoticeYear]) -> Self {
        let mut sum = Self { year: years.first().map_or(0, |one| one.year), ..Self::default() };
        for one in years {
            sum.notices += one.notices;
            sum.items += one.items;
            sum.struck_off += one.struck_off;
        }
        sum
    }
}

/// Notices that were issued and stand, by year; of a party alone where one is named.
pub async fn count_years(tx: &mut Tx, party: Option<PartyId>) -> Result<Vec<NoticeYear>, StoreError> {
    on_db!(tx, |c| {
        let mut query = QueryBuilder::new(
            "SELECT n.year, COUNT(DISTINCT n.id) AS notices, COUNT(*) AS items,
             COUNT(CASE WHEN k.state = 'closed' THEN 1 END) AS struck_off
             FROM notices n JOIN notice_items i ON i.notice_id = n.id JOIN cases k ON k.id = i.case_id
             WHERE n.state = 'issued' AND n.year IS NOT NULL",
        );
        if let Some(party) = party {
            query.push(" AND i.party_id = ").push_bind(party.0);
        }
        query.push(" GROUP BY n.year ORDER BY n.year");
        Ok(query.build_query_as().fetch_all(&mut *c).await?)
    })
}

/// What a party has not done in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueParty {
    pub party: PartyId,
    pub name: String,
    pub notices: i64,
    pub items: i64,
    /// The day that has passed for longest.
    pub oldest_due_at: Millis,
}

/// Parties with open cases on notices whose time is over, the most first.
pub async fn list_overdue(
    tx: &mut Tx,
    party: Option<PartyId>,
    now: Millis,
) -> Result<Vec<OverdueParty>, StoreError> {
    let rows: Vec<(Uuid, String, i64, i64, i64)> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(format!(
            "SELECT i.party_id, p.name, COUNT(DISTINCT n.id), COUNT(*), MIN(n.due_at)
             FROM notices n JOIN notice_items i ON i.notice_id = n.id JOIN cases k ON k.id = i.case_id
             JOIN parties p ON p.id = i.party_id
             WHERE n.state = 'issued' AND k.state NOT IN {OVER} AND n.due_at <= "
        ));
        query.push_bind(now.0);
        if let Some(party) = party {
            query.push(" AND i.party_id = ").push_bind(party.0);
        }
        query.push(" GROUP BY i.party_id, p.name ORDER BY COUNT(*) DESC, p.name");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    let row = |(party, name, notices, items, due): (Uuid, String, i64, i64, i64)| OverdueParty {
        party: PartyId(party),
        name,
        notices,
        items,
        oldest_due_at: Millis(due),
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Notices with open cases that were not reminded of for the last time, as they stand.
pub async fn list_to_remind(tx: &mut Tx) -> Result<Vec<Notice>, StoreError> {
    let rows: Vec<NoticeRow> = on_db!(tx, |c| {
        let sql = format!(
            "SELECT {COLUMNS} FROM notices n WHERE n.state = 'issued' AND n.reminded < 100 AND EXISTS (
             SELECT 1 FROM notice_items i JOIN cases k ON k.id = i.case_id
             WHERE i.notice_id = n.id AND k.state NOT IN {OVER}) ORDER BY n.due_at, n.id"
        );
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Notice::try_from).collect()
}

/// Says that a notice was reminded of; `false` when it had been, or no longer stands.
pub async fn set_reminded(tx: &mut Tx, id: NoticeId, level: i64) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE notices SET reminded = $2 WHERE id = $1 AND reminded < $2 AND state = 'issued'",
        )
        .bind(id.0)
        .bind(level)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// An addressee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    pub party: PartyId,
    pub name: String,
    /// Since when it has the notice by its own word.
    pub confirmed_at: Option<Millis>,
    pub confirmed_by: Option<String>,
}

pub async fn list_addressees(tx: &mut Tx, id: NoticeId) -> Result<Vec<Addressee>, StoreError> {
    let rows: Vec<(Uuid, String, Option<i64>, Option<String>)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT a.party_id, p.name, a.confirmed_at, a.confirmed_by FROM notice_parties a
         JOIN parties p ON p.id = a.party_id WHERE a.notice_id = $1 ORDER BY p.name, p.id"
    )
    .bind(id.0)
    .fetch_all(&mut *c)
    .await?);
    let row = |(party, name, at, by): (Uuid, String, Option<i64>, Option<String>)| Addressee {
        party: PartyId(party),
        name,
        confirmed_at: at.map(Millis),
        confirmed_by: by,
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Says that a party has the notice; `false` when it has said so or is no addressee.
pub async fn confirm(
    tx: &mut Tx,
    (id, party): (NoticeId, PartyId),
    (by, at): (&str, Millis),
) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE notice_parties SET confirmed_at = $3, confirmed_by = $4
             WHERE notice_id = $1 AND party_id = $2 AND confirmed_at IS NULL",
        )
        .bind(id.0)
        .bind(party.0)
        .bind(at.0)
        .bind(by)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// A case of a notice, as it is put on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewItem {
    pub case: CaseId,
    pub party: PartyId,
}

/// Puts these cases on a notice in the place of what stood there, and names their parties as its addressees.
pub async fn put_items(tx: &mut Tx, id: NoticeId, items: &[NewItem]) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM notice_items WHERE notice_id = $1").bind(id.0).execute(&mut *c).await?;
        sqlx::query("DELETE FROM notice_parties WHERE notice_id = $1").bind(id.0).execute(&mut *c).await?;
    });
    let mut script = Script::new(tx.engine());
    add_items(&mut script, id, items, None);
    script.execute(tx).await.map(drop)
}

/// `confirmed`: who said when for every addressee that it has the notice.
pub(super) fn add_items(
    script: &mut Script,
    id: NoticeId,
    items: &[NewItem],
    confirmed: Option<(&str, Millis)>,
) {
    let mut parties: Vec<PartyId> = items.iter().map(|item| item.party).collect();
    parties.sort();
    parties.dedup();
    let columns = ["notice_id", "party_id", "confirmed_at", "confirmed_by"];
    let (by, at) = (confirmed.map(|(by, _)| by), confirmed.map(|(_, at)| at.0));
    let row = |party: &PartyId| cells![id.0, party.0, at, by];
    script.add(Sheet::new("notice_parties", columns, parties.iter().map(row)));
    let columns = ["notice_id", "ordinal", "case_id", "party_id"];
    let row = |(item, ordinal): (&NewItem, i64)| cells![id.0, ordinal, item.case.0, item.party.0];
    script.add(Sheet::new("notice_items", columns, items.iter().zip(1..).map(row)));
}

/// A case of a notice with what the notice shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeItem {
    pub case: CaseId,
    pub party: PartyId,
    pub number: String,
    pub hazard: Hazard,
    pub state: CaseState,
    pub closed_at: Option<Millis>,
    pub manhole: ManholeId,
    pub cover: Option<CoverId>,
    pub code: Option<ComponentCode>,
    pub district: String,
    pub road: Option<String>,
    pub address: Option<String>,
    /// What the addressee said last, when, and who.
    pub feedback: Option<Feedback>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    pub text: String,
    pub at: Millis,
    pub by: String,
}

#[derive(FromRow)]
struct ItemRow {
    case_id: Uuid,
    party_id: Uuid,
    number: String,
    hazard: String,
    state: String,
    closed_at: Option<i64>,
    manhole_id: Uuid,
    cover_id: Option<Uuid>,
    scheme: Option<String>,
    code: Option<String>,
    district: String,
    road: Option<String>,
    address: Option<String>,
    feedback: Option<String>,
    feedback_at: Option<i64>,
    feedback_by: Option<String>,
}

/// The cases of a notice in their order; of a party alone where one is named.
pub async fn list_items(
    tx: &mut Tx,
    id: NoticeId,
    party: Option<PartyId>,
) -> Result<Vec<NoticeItem>, StoreError> {
    let rows: Vec<ItemRow> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(
            "SELECT i.case_id, i.party_id, k.number, k.hazard, k.state, k.closed_at, k.manhole_id, k.cover_id, c.scheme,
             c.code, k.district, h.road, h.address, i.feedback, i.feedback_at, i.feedback_by
             FROM notice_items i JOIN cases k ON k.id = i.case_id JOIN manholes h ON h.id = k.manhole_id
             LEFT JOIN covers c ON c.id = k.cover_id WHERE i.notice_id = ",
        );
        query.push_bind(id.0);
        if let Some(party) = party {
            query.push(" AND i.party_id = ").push_bind(party.0);
        }
        query.push(" ORDER BY i.ordinal");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            let broken = |column| StoreError::inconsistent("cases", column, row.case_id);
            let feedback = row.feedback.zip(row.feedback_at).zip(row.feedback_by);
            Ok(NoticeItem {
                hazard: row.hazard.parse().map_err(|_| broken("hazard"))?,
                state: row.state.parse().map_err(|_| broken("state"))?,
                case: CaseId(row.case_id),
                party: PartyId(row.party_id),
                number: row.number,
                closed_at: row.closed_at.map(Millis),
                manhole: ManholeId(row.manhole_id),
                cover: row.cover_id.map(CoverId),
                code: row.scheme.zip(row.code).map(|(scheme, digits)| ComponentCode { scheme, digits }),
                district: row.district,
                road: row.road,
                address: row.address,
                feedback: feedback.map(|((text, at), by)| Feedback { text, at: Millis(at), by }),
            })
        })
        .collect()
}

/// Keeps what an addressee says of a case, in place of what it said before.
pub async fn put_feedback(
    tx: &mut Tx,
    (id, case): (NoticeId, CaseId),
    feedback: &Feedback,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE notice_items SET feedback = $3, feedback_at = $4, feedback_by = $5
             WHERE notice_id = $1 AND case_id = $2",
        )
        .bind(id.0)
        .bind(case.0)
        .bind(&feedback.text)
        .bind(feedback.at.0)
        .bind(&feedback.by)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Notices that stand and on which these cases are: case, number of the notice.
pub async fn list_notices_of(
    tx: &mut Tx,
    cases: &[CaseId],
) -> Result<Vec<(CaseId, NoticeNumber)>, StoreError> {
    let mut found = Vec::new();
    for chunk in cases.chunks(500) {
        let rows: Vec<(Uuid, i64, i64)> = on_db!(tx, |c| {
            let mut query = QueryBuilder::new(
                "SELECT i.case_id, n.year, n.issue FROM notice_items i JOIN notices n ON n.id = i.notice_id
                 WHERE n.state = 'issued' AND i.case_id IN (",
            );
            let mut list = query.separated(", ");
            for case in chunk {
                list.push_bind(case.0);
            }
            query.push(") ORDER BY n.year, n.issue");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        for (case, year, issue) in rows {
            let broken = |_| StoreError::inconsistent("notices", "year", case);
            let number = NoticeNumber { year: year.try_into().map_err(broken)?, issue };
            found.push((CaseId(case), number));
        }
    }
    Ok(found)
}

/// A notice of an earlier ledger with everything that comes with it.
#[derive(Debug, Clone)]
pub struct TakenOver {
    pub notice: Notice,
    pub items: Vec<NewItem>,
    /// With the district in which each manhole lies.
    pub cases: Vec<(Case, String)>,
    /// With the language in which they were written.
    pub reports: Vec<(Report, &'static str)>,
}

/// Writes it all; every addressee has had the notice since it was issued.
pub async fn take_over(tx: &mut Tx, taken: &TakenOver) -> Result<(), StoreError> {
    let notice = &taken.notice;
    add_notice(tx, notice).await?;
    let mut script = Script::new(tx.engine());
    script.add(case_sheet(&taken.cases));
    const CLOSE: &str = "UPDATE cases SET closed_at = given.closed_at FROM given WHERE cases.id = given.id";
    let closed = taken.cases.iter().filter_map(|(case, _)| Some((case.id.0, case.closed_at?.0)));
    script.add(Sheet::changing(CLOSE, ["id", "closed_at"], closed.map(|(id, at)| cells![id, at])));
    script.add(report_sheet(&taken.reports));
    let since = notice.issued_at.unwrap_or(notice.created_at);
    add_items(&mut script, notice.id, &taken.items, Some((&notice.created_by, since)));
    script.execute(tx).await.map(drop)
}
