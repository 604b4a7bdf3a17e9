//! GeoJSON → features, one at a time: a collection, one feature, one feature a line, text sequences.

use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::encoding::Encoding;
use super::super::geojson_parts::declared_in;
use super::super::text::{MISFIT_CHARACTER, Text};
use super::super::{Told, refuse_by_magic, shown};
use super::features::{Feature, Features, FoundAlong, RawRing, RawShape, no_polygon};
use crate::domain::Refusal;

pub(super) fn read(input: impl Read, told: &Told, features: &mut Features) -> Result<FoundAlong, Refusal> {
    let mut text = Text::checked(input, told.encoding);
    let mut begun = Sink { features, line: 0, crs: None, refusal: None, met: false };
    // What an archive or a picture begins with is no JSON; better said so.
    let mut head = [0; 4];
    let filled = read_up_to(&mut text, &mut head)?;
    if let Some(refusal) = refuse_by_magic(text.head()) {
        return Err(refusal);
    }
    let mut input = Separated(head[..filled].chain(&mut text));
    let buffered = std::io::BufReader::with_capacity(1 << 16, &mut input);
    let mut json = serde_json::Deserializer::from_reader(buffered);
    loop {
        match json.end() {
            Ok(()) => break,
            // Something follows: the next text of a sequence.
            Err(error) if error.is_syntax() => {}
            Err(error) => return Err(unreadable(&error)),
        }
        if let Err(error) = TopSeed(&mut begun).deserialize(&mut json) {
            return Err(begun.refusal.take().unwrap_or_else(|| unreadable(&error)));
        }
    }
    let (met, crs) = (begun.met, begun.crs);
    drop(json);
    if !met {
        return Err(unreadable_as("no features, and so no codes"));
    }
    let encoding = text.found();
    if features.list.iter().any(|feature| {
        feature
            .cells
            .iter()
            .any(|(name, text)| name.contains(MISFIT_CHARACTER) || text.contains(MISFIT_CHARACTER))
    }) {
        let encoding = encoding.map_or(Encoding::Utf8, |found| found.encoding);
        return Err(Refusal::new("text.misfit").with("column", "properties").with("encoding", encoding));
    }
    Ok(FoundAlong { encoding, crs: crs.as_ref().and_then(declared_in), layer: None })
}

fn read_up_to(input: &mut impl Read, into: &mut [u8]) -> Result<usize, Refusal> {
    let mut filled = 0;
    while filled < into.len() {
        match input.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(super::super::unreadable(&error)),
        }
    }
    Ok(filled)
}

/// Record separators (RFC 8142) as blanks.
struct Separated<R>(R);

impl<R: Read> Read for Separated<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(into)?;
        into[..count].iter_mut().filter(|byte| **byte == 0x1E).for_each(|byte| *byte = b' ');
        Ok(count)
    }
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    unreadable_as(&error.to_string())
}

fn unreadable_as(reason: &str) -> Refusal {
    Refusal::new("area.unreadable").with("reason", shown(reason))
}

struct Sink<'f> {
    features: &'f mut Features,
    line: u64,
    crs: Option<Value>,
    /// Why the reading was broken off.
    refusal: Option<Refusal>,
    /// Whether there was a collection or a feature at all.
    met: bool,
}

impl Sink<'_> {
    fn take<E: de::Error>(&mut self, feature: RawFeature) -> Result<(), E> {
        self.line += 1;
        let shape = match feature.kind.as_deref() {
            Some("Feature") => feature.geometry.0.map_or_else(|| Err(no_polygon("null")), shape_of),
            other => {
                Err(Refusal::new("geojson.not_a_feature").with("read", shown(other.unwrap_or_default())))
            }
        };
        let mut cells = feature.properties.0;
        if let Some(id) = feature.id.as_ref().and_then(text_of) {
            cells.push(("@id".into(), id));
        }
        self.features.push(Feature { line: self.line, cells, shape }).map_err(|refusal| {
            self.refusal = Some(refusal);
            E::custom("too much")
        })
    }
}

/// One text: a collection or a feature, its members in any order.
struct TopSeed<'s, 'f>(&'s mut Sink<'f>);

