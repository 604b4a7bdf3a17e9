//! Polygons of a Shapefile → features. Rings are sorted by where they lie ([`super::rings`]).

use std::io::Read;

use super::super::dbf::{self, Next};
use super::super::shapefile::{Layer, Parts};
use super::super::{Told, shown_bytes, unreadable};
use super::features::{Feature, Features, FoundAlong, RawRing, no_polygon};
use super::rings::sort_rings;
use crate::domain::Refusal;

/// Bytes of one record.
const MOST_RECORD: u64 = 128 << 20;

pub(super) fn read(parts: &Parts<'_>, told: &Told, features: &mut Features) -> Result<FoundAlong, Refusal> {
    let Layer { mut shapes, kind, mut table, encoding, crs } = Layer::open(parts, told)?;
    if !matches!(kind, 0 | 5 | 15 | 25) {
        return Err(no_polygon(super::super::shapefile::kind_name(kind)));
    }
    let fields = table.fields.clone();
    let names: Vec<String> = fields.iter().map(|field| table.name(field, encoding.encoding)).collect();
    let mut line = 0;
    loop {
        let row = table.next()?;
        let shape = next_shape(&mut shapes)?;
        match (&row, &shape) {
            (Next::End, Record::End) if line >= table.promised => break,
            (Next::CutOff, _) | (_, Record::CutOff) | (Next::End, Record::End) => {
                return Err(ended("shape.cut_off", line, table.promised));
            }
            (Next::End, _) => return Err(ended("shape.table_short", line, table.promised)),
            (_, Record::End) => return Err(ended("shape.table_long", line, table.promised)),
            _ => {}
        }
        line += 1;
        if matches!(row, Next::Deleted) {
            continue;
        }
        let mut cells = Vec::with_capacity(fields.len());
        for (field, name) in fields.iter().zip(&names) {
            let text = table.text(field, encoding.encoding).map_err(|raw| {
                let refusal = Refusal::new("text.misfit").with("column", name);
                refusal.with("encoding", encoding.encoding).with("read", shown_bytes(raw))
            })?;
            cells.push((name.clone(), text));
        }
        let shape = match shape {
            Record::Shape(content) => rings_of(&content).and_then(sort_rings),
            _ => Err(Refusal::new("geometry.coordinates").at("geometry")),
        };
        features.push(Feature { line, cells, shape })?;
    }
    Ok(FoundAlong { encoding: Some(encoding), crs, layer: None })
}

fn ended(code: &'static str, line: u64, promised: u64) -> Refusal {
    Refusal::new(code).with("count", line).with("fits", promised)
}

enum Record {
    Shape(Vec<u8>),
    /// Longer than any outline is.
    TooLong,
    End,
    CutOff,
}

fn next_shape(shapes: &mut impl Read) -> Result<Record, Refusal> {
    let mut head = [0; 8];
    match shapes.read(&mut head[..1]) {
        Ok(0) => return Ok(Record::End),
        Ok(_) => {}
        Err(error) => return Err(unreadable(&error)),
    }
    if !dbf::read_whole(shapes, &mut head[1..])? {
        return Ok(Record::CutOff);
    }
    let words = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let length = u64::from(words) * 2;
    let mut content = Vec::new();
    let read = |error: std::io::Error| unreadable(&error);
    shapes.take(length.min(MOST_RECORD)).read_to_end(&mut content).map_err(read)?;
    if length > MOST_RECORD {
        let skipped =
            std::io::copy(&mut shapes.take(length - MOST_RECORD), &mut std::io::sink()).map_err(read)?;
        return Ok(if skipped < length - MOST_RECORD { Record::CutOff } else { Record::TooLong });
    }
    Ok(if (content.len() as u64) < length { Record::CutOff } else { Record::Shape(content) })
}

/// The rings of a polygon: kind, box, counts, where each ring begins, corners; heights behind are read over.
fn rings_of(content: &[u8]) -> Result<Vec<RawRing>, Refusal> {
    let damaged = || Refusal::new("geometry.coordinates").at("geometry");
    let long = |at: usize| -> Option<usize> {
        let bytes = content.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    match long(0).ok_or_else(damaged)? {
        5 | 15 | 25 => {}
        0 => return Err(Refusal::new("shape.null").at("geometry")),
        _ => return Err(damaged()),
    }
    let (ring_count, corner_count) = (long(36).ok_or_else(damaged)?, long(40).ok_or_else(damaged)?);
    let corners_at = ring_count.checked_mul(4).and_then(|bytes| bytes.checked_add(44)).ok_or_else(damaged)?;
    let end =
        corner_count.checked_mul(16).and_then(|bytes| bytes.checked_add(corners_at)).ok_or_else(damaged)?;
    let corners = content.get(corners_at..end).ok_or_else(damaged)?;
    let starts: Option<Vec<usize>> = (0..ring_count).map(|ring| long(44 + ring * 4)).collect();
    let mut starts = starts.ok_or_else(damaged)?;
    starts.push(corner_count);
    let mut rings = Vec::with_capacity(ring_count);
    for ends in starts.windows(2) {
        if ends[0] > ends[1] || ends[1] > corner_count {
            return Err(damaged());
        }
        rings.push(corners[ends[0] * 16..ends[1] * 16].chunks_exact(16).map(corner).collect());
    }
    Ok(rings)
}

fn corner(bytes: &[u8]) -> [f64; 2] {
    let double = |at: usize| bytes[at..at + 8].try_into().map_or(f64::NAN, f64::from_le_bytes);
    [double(0), double(8)]
}

/// Whether a layer may hold areas.
pub(super) fn may_hold(parts: &Parts<'_>) -> Result<bool, Refusal> {
    let kind = super::super::shapefile::other_kind(parts)?;
    Ok(kind.is_some_and(|kind| kind.starts_with("Polygon")))
}
