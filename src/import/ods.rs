//! OpenDocument spreadsheets as a stream, repeats and all.

use quick_xml::events::{BytesStart, Event};

use super::archive::{Archive, EntryReader};
use super::sheet::{MAX_COLUMNS, SheetCell, SheetRow, SheetRows};
use super::xml::{Xml, attribute, push_reference};
use super::{Problem, shown};
use crate::domain::Refusal;

/// Columns over which a repeated text is spread.
const MAX_REPEATED: usize = 1024;

pub(super) struct OdsRows {
    xml: Option<Xml<EntryReader>>,
    wanted: Option<String>,
    /// The sheet that is read.
    name: Option<String>,
    others: Vec<String>,
    reading: bool,
    /// Number of the row at hand.
    line: u64,
    /// A row that stands for several.
    repeated: Option<(SheetRow, u64)>,
}

pub(super) fn open(archive: &Archive, layer: Option<&str>) -> Result<OdsRows, Refusal> {
    let entry = archive
        .find("content.xml")
        .ok_or_else(|| Refusal::new("sheet.unreadable").with("reason", "content.xml"))?;
    Ok(OdsRows {
        xml: Some(Xml::new(archive.reader(entry)?)),
        wanted: layer.map(str::to_lowercase),
        name: None,
        others: Vec::new(),
        reading: false,
        line: 0,
        repeated: None,
    })
}

impl SheetRows for OdsRows {
    fn next_row(&mut self) -> Option<Result<SheetRow, Problem>> {
        if let Some((row, left)) = &mut self.repeated {
            *left -= 1;
            row.line += 1;
            let again = row.clone();
            if *left == 0 {
                self.repeated = None;
            }
            return Some(Ok(again));
        }
        match self.read_row() {
            Ok(row) => row.map(Ok),
            Err(refusal) => {
                self.xml = None;
                Some(Err(Problem::of_file(self.line, "", refusal)))
            }
        }
    }

    fn sheets(&self) -> (Option<String>, Vec<String>) {
        (self.name.clone(), self.others.clone())
    }
}

impl OdsRows {
    fn read_row(&mut self) -> Result<Option<SheetRow>, Refusal> {
        loop {
            let Some(xml) = &mut self.xml else { return Ok(None) };
            match xml.next()? {
                Event::Start(start) => match start.local_name().as_ref() {
                    "table" => {
                        let name = attribute(&start, "name").unwrap_or_default();
                        self.line = 0;
                        match &self.wanted {
                            Some(wanted) if name.to_lowercase() == *wanted => {
                                self.reading = true;
                                self.name = Some(name);
                            }
                            wanted => {
                                // Without a wish, the first sheet that has a row.
                                self.reading = wanted.is_none() && self.name.is_none();
                                self.others.push(name);
                            }
                        }
                    }
                    "table-row" if self.reading => {
                        let times = repeats(&start, "number-rows-repeated");
                        let row = self.read_cells(self.line + 1)?;
                        self.line += times;
                        if row.is_blank() {
                            continue;
                        }
                        if self.name.is_none() {
                            self.name = self.others.pop();
                        }
                        if times > 1 {
                            self.repeated = Some((row.clone(), times - 1));
                        }
                        return Ok(Some(row));
                    }
                    _ => {}
                },
                Event::End(end) if end.local_name().as_ref() == "table" => {
                    self.reading = false;
                }
                Event::Eof => {
                    self.xml = None;
                    if let (Some(wanted), None) = (&self.wanted, &self.name) {
                        return Err(Refusal::new("layer.unknown")
                            .at("layer")
                            .with("read", shown(wanted))
                            .with("fits", self.others.join(", ")));
                    }
                    return Ok(None);
                }
                _ => {}
            }
        }
    }

