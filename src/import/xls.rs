//! XLS (Excel 5 to 2003) as a stream: one row at a time out of the records of its sheet. Read here
//! rather than by the `calamine` crate, in which a damaged file of 6 kB took 21 GB of memory.

use std::io::{BufReader, Read};
use std::path::Path;

use super::biff::{Body, Records, Texts, broken, kind, old_text, read_shared};
use super::cfb::CompoundFile;
use super::merged::Merges;
use super::shared_texts::SharedTexts;
use super::sheet::{SheetCell, SheetRow, SheetRows, date_text};
use super::xlsx_parts::{is_date_format, shows_days};
use super::{Problem, choose_layer, shown};
use crate::domain::Refusal;

type Bytes = Box<dyn Read>;

const MAX_SHEETS: usize = 1000;
const MAX_STYLES: usize = 100_000;
/// Columns that a sheet of this kind can have.
const MAX_COLUMNS: usize = 256;

/// What stands before the sheets.
struct Book {
    /// Excel 5 and 95 have another form of texts.
    is_old: bool,
    code_page: u16,
    since_1904: bool,
    shared: SharedTexts,
    /// Whether a style shows numbers as days, by its index.
    date_styles: Vec<bool>,
    sheets: Vec<Sheet>,
}

struct Sheet {
    name: String,
    offset: u64,
    hidden: bool,
}

pub(super) struct XlsRows {
    records: Option<Records<BufReader<Bytes>>>,
    book: Book,
    merges: Merges,
    /// Charts within the sheet have a beginning and an end of their own.
    depth: usize,
    /// The row that is being put together; line 0 = none yet.
    row: SheetRow,
    /// Row, column and style of a formula whose text comes in a record of its own.
    text_of: Option<(u16, u16)>,
    /// The row that was read to see whether the sheet has any.
    first: Option<Result<SheetRow, Problem>>,
    name: String,
    others: Vec<String>,
}

