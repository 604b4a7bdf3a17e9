//! Whole files from one registry into another: every row of one moment on the way out; on the way in, all
//! of them in one transaction into a registry that has none, proved like by `lidmark check` before it is
//! committed. Ids, codes, tokens and histories stay what they were, and each file goes on with an entry that
//! says where it came from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::check::check_all;
use super::files::{NewEntry, chained};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::archive::{TABLES, Table, Value, is_numbering};
use crate::domain::history::{EntryHash, HistoryKind};
use crate::domain::ids::{ManholeId, Millis};
use crate::domain::role::Actor;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::ChainHead;
use crate::store::{StoreError, Tx, archive, history, integrity};

/// Rows that are read or written together.
const PAGE: usize = 1000;
/// What is stored where a password was: no password fits it.
const NO_PASSWORD: &str = "!";

/// Rows of a table as lines of JSON.
#[derive(Debug)]
pub struct ArchivePage {
    pub table: &'static str,
    pub count: u64,
    pub lines: Vec<u8>,
    /// SHA-256 of the photos that these rows name.
    pub photos: Vec<[u8; 32]>,
}

/// Where the lines of an archive come from.
pub trait ArchiveSource: Send + Sync {
    /// The lines of a table, some at a time; none for a table that the archive does not have. A refusal
    /// is the last thing that comes.
    fn lines(&self, table: &'static str) -> mpsc::Receiver<Result<Vec<String>, Refusal>>;
}

/// How an archive is taken in.
#[derive(Debug, Clone)]
pub struct ArchiveImport {
    /// What the new entries say of where the files came from.
    pub from: String,
    pub exported_at: Millis,
    /// How many lines of each table there must be.
    pub lines: BTreeMap<String, u64>,
    pub actor: Actor,
    /// Do and prove everything, then take it back.
    pub dry_run: bool,
}

/// Rows by table.
pub type ArchiveCounts = BTreeMap<&'static str, u64>;

impl Registry {
    /// Hands out every row that goes along, each table behind those that its rows name.
    pub async fn export_files(&self, pages: mpsc::Sender<ArchivePage>) -> Result<(), RegistryError> {
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            let mut tx = store.read_frozen().await?;
            let sent = send_tables(&mut tx, &pages).await;
            tx.finish_frozen().await?;
            sent
        });
        task.await.unwrap_or(Err(RegistryError::Broken(StoreError::Stopped)))
    }

    /// Takes an archive into a registry that has no files yet. All of it or nothing: a line that does not
    /// fit, a broken chain or a row that points nowhere leaves the registry as empty as it was.
    pub async fn import_files(
        &self,
        source: Arc<dyn ArchiveSource>,
        import: ArchiveImport,
    ) -> Result<ArchiveCounts, RegistryError> {
        let now = self.now();
        let counts = Arc::new(Mutex::new(ArchiveCounts::new()));
        let (shared, dry_run) = (counts.clone(), import.dry_run);
        let done = self
            .store
            .write::<(), RegistryError, _>(move |tx| {
                let (source, import, shared) = (source.clone(), import.clone(), shared.clone());
                Box::pin(async move {
                    let counted = take_in(tx, source.as_ref(), &import, now).await?;
                    if let Ok(mut counts) = shared.lock() {
                        *counts = counted;
                    }
                    // What fails is taken back.
                    if dry_run { Err(Refusal::new(DRY_RUN).into()) } else { Ok(()) }
                })
            })
            .await;
        match done {
            Err(RegistryError::Refused(refusal)) if dry_run && refusal.code == DRY_RUN => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        let counts = counts.lock().map(|counts| counts.clone());
        counts.map_err(|_| RegistryError::Broken(StoreError::Stopped))
    }
}

const DRY_RUN: &str = "archive.dry_run";

