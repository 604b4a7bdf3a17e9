//! Covers as Mapbox vector tiles: points in, bytes out, the same points give the same bytes; and a base map's tiles out
//! of its file.
//! Knows `domain` only; which points lie in a tile is `spatial`'s business, who may see them is
//! `http`'s. A `CoverPoint` carries public fields only.

mod etag;
mod mvt;
mod tilejson;

pub use etag::{etag, is_known};
pub use mvt::{
    CellCount, CoverPoint, EXTENT, LAYER, StaffPoint, TileAddress, encode_counts, encode_covers,
    encode_staff_covers, on_grid,
};
pub use tilejson::TileJson;

mod pmtiles;

pub use pmtiles::{PmTiles, TileKind};
