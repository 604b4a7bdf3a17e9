//! What a coordinate means: reference systems by EPSG code, by central meridian, by the city's own
//! file and by `.prj`; to and from degrees of CGCS2000; which system a sample of numbers can be in.
//!
//! ```text
//! CrsBook::built_in().named("EPSG:4527")? ─► Crs::to_degrees(easting, northing)
//! detect(&points, declared, area, &book) ─► Detection::decided()? ─► Reading::place(x, y)?
//! ```
//!
//! What is done with a position, and which column it stands in, is left to `import`.

mod angle;
mod book;
mod definition;
mod detect;
mod epsg;
mod evidence;
mod obfuscation;
mod prj;
mod reading;
mod unit;
mod wkt;
mod wkt_out;

pub use angle::parse_degrees;
pub use book::CrsBook;
pub use detect::{Detection, Plausible, detect};
pub use evidence::Evidence;
pub use obfuscation::{bd09_to_gcj02, gcj02_to_bd09, gcj02_to_wgs84, wgs84_to_gcj02};
pub use reading::{Axes, Place, Reading};
pub use unit::Unit;
pub use wkt_out::Wkt;

use std::fmt;
use std::sync::Arc;

use proj4rs::Proj;

use crate::domain::Refusal;
use definition::Definition;

/// West, south, east, north in degrees.
pub type Area = [f64; 4];

/// Whether a place lies in an area, its edges included.
pub fn covers(area: Area, lon: f64, lat: f64) -> bool {
    let [west, south, east, north] = area;
    (west..=east).contains(&lon) && (south..=north).contains(&lat)
}

/// The datum of a reference system. Degrees of every datum here are taken for degrees of CGCS2000;
/// `within_m` says how far that can be wrong, and every description names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    pub name: String,
    /// Meters within which its degrees are those of CGCS2000.
    pub within_m: f64,
}

impl Datum {
    pub fn cgcs2000() -> Self {
        Self { name: "CGCS2000".into(), within_m: 0.0 }
    }

    /// CGCS2000 stands at the epoch 2000.0 and the plate moves 3 cm a year.
    pub fn wgs84() -> Self {
        Self { name: "WGS 84".into(), within_m: 1.0 }
    }

    /// North America's, 1 to 2 m from WGS 84.
    pub fn nad83() -> Self {
        Self { name: "NAD83".into(), within_m: 2.0 }
    }
}

/// A reference system in the plane or in degrees. Cheap to clone.
#[derive(Clone)]
pub struct Crs(Arc<Parts>);

struct Parts {
    code: Option<u32>,
    name: String,
    datum: Datum,
    area: Area,
    kind: Kind,
}

enum Kind {
    /// Longitude and latitude.
    Degrees,
    /// Longitude and latitude as Chinese online maps shift them.
    Gcj02,
    /// The same, shifted once more.
    Bd09,
    Projected(Box<Projected>),
}

struct Projected {
    definition: Definition,
    unit: Unit,
    grid: Proj,
    degrees: Proj,
    /// The degrees of a local datum, for which `grid` holds a transformation.
    in_degrees: bool,
}

impl Crs {
    fn of_degrees(code: u32, name: &str, datum: Datum) -> Self {
        let area = [-180.0, -90.0, 180.0, 90.0];
        Self(Arc::new(Parts { code: Some(code), name: name.into(), datum, area, kind: Kind::Degrees }))
    }

    fn shifted(code: u32, name: &str, kind: Kind) -> Self {
        // The public formula is exact to well below a meter; services add noise of their own.
        let datum = Datum { name: name.into(), within_m: 1.0 };
        let area = [-180.0, -90.0, 180.0, 90.0];
        Self(Arc::new(Parts { code: Some(code), name: name.into(), datum, area, kind }))
    }

    /// `None` when there is no such projection.
    fn projected(
        code: Option<u32>,
        name: String,
        datum: Datum,
        area: Area,
        definition: Definition,
    ) -> Option<Self> {
        let grid = Proj::from_proj_string(definition.text()).ok()?;
        // Only a definition with a transformation of its own (+towgs84) is transformed.
        let degrees = Proj::from_proj_string("+proj=longlat +ellps=GRS80 +towgs84=0,0,0,0,0,0,0").ok()?;
        let in_degrees = grid.is_latlong();
        let unit = if in_degrees { Unit::Degree } else { Unit::of_factor(definition.to_meter()) };
        let projected = Projected { definition, unit, grid, degrees, in_degrees };
        let kind = Kind::Projected(Box::new(projected));
        Some(Self(Arc::new(Parts { code, name, datum, area, kind })))
    }

    /// A Gauss-Krüger grid of CGCS2000 on a meridian of the city's own. Refuses what is no grid of
    /// this kind.
    pub fn gauss_krueger(grid: GaussKrueger) -> Result<Self, Refusal> {
        let GaussKrueger { central_meridian, false_easting_m, false_northing_m, scale } = grid;
        let fits = (-180.0..=180.0).contains(&central_meridian)
            && [false_easting_m, false_northing_m].iter().all(|offset| offset.abs() < 1e8)
            && (0.9..=1.1).contains(&scale);
        let definition =
            Definition::transverse_mercator(central_meridian, scale, false_easting_m, false_northing_m);
        let code = definition.meridian_code();
        let name = format!("CGCS2000 / Gauss-Kruger CM {central_meridian}");
        let area = epsg::strip(central_meridian, epsg::HALF_WIDTH_3, epsg::CHINA_LATITUDES);
        let crs = fits.then(|| Self::projected(code, name, Datum::cgcs2000(), area, definition)).flatten();
        crs.ok_or_else(|| {
            Refusal::new("crs.meridian")
                .at("crs")
                .with("read", format!("{central_meridian} {false_easting_m} {false_northing_m} {scale}"))
        })
    }

