//! A way out of a file of a receiver or a map program: the tracks, else the routes, of a GPX (1.0 and 1.1), or the lines of a
//! GeoJSON. Degrees alone; whether they make a way is for others to say.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use quick_xml::events::Event;

use super::geojson_parts::declared_in;
use super::shown;
use super::text::Text;
use super::xml::{Xml, attribute};
use crate::domain::Refusal;

/// A way as its file has it: parts of points in degrees.
pub type Way = Vec<Vec<[f64; 2]>>;

/// Elements or collections inside each other.
const MOST_DEPTH: usize = 20;

/// Reads a way of at most so many points. What a file holds beside lines is left out; a file without any is refused, and so
/// is one with a document type, which no GPX has and through which a file could ask for others.
pub fn read_way(bytes: &[u8], most: usize) -> Result<Way, Refusal> {
    let head = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let way = match head.first() {
        None => return Err(Refusal::new("file.empty")),
        Some(b'{') => Reader::new(most).json(head)?,
        // UTF-16 begins with its mark.
        Some(b'<' | 0xFE | 0xFF) => Reader::new(most).gpx(bytes)?,
        Some(_) => return Err(Refusal::new("route.unreadable").with("reason", "GPX, GeoJSON")),
    };
    if way.iter().all(|part| part.len() < 2) {
        return Err(Refusal::new("route.no_line"));
    }
    Ok(way)
}

struct Reader {
    way: Way,
    points: usize,
    most: usize,
}

impl Reader {
    fn new(most: usize) -> Self {
        Self { way: Vec::new(), points: 0, most }
    }

    fn count(&mut self, more: usize) -> Result<(), Refusal> {
        self.points += more;
        if self.points > self.most {
            let refusal = Refusal::new("route.too_many_points").with("count", self.points);
            return Err(refusal.with("most", self.most));
        }
        Ok(())
    }

    fn gpx(mut self, bytes: &[u8]) -> Result<Way, Refusal> {
        let mut xml = Xml::new(Text::checked(bytes, None));
        let (mut routes, mut depth, mut began) = (Way::new(), 0_usize, false);
        loop {
            match xml.next()? {
                Event::DocType(_) => return Err(Refusal::new("route.document_type")),
                Event::Start(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    if !std::mem::replace(&mut began, true) && name != "gpx" {
                        return Err(Refusal::new("route.not_gpx").with("read", shown(&name)));
                    }
                    depth += 1;
                    if depth > MOST_DEPTH {
                        return Err(Refusal::new("xml.too_deep"));
                    }
                    let point = match name.as_str() {
                        "trkseg" => {
                            self.way.push(Vec::new());
                            continue;
                        }
                        "rte" => {
                            routes.push(Vec::new());
                            continue;
                        }
                        "trkpt" | "rtept" => {
                            [degrees(attribute(&start, "lon"))?, degrees(attribute(&start, "lat"))?]
                        }
                        _ => continue,
                    };
                    self.count(1)?;
                    let parts = if name == "trkpt" { &mut self.way } else { &mut routes };
                    parts.last_mut().ok_or_else(|| Refusal::new("route.no_line"))?.push(point);
                }
                Event::End(_) => depth = depth.saturating_sub(1),
                Event::Eof if !began => return Err(Refusal::new("file.empty")),
                Event::Eof if depth > 0 => return Err(Refusal::new("xml.truncated")),
                Event::Eof => break,
                _ => {}
            }
        }
        let has_track = self.way.iter().any(|part| part.len() > 1);
        Ok(if has_track { self.way } else { routes })
    }

    fn json(mut self, text: &[u8]) -> Result<Way, Refusal> {
        let object: Object<'_> = serde_json::from_slice(text).map_err(|error| unreadable(&error))?;
        if let Some(crs) = &object.crs {
            let crs =
                serde_json::from_str::<serde_json::Value>(crs.get()).map_err(|error| unreadable(&error))?;
            // Degrees of CGCS2000 and WGS 84 are taken for one another, as everywhere.
            let is_degrees = declared_in(&crs).is_none_or(|declared| declared.is_degrees());
            if !is_degrees {
                return Err(Refusal::new("route.system").at("crs").with("read", shown(&crs.to_string())));
            }
        }
        self.object(object, 0)?;
        Ok(self.way)
    }

