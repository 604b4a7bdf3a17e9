//! From where reports came, cases that wait for a look, what photos look like, and blocked senders.

use sqlx::FromRow;
use uuid::Uuid;

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::abuse::{Block, Doubt, OriginKind, doubts_of, doubts_text, look_alike, quarters};
use crate::domain::ids::{BlockId, CaseId, ManholeId, Millis, PhotoId, ReportId};

/// Of the case `k`: it waits for a look before the public sees it.
pub(super) const HELD: &str = "(k.state = 'reported' AND EXISTS
    (SELECT 1 FROM case_holds q WHERE q.case_id = k.id AND q.ended_at IS NULL))";

/// Where a report came from: digests, of which nobody learns an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRecord {
    pub report: ReportId,
    pub device: Option<[u8; 32]>,
    pub network: [u8; 32],
    /// Sent by a browser in which somebody of staff is logged in.
    pub by_staff: bool,
    pub doubts: Vec<Doubt>,
}

/// What the photos of a report look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotoLook {
    pub photo: PhotoId,
    pub look: i64,
}

/// What comes with reports that nobody signed for.
#[derive(Debug, Default)]
pub struct Watched {
    pub origins: Vec<OriginRecord>,
    pub looks: Vec<PhotoLook>,
    pub held: Vec<(CaseId, Vec<Doubt>)>,
    /// Cases whose hold ends because somebody without a doubt says the same.
    pub confirmed: Vec<CaseId>,
}

/// By whom a hold ended that a second report ended, or time.
pub const BY_SYSTEM: &str = "system";

/// Adds it to what a group of reports writes.
pub(super) fn add_watched(script: &mut Script, watched: &Watched, at: Millis) {
    let doubts: Vec<String> = watched.origins.iter().map(|origin| doubts_text(&origin.doubts)).collect();
    script.add(Sheet::new(
        "report_origins",
        ["report_id", "device", "network", "by_staff", "doubts", "created_at"],
        watched.origins.iter().zip(&doubts).map(|(origin, doubts)| {
            let device = origin.device.as_ref().map(|device| device.as_slice());
            let network = origin.network.as_slice();
            cells![origin.report.0, device, network, origin.by_staff, doubts.as_str(), at.0]
        }),
    ));
    script.add(Sheet::new(
        "photo_looks",
        ["photo_id", "look", "quarter_0", "quarter_1", "quarter_2", "quarter_3", "created_at"],
        watched.looks.iter().map(|PhotoLook { photo, look }| {
            let [first, second, third, fourth] = quarters(*look);
            cells![photo.0, *look, first, second, third, fourth, at.0]
        }),
    ));
    script.add(Sheet::new(
        "case_holds",
        ["case_id", "doubts", "held_at"],
        watched.held.iter().map(|(case, doubts)| cells![case.0, doubts_text(doubts), at.0]),
    ));
    script.add(Sheet::changing(
        "UPDATE case_holds SET ended_at = given.at, ended_by = given.actor FROM given
         WHERE case_holds.case_id = given.id",
        ["id", "at", "actor"],
        watched.confirmed.iter().map(|case| cells![case.0, at.0, BY_SYSTEM]),
    ));
}

