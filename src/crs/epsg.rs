//! The systems that EPSG names and that come with the program: each as name, PROJ string, datum and
//! area, without building it.

use super::definition::Definition;
use super::{Area, Crs, Datum};

/// Degrees on either side of the meridian within which a grid of 3-degree zones is used. A zone is
/// 1.5 degrees wide on either side; cities that straddle its edge stay in one zone.
pub(super) const HALF_WIDTH_3: f64 = 2.5;
/// The same for zones of 6 degrees, whose half width is 3.
const HALF_WIDTH_6: f64 = 4.0;
/// From the reefs of the Nansha islands to the Heilongjiang.
pub(super) const CHINA_LATITUDES: (f64, f64) = (3.0, 54.0);

/// The strip around a meridian, as far as longitudes go.
pub(super) fn strip(meridian: f64, half_width: f64, (south, north): (f64, f64)) -> Area {
    [(meridian - half_width).max(-180.0), south, (meridian + half_width).min(180.0), north]
}

/// A zone of the Gauss-Krüger grids of CGCS2000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Zone {
    /// 3 or 6 degrees.
    pub(super) width: u32,
    pub(super) number: u32,
    /// Whether eastings begin with the number.
    pub(super) prefixed: bool,
}

impl Zone {
    /// The zone of an EPSG code.
    pub(super) fn of_code(code: u32) -> Option<Self> {
        let (width, first, number, prefixed) = match code {
            4491..=4501 => (6, 4491, 13, true),
            4502..=4512 => (6, 4502, 13, false),
            4513..=4533 => (3, 4513, 25, true),
            4534..=4554 => (3, 4534, 25, false),
            _ => return None,
        };
        Some(Self { width, number: number + code - first, prefixed })
    }

    /// Degrees east.
    fn meridian(self) -> f64 {
        f64::from(if self.width == 3 { self.number * 3 } else { self.number * 6 - 3 })
    }

    fn name(self) -> String {
        let Self { width, number, prefixed } = self;
        match (width, prefixed) {
            (3, true) => format!("CGCS2000 / 3-degree Gauss-Kruger zone {number}"),
            (3, false) => format!("CGCS2000 / 3-degree Gauss-Kruger CM {}E", self.meridian()),
            (_, true) => format!("CGCS2000 / Gauss-Kruger zone {number}"),
            (_, false) => format!("CGCS2000 / Gauss-Kruger CM {}E", self.meridian()),
        }
    }
}

/// Every code that is known without a book, the plainest reading of equal ones first.
pub(super) fn codes() -> impl Iterator<Item = u32> {
    [4490, 4326, 4269]
        .into_iter()
        .chain(4513..=4554)
        .chain(4491..=4512)
        .chain([3857])
        .chain(32601..=32660)
        .chain(32701..=32760)
        .chain(26901..=26923)
}

/// The system of an EPSG code; `None` = not one that comes with the program.
pub(super) fn find(code: u32) -> Option<Crs> {
    let (name, datum) = match code {
        4490 => ("China Geodetic Coordinate System 2000", Datum::cgcs2000()),
        4326 => ("WGS 84", Datum::wgs84()),
        4269 => ("NAD83", Datum::nad83()),
        _ => {
            let (name, datum, area, definition) = grid(code)?;
            return Crs::projected(Some(code), name, datum, area, definition);
        }
    };
    Some(Crs::of_degrees(code, name, datum))
}

/// What a projected system is made of.
pub(super) fn grid(code: u32) -> Option<(String, Datum, Area, Definition)> {
    if let Some(zone) = Zone::of_code(code) {
        let easting = 500_000.0 + if zone.prefixed { f64::from(zone.number) * 1e6 } else { 0.0 };
        let half_width = if zone.width == 3 { HALF_WIDTH_3 } else { HALF_WIDTH_6 };
        let area = strip(zone.meridian(), half_width, CHINA_LATITUDES);
        let definition = Definition::transverse_mercator(zone.meridian(), 1.0, easting, 0.0);
        return Some((zone.name(), Datum::cgcs2000(), area, definition));
    }
    let utm = |zone: u32, south: bool, datum: Datum, ellipsoid: &str| {
        let meridian = f64::from(zone) * 6.0 - 183.0;
        let latitudes = if south { (-80.0, 0.0) } else { (0.0, 84.0) };
        let half = if south { "S" } else { "N" };
        let name = format!("{} / UTM zone {zone}{half}", datum.name);
        let south = if south { " +south" } else { "" };
        let text = format!("+proj=utm +zone={zone}{south} +ellps={ellipsoid} +units=m +no_defs");
        Some((name, datum, strip(meridian, HALF_WIDTH_6, latitudes), Definition::parse(&text).ok()?))
    };
    match code {
        3857 => {
            // A sphere by intent: degrees of the ellipsoid are taken as they are.
            let text =
                "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m +no_defs";
            let edge = crate::domain::position::MERCATOR_MAX_LAT;
            let area = [-180.0, -edge, 180.0, edge];
            let name = "WGS 84 / Pseudo-Mercator".to_owned();
            Some((name, Datum::wgs84(), area, Definition::parse(text).ok()?))
        }
        32601..=32660 => utm(code - 32600, false, Datum::wgs84(), "WGS84"),
        32701..=32760 => utm(code - 32700, true, Datum::wgs84(), "WGS84"),
        26901..=26923 => utm(code - 26900, false, Datum::nad83(), "GRS80"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_is_named_is_a_system() {
        for code in codes() {
            let crs = find(code).unwrap_or_else(|| panic!("EPSG:{code}"));
            assert_eq!(crs.code(), Some(code));
        }
        for code in [0, 4214, 4490 + 1000, 4555, 32600, 32661, 26924] {
            assert!(find(code).is_none(), "EPSG:{code}");
        }
    }

    #[test]
    fn zones_stand_where_the_series_puts_them() {
        let zone = |code| Zone::of_code(code).map(|zone| (zone.number, zone.meridian(), zone.prefixed));
        assert_eq!(zone(4527), Some((39, 117.0, true)));
        assert_eq!(zone(4528), Some((40, 120.0, true)));
        assert_eq!(zone(4548), Some((39, 117.0, false)));
        assert_eq!(zone(4498), Some((20, 117.0, true)));
        assert_eq!(zone(4509), Some((20, 117.0, false)));
        assert_eq!(zone(4533), Some((45, 135.0, true)));
        assert_eq!(find(4549).unwrap().to_string(), "EPSG:4549 CGCS2000 / 3-degree Gauss-Kruger CM 120E");
    }
}
