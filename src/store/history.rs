//! Files of manholes: append-only entries and the head of each hash chain.

use std::collections::HashMap;

use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::history::{EntryHash, HistoryEntry};
use crate::domain::ids::{CaseId, ManholeId, Millis};

/// The end of a file's chain: how many entries and the last hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    pub length: i64,
    pub hash: EntryHash,
}

fn to_hash(bytes: Vec<u8>, manhole: Uuid, table: &'static str) -> Result<EntryHash, StoreError> {
    EntryHash::try_from(bytes).map_err(|_| StoreError::inconsistent(table, "hash", manhole))
}

/// Rows a statement.
const ROWS: usize = 500;

/// A file taken for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    pub head: ChainHead,
    /// Where the manhole lies.
    pub district: String,
}

/// Takes files for writing until the commit; what does not exist is left out.
pub async fn lock_files(
    tx: &mut Tx,
    manholes: &[ManholeId],
) -> Result<HashMap<ManholeId, LockedFile>, StoreError> {
    let mut files = HashMap::with_capacity(manholes.len());
    for chunk in manholes.chunks(ROWS) {
        // An update of nothing takes the row locks on PostgreSQL; on SQLite the writer is alone anyway.
        let rows: Vec<(Uuid, i64, Vec<u8>, String)> = on_db!(tx, |c| {
            let mut query =
                sqlx::QueryBuilder::new("UPDATE manholes SET history_length = history_length WHERE id IN (");
            let mut list = query.separated(", ");
            for manhole in chunk {
                list.push_bind(manhole.0);
            }
            query.push(") RETURNING id, history_length, history_hash, district");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        for (id, length, hash, district) in rows {
            let head = ChainHead { length, hash: to_hash(hash, id, "manholes")? };
            files.insert(ManholeId(id), LockedFile { head, district });
        }
    }
    Ok(files)
}

/// Appends entries whose sequence and hash the registry has chained, and moves the heads of their
/// files. The entries of one manhole stand together, in order.
pub async fn append(tx: &mut Tx, entries: &[HistoryEntry]) -> Result<(), StoreError> {
    for chunk in entries.chunks(ROWS) {
        on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new(
                "INSERT INTO history (manhole_id, sequence, at, actor, kind, case_id, body, hash) ",
            );
            query.push_values(chunk, |mut row, entry| {
                row.push_bind(entry.manhole.0)
                    .push_bind(entry.sequence)
                    .push_bind(entry.at.0)
                    .push_bind(entry.actor.as_str())
                    .push_bind(entry.kind.as_str())
                    .push_bind(entry.case.map(|case| case.0))
                    .push_bind(entry.body.as_str())
                    .push_bind(entry.hash.as_slice());
            });
            query.build().execute(&mut *c).await?;
        });
    }
    let heads: Vec<&HistoryEntry> =
        entries.chunk_by(|one, next| one.manhole == next.manhole).filter_map(|file| file.last()).collect();
    for chunk in heads.chunks(ROWS) {
        on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new("WITH moved (id, length, hash) AS (");
            query.push_values(chunk, |mut row, last| {
                row.push_bind(last.manhole.0).push_bind(last.sequence).push_bind(last.hash.as_slice());
            });
            query.push(
                ") UPDATE manholes SET history_length = moved.length, history_hash = moved.hash
                 FROM moved WHERE manholes.id = moved.id",
            );
            query.build().execute(&mut *c).await?;
        });
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    manhole_id: Uuid,
    sequence: i64,
    at: i64,
    actor: String,
    kind: String,
    case_id: Option<Uuid>,
    body: String,
    hash: Vec<u8>,
}

impl TryFrom<EntryRow> for HistoryEntry {
    type Error = StoreError;
    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        Ok(Self {
            manhole: ManholeId(row.manhole_id),
            sequence: row.sequence,
            at: Millis(row.at),
            actor: row.actor,
            kind: row
                .kind
                .parse()
                .map_err(|_| StoreError::inconsistent("history", "kind", row.manhole_id))?,
            case: row.case_id.map(CaseId),
            body: row.body,
            hash: to_hash(row.hash, row.manhole_id, "history")?,
        })
    }
}

/// The whole file, oldest first.
pub async fn list_entries(tx: &mut Tx, manhole: ManholeId) -> Result<Vec<HistoryEntry>, StoreError> {
    let rows: Vec<EntryRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT manhole_id, sequence, at, actor, kind, case_id, body, hash FROM history
         WHERE manhole_id = $1 ORDER BY sequence"
    )
    .bind(manhole.0)
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter().map(HistoryEntry::try_from).collect()
}

/// The entries of one case, oldest first.
pub async fn list_case_entries(tx: &mut Tx, case: CaseId) -> Result<Vec<HistoryEntry>, StoreError> {
    let rows: Vec<EntryRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT manhole_id, sequence, at, actor, kind, case_id, body, hash FROM history
         WHERE case_id = $1 ORDER BY at, sequence"
    )
    .bind(case.0)
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter().map(HistoryEntry::try_from).collect()
}

/// Entries in file order after `(manhole, sequence)`, for a check of every chain.
pub async fn list_entries_after(
    tx: &mut Tx,
    after: (Uuid, i64),
    limit: i64,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let rows: Vec<EntryRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT manhole_id, sequence, at, actor, kind, case_id, body, hash FROM history
         WHERE (manhole_id, sequence) > ($1, $2) ORDER BY manhole_id, sequence LIMIT $3"
    )
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter().map(HistoryEntry::try_from).collect()
}

/// The head of a file without taking it.
pub async fn find_head(tx: &mut Tx, manhole: ManholeId) -> Result<Option<ChainHead>, StoreError> {
    let row: Option<(i64, Vec<u8>)> =
        on_db!(tx, |c| sqlx::query_as("SELECT history_length, history_hash FROM manholes WHERE id = $1")
            .bind(manhole.0)
            .fetch_optional(&mut *c)
            .await?);
    row.map(|(length, hash)| Ok(ChainHead { length, hash: to_hash(hash, manhole.0, "manholes")? }))
        .transpose()
}
