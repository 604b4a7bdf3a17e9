//! XLSX as a stream: one row at a time out of the sheet's XML. Not read by
//! `calamine`, which keeps all shared texts in memory, each with an allocation of its own.

use quick_xml::events::{BytesStart, Event};

use super::archive::{Archive, EntryReader};
use super::merged::Merges;
use super::shared_texts::SharedTexts;
use super::sheet::{MAX_COLUMNS, SheetCell, SheetRow, SheetRows, date_text};
use super::xlsx_parts::{Workbook, read_shared, read_styles, unescaped};
use super::xml::{Xml, attribute, push_reference};
use super::{Problem, choose_layer};
use crate::domain::Refusal;

pub(super) struct XlsxRows {
    xml: Option<Xml<EntryReader>>,
    shared: SharedTexts,
    /// Whether a style shows numbers as days, by its index.
    date_styles: Vec<bool>,
    since_1904: bool,
    /// The row that was read to see whether the sheet has any.
    first: Option<Result<SheetRow, Problem>>,
    /// Merged cells, which stand behind the rows: looked for when a row after the first is read.
    merges: Option<Merges>,
    archive: Archive,
    entry: String,
    line: u64,
    name: Option<String>,
    others: Vec<String>,
}

/// Opens the sheet asked for, else the first that has a row.
pub(super) fn open(archive: &Archive, layer: Option<&str>) -> Result<XlsxRows, Refusal> {
    let book = Workbook::read(archive)?;
    let names: Vec<String> = book.sheets.iter().map(|sheet| sheet.name.clone()).collect();
    let wanted = match layer {
        Some(layer) => vec![choose_layer(&names, layer)?],
        None => (0..names.len()).filter(|at| !book.sheets[*at].hidden).collect(),
    };
    let mut rows = XlsxRows {
        xml: None,
        shared: read_shared(archive)?,
        date_styles: read_styles(archive)?,
        since_1904: book.since_1904,
        first: None,
        merges: None,
        archive: archive.clone(),
        entry: String::new(),
        line: 0,
        name: None,
        others: Vec::new(),
    };
    for at in wanted {
        let Some(entry) = archive.find(&book.sheets[at].entry) else { continue };
        rows.entry = entry.name.clone();
        rows.xml = Some(Xml::new(archive.reader(entry)?));
        rows.line = 0;
        rows.first = rows.read_row();
        rows.name = Some(names[at].clone());
        rows.others = names.iter().filter(|name| **name != names[at]).cloned().collect();
        if rows.first.is_some() {
            break;
        }
    }
    Ok(rows)
}

impl SheetRows for XlsxRows {
    fn next_row(&mut self) -> Option<Result<SheetRow, Problem>> {
        if let Some(first) = self.first.take() {
            // The first row is a title or a header; what is merged there stays there.
            return Some(first);
        }
        if self.merges.is_none() {
            let sheet = self.archive.find(&self.entry).and_then(|entry| self.archive.reader(entry).ok());
            self.merges = Some(sheet.map(Merges::of_sheet).unwrap_or_default());
        }
        self.read_row()
    }

    fn begin_sample(&mut self) {
        self.merges = Some(Merges::default());
    }

    fn sheets(&self) -> (Option<String>, Vec<String>) {
        (self.name.clone(), self.others.clone())
    }
}

impl XlsxRows {
    /// The next row that is not blank.
    fn read_row(&mut self) -> Option<Result<SheetRow, Problem>> {
        loop {
            let xml = self.xml.as_mut()?;
            let line: Option<u64> = match xml.next() {
                Ok(Event::Start(start)) => match start.local_name().as_ref() {
                    "row" => attribute(&start, "r").and_then(|line| line.parse().ok()),
                    _ => continue,
                },
                Ok(Event::Eof) => {
                    self.xml = None;
                    return None;
                }
                Ok(_) => continue,
                Err(refusal) => {
                    self.xml = None;
                    return Some(Err(Problem::of_file(self.line, "", refusal)));
                }
            };
            self.line = line.unwrap_or(self.line + 1);
            match self.read_cells() {
                Ok(cells) => {
                    let merged_down =
                        self.merges.as_mut().map_or_else(Vec::new, |merges| merges.begin(self.line));
                    let row = SheetRow { line: self.line, cells, merged_down };
                    if !row.is_blank() {
                        return Some(Ok(row));
                    }
                }
                Err(refusal) => {
                    self.xml = None;
                    return Some(Err(Problem::of_file(self.line, "", refusal)));
                }
            }
        }
    }

