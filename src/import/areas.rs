//! Outlines of districts, management areas and grid cells out of GeoJSON. Features of one code are
//! parts of one area, which is how many programs write exclaves.

use std::collections::BTreeMap;
use std::io::Read;

use geojson::{Feature, GeoJson, GeometryValue, JsonValue};

use super::{Problem, Scope, refuse_by_magic, shown};
use crate::crs::Reading;
use crate::domain::Refusal;
use crate::domain::area::{Area, AreaKind, AreaShape, Ring};

/// Which properties say what, and how codes are written out.
#[derive(Debug, Clone)]
pub struct AreaColumns {
    pub code: String,
    /// The name that people read; Chinese where there are two.
    pub name: String,
    /// `None` = the same name.
    pub name_en: Option<String>,
    /// Digits before every code of the file.
    pub code_prefix: String,
    /// Length to which zeros between prefix and code fill it up; 0 = as it is.
    pub code_length: usize,
}

/// Largest file of outlines, in bytes: it is read whole, because parts of an area may stand anywhere.
pub const LARGEST: u64 = 256 << 20;

/// Reads a whole file. Areas come in the order of their codes; a feature that cannot be one is a
/// problem and loses no other, so the caller decides whether the rest is wanted.
pub fn read_areas(
    kind: AreaKind,
    columns: &AreaColumns,
    reading: &Reading,
    bytes: impl Read,
) -> Result<(Vec<Area>, Vec<Problem>), Refusal> {
    let mut text = Vec::new();
    bytes
        .take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(|error| Refusal::new("area.unreadable").with("reason", error))?;
    if text.len() as u64 > LARGEST {
        return Err(Refusal::new("area.too_large").with("most_mb", LARGEST >> 20));
    }
    if let Some(refusal) = refuse_by_magic(&text) {
        return Err(refusal);
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    let unreadable = |reason: String| Refusal::new("area.unreadable").with("reason", shown(&reason));
    let text = std::str::from_utf8(text).map_err(|error| unreadable(error.to_string()))?;
    let parsed: GeoJson = text.parse().map_err(|error: geojson::Error| unreadable(error.to_string()))?;
    let features = match parsed {
        GeoJson::FeatureCollection(collection) => collection.features,
        GeoJson::Feature(feature) => vec![feature],
        GeoJson::Geometry(_) => return Err(unreadable("no features, and so no codes".into())),
    };
    let (mut areas, mut problems) = (BTreeMap::new(), Vec::new());
    for (at, feature) in features.into_iter().enumerate() {
        let line = at as u64 + 1;
        if let Err((column, refusal)) = add_feature(&mut areas, kind, columns, reading, feature) {
            let read = refusal.params.iter().find(|(name, _)| *name == "read").map(|(_, read)| read.clone());
            let read = read.unwrap_or_default();
            problems.push(Problem { line, column: Some(column), read, refusal, scope: Scope::Row });
        }
    }
    if areas.is_empty() && problems.is_empty() {
        return Err(Refusal::new("area.empty_file"));
    }
    Ok((areas.into_values().collect(), problems))
}

type Flaw = (String, Refusal);

fn add_feature(
    areas: &mut BTreeMap<String, Area>,
    kind: AreaKind,
    columns: &AreaColumns,
    reading: &Reading,
    feature: Feature,
) -> Result<(), Flaw> {
    let at_geometry = |refusal| ("geometry".to_owned(), refusal);
    let code = columns.written_out(&property(&feature, &columns.code)?);
    let name_zh = property(&feature, &columns.name)?;
    let name_en = match &columns.name_en {
        Some(column) => property(&feature, column)?,
        None => name_zh.clone(),
    };
    let geometry = feature.geometry.ok_or_else(|| at_geometry(Refusal::new("area.no_polygon")))?;
    let given = match geometry.value {
        GeometryValue::Polygon { coordinates } => vec![coordinates],
        GeometryValue::MultiPolygon { coordinates } => coordinates,
        _ => return Err(at_geometry(Refusal::new("area.no_polygon"))),
    };
    let mut parts = Vec::with_capacity(given.len());
    for rings in given {
        let mut part = Vec::with_capacity(rings.len());
        for ring in rings {
            let points = ring.iter().map(|position| place(reading, position.as_slice()));
            part.push(points.collect::<Result<Ring, _>>().map_err(at_geometry)?);
        }
        parts.push(part);
    }
    let mut whole = parts;
    if let Some(known) = areas.get(&code) {
        if known.name_zh != name_zh {
            let refusal = Refusal::new("area.two_names").with("read", name_zh).with("first", &known.name_zh);
            return Err((columns.name.clone(), refusal));
        }
        whole = [known.shape.parts().to_vec(), whole].concat();
    }
    let shape = AreaShape::new(whole).map_err(at_geometry)?;
    let area = Area { kind, code: code.clone(), name_zh, name_en, shape };
    area.check().map_err(|refusal| {
        let column = if refusal.code == "area.code" { &columns.code } else { &columns.name };
        (column.clone(), refusal)
    })?;
    areas.insert(code, area);
    Ok(())
}

fn place(reading: &Reading, position: &[f64]) -> Result<[f64; 2], Refusal> {
    let [first, second, ..] = position else { return Err(Refusal::new("area.ring").with("points", 0)) };
    let place = reading.place(*first, *second)?;
    Ok([place.lon, place.lat])
}

/// A property as text; ids of programs that write them as numbers are numbers without a fraction.
fn property(feature: &Feature, column: &str) -> Result<String, Flaw> {
    let text = match feature.property(column) {
        Some(JsonValue::String(text)) => text.trim().to_owned(),
        Some(JsonValue::Number(number)) => number.to_string(),
        Some(other) if !other.is_null() => other.to_string(),
        _ => String::new(),
    };
    if text.is_empty() {
        let known: Vec<&str> = feature.properties_iter().map(|(name, _)| name.as_str()).collect();
        let refusal =
            Refusal::new("area.property").with("column", column).with("fits", shown(&known.join(", ")));
        return Err((column.to_owned(), refusal));
    }
    Ok(text)
}

impl AreaColumns {
    fn written_out(&self, code: &str) -> String {
        let zeros = self.code_length.saturating_sub(self.code_prefix.len() + code.len());
        format!("{}{}{code}", self.code_prefix, "0".repeat(zeros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crs::CrsBook;

    fn read(text: &str) -> Result<(Vec<Area>, Vec<Problem>), Refusal> {
        let columns = AreaColumns {
            code: "N_HOOD".into(),
            name: "NAME".into(),
            name_en: None,
            code_prefix: "02".into(),
            code_length: 6,
        };
        let reading = Reading::new(CrsBook::built_in().named("EPSG:4326").unwrap());
        read_areas(AreaKind::District, &columns, &reading, text.as_bytes())
    }

    fn feature(code: &str, name: &str, geometry: &str) -> String {
        format!(
            r#"{{"type":"Feature","properties":{{"N_HOOD":{code},"NAME":"{name}"}},"geometry":{geometry}}}"#
        )
    }

    const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,2],[1,1]]]}"#;
    const ISLAND: &str = r#"{"type":"MultiPolygon","coordinates":[[[[5,5,0],[6,5,0],[6,6,0],[5,5,0]]]]}"#;

    #[test]
    fn features_of_one_code_are_parts_of_one_area() {
        let all = [
            feature("4", "The Port", SQUARE),
            feature("\"4\"", "The Port", ISLAND),
            feature("9", "Nine", SQUARE),
        ];
        let text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, all.join(","));
        let (areas, problems) = read(&text).unwrap();
        assert_eq!(problems, []);
        let codes: Vec<&str> = areas.iter().map(|area| area.code.as_str()).collect();
        assert_eq!(codes, ["020004", "020009"]);
        assert_eq!(areas[0].shape.parts().len(), 2);
    }

    #[test]
    fn a_feature_that_is_no_area_is_named_and_loses_no_other() {
        let open = r#"{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,2]]]}"#;
        let point = r#"{"type":"Point","coordinates":[1,1]}"#;
        let all = [
            feature("1", "Good", SQUARE),
            feature("2", "Open", open),
            feature("3", "Point", point),
            feature("null", "No code", SQUARE),
            feature("1", "Other name", ISLAND),
            feature("\"a b\"", "Bad code", SQUARE),
            feature("7", "Nowhere", "null"),
        ];
        let text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, all.join(","));
        let (areas, problems) = read(&text).unwrap();
        assert_eq!(areas.len(), 1);
        let said: Vec<(u64, &str, &str)> = problems
            .iter()
            .map(|problem| (problem.line, problem.column.as_deref().unwrap(), problem.refusal.code))
            .collect();
        assert_eq!(
            said,
            [
                (2, "geometry", "area.ring"),
                (3, "geometry", "area.no_polygon"),
                (4, "N_HOOD", "area.property"),
                (5, "NAME", "area.two_names"),
                (6, "N_HOOD", "area.code"),
                (7, "geometry", "area.no_polygon"),
            ]
        );
    }

    #[test]
    fn what_is_no_geojson_is_refused_whole() {
        for text in
            ["", "{", "[]", r#"{"type":"FeatureCollection"}"#, SQUARE, "PK\u{3}\u{4}", "code,name\n1,x"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        let empty = r#"{"type":"FeatureCollection","features":[]}"#;
        assert_eq!(read(empty).unwrap_err().code, "area.empty_file");
    }
}
