//! Resources of OGC API – Features as pages.

use askama::Template;

use super::census_map::{CensusMap, census_map};
use super::{Page, write};

/// What a resource says, and its name there.
pub struct FactView {
    pub name: String,
    pub value: String,
}

/// A resource: facts, a list of features, a map, links; what is empty is left out.
#[derive(Default)]
pub struct LayerView<'a> {
    pub title: &'a str,
    pub lead: &'a str,
    pub facts: &'a [FactView],
    pub heads: &'a [&'a str],
    /// The first cell is the id of the feature.
    pub rows: &'a [Vec<String>],
    /// Of the listed features.
    pub collection: &'a str,
    /// The collection to which a feature belongs.
    pub above: &'a str,
    pub map: Option<SmallMap>,
    /// What they are called, and where they lead.
    pub links: &'a [(String, String)],
}

/// Points, north up.
pub struct SmallMap(CensusMap);

/// `None` = there is nothing to draw. Longitude and latitude in degrees.
pub fn small_map(places: &[[f64; 2]]) -> Option<SmallMap> {
    census_map(places, &[]).map(SmallMap)
}

#[derive(Template)]
#[template(path = "layer.html")]
struct LayerPage<'a> {
    page: Page<'a>,
    view: &'a LayerView<'a>,
}

pub fn layer(page: &Page, view: &LayerView) -> String {
    write(&LayerPage { page: *page, view })
}