impl<'de> DeserializeSeed<'de> for TopSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a FeatureCollection or a Feature")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut alone = RawFeature::default();
        let mut is_collection = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "features" => {
                    is_collection = true;
                    map.next_value_seed(ListSeed(&mut *self.0))?;
                }
                "crs" => self.0.crs = Some(map.next_value()?),
                "type" => alone.kind = map.next_value::<Loose<String>>()?.0,
                "geometry" => alone.geometry = map.next_value()?,
                "properties" => alone.properties = map.next_value()?,
                "id" => alone.id = map.next_value::<Loose<Value>>()?.0,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if is_collection {
            self.0.met = true;
        } else if alone.kind.as_deref() == Some("Feature") {
            self.0.met = true;
            self.0.take(alone)?;
        }
        Ok(())
    }
}

/// The list of features.
struct ListSeed<'s, 'f>(&'s mut Sink<'f>);

impl<'de> DeserializeSeed<'de> for ListSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(feature) = list.next_element::<RawFeature>()? {
            self.0.take(feature)?;
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
struct RawFeature {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    geometry: Geometry,
    #[serde(default)]
    properties: Properties,
    #[serde(default)]
    id: Option<Value>,
}

/// `null` as nothing.
#[derive(Deserialize)]
struct Loose<T>(Option<T>);

#[derive(Default)]
struct Geometry(Option<RawGeometry>);

impl<'de> Deserialize<'de> for Geometry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<RawGeometry>::deserialize(deserializer).map(Self)
    }
}

#[derive(Deserialize)]
struct RawGeometry {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    /// As text, because what it is follows from the type, which may stand behind it.
    #[serde(default)]
    coordinates: Option<Box<RawValue>>,
    #[serde(default)]
    geometries: Option<Vec<RawGeometry>>,
}

fn shape_of(geometry: RawGeometry) -> Result<RawShape, Refusal> {
    let kind = geometry.kind.unwrap_or_default();
    let damaged = || Refusal::new("geometry.coordinates").at("geometry");
    let coordinates = geometry.coordinates.as_deref().map(RawValue::get);
    let polygon = |rings: Vec<Line>| rings.into_iter().map(|Line(ring)| ring).collect::<Vec<RawRing>>();
    match kind.as_str() {
        "Polygon" => {
            let rings = serde_json::from_str(coordinates.ok_or_else(damaged)?).map_err(|_| damaged())?;
            Ok(vec![polygon(rings)])
        }
        "MultiPolygon" => {
            let parts: Vec<Vec<Line>> =
                serde_json::from_str(coordinates.ok_or_else(damaged)?).map_err(|_| damaged())?;
            Ok(parts.into_iter().map(polygon).collect())
        }
        "GeometryCollection" => {
            let members = geometry.geometries.unwrap_or_default();
            let shapes: Result<Vec<RawShape>, Refusal> = members.into_iter().map(shape_of).collect();
            Ok(shapes?.into_iter().flatten().collect())
        }
        other => Err(no_polygon(other)),
    }
}

/// A ring of positions.
#[derive(Deserialize)]
struct Line(#[serde(deserialize_with = "ring")] RawRing);

fn ring<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RawRing, D::Error> {
    struct Corners;
    impl<'de> Visitor<'de> for Corners {
        type Value = RawRing;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of positions")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawRing, A::Error> {
            let mut ring = Vec::new();
            while let Some(Position(corner)) = list.next_element()? {
                ring.push(corner);
            }
            Ok(ring)
        }
    }
    deserializer.deserialize_seq(Corners)
}

/// Two numbers or more; a height is read over.
struct Position([f64; 2]);

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordinates;
        impl<'de> Visitor<'de> for Ordinates {
            type Value = Position;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a position")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Position, A::Error> {
                let missing = || de::Error::custom("two numbers");
                let x = list.next_element()?.ok_or_else(missing)?;
                let y = list.next_element()?.ok_or_else(missing)?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Position([x, y]))
            }
        }
        deserializer.deserialize_seq(Ordinates)
    }
}

/// The members of `properties` in their order, as texts; `null` as nothing.
#[derive(Default)]
struct Properties(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Properties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Properties, E> {
                Ok(Properties::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    members.push((name, text_of(&value).unwrap_or_default()));
                }
                Ok(Properties(members))
            }
        }
        deserializer.deserialize_any(Members)
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
