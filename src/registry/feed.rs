//! The change feed, the snapshot's rows, the outbox and the figures for operators.

use super::{Registry, RegistryError};
use crate::domain::ids::CoverId;
use crate::store::covers::{self, PointRow};
use crate::store::feed::{self, Change, OutboxEvent};
use crate::store::{cases, plates};

/// What `/metrics` counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub covers: i64,
    pub plates: Vec<(String, i64)>,
    pub cases: Vec<(String, i64)>,
}

impl Registry {
    /// Changes after `since`, oldest first, without loss or repeat.
    pub async fn changes_since(&self, since: i64, limit: i64) -> Result<Vec<Change>, RegistryError> {
        Ok(feed::list_changes(&mut self.store.read().await?, since, limit.clamp(1, 10_000)).await?)
    }

    /// The newest change number. Read it before the points, then follow from there.
    pub async fn last_change(&self) -> Result<i64, RegistryError> {
        Ok(feed::last_change(&mut self.store.read().await?).await?)
    }

    /// Points of covers by id, page by page.
    pub async fn list_points(
        &self,
        after: Option<CoverId>,
        limit: i64,
    ) -> Result<Vec<PointRow>, RegistryError> {
        Ok(covers::list_points(&mut self.store.read().await?, after, limit).await?)
    }

    /// Gives back what reading the whole city left in memory.
    pub async fn forget_pages(&self) -> Result<(), RegistryError> {
        Ok(self.store.forget_pages().await?)
    }

    pub async fn list_points_by_id(&self, ids: &[CoverId]) -> Result<Vec<PointRow>, RegistryError> {
        Ok(covers::list_points_by_id(&mut self.store.read().await?, ids).await?)
    }

    /// Events that a receiver has not had yet, oldest first.
    pub async fn list_waiting_events(
        &self,
        receiver: &str,
        limit: i64,
    ) -> Result<Vec<OutboxEvent>, RegistryError> {
        Ok(feed::list_waiting_events(&mut self.store.read().await?, receiver, limit).await?)
    }

    /// A receiver has had every event up to `sequence`.
    pub async fn mark_delivered(&self, receiver: &'static str, sequence: i64) -> Result<(), RegistryError> {
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(feed::mark_delivered(tx, receiver, sequence).await?) })
            })
            .await
    }

    pub async fn counts(&self) -> Result<Counts, RegistryError> {
        let mut tx = self.store.read().await?;
        Ok(Counts {
            covers: covers::count_covers(&mut tx).await?,
            plates: plates::count_plates(&mut tx).await?,
            cases: cases::count_cases(&mut tx).await?,
        })
    }
}
