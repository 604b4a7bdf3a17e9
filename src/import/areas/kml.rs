//! Polygons of KML → features, one placemark at a time.

use std::io::Read;

use quick_xml::events::Event;

use super::super::declared::DeclaredCrs;
use super::super::encoding::Encoding;
use super::super::text::{MISFIT_CHARACTER, Text};
use super::super::xml::{Xml, attribute, push_reference};
use super::super::{Told, shown};
use super::features::{Feature, Features, FoundAlong, RawRing, RawShape, no_polygon};
use crate::domain::Refusal;

const MOST_DEPTH: usize = 200;
/// Bytes of one text: an outline of some hundred thousand corners.
const MOST_TEXT: usize = 64 << 20;

/// What is known of the placemark at hand.
#[derive(Default)]
struct Placemark {
    depth: usize,
    cells: Vec<(String, String)>,
    shape: RawShape,
    /// The first shape that is no surface, and the first flaw of a ring.
    other: Option<String>,
    flaw: Option<Refusal>,
}

pub(super) fn read(input: impl Read, told: &Told, features: &mut Features) -> Result<FoundAlong, Refusal> {
    let mut xml = Xml::new(Text::checked(input, told.encoding));
    // Local names of the open elements, with the name that `Data` and folders carry.
    let mut path: Vec<(String, Option<String>)> = Vec::new();
    let (mut began, mut ordinal, mut text) = (false, 0, String::new());
    let mut open: Option<Placemark> = None;
    loop {
        match xml.next()? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if !std::mem::replace(&mut began, true) && name != "kml" {
                    return Err(Refusal::new("kml.not_one").with("read", shown(&name)));
                }
                text.clear();
                if path.len() > MOST_DEPTH {
                    return Err(Refusal::new("xml.too_deep"));
                }
                let mut label = None;
                match (&mut open, name.as_str()) {
                    (None, "Placemark") => {
                        ordinal += 1;
                        let id = attribute(&start, "id").map(|id| ("@id".to_owned(), id));
                        let cells = id.into_iter().collect();
                        open = Some(Placemark { depth: path.len(), cells, ..Placemark::default() });
                    }
                    (Some(_), "Data" | "SimpleData") => label = attribute(&start, "name"),
                    (Some(mark), "Polygon") => mark.shape.push(Vec::new()),
                    (Some(mark), "Point" | "LineString" | "Model" | "Track" | "MultiTrack") => {
                        mark.other.get_or_insert(name.clone());
                    }
                    _ => {}
                }
                path.push((name, label));
            }
            Event::Text(part) if text.len() < MOST_TEXT => text.push_str(&part.xml10_content()),
            Event::CData(part) if text.len() < MOST_TEXT => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) if text.len() < MOST_TEXT => push_reference(&mut text, &reference),
            Event::End(_) => {
                let Some((name, label)) = path.pop() else { continue };
                let said = std::mem::take(&mut text);
                let Some(mark) = &mut open else {
                    if let ("name", Some((parent, folder))) = (name.as_str(), path.last_mut())
                        && parent == "Folder"
                    {
                        *folder = Some(said.trim().to_owned());
                    }
                    continue;
                };
                if path.len() == mark.depth {
                    let whole = open.take().unwrap_or_default();
                    features.push(whole.feature(ordinal, &path))?;
                    continue;
                }
                mark.take(&name, label, &path, said)?;
            }
            Event::Eof => {
                return match (path.is_empty(), began) {
                    (true, true) => {
                        let found = xml.input_ref().found();
                        let encoding = found.map_or(Encoding::Utf8, |found| found.encoding);
                        check_texts(features, encoding)?;
                        let crs = Some(DeclaredCrs::of_epsg(4326));
                        Ok(FoundAlong { encoding: found, crs, layer: None })
                    }
                    (false, true) => Err(Refusal::new("xml.truncated")),
                    (_, false) => Err(Refusal::new("file.empty")),
                };
            }
            _ => {}
        }
    }
}

fn check_texts(features: &Features, encoding: Encoding) -> Result<(), Refusal> {
    let cells = features.list.iter().flat_map(|feature| &feature.cells);
    for (name, text) in cells {
        if name.contains(MISFIT_CHARACTER) || text.contains(MISFIT_CHARACTER) {
            return Err(Refusal::new("text.misfit").with("column", shown(name)).with("encoding", encoding));
        }
    }
    Ok(())
}

impl Placemark {
    /// Takes the text of an element that ends.
    fn take(
        &mut self,
        name: &str,
        label: Option<String>,
        path: &[(String, Option<String>)],
        said: String,
    ) -> Result<(), Refusal> {
        let parent = path.last().map_or("", |(name, _)| name);
        match (parent, name) {
            ("LinearRing", "coordinates") => {
                let inner = path.iter().rev().any(|(name, _)| name == "innerBoundaryIs");
                self.ring(inner, &said);
            }
            ("Placemark", "name" | "description") => self.cells.push((name.to_owned(), said)),
            ("Data", "value") => {
                let data = path.last().and_then(|(_, label)| label.clone());
                self.cells.push((data.unwrap_or_default(), said));
            }
            (_, "SimpleData") => self.cells.push((label.unwrap_or_default(), said)),
            _ => {}
        }
        if self.cells.len() > 2000 {
            return Err(Refusal::new("xml.too_long"));
        }
        Ok(())
    }

    fn ring(&mut self, inner: bool, said: &str) {
        let corner = |tuple: &str| -> Option<[f64; 2]> {
            let mut numbers = tuple.split(',');
            Some([numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?])
        };
        let ring: Option<RawRing> = said.split_whitespace().map(corner).collect();
        let Some(ring) = ring else {
            self.flaw.get_or_insert(Refusal::new("geometry.coordinates").at("geometry"));
            return;
        };
        match self.shape.last_mut() {
            // An inner ring before its outer one is put behind it.
            Some(part) if inner => part.push(ring),
            Some(part) => part.insert(0, ring),
            None => {
                self.other.get_or_insert("LinearRing".into());
            }
        }
    }

    fn feature(mut self, line: u64, path: &[(String, Option<String>)]) -> Feature {
        let folders: Vec<&str> = path
            .iter()
            .filter(|(name, _)| name == "Folder")
            .filter_map(|(_, folder)| folder.as_deref())
            .collect();
        if !folders.is_empty() {
            self.cells.push(("folder".into(), folders.join("/")));
        }
        let shape = match (self.flaw, self.other) {
            (Some(flaw), _) => Err(flaw),
            // A label beside the surface, as programs put it, is no part of it.
            (None, other) if self.shape.is_empty() => {
                Err(no_polygon(other.as_deref().unwrap_or("Placemark")))
            }
            _ => Ok(self.shape),
        };
        Feature { line, cells: self.cells, shape }
    }
}
