//! TileJSON 3.0: what a map program reads first to learn where the tiles are and what is in them.

use serde::Serialize;
use std::collections::BTreeMap;

use super::LAYER;

/// What differs from one Lidmark to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct TileJson {
    /// Address of the tiles with `{z}`, `{x}` and `{y}` in it, with scheme and host.
    pub tiles: String,
    pub name: String,
    /// Who is to be named on the map; `None` = nobody.
    pub attribution: Option<String>,
    /// West, south, east, north of all covers; `None` = the world.
    pub bounds: Option<[f64; 4]>,
    pub min_zoom: u32,
    /// The finest zoom there is; maps enlarge its tiles beyond that. At 16 a unit is 15 cm.
    pub max_zoom: u32,
}

impl TileJson {
    pub fn to_json(&self) -> String {
        let fields = [
            ("class", "What the manhole serves"),
            ("state", "State of the cover"),
            ("has_plate", "Whether a live plate is installed on it"),
            ("open_case", "Whether a case on it is not closed yet"),
            ("count", "At low zooms: how many covers the point stands for; the other fields are absent then"),
        ];
        let document = Document {
            tilejson: "3.0.0",
            name: &self.name,
            attribution: self.attribution.as_deref(),
            scheme: "xyz",
            tiles: [&self.tiles],
            bounds: self.bounds.unwrap_or([-180.0, -85.051_128, 180.0, 85.051_128]),
            minzoom: self.min_zoom,
            maxzoom: self.max_zoom,
            vector_layers: [VectorLayer {
                id: LAYER,
                description: "Manhole covers",
                minzoom: self.min_zoom,
                maxzoom: self.max_zoom,
                fields: BTreeMap::from(fields),
            }],
        };
        serde_json::to_string(&document).expect("strings and numbers always have a JSON form")
    }
}

#[derive(Serialize)]
struct Document<'a> {
    tilejson: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution: Option<&'a str>,
    scheme: &'static str,
    tiles: [&'a str; 1],
    bounds: [f64; 4],
    minzoom: u32,
    maxzoom: u32,
    vector_layers: [VectorLayer; 1],
}

#[derive(Serialize)]
struct VectorLayer {
    id: &'static str,
    description: &'static str,
    minzoom: u32,
    maxzoom: u32,
    fields: BTreeMap<&'static str, &'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_program_finds_the_address_and_the_fields() {
        let json = TileJson {
            tiles: "https://lid.example/tiles/covers/{z}/{x}/{y}".to_owned(),
            name: "Dongying \"东营\"".to_owned(),
            attribution: None,
            bounds: Some([118.4, 37.3, 118.7, 37.5]),
            min_zoom: 0,
            max_zoom: 16,
        }
        .to_json();
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["tilejson"], "3.0.0");
        assert_eq!(read["tiles"][0], "https://lid.example/tiles/covers/{z}/{x}/{y}");
        assert_eq!(read["bounds"], serde_json::json!([118.4, 37.3, 118.7, 37.5]));
        assert_eq!(read["vector_layers"][0]["id"], "covers");
        assert!(read["vector_layers"][0]["fields"]["open_case"].is_string());
        assert!(read.get("attribution").is_none());
    }
}