    /// EPSG code, or one of ours where EPSG has none ([`crate::domain::position::SystemCode`]);
    /// `None` = a system that no book names.
    pub fn code(&self) -> Option<u32> {
        self.0.code
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn datum(&self) -> &Datum {
        &self.0.datum
    }

    /// Where it is used.
    pub fn area(&self) -> Area {
        self.0.area
    }

    /// Whether coordinates are angles.
    pub fn is_degrees(&self) -> bool {
        match &self.0.kind {
            Kind::Degrees | Kind::Gcj02 | Kind::Bd09 => true,
            Kind::Projected(projected) => projected.in_degrees,
        }
    }

    /// Whether coordinates are angles as they stand: neither shifted nor in need of a transformation.
    pub fn is_plain_degrees(&self) -> bool {
        matches!(self.0.kind, Kind::Degrees)
    }

    /// What coordinates are counted in.
    pub fn unit(&self) -> Unit {
        match &self.0.kind {
            Kind::Degrees | Kind::Gcj02 | Kind::Bd09 => Unit::Degree,
            Kind::Projected(projected) => projected.unit,
        }
    }

    /// The PROJ string; `None` for plain and for shifted degrees.
    pub fn proj_string(&self) -> Option<&str> {
        self.definition().map(Definition::text)
    }

    fn definition(&self) -> Option<&Definition> {
        match &self.0.kind {
            Kind::Projected(projected) => Some(&projected.definition),
            _ => None,
        }
    }

    /// The same grid counted in another unit, without a code; `None` for degrees.
    pub fn in_unit(&self, unit: Unit) -> Option<Self> {
        let definition = self.definition().filter(|_| !self.is_degrees())?.in_unit(unit)?;
        let name = format!("{} ({unit})", self.name());
        Self::projected(None, name, self.datum().clone(), self.area(), definition)
    }

    /// Longitude and latitude of CGCS2000 of an easting and northing (or longitude and latitude) in
    /// this system; `None` beyond what it can express.
    pub fn to_degrees(&self, east: f64, north: f64) -> Option<(f64, f64)> {
        if !(east.is_finite() && north.is_finite()) {
            return None;
        }
        let (lon, lat) = match &self.0.kind {
            Kind::Degrees => (east, north),
            Kind::Gcj02 => obfuscation::gcj02_to_wgs84(east, north),
            Kind::Bd09 => {
                let (lon, lat) = obfuscation::bd09_to_gcj02(east, north);
                obfuscation::gcj02_to_wgs84(lon, lat)
            }
            Kind::Projected(projected) => projected.to_degrees(east, north)?,
        };
        (lon.is_finite() && lat.is_finite()).then_some((lon, lat))
    }

    /// Easting and northing (or longitude and latitude) in this system of a place in degrees of
    /// CGCS2000; `None` where it has none.
    pub fn to_grid(&self, lon: f64, lat: f64) -> Option<(f64, f64)> {
        if !(lon.is_finite() && lat.is_finite() && lon.abs() <= 180.0 && lat.abs() <= 90.0) {
            return None;
        }
        let (east, north) = match &self.0.kind {
            Kind::Degrees => (lon, lat),
            Kind::Gcj02 => obfuscation::wgs84_to_gcj02(lon, lat),
            Kind::Bd09 => {
                let (lon, lat) = obfuscation::wgs84_to_gcj02(lon, lat);
                obfuscation::gcj02_to_bd09(lon, lat)
            }
            Kind::Projected(projected) => projected.to_grid(lon, lat)?,
        };
        (east.is_finite() && north.is_finite()).then_some((east, north))
    }
}

impl Projected {
    fn to_degrees(&self, east: f64, north: f64) -> Option<(f64, f64)> {
        if !self.in_degrees && !self.definition.is_on_earth(east, north) {
            return None;
        }
        let from = if self.in_degrees { (east.to_radians(), north.to_radians()) } else { (east, north) };
        let (lon, lat) = proj4rs::adaptors::transform_xy(&self.grid, &self.degrees, from.0, from.1).ok()?;
        Some((lon.to_degrees(), lat.to_degrees()))
    }

    fn to_grid(&self, lon: f64, lat: f64) -> Option<(f64, f64)> {
        let (lon, lat) = (lon.to_radians(), lat.to_radians());
        let (east, north) = proj4rs::adaptors::transform_xy(&self.degrees, &self.grid, lon, lat).ok()?;
        Some(if self.in_degrees { (east.to_degrees(), north.to_degrees()) } else { (east, north) })
    }
}

impl fmt::Debug for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crs({self})")
    }
}

/// `EPSG:4527 CGCS2000 / 3-degree Gauss-Kruger zone 39`.
impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(code) => {
                let code = crate::domain::position::SystemCode(code).to_string();
                if code == self.name() { f.write_str(&code) } else { write!(f, "{code} {}", self.name()) }
            }
            None => f.write_str(self.name()),
        }
    }
}

/// What a Gauss-Krüger grid of a city's own is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussKrueger {
    /// Degrees east.
    pub central_meridian: f64,
    pub false_easting_m: f64,
    pub false_northing_m: f64,
    pub scale: f64,
}

impl GaussKrueger {
    /// The usual grid on a meridian: easting 500 km on it, true scale, northing from the equator.
    pub fn on(central_meridian: f64) -> Self {
        Self { central_meridian, false_easting_m: 500_000.0, false_northing_m: 0.0, scale: 1.0 }
    }
}

#[cfg(test)]
mod tests;
