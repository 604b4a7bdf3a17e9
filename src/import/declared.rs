//! The reference system that a file declares, as it declares it.

use serde::Serialize;

use super::mapping::check_epsg;
use super::shown;
use crate::domain::Refusal;

/// What a file says of its coordinates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredCrs {
    Epsg(u32),
    /// The text of a `.prj`, or of a GeoPackage's own system.
    Wkt(String),
    /// A name, as GeoJSON of older days has it.
    Name(String),
}

/// The code under which degrees are read. `None` = the declaration says nothing against degrees.
pub(super) fn degrees_of(declared: &DeclaredCrs) -> Result<Option<u32>, Refusal> {
    let unsupported = |read: &str| Err(Refusal::new("crs.unsupported").at("epsg").with("read", shown(read)));
    match declared {
        // With heights, the same degrees.
        DeclaredCrs::Epsg(4979) => Ok(Some(4326)),
        DeclaredCrs::Epsg(4480) => Ok(Some(4490)),
        DeclaredCrs::Epsg(epsg) => check_epsg(*epsg).map(Some),
        DeclaredCrs::Name(name) => {
            let last = name.rsplit([':', '/']).next().unwrap_or_default();
            if last.eq_ignore_ascii_case("crs84") {
                return Ok(Some(4326));
            }
            last.parse().map_or_else(|_| unsupported(name), |epsg| check_epsg(epsg).map(Some))
        }
        DeclaredCrs::Wkt(text) => {
            let mut words = text.split(['[', '(', '"']).map(str::trim);
            let kind = words.next().unwrap_or_default().to_ascii_uppercase();
            let name = words.find(|word| !word.is_empty()).unwrap_or_default();
            let plain: String =
                name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
            match kind.as_str() {
                "GEOGCS" | "GEOGCRS" | "GEODCRS" | "GEOGRAPHICCRS"
                    if plain.contains("WGS") && plain.contains("84") =>
                {
                    Ok(Some(4326))
                }
                "GEOGCS" | "GEOGCRS" | "GEODCRS" | "GEOGRAPHICCRS"
                    if plain.contains("2000") && plain.contains("CGCS")
                        || plain.contains("CHINAGEODETIC") =>
                {
                    Ok(Some(4490))
                }
                _ => unsupported(if name.is_empty() { text } else { name }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_told_from_everything_else() {
        let wkt = |text: &str| degrees_of(&DeclaredCrs::Wkt(text.into()));
        assert_eq!(wkt(r#"GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["#).unwrap(), Some(4326));
        assert_eq!(wkt(r#"GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["#).unwrap(), Some(4490));
        assert_eq!(wkt(r#"GEOGCRS["China Geodetic Coordinate System 2000","#).unwrap(), Some(4490));
        assert_eq!(wkt(r#"GEOGCS["GCS_Beijing_1954",DATUM["#).unwrap_err().code, "crs.unsupported");
        let projected = wkt(r#"PROJCS["CGCS2000_3_Degree_GK_Zone_39",GEOGCS["GCS_WGS_1984"]]"#).unwrap_err();
        assert!(projected.to_string().contains("CGCS2000_3_Degree_GK_Zone_39"));
        assert_eq!(
            degrees_of(&DeclaredCrs::Name("urn:ogc:def:crs:OGC:1.3:CRS84".into())).unwrap(),
            Some(4326)
        );
        assert_eq!(degrees_of(&DeclaredCrs::Epsg(4549)).unwrap_err().code, "crs.unsupported");
    }
}
