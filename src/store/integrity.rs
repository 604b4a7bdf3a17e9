//! Questions that only `lidmark check` asks: rows that point nowhere, batches that are not whole.

use sqlx::FromRow;
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::notice::NoticeNumber;

/// A count of rows that must be none, with what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphans {
    /// Stable word for the kind of orphan.
    pub what: &'static str,
    pub count: i64,
}

const ORPHANS: &[(&str, &str)] = &[
    (
        "manhole_without_cover",
        // Somebody may have reported a place at which no cover is known yet.
        "SELECT COUNT(*) FROM manholes h WHERE h.merged_into IS NULL
         AND NOT EXISTS (SELECT 1 FROM covers c WHERE c.manhole_id = h.id)
         AND NOT EXISTS (SELECT 1 FROM cases k WHERE k.manhole_id = h.id)",
    ),
    (
        "cover_without_manhole",
        "SELECT COUNT(*) FROM covers c WHERE NOT EXISTS (SELECT 1 FROM manholes h WHERE h.id = c.manhole_id)",
    ),
    (
        "file_without_history",
        "SELECT COUNT(*) FROM manholes h WHERE NOT EXISTS (SELECT 1 FROM history e WHERE e.manhole_id = h.id)",
    ),
    (
        "history_without_manhole",
        "SELECT COUNT(*) FROM history e WHERE NOT EXISTS (SELECT 1 FROM manholes h WHERE h.id = e.manhole_id)",
    ),
    (
        "batch_not_whole",
        "SELECT COUNT(*) FROM plate_batches b WHERE b.state = 'released' AND b.plate_count <> (SELECT COUNT(*) FROM plates p WHERE p.batch_id = b.id)",
    ),
    (
        "plate_beyond_its_order",
        "SELECT COUNT(*) FROM plates p JOIN plate_batches b ON b.id = p.batch_id
         WHERE b.state = 'under_way' AND p.ordinal > b.lines_done",
    ),
    (
        "holder_without_issue",
        "SELECT COUNT(*) FROM plates p WHERE p.holder IS NOT NULL AND p.state <> 'issued'",
    ),
    (
        "plate_without_batch",
        "SELECT COUNT(*) FROM plates p WHERE NOT EXISTS (SELECT 1 FROM plate_batches b WHERE b.id = p.batch_id)",
    ),
    (
        "case_without_report",
        "SELECT COUNT(*) FROM cases k WHERE NOT EXISTS (SELECT 1 FROM reports r WHERE r.case_id = k.id)",
    ),
    (
        "case_miscounts_reports",
        "SELECT COUNT(*) FROM cases k WHERE k.report_count <> (SELECT COUNT(*) FROM reports r WHERE r.case_id = k.id)",
    ),
    (
        "letter_without_event",
        "SELECT COUNT(*) FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE o.sequence = d.sequence)",
    ),
    (
        "open311_word_without_request",
        "SELECT COUNT(*) FROM open311_requests o WHERE (o.kind = 'word') <> (o.follows IS NOT NULL)",
    ),
    (
        "open311_request_goes_nowhere",
        "SELECT COUNT(*) FROM open311_requests o WHERE o.case_id IS NOT NULL AND NOT EXISTS
         (SELECT 1 FROM open311_requests q JOIN reports r ON r.id = q.report_id
          WHERE q.follows = o.report_id AND r.case_id = o.case_id)",
    ),
    (
        "notice_without_case",
        "SELECT COUNT(*) FROM notices n WHERE NOT EXISTS (SELECT 1 FROM notice_items i WHERE i.notice_id = n.id)",
    ),
    (
        "notice_without_number",
        "SELECT COUNT(*) FROM notices WHERE state = 'issued' AND (year IS NULL OR issue IS NULL OR issued_at IS NULL)
         OR state = 'draft' AND issue IS NOT NULL",
    ),
    (
        "notice_case_without_addressee",
        "SELECT COUNT(*) FROM notice_items i WHERE NOT EXISTS (SELECT 1 FROM notice_parties a
         WHERE a.notice_id = i.notice_id AND a.party_id = i.party_id)",
    ),
    (
        "meeting_without_subject",
        "SELECT COUNT(*) FROM meetings m WHERE NOT EXISTS (SELECT 1 FROM meeting_subjects s WHERE s.meeting_id = m.id)",
    ),
    (
        "user_area_without_area",
        "SELECT COUNT(*) FROM user_areas u WHERE u.ended_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM areas a WHERE a.kind = u.kind AND a.code = u.code)
         AND NOT (u.kind = 'district' AND EXISTS (SELECT 1 FROM districts d WHERE d.code = u.code))",
    ),
    (
        "report_without_case",
        "SELECT COUNT(*) FROM reports r WHERE NOT EXISTS (SELECT 1 FROM cases k WHERE k.id = r.case_id)",
    ),
    (
        "case_without_history",
        "SELECT COUNT(*) FROM cases k WHERE NOT EXISTS (SELECT 1 FROM history e WHERE e.case_id = k.id)",
    ),
    (
        "photo_without_case",
        "SELECT COUNT(*) FROM photos f WHERE f.case_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM cases k WHERE k.id = f.case_id)",
    ),
    (
        "cover_on_merged_manhole",
        "SELECT COUNT(*) FROM covers c JOIN manholes h ON h.id = c.manhole_id WHERE h.merged_into IS NOT NULL",
    ),
    (
        "merge_without_record",
        "SELECT COUNT(*) FROM manholes h WHERE h.merged_into IS NOT NULL AND NOT EXISTS (SELECT 1 FROM merges m
         WHERE m.absorbed_id = h.id AND m.survivor_id = h.merged_into AND m.undone_at IS NULL)",
    ),
    (
        "merge_not_in_force",
        "SELECT COUNT(*) FROM merges m WHERE m.undone_at IS NULL AND NOT EXISTS (SELECT 1 FROM manholes h
         WHERE h.id = m.absorbed_id AND h.merged_into = m.survivor_id)",
    ),
    (
        "merged_file_goes_on",
        "SELECT COUNT(*) FROM manholes h WHERE h.merged_into IS NOT NULL AND NOT EXISTS (SELECT 1 FROM history e
         WHERE e.manhole_id = h.id AND e.sequence = h.history_length AND e.kind = 'merged_away')",
    ),
    (
        "code_given_twice",
        "SELECT COUNT(*) FROM code_aliases a JOIN covers c ON c.code = a.code AND c.scheme = a.scheme",
    ),
    (
        "alias_without_cover",
        "SELECT COUNT(*) FROM code_aliases a WHERE NOT EXISTS (SELECT 1 FROM covers c WHERE c.id = a.cover_id)",
    ),
    (
        "retired_without_reason",
        "SELECT COUNT(*) FROM covers c WHERE (c.retired_at IS NULL) <> (c.retired_reason IS NULL)",
    ),
    (
        "successor_of_cover_in_use",
        "SELECT COUNT(*) FROM covers c WHERE c.successor_id IS NOT NULL AND (c.retired_at IS NULL OR c.successor_id = c.id)",
    ),
    (
        "open_case_on_retired_cover",
        "SELECT COUNT(*) FROM cases k JOIN covers c ON c.id = k.cover_id
         WHERE c.retired_at IS NOT NULL AND k.state NOT IN ('closed', 'rejected', 'joined')",
    ),
    (
        "live_plate_on_retired_cover",
        "SELECT COUNT(*) FROM plates p JOIN covers c ON c.id = p.cover_id
         WHERE c.retired_at IS NOT NULL AND p.state NOT IN ('replaced', 'revoked')",
    ),
    (
        "plate_on_other_manhole",
        "SELECT COUNT(*) FROM plates p JOIN covers c ON c.id = p.cover_id WHERE p.manhole_id <> c.manhole_id",
    ),
    (
        "case_on_other_manhole",
        "SELECT COUNT(*) FROM cases k JOIN covers c ON c.id = k.cover_id WHERE k.manhole_id <> c.manhole_id",
    ),
    (
        "photo_on_other_manhole",
        "SELECT COUNT(*) FROM photos f JOIN covers c ON c.id = f.cover_id WHERE f.manhole_id <> c.manhole_id",
    ),
    (
        "case_in_other_district",
        "SELECT COUNT(*) FROM cases k JOIN manholes h ON h.id = k.manhole_id WHERE k.district <> h.district
         AND k.state NOT IN ('closed', 'rejected', 'joined')",
    ),
    (
        "bulk_edit_miscounts",
        "SELECT COUNT(*) FROM bulk_edits b WHERE b.state <> 'previewing' AND b.matched <> b.unchanged +
         (SELECT COUNT(*) FROM bulk_edit_rows r WHERE r.edit_id = b.id)",
    ),
    (
        "bulk_edit_not_whole",
        "SELECT COUNT(*) FROM bulk_edits b JOIN bulk_edit_rows r ON r.edit_id = b.id
         WHERE (b.state IN ('applied', 'undoing', 'undone') AND r.state = 'waiting')
         OR (b.state = 'undone' AND r.state = 'applied')",
    ),
    (
        "claim_without_outcome",
        "SELECT COUNT(*) FROM claims k WHERE (k.outcome_id IS NULL) = (k.state IN ('awarded', 'fell_back'))",
    ),
    (
        "claim_miscounts_claimants",
        "SELECT COUNT(*) FROM claims k WHERE k.claimants <> (SELECT COUNT(*) FROM claim_answers a
         WHERE a.notice = k.notice AND a.cover_id = k.cover_id AND a.answer = 'claimed')",
    ),
    (
        "claim_of_no_notice",
        "SELECT COUNT(*) FROM claims k WHERE NOT EXISTS (SELECT 1 FROM claim_notices n WHERE n.number = k.notice)",
    ),
    (
        "told_apart_wrong_way",
        "SELECT COUNT(*) FROM told_apart t WHERE t.older_id >= t.newer_id",
    ),
    (
        "task_done_by_nobody",
        "SELECT COUNT(*) FROM tasks t WHERE (t.state = 'done') <> (t.done_at IS NOT NULL AND t.done_by IS NOT NULL
         AND t.result IS NOT NULL) AND t.state <> 'withdrawn'",
    ),
    (
        "task_without_case",
        "SELECT COUNT(*) FROM tasks t WHERE (t.kind = 'look_back') <> (t.case_id IS NOT NULL)",
    ),
    (
        "task_without_campaign",
        // 天气: bad weather sends crews without a campaign, and somebody may make one of it.
        "SELECT COUNT(*) FROM tasks t
         WHERE t.kind <> 'weather' AND (t.kind IN ('campaign', 'patrol')) <> (t.campaign_id IS NOT NULL)",
    ),
    (
        "trouble_without_case",
        "SELECT COUNT(*) FROM tasks t WHERE t.result IN ('hazard', 'recurred') AND t.raised_case_id IS NULL",
    ),
    (
        "task_beyond_its_campaign",
        "SELECT COUNT(*) FROM tasks t JOIN campaigns k ON k.id = t.campaign_id WHERE t.round > k.round",
    ),
    ("key_without_answer", "SELECT COUNT(*) FROM idempotency WHERE answer = ''"),
];

