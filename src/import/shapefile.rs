//! Shapefiles → cells: `.shp` beside its `.dbf`, in a folder or a zip. Shapes and table are read
//! here rather than by the `shapefile` and `dbase` crates, which replace what they cannot decode and
//! skip deleted records in one of the two only.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::archive::{Archive, Entry};
use super::dbf::{self, Next, Table};
use super::declared::DeclaredCrs;
use super::encoding::EncodingFound;
use super::mapping::{Cell, Columns, Mapper};
use super::place::Point;
use super::{Findings, Item, Problem, RowReader, Scope, Told, shown_bytes, unreadable};
use crate::domain::Refusal;

pub(super) type Bytes = Box<dyn Read>;

/// Where the parts of one layer are.
pub(super) enum Parts<'a> {
    Files { shp: PathBuf },
    Entries { archive: &'a Archive, shp: &'a Entry },
}

impl Parts<'_> {
    /// A part of the layer by its ending; `None` = it is not there.
    fn open(&self, ending: &str) -> Result<Option<Bytes>, Refusal> {
        match self {
            Self::Files { shp } => match neighbour(shp, ending) {
                Some(path) => {
                    let file = File::open(path).map_err(|error| unreadable(&error))?;
                    Ok(Some(Box::new(BufReader::with_capacity(1 << 16, file))))
                }
                None => Ok(None),
            },
            Self::Entries { archive, shp } => {
                let stem = shp.name.rsplit_once('.').map_or(shp.name.as_str(), |(stem, _)| stem);
                let entry = archive.find(&format!("{stem}.{ending}"));
                entry.map(|entry| Ok(Box::new(archive.reader(entry)?) as Bytes)).transpose()
            }
        }
    }

    /// A small part as text.
    fn text(&self, ending: &str) -> Result<Option<String>, Refusal> {
        let Some(part) = self.open(ending)? else { return Ok(None) };
        let mut bytes = Vec::new();
        part.take(64 * 1024).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        Ok(Some(
            String::from_utf8_lossy(&bytes)
                .trim_matches(['\u{feff}', '\0', ' ', '\n', '\r', '\t'])
                .to_owned(),
        ))
    }
}

/// The file beside another one that has this ending, in capitals or not.
fn neighbour(shp: &Path, ending: &str) -> Option<PathBuf> {
    let plain = shp.with_extension(ending);
    if plain.is_file() {
        return Some(plain);
    }
    let wanted = plain.file_name()?.to_string_lossy().to_lowercase();
    let folder = shp.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase() == wanted))
}

pub(super) struct ShapeReader {
    shapes: Bytes,
    table: Table<Bytes>,
    encoding: EncodingFound,
    columns: Option<Columns>,
    crs: Option<DeclaredCrs>,
    /// Records met so far; the number of the one at hand.
    record: u64,
    deleted: u64,
    content: Vec<u8>,
    done: bool,
}

/// Kind of the shapes, by the number in the file.
pub(super) fn kind_name(kind: u32) -> &'static str {
    match kind {
        0 => "null",
        1 => "Point",
        3 => "Polyline",
        5 => "Polygon",
        8 => "MultiPoint",
        11 => "PointZ",
        13 => "PolylineZ",
        15 => "PolygonZ",
        18 => "MultiPointZ",
        21 => "PointM",
        23 => "PolylineM",
        25 => "PolygonM",
        28 => "MultiPointM",
        31 => "MultiPatch",
        _ => "?",
    }
}

fn is_point_kind(kind: u32) -> bool {
    matches!(kind, 0 | 1 | 8 | 11 | 18 | 21 | 28)
}

/// Reads the header of a `.shp`; answers the kind of its shapes.
fn read_head(shapes: &mut impl Read) -> Result<u32, Refusal> {
    let mut head = [0; 100];
    let whole = dbf::read_whole(shapes, &mut head)?;
    if !whole || head[..4] != [0, 0, 0x27, 0x0A] {
        return Err(Refusal::new("shape.damaged"));
    }
    Ok(u32::from_le_bytes([head[32], head[33], head[34], head[35]]))
}

