//! What comes with an order of plates: a list of codes, pasted or as a table, and an outline on the map.

use serde::Deserialize;
use serde_json::Value;

use super::encoding::detect;
use crate::domain::Refusal;
use crate::domain::area::{AreaShape, Ring};

/// Digits below which a cell is no code but a number of something else.
const FEWEST_DIGITS: usize = 8;

/// A code and the line on which it stands, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCode {
    pub line: usize,
    pub code: String,
}

/// A text in whatever encoding it is; `None` = in none that we know.
pub fn decode_text(bytes: &[u8]) -> Option<String> {
    detect(bytes, true).encoding.decode(bytes)
}

/// The codes of a list: one a line, or the first cell of each row of a table that looks like one. A first
/// line without any is taken for headings. Blanks and hyphens between groups do not matter.
pub fn read_codes(bytes: &[u8], most: usize) -> Result<Vec<ListedCode>, Refusal> {
    let text = decode_text(bytes).ok_or_else(|| Refusal::new("batch.codes_unreadable").at("codes"))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut codes = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let cells = line.split([',', ';', '\t', '，', '；', '、', '|']);
        let fits: Vec<String> = cells.filter_map(code_of).collect();
        // A pasted line may hold several codes; a row of a table has one, in its first such cell.
        let row_of_codes = line.split([',', '，', '、', ';', '；']).all(|cell| code_of(cell).is_some());
        match fits.as_slice() {
            [] if at == 0 => continue,
            [] => {
                let read: String = line.chars().take(40).collect();
                return Err(Refusal::new("batch.code_line")
                    .at("codes")
                    .with("line", at + 1)
                    .with("read", read));
            }
            [first, ..] => {
                let count = if row_of_codes { fits.len() } else { 1 };
                let first = first.clone();
                let taken = if count == 1 { vec![first] } else { fits };
                codes.extend(taken.into_iter().map(|code| ListedCode { line: at + 1, code }));
            }
        }
        if codes.len() > most {
            return Err(Refusal::new("batch.too_many").at("codes").with("most", most));
        }
    }
    if codes.is_empty() { Err(Refusal::new("batch.empty").at("codes")) } else { Ok(codes) }
}

/// A cell that may be a code: digits, with blanks or hyphens between groups, in quotes or after a `'` as
/// spreadsheets write it.
fn code_of(cell: &str) -> Option<String> {
    let cell = cell.trim().trim_matches(['"', '\'', '=']);
    let code: String = cell.chars().filter(|c| !matches!(c, ' ' | '-' | '\u{a0}')).collect();
    let fits =
        code.len() >= FEWEST_DIGITS && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(code)
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates")]
enum Surface {
    Polygon(Vec<RingZ>),
    MultiPolygon(Vec<Vec<RingZ>>),
}

/// Corners may have a height, which says nothing here.
type RingZ = Vec<Vec<f64>>;

/// The outline of a GeoJSON text in longitude and latitude: a polygon, a feature, or a collection whose
/// surfaces together are the outline.
pub fn read_outline(text: &str) -> Result<AreaShape, Refusal> {
    let wrong = |reason: String| Refusal::new("batch.outline").at("outline").with("reason", reason);
    let value: Value = serde_json::from_str(text.trim()).map_err(|error| wrong(error.to_string()))?;
    let mut parts = Vec::new();
    collect(&value, &mut parts, 0).map_err(wrong)?;
    if parts.is_empty() {
        return Err(wrong("Polygon, MultiPolygon".to_owned()));
    }
    AreaShape::new(parts)
}

fn collect(value: &Value, parts: &mut Vec<Vec<Ring>>, depth: usize) -> Result<(), String> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let inner = match kind {
        "FeatureCollection" => value.get("features"),
        "GeometryCollection" => value.get("geometries"),
        _ => None,
    };
    if let Some(Value::Array(members)) = inner {
        if depth > 4 {
            return Err(kind.to_owned());
        }
        return members.iter().try_for_each(|member| collect(member, parts, depth + 1));
    }
    if kind == "Feature" {
        return match value.get("geometry") {
            Some(geometry) if !geometry.is_null() && depth <= 5 => collect(geometry, parts, depth + 1),
            _ => Err("geometry: null".to_owned()),
        };
    }
    let surface = serde_json::from_value::<Surface>(value.clone()).map_err(|error| error.to_string())?;
    let polygons = match surface {
        Surface::Polygon(rings) => vec![rings],
        Surface::MultiPolygon(polygons) => polygons,
    };
    for rings in polygons {
        let flat = |corner: Vec<f64>| match corner.as_slice() {
            [lon, lat, ..] => Ok([*lon, *lat]),
            _ => Err("[lon, lat]".to_owned()),
        };
        let rings: Result<Vec<Ring>, String> =
            rings.into_iter().map(|ring| ring.into_iter().map(flat).collect()).collect();
        parts.push(rings?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<String> {
        read_codes(text.as_bytes(), 100).unwrap().into_iter().map(|listed| listed.code).collect()
    }

    #[test]
    fn codes_are_read_from_lines_and_from_tables() {
        assert_eq!(
            codes("3705020102000001\n370502 01 02 000002\n\n"),
            ["3705020102000001", "3705020102000002"]
        );
        assert_eq!(codes("编号,部件标识码,道路\n1,'3705020102000001,济南路\n"), ["3705020102000001"]);
        assert_eq!(codes("3705020102000001, 3705020102000002"), ["3705020102000001", "3705020102000002"]);
        let (gb, _, _) = encoding_rs::GBK.encode("部件标识码,道路\r\n3705020102000003,黄河路\r\n");
        assert_eq!(read_codes(&gb, 100).unwrap(), [ListedCode { line: 2, code: "3705020102000003".into() }]);
        let refusal = |text: &str| read_codes(text.as_bytes(), 2).unwrap_err().code;
        assert_eq!(refusal("code\nnothing here\n"), "batch.code_line");
        assert_eq!(refusal("code\n"), "batch.empty");
        assert_eq!(refusal("370502010200000\n370502010200001\n370502010200002"), "batch.too_many");
    }

    #[test]
    fn an_outline_may_be_wrapped_and_must_enclose_something() {
        let square = r#"{"type":"Polygon","coordinates":[[[118,37,5],[119,37,5],[119,38,5],[118,37,5]]]}"#;
        let wrapped = format!(
            r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","properties":{{}},"geometry":{square}}}]}}"#
        );
        assert_eq!(read_outline(square), read_outline(&wrapped));
        assert_eq!(read_outline(square).unwrap().bounds(), [118.0, 37.0, 119.0, 38.0]);
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"type":"Point","coordinates":[118,37]}"#,
            r#"{"type":"FeatureCollection","features":[]}"#,
        ] {
            assert_eq!(read_outline(wrong).unwrap_err().code, "batch.outline", "{wrong}");
        }
    }
}
