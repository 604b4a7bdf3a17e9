//! The map: every cover in use as the snapshot keeps it.

use std::sync::Arc;

use super::{Registry, RegistryError};
use crate::domain::calendar::day_number;
use crate::domain::quality::{FileSketch, Rules};
use crate::spatial::{Attributes, Flags, Lexicon, Snapshot, SnapshotBuilder, SnapshotRow, UNKNOWN_DAY};
use crate::store::covers::PointRow;

/// Covers that are read at a time.
const PAGE: i64 = 10_000;

impl Registry {
    /// Loads the map. The number of the last change is read first: what is committed in between comes
    /// again through the feed, and nothing is missed. Words get their numbers in the lexicon. Packing holds its thread for half a second at a
    /// million covers.
    pub async fn load_map(&self, rules: &Rules, lexicon: Arc<Lexicon>) -> Result<Snapshot, RegistryError> {
        let version = self.last_change().await?;
        let mut builder = SnapshotBuilder::new(lexicon);
        let mut after = None;
        loop {
            let page = self.list_points(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.cover);
            for point in &page {
                builder.push(self.map_row(point, builder.lexicon(), rules));
            }
        }
        self.store.forget_pages().await?;
        Ok(builder.build(version))
    }

    /// A cover as the map keeps it. The rules say which of a census' columns tell when it was installed.
    pub fn map_row(&self, point: &PointRow, lexicon: &Lexicon, rules: &Rules) -> SnapshotRow {
        let installed = rules.installed_in(&point.extra);
        let facts = rules.facts_of(&FileSketch { installed, ..point.sketch });
        let party = |party: &Option<_>| party.as_ref().map_or(0, |party| lexicon.party_number(party));
        SnapshotRow {
            cover: point.cover,
            lon: point.lon,
            lat: point.lat,
            class: facts.class,
            state: point.state,
            flags: Flags { has_plate: point.sketch.attached.plate, open_case: point.has_open_case },
            attributes: Attributes {
                code: lexicon.pack(&point.code),
                manhole: point.manhole.0.as_u64_pair().1 as u32,
                road: point.road.as_deref().map_or(0, |road| lexicon.road_number(road)),
                owner: party(&point.owner),
                maintainer: party(&point.maintainer),
                surveyed_on: point
                    .surveyed_at
                    .and_then(|at| day_number(at, self.utc_offset_minutes))
                    .unwrap_or(UNKNOWN_DAY),
                district: lexicon.district_number(&point.district),
                installed: installed.unwrap_or_default(),
                known: facts.there,
                placement: point.sketch.placement,
                material: point.sketch.material,
                shape: point.sketch.shape,
                load_class: point.sketch.load_class,
            },
        }
    }
}