/// The kind of shapes in a layer where that is not points.
pub(super) fn other_kind(parts: &Parts<'_>) -> Result<Option<&'static str>, Refusal> {
    let Some(mut shapes) = parts.open("shp")? else { return Ok(None) };
    let kind = read_head(&mut shapes)?;
    Ok((!is_point_kind(kind)).then(|| kind_name(kind)))
}

/// A layer, open, before the first of its records.
pub(super) struct Layer {
    pub(super) shapes: Bytes,
    /// Number of the kind of its shapes.
    pub(super) kind: u32,
    pub(super) table: Table<Bytes>,
    pub(super) encoding: EncodingFound,
    pub(super) crs: Option<DeclaredCrs>,
}

impl Layer {
    pub(super) fn open(parts: &Parts<'_>, told: &Told) -> Result<Self, Refusal> {
        let mut shapes = parts.open("shp")?.ok_or_else(|| Refusal::new("shape.damaged"))?;
        let kind = read_head(&mut shapes)?;
        let no_table = || Refusal::new("shape.no_table");
        let table = Table::open(parts.open("dbf")?.ok_or_else(no_table)?)?;
        let encoding = match told.encoding {
            Some(encoding) => dbf::told(encoding),
            None => {
                let cpg = parts.text("cpg")?;
                Table::open(parts.open("dbf")?.ok_or_else(no_table)?)?.find_encoding(cpg.as_deref())
            }
        };
        let crs = parts.text("prj")?.filter(|text| !text.is_empty()).map(DeclaredCrs::of_wkt);
        Ok(Self { shapes, kind, table, encoding, crs })
    }
}

pub(super) fn open(parts: &Parts<'_>, told: &Told) -> Result<ShapeReader, Refusal> {
    let kind = read_head(&mut parts.open("shp")?.ok_or_else(|| Refusal::new("shape.damaged"))?)?;
    if !is_point_kind(kind) {
        return Err(Refusal::new("geometry.type").at("position").with("read", kind_name(kind)));
    }
    let Layer { shapes, table, encoding, crs, .. } = Layer::open(parts, told)?;
    Ok(ShapeReader {
        shapes,
        table,
        encoding,
        columns: None,
        crs,
        record: 0,
        deleted: 0,
        content: Vec::new(),
        done: false,
    })
}

/// What a record's shape came to.
enum Shape {
    Point(Point),
    Null,
    /// Several points, or another kind.
    Other(&'static str),
    Damaged,
    End,
    CutOff,
}

impl ShapeReader {
    fn names(&self, mapper: &Mapper<'_>) -> Vec<String> {
        self.table
            .fields
            .iter()
            .map(|field| mapper.full_name(&self.table.name(field, self.encoding.encoding)))
            .collect()
    }

    /// Reads the shape of the next record.
    fn next_shape(&mut self) -> Result<Shape, Refusal> {
        let mut head = [0; 8];
        match self.shapes.read(&mut head[..1]) {
            Ok(0) => return Ok(Shape::End),
            Ok(_) => {}
            Err(error) => return Err(unreadable(&error)),
        }
        if !dbf::read_whole(&mut self.shapes, &mut head[1..])? {
            return Ok(Shape::CutOff);
        }
        let words = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let length = u64::from(words) * 2;
        // A point has 44 bytes at most; of longer shapes only the beginning is looked at.
        let kept = length.min(128) as usize;
        self.content.resize(kept, 0);
        if !dbf::read_whole(&mut self.shapes, &mut self.content)? {
            return Ok(Shape::CutOff);
        }
        let rest = length - kept as u64;
        let skipped = std::io::copy(&mut (&mut self.shapes).take(rest), &mut std::io::sink());
        if skipped.map_err(|error| unreadable(&error))? < rest {
            return Ok(Shape::CutOff);
        }
        Ok(shape_of(&self.content))
    }

    fn end_with(&mut self, refusal: Refusal) -> Option<Item> {
        self.done = true;
        Some(Err(Problem::of_file(self.record, "", refusal)))
    }

    fn candidate(&self, point: Option<Point>, mapper: &Mapper<'_>) -> Option<Item> {
        let columns = self.columns.as_ref()?;
        let mut texts = Vec::with_capacity(self.table.fields.len());
        for (at, field) in self.table.fields.iter().enumerate() {
            match self.table.text(field, self.encoding.encoding) {
                Ok(text) => texts.push(text),
                Err(raw) => {
                    let refusal = Refusal::new("text.misfit")
                        .with("column", at + 1)
                        .with("encoding", self.encoding.encoding);
                    let mut problem = Problem::of_row(self.record, &shown_bytes(raw), refusal);
                    problem.column = columns.name(at).map(str::to_owned);
                    return Some(Err(problem));
                }
            }
        }
        let cells = columns.iter().zip(&texts).map(|((name, meaning), text)| Cell {
            name,
            meaning,
            text,
            inexact: false,
        });
        Some(
            mapper
                .candidate(self.record, cells, point)
                .map_err(|flaw| flaw.into_problem(self.record, Scope::Row)),
        )
    }

    fn bad_shape(&self, refusal: Refusal) -> Option<Item> {
        let mut problem = Problem::of_row(self.record, "", refusal.at("position"));
        problem.column = Some("geometry".into());
        Some(Err(problem))
    }
}

impl RowReader for ShapeReader {
    fn next_row(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        if self.done {
            return None;
        }
        if self.columns.is_none() {
            match mapper.columns_of_header(self.names(mapper), true) {
                Ok(columns) => self.columns = Some(columns),
                Err(flaw) => {
                    self.done = true;
                    return Some(Err(flaw.into_problem(0, Scope::File)));
                }
            }
        }
        loop {
            let (row, shape) = match (self.table.next(), self.next_shape()) {
                (Ok(row), Ok(shape)) => (row, shape),
                (Err(refusal), _) | (_, Err(refusal)) => return self.end_with(refusal),
            };
            let ended = match (&row, &shape) {
                (Next::End, Shape::End) if self.record >= self.table.promised => {
                    self.done = true;
                    return None;
                }
                (Next::CutOff | Next::End, Shape::CutOff | Shape::End)
                | (Next::CutOff, _)
                | (_, Shape::CutOff) => Some("shape.cut_off"),
                (Next::End, _) => Some("shape.table_short"),
                (_, Shape::End) => Some("shape.table_long"),
                _ => None,
            };
            if let Some(code) = ended {
                let refusal = Refusal::new(code).with("count", self.record).with("fits", self.table.promised);
                return self.end_with(refusal);
            }
            self.record += 1;
            if matches!(row, Next::Deleted) {
                self.deleted += 1;
                continue;
            }
            return match shape {
                Shape::Point(point) => self.candidate(Some(point), mapper),
                Shape::Null => self.bad_shape(Refusal::new("shape.null")),
                Shape::Other(kind) => self.bad_shape(Refusal::new("geometry.type").with("read", kind)),
                _ => self.bad_shape(Refusal::new("geometry.coordinates")),
            };
        }
    }

    fn declared(&self) -> Option<DeclaredCrs> {
        self.crs.clone()
    }

    fn tell(&self, findings: &mut Findings) {
        findings.encoding = Some(self.encoding);
        findings.crs = self.crs.clone();
        findings.deleted = self.deleted;
        findings.cut_texts = self.table.cut_texts();
    }
}

fn shape_of(content: &[u8]) -> Shape {
    let double =
        |at: usize| -> Option<f64> { content.get(at..at + 8)?.try_into().ok().map(f64::from_le_bytes) };
    let long =
        |at: usize| -> Option<u32> { content.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes) };
    let point = |at: usize, z: Option<f64>| match (double(at), double(at + 8)) {
        (Some(x), Some(y)) => Shape::Point(Point { x, y, z: z.filter(|z| z.is_finite() && *z > -1e38) }),
        _ => Shape::Damaged,
    };
    let Some(kind) = long(0) else { return Shape::Damaged };
    match kind {
        0 => Shape::Null,
        1 | 21 => point(4, None),
        11 => point(4, double(20)),
        // Box, count, points; then for Z the range of heights and the heights.
        8 | 28 | 18 => match long(36) {
            Some(1) => point(40, if kind == 18 { double(72) } else { None }),
            Some(0) => Shape::Null,
            Some(_) => Shape::Other(kind_name(kind)),
            None => Shape::Damaged,
        },
        _ => Shape::Other(kind_name(kind)),
    }
}
