//! What the readers of areas have in common: a feature with its texts and its rings, and the bounds
//! within which a file is held in memory.

use super::super::declared::DeclaredCrs;
use super::super::encoding::EncodingFound;
use super::super::{READ_SHOWN, shown};
use crate::domain::Refusal;

/// A closed line of numbers as the file has them: easting or longitude first, as programs write it.
pub(super) type RawRing = Vec<[f64; 2]>;
/// Parts with their outer ring and their holes.
pub(super) type RawShape = Vec<Vec<RawRing>>;

/// Features and corners of a file: parts of an area may stand anywhere, so all are held until the end.
const MOST_FEATURES: usize = 100_000;
const MOST_CORNERS: usize = 4_000_000;
/// Bytes of all texts, and columns of a feature; longer texts are cut, which no code or name is.
const MOST_TEXT: usize = 64 << 20;
const MOST_COLUMNS: usize = 200;

/// An area, or a part of one, before anything is made of it.
pub(super) struct Feature {
    /// Its number in the file, from 1; the key of its row in a GeoPackage.
    pub(super) line: u64,
    /// Columns with their texts.
    pub(super) cells: Vec<(String, String)>,
    /// `Err` = why it is no surface.
    pub(super) shape: Result<RawShape, Refusal>,
}

impl Feature {
    /// The text of a column, without blanks around it.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        let found = self.cells.iter().find(|(name, _)| name == column);
        found.map(|(_, text)| text.trim()).filter(|text| !text.is_empty())
    }
}

/// The features of a file, within their bounds.
#[derive(Default)]
pub(super) struct Features {
    pub(super) list: Vec<Feature>,
    corners: usize,
    text: usize,
}

impl Features {
    /// Takes one more. Refuses a file that holds more than any city has.
    pub(super) fn push(&mut self, mut feature: Feature) -> Result<(), Refusal> {
        feature.cells.truncate(MOST_COLUMNS);
        for (name, text) in &mut feature.cells {
            if text.len() > READ_SHOWN * 8 {
                *text = shown(text);
            }
            self.text += name.len() + text.len();
        }
        if let Ok(shape) = &feature.shape {
            self.corners += shape.iter().flatten().map(Vec::len).sum::<usize>();
        }
        self.list.push(feature);
        let much = |what, most| Err(Refusal::new(what).with("most", most));
        if self.list.len() > MOST_FEATURES {
            return much("area.too_many", MOST_FEATURES);
        }
        if self.corners > MOST_CORNERS {
            return much("area.too_many_corners", MOST_CORNERS);
        }
        if self.text > MOST_TEXT {
            return much("area.too_much_text", MOST_TEXT >> 20);
        }
        Ok(())
    }
}

/// What a reader found beside the features.
#[derive(Default)]
pub(super) struct FoundAlong {
    pub(super) encoding: Option<EncodingFound>,
    pub(super) crs: Option<DeclaredCrs>,
    /// Layer of an archive or a database, and the others.
    pub(super) layer: Option<(String, Vec<String>)>,
}

pub(super) fn no_polygon(read: &str) -> Refusal {
    Refusal::new("area.no_polygon").at("geometry").with("read", shown(read))
}
