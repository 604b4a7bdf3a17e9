//! 图层: what programs that read maps may ask for beside covers and districts.

use super::names::named_enum;

named_enum! {
    /// A layer whose features are rows of the tables.
    TableLayer as "layer" { Cases = "cases", Manholes = "manholes", Plates = "plates" }
}

impl TableLayer {
    /// Whether anybody may see some of it.
    pub const fn is_public(self) -> bool {
        matches!(self, TableLayer::Cases)
    }
}
