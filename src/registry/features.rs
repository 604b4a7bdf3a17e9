//! Rows of cases, manholes and plates for programs that read maps: of one moment, page by page.

use tokio::sync::mpsc;

use super::{Registry, RegistryError};
use crate::domain::role::{Actor, Role};
use crate::domain::table_layer::TableLayer;
use crate::spatial::KeyRange;
use crate::store::{StoreError, Tx, features};

pub use crate::store::features::{
    FeatureCell, FeatureKey, FeatureQuery, FeatureRow, FeatureTest, feature_columns,
};

/// Rows that are read at a time, at first and at most: who wants a few shall not wait for many.
const FIRST_PAGE: i64 = 200;
const MOST: i64 = 5000;

/// Which rows, from where on.
#[derive(Debug, Clone)]
pub struct FeatureSearch {
    pub query: FeatureQuery,
    /// Of manholes: where they may lie, in rising order.
    pub ranges: Vec<KeyRange>,
    pub after: Option<FeatureKey>,
}

impl Registry {
    /// Hands out the rows in the order of their keys. Whoever stops receiving ends the reading. A handler reads the
    /// cases of their party and no others; without an account there are cases alone, those that are public.
    pub async fn send_features(
        &self,
        mut search: FeatureSearch,
        actor: &Actor,
        pages: mpsc::Sender<Vec<FeatureRow>>,
    ) -> Result<(), RegistryError> {
        if !narrow(&mut search.query, actor) {
            return Ok(());
        }
        let store = self.store.clone();
        // A task of its own: a caller who goes away must not leave a transaction open.
        let task = tokio::spawn(async move {
            let mut tx = store.read_frozen().await?;
            let sent = send(&mut tx, search, &pages).await;
            tx.finish_frozen().await?;
            sent
        });
        task.await.unwrap_or(Err(RegistryError::Broken(StoreError::Stopped)))
    }

    /// How many rows there are that a query means, where it needs no look at them.
    pub async fn count_features(
        &self,
        mut query: FeatureQuery,
        actor: &Actor,
    ) -> Result<usize, RegistryError> {
        if !narrow(&mut query, actor) {
            return Ok(0);
        }
        let count = features::count_features(&mut self.store.read().await?, &query).await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}

/// What of it somebody may see; `false` = nothing.
fn narrow(query: &mut FeatureQuery, actor: &Actor) -> bool {
    match (actor, query.layer) {
        (Actor::Staff { role: Role::Handler, party, .. }, TableLayer::Cases) => {
            query.business_of = *party;
            party.is_some()
        }
        (Actor::Staff { .. }, _) => true,
        (_, layer) => {
            query.is_public = true;
            layer.is_public()
        }
    }
}

async fn send(
    tx: &mut Tx,
    search: FeatureSearch,
    pages: &mpsc::Sender<Vec<FeatureRow>>,
) -> Result<(), RegistryError> {
    let FeatureSearch { mut query, ranges, mut after } = search;
    let is_by_place = query.layer == TableLayer::Manholes;
    let ranges = if is_by_place { ranges } else { vec![KeyRange::WORLD] };
    let mut limit = FIRST_PAGE;
    for range in ranges {
        if is_by_place && after.is_some_and(|after| after.number > range.last) {
            continue;
        }
        loop {
            // The index is entered where the last page ended: of two lower bounds SQLite may take the other one.
            let first = after.map_or(range.first, |after| after.number.max(range.first));
            query.keys = (first, range.last);
            let page = features::list_features(tx, &query, after, limit).await?;
            let is_last = (page.len() as i64) < limit;
            after = page.last().map(|row| row.key).or(after);
            if !page.is_empty() && pages.send(page).await.is_err() {
                return Ok(());
            }
            if is_last {
                break;
            }
            limit = (limit * 5).min(MOST);
        }
    }
    Ok(())
}
