//! CSV: UTF-8 with a byte order mark, which is how Excel tells it from the code page of the country; RFC
//! 4180 otherwise. A text that a spreadsheet would carry out as a formula is led by an apostrophe, which the
//! profile `lidmark-csv` takes away again. Codes are turned into numbers there, which loses their last digits:
//! whoever works in a spreadsheet takes XLSX, where a text is a text.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::layer::{Layer, Row, Value};
use super::{ExportError, Sink, Written, moment};
use crate::domain::formula::guarded;

pub(super) struct CsvSink {
    out: csv::Writer<BufWriter<File>>,
    utc_offset_minutes: i32,
    cell: Vec<u8>,
    written: Written,
}

impl CsvSink {
    pub(super) fn begin(layer: Layer, out: File) -> Result<Self, ExportError> {
        let mut out = BufWriter::with_capacity(1 << 18, out);
        out.write_all("\u{feff}".as_bytes())?;
        let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        out.write_record(&layer.headings).map_err(from_csv)?;
        Ok(Self {
            out,
            utc_offset_minutes: layer.utc_offset_minutes,
            cell: Vec::new(),
            written: Written::default(),
        })
    }
}

fn from_csv(error: csv::Error) -> ExportError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => std::io::Error::other(format!("{other:?}")).into(),
    }
}

impl Sink for CsvSink {
    fn row(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        self.written.rows += 1;
        self.written.without_place += u64::from(row.place.is_none());
        for value in row.values {
            self.cell.clear();
            match value {
                Value::Null => {}
                Value::Text(text) | Value::Json(text) => {
                    self.cell.extend_from_slice(guarded(text).as_bytes());
                }
                Value::Whole(number) => write!(self.cell, "{number}")?,
                Value::Real(number) => write!(self.cell, "{number}")?,
                Value::Yes(yes) => write!(self.cell, "{yes}")?,
                Value::Time(at) => {
                    let text = moment::local(*at, self.utc_offset_minutes).unwrap_or_default();
                    self.cell.extend_from_slice(text.as_bytes());
                }
            }
            self.out.write_field(&self.cell).map_err(from_csv)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(from_csv)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, ExportError> {
        self.out.flush()?;
        Ok(self.written)
    }
}
