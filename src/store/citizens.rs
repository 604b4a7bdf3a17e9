//! Words, marks, call-backs and taps of citizens, and who follows what.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::citizen::{CallBack, CitizenWord, Follower, Rating, ReleasedPhoto};
use crate::domain::ids::{
    CallBackId, CaseId, CoverId, FollowerId, IdempotencyKey, Millis, PhotoId, ReportId, WordId,
};

#[derive(FromRow)]
struct WordRow {
    id: Uuid,
    report_id: Uuid,
    voice: String,
    text: String,
    actor: String,
    created_at: i64,
    answered_at: Option<i64>,
}

impl TryFrom<WordRow> for CitizenWord {
    type Error = StoreError;
    fn try_from(row: WordRow) -> Result<Self, StoreError> {
        Ok(Self {
            voice: row
                .voice
                .parse()
                .map_err(|_| StoreError::inconsistent("citizen_words", "voice", row.id))?,
            id: WordId(row.id),
            report: ReportId(row.report_id),
            text: row.text,
            actor: row.actor,
            created_at: Millis(row.created_at),
            answered_at: row.answered_at.map(Millis),
        })
    }
}

/// A case with those that were joined to it, by whatever way.
const JOINED: &str = "WITH RECURSIVE joined (id) AS (
        SELECT id FROM cases WHERE id = $1 UNION SELECT k.id FROM cases k JOIN joined j ON k.joined_to = j.id) ";

pub async fn add_word(tx: &mut Tx, word: &CitizenWord) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO citizen_words (id, report_id, voice, text, actor, created_at, answered_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(word.id.0)
        .bind(word.report.0)
        .bind(word.voice.as_str())
        .bind(&word.text)
        .bind(&word.actor)
        .bind(word.created_at.0)
        .bind(word.answered_at.map(|at| at.0))
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// What one voice said and nobody answered is answered now; answers how many words those are.
pub async fn answer_words(tx: &mut Tx, report: ReportId, voice: &str, at: Millis) -> Result<u64, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE citizen_words SET answered_at = $3 WHERE report_id = $1 AND voice = $2 AND answered_at IS NULL",
        )
        .bind(report.0)
        .bind(voice)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected())
    })
}

/// Words of one report, oldest first.
pub async fn list_report_words(tx: &mut Tx, report: ReportId) -> Result<Vec<CitizenWord>, StoreError> {
    let rows: Vec<WordRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT id, report_id, voice, text, actor, created_at, answered_at FROM citizen_words
             WHERE report_id = $1 ORDER BY created_at, id",
        )
        .bind(report.0)
        .fetch_all(&mut *c)
        .await?
    });
    rows.into_iter().map(CitizenWord::try_from).collect()
}

/// Words of all reports of a case, with their tracking numbers, oldest first.
pub async fn list_case_words(tx: &mut Tx, case: CaseId) -> Result<Vec<(CitizenWord, String)>, StoreError> {
    let rows: Vec<TrackedWordRow> = on_db!(tx, |c| {
        let sql = format!(
            "{JOINED} SELECT w.id, w.report_id, w.voice, w.text, w.actor, w.created_at, w.answered_at, r.tracking
             FROM citizen_words w JOIN reports r ON r.id = w.report_id
             WHERE r.case_id IN (SELECT id FROM joined) ORDER BY w.created_at, w.id"
        );
        sqlx::query_as(AssertSqlSafe(sql)).bind(case.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(|row| Ok((row.word.try_into()?, row.tracking))).collect()
}

#[derive(FromRow)]
struct TrackedWordRow {
    #[sqlx(flatten)]
    word: WordRow,
    tracking: String,
}

/// What citizens wrote and nobody answered, the longest first, with tracking and case number.
pub async fn list_open_words(
    tx: &mut Tx,
    limit: i64,
) -> Result<Vec<(CitizenWord, String, String)>, StoreError> {
    #[derive(FromRow)]
    struct OpenRow {
        #[sqlx(flatten)]
        word: WordRow,
        tracking: String,
        number: String,
    }
    let rows: Vec<OpenRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT w.id, w.report_id, w.voice, w.text, w.actor, w.created_at, w.answered_at, r.tracking, k.number
             FROM citizen_words w JOIN reports r ON r.id = w.report_id JOIN cases k ON k.id = r.case_id
             WHERE w.answered_at IS NULL AND w.voice = 'citizen' ORDER BY w.created_at, w.id LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *c)
        .await?
    });
    rows.into_iter().map(|row| Ok((row.word.try_into()?, row.tracking, row.number))).collect()
}

