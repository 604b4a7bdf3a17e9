//! A system as well-known text, first edition: what GeoPackage and Shapefile hand on of it. The reverse of
//! `prj`, which reads every dialect there is.

use std::fmt::Write;

use super::definition::Definition;
use super::{Crs, Kind, Unit};

/// How a system is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wkt {
    /// As OGC 01-009 and EPSG do.
    Ogc,
    /// As ESRI's programs do in a `.prj`, with their names for what they know.
    Esri,
}

/// A datum by its names, and the ellipsoid it stands on.
struct Ground {
    /// Of the degrees, of the datum and of the ellipsoid: OGC's, then ESRI's.
    names: [[String; 3]; 2],
    semi_major_m: f64,
    inverse_flattening: f64,
    /// EPSG's code of the degrees.
    code: Option<u32>,
    /// `+towgs84`.
    shift: Option<String>,
}

impl Crs {
    /// Well-known text of this system; `None` where it cannot be said: a projection of a city's own
    /// beyond transverse Mercator, Lambert's conic and Web Mercator, or an ellipsoid without a name.
    pub fn wkt(&self, dialect: Wkt) -> Option<String> {
        let ground = self.ground()?;
        let degrees = ground.degrees(dialect);
        let Some(definition) = self.definition().filter(|_| !self.is_degrees()) else {
            return matches!(self.0.kind, Kind::Degrees | Kind::Projected(_)).then_some(degrees);
        };
        let [ogc, esri] = projection(definition)?;
        let (method, parameters) = if dialect == Wkt::Ogc { ogc } else { esri };
        let name = match dialect {
            Wkt::Ogc => quoted(self.name()),
            Wkt::Esri => quoted(&esri_name(self)),
        };
        let mut text = format!("PROJCS[{name},{degrees},PROJECTION[\"{method}\"]");
        for (parameter, value) in parameters {
            text.push_str(&format!(",PARAMETER[\"{parameter}\",{}]", number(value, dialect)));
        }
        text.push_str(&unit(self.unit(), dialect)?);
        if dialect == Wkt::Ogc {
            if definition.is_web_mercator() {
                // Degrees of the ellipsoid on a sphere: no projection of this edition says that.
                text.push_str(",AXIS[\"X\",EAST],AXIS[\"Y\",NORTH],EXTENSION[\"PROJ4\",\"");
                text.push_str(definition.text().trim_end_matches(" +no_defs"));
                text.push_str(" +nadgrids=@null +wktext +no_defs\"]");
            } else {
                text.push_str(",AXIS[\"Easting\",EAST],AXIS[\"Northing\",NORTH]");
            }
            text.push_str(&self.authority());
        }
        Some(text + "]")
    }

    fn authority(&self) -> String {
        let code = self.code().filter(|code| *code < 900_000);
        code.map_or_else(String::new, |code| format!(",AUTHORITY[\"EPSG\",\"{code}\"]"))
    }

    fn ground(&self) -> Option<Ground> {
        const GRS80: (f64, f64) = (6_378_137.0, 298.257_222_101);
        const WGS84: (f64, f64) = (6_378_137.0, 298.257_223_563);
        let (names, (semi_major_m, inverse_flattening), code) = match self.datum().name.as_str() {
            "CGCS2000" => (
                [
                    ["China Geodetic Coordinate System 2000", "China_2000", "CGCS2000"],
                    ["GCS_China_Geodetic_Coordinate_System_2000", "D_China_2000", "CGCS2000"],
                ],
                GRS80,
                Some(4490),
            ),
            "WGS 84" => (
                [["WGS 84", "WGS_1984", "WGS 84"], ["GCS_WGS_1984", "D_WGS_1984", "WGS_1984"]],
                WGS84,
                Some(4326),
            ),
            "NAD83" => (
                [
                    ["NAD83", "North_American_Datum_1983", "GRS 1980"],
                    ["GCS_North_American_1983", "D_North_American_1983", "GRS_1980"],
                ],
                GRS80,
                Some(4269),
            ),
            own => {
                let definition = self.definition()?;
                let (ellipsoid, semi_major_m, inverse_flattening) = match definition.word("ellps")? {
                    "GRS80" => ("GRS_1980", GRS80.0, GRS80.1),
                    "WGS84" => ("WGS_1984", WGS84.0, WGS84.1),
                    "krass" => ("Krassowsky_1940", 6_378_245.0, 298.3),
                    "IAU76" => ("Xian_1980", 6_378_140.0, 298.257),
                    "clrk66" => ("Clarke_1866", 6_378_206.4, 294.978_698_213_898),
                    "intl" => ("International_1924", 6_378_388.0, 297.0),
                    "bessel" => ("Bessel_1841", 6_377_397.155, 299.152_812_8),
                    _ => return None,
                };
                let plain = plain_name(own).unwrap_or_else(|| "Local".into());
                return Some(Ground {
                    names: [
                        [own.to_owned(), plain.clone(), ellipsoid.to_owned()],
                        [format!("GCS_{plain}"), format!("D_{plain}"), ellipsoid.to_owned()],
                    ],
                    semi_major_m,
                    inverse_flattening,
                    code: None,
                    shift: definition.word("towgs84").map(str::to_owned),
                });
            }
        };
        let names = names.map(|dialect| dialect.map(str::to_owned));
        Some(Ground { names, semi_major_m, inverse_flattening, code, shift: None })
    }
}

