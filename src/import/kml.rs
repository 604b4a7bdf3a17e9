//! KML → cells, one placemark at a time. Balloons of HTML stay the text they are.

use std::io::Read;

use quick_xml::events::Event;

use super::declared::DeclaredCrs;
use super::encoding::Encoding;
use super::mapping::{Cell, Flaw, Mapper, Meaning};
use super::place::Point;
use super::text::{MISFIT_CHARACTER, Text};
use super::xml::{Xml, attribute, push_reference};
use super::{Findings, Item, Problem, RowReader, Scope, Told, shown};
use crate::domain::Refusal;

const MAX_DEPTH: usize = 200;
/// What a placemark may come to.
const MAX_CELLS: usize = 2000;
const MAX_TEXTS: usize = 8 << 20;

pub(super) struct KmlReader<R: Read> {
    xml: Xml<Text<R>>,
    /// Local names of the elements that are open, with the name that `Data` and folders carry.
    path: Vec<(String, Option<String>)>,
    /// Placemarks met so far.
    ordinal: u64,
    began: bool,
    done: bool,
}

#[derive(Default)]
struct Placemark {
    depth: usize,
    id: Option<String>,
    cells: Vec<(String, String)>,
    /// Coordinates of its points.
    points: Vec<String>,
    /// The first shape that is no point.
    other: Option<String>,
    size: usize,
}

impl<R: Read> KmlReader<R> {
    pub(super) fn new(input: R, told: &Told) -> Self {
        Self {
            xml: Xml::new(Text::checked(input, told.encoding)),
            path: Vec::new(),
            ordinal: 0,
            began: false,
            done: false,
        }
    }

    /// The next placemark; `None` at the end of the file.
    fn next_placemark(&mut self) -> Result<Option<Placemark>, Refusal> {
        let mut placemark: Option<Placemark> = None;
        let mut text = String::new();
        loop {
            match self.xml.next()? {
                Event::Start(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    if !self.began {
                        self.began = true;
                        if name != "kml" {
                            return Err(Refusal::new("kml.not_one").with("read", shown(&name)));
                        }
                    }
                    text.clear();
                    if self.path.len() > MAX_DEPTH {
                        return Err(Refusal::new("xml.too_deep"));
                    }
                    let mut label = None;
                    match (&mut placemark, name.as_str()) {
                        (None, "Placemark") => {
                            self.ordinal += 1;
                            placemark = Some(Placemark {
                                depth: self.path.len(),
                                id: attribute(&start, "id"),
                                ..Placemark::default()
                            });
                        }
                        (Some(_), "Data" | "SimpleData") => label = attribute(&start, "name"),
                        (
                            Some(open),
                            "LineString" | "LinearRing" | "Polygon" | "Model" | "Track" | "MultiTrack",
                        ) => {
                            open.other.get_or_insert(name.clone());
                        }
                        _ => {}
                    }
                    self.path.push((name, label));
                }
                Event::Text(part) if text.len() < MAX_TEXTS => text.push_str(&part.xml10_content()),
                Event::CData(part) if text.len() < MAX_TEXTS => text.push_str(&part.xml10_content()),
                Event::GeneralRef(reference) if text.len() < MAX_TEXTS => {
                    push_reference(&mut text, &reference)
                }
                Event::End(_) => {
                    let Some((name, label)) = self.path.pop() else { continue };
                    let said = std::mem::take(&mut text);
                    match &mut placemark {
                        None => {
                            if let ("name", Some((parent, folder))) = (name.as_str(), self.path.last_mut())
                                && parent == "Folder"
                            {
                                *folder = Some(said.trim().to_owned());
                            }
                        }
                        Some(open) if self.path.len() == open.depth => {
                            let mut whole = placemark.take().unwrap_or_default();
                            let folders: Vec<&str> = self
                                .path
                                .iter()
                                .filter(|(name, _)| name == "Folder")
                                .filter_map(|(_, folder)| folder.as_deref())
                                .collect();
                            if !folders.is_empty() {
                                whole.cells.push(("folder".into(), folders.join("/")));
                            }
                            return Ok(Some(whole));
                        }
                        Some(open) => {
                            let parent = self.path.last().map_or("", |(name, _)| name);
                            let data = self.path.last().and_then(|(_, label)| label.clone());
                            open.take(&name, label, parent, data, said)?;
                        }
                    }
                }
                Event::Eof => {
                    return if self.path.is_empty() && self.began {
                        Ok(None)
                    } else if self.began {
                        Err(Refusal::new("xml.truncated"))
                    } else {
                        Err(Refusal::new("file.empty"))
                    };
                }
                _ => {}
            }
        }
    }
}