/// Whether one of these photos, or one that looks like it, was sent since of another place.
pub async fn is_photo_seen(
    tx: &mut Tx,
    photos: &[([u8; 32], Option<i64>)],
    (here, since): (ManholeId, Millis),
) -> Result<bool, StoreError> {
    for (digest, look) in photos {
        let same: Option<(i64,)> = on_db!(tx, |c| {
            sqlx::query_as(
                "SELECT created_at FROM photos WHERE digest = $1 AND manhole_id <> $2 AND report_id IS NOT NULL
                 AND created_at >= $3 LIMIT 1",
            )
            .bind(digest.as_slice())
            .bind(here.0)
            .bind(since.0)
            .fetch_optional(&mut *c)
            .await?
        });
        if same.is_some() {
            return Ok(true);
        }
        let Some(look) = *look else { continue };
        let [first, second, third, fourth] = quarters(look);
        let near: Vec<(i64,)> = on_db!(tx, |c| {
            sqlx::query_as(
                "SELECT l.look FROM (SELECT photo_id, look FROM photo_looks WHERE quarter_0 = $1 AND created_at >= $6
                 UNION SELECT photo_id, look FROM photo_looks WHERE quarter_1 = $2 AND created_at >= $6
                 UNION SELECT photo_id, look FROM photo_looks WHERE quarter_2 = $3 AND created_at >= $6
                 UNION SELECT photo_id, look FROM photo_looks WHERE quarter_3 = $4 AND created_at >= $6) AS l
                 JOIN photos p ON p.id = l.photo_id WHERE p.manhole_id <> $5",
            )
            .bind(first)
            .bind(second)
            .bind(third)
            .bind(fourth)
            .bind(here.0)
            .bind(since.0)
            .fetch_all(&mut *c)
            .await?
        });
        if near.iter().any(|(other,)| look_alike(look, *other)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Why a case waits for a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub doubts: Vec<Doubt>,
    pub held_at: Millis,
    pub ended_at: Option<Millis>,
}

pub async fn find_hold(tx: &mut Tx, case: CaseId) -> Result<Option<Hold>, StoreError> {
    let row: Option<(String, i64, Option<i64>)> = on_db!(tx, |c| {
        sqlx::query_as("SELECT doubts, held_at, ended_at FROM case_holds WHERE case_id = $1")
            .bind(case.0)
            .fetch_optional(&mut *c)
            .await?
    });
    let Some((doubts, held_at, ended_at)) = row else { return Ok(None) };
    let doubts = doubts_of(&doubts).ok_or_else(|| StoreError::inconsistent("case_holds", "doubts", case))?;
    Ok(Some(Hold { doubts, held_at: Millis(held_at), ended_at: ended_at.map(Millis) }))
}

/// Ends the hold of a case; `false` when it is not held.
pub async fn end_hold(tx: &mut Tx, case: CaseId, by: &str, at: Millis) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE case_holds SET ended_at = $2, ended_by = $3 WHERE case_id = $1 AND ended_at IS NULL",
        )
        .bind(case.0)
        .bind(at.0)
        .bind(by)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Numbers of cases that were held before `until` and still are, the oldest first.
pub async fn list_held_before(tx: &mut Tx, until: Millis, limit: i64) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT k.number FROM case_holds q JOIN cases k ON k.id = q.case_id
             WHERE q.ended_at IS NULL AND q.held_at < $1 ORDER BY q.held_at LIMIT $2",
        )
        .bind(until.0)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?
    });
    Ok(rows.into_iter().map(|(number,)| number).collect())
}

/// How many cases wait for a look.
pub async fn count_held(tx: &mut Tx) -> Result<i64, StoreError> {
    let (count,): (i64,) = on_db!(tx, |c| {
        sqlx::query_as("SELECT COUNT(*) FROM case_holds WHERE ended_at IS NULL").fetch_one(&mut *c).await?
    });
    Ok(count)
}

/// How often a sender was heard, and how often in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderCount {
    pub reports: i64,
    /// Of these, in cases that were not taken.
    pub rejected: i64,
}

/// A report with where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOrigin {
    pub report: ReportId,
    pub tracking: String,
    pub doubts: Vec<Doubt>,
    pub by_staff: bool,
    /// `None` where the browser kept no cookie.
    pub device: Option<SenderCount>,
    pub network: SenderCount,
}

#[derive(FromRow)]
struct OriginRow {
    report_id: Uuid,
    tracking: String,
    device: Option<Vec<u8>>,
    by_staff: bool,
    doubts: String,
    device_reports: i64,
    device_rejected: i64,
    network_reports: i64,
    network_rejected: i64,
}

/// Where the reports of a case came from, as long as it is kept.
pub async fn list_origins(tx: &mut Tx, case: CaseId) -> Result<Vec<ReportOrigin>, StoreError> {
    const COUNT: &str = "(SELECT COUNT(*) FROM report_origins x WHERE x.";
    const REJECTED: &str = "(SELECT COUNT(*) FROM report_origins x JOIN reports y ON y.id = x.report_id
        JOIN cases z ON z.id = y.case_id WHERE z.state = 'rejected' AND x.";
    let rows: Vec<OriginRow> = on_db!(tx, |c| {
        let sql = format!(
            "SELECT o.report_id, r.tracking, o.device, o.by_staff, o.doubts,
             {COUNT}device = o.device) AS device_reports, {REJECTED}device = o.device) AS device_rejected,
             {COUNT}network = o.network) AS network_reports, {REJECTED}network = o.network) AS network_rejected
             FROM reports r JOIN report_origins o ON o.report_id = r.id WHERE r.case_id = $1
             ORDER BY r.tracking LIMIT 100"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(case.0).fetch_all(&mut *c).await?
    });
    let read = |row: OriginRow| {
        let broken = || StoreError::inconsistent("report_origins", "doubts", row.report_id);
        let device = SenderCount { reports: row.device_reports, rejected: row.device_rejected };
        Ok(ReportOrigin {
            report: ReportId(row.report_id),
            tracking: row.tracking,
            doubts: doubts_of(&row.doubts).ok_or_else(broken)?,
            by_staff: row.by_staff,
            device: row.device.map(|_| device),
            network: SenderCount { reports: row.network_reports, rejected: row.network_rejected },
        })
    };
    rows.into_iter().map(read).collect()
}

