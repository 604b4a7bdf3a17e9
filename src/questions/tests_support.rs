//! Small cities for the tests of this room.

use uuid::Uuid;

use crate::domain::cover::{CoverClass, CoverState};
use crate::domain::ids::CoverId;
use crate::spatial::{Attributes, Flags, Snapshot, SnapshotRow};

/// A sewage cover of which nothing else is known.
pub(super) fn at(number: u128, lon: f64, lat: f64) -> SnapshotRow {
    SnapshotRow {
        cover: CoverId(Uuid::from_u128(number)),
        lon,
        lat,
        class: CoverClass::Sewage,
        state: CoverState::Intact,
        flags: Flags::default(),
        attributes: Attributes::default(),
    }
}

pub(super) fn city(rows: impl IntoIterator<Item = SnapshotRow>) -> Snapshot {
    Snapshot::build(rows, 1)
}