    /// The cells up to the end of a row.
    fn read_cells(&mut self, line: u64) -> Result<SheetRow, Refusal> {
        let mut row = SheetRow { line, cells: Vec::new(), merged_down: Vec::new() };
        let Some(xml) = &mut self.xml else { return Ok(row) };
        let cells = &mut row.cells;
        let mut blanks = 0_usize;
        loop {
            match xml.next()? {
                Event::Start(start) => {
                    let covered = start.local_name().as_ref() == "covered-table-cell";
                    if !covered && start.local_name().as_ref() != "table-cell" {
                        continue;
                    }
                    let times = repeats(&start, "number-columns-repeated") as usize;
                    let rows = repeats(&start, "number-rows-spanned");
                    let value = Value::of(&start);
                    let text = cell_text(xml)?;
                    let cell = if covered { SheetCell::default() } else { value.cell(text) };
                    if cell.is_blank() {
                        blanks = blanks.saturating_add(times);
                        continue;
                    }
                    if cells.len().saturating_add(blanks) >= MAX_COLUMNS {
                        continue;
                    }
                    cells.resize(cells.len() + blanks, SheetCell::default());
                    blanks = 0;
                    if rows > 1 {
                        row.merged_down.push((cells.len(), line + rows - 1));
                    }
                    cells.resize(cells.len() + times.min(MAX_REPEATED), cell);
                }
                Event::End(end) if end.local_name().as_ref() == "table-row" => return Ok(row),
                Event::Eof => return Err(Refusal::new("xml.truncated")),
                _ => {}
            }
        }
    }
}

/// How often something is meant; a sheet has a million rows at most.
fn repeats(start: &BytesStart<'_>, name: &str) -> u64 {
    attribute(start, name).and_then(|count| count.parse().ok()).unwrap_or(1).clamp(1, 1 << 20)
}

/// What a cell says of its value beside its text.
struct Value {
    kind: String,
    value: Option<String>,
}

impl Value {
    fn of(start: &BytesStart<'_>) -> Self {
        let kind = attribute(start, "value-type").unwrap_or_default();
        let value = match kind.as_str() {
            "float" | "percentage" | "currency" => attribute(start, "value"),
            "date" => attribute(start, "date-value"),
            "boolean" => attribute(start, "boolean-value"),
            "string" => attribute(start, "string-value"),
            _ => None,
        };
        Self { kind, value }
    }

    fn cell(self, text: String) -> SheetCell {
        match (self.kind.as_str(), self.value) {
            ("float" | "percentage" | "currency", Some(value)) => match value.parse::<f64>() {
                Ok(number) if number.is_finite() => SheetCell::number(number),
                _ => SheetCell::text(value),
            },
            ("date", Some(value)) => SheetCell::text(value.replace('T', " ").trim_end_matches(" 00:00:00")),
            (_, Some(value)) => SheetCell::text(value),
            // A formula that failed shows its error as a text.
            ("string" | "float", None) if text.starts_with('#') && text.ends_with(['!', '?']) => {
                SheetCell::error(text)
            }
            (_, None) => SheetCell::text(text),
        }
    }
}

/// The paragraphs of a cell, up to its end. Comments are not its text.
fn cell_text(xml: &mut Xml<EntryReader>) -> Result<String, Refusal> {
    let mut text = String::new();
    let mut depth = 1_usize;
    let mut paragraphs = 0_usize;
    let mut in_paragraph = 0_usize;
    let mut comment = None;
    loop {
        match xml.next()? {
            Event::Start(start) => {
                depth += 1;
                match start.local_name().as_ref() {
                    "annotation" if comment.is_none() => comment = Some(depth),
                    "p" if comment.is_none() => {
                        if paragraphs > 0 {
                            text.push('\n');
                        }
                        paragraphs += 1;
                        in_paragraph += 1;
                    }
                    "s" if comment.is_none() => {
                        let count = attribute(&start, "c").and_then(|count| count.parse().ok()).unwrap_or(1);
                        text.extend(std::iter::repeat_n(' ', usize::min(count, 1000)));
                    }
                    "tab" if comment.is_none() => text.push('\t'),
                    "line-break" if comment.is_none() => text.push('\n'),
                    _ => {}
                }
            }
            Event::End(end) => {
                if comment == Some(depth) {
                    comment = None;
                } else if comment.is_none() && end.local_name().as_ref() == "p" {
                    in_paragraph = in_paragraph.saturating_sub(1);
                }
                depth -= 1;
                if depth == 0 {
                    return Ok(text);
                }
            }
            Event::Text(part) if comment.is_none() && in_paragraph > 0 => {
                text.push_str(&part.xml10_content())
            }
            Event::CData(part) if comment.is_none() && in_paragraph > 0 => {
                text.push_str(&part.xml10_content())
            }
            Event::GeneralRef(reference) if comment.is_none() && in_paragraph > 0 => {
                push_reference(&mut text, &reference);
            }
            Event::Eof => return Err(Refusal::new("xml.truncated")),
            _ => {}
        }
        if text.len() > super::xml::MAX_EVENT {
            return Err(Refusal::new("xml.too_long"));
        }
    }
}
