//! One feature of GeoJSON: where it begins and ends, and what is in it.

use std::borrow::Cow;
use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::declared::DeclaredCrs;
use super::mapping::{Cell, Flaw, Mapper, Meaning};
use super::place::Point;
use super::shown;
use crate::domain::Refusal;
use crate::domain::cover::Candidate;

/// A feature longer than this is a problem; so is a collection with a longer preamble.
pub(super) const MAX_FEATURE: usize = 1 << 20;

/// What was cut off the stream.
pub(super) enum Cut {
    /// The next so many bytes from `start`.
    Whole(usize),
    /// The input ended before the thing did.
    Ended,
    TooLong,
    /// A line break inside a string: no thing ends where its braces seem to say.
    Broken,
}

/// Follows strings and depth through JSON.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) depth: i64,
    pub(super) in_text: bool,
    escaped: bool,
}

impl Scan {
    /// Begins inside so many braces.
    pub(super) fn within(depth: i64) -> Self {
        Self { depth, ..Self::default() }
    }

    /// `true` = a line break inside a string, which JSON does not allow.
    pub(super) fn step(&mut self, byte: u8) -> bool {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                b'\n' => return true,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        false
    }
}

pub(super) fn refusal_of(cut: &Cut) -> Refusal {
    Refusal::new(match cut {
        Cut::Whole(_) | Cut::Ended => "json.truncated",
        Cut::TooLong => "row.too_long",
        Cut::Broken => "json.line_break",
    })
}

pub(super) fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::new("json.unreadable").with("reason", error)
}

/// Bytes within which the visible beginning of a feature fits.
pub(super) const FEATURE_START_MAX: usize = 64;

/// Where `{"type":"Feature"` begins, blanks allowed.
pub(super) fn find_feature(data: &[u8]) -> Option<usize> {
    (0..data.len()).find(|at| data[*at] == b'{' && starts_feature(&data[*at..]))
}

/// Where the next text of a sequence can begin: behind a record separator, or with a line.
pub(super) fn find_text(data: &[u8]) -> Option<usize> {
    (0..data.len()).find(|at| {
        let starts_line = *at > 0 && matches!(data[*at - 1], b'\n' | 0x1E);
        data[*at] == b'{' && (starts_line || starts_feature(&data[*at..]))
    })
}

pub(super) fn starts_feature(data: &[u8]) -> bool {
    let mut rest = &data[..data.len().min(FEATURE_START_MAX)];
    for token in [&b"{"[..], b"\"type\"", b":", b"\"Feature\""] {
        match rest.trim_ascii_start().strip_prefix(token) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// Whether this object says that it is a feature, wherever its `type` stands.
pub(super) fn is_feature(data: &[u8]) -> bool {
    starts_feature(data)
        || serde_json::from_slice::<Top>(data).is_ok_and(|top| top.kind.as_deref() == Some("Feature"))
}

#[derive(Deserialize)]
pub(super) struct Top {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) crs: Option<Value>,
}

/// What a `crs` member declares, in any of the forms that GeoJSON had before RFC 7946. `None` = nothing.
pub(super) fn declared_in(crs: &Value) -> Option<DeclaredCrs> {
    let said = |name: &str| crs.get("properties").and_then(|properties| properties.get(name));
    match crs {
        Value::Null => None,
        Value::String(name) => Some(DeclaredCrs::of_name(name.clone())),
        _ => {
            let code = said("code").and_then(Value::as_u64).and_then(|code| code.try_into().ok());
            let text = ["name", "code", "href"].iter().find_map(|name| said(name).and_then(Value::as_str));
            Some(match (code, text) {
                (Some(code), _) => DeclaredCrs::of_epsg(code),
                (None, Some(text)) => DeclaredCrs::of_name(text.to_owned()),
                (None, None) => DeclaredCrs::of_name(shown(&crs.to_string())),
            })
        }
    }
}

/// The `crs` member that stands behind the features, among the last bytes of a file.
pub(super) fn late_crs(path: &Path) -> Option<DeclaredCrs> {
    const TAIL: u64 = 4096;
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let key = b"\"crs\"";
    let at = tail.windows(key.len()).rposition(|window| window == key)?;
    // Of a collection, and not of the properties of its last feature: nothing but the end of the
    // features may stand before it.
    let before = tail[..at].trim_ascii_end().strip_suffix(b",")?.trim_ascii_end();
    let behind = tail[at + key.len()..].trim_ascii_start().strip_prefix(b":")?;
    if before.last() != Some(&b']') {
        return None;
    }
    let value = serde_json::Deserializer::from_slice(behind).into_iter::<Value>().next()?.ok()?;
    declared_in(&value)
}

#[derive(Deserialize)]
pub(super) struct Feature<'t> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<Text<'t>>,
    #[serde(default, borrow)]
    geometry: Option<&'t RawValue>,
    #[serde(default, borrow)]
    properties: Option<Properties<'t>>,
    #[serde(default, borrow)]
    id: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct Geometry<'t> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<Text<'t>>,
    #[serde(default, borrow)]
    coordinates: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

/// The members of `properties` in their order, values as written.
struct Properties<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Properties<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Properties<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Properties(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The text of a value: strings without their quotes, `null` as nothing, all else as written.
fn text_of(value: &RawValue) -> Cow<'_, str> {
    match value.get().as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Text>(value.get()) {
            Ok(Text(text)) => text,
            // A lone surrogate; shown as written.
            Err(_) => Cow::Borrowed(value.get()),
        },
        Some(b'n') => Cow::Borrowed(""),
        _ => Cow::Borrowed(value.get()),
    }
}

