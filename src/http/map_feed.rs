//! The map follows the change feed: a few times a second, and at once for pages that show what was done a moment ago.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::AppState;
use crate::domain::ids::CoverId;
use crate::registry::{ChangeKind, RegistryError};
use crate::spatial::Change;

/// Changes that are taken at a time.
const CHANGE_PAGE: i64 = 5000;
/// Whoever is so many changes behind, and an eighth of the covers, reads all covers anew instead of following.
const FAR_BEHIND: i64 = 50_000;
/// How often the change feed is asked.
const FEED_PAUSE: Duration = Duration::from_millis(250);

impl AppState {
    /// Patches the map until the task is dropped. Trouble is logged and tried again.
    pub async fn follow_map(&self) {
        loop {
            if let Err(error) = self.bring_up_map().await {
                tracing::warn!(%error, "the map waits for the change feed");
            }
            tokio::time::sleep(FEED_PAUSE).await;
        }
    }

    /// Patches the map with every change that is committed by now.
    pub(super) async fn bring_up_map(&self) -> Result<(), RegistryError> {
        let newest = self.registry.last_change().await?;
        while self.snapshot.version() < newest {
            // Who waits here finds the work done.
            let _turn = self.shared.following_map.lock().await;
            let known = self.snapshot.load();
            if newest - known.version() > FAR_BEHIND.max(known.len() as i64 / 8) {
                self.read_map_anew().await?;
            } else if known.version() < newest && !self.take_changes().await? {
                break;
            }
        }
        Ok(())
    }

    /// Reads all covers, whatever the map knows of them.
    pub async fn read_map_anew(&self) -> Result<(), RegistryError> {
        let lexicon = Arc::clone(self.snapshot.load().lexicon());
        self.snapshot.replace(self.registry.load_map(&self.config.quality, lexicon).await?);
        self.shared.pages.forget_all();
        Ok(())
    }

    /// Takes a page of changes; answers whether there were any.
    async fn take_changes(&self) -> Result<bool, RegistryError> {
        let before = self.snapshot.load();
        let changes = self.registry.changes_since(before.version(), CHANGE_PAGE).await?;
        let Some(last) = changes.last() else { return Ok(false) };
        let version = last.sequence;
        let covers = changes.iter().filter(|change| change.kind == ChangeKind::Cover);
        let covers: BTreeSet<CoverId> = covers.map(|change| CoverId(change.id)).collect();
        let covers: Vec<CoverId> = covers.into_iter().collect();
        let points = self.registry.list_points_by_id(&covers).await?;
        let there: BTreeSet<CoverId> = points.iter().map(|point| point.cover).collect();
        let put = |point| Change::Put(self.registry.map_row(point, before.lexicon(), &self.config.quality));
        let mut patch: Vec<Change> = points.iter().map(put).collect();
        let gone = covers.iter().filter(|cover| !there.contains(cover));
        patch.extend(gone.map(|cover| Change::Remove(*cover)));
        let map = self.snapshot.clone();
        // A patch may pack segments anew, which takes a while.
        if tokio::task::spawn_blocking(move || map.apply(patch, version)).await.is_err() {
            tracing::error!("patching the map stopped");
            return Ok(false);
        }
        self.covers_changed(&covers);
        Ok(true)
    }
}