    fn object(&mut self, object: Object<'_>, depth: usize) -> Result<(), Refusal> {
        if depth > MOST_DEPTH {
            return Err(Refusal::new("xml.too_deep"));
        }
        match &*object.kind {
            "FeatureCollection" | "GeometryCollection" => {
                for text in object.features.into_iter().chain(object.geometries).flatten() {
                    if let Some(object) = inner(text)? {
                        self.object(object, depth + 1)?;
                    }
                }
            }
            "Feature" => {
                if let Some(object) = object.geometry.map(inner).transpose()?.flatten() {
                    self.object(object, depth + 1)?;
                }
            }
            "LineString" => {
                let part: Vec<Degrees> = coordinates(object.coordinates)?;
                self.add(part)?;
            }
            "MultiLineString" => {
                let parts: Vec<Vec<Degrees>> = coordinates(object.coordinates)?;
                parts.into_iter().try_for_each(|part| self.add(part))?;
            }
            "Point" | "MultiPoint" | "Polygon" | "MultiPolygon" => {}
            other => return Err(Refusal::new("route.not_geojson").with("read", shown(other))),
        }
        Ok(())
    }

    fn add(&mut self, part: Vec<Degrees>) -> Result<(), Refusal> {
        self.count(part.len())?;
        self.way.push(part.into_iter().map(|Degrees(point)| point).collect());
        Ok(())
    }
}

fn degrees(text: Option<String>) -> Result<f64, Refusal> {
    let text = text.unwrap_or_default();
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| Refusal::new("position.unreadable").at("position").with("read", shown(&text)))
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::new("route.unreadable").with("reason", shown(&error.to_string()))
}

/// What stands inside; serde alone would take a list of its values as well.
fn inner(text: &RawValue) -> Result<Option<Object<'_>>, Refusal> {
    if text.get().starts_with('[') {
        return Err(Refusal::new("route.not_geojson").with("read", shown(text.get())));
    }
    serde_json::from_str(text.get()).map_err(|error| unreadable(&error))
}

fn coordinates<'t, T: Deserialize<'t>>(text: Option<&'t RawValue>) -> Result<T, Refusal> {
    let text = text.map_or("null", RawValue::get);
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

/// Anything of GeoJSON; its parts are read when it is known what they are.
#[derive(Deserialize)]
struct Object<'t> {
    #[serde(rename = "type")]
    kind: std::borrow::Cow<'t, str>,
    #[serde(borrow)]
    coordinates: Option<&'t RawValue>,
    #[serde(borrow)]
    geometry: Option<&'t RawValue>,
    #[serde(borrow)]
    features: Option<Vec<&'t RawValue>>,
    #[serde(borrow)]
    geometries: Option<Vec<&'t RawValue>>,
    #[serde(borrow)]
    crs: Option<&'t RawValue>,
}

