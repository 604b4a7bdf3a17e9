//! Every system that can be named: those of EPSG that come with the program, those of the city's
//! `crs.toml`, a meridian of one's own, and the shifted degrees of online maps.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::definition::Definition;
use super::{Area, Crs, Datum, GaussKrueger, Kind, epsg, parse_degrees, prj};
use crate::domain::Refusal;
use crate::domain::position::SystemCode;

/// Characters of a name or code that a refusal repeats.
const SHOWN: usize = 120;

/// The systems a city knows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CrsBook {
    own: Arc<Vec<Crs>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BookFile {
    #[serde(default)]
    system: Vec<SystemFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemFile {
    code: u32,
    name: String,
    proj: String,
    datum: String,
    within_m: Option<f64>,
    area: Area,
}

impl CrsBook {
    /// With the systems of `labels/crs.toml`.
    pub fn built_in() -> Self {
        static BUILT_IN: LazyLock<CrsBook> = LazyLock::new(|| {
            CrsBook { own: Arc::new(Vec::new()) }
                .with(include_str!("../../labels/crs.toml"))
                .expect("the built-in systems are read by a test")
        });
        BUILT_IN.clone()
    }

    /// The same with those of another file. Refuses a system that cannot be meant.
    pub fn with(&self, text: &str) -> Result<Self, Refusal> {
        let file: BookFile = toml::from_str(text)
            .map_err(|error| Refusal::new("crs.file_unreadable").with("reason", error.message()))?;
        let mut own = self.own.as_ref().clone();
        for system in file.system {
            let code = system.code;
            let known = epsg::find(code).is_some() || own.iter().any(|crs| crs.code() == Some(code));
            let read = if known { Err("the code is taken".to_owned()) } else { system.read() };
            own.push(read.map_err(|reason| {
                Refusal::new("crs.file_unusable").with("read", code).with("reason", reason)
            })?);
        }
        Ok(Self { own: Arc::new(own) })
    }

    /// The system of a code of EPSG or of ours; refuses one that no book names.
    pub fn find(&self, code: u32) -> Result<Crs, Refusal> {
        self.look_up(code)
            .ok_or_else(|| Refusal::new("crs.unsupported").at("crs").with("read", SystemCode(code)))
    }

    fn look_up(&self, code: u32) -> Option<Crs> {
        match SystemCode(code) {
            SystemCode::GCJ02 => Some(Crs::shifted(code, "GCJ-02", Kind::Gcj02)),
            SystemCode::BD09 => Some(Crs::shifted(code, "BD-09", Kind::Bd09)),
            system => match system.meridian() {
                Some(meridian) => Crs::gauss_krueger(GaussKrueger::on(meridian)).ok(),
                None => {
                    epsg::find(code).or_else(|| self.own.iter().find(|crs| crs.code() == Some(code)).cloned())
                }
            },
        }
    }

    /// The system that a person names: `EPSG:4527`, `4527`, `CM:118.5`, `CM:118°30′`, `gcj02`, `bd09`,
    /// `OWN:910001`.
    pub fn named(&self, text: &str) -> Result<Crs, Refusal> {
        let plain: String =
            text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
        let code = match plain.as_str() {
            "gcj02" | "gcj-02" => Some(SystemCode::GCJ02.0),
            "bd09" | "bd-09" | "bd09ll" => Some(SystemCode::BD09.0),
            "crs84" | "wgs84" => Some(4326),
            "cgcs2000" => Some(4490),
            _ => None,
        };
        if let Some(code) = code {
            return self.find(code);
        }
        if let Some(meridian) = plain.strip_prefix("cm").map(|rest| rest.trim_start_matches([':', '='])) {
            let meridian = parse_degrees(meridian)
                .ok_or_else(|| Refusal::new("crs.meridian").at("crs").with("read", shown(text)))?;
            return Crs::gauss_krueger(GaussKrueger::on(meridian));
        }
        let digits = plain.strip_prefix("epsg:").or_else(|| plain.strip_prefix("own:")).unwrap_or(&plain);
        match digits.parse() {
            Ok(code) => self.find(code),
            Err(_) => Err(Refusal::new("crs.argument").at("crs").with("read", shown(text))),
        }
    }

    /// The system of a `.prj`: WKT of OGC or ESRI, first or second edition, with or without a code.
    /// Where the text tells no code, the system is found by what it does; [`Crs::code`] is `None` for
    /// one that no book names.
    pub fn of_prj(&self, text: &str) -> Result<Crs, Refusal> {
        prj::read(text, self)
    }

    /// Every projected system that is used in one country or zone, equal ones beside each other.
    pub(super) fn grids(&self) -> impl Iterator<Item = Crs> {
        epsg::codes().filter_map(epsg::find).chain(self.own.iter().cloned()).filter(|crs| !crs.is_degrees())
    }

    /// The known system that is made like this one, on the same datum.
    pub(super) fn like(&self, definition: &Definition, datum: &Datum) -> Option<Crs> {
        let built_in = epsg::codes().find(|code| {
            epsg::grid(*code).is_some_and(|(_, on, _, known)| on == *datum && known.is_same(definition))
        });
        built_in.and_then(epsg::find).or_else(|| {
            let is_like = |crs: &&Crs| {
                crs.datum() == datum && crs.definition().is_some_and(|own| own.is_same(definition))
            };
            self.own.iter().find(is_like).cloned()
        })
    }
}

impl SystemFile {
    fn read(self) -> Result<Crs, String> {
        let Self { code, name, proj, datum, within_m, area } = self;
        if !(SystemCode::OWN.contains(&code) || (1024..=900_000).contains(&code)) {
            return Err(format!(
                "the code is neither EPSG's nor from {} to {}",
                SystemCode::OWN.start(),
                SystemCode::OWN.end()
            ));
        }
        if name.trim().is_empty() || name.chars().count() > SHOWN {
            return Err("the name is empty or too long".into());
        }
        let [west, south, east, north] = area;
        if !(west < east
            && south < north
            && west >= -180.0
            && east <= 180.0
            && south >= -90.0
            && north <= 90.0)
        {
            return Err("area is not west, south, east, north".into());
        }
        let datum = match (datum.as_str(), within_m) {
            ("CGCS2000", None) => Datum::cgcs2000(),
            ("WGS 84", None) => Datum::wgs84(),
            ("NAD83", None) => Datum::nad83(),
            (_, Some(within_m)) if within_m.is_finite() && within_m >= 0.0 => Datum { name: datum, within_m },
            _ => return Err("a datum of its own needs within_m, in meters".into()),
        };
        let definition = Definition::parse(&proj)?;
        let crs = Crs::projected(Some(code), name, datum, area, definition)
            .ok_or_else(|| format!("{proj} is no projection that can be computed"))?;
        // What cannot be brought there and back would only fail row by row.
        for (lon, lat) in [(west, south), (west, north), (east, south), (east, north)] {
            let back = crs.to_grid(lon, lat).and_then(|(east, north)| crs.to_degrees(east, north));
            let close = back
                .is_some_and(|(to_lon, to_lat)| (to_lon - lon).abs() < 1e-7 && (to_lat - lat).abs() < 1e-7);
            if !close {
                return Err(format!("{proj} does not hold at {lon}, {lat}, a corner of its area"));
            }
        }
        Ok(crs)
    }
}

pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_names_a_system_in_many_ways() {
        let book = CrsBook::built_in();
        for (text, code) in [
            ("EPSG:4527", 4527),
            (" epsg: 4548", 4548),
            ("4490", 4490),
            ("gcj02", 900_001),
            ("GCJ-02", 900_001),
            ("BD09", 900_002),
            ("CM:118.5", 10_426_600),
            ("cm 118°30′", 10_426_600),
            ("EPSG:26986", 26986),
        ] {
            assert_eq!(book.named(text).unwrap().code(), Some(code), "{text}");
        }
        for (text, code) in [
            ("EPSG:4214", "crs.unsupported"),
            ("north", "crs.argument"),
            ("CM:east", "crs.meridian"),
            ("CM:1185", "crs.meridian"),
            ("", "crs.argument"),
        ] {
            assert_eq!(book.named(text).unwrap_err().code, code, "{text}");
        }
        // What a refusal or a page shows can be typed again.
        for code in [4527, 900_001, 900_002, 10_426_600, 2249] {
            assert_eq!(book.named(&SystemCode(code).to_string()).unwrap().code(), Some(code));
        }
    }

    const OWN: &str = r#"
        [[system]]
        code = 910001
        name = "东营城市坐标系"
        proj = "+proj=tmerc +lat_0=0 +lon_0=118.5 +k=1 +x_0=500000 +y_0=-4000000 +ellps=GRS80 +units=m"
        datum = "CGCS2000"
        area = [117.5, 36.5, 119.5, 38.5]
        [[system]]
        code = 910002
        name = "1954 北京坐标系，本市七参数"
        proj = "+proj=tmerc +lon_0=117 +x_0=39500000 +ellps=krass +towgs84=15.8,-154.4,-82.3,0,0,0,0 +units=m"
        datum = "Beijing 1954"
        within_m = 0.5
        area = [117.5, 36.5, 119.5, 38.5]
    "#;

    #[test]
    fn a_city_adds_its_grid_and_its_transformation() {
        let book = CrsBook::built_in().with(OWN).unwrap();
        let city = book.named("OWN:910001").unwrap();
        let (east, north) = city.to_grid(118.59, 37.46).unwrap();
        // The same point stands at 4147566.480 N on this meridian without the false northing.
        assert!((north - 147_566.480).abs() < 1e-3 && (east - 507_962.534).abs() < 1e-3);

        let local = book.find(910_002).unwrap();
        let (lon, lat) = local.to_degrees(39_640_676.165, 4_148_750.030).unwrap();
        let apart = crate::domain::position::distance_m((lon, lat), (118.59, 37.46));
        assert!((20.0..200.0).contains(&apart), "the transformation moved the point by {apart} m");
        assert_eq!((local.datum().name.as_str(), local.datum().within_m), ("Beijing 1954", 0.5));
    }

    #[test]
    fn a_system_that_cannot_be_meant_is_refused_with_the_reason() {
        let book = CrsBook::built_in();
        let system = |code: u32, rest: &str| format!("[[system]]\ncode = {code}\nname = \"x\"\n{rest}");
        let good = "proj = \"+proj=tmerc +lon_0=117\"\ndatum = \"CGCS2000\"\narea = [117, 36, 118, 38]";
        assert!(book.with(&system(910_003, good)).is_ok());
        for (text, code, says) in [
            ("code = 3".to_owned(), "crs.file_unreadable", "code"),
            (system(4527, good), "crs.file_unusable", "taken"),
            (system(2249, good), "crs.file_unusable", "taken"),
            (system(7, good), "crs.file_unusable", "neither"),
            (system(910_003, &good.replace("[117", "[119")), "crs.file_unusable", "west"),
            (system(910_003, &good.replace("CGCS2000", "Beijing 1954")), "crs.file_unusable", "within_m"),
            (system(910_003, &good.replace("tmerc", "mystery")), "crs.file_unusable", "mystery"),
            (system(910_003, &good.replace("+lon_0", "+nadgrids")), "crs.file_unusable", "nadgrids"),
            (
                system(910_003, &good.replace("tmerc +lon_0=117", "ortho +lat_0=-37 +lon_0=-63")),
                "crs.file_unusable",
                "corner",
            ),
        ] {
            let refusal = book.with(&text).unwrap_err();
            assert_eq!(refusal.code, code, "{text}");
            assert!(refusal.to_string().contains(says), "{refusal} does not say {says}");
        }
    }
}