pub(super) fn candidate(feature: &Feature<'_>, line: u64, mapper: &Mapper<'_>) -> Result<Candidate, Flaw> {
    if feature.kind.as_ref().is_none_or(|kind| kind.0 != "Feature") {
        let read = feature.kind.as_ref().map_or("", |kind| &kind.0);
        return Err(Flaw::new(Refusal::new("geojson.not_a_feature")).read(read));
    }
    let point = feature.geometry.map(point_of).transpose()?;
    let empty = Vec::new();
    let members = feature.properties.as_ref().map_or(&empty, |properties| &properties.0);
    let texts: Vec<(&str, Meaning, Cow<'_, str>)> = members
        .iter()
        .map(|(name, value)| (name.as_ref(), mapper.meaning_of(name), text_of(value)))
        .chain(
            feature
                .id
                .filter(|_| mapper.wants("@id"))
                .map(|id| ("@id", mapper.meaning_of("@id"), text_of(id))),
        )
        .collect();
    let cells =
        texts.iter().map(|(name, meaning, text)| Cell { name, meaning, text: text.as_ref(), inexact: false });
    mapper.candidate(line, cells, point)
}

fn point_of(geometry: &RawValue) -> Result<Point, Flaw> {
    let flaw = |refusal: Refusal| Flaw::new(refusal).column("geometry").read(geometry.get());
    let shape: Geometry = serde_json::from_str(geometry.get()).map_err(|error| flaw(unreadable(&error)))?;
    let kind = shape.kind.as_ref().map_or("", |kind| &kind.0);
    // As text first: serde_json reads numbers to within a last bit, and surveyed coordinates are
    // kept exactly as given.
    fn parts(list: &RawValue) -> Option<Vec<&RawValue>> {
        serde_json::from_str(list.get()).ok()
    }
    let mut written: Option<Vec<&RawValue>> = shape.coordinates.and_then(parts);
    if kind == "MultiPoint"
        && let Some([only]) = written.as_deref()
    {
        written = parts(only);
    } else if kind != "Point" {
        return Err(flaw(Refusal::new("geometry.type").at("position").with("read", shown(kind))));
    }
    let ordinates: Option<Vec<f64>> =
        written.and_then(|written| written.iter().map(|ordinate| ordinate.get().parse().ok()).collect());
    match ordinates.as_deref() {
        Some([]) => Err(flaw(Refusal::new("position.missing").at("position"))),
        Some([x, y, rest @ ..]) => Ok(Point { x: *x, y: *y, z: rest.first().copied() }),
        _ => Err(flaw(Refusal::new("geometry.coordinates").at("position"))),
    }
}