/// Longitude and latitude; a height is left out.
struct Degrees([f64; 2]);

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Degrees;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("longitude and latitude")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Degrees, A::Error> {
                use serde::de::Error;
                let missing = || A::Error::custom("longitude and latitude");
                let lon: f64 = numbers.next_element()?.ok_or_else(missing)?;
                let lat: f64 = numbers.next_element()?.ok_or_else(missing)?;
                while numbers.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Degrees([lon, lat]))
            }
        }
        deserializer.deserialize_seq(Pair)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Way, &'static str> {
        read_way(text.as_bytes(), 1000).map_err(|refusal| refusal.code)
    }

    #[test]
    fn tracks_routes_and_lines_are_read_part_by_part() {
        let track = r#"<?xml version="1.0" encoding="UTF-8"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">
            <wpt lat="1" lon="2"/><rte><rtept lat="3" lon="4"/><rtept lat="3" lon="5"/></rte>
            <trk><name>晨巡</name><trkseg><trkpt lat="37.46" lon="118.59"><ele>4</ele></trkpt><trkpt lon='118.60' lat='37.46'/></trkseg>
            <trkseg><trkpt lat="37.47" lon="118.59"/><trkpt lat="37.48" lon="118.59"/></trkseg></trk></gpx>"#;
        assert_eq!(
            read(track),
            Ok(vec![vec![[118.59, 37.46], [118.6, 37.46]], vec![[118.59, 37.47], [118.59, 37.48]]])
        );
        let route = r#"<g:gpx xmlns:g="http://www.topografix.com/GPX/1/0"><g:rte><g:rtept lat="3" lon="4"/><g:rtept lat="3" lon="5"/></g:rte></g:gpx>"#;
        assert_eq!(read(route), Ok(vec![vec![[4.0, 3.0], [5.0, 3.0]]]));
        let line = r#"{"type": "LineString", "coordinates": [[118.59, 37.46, 4], [118.6, 37.46]]}"#;
        let way = vec![vec![[118.59, 37.46], [118.6, 37.46]]];
        assert_eq!(read(line), Ok(way.clone()));
        assert_eq!(
            read(&format!(r#"{{"type": "Feature", "properties": {{"a": [1]}}, "geometry": {line}}}"#)),
            Ok(way.clone())
        );
        let crs = r#"{"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}"#;
        let many = format!(
            r#"{{"type": "FeatureCollection", "crs": {crs}, "features": [{{"type": "Feature", "geometry": null}},
            {{"type": "Feature", "geometry": {{"type": "Point", "coordinates": [1, 2]}}}}, {{"type": "Feature", "geometry": {line}}}]}}"#
        );
        assert_eq!(read(&many), Ok(way));
    }

    #[test]
    fn ugly_files_are_refused_with_their_reason() {
        let bomb = r#"<!DOCTYPE gpx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><gpx><trk>&b;</trk></gpx>"#;
        let outside = r#"<?xml version="1.0"?><!DOCTYPE gpx SYSTEM "file:///etc/passwd"><gpx/>"#;
        let many =
            format!("<gpx><trk><trkseg>{}</trkseg></trk></gpx>", r#"<trkpt lat="1" lon="2"/>"#.repeat(1001));
        let deep = "<gpx>".repeat(60);
        let nested =
            format!("{}{}", r#"{"type":"GeometryCollection","geometries":["#.repeat(60), "]}".repeat(60));
        for (text, code) in [
            ("", "file.empty"),
            (" \n", "file.empty"),
            ("<!-- nothing -->", "file.empty"),
            (bomb, "route.document_type"),
            (outside, "route.document_type"),
            (&many, "route.too_many_points"),
            (&deep, "xml.too_deep"),
            (&nested, "xml.too_deep"),
            ("<gpx><trk>", "xml.truncated"),
            ("<gpx></trk>", "xml.unreadable"),
            ("<kml/>", "route.not_gpx"),
            ("<gpx><wpt lat=\"1\" lon=\"2\"/></gpx>", "route.no_line"),
            ("<gpx><trkpt lat=\"1\" lon=\"2\"/></gpx>", "route.no_line"),
            (
                "<gpx><trk><trkseg><trkpt lat=\"north\" lon=\"2\"/></trkseg></trk></gpx>",
                "position.unreadable",
            ),
            ("<gpx><trk><trkseg><trkpt lat=\"NaN\" lon=\"2\"/></trkseg></trk></gpx>", "position.unreadable"),
            ("<gpx><trk><trkseg><trkpt lon=\"2\"/></trkseg></trk></gpx>", "position.unreadable"),
            ("lon,lat\n1,2", "route.unreadable"),
            ("{", "route.unreadable"),
            ("[]", "route.unreadable"),
            ("{}", "route.unreadable"),
            (r#"{"type": "Topology"}"#, "route.not_geojson"),
            (r#"{"type": "Point", "coordinates": [1, 2]}"#, "route.no_line"),
            (r#"{"type": "LineString", "coordinates": [[1, 2]]}"#, "route.no_line"),
            (r#"{"type": "LineString", "coordinates": [[1], [2]]}"#, "route.unreadable"),
            (r#"{"type": "LineString"}"#, "route.unreadable"),
            (r#"{"type": "LineString", "coordinates": "x"}"#, "route.unreadable"),
            (r#"{"type": "LineString", "coordinates": [[1e999, 2], [1, 2]]}"#, "route.unreadable"),
            (
                r#"{"type": "LineString", "crs": {"type": "name", "properties": {"name": "EPSG:4527"}}, "coordinates": []}"#,
                "route.system",
            ),
        ] {
            assert_eq!(read(text), Err(code), "{text:.200}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(<gpx><trk>)?[<>/a-z\"= {}\\[\\],0-9.&;!-]{0,120}") {
            let _ = read(&text);
        }
    }
}
