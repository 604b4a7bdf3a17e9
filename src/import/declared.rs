//! The reference system that a file declares: as it declares it, and which one is meant.

use serde::Serialize;

use crate::crs::{Crs, CrsBook};
use crate::domain::Refusal;

/// What a file says of its coordinates. A database may say it by code and by description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeclaredCrs {
    /// EPSG's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsg: Option<u32>,
    /// Well-known text: that of a `.prj`, or of a GeoPackage's own system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wkt: Option<String>,
    /// A name, as GeoJSON of older days has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl DeclaredCrs {
    pub(super) fn of_epsg(code: u32) -> Self {
        Self { epsg: Some(code), ..Self::default() }
    }

    pub(super) fn of_wkt(text: String) -> Self {
        Self { wkt: Some(text), ..Self::default() }
    }

    pub(super) fn of_name(name: String) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    /// Whether degrees of WGS 84 or CGCS2000 are meant.
    pub(super) fn is_degrees(&self) -> bool {
        let meant = self.understand(&CrsBook::built_in());
        meant.is_ok_and(|crs| matches!(crs.code(), Some(4326 | 4490)))
    }

    /// The system that is meant; refuses one that no book names and no transformation is known for.
    pub(super) fn understand(&self, book: &CrsBook) -> Result<Crs, Refusal> {
        let by_code = |code| {
            book.find(match code {
                // With heights: the same degrees.
                4979 => 4326,
                4480 => 4490,
                code => code,
            })
        };
        match self {
            // The description may tell what the code leaves open.
            Self { epsg: Some(code), wkt: Some(wkt), .. } => by_code(*code).or_else(|_| book.of_prj(wkt)),
            Self { epsg: Some(code), .. } => by_code(*code),
            Self { wkt: Some(wkt), .. } => book.of_prj(wkt),
            Self { name, .. } => {
                let name = name.as_deref().unwrap_or_default();
                match code_of_name(name) {
                    Some(code) => by_code(code),
                    None => book.named(name).map_err(|_| {
                        Refusal::new("crs.unsupported").at("crs").with("read", super::shown(name))
                    }),
                }
            }
        }
    }
}

/// In few words: `EPSG:4549`, or the name that the description begins with.
impl std::fmt::Display for DeclaredCrs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(code) = self.epsg {
            return write!(f, "EPSG:{code}");
        }
        let text = self.wkt.as_deref().or(self.name.as_deref()).unwrap_or_default();
        // The first text in quotation marks is the name of the whole.
        f.write_str(&super::shown(text.split('"').nth(1).unwrap_or(text)))
    }
}

/// The code in a name: `EPSG:4490`, `urn:ogc:def:crs:EPSG::4527`, `…/def/crs/EPSG/0/4549`,
/// `urn:ogc:def:crs:OGC:1.3:CRS84`.
fn code_of_name(name: &str) -> Option<u32> {
    let parts: Vec<&str> = name.trim_matches(['[', ']', ' ']).split([':', '/', '#']).collect();
    let last = parts.last()?;
    if last.eq_ignore_ascii_case("crs84") {
        return Some(4326);
    }
    let behind_authority = parts
        .iter()
        .skip_while(|part| !part.eq_ignore_ascii_case("epsg"))
        .skip(1)
        .filter_map(|part| part.parse().ok())
        .find(|code| *code > 1000);
    last.parse().ok().or(behind_authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_understood_by_code_by_description_and_by_every_name_in_use() {
        let book = CrsBook::built_in();
        let understand = |declared: DeclaredCrs| declared.understand(&book).map(|crs| crs.code().unwrap());
        for (name, code) in [
            ("urn:ogc:def:crs:OGC:1.3:CRS84", 4326),
            ("urn:ogc:def:crs:EPSG::4527", 4527),
            ("urn:ogc:def:crs:EPSG:6.9:4549", 4549),
            ("http://www.opengis.net/def/crs/EPSG/0/4548", 4548),
            ("http://spatialreference.org/ref/epsg/4326/ogcwkt/", 4326),
            ("EPSG:4490", 4490),
            ("[EPSG:3857]", 3857),
            ("CGCS2000", 4490),
            ("4979", 4326),
        ] {
            assert_eq!(understand(DeclaredCrs::of_name(name.into())), Ok(code), "{name}");
        }
        for name in ["", "EPSG:2437", "somewhere", "urn:ogc:def:crs:EPSG::"] {
            let refusal = understand(DeclaredCrs::of_name(name.into())).unwrap_err();
            assert_eq!(refusal.code, "crs.unsupported", "{name}");
        }
        assert_eq!(understand(DeclaredCrs::of_epsg(4480)), Ok(4490));
        let wgs84 = r#"GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]]"#;
        let described = DeclaredCrs::of_wkt(wgs84.into());
        assert_eq!(described.to_string(), "GCS_WGS_1984");
        assert_eq!(understand(described.clone()), Ok(4326));
        // A code that no book has, described.
        assert_eq!(understand(DeclaredCrs { epsg: Some(4937), ..described }), Ok(4326));
        let xian = wgs84.replace("WGS_1984", "Xian_1980").replace("6378137,298.257223563", "6378140,298.257");
        let refusal = understand(DeclaredCrs { epsg: Some(4610), ..DeclaredCrs::of_wkt(xian) }).unwrap_err();
        assert_eq!(refusal.code, "crs.transformation_needed");
    }
}
