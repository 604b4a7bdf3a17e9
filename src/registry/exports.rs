//! Rows for files out, of one moment: pages go to whoever writes the file, and the next one is read
//! meanwhile. Memory holds a few pages, whatever the city.

use std::sync::Arc;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::past::PastCovers;
use super::{CoverFilter, Registry, RegistryError, Standing};
use crate::domain::ids::Millis;
use crate::store::{Tx, exports};

pub use crate::store::exports::{
    CaseRecord, CaseSelection, CoverLine, CoverPage, PlateRecord, PlateSelection,
};

/// Rows of a page.
const PAGE: i64 = 1000;

/// What rows are wanted, and where their pages go. Whoever stops receiving ends the reading.
#[derive(Debug)]
pub enum ExportPages {
    Covers(CoverFilter, mpsc::Sender<CoverPage>),
    /// Every cover, with what those that were otherwise at the moment were.
    CoversAt(Millis, mpsc::Sender<(CoverPage, Arc<PastCovers>)>),
    Cases(CaseSelection, mpsc::Sender<Vec<CaseRecord>>),
    Plates(PlateSelection, mpsc::Sender<Vec<PlateRecord>>),
}

impl Registry {
    /// Hands out the rows in the order of their ids. Runs as a task of its own: a caller who goes away
    /// must not leave a transaction open.
    pub async fn export_pages(&self, mut wanted: ExportPages) -> Result<(), RegistryError> {
        // Nothing stored holds a NUL, and PostgreSQL refuses to look for one.
        if wanted.texts().into_iter().flatten().any(|text| text.contains('\0')) {
            return Ok(());
        }
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            let mut tx = store.read_frozen().await?;
            let sent = send_pages(&mut tx, &mut wanted).await;
            tx.finish_frozen().await?;
            sent
        });
        task.await.unwrap_or(Err(RegistryError::Broken(crate::store::StoreError::Stopped)))
    }
}

impl ExportPages {
    fn texts(&self) -> [Option<&String>; 3] {
        match self {
            ExportPages::Covers(selection, _) => {
                [selection.district.as_ref(), selection.road.as_ref(), selection.text.as_ref()]
            }
            ExportPages::CoversAt(..) => [None, None, None],
            ExportPages::Cases(selection, _) => {
                [selection.which.district.as_ref(), selection.which.text.as_ref(), None]
            }
            ExportPages::Plates(selection, _) => [selection.district.as_ref(), None, None],
        }
    }
}

async fn send_pages(tx: &mut Tx, wanted: &mut ExportPages) -> Result<(), RegistryError> {
    match wanted {
        ExportPages::Covers(selection, pages) => {
            let mut after = None;
            while let Some(page) = exports::list_cover_page(tx, selection, after, PAGE).await? {
                after = Some(page.last()?);
                if pages.send(page).await.is_err() {
                    return Ok(());
                }
            }
        }
        ExportPages::CoversAt(at, pages) => {
            let past = Arc::new(PastCovers::read(tx, *at).await?);
            let all = CoverFilter { standing: Standing::Any, ..CoverFilter::default() };
            let mut after = None;
            while let Some(page) = exports::list_cover_page(tx, &all, after, PAGE).await? {
                after = Some(page.last()?);
                if pages.send((page, past.clone())).await.is_err() {
                    return Ok(());
                }
            }
        }
        ExportPages::Cases(selection, pages) => {
            let mut after = None;
            loop {
                let page = exports::list_case_page(tx, selection, after, PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.id);
                if pages.send(page).await.is_err() {
                    return Ok(());
                }
            }
        }
        ExportPages::Plates(selection, pages) => {
            let mut after = (Uuid::nil(), 0);
            loop {
                let page = exports::list_plate_page(tx, selection, after, PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = (last.batch.0, last.ordinal);
                if pages.send(page).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