/// Opens the sheet asked for, else the first that has a row.
pub(super) fn open(path: &Path, layer: Option<&str>) -> Result<XlsRows, Refusal> {
    let container = CompoundFile::open(path).map_err(|error| broken(shown(&error.to_string())))?;
    if container.has("EncryptedPackage") {
        return Err(Refusal::new("sheet.locked"));
    }
    let stream = || -> Result<Bytes, Refusal> {
        for name in ["Workbook", "Book"] {
            if let Some(stream) = container.stream(name).map_err(|error| super::unreadable(&error))? {
                return Ok(stream);
            }
        }
        Err(broken("no workbook in it"))
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut book = Book::read(stream()?, folder)?;
    let names: Vec<String> = book.sheets.iter().map(|sheet| sheet.name.clone()).collect();
    let wanted = match layer {
        Some(layer) => vec![choose_layer(&names, layer)?],
        None => (0..names.len()).filter(|at| !book.sheets[*at].hidden).collect(),
    };
    for (tried, at) in wanted.iter().enumerate() {
        let offset = book.sheets[*at].offset;
        let merges = read_merges(sheet_at(stream()?, offset)?)?;
        let others = names.iter().filter(|name| **name != names[*at]).cloned().collect();
        let mut rows = XlsRows {
            records: Some(sheet_at(stream()?, offset)?),
            book,
            merges,
            depth: 0,
            row: SheetRow { line: 0, cells: Vec::new(), merged_down: Vec::new() },
            text_of: None,
            first: None,
            name: names[*at].clone(),
            others,
        };
        rows.first = rows.read_row();
        if rows.first.is_some() || tried + 1 == wanted.len() {
            return Ok(rows);
        }
        book = rows.book;
    }
    Err(Refusal::new("file.empty"))
}

fn sheet_at(mut stream: Bytes, offset: u64) -> Result<Records<BufReader<Bytes>>, Refusal> {
    let skipped = std::io::copy(&mut (&mut stream).take(offset), &mut std::io::sink());
    skipped.map_err(|error| super::unreadable(&error))?;
    Records::new(BufReader::with_capacity(1 << 16, stream), offset)
}

/// Cells that are merged downwards stand behind the rows.
fn read_merges(mut records: Records<BufReader<Bytes>>) -> Result<Merges, Refusal> {
    let mut ranges: Vec<(u32, u32, u32)> = Vec::new();
    let mut depth = 0_usize;
    // What is broken is told by whoever reads the rows.
    while let Ok(Some(found)) = records.next() {
        let body = Body(&records.body);
        match found {
            kind::BOF => depth += 1,
            kind::EOF if depth <= 1 => break,
            kind::EOF => depth -= 1,
            kind::MERGED_CELLS if depth == 1 && ranges.len() < 1 << 20 => {
                for at in (0..usize::from(body.short(0))).map(|at| 2 + 8 * at) {
                    if at + 8 > body.len() {
                        break;
                    }
                    let (from, to, column) = (body.short(at), body.short(at + 2), body.short(at + 4));
                    ranges.push((u32::from(from) + 1, u32::from(to) + 1, u32::from(column)));
                }
            }
            _ => {}
        }
    }
    Ok(Merges::of(ranges.into_iter()))
}

impl Book {
    fn read(stream: Bytes, folder: &Path) -> Result<Self, Refusal> {
        let mut records = Records::new(BufReader::with_capacity(1 << 16, stream), 0)?;
        let mut book = Self {
            is_old: false,
            code_page: 1252,
            since_1904: false,
            shared: SharedTexts::new(folder),
            date_styles: Vec::new(),
            sheets: Vec::new(),
        };
        if records.next()? != Some(kind::BOF) {
            return Err(broken("BIFF"));
        }
        match Body(&records.body).short(0) {
            0x0600 => {}
            0x0500 => book.is_old = true,
            version => return Err(broken(format!("BIFF {version:#06x}"))),
        }
        let mut formats: Vec<(u16, bool)> = Vec::new();
        let mut styles: Vec<u16> = Vec::new();
        while let Some(found) = records.next()? {
            let body = Body(&records.body);
            match found {
                kind::EOF => break,
                kind::FILE_PASS => return Err(Refusal::new("sheet.locked")),
                kind::DATE_MODE => book.since_1904 = body.short(0) == 1,
                kind::CODE_PAGE => book.code_page = body.short(0),
                kind::FORMAT if formats.len() < MAX_STYLES => {
                    let number = body.short(0);
                    let code = if book.is_old {
                        old_text(tail(&records.body, 3, usize::from(body.byte(2))), book.code_page)
                    } else {
                        Texts::new(&mut records, 2).text()?
                    };
                    formats.push((number, shows_days(&code)));
                }
                kind::XF if styles.len() < MAX_STYLES => styles.push(body.short(2)),
                kind::BOUND_SHEET if book.sheets.len() < MAX_SHEETS => {
                    let (offset, hidden, is_sheet) = (body.long(0), body.byte(4) & 3 != 0, body.byte(5) == 0);
                    let count = usize::from(body.byte(6));
                    let name = match (book.is_old, body.byte(7) & 1) {
                        (true, _) => old_text(tail(&records.body, 7, count), book.code_page),
                        (false, 0) => {
                            tail(&records.body, 8, count).iter().map(|byte| char::from(*byte)).collect()
                        }
                        (false, _) => {
                            let units: Vec<u16> = (0..count).map(|at| body.short(8 + 2 * at)).collect();
                            String::from_utf16_lossy(&units)
                        }
                    };
                    // Charts and macros are no sheets.
                    if is_sheet {
                        book.sheets.push(Sheet { name, offset: u64::from(offset), hidden });
                    }
                }
                kind::SST => read_shared(&mut records, &mut book.shared)?,
                _ => {}
            }
        }
        let is_date = |format: &u16| {
            let own = formats.iter().find(|(known, _)| known == format);
            own.map_or_else(|| is_date_format(u32::from(*format)), |(_, days)| *days)
        };
        book.date_styles = styles.iter().map(is_date).collect();
        Ok(book)
    }

    fn number(&self, number: f64, style: u16) -> SheetCell {
        let is_date = self.date_styles.get(usize::from(style)).copied().unwrap_or(false);
        let date = if is_date { date_text(number, self.since_1904) } else { None };
        date.map_or_else(|| SheetCell::number(number), SheetCell::text)
    }
}

/// So many bytes from here on, as far as they are there.
fn tail(bytes: &[u8], from: usize, count: usize) -> &[u8] {
    let bytes = bytes.get(from..).unwrap_or_default();
    &bytes[..count.min(bytes.len())]
}

impl SheetRows for XlsRows {
    fn next_row(&mut self) -> Option<Result<SheetRow, Problem>> {
        self.first.take().or_else(|| self.read_row())
    }

    fn sheets(&self) -> (Option<String>, Vec<String>) {
        (Some(self.name.clone()), self.others.clone())
    }
}

impl XlsRows {
    /// The next row that is not blank.
    fn read_row(&mut self) -> Option<Result<SheetRow, Problem>> {
        loop {
            let found = match self.records.as_mut()?.next() {
                Ok(found) => found,
                Err(refusal) => return Some(self.broken_off(refusal)),
            };
            let ended = match found {
                None => true,
                Some(kind::BOF) => {
                    self.depth += 1;
                    false
                }
                Some(kind::EOF) => {
                    self.depth = self.depth.saturating_sub(1);
                    self.depth == 0
                }
                Some(_) if self.depth != 1 => false,
                Some(found) => match self.take(found) {
                    Ok(Some(row)) => return Some(Ok(row)),
                    Ok(None) => false,
                    Err(refusal) => return Some(self.broken_off(refusal)),
                },
            };
            if ended {
                self.records = None;
                return self.finish_row(0).map(Ok);
            }
        }
    }

    fn broken_off(&mut self, refusal: Refusal) -> Result<SheetRow, Problem> {
        self.records = None;
        Err(Problem::of_file(self.row.line, "", refusal))
    }

    /// Begins another row; answers the one before, unless it is blank.
    fn finish_row(&mut self, line: u64) -> Option<SheetRow> {
        let next = SheetRow { line, cells: Vec::new(), merged_down: Vec::new() };
        let mut row = std::mem::replace(&mut self.row, next);
        if row.line == 0 || row.is_blank() {
            return None;
        }
        row.merged_down = self.merges.begin(row.line);
        Some(row)
    }

    /// Takes a record of the sheet; answers the row before where another one begins.
    fn take(&mut self, found: u16) -> Result<Option<SheetRow>, Refusal> {
        let Some(records) = &mut self.records else { return Ok(None) };
        let book = &mut self.book;
        let body = Body(&records.body);
        let (row, column, style) = (body.short(0), body.short(2), body.short(4));
        let cell = match found {
            kind::LABEL_SST => {
                let mut text = String::new();
                book.shared.read(body.long(6) as usize, &mut text)?;
                SheetCell::text(text)
            }
            kind::LABEL | kind::RICH_STRING if book.is_old => {
                let bytes = tail(&records.body, 8, usize::from(body.short(6)));
                SheetCell::text(old_text(bytes, book.code_page))
            }
            kind::LABEL | kind::RICH_STRING => SheetCell::text(Texts::new(records, 6).text()?),
            kind::NUMBER => book.number(body.double(6), style),
            kind::RK => book.number(body.rk(6), style),
            kind::BOOL_ERR => value_or_error(body.byte(6), body.byte(7) != 0),
            kind::FORMULA => match (body.short(12), body.byte(6)) {
                (0xFFFF, 0) => {
                    self.text_of = Some((row, column));
                    return Ok(None);
                }
                (0xFFFF, what @ (1 | 2)) => value_or_error(body.byte(8), what == 2),
                (0xFFFF, _) => return Ok(None),
                _ => book.number(body.double(6), style),
            },
            kind::STRING => {
                let Some((row, column)) = self.text_of.take() else { return Ok(None) };
                let text = if book.is_old {
                    old_text(tail(&records.body, 2, usize::from(body.short(0))), book.code_page)
                } else {
                    Texts::new(records, 0).text()?
                };
                return Ok(self.put(row, column, SheetCell::text(text)));
            }
            kind::MUL_RK => {
                let count = body.len().saturating_sub(6) / 6;
                let numbers: Vec<SheetCell> = (0..count.min(MAX_COLUMNS))
                    .map(|at| book.number(body.rk(6 + 6 * at), body.short(4 + 6 * at)))
                    .collect();
                let mut before = None;
                for (at, number) in numbers.into_iter().enumerate() {
                    before = before.or(self.put(row, column.saturating_add(at as u16), number));
                }
                return Ok(before);
            }
            _ => return Ok(None),
        };
        Ok(self.put(row, column, cell))
    }

    fn put(&mut self, row: u16, column: u16, cell: SheetCell) -> Option<SheetRow> {
        let line = u64::from(row) + 1;
        let before = if line == self.row.line { None } else { self.finish_row(line) };
        let column = usize::from(column);
        if column < MAX_COLUMNS {
            if self.row.cells.len() <= column {
                self.row.cells.resize(column + 1, SheetCell::default());
            }
            self.row.cells[column] = cell;
        }
        before
    }
}

fn value_or_error(value: u8, is_error: bool) -> SheetCell {
    if !is_error {
        return SheetCell::text(if value == 0 { "false" } else { "true" });
    }
    SheetCell::error(match value {
        0x00 => "#NULL!",
        0x07 => "#DIV/0!",
        0x0F => "#VALUE!",
        0x17 => "#REF!",
        0x1D => "#NAME?",
        0x24 => "#NUM!",
        0x2A => "#N/A",
        _ => "#?",
    })
}
