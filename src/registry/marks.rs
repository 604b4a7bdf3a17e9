//! Lines in the files of several cases and covers at once: their manholes are taken in one order, and what hung where
//! is read again behind the locks.

use std::collections::{BTreeMap, BTreeSet};

use super::files::{self, NewEntry};
use super::{RegistryError, StoreError};
use crate::domain::Refusal;
use crate::domain::case::Case;
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis};
use crate::store::cases as case_store;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::ChainHead;
use crate::store::{Tx, edits, history};

/// Files that were taken until the commit.
pub(super) struct Held {
    /// As they stand behind the locks, in the order in which they were asked for.
    pub cases: Vec<Case>,
    covers: Vec<(CoverId, ManholeId)>,
    heads: BTreeMap<ManholeId, ChainHead>,
    entries: BTreeMap<ManholeId, Vec<NewEntry>>,
}

async fn read(
    tx: &mut Tx,
    cases: &[CaseId],
    covers: &[CoverId],
) -> Result<(Vec<Case>, Vec<(CoverId, ManholeId)>), RegistryError> {
    let mut found = Vec::with_capacity(cases.len());
    for id in cases {
        let gone = || StoreError::inconsistent("cases", "id", id);
        found.push(case_store::find_case(tx, *id).await?.ok_or_else(gone)?);
    }
    let mut places = Vec::with_capacity(covers.len());
    for cover in covers {
        let gone = || StoreError::inconsistent("covers", "id", cover);
        places.push((*cover, edits::find_manhole_of(tx, *cover).await?.ok_or_else(gone)?));
    }
    Ok((found, places))
}

impl Held {
    pub(super) async fn take(
        tx: &mut Tx,
        cases: &[CaseId],
        covers: &[CoverId],
    ) -> Result<Self, RegistryError> {
        let (seen, places) = read(tx, cases, covers).await?;
        let manholes: BTreeSet<ManholeId> =
            seen.iter().map(|case| case.manhole).chain(places.iter().map(|(_, manhole)| *manhole)).collect();
        let mut heads = BTreeMap::new();
        for manhole in manholes {
            heads.insert(manhole, files::lock(tx, manhole).await?.head);
        }
        let (cases, covers) = read(tx, cases, covers).await?;
        let of_covers = covers.iter().map(|(_, manhole)| manhole);
        if !cases.iter().map(|case| &case.manhole).chain(of_covers).all(|manhole| heads.contains_key(manhole))
        {
            // A manhole was merged or split while this waited.
            return Err(RegistryError::Conflict(Refusal::new("case.files_moved")));
        }
        Ok(Self { cases, covers, heads, entries: BTreeMap::new() })
    }

    /// A line in the file in which a case is.
    pub(super) fn of_case(&mut self, case: &Case, entry: NewEntry) {
        self.entries.entry(case.manhole).or_default().push(NewEntry { case: Some(case.id), ..entry });
    }

    /// A line in the file in which a cover is.
    pub(super) fn of_cover(&mut self, cover: CoverId, entry: NewEntry) {
        if let Some((_, manhole)) = self.covers.iter().find(|(known, _)| *known == cover) {
            self.entries.entry(*manhole).or_default().push(entry);
        }
    }

    /// Writes the lines, and tells that the cases changed and what must leave.
    pub(super) async fn write(
        self,
        tx: &mut Tx,
        now: Millis,
        events: Vec<(String, String)>,
    ) -> Result<(), RegistryError> {
        let mut chained = Vec::new();
        for (manhole, entries) in self.entries {
            chained.extend(files::chained(manhole, self.heads[&manhole], now, entries));
        }
        history::append(tx, &chained).await?;
        let changed = self.cases.iter().map(|case| (ChangeKind::Case, case.id.0));
        let covers = self.covers.iter().map(|(cover, _)| (ChangeKind::Cover, cover.0));
        let changed = changed.chain(covers).collect();
        Ok(feed::record(tx, now, News { events, changed }).await?)
    }
}