impl Ground {
    fn degrees(&self, dialect: Wkt) -> String {
        let [name, datum, ellipsoid] = &self.names[usize::from(dialect == Wkt::Esri)];
        let mut text = format!(
            "GEOGCS[{},DATUM[{},SPHEROID[{},{},{}]",
            quoted(name),
            quoted(datum),
            quoted(ellipsoid),
            number(self.semi_major_m, dialect),
            number(self.inverse_flattening, dialect)
        );
        if dialect == Wkt::Esri {
            return text + "],PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]]";
        }
        if let Some(shift) = &self.shift {
            // Three numbers are a shift without rotation and scale.
            let missing = 7usize.saturating_sub(shift.split(',').count());
            text.push_str(&format!(",TOWGS84[{shift}{}]", ",0".repeat(missing)));
        }
        text.push_str("],PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.0174532925199433]");
        if let Some(code) = self.code {
            text.push_str(&format!(",AUTHORITY[\"EPSG\",\"{code}\"]"));
        }
        text + "]"
    }
}

type Method = (&'static str, Vec<(&'static str, f64)>);

/// Name and parameters of the projection: OGC's, then ESRI's.
fn projection(definition: &Definition) -> Option<[Method; 2]> {
    let value = |name| definition.number(name);
    let (east, north) = (value("x_0") / definition.to_meter(), value("y_0") / definition.to_meter());
    if definition.is_web_mercator() {
        let ogc = vec![
            ("central_meridian", value("lon_0")),
            ("scale_factor", 1.0),
            ("false_easting", east),
            ("false_northing", north),
        ];
        let esri = vec![
            ("False_Easting", east),
            ("False_Northing", north),
            ("Central_Meridian", value("lon_0")),
            ("Standard_Parallel_1", 0.0),
            ("Auxiliary_Sphere_Type", 0.0),
        ];
        return Some([("Mercator_1SP", ogc), ("Mercator_Auxiliary_Sphere", esri)]);
    }
    match definition.word("proj")? {
        "tmerc" | "utm" => {
            let ogc = vec![
                ("latitude_of_origin", value("lat_0")),
                ("central_meridian", value("lon_0")),
                ("scale_factor", value("k_0")),
                ("false_easting", east),
                ("false_northing", north),
            ];
            let esri = vec![
                ("False_Easting", east),
                ("False_Northing", north),
                ("Central_Meridian", value("lon_0")),
                ("Scale_Factor", value("k_0")),
                ("Latitude_Of_Origin", value("lat_0")),
            ];
            let theirs = if value("k_0") == 1.0 { "Gauss_Kruger" } else { "Transverse_Mercator" };
            Some([("Transverse_Mercator", ogc), (theirs, esri)])
        }
        // On one parallel a scale factor belongs to it, which ESRI has no word for.
        "lcc" if value("lat_2") != 0.0 && value("k_0") == 1.0 => {
            let ogc = vec![
                ("standard_parallel_1", value("lat_1")),
                ("standard_parallel_2", value("lat_2")),
                ("latitude_of_origin", value("lat_0")),
                ("central_meridian", value("lon_0")),
                ("false_easting", east),
                ("false_northing", north),
            ];
            let esri = vec![
                ("False_Easting", east),
                ("False_Northing", north),
                ("Central_Meridian", value("lon_0")),
                ("Standard_Parallel_1", value("lat_1")),
                ("Standard_Parallel_2", value("lat_2")),
                ("Latitude_Of_Origin", value("lat_0")),
            ];
            Some([("Lambert_Conformal_Conic_2SP", ogc), ("Lambert_Conformal_Conic", esri)])
        }
        _ => None,
    }
}

fn unit(unit: Unit, dialect: Wkt) -> Option<String> {
    let meters = unit.to_meter()?;
    let own = format!("{meters} m");
    let name = match (unit, dialect) {
        (Unit::Meter, Wkt::Ogc) => "metre",
        (Unit::Meter, Wkt::Esri) => "Meter",
        (Unit::Foot, Wkt::Ogc) => "foot",
        (Unit::Foot, Wkt::Esri) => "Foot",
        (Unit::UsSurveyFoot, Wkt::Ogc) => "US survey foot",
        (Unit::UsSurveyFoot, Wkt::Esri) => "Foot_US",
        _ => &own,
    };
    Some(format!(",UNIT[\"{name}\",{}]", number(meters, dialect)))
}