impl Placemark {
    /// Takes the text of an element that ends.
    fn take(
        &mut self,
        name: &str,
        label: Option<String>,
        parent: &str,
        data: Option<String>,
        said: String,
    ) -> Result<(), Refusal> {
        self.size += said.len();
        if self.size > MAX_TEXTS || self.cells.len() > MAX_CELLS || self.points.len() > MAX_CELLS {
            return Err(Refusal::new("xml.too_long"));
        }
        match (parent, name) {
            ("Placemark", "name" | "description" | "address" | "phoneNumber" | "Snippet")
            | ("TimeStamp", "when")
            | ("TimeSpan", "begin" | "end") => self.cells.push((name.to_owned(), said)),
            ("Data", "value") => self.cells.push((data.unwrap_or_default(), said)),
            (_, "SimpleData") => self.cells.push((label.unwrap_or_default(), said)),
            ("Point", "coordinates") => self.points.push(said),
            // Elements of other namespaces are named by themselves.
            ("ExtendedData", other) if !matches!(other, "Data" | "SchemaData") => {
                self.cells.push((other.to_owned(), said));
            }
            _ => {}
        }
        Ok(())
    }

    fn point(&self) -> Result<Option<Point>, Flaw> {
        let flaw = |code: &'static str, read: &str| {
            let refusal = Refusal::new(code).at("position").with("read", shown(read));
            Err(Flaw::new(refusal).column("geometry").read(read))
        };
        match (&self.other, self.points.as_slice()) {
            (Some(other), _) => flaw("geometry.type", other),
            (None, []) => flaw("position.missing", ""),
            (None, [one]) => {
                let mut tuples = one.split_whitespace();
                let (Some(tuple), None) = (tuples.next(), tuples.next()) else {
                    return flaw("geometry.coordinates", one);
                };
                let numbers: Option<Vec<f64>> =
                    tuple.split(',').map(|number| number.trim().parse().ok()).collect();
                match numbers.as_deref() {
                    Some([x, y, rest @ ..]) => Ok(Some(Point { x: *x, y: *y, z: rest.first().copied() })),
                    _ => flaw("geometry.coordinates", one),
                }
            }
            (None, _) => flaw("geometry.type", "MultiPoint"),
        }
    }

    fn candidate(&self, line: u64, encoding: Encoding, mapper: &Mapper<'_>) -> Item {
        let row = |flaw: Flaw| flaw.into_problem(line, Scope::Row);
        if let Some((name, text)) = self
            .cells
            .iter()
            .find(|(name, text)| text.contains(MISFIT_CHARACTER) || name.contains(MISFIT_CHARACTER))
        {
            let refusal = Refusal::new("text.misfit").with("column", shown(name)).with("encoding", encoding);
            return Err(row(Flaw::new(refusal).column(name).read(text)));
        }
        let point = self.point().map_err(row)?;
        let mut meanings: Vec<Meaning> = self.cells.iter().map(|(name, _)| mapper.meaning_of(name)).collect();
        meanings.push(mapper.meaning_of("@id"));
        let by_id = self.id.as_deref().filter(|_| mapper.wants("@id"));
        let cells = self
            .cells
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .chain(by_id.map(|id| ("@id", id)))
            .zip(&meanings)
            .map(|((name, text), meaning)| Cell { name, meaning, text, inexact: false });
        mapper.candidate(line, cells, point).map_err(row)
    }
}

impl<R: Read> RowReader for KmlReader<R> {
    fn next_row(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        if self.done {
            return None;
        }
        match self.next_placemark() {
            Ok(Some(placemark)) => {
                let encoding = self.xml.input_ref().found().map_or(Encoding::Utf8, |found| found.encoding);
                Some(placemark.candidate(self.ordinal, encoding, mapper))
            }
            Ok(None) => {
                self.done = true;
                None
            }
            Err(refusal) => {
                self.done = true;
                Some(Err(Problem::of_file(self.ordinal, "", refusal)))
            }
        }
    }

    /// The format knows no other.
    fn declared(&self) -> Option<DeclaredCrs> {
        Some(DeclaredCrs::of_epsg(4326))
    }

    fn tell(&self, findings: &mut Findings) {
        findings.crs = self.declared();
        findings.encoding = self.xml.input_ref().found();
    }
}
