//! Files out: the rows of a layer → bytes of CSV, XLSX, GeoJSON, GeoPackage or Shapefile, one row at a
//! time, so that memory does not grow with the city. Which rows there are and who may have them is
//! decided elsewhere.
//!
//! ```text
//! Frame::of(crs)? ─► begin(Order { format, layer, frame, … }, file)? ─► sink.row(&row)? … ─► sink.finish()?
//! ```

mod archive;
mod csv;
mod frame;
mod geojson;
mod geopackage;
mod layer;
mod moment;
mod pages;
mod rtree;
mod shapefile;
mod sorter;
mod xlsx;

use std::fs::File;
use std::io;
use std::path::Path;

pub use archive::{ArchiveReader, ArchiveWriter, Manifest};
pub use frame::Frame;
pub use layer::{Column, Kind, Layer, Row, Value};

use crate::domain::Refusal;
use crate::domain::names::named_enum;

named_enum! {
    /// What a file is written as.
    Format as "format" {
        Csv = "csv",
        Xlsx = "xlsx",
        GeoJson = "geojson",
        /// One feature a line.
        GeoJsonLines = "geojsonl",
        /// GeoJSON text sequence of RFC 8142: each feature led by a record separator.
        GeoJsonSequence = "geojsons",
        GeoPackage = "gpkg",
        /// Zipped, with everything that belongs to it.
        Shapefile = "shp",
    }
}

impl Format {
    /// What follows the dot in a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Format::Shapefile => "zip",
            other => other.as_str(),
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Format::GeoJson => "application/geo+json",
            Format::GeoJsonLines => "application/x-ndjson",
            Format::GeoJsonSequence => "application/geo+json-seq",
            Format::GeoPackage => "application/geopackage+sqlite3",
            Format::Shapefile => "application/zip",
        }
    }

    /// Whether a row is a line of a table, whose position stands in columns like everything else.
    pub const fn is_table(self) -> bool {
        matches!(self, Format::Csv | Format::Xlsx)
    }
}

/// Why a file was not written to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the file could not be written")]
    Write(#[from] io::Error),
}

/// What became of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    /// Rows without a point: there is none, or it lies where the wanted system is not used.
    pub without_place: u64,
    /// Texts that the format cuts off; a Shapefile brings them whole in a table beside it.
    pub cut: u64,
}

/// A file on its way out.
pub trait Sink: Send {
    /// The values are as many as the layer's columns and in their order.
    fn row(&mut self, row: &Row<'_>) -> Result<(), ExportError>;
    /// Completes the file; it is in the hands of the operating system, not yet synced.
    fn finish(self: Box<Self>) -> Result<Written, ExportError>;
}

/// What is to be written.
pub struct Order<'a> {
    pub format: Format,
    pub layer: Layer,
    pub frame: Frame,
    /// A folder for what does not fit into memory while the file is written; nothing stays there.
    pub scratch: &'a Path,
}

/// Begins a file. Refuses a reference system that the format cannot name.
pub fn begin(order: Order<'_>, out: File) -> Result<Box<dyn Sink>, ExportError> {
    let Order { format, layer, frame, scratch } = order;
    Ok(match format {
        Format::Csv => Box::new(csv::CsvSink::begin(layer, out)?),
        Format::Xlsx => Box::new(xlsx::XlsxSink::begin(layer, out, scratch)?),
        Format::GeoJson | Format::GeoJsonLines | Format::GeoJsonSequence => {
            Box::new(geojson::GeoJsonSink::begin(format, layer, &frame, out)?)
        }
        Format::GeoPackage => Box::new(geopackage::GeoPackageSink::begin(layer, &frame, out, scratch)?),
        Format::Shapefile => Box::new(shapefile::ShapefileSink::begin(layer, &frame, out, scratch)?),
    })
}
