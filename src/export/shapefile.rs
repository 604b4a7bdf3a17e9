//! Zipped Shapefile: points, their attributes in a dBASE table in UTF-8 that says so (`.cpg`), the system as
//! ESRI spells it (`.prj`), and a table of what the ten-letter names of its fields stand for. Fields are as
//! wide as their longest text, which is known when all rows were seen, so rows wait in a scratch file. A
//! text beyond the 254 bytes of a field is cut off there and stands whole in a table beside it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::layer::{Column, Kind, Layer, Row, Value};
use super::moment::{self, Moment};
use super::{ExportError, Frame, Sink, Written};
use crate::crs::Wkt;
use crate::domain::Refusal;
use crate::domain::formula::guarded;

/// Bytes of the widest field.
const WIDEST: usize = 254;
/// Bytes of the largest file of a shapefile: its lengths are 32 bits with a sign.
const LARGEST: u64 = i32::MAX as u64;
/// Digits behind the point of a number in a table, at most.
const DECIMALS: usize = 15;
const NULL: u32 = u32::MAX;

pub(super) struct ShapefileSink {
    out: File,
    layer: Layer,
    prj: String,
    rows: BufWriter<File>,
    fields: Vec<Field>,
    bounds: Option<[f64; 4]>,
    cell: String,
    written: Written,
}

/// How wide a field must be.
#[derive(Debug, Clone, Copy, Default)]
struct Field {
    width: usize,
    decimals: usize,
}

impl ShapefileSink {
    pub(super) fn begin(layer: Layer, frame: &Frame, out: File, scratch: &Path) -> Result<Self, ExportError> {
        let crs = frame.crs();
        let prj = crs.wkt(Wkt::Esri).ok_or_else(|| {
            Refusal::new("export.system_unwritable").at("crs").with("read", crs.to_string())
        })?;
        let rows = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(scratch)?);
        let fields = vec![Field::default(); layer.columns.len()];
        Ok(Self {
            out,
            layer,
            prj,
            rows,
            fields,
            bounds: None,
            cell: String::new(),
            written: Written::default(),
        })
    }
}