/// Counts every kind of orphan; an empty list means there are none.
pub async fn list_orphans(tx: &mut Tx) -> Result<Vec<Orphans>, StoreError> {
    let mut found = Vec::new();
    for (what, sql) in ORPHANS {
        let count: i64 = on_db!(tx, |c| sqlx::query_scalar(*sql).fetch_one(&mut *c).await?);
        if count > 0 {
            found.push(Orphans { what, count });
        }
    }
    Ok(found)
}

/// The head of a manhole's chain, and where the manhole lies.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Head {
    pub id: Uuid,
    pub history_length: i64,
    pub history_hash: Vec<u8>,
    pub lon: f64,
    pub lat: f64,
    pub quadkey: i64,
    /// Whether it goes on in another manhole's file.
    pub is_merged: bool,
}

/// The chain heads after `after`.
pub async fn list_heads(tx: &mut Tx, after: Uuid, limit: i64) -> Result<Vec<Head>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT id, history_length, history_hash, lon, lat, quadkey, merged_into IS NOT NULL AS is_merged
         FROM manholes WHERE id > $1
         ORDER BY id LIMIT $2"
    )
    .bind(after)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?))
}

/// A cover and its manhole as the tables have them.
#[derive(Debug, FromRow)]
pub struct StandingCover {
    pub cover: Uuid,
    pub manhole: Uuid,
    pub retired_reason: Option<String>,
    pub scheme: String,
    pub code: String,
    pub class: String,
    pub state: String,
    pub district: String,
    pub road: Option<String>,
    pub address: Option<String>,
    pub lon: f64,
    pub lat: f64,
}