/// In which language whoever reported is answered.
pub async fn find_language(tx: &mut Tx, report: ReportId) -> Result<String, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar("SELECT language FROM reports WHERE id = $1")
        .bind(report.0)
        .fetch_one(&mut *c)
        .await?))
}

/// How to reach whoever reported, where they had not said it.
pub async fn set_contact(tx: &mut Tx, report: ReportId, contact: &str) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE reports SET contact = $2 WHERE id = $1")
            .bind(report.0)
            .bind(contact)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

#[derive(FromRow)]
struct ReleasedRow {
    photo_id: Uuid,
    boxes: String,
    actor: String,
    released_at: i64,
}

/// Photos of a manhole that the public may see.
pub async fn list_released(tx: &mut Tx, photos: &[PhotoId]) -> Result<Vec<ReleasedPhoto>, StoreError> {
    if photos.is_empty() {
        return Ok(Vec::new());
    }
    let mut released = Vec::new();
    for some in photos.chunks(500) {
        let rows: Vec<ReleasedRow> = on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new(
                "SELECT photo_id, boxes, actor, released_at FROM released_photos WHERE photo_id IN (",
            );
            let mut list = query.separated(", ");
            some.iter().for_each(|photo| {
                list.push_bind(photo.0);
            });
            query.push(")");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        for row in rows {
            released.push(ReleasedPhoto {
                boxes: serde_json::from_str(&row.boxes)
                    .map_err(|_| StoreError::inconsistent("released_photos", "boxes", row.photo_id))?,
                photo: PhotoId(row.photo_id),
                actor: row.actor,
                released_at: Millis(row.released_at),
            });
        }
    }
    Ok(released)
}

/// Releases a photo, or releases it anew with other boxes.
pub async fn put_released(tx: &mut Tx, released: &ReleasedPhoto) -> Result<(), StoreError> {
    let boxes = serde_json::to_string(&released.boxes).expect("boxes are numbers");
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO released_photos (photo_id, boxes, actor, released_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (photo_id) DO UPDATE SET boxes = excluded.boxes, actor = excluded.actor,
                released_at = excluded.released_at",
        )
        .bind(released.photo.0)
        .bind(&boxes)
        .bind(&released.actor)
        .bind(released.released_at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn remove_released(tx: &mut Tx, photo: PhotoId) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query("DELETE FROM released_photos WHERE photo_id = $1")
            .bind(photo.0)
            .execute(&mut *c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}

#[derive(FromRow)]
struct RatingRow {
    report_id: Uuid,
    score: i64,
    text: String,
    again_id: Option<Uuid>,
    rated_at: i64,
    changed_at: i64,
}

impl From<RatingRow> for Rating {
    fn from(row: RatingRow) -> Self {
        Self {
            report: ReportId(row.report_id),
            score: row.score,
            text: row.text,
            again: row.again_id.map(ReportId),
            rated_at: Millis(row.rated_at),
            changed_at: Millis(row.changed_at),
        }
    }
}

pub async fn find_rating(tx: &mut Tx, report: ReportId) -> Result<Option<Rating>, StoreError> {
    let row: Option<RatingRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT report_id, score, text, again_id, rated_at, changed_at FROM ratings WHERE report_id = $1",
        )
        .bind(report.0)
        .fetch_optional(&mut *c)
        .await?
    });
    Ok(row.map(Rating::from))
}

/// Ratings of all reports of a case, with their tracking numbers.
pub async fn list_case_ratings(tx: &mut Tx, case: CaseId) -> Result<Vec<(Rating, String)>, StoreError> {
    #[derive(FromRow)]
    struct TrackedRow {
        #[sqlx(flatten)]
        rating: RatingRow,
        tracking: String,
    }
    let rows: Vec<TrackedRow> = on_db!(tx, |c| {
        let sql = format!(
            "{JOINED} SELECT m.report_id, m.score, m.text, m.again_id, m.rated_at, m.changed_at, r.tracking
             FROM ratings m JOIN reports r ON r.id = m.report_id
             WHERE r.case_id IN (SELECT id FROM joined) ORDER BY m.rated_at, m.report_id"
        );
        sqlx::query_as(AssertSqlSafe(sql)).bind(case.0).fetch_all(&mut *c).await?
    });
    Ok(rows.into_iter().map(|row| (row.rating.into(), row.tracking)).collect())
}

