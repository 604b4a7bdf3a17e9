//! Where covers lie, answered from memory: tiles and boxes as quadkey ranges, and the snapshot,
//! a read model of all covers. Knows `domain` only; the tables and the change feed are the
//! registry's, which loads and patches the snapshot.

pub mod areas;
mod attributes;
mod bloom;
mod columns;
mod ellipsoid;
mod outline;
mod overlay;
mod packed;
pub mod quadkey;
mod segment;
mod selection;
mod snapshot;

pub use areas::{AreaIndex, Locator};
pub use attributes::{Attributes, Lexicon, NamedParty, PackedCode, Reading, UNKNOWN_DAY};
pub use ellipsoid::{SPHERE_ERROR, area_m2, bearing, flat_m, geodesic_m, meters_per_degree};
pub use outline::{Overlap, check_outline, find_overlaps};
pub use quadkey::{BBox, KeyRange, TileId};
pub use selection::{Chosen, Selection};
pub use snapshot::{
    ByDistance, Change, Dot, Flags, GridCell, LiveSnapshot, Near, Snapshot, SnapshotBuilder, SnapshotRow,
    Tally,
};