/// What a citizen wrote, by tracking number.
#[derive(Debug, FromRow)]
pub struct StandingReport {
    pub tracking: String,
    pub description: String,
}

/// Covers of the manholes after `after` up to `last`.
pub async fn list_standing_covers(
    tx: &mut Tx,
    (after, last): (Uuid, Uuid),
) -> Result<Vec<StandingCover>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_as(
        "SELECT c.id AS cover, h.id AS manhole, c.retired_reason, c.scheme, c.code, c.class, c.state, h.district,
           h.road, h.address, h.lon, h.lat
         FROM manholes h JOIN covers c ON c.manhole_id = h.id WHERE h.id > $1 AND h.id <= $2"
    )
    .bind(after)
    .bind(last)
    .fetch_all(&mut *c)
    .await?)
    })
}

/// Plates on those covers: batch, ordinal, state.
pub async fn list_standing_plates(
    tx: &mut Tx,
    (after, last): (Uuid, Uuid),
) -> Result<Vec<(Uuid, i64, String)>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT p.batch_id, p.ordinal, p.state
         FROM covers c JOIN plates p ON p.cover_id = c.id WHERE c.manhole_id > $1 AND c.manhole_id <= $2"
    )
    .bind(after)
    .bind(last)
    .fetch_all(&mut *c)
    .await?))
}

