//! `lidmark check`: proves every file's chain, the quadkeys and the joints between tables, and
//! names what is wrong.

use uuid::Uuid;

use super::files::{ChainState, prove_chain};
use super::{Registry, RegistryError};
use crate::domain::history::{EntryHash, HistoryEntry};
use crate::domain::position;
use crate::store::cases::PhotoRecord;
use crate::store::{Tx, cases, covers, history, integrity};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable word: `history.broken`, `quadkey.wrong`, `photo.altered`, `orphan.<kind>` …
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
        Ok(cases::list_photos_after(&mut self.store.read().await?, after, limit).await?)
    }
}

pub(super) async fn check_all(tx: &mut Tx) -> Result<CheckReport, RegistryError> {
    let mut report = CheckReport::default();
    check_chains(tx, &mut report).await?;
    check_quadkeys(tx, &mut report).await?;
    for orphans in integrity::list_orphans(tx).await? {
        report.add(format!("orphan.{}", orphans.what), orphans.count, "rows");
    }
    Ok(report)
}

/// Walks heads and entries side by side, both in the order of manholes.
async fn check_chains(tx: &mut Tx, report: &mut CheckReport) -> Result<(), RegistryError> {
    let mut after = Uuid::nil();
    let mut cursor = (Uuid::nil(), -1i64);
    let mut waiting: Vec<HistoryEntry> = Vec::new();
    loop {
        let heads = integrity::list_heads(tx, after, PAGE).await?;
        let Some(last) = heads.last() else { break };
        after = last.0;
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
        for (manhole, length, hash) in &heads {
            // Entries of a manhole that has no head are orphans, counted elsewhere.
            while waiting.get(start).is_some_and(|entry| entry.manhole.0 < *manhole) {
                start += 1;
            }
            let count = waiting[start..].iter().take_while(|entry| entry.manhole.0 == *manhole).count();
            let entries = &waiting[start..start + count];
            let head = EntryHash::try_from(hash.as_slice()).unwrap_or_default();
            if let ChainState::Broken { sequence } = prove_chain(entries, *length, &head) {
                report.add("history.broken", manhole, format!("entry {sequence} of {length}"));
            }
            report.files += 1;
            report.entries += count as u64;
            start += count;
        }
        waiting.drain(..start);
    }
    Ok(())
}

async fn check_quadkeys(tx: &mut Tx, report: &mut CheckReport) -> Result<(), RegistryError> {
    let mut after = None;
    loop {
        let points = covers::list_points(tx, after, PAGE).await?;
        let Some(last) = points.last() else { return Ok(()) };
        after = Some(last.cover);
        for point in &points {
            report.covers += 1;
            let expected = position::quadkey(point.lon, point.lat);
            if point.quadkey != expected {
                report.add("quadkey.wrong", point.cover, format!("{} instead of {expected}", point.quadkey));
            }
        }
    }
}
