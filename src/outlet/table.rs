//! Small tables for people: rows that are in memory already, as CSV or as a workbook.

use std::fs::File;
use std::path::Path;

use super::OutletError;
use crate::crs::CrsBook;
use crate::domain::Refusal;
use crate::domain::ids::Millis;
use crate::export::{Column, Format, Frame, Kind, Layer, Order, Row, Sink, Value, begin};

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Nothing,
    Text(String),
    Whole(i64),
    Real(f64),
    Time(Millis),
}

/// A column: its name for programs, and its heading as people say it in either language.
#[derive(Debug, Clone)]
pub struct TableColumn {
    pub name: &'static str,
    pub kind: TableKind,
    pub title_zh: String,
    pub title_en: String,
    pub heading: String,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Text,
    Whole,
    Real,
    Time,
}

/// A table as it is to be written.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: &'static str,
    pub columns: Vec<TableColumn>,
    pub rows: Vec<Vec<Cell>>,
    pub made_at: Millis,
    pub utc_offset_minutes: i32,
}

/// Writes a table; refuses a format that is none. `scratch` is a folder for what is written meanwhile.
pub fn write_table(table: &Table, format: Format, out: File, scratch: &Path) -> Result<(), OutletError> {
    let mut writer = TableWriter::begin(table, format, out, scratch)?;
    writer.rows(&table.rows)?;
    writer.finish()
}

/// A table of which the rows come bit by bit.
pub struct TableWriter(Box<dyn Sink>);

impl TableWriter {
    /// Begins the file with the headings; the rows of `table` are left aside.
    pub fn begin(table: &Table, format: Format, out: File, scratch: &Path) -> Result<Self, OutletError> {
        if !format.is_table() {
            let refusal =
                Refusal::new("format.unknown").at("format").with("read", format).with("fits", "csv, xlsx");
            return Err(refusal.into());
        }
        let column = |column: &TableColumn| Column {
            name: column.name,
            short: column.name,
            kind: match column.kind {
                TableKind::Text => Kind::Text,
                TableKind::Whole => Kind::Whole,
                TableKind::Real => Kind::Real,
                TableKind::Time => Kind::Time,
            },
            title_zh: column.title_zh.clone(),
            title_en: column.title_en.clone(),
        };
        let layer = Layer {
            name: table.name,
            title: table.name.to_owned(),
            columns: table.columns.iter().map(column).collect(),
            headings: table.columns.iter().map(|column| column.heading.clone()).collect(),
            made_at: table.made_at,
            utc_offset_minutes: table.utc_offset_minutes,
        };
        let frame = Frame::degrees(&CrsBook::built_in())?;
        Ok(Self(begin(Order { format, layer, frame, scratch }, out)?))
    }

    pub fn rows(&mut self, rows: &[Vec<Cell>]) -> Result<(), OutletError> {
        for row in rows {
            let values: Vec<Value<'_>> = row
                .iter()
                .map(|cell| match cell {
                    Cell::Nothing => Value::Null,
                    Cell::Text(text) => Value::text(text),
                    Cell::Whole(number) => Value::Whole(*number),
                    Cell::Real(number) => Value::from(*number),
                    Cell::Time(at) => Value::Time(*at),
                })
                .collect();
            self.0.row(&Row { place: None, values: &values })?;
        }
        Ok(())
    }

    pub fn finish(self) -> Result<(), OutletError> {
        self.0.finish()?;
        Ok(())
    }
}
