//! GeoJSON (RFC 7946): a collection, one feature a line, or a text sequence (RFC 8142). What is unknown is
//! left out. Degrees are longitude first; degrees of CGCS2000 are taken for those of WGS 84, which is right
//! within a meter. Another system is named in the member `crs` as GeoJSON of 2008 had it: programs of
//! surveyors read that, and those that follow RFC 7946 to the letter do not.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::layer::{Layer, Row, Value};
use super::{ExportError, Format, Frame, Sink, Written, moment};
use crate::domain::Refusal;

/// Leads each feature of a text sequence.
const RECORD_SEPARATOR: u8 = 0x1e;

pub(super) struct GeoJsonSink {
    out: BufWriter<File>,
    format: Format,
    /// `"name":` of each column.
    names: Vec<String>,
    feature: Vec<u8>,
    written: Written,
}

impl GeoJsonSink {
    pub(super) fn begin(format: Format, layer: Layer, frame: &Frame, out: File) -> Result<Self, ExportError> {
        let mut out = BufWriter::with_capacity(1 << 18, out);
        let system = system_member(frame)?;
        if format == Format::GeoJson {
            write!(
                out,
                "{{\"type\":\"FeatureCollection\",\"name\":\"{}\",{system}\"features\":[",
                layer.name
            )?;
        } else if !system.is_empty() {
            // A line has no collection around it that could name the system.
            let refusal =
                Refusal::new("export.lines_in_degrees").at("crs").with("read", frame.crs().to_string());
            return Err(refusal.into());
        }
        let names = layer.columns.iter().map(|column| format!("\"{}\":", column.name)).collect();
        Ok(Self { out, format, names, feature: Vec::with_capacity(1024), written: Written::default() })
    }
}

/// Nothing for degrees that nobody asked for and for those of WGS 84.
fn system_member(frame: &Frame) -> Result<String, Refusal> {
    match (frame.is_declared(), frame.epsg()) {
        (false, _) | (true, Some(4326)) => Ok(String::new()),
        (true, Some(code)) => Ok(format!(
            "\"crs\":{{\"type\":\"name\",\"properties\":{{\"name\":\"urn:ogc:def:crs:EPSG::{code}\"}}}},"
        )),
        (true, None) => {
            Err(Refusal::new("export.system_without_code").at("crs").with("read", frame.crs().to_string()))
        }
    }
}

impl Sink for GeoJsonSink {
    fn row(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        let feature = &mut self.feature;
        feature.clear();
        match self.format {
            Format::GeoJson => {
                feature.extend_from_slice(if self.written.rows == 0 { b"\n" } else { b",\n" });
            }
            Format::GeoJsonSequence => feature.push(RECORD_SEPARATOR),
            _ => {}
        }
        feature.extend_from_slice(b"{\"type\":\"Feature\",\"geometry\":");
        match row.place {
            Some((x, y)) => write!(feature, "{{\"type\":\"Point\",\"coordinates\":[{x},{y}]}}")?,
            None => {
                self.written.without_place += 1;
                feature.extend_from_slice(b"null");
            }
        }
        feature.extend_from_slice(b",\"properties\":{");
        let mut first = true;
        for (name, value) in self.names.iter().zip(row.values) {
            if *value == Value::Null {
                continue;
            }
            if !std::mem::take(&mut first) {
                feature.push(b',');
            }
            feature.extend_from_slice(name.as_bytes());
            match value {
                Value::Null => {}
                Value::Text(text) => push_text(feature, text),
                Value::Json(object) => feature.extend_from_slice(object.as_bytes()),
                Value::Whole(number) => write!(feature, "{number}")?,
                Value::Real(number) => write!(feature, "{number}")?,
                Value::Yes(yes) => write!(feature, "{yes}")?,
                Value::Time(at) => match moment::utc(*at) {
                    Some(text) => push_text(feature, &text),
                    None => feature.extend_from_slice(b"null"),
                },
            }
        }
        feature.extend_from_slice(b"}}");
        if self.format != Format::GeoJson {
            feature.push(b'\n');
        }
        self.written.rows += 1;
        Ok(self.out.write_all(feature)?)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, ExportError> {
        if self.format == Format::GeoJson {
            self.out.write_all(b"\n]}\n")?;
        }
        self.out.flush()?;
        Ok(self.written)
    }
}

/// Chinese as it is, and escapes for what JSON wants escaped.
fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text is always JSON, and memory takes it");
}