async fn send_tables(tx: &mut Tx, pages: &mpsc::Sender<ArchivePage>) -> Result<(), RegistryError> {
    for table in TABLES {
        let key: Vec<usize> = table.key.iter().filter_map(|name| table.position(name)).collect();
        let digest = table.position("digest").filter(|_| table.name == "photos");
        let mut after = Vec::new();
        loop {
            let mut rows = archive::list_rows(tx, table, &after, PAGE as i64).await?;
            let Some(last) = rows.last() else { break };
            after = key.iter().map(|at| last[*at].clone()).collect();
            if table.name == "counters" {
                rows.retain(|row| matches!(&row[0], Value::Text(name) if is_numbering(name)));
            }
            let mut lines = Vec::with_capacity(rows.len() * 256);
            rows.iter().for_each(|row| table.write_line(row, &mut lines));
            let photo = |row: &Vec<Value>| match &row[digest?] {
                Value::Bytes(bytes) => <[u8; 32]>::try_from(bytes.as_slice()).ok(),
                _ => None,
            };
            let photos = rows.iter().filter_map(photo).collect();
            let page = ArchivePage { table: table.name, count: rows.len() as u64, lines, photos };
            if pages.send(page).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn take_in(
    tx: &mut Tx,
    source: &dyn ArchiveSource,
    import: &ArchiveImport,
    now: Millis,
) -> Result<ArchiveCounts, RegistryError> {
    if let Some(table) = archive::find_filled(tx, TABLES).await? {
        return Err(RegistryError::Conflict(Refusal::new("archive.not_empty").with("table", table)));
    }
    let mut counts = ArchiveCounts::new();
    let mut referring: Vec<&Table> = Vec::new();
    for table in TABLES {
        let (count, refers) = add_table(tx, source, table, now).await?;
        referring.extend(refers.then_some(table));
        let expected = import.lines.get(table.name).copied().unwrap_or_default();
        if count != expected {
            let refusal = Refusal::new("archive.count").with("table", table.name).with("count", count);
            return Err(refusal.with("fits", expected).into());
        }
        counts.insert(table.name, count);
    }
    for table in referring {
        let mut lines = source.lines(table.name);
        let mut number = 0;
        while let Some(chunk) = lines.recv().await {
            let rows = read_rows(table, &chunk?, &mut number)?;
            archive::set_references(tx, table, &rows).await.map_err(|error| unfit(error, table))?;
        }
    }
    // Proved before anything is added: an entry of ours would make a torn file look whole.
    prove(tx).await?;
    go_on(tx, import, now).await?;
    Ok(counts)
}

/// Why the database would not have a row.
fn unfit(error: StoreError, table: &'static Table) -> RegistryError {
    match error {
        StoreError::Conflict(constraint) => {
            Refusal::new("archive.rows").with("table", table.name).with("constraint", constraint).into()
        }
        other => other.into(),
    }
}

fn read_rows(table: &'static Table, lines: &[String], number: &mut u64) -> Result<Vec<Vec<Value>>, Refusal> {
    let read = lines.iter().map(|line| {
        *number += 1;
        table.read_line(*number, line)
    });
    read.collect()
}

/// Adds the rows of a table; answers how many there were, and whether one of them names another.
async fn add_table(
    tx: &mut Tx,
    source: &dyn ArchiveSource,
    table: &'static Table,
    now: Millis,
) -> Result<(u64, bool), RegistryError> {
    let fixed: &[_] = match table.name {
        "users" => &[("password_hash", Value::Text(NO_PASSWORD.to_owned()))],
        // The feed of this registry begins with what comes now.
        "imports" => &[("first_change", Value::Whole(0))],
        _ => &[],
    };
    let referring: Vec<usize> = table.refers.iter().filter_map(|name| table.position(name)).collect();
    let mut refers = false;
    let mut lines = source.lines(table.name);
    let mut number = 0;
    while let Some(chunk) = lines.recv().await {
        let rows = read_rows(table, &chunk?, &mut number)?;
        refers |= rows.iter().any(|row| referring.iter().any(|at| row[*at] != Value::Null));
        archive::add_rows(tx, table, fixed, &rows).await.map_err(|error| unfit(error, table))?;
        let changed: Vec<(ChangeKind, Uuid)> = rows
            .iter()
            .filter_map(|row| match (table.name, row.first()) {
                ("covers", Some(Value::Id(id))) => Some((ChangeKind::Cover, *id)),
                ("cases", Some(Value::Id(id))) => Some((ChangeKind::Case, *id)),
                ("plates", Some(Value::Whole(bits))) => {
                    Some((ChangeKind::Plate, Uuid::from_u128(*bits as u128)))
                }
                _ => None,
            })
            .collect();
        if !changed.is_empty() {
            feed::record(tx, now, News { events: Vec::new(), changed }).await?;
        }
    }
    Ok((number, refers))
}

async fn prove(tx: &mut Tx) -> Result<(), RegistryError> {
    let report = check_all(tx).await?;
    match report.findings.first() {
        None => Ok(()),
        Some(first) => Err(Refusal::new("archive.broken")
            .with("count", report.findings.len())
            .with("what", &first.what)
            .with("which", &first.which)
            .into()),
    }
}

/// Adds to every file that has not ended the entry that says where it came from.
async fn go_on(tx: &mut Tx, import: &ArchiveImport, now: Millis) -> Result<(), RegistryError> {
    let mut after = Uuid::nil();
    loop {
        let heads = integrity::list_heads(tx, after, PAGE as i64).await?;
        let Some(last) = heads.last() else { return Ok(()) };
        after = last.id;
        let mut entries = Vec::with_capacity(heads.len());
        // A merged file has ended; it came along with the one in which it goes on.
        for head in heads.into_iter().filter(|head| !head.is_merged) {
            let (manhole, length) = (head.id, head.history_length);
            let hash = EntryHash::try_from(head.history_hash)
                .map_err(|_| StoreError::inconsistent("manholes", "history_hash", manhole))?;
            let body = json!({
                "source": import.from,
                "exported_at": import.exported_at.to_rfc3339(),
                "entries": length,
            });
            let entry =
                NewEntry { actor: import.actor.word(), kind: HistoryKind::Transferred, case: None, body };
            entries.extend(chained(ManholeId(manhole), ChainHead { length, hash }, now, vec![entry]));
        }
        history::append(tx, &entries).await?;
    }
}
