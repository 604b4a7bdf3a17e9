//! `lidmark check`: proves every file's chain, the quadkeys and the joints between tables, and
//! names what is wrong.

use uuid::Uuid;

use super::agreement::Claims;
use super::files::{ChainState, prove_chain};
use super::{Registry, RegistryError};
use crate::domain::history::{EntryHash, HistoryEntry};
use crate::domain::position;
use crate::store::photos::{self, PhotoRecord};
use crate::store::{Tx, covers, history, integrity};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable word: `history.broken`, `case.differs`, `quadkey.wrong`, `photo.altered`, `orphan.<kind>` …
    pub what: String,
    /// What it is about: a manhole, a cover, a digest.
    pub which: String,
    pub detail: String,
}

/// What was looked at and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    pub files: u64,
    pub entries: u64,
    pub covers: u64,
    pub photos: u64,
    pub findings: Vec<Finding>,
}

const PAGE: i64 = 5000;
/// Findings after which the check goes on counting but stops naming.
const NAMED: usize = 1000;

impl CheckReport {
    pub fn add(&mut self, what: impl Into<String>, which: impl ToString, detail: impl Into<String>) {
        if self.findings.len() < NAMED {
            self.findings.push(Finding {
                what: what.into(),
                which: which.to_string(),
                detail: detail.into(),
            });
        }
    }
}

impl Registry {
    /// Checks everything that lies in the tables. Photos' bytes and the snapshot are compared by
    /// the caller, who has the photo store and the snapshot.
    pub async fn check_tables(&self) -> Result<CheckReport, RegistryError> {
        // One view of everything, so that a write in between is not taken for damage.
        let mut tx = self.store.read_frozen().await?;
        let outcome = check_all(&mut tx).await;
        tx.finish_frozen().await?;
        outcome
    }

    /// Photo rows after `after`, for comparing with the photo store.
    pub async fn list_photos_after(
        &self,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<PhotoRecord>, RegistryError> {
        Ok(photos::list_photos_after(&mut self.store.read().await?, after, limit).await?)
    }
}

pub(super) async fn check_all(tx: &mut Tx) -> Result<CheckReport, RegistryError> {
    let mut report = CheckReport::default();
    check_manholes(tx, &mut report).await?;
    report.covers = covers::count_covers(tx).await?.unsigned_abs();
    for orphans in integrity::list_orphans(tx).await? {
        report.add(format!("orphan.{}", orphans.what), orphans.count, "rows");
    }
    Ok(report)
}

/// Walks manholes and entries side by side, both in the order of manholes, and compares what whole files
/// say with the other tables.
async fn check_manholes(tx: &mut Tx, report: &mut CheckReport) -> Result<(), RegistryError> {
    let mut after = Uuid::nil();
    let mut cursor = (Uuid::nil(), -1i64);
    let mut waiting: Vec<HistoryEntry> = Vec::new();
    let mut claims = Claims::default();
    loop {
        let heads = integrity::list_heads(tx, after, PAGE).await?;
        let Some(last) = heads.last() else { break };
        let range = (after, last.id);
        after = last.id;
        // Every entry of this page's manholes.
        loop {
            let entries = history::list_entries_after(tx, cursor, PAGE).await?;
            let Some(newest) = entries.last() else { break };
            cursor = (newest.manhole.0, newest.sequence);
            let past = newest.manhole.0 > after;
            waiting.extend(entries);
            if past {
                break;
            }
        }
        let mut start = 0;
        for head in &heads {
            let (manhole, length) = (head.id, head.history_length);
            let expected = position::quadkey(head.lon, head.lat);
            if head.quadkey != expected {
                report.add("quadkey.wrong", manhole, format!("{} instead of {expected}", head.quadkey));
            }
            // Entries of a manhole that has no head are orphans, counted elsewhere.
            while waiting.get(start).is_some_and(|entry| entry.manhole.0 < manhole) {
                start += 1;
            }
            let count = waiting[start..].iter().take_while(|entry| entry.manhole.0 == manhole).count();
            let entries = &waiting[start..start + count];
            let hash = EntryHash::try_from(head.history_hash.as_slice()).unwrap_or_default();
            match prove_chain(entries, length, &hash) {
                ChainState::Whole { .. } => claims.read(entries),
                ChainState::Broken { sequence } => {
                    report.add("history.broken", manhole, format!("entry {sequence} of {length}"));
                }
            }
            report.files += 1;
            report.entries += count as u64;
            start += count;
        }
        waiting.drain(..start);
        claims.settle(tx, range, report).await?;
    }
    Ok(())
}