pub async fn put_rating(tx: &mut Tx, rating: &Rating) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO ratings (report_id, score, text, again_id, rated_at, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (report_id) DO UPDATE SET score = excluded.score, text = excluded.text,
                again_id = excluded.again_id, changed_at = excluded.changed_at",
        )
        .bind(rating.report.0)
        .bind(rating.score)
        .bind(&rating.text)
        .bind(rating.again.map(|report| report.0))
        .bind(rating.rated_at.0)
        .bind(rating.changed_at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

#[derive(FromRow)]
struct CallBackRow {
    id: Uuid,
    report_id: Uuid,
    asked_at: i64,
    outcome: Option<String>,
    done_by: Option<String>,
    done_at: Option<i64>,
}

impl From<CallBackRow> for CallBack {
    fn from(row: CallBackRow) -> Self {
        Self {
            id: CallBackId(row.id),
            report: ReportId(row.report_id),
            asked_at: Millis(row.asked_at),
            outcome: row.outcome,
            done_by: row.done_by,
            done_at: row.done_at.map(Millis),
        }
    }
}

/// A call-back with what whoever calls must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallBackLine {
    pub call_back: CallBack,
    pub tracking: String,
    pub case: CaseId,
    pub case_number: String,
    pub contact: Option<String>,
    pub score: Option<i64>,
    pub text: Option<String>,
}

#[derive(FromRow)]
struct CallBackLineRow {
    #[sqlx(flatten)]
    call_back: CallBackRow,
    tracking: String,
    case_id: Uuid,
    number: String,
    contact: Option<String>,
    score: Option<i64>,
    text: Option<String>,
}

impl From<CallBackLineRow> for CallBackLine {
    fn from(row: CallBackLineRow) -> Self {
        Self {
            call_back: row.call_back.into(),
            tracking: row.tracking,
            case: CaseId(row.case_id),
            case_number: row.number,
            contact: row.contact,
            score: row.score,
            text: row.text,
        }
    }
}

const CALL_BACK: &str =
    "SELECT b.id, b.report_id, b.asked_at, b.outcome, b.done_by, b.done_at, r.tracking, r.case_id,
    k.number, r.contact, m.score, m.text FROM call_backs b JOIN reports r ON r.id = b.report_id
    JOIN cases k ON k.id = r.case_id LEFT JOIN ratings m ON m.report_id = b.report_id ";

/// One open call-back a report; `false` when there is one.
pub async fn add_call_back(tx: &mut Tx, call_back: &CallBack) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "INSERT INTO call_backs (id, report_id, asked_at) VALUES ($1, $2, $3)
             ON CONFLICT (report_id) WHERE done_at IS NULL DO NOTHING",
        )
        .bind(call_back.id.0)
        .bind(call_back.report.0)
        .bind(call_back.asked_at.0)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// `false` when somebody called already.
pub async fn finish_call_back(
    tx: &mut Tx,
    id: CallBackId,
    (outcome, actor, at): (&str, &str, Millis),
) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE call_backs SET outcome = $2, done_by = $3, done_at = $4 WHERE id = $1 AND done_at IS NULL",
        )
        .bind(id.0)
        .bind(outcome)
        .bind(actor)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