/// The name by which ESRI's programs know the system, where they do.
fn esri_name(crs: &Crs) -> String {
    if crs.code() == Some(3857) {
        return "WGS_1984_Web_Mercator_Auxiliary_Sphere".into();
    }
    let mut name = crs.name().to_owned();
    for (ours, theirs) in [
        ("CGCS2000 / 3-degree Gauss-Kruger", "CGCS2000_3_Degree_GK"),
        ("CGCS2000 / Gauss-Kruger", "CGCS2000_GK"),
        ("WGS 84 / UTM", "WGS_1984_UTM"),
        ("NAD83 / UTM", "NAD_1983_UTM"),
        (" zone ", "_Zone_"),
        (" CM ", "_CM_"),
    ] {
        name = name.replace(ours, theirs);
    }
    plain_name(&name).unwrap_or_else(|| format!("System_{}", crs.code().unwrap_or_default()))
}

/// Letters and digits of ASCII with underscores between; `None` when nothing is left. Which encoding a
/// `.prj` has is written nowhere.
fn plain_name(name: &str) -> Option<String> {
    let words: Vec<&str> = name
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')))
        .filter(|word| !word.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join("_"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "'"))
}

fn number(value: f64, dialect: Wkt) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = match dialect {
        Wkt::Ogc => write!(text, "{value}"),
        Wkt::Esri => write!(text, "{value:?}"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crs::{CrsBook, epsg};

    #[test]
    fn every_system_of_epsg_is_found_again_from_what_was_written() {
        let book = CrsBook::built_in();
        for code in epsg::codes().chain([26986, 2249, 32145, 5646]) {
            let crs = book.find(code).unwrap();
            for dialect in [Wkt::Ogc, Wkt::Esri] {
                let text = crs.wkt(dialect).unwrap();
                let read = book.of_prj(&text).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
                // The zones of 6 degrees have the meridians of some of 3 degrees, and only a code tells.
                let [west, south, east, north] = crs.area();
                let middle = ((west + east) / 2.0, (south + north) / 2.0);
                let places = [&read, &crs].map(|crs| crs.to_grid(middle.0, middle.1));
                assert!(read.code() == Some(code) || places[0] == places[1], "{text}");
            }
        }
        let meridian = book.named("CM:118.5").unwrap();
        for dialect in [Wkt::Ogc, Wkt::Esri] {
            assert_eq!(book.of_prj(&meridian.wkt(dialect).unwrap()).unwrap().code(), meridian.code());
        }
    }

    #[test]
    fn esri_knows_the_zones_by_its_own_names() {
        let book = CrsBook::built_in();
        for (code, name) in [
            (4527, "PROJCS[\"CGCS2000_3_Degree_GK_Zone_39\","),
            (4548, "PROJCS[\"CGCS2000_3_Degree_GK_CM_117E\","),
            (4498, "PROJCS[\"CGCS2000_GK_Zone_20\","),
            (32650, "PROJCS[\"WGS_1984_UTM_Zone_50N\","),
            (4490, "GEOGCS[\"GCS_China_Geodetic_Coordinate_System_2000\","),
        ] {
            let text = book.find(code).unwrap().wkt(Wkt::Esri).unwrap();
            assert!(text.starts_with(name), "{text}");
        }
    }

    #[test]
    fn a_citys_own_system_says_its_transformation_or_that_it_cannot_be_said() {
        let own = |proj: &str| {
            let file = format!(
                "[[system]]\ncode = 910002\nname = \"本市 \\\"54\\\"\"\nproj = \"{proj}\"\ndatum = \"Beijing 1954\"\n\
                 within_m = 0.5\narea = [117.5, 36.5, 119.5, 38.5]"
            );
            CrsBook::built_in().with(&file).unwrap().find(910_002).unwrap()
        };
        let local =
            own("+proj=tmerc +lon_0=117 +x_0=500000 +ellps=krass +towgs84=15.8,-154.4,-82.3 +units=m");
        let text = local.wkt(Wkt::Ogc).unwrap();
        assert!(text.contains("TOWGS84[15.8,-154.4,-82.3,0,0,0,0]"), "{text}");
        assert!(text.starts_with("PROJCS[\"本市 '54'\","), "{text}");
        let text = local.wkt(Wkt::Esri).unwrap();
        assert!(text.starts_with("PROJCS[\"54\",GEOGCS[\"GCS_Beijing_1954\""), "{text}");
        let conic = own("+proj=aea +lat_1=25 +lat_2=47 +lon_0=105 +ellps=krass");
        assert_eq!(conic.wkt(Wkt::Ogc), None);
        let shifted = CrsBook::built_in().find(900_001).unwrap();
        assert_eq!(shifted.wkt(Wkt::Esri), None);
    }
}
