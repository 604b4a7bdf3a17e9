//! Resources of OGC API – Features as pages.

use askama::Template;

use super::census_map::{CensusMap, census_map};
use super::drawing::{Drawing, edges_of, widened};
use super::{Page, write};
use crate::domain::area::Area;

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
    pub heads: &'a [String],
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

/// Points or outlines, north up.
pub struct SmallMap(CensusMap);

impl SmallMap {
    /// `None` = there is nothing to draw. Longitude and latitude in degrees.
    pub fn of_places(places: &[[f64; 2]]) -> Option<Self> {
        census_map(places, &[]).map(Self)
    }

    /// `None` = there is nothing to draw.
    pub fn of_areas(areas: &[&Area]) -> Option<Self> {
        let drawing = Drawing::of(widened(edges_of(areas.iter().copied())?, 0.04, 0.0005));
        let rings = areas.iter().flat_map(|area| area.shape.parts()).flatten();
        let (outlines, points) = (drawing.path(rings, 0), String::new());
        Some(Self(CensusMap { width: drawing.width, height: drawing.height, outlines, points, beyond: 0 }))
    }
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
