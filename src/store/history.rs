//! Files of manholes: append-only entries and the head of each hash chain.

use uuid::Uuid;

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{EngineKind, StoreError, Tx, on_db};
use crate::domain::history::{EntryHash, HistoryEntry};
use crate::domain::ids::{CaseId, ManholeId, Millis};

/// The end of a file's chain: how many entries and the last hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    pub length: i64,
    pub hash: EntryHash,
}

pub(super) fn to_hash(bytes: Vec<u8>, manhole: Uuid, table: &'static str) -> Result<EntryHash, StoreError> {
    EntryHash::try_from(bytes).map_err(|_| StoreError::inconsistent(table, "hash", manhole))
}

/// A file taken for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    pub head: ChainHead,
    /// Where the manhole lies.
    pub district: String,
}

/// Takes the file for writing until the commit; `None` when there is none.
pub async fn lock_file(tx: &mut Tx, manhole: ManholeId) -> Result<Option<LockedFile>, StoreError> {
    // An update of nothing takes the row lock on PostgreSQL. On SQLite the writer is alone anyway, and it would write
    // the page once more.
    let sql = match tx.engine() {
        EngineKind::Sqlite => "SELECT history_length, history_hash, district FROM manholes WHERE id = $1",
        EngineKind::Postgres => {
            "UPDATE manholes SET history_length = history_length WHERE id = $1
             RETURNING history_length, history_hash, district"
        }
    };
    let row: Option<(i64, Vec<u8>, String)> =
        on_db!(tx, |c| sqlx::query_as(sql).bind(manhole.0).fetch_optional(&mut *c).await?);
    row.map(|(length, hash, district)| {
        let head = ChainHead { length, hash: to_hash(hash, manhole.0, "manholes")? };
        Ok(LockedFile { head, district })
    })
    .transpose()
}

/// Appends entries whose sequence and hash the registry has chained, and moves the heads of their
/// files. The entries of one manhole stand together, in order.
pub async fn append(tx: &mut Tx, entries: &[HistoryEntry]) -> Result<(), StoreError> {
    let mut script = Script::new(tx.engine());
    add_entries(&mut script, entries);
    if script.execute(tx).await? {
        Ok(())
    } else {
        Err(StoreError::inconsistent("manholes", "history_length", "a file that was not taken"))
    }
}

pub(super) fn add_entries(script: &mut Script, entries: &[HistoryEntry]) {
    let columns = ["manhole_id", "sequence", "at", "actor", "kind", "case_id", "body", "hash"];
    let row = |entry| {
        let entry: &HistoryEntry = entry;
        cells![
            entry.manhole.0,
            entry.sequence,
            entry.at.0,
            entry.actor.as_str(),
            entry.kind.as_str(),
            entry.case.map(|case| case.0),
            entry.body.as_str(),
            entry.hash.as_slice(),
        ]
    };
    script.add(Sheet::new("history", columns, entries.iter().map(row)));
    let heads = entries.chunk_by(|one, next| one.manhole == next.manhole).filter_map(|file| file.last());
    script.add(Sheet::changing(
        "UPDATE manholes SET history_length = given.length, history_hash = given.hash
         FROM given WHERE manholes.id = given.id",
        ["id", "length", "hash"],
        heads.map(|last| cells![last.manhole.0, last.sequence, last.hash.as_slice()]),
    ));
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

/// What was reported and moved of several cases, oldest first.
pub async fn list_moves_of(tx: &mut Tx, cases: &[CaseId]) -> Result<Vec<HistoryEntry>, StoreError> {
    let rows: Vec<EntryRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT manhole_id, sequence, at, actor, kind, case_id, body, hash FROM history
             WHERE kind IN ('reported', 'case_moved') AND case_id IN (",
        );
        let mut list = query.separated(", ");
        cases.iter().for_each(|case| {
            list.push_bind(case.0);
        });
        query.push(") ORDER BY at, sequence");
        query.build_query_as().fetch_all(&mut *c).await?
    });
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