/// The digest by which the sender of a report is known; `None` when that is no longer, or never was, kept.
pub async fn find_origin(
    tx: &mut Tx,
    tracking: &str,
    kind: OriginKind,
) -> Result<Option<[u8; 32]>, StoreError> {
    let row: Option<(Option<Vec<u8>>, Vec<u8>)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT o.device, o.network FROM reports r JOIN report_origins o ON o.report_id = r.id
             WHERE r.tracking = $1",
        )
        .bind(tracking)
        .fetch_optional(&mut *c)
        .await?
    });
    let Some((device, network)) = row else { return Ok(None) };
    let digest = match kind {
        OriginKind::Device => device,
        OriginKind::Network => Some(network),
    };
    let broken = |_| StoreError::inconsistent("report_origins", "network", tracking);
    digest.map(|digest| digest.try_into().map_err(broken)).transpose()
}

/// Forgets from where reports came, and what photos looked like, before these moments.
pub async fn forget(tx: &mut Tx, origins: Millis, looks: Millis) -> Result<u64, StoreError> {
    on_db!(tx, |c| {
        let mut gone = 0;
        for (sql, before) in [
            ("DELETE FROM report_origins WHERE created_at < $1", origins),
            ("DELETE FROM photo_looks WHERE created_at < $1", looks),
            ("DELETE FROM blocks WHERE until < $1", origins),
        ] {
            gone += sqlx::query(sql).bind(before.0).execute(&mut *c).await?.rows_affected();
        }
        Ok(gone)
    })
}

#[derive(FromRow)]
struct BlockRow {
    id: Uuid,
    kind: String,
    reason: String,
    tracking: String,
    until: i64,
    actor: String,
    created_at: i64,
    lifted_at: Option<i64>,
}

impl TryFrom<BlockRow> for Block {
    type Error = StoreError;
    fn try_from(row: BlockRow) -> Result<Self, StoreError> {
        Ok(Self {
            kind: row.kind.parse().map_err(|_| StoreError::inconsistent("blocks", "kind", row.id))?,
            id: BlockId(row.id),
            reason: row.reason,
            tracking: row.tracking,
            until: Millis(row.until),
            actor: row.actor,
            created_at: Millis(row.created_at),
            lifted_at: row.lifted_at.map(Millis),
        })
    }
}

pub async fn add_block(tx: &mut Tx, block: &Block, origin: &[u8; 32]) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO blocks (id, kind, origin, reason, tracking, until, actor, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(block.id.0)
        .bind(block.kind.as_str())
        .bind(origin.as_slice())
        .bind(&block.reason)
        .bind(&block.tracking)
        .bind(block.until.0)
        .bind(&block.actor)
        .bind(block.created_at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// `false` when it was lifted before; `None` when there is no such block.
pub async fn lift_block(
    tx: &mut Tx,
    id: BlockId,
    (by, at): (&str, Millis),
) -> Result<Option<bool>, StoreError> {
    on_db!(tx, |c| {
        let known: Option<(i64,)> = sqlx::query_as("SELECT until FROM blocks WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&mut *c)
            .await?;
        if known.is_none() {
            return Ok(None);
        }
        let done = sqlx::query(
            "UPDATE blocks SET lifted_at = $2, lifted_by = $3 WHERE id = $1 AND lifted_at IS NULL",
        )
        .bind(id.0)
        .bind(at.0)
        .bind(by)
        .execute(&mut *c)
        .await?;
        Ok(Some(done.rows_affected() == 1))
    })
}

/// The newest first.
pub async fn list_blocks(tx: &mut Tx, limit: i64) -> Result<Vec<Block>, StoreError> {
    let rows: Vec<BlockRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT id, kind, reason, tracking, until, actor, created_at, lifted_at FROM blocks
             ORDER BY created_at DESC, id DESC LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *c)
        .await?
    });
    rows.into_iter().map(Block::try_from).collect()
}

/// The senders that are blocked now.
pub async fn list_blocked(tx: &mut Tx, now: Millis) -> Result<Vec<Vec<u8>>, StoreError> {
    let rows: Vec<(Vec<u8>,)> = on_db!(tx, |c| {
        sqlx::query_as("SELECT origin FROM blocks WHERE lifted_at IS NULL AND until > $1")
            .bind(now.0)
            .fetch_all(&mut *c)
            .await?
    });
    Ok(rows.into_iter().map(|(origin,)| origin).collect())
}