    fn read_cells(&mut self) -> Result<Vec<SheetCell>, Refusal> {
        let Some(xml) = &mut self.xml else { return Ok(Vec::new()) };
        let mut cells: Vec<SheetCell> = Vec::new();
        let mut cell = CellStart::default();
        let mut text = String::new();
        let mut taking = false;
        let mut phonetic = false;
        let mut column = 0;
        loop {
            match xml.next()? {
                Event::Start(start) => match start.local_name().as_ref() {
                    "c" => {
                        cell = CellStart::of(&start);
                        column = cell.column.unwrap_or(column);
                        text.clear();
                    }
                    "v" | "t" => taking = !phonetic,
                    "rPh" => phonetic = true,
                    _ => {}
                },
                Event::Text(part) if taking => text.push_str(&part.xml10_content()),
                Event::CData(part) if taking => text.push_str(&part.xml10_content()),
                Event::GeneralRef(reference) if taking => push_reference(&mut text, &reference),
                Event::End(end) => match end.local_name().as_ref() {
                    "v" | "t" => taking = false,
                    "rPh" => phonetic = false,
                    "c" => {
                        if !text.is_empty() && column < MAX_COLUMNS {
                            let is_date = self.date_styles.get(cell.style).copied().unwrap_or(false);
                            let value =
                                value_of(cell.kind, &text, is_date, self.since_1904, &mut self.shared)?;
                            if cells.len() <= column {
                                cells.resize(column + 1, SheetCell::default());
                            }
                            cells[column] = value;
                        }
                        column += 1;
                    }
                    "row" => return Ok(cells),
                    _ => {}
                },
                Event::Eof => return Err(Refusal::new("xml.truncated")),
                _ => {}
            }
        }
    }
}

/// How the text of a cell is meant.
#[derive(Default, Clone, Copy)]
enum Kind {
    #[default]
    Number,
    Shared,
    Text,
    Truth,
    Error,
    Date,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "s" => Self::Shared,
            "str" | "inlineStr" => Self::Text,
            "b" => Self::Truth,
            "e" => Self::Error,
            "d" => Self::Date,
            _ => Self::Number,
        }
    }
}

#[derive(Default)]
struct CellStart {
    column: Option<usize>,
    kind: Kind,
    style: usize,
}

impl CellStart {
    fn of(start: &BytesStart<'_>) -> Self {
        let mut cell = Self::default();
        for attribute in start.attributes().with_checks(false).flatten() {
            match attribute.key.local_name().as_ref() {
                "r" => cell.column = column_of(&attribute.value),
                "t" => cell.kind = Kind::of(&attribute.value),
                "s" => cell.style = attribute.value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        cell
    }
}

/// `BC7` → 54.
pub(super) fn column_of(reference: &str) -> Option<usize> {
    let mut column = 0_usize;
    for letter in reference.bytes().take_while(u8::is_ascii_alphabetic).take(4) {
        column = column * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1;
    }
    column.checked_sub(1)
}

fn value_of(
    kind: Kind,
    text: &str,
    is_date: bool,
    since_1904: bool,
    shared: &mut SharedTexts,
) -> Result<SheetCell, Refusal> {
    Ok(match kind {
        Kind::Shared => {
            let mut said = String::new();
            if let Ok(at) = text.trim().parse() {
                shared.read(at, &mut said)?;
            }
            SheetCell::text(said)
        }
        Kind::Text => SheetCell::text(unescaped(text)),
        Kind::Truth => SheetCell::text(if text.trim() == "1" { "true" } else { "false" }),
        Kind::Error => SheetCell::error(text),
        Kind::Date => SheetCell::text(text.replace('T', " ")),
        Kind::Number => match text.trim().parse::<f64>() {
            Ok(number) if is_date => {
                date_text(number, since_1904).map_or_else(|| SheetCell::number(number), SheetCell::text)
            }
            Ok(number) if number.is_finite() => SheetCell::number(number),
            _ => SheetCell::text(text),
        },
    })
}