impl Sink for ShapefileSink {
    fn row(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        self.written.rows += 1;
        let (x, y) = row.place.unwrap_or((f64::NAN, f64::NAN));
        self.rows.write_all(&x.to_le_bytes())?;
        self.rows.write_all(&y.to_le_bytes())?;
        if row.place.is_some() {
            let [west, south, east, north] = self.bounds.unwrap_or([x, y, x, y]);
            self.bounds = Some([west.min(x), south.min(y), east.max(x), north.max(y)]);
        } else {
            self.written.without_place += 1;
        }
        for (value, field) in row.values.iter().zip(&mut self.fields) {
            self.cell.clear();
            if !say(value, self.layer.utc_offset_minutes, &mut self.cell) {
                self.rows.write_all(&NULL.to_le_bytes())?;
                continue;
            }
            if let (Value::Real(_), Some(point)) = (value, self.cell.find('.')) {
                // Every number of a column is written with as many decimals as the longest.
                field.decimals = field.decimals.max(self.cell.len() - point - 1);
                field.width = field.width.max(point);
            } else {
                field.width = field.width.max(self.cell.len());
            }
            self.written.cut += u64::from(self.cell.len() > WIDEST);
            self.rows.write_all(&(self.cell.len() as u32).to_le_bytes())?;
            self.rows.write_all(self.cell.as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, ExportError> {
        let Self { out, layer, prj, rows, fields, bounds, written, .. } = *self;
        let table = Table::new(&layer.columns, &fields);
        let (count, nulls) = (written.rows, written.without_place);
        // In words of two bytes.
        let length = 50 + 14 * (count - nulls) + 6 * nulls;
        if (2 * length).max(table.length(count)) > LARGEST {
            return Err(Refusal::new("export.shapefile_large").with("rows", count).into());
        }
        let mut rows = rows.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut zip = ZipWriter::new(BufWriter::with_capacity(1 << 18, out));
        let name = layer.name;
        let width = fields.len();
        let begin = |zip: &mut Zip, part: &str| {
            zip.start_file(format!("{name}{part}"), SimpleFileOptions::default()).map_err(from_zip)
        };

        begin(&mut zip, ".shp")?;
        zip.write_all(&header(length, bounds))?;
        each_row(&mut rows, width, |number, row| {
            zip.write_all(&number.to_be_bytes())?;
            match row.place {
                Some((x, y)) => {
                    // Ten words: a point.
                    zip.write_all(&10u32.to_be_bytes())?;
                    zip.write_all(&1u32.to_le_bytes())?;
                    zip.write_all(&x.to_le_bytes())?;
                    zip.write_all(&y.to_le_bytes())
                }
                None => {
                    zip.write_all(&2u32.to_be_bytes())?;
                    zip.write_all(&0u32.to_le_bytes())
                }
            }
        })?;
        begin(&mut zip, ".shx")?;
        zip.write_all(&header(50 + 4 * count, bounds))?;
        let mut at = 50u32;
        each_row(&mut rows, width, |_, row| {
            let words: u32 = if row.place.is_some() { 10 } else { 2 };
            zip.write_all(&at.to_be_bytes())?;
            zip.write_all(&words.to_be_bytes())?;
            at += words + 4;
            Ok(())
        })?;
        begin(&mut zip, ".dbf")?;
        let made = Moment::of(layer.made_at, layer.utc_offset_minutes);
        zip.write_all(&table.header(count as u32, made))?;
        let mut line = Vec::with_capacity(table.row_length as usize);
        each_row(&mut rows, width, |_, row| {
            table.line(row, &mut line);
            zip.write_all(&line)
        })?;
        zip.write_all(&[0x1a])?;
        begin(&mut zip, ".prj")?;
        zip.write_all(prj.as_bytes())?;
        begin(&mut zip, ".cpg")?;
        zip.write_all(b"UTF-8")?;
        begin(&mut zip, "-fields.csv")?;
        zip.write_all(&table.legend(&layer.columns)?)?;
        if written.cut > 0 {
            let options = SimpleFileOptions::default().large_file(true);
            zip.start_file(format!("{name}-long.csv"), options).map_err(from_zip)?;
            zip.write_all("\u{feff}row,field,value\r\n".as_bytes())?;
            each_row(&mut rows, width, |number, row| {
                for (column, cell) in layer.columns.iter().zip(&row.cells) {
                    if let Some(text) = cell.as_deref().filter(|text| text.len() > WIDEST) {
                        let quoted = guarded(text).replace('"', "\"\"");
                        write!(zip, "{number},{},\"{quoted}\"\r\n", column.name)?;
                    }
                }
                Ok(())
            })?;
        }
        zip.finish().map_err(from_zip)?.flush()?;
        Ok(written)
    }
}

type Zip = ZipWriter<BufWriter<File>>;

fn from_zip(error: zip::result::ZipError) -> ExportError {
    match error {
        zip::result::ZipError::Io(error) => error.into(),
        other => io::Error::other(other).into(),
    }
}

/// Says a value as a table has it; `false` when it is unknown.
fn say(value: &Value<'_>, utc_offset_minutes: i32, cell: &mut String) -> bool {
    use std::fmt::Write;
    let said = match value {
        Value::Null => return false,
        Value::Text(text) | Value::Json(text) => {
            cell.push_str(text);
            Ok(())
        }
        Value::Whole(number) => write!(cell, "{number}"),
        Value::Real(number) => write!(cell, "{number}"),
        Value::Yes(yes) => {
            cell.push(if *yes { 'T' } else { 'F' });
            Ok(())
        }
        Value::Time(at) => match moment::local(*at, utc_offset_minutes) {
            Some(text) => {
                cell.push_str(&text);
                Ok(())
            }
            None => return false,
        },
    };
    said.is_ok()
}

/// The header of `.shp` and `.shx`: points, how many words the file has, and the box around them.
fn header(words: u64, bounds: Option<[f64; 4]>) -> [u8; 100] {
    let mut header = [0; 100];
    header[..4].copy_from_slice(&9994u32.to_be_bytes());
    header[24..28].copy_from_slice(&(words as u32).to_be_bytes());
    header[28..32].copy_from_slice(&1000u32.to_le_bytes());
    header[32..36].copy_from_slice(&1u32.to_le_bytes());
    for (bound, bytes) in bounds.unwrap_or_default().iter().zip(header[36..68].chunks_exact_mut(8)) {
        bytes.copy_from_slice(&bound.to_le_bytes());
    }
    header
}

/// A row that waited.
struct Waiting {
    place: Option<(f64, f64)>,
    cells: Vec<Option<String>>,
}

/// Goes through the rows once more, numbered from 1.
fn each_row(
    rows: &mut File,
    width: usize,
    mut take: impl FnMut(u32, &Waiting) -> io::Result<()>,
) -> Result<(), ExportError> {
    rows.rewind()?;
    let mut input = BufReader::with_capacity(1 << 18, rows);
    let mut row = Waiting { place: None, cells: vec![None; width] };
    let mut number = 0;
    loop {
        let mut word = [0; 8];
        match input.read_exact(&mut word) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let x = f64::from_le_bytes(word);
        input.read_exact(&mut word)?;
        row.place = (!x.is_nan()).then_some((x, f64::from_le_bytes(word)));
        for cell in &mut row.cells {
            let mut length = [0; 4];
            input.read_exact(&mut length)?;
            let length = u32::from_le_bytes(length);
            if length == NULL {
                *cell = None;
                continue;
            }
            let mut bytes = cell.take().unwrap_or_default().into_bytes();
            bytes.resize(length as usize, 0);
            input.read_exact(&mut bytes)?;
            *cell = Some(String::from_utf8(bytes).map_err(io::Error::other)?);
        }
        number += 1;
        take(number, &row)?;
    }
}

/// A dBASE III table.
struct Table {
    fields: Vec<TableField>,
    row_length: u64,
}

struct TableField {
    short: &'static str,
    kind: u8,
    width: usize,
    decimals: usize,
}

impl Table {
    fn new(columns: &[Column], fields: &[Field]) -> Self {
        let fields: Vec<TableField> = columns
            .iter()
            .zip(fields)
            .map(|(column, field)| {
                let decimals = field.decimals.min(DECIMALS);
                let (kind, width, decimals) = match column.kind {
                    Kind::Text | Kind::Json | Kind::Time => (b'C', field.width, 0),
                    Kind::Whole => (b'N', field.width, 0),
                    // Room for the point and what is behind it.
                    Kind::Real => (b'N', field.width + 1 + decimals.max(1), decimals.max(1)),
                    Kind::Yes => (b'L', 1, 0),
                };
                TableField { short: column.short, kind, width: width.clamp(1, WIDEST), decimals }
            })
            .collect();
        // Each row begins with the mark of those that are deleted.
        let row_length = 1 + fields.iter().map(|field| field.width as u64).sum::<u64>();
        Self { fields, row_length }
    }

    fn header_length(&self) -> u64 {
        32 + 32 * self.fields.len() as u64 + 1
    }

    fn length(&self, count: u64) -> u64 {
        self.header_length() + self.row_length * count + 1
    }

    fn header(&self, count: u32, made: Option<Moment>) -> Vec<u8> {
        let mut header = vec![0; 32];
        header[0] = 0x03;
        if let Some(made) = made {
            header[1..4].copy_from_slice(&[(made.year - 1900).clamp(0, 255) as u8, made.month, made.day]);
        }
        header[4..8].copy_from_slice(&count.to_le_bytes());
        header[8..10].copy_from_slice(&(self.header_length() as u16).to_le_bytes());
        header[10..12].copy_from_slice(&(self.row_length as u16).to_le_bytes());
        for field in &self.fields {
            let mut entry = [0; 32];
            entry[..field.short.len()].copy_from_slice(field.short.as_bytes());
            entry[11] = field.kind;
            entry[16] = field.width as u8;
            entry[17] = field.decimals as u8;
            header.extend_from_slice(&entry);
        }
        header.push(0x0d);
        header
    }

    fn line(&self, row: &Waiting, line: &mut Vec<u8>) {
        line.clear();
        line.push(b' ');
        for (field, cell) in self.fields.iter().zip(&row.cells) {
            let start = line.len();
            let text = cell.as_deref();
            match field.kind {
                b'C' => line.extend_from_slice(kept(text.unwrap_or_default()).as_bytes()),
                b'L' => line.extend_from_slice(text.unwrap_or("?").as_bytes()),
                _ => {
                    let text = text.map(|text| decimal(text, field.decimals)).unwrap_or_default();
                    // Numbers stand at the right.
                    line.resize(start + field.width.saturating_sub(text.len()), b' ');
                    line.extend_from_slice(text.as_bytes());
                }
            }
            line.resize(start + field.width, b' ');
        }
    }

    /// What the fields stand for.
    fn legend(&self, columns: &[Column]) -> Result<Vec<u8>, ExportError> {
        let mut out = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer("\u{feff}".as_bytes().to_vec());
        let written =
            out.write_record(["field", "name", "中文", "English", "type", "width"]).and_then(|()| {
                columns.iter().zip(&self.fields).try_for_each(|(column, field)| {
                    out.write_record([
                        column.short,
                        column.name,
                        &column.title_zh,
                        &column.title_en,
                        &char::from(field.kind).to_string(),
                        &field.width.to_string(),
                    ])
                })
            });
        written.map_err(io::Error::other)?;
        Ok(out.into_inner().map_err(|error| io::Error::other(error.to_string()))?)
    }
}

/// As many of a text's characters as a field holds.
fn kept(text: &str) -> &str {
    &text[..text.floor_char_boundary(WIDEST)]
}

/// A number with so many decimals; a whole one stays whole where the column holds whole ones.
fn decimal(text: &str, decimals: usize) -> String {
    match text.parse::<f64>() {
        Ok(number) if decimals > 0 => format!("{number:.decimals$}"),
        _ => text.to_owned(),
    }
}