/// Cases of those manholes: id, number, state.
pub async fn list_standing_cases(
    tx: &mut Tx,
    (after, last): (Uuid, Uuid),
) -> Result<Vec<(Uuid, String, String)>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT id, number, state FROM cases WHERE manhole_id > $1 AND manhole_id <= $2"
    )
    .bind(after)
    .bind(last)
    .fetch_all(&mut *c)
    .await?))
}

/// Covers of those manholes in notices: cover, notice, state.
pub async fn list_standing_claims(
    tx: &mut Tx,
    (after, last): (Uuid, Uuid),
) -> Result<Vec<(Uuid, String, String)>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT k.cover_id, k.notice, k.state FROM covers c JOIN claims k ON k.cover_id = c.id
         WHERE c.manhole_id > $1 AND c.manhole_id <= $2"
    )
    .bind(after)
    .bind(last)
    .fetch_all(&mut *c)
    .await?))
}

/// How a 督办单 stands on which a case is.
pub async fn find_standing_notice(
    tx: &mut Tx,
    case: Uuid,
    number: &str,
) -> Result<Option<String>, StoreError> {
    let Ok(number) = number.parse::<NoticeNumber>() else { return Ok(None) };
    on_db!(tx, |c| Ok(sqlx::query_scalar(
        "SELECT n.state FROM notices n JOIN notice_items i ON i.notice_id = n.id
         WHERE n.year = $1 AND n.issue = $2 AND i.case_id = $3"
    )
    .bind(i64::from(number.year))
    .bind(number.issue)
    .bind(case)
    .fetch_optional(&mut *c)
    .await?))
}

/// Under which cover a sensor is; `None` = there is no such sensor.
pub async fn find_standing_sensor(tx: &mut Tx, serial: &str) -> Result<Option<Option<Uuid>>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar("SELECT cover_id FROM sensors WHERE serial = $1")
        .bind(serial)
        .fetch_optional(&mut *c)
        .await?))
}

/// Reports of the cases of those manholes.
pub async fn list_standing_reports(
    tx: &mut Tx,
    (after, last): (Uuid, Uuid),
) -> Result<Vec<StandingReport>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT r.tracking, r.description FROM cases k JOIN reports r ON r.case_id = k.id
         WHERE k.manhole_id > $1 AND k.manhole_id <= $2"
    )
    .bind(after)
    .bind(last)
    .fetch_all(&mut *c)
    .await?))
}

/// The text that passed between the desk and a citizen.
pub async fn find_standing_word(tx: &mut Tx, word: Uuid) -> Result<Option<String>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar("SELECT text FROM citizen_words WHERE id = $1")
        .bind(word)
        .fetch_optional(&mut *c)
        .await?))
}
