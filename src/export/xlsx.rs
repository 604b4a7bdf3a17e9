//! XLSX for people: codes and tokens are texts, times are times on the city's clock, and a second kind of
//! sheet says what each column is. Rows go to scratch files as they come.

use std::fs::File;
use std::io;
use std::path::Path;

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, XlsxError};

use super::layer::{Kind, Layer, Row, Value};
use super::moment::Moment;
use super::{ExportError, Sink, Written};
use crate::domain::ids::Millis;

/// Rows of one sheet below its header: the format has no more.
const ROWS: u32 = 1_048_575;
/// Characters of one cell: the format has no more.
const CHARACTERS: usize = 32_767;

pub(super) struct XlsxSink {
    book: Workbook,
    out: File,
    layer: Layer,
    sheet: usize,
    /// Row that comes next on the sheet, 0 = its header.
    next: u32,
    header: Format,
    time: Format,
    written: Written,
}

impl XlsxSink {
    pub(super) fn begin(layer: Layer, out: File, scratch: &Path) -> Result<Self, ExportError> {
        let mut book = Workbook::new();
        book.set_tempdir(scratch).map_err(from_xlsx)?;
        // The same rows shall give the same bytes.
        let at = Moment::of(layer.made_at, 0);
        let made = at.and_then(|at| ExcelDateTime::from_ymd(at.year as u16, at.month, at.day).ok());
        if let Some(made) = made {
            book.set_properties(&DocProperties::new().set_creation_datetime(&made));
        }
        let mut sink = Self {
            book,
            out,
            layer,
            sheet: 0,
            next: 0,
            header: Format::new().set_bold(),
            time: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
            written: Written::default(),
        };
        sink.begin_sheet(1)?;
        Ok(sink)
    }

    fn begin_sheet(&mut self, number: usize) -> Result<(), ExportError> {
        let sheet = self.book.add_worksheet_with_constant_memory().map_err(from_xlsx)?;
        let name = match number {
            1 => self.layer.name.to_owned(),
            number => format!("{} {number}", self.layer.name),
        };
        sheet.set_name(name).and_then(|sheet| sheet.set_freeze_panes(1, 0)).map_err(from_xlsx)?;
        for (at, heading) in self.layer.headings.iter().enumerate() {
            sheet
                .write_string_with_format(0, at as u16, heading.as_str(), &self.header)
                .map_err(from_xlsx)?;
        }
        for (at, column) in self.layer.columns.iter().enumerate() {
            let width = match column.kind {
                Kind::Time => 20.0,
                Kind::Text => 18.0,
                _ => 12.0,
            };
            sheet.set_column_width(at as u16, width).map_err(from_xlsx)?;
        }
        self.sheet = number - 1;
        self.next = 1;
        Ok(())
    }

    /// What each column is, in both languages.
    fn write_legend(&mut self) -> Result<(), XlsxError> {
        let sheet = self.book.add_worksheet_with_constant_memory()?.set_name("fields")?;
        for (at, heading) in ["field", "中文", "English"].iter().enumerate() {
            sheet.write_string_with_format(0, at as u16, *heading, &self.header)?;
            sheet.set_column_width(at as u16, 28.0)?;
        }
        for (at, column) in self.layer.columns.iter().enumerate() {
            let row = at as u32 + 1;
            sheet.write_string(row, 0, column.name)?;
            sheet.write_string(row, 1, column.title_zh.as_str())?;
            sheet.write_string(row, 2, column.title_en.as_str())?;
        }
        Ok(())
    }
}

fn from_xlsx(error: XlsxError) -> ExportError {
    match error {
        XlsxError::IoError(error) => error.into(),
        XlsxError::ZipError(zip::result::ZipError::Io(error)) => error.into(),
        other => io::Error::other(other).into(),
    }
}

/// Days since 1899-12-30 on the city's clock.
fn serial(at: Millis, utc_offset_minutes: i32) -> Option<f64> {
    Moment::of(at, utc_offset_minutes).filter(|moment| moment.year >= 1900)?;
    let local = at.0 + i64::from(utc_offset_minutes) * 60_000;
    Some(local as f64 / 86_400_000.0 + 25_569.0)
}

impl Sink for XlsxSink {
    fn row(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        if self.next > ROWS {
            self.begin_sheet(self.sheet + 2)?;
        }
        let sheet = self.book.worksheet_from_index(self.sheet).map_err(from_xlsx)?;
        for (at, value) in row.values.iter().enumerate() {
            let column = at as u16;
            let done = match value {
                Value::Null => continue,
                Value::Text(text) | Value::Json(text) => match text.char_indices().nth(CHARACTERS) {
                    None => sheet.write_string(self.next, column, text.as_ref()),
                    Some((end, _)) => {
                        self.written.cut += 1;
                        sheet.write_string(self.next, column, &text[..end])
                    }
                },
                Value::Whole(number) => sheet.write_number(self.next, column, *number as f64),
                Value::Real(number) => sheet.write_number(self.next, column, *number),
                Value::Yes(yes) => sheet.write_boolean(self.next, column, *yes),
                Value::Time(at) => match serial(*at, self.layer.utc_offset_minutes) {
                    Some(days) => sheet.write_number_with_format(self.next, column, days, &self.time),
                    None => continue,
                },
            };
            done.map_err(from_xlsx)?;
        }
        self.next += 1;
        self.written.rows += 1;
        self.written.without_place += u64::from(row.place.is_none());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, ExportError> {
        self.write_legend().map_err(from_xlsx)?;
        self.book.save_to_writer(&mut self.out).map_err(from_xlsx)?;
        Ok(self.written)
    }
}