pub async fn find_call_back(tx: &mut Tx, id: CallBackId) -> Result<Option<CallBackLine>, StoreError> {
    let row: Option<CallBackLineRow> = on_db!(tx, |c| {
        let sql = format!("{CALL_BACK} WHERE b.id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    Ok(row.map(CallBackLine::from))
}

/// Those who wait for a call, the longest first.
pub async fn list_open_call_backs(tx: &mut Tx, limit: i64) -> Result<Vec<CallBackLine>, StoreError> {
    let rows: Vec<CallBackLineRow> = on_db!(tx, |c| {
        let sql = format!("{CALL_BACK} WHERE b.done_at IS NULL ORDER BY b.asked_at, b.id LIMIT $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(limit).fetch_all(&mut *c).await?
    });
    Ok(rows.into_iter().map(CallBackLine::from).collect())
}

/// Counts a tap; `false` when it was counted.
pub async fn add_same_here(
    tx: &mut Tx,
    case: CaseId,
    key: IdempotencyKey,
    at: Millis,
) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "INSERT INTO same_here (case_id, key, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(case.0)
        .bind(key.0)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// How many tapped, of a case and those joined to it.
pub async fn count_same_here(tx: &mut Tx, case: CaseId) -> Result<i64, StoreError> {
    on_db!(tx, |c| {
        let sql = format!("{JOINED} SELECT COUNT(*) FROM same_here WHERE case_id IN (SELECT id FROM joined)");
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(case.0).fetch_one(&mut *c).await?)
    })
}

#[derive(FromRow)]
struct FollowerRow {
    id: Uuid,
    report_id: Option<Uuid>,
    cover_id: Option<Uuid>,
    channel: String,
    address: String,
    language: String,
    created_at: i64,
    confirmed_at: Option<i64>,
}

impl TryFrom<FollowerRow> for Follower {
    type Error = StoreError;
    fn try_from(row: FollowerRow) -> Result<Self, StoreError> {
        Ok(Self {
            channel: row
                .channel
                .parse()
                .map_err(|_| StoreError::inconsistent("followers", "channel", row.id))?,
            id: FollowerId(row.id),
            report: row.report_id.map(ReportId),
            cover: row.cover_id.map(CoverId),
            address: row.address,
            language: row.language,
            created_at: Millis(row.created_at),
            confirmed_at: row.confirmed_at.map(Millis),
        })
    }
}

const FOLLOWER: &str = "SELECT f.id, f.report_id, f.cover_id, f.channel, f.address, f.language, f.created_at,
    f.confirmed_at FROM followers f ";

/// `false` when this address follows the same already.
pub async fn add_follower(tx: &mut Tx, follower: &Follower) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "INSERT INTO followers (id, report_id, cover_id, channel, address, language, created_at, confirmed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(follower.id.0)
        .bind(follower.report.map(|report| report.0))
        .bind(follower.cover.map(|cover| cover.0))
        .bind(follower.channel.as_str())
        .bind(&follower.address)
        .bind(&follower.language)
        .bind(follower.created_at.0)
        .bind(follower.confirmed_at.map(|at| at.0))
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

pub async fn find_follower(tx: &mut Tx, id: FollowerId) -> Result<Option<Follower>, StoreError> {
    let row: Option<FollowerRow> = on_db!(tx, |c| {
        let sql = format!("{FOLLOWER} WHERE f.id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(Follower::try_from).transpose()
}

/// `false` when that was done before.
pub async fn confirm_follower(tx: &mut Tx, id: FollowerId, at: Millis) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done =
            sqlx::query("UPDATE followers SET confirmed_at = $2 WHERE id = $1 AND confirmed_at IS NULL")
                .bind(id.0)
                .bind(at.0)
                .execute(&mut *c)
                .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Forgets an address and what it was to be told.
pub async fn remove_follower(tx: &mut Tx, id: FollowerId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        for statement in
            ["DELETE FROM citizen_messages WHERE follower_id = $1", "DELETE FROM followers WHERE id = $1"]
        {
            sqlx::query(statement).bind(id.0).execute(&mut *c).await?;
        }
        Ok(())
    })
}

/// Who asked to be told by an address and never said that it is theirs.
pub async fn list_unconfirmed_before(
    tx: &mut Tx,
    before: Millis,
    limit: i64,
) -> Result<Vec<FollowerId>, StoreError> {
    let ids: Vec<Uuid> = on_db!(tx, |c| {
        sqlx::query_scalar("SELECT id FROM followers WHERE confirmed_at IS NULL AND created_at < $1 LIMIT $2")
            .bind(before.0)
            .bind(limit)
            .fetch_all(&mut *c)
            .await?
    });
    Ok(ids.into_iter().map(FollowerId).collect())
}

/// How many questions whether it is meant wait at an address.
pub async fn count_unconfirmed(tx: &mut Tx, address: &str) -> Result<i64, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar(
        "SELECT COUNT(*) FROM followers WHERE address = $1 AND confirmed_at IS NULL"
    )
    .bind(address)
    .fetch_one(&mut *c)
    .await?))
}

/// Confirmed followers of one report.
pub async fn list_report_followers(tx: &mut Tx, report: ReportId) -> Result<Vec<Follower>, StoreError> {
    let rows: Vec<FollowerRow> = on_db!(tx, |c| {
        let sql = format!("{FOLLOWER} WHERE f.report_id = $1 AND f.confirmed_at IS NOT NULL ORDER BY f.id");
        sqlx::query_as(AssertSqlSafe(sql)).bind(report.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Follower::try_from).collect()
}

/// Confirmed followers of a case: of its reports, of those of cases joined to it, and of its cover.
pub async fn list_case_followers(tx: &mut Tx, case: CaseId) -> Result<Vec<Follower>, StoreError> {
    let rows: Vec<FollowerRow> = on_db!(tx, |c| {
        let sql = format!(
            "{JOINED} {FOLLOWER} WHERE f.confirmed_at IS NOT NULL AND f.id IN (
                SELECT x.id FROM followers x JOIN reports r ON r.id = x.report_id
                WHERE r.case_id IN (SELECT id FROM joined)
                UNION SELECT y.id FROM followers y JOIN cases k ON k.cover_id = y.cover_id WHERE k.id = $1
             ) ORDER BY f.id"
        );
        sqlx::query_as(AssertSqlSafe(sql)).bind(case.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Follower::try_from).collect()
}
