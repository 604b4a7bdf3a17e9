//! Reference systems by the names that OGC gives them, each with the order of axes that EPSG says: a program
//! that asks for EPSG:4326 gets latitude first.

use std::sync::{Arc, LazyLock};

use crate::crs::{Crs, CrsBook};
use crate::http::AppState;

/// Longitude and latitude, in this order.
pub(super) const CRS84: &str = "http://www.opengis.net/def/crs/OGC/1.3/CRS84";
/// In what positions are stored: degrees of CGCS2000.
pub(super) const STORAGE: &str = "http://www.opengis.net/def/crs/EPSG/0/4490";
const EPSG: &str = "http://www.opengis.net/def/crs/EPSG/0/";
/// Zones of three degrees of CGCS2000, with and without the zone's number in the easting.
const ZONES: std::ops::RangeInclusive<u32> = 4513..=4554;

/// All systems there may be; making one takes its time.
static ALL: LazyLock<Vec<System>> = LazyLock::new(|| {
    let book = CrsBook::built_in();
    let crs84 = book.find(4490).ok().map(|crs| System { uri: CRS84.into(), crs, is_north_first: false });
    let epsg = [4326, 3857, 4490].into_iter().chain(ZONES).filter_map(|code| {
        let uri = format!("{EPSG}{code}").into();
        Some(System { uri, crs: book.find(code).ok()?, is_north_first: code != 3857 })
    });
    crs84.into_iter().chain(epsg).collect()
});

/// A system in which coordinates are asked for or answered.
#[derive(Debug, Clone)]
pub(super) struct System {
    uri: Arc<str>,
    crs: Crs,
    /// EPSG names the northing, or the latitude, first.
    is_north_first: bool,
}

impl System {
    pub(super) fn crs84() -> Self {
        ALL.first().expect("the built-in book has it").clone()
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// As a survey names it; longitude and latitude without more are those of a receiver.
    pub(super) fn short_name(&self) -> String {
        self.uri.strip_prefix(EPSG).map_or_else(|| "EPSG:4326".to_owned(), |code| format!("EPSG:{code}"))
    }

    pub(super) fn is_degrees(&self) -> bool {
        self.crs.is_degrees()
    }

    /// Whether it is for a strip of the country alone.
    fn is_zone(&self) -> bool {
        self.crs.code().is_some_and(|code| ZONES.contains(&code))
    }

    /// Two ordinates as they are written, as easting and northing; and the other way round.
    pub(super) fn east_north(&self, first: f64, second: f64) -> (f64, f64) {
        if self.is_north_first { (second, first) } else { (first, second) }
    }

    pub(super) fn to_degrees(&self, east: f64, north: f64) -> Option<(f64, f64)> {
        self.crs.to_degrees(east, north)
    }

    pub(super) fn to_grid(&self, lon: f64, lat: f64) -> Option<(f64, f64)> {
        self.crs.to_grid(lon, lat)
    }

    /// Decimals that tell a centimeter.
    pub(super) fn digits(&self) -> u32 {
        if self.is_degrees() { 7 } else { 3 }
    }

    /// A place as it is written: the ordinates in their order, with as many digits as tell a centimeter.
    pub(super) fn write(&self, (lon, lat): (f64, f64)) -> Option<[f64; 2]> {
        let per_unit = 10_f64.powi(self.digits() as i32);
        let round = |ordinate: f64| (ordinate * per_unit).round() / per_unit;
        let (east, north) = self.crs.to_grid(lon, lat)?;
        let (first, second) = self.east_north(round(east), round(north));
        Some([first, second])
    }
}

/// The systems of this city: degrees, Web Mercator, and the zones of CGCS2000 that are used where its covers lie, all
/// of them while there are none; and the zone of the settings.
pub(super) struct Systems(Vec<System>);

impl Systems {
    pub(super) fn of(state: &AppState) -> Self {
        let map = state.snapshot.load();
        let edges = state.shared.extent.lately(&map);
        let reaches = |system: &System| {
            edges.is_none_or(|[west, south, east, north]| {
                let area = system.crs.area();
                west <= area[2] && east >= area[0] && south <= area[3] && north >= area[1]
            })
        };
        let chosen = state.config.map.crs.trim_start_matches("EPSG:").parse::<u32>().ok();
        let is_used = |system: &&System| {
            !system.is_zone() || reaches(system) || (chosen.is_some() && system.crs.code() == chosen)
        };
        Self(ALL.iter().filter(is_used).cloned().collect())
    }

    pub(super) fn uris(&self) -> Vec<&str> {
        self.0.iter().map(System::uri).collect()
    }

    /// A system by its identifier, or by its short name `EPSG:4549`.
    pub(super) fn find(&self, name: &str) -> Option<System> {
        let short = name.strip_prefix("EPSG:").or_else(|| name.strip_prefix("urn:ogc:def:crs:EPSG::"));
        let uri = short.map_or_else(|| name.to_owned(), |code| format!("{EPSG}{code}"));
        let uri = if uri == "urn:ogc:def:crs:OGC:1.3:CRS84" { CRS84.to_owned() } else { uri };
        self.0.iter().find(|system| *system.uri == *uri).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_writes_its_axes_in_the_order_that_epsg_says() {
        let place = (118.59, 37.46);
        let epsg = |code: u32| ALL.iter().find(|system| system.uri.ends_with(&format!("/{code}"))).unwrap();
        assert_eq!(System::crs84().write(place), Some([118.59, 37.46]));
        assert_eq!(epsg(4326).write(place), Some([37.46, 118.59]));
        let zone = epsg(4549);
        let [north, east] = zone.write(place).unwrap();
        assert!((north - 4_148_496.376).abs() < 0.01 && (east - 375_250.337).abs() < 0.01);
        let (east, north) = zone.east_north(north, east);
        let (lon, lat) = zone.to_degrees(east, north).unwrap();
        assert!((lon - place.0).abs() < 1e-7 && (lat - place.1).abs() < 1e-7);
        let [east, north] = epsg(3857).write(place).unwrap();
        assert!(east > 1.3e7 && north < 5e6);
    }
}
