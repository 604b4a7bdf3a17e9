//! How two numbers of a file are read: in which system, and which of them is the easting.

use serde::Serialize;

use super::book::shown;
use super::{Crs, covers};
use crate::domain::Refusal;

/// Which ordinate a file gives first. EPSG says north for Gauss-Krüger and for degrees; programs
/// write east; files have both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axes {
    EastNorth,
    NorthEast,
}

impl Axes {
    pub const ALL: [Axes; 2] = [Axes::EastNorth, Axes::NorthEast];

    /// Easting (or longitude) and northing (or latitude) of two numbers in file order.
    pub fn sort(self, first: f64, second: f64) -> (f64, f64) {
        match self {
            Axes::EastNorth => (first, second),
            Axes::NorthEast => (second, first),
        }
    }

    pub fn turned(self) -> Self {
        match self {
            Axes::EastNorth => Axes::NorthEast,
            Axes::NorthEast => Axes::EastNorth,
        }
    }
}

/// A system and an order.
#[derive(Debug, Clone)]
pub struct Reading {
    pub crs: Crs,
    pub axes: Axes,
}

/// Two numbers, understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// As in the file.
    pub east: f64,
    pub north: f64,
    /// Degrees of CGCS2000.
    pub lon: f64,
    pub lat: f64,
}

impl Reading {
    /// East first, as programs write it.
    pub fn new(crs: Crs) -> Self {
        Self { crs, axes: Axes::EastNorth }
    }

    /// Reads two numbers in file order. Refuses what lies outside the area of a system in the plane,
    /// where the formulas still answer but nobody surveys; whether degrees can be meant is for
    /// [`crate::domain::position::check_degrees`].
    pub fn place(&self, first: f64, second: f64) -> Result<Place, Refusal> {
        let (east, north) = self.axes.sort(first, second);
        let refuse = |code| {
            Refusal::new(code).at("position").with("x", first).with("y", second).with("crs", &self.crs)
        };
        if self.crs.is_degrees() {
            let (lon, lat) = self.crs.to_degrees(east, north).unwrap_or((east, north));
            return Ok(Place { east, north, lon, lat });
        }
        if east == 0.0 && north == 0.0 {
            return Err(refuse("position.zero"));
        }
        if let Some((lon, lat)) = self.inside(east, north) {
            return Ok(Place { east, north, lon, lat });
        }
        Err(refuse(if self.inside(north, east).is_some() {
            "position.axes_swapped"
        } else {
            "position.outside_system"
        }))
    }

    /// Degrees of an easting and northing that lies in the system's area.
    fn inside(&self, east: f64, north: f64) -> Option<(f64, f64)> {
        self.crs.to_degrees(east, north).filter(|(lon, lat)| covers(self.crs.area(), *lon, *lat))
    }

    /// Code under which a position in this system is stored; refuses a system that no book names.
    pub fn code(&self) -> Result<u32, Refusal> {
        self.crs.code().ok_or_else(|| {
            Refusal::new("crs.no_code")
                .at("crs")
                .with("read", shown(self.crs.name()))
                .with("proj", self.crs.proj_string().unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crs::CrsBook;

    #[test]
    fn numbers_that_the_system_cannot_mean_each_get_their_sentence() {
        let reading = Reading::new(CrsBook::built_in().find(4527).unwrap());
        let place = reading.place(39_640_676.165, 4_148_750.030).unwrap();
        assert!((place.lon - 118.59).abs() < 1e-8 && (place.lat - 37.46).abs() < 1e-8);
        for (x, y, code) in [
            (4_148_750.030, 39_640_676.165, "position.axes_swapped"),
            (640_676.165, 4_148_750.030, "position.outside_system"),
            (40_375_250.337, 4_148_496.376, "position.outside_system"),
            (118.59, 37.46, "position.outside_system"),
            (0.0, 0.0, "position.zero"),
            (f64::NAN, 1.0, "position.outside_system"),
            (1e300, -1e300, "position.outside_system"),
        ] {
            assert_eq!(reading.place(x, y).unwrap_err().code, code, "{x} {y}");
        }
        let turned = Reading { axes: reading.axes.turned(), ..reading };
        assert_eq!(turned.place(4_148_750.030, 39_640_676.165).unwrap(), place);
    }

    #[test]
    fn degrees_are_not_taken_for_meters_of_web_mercator() {
        let reading = Reading::new(CrsBook::built_in().find(3857).unwrap());
        assert_eq!(reading.place(118.59, 37.46).unwrap_err().code, "position.outside_system");
        assert!(reading.place(13_201_378.413, 4_503_420.290).is_ok());
    }

    #[test]
    fn a_system_without_a_code_says_how_it_gets_one() {
        let meters = CrsBook::built_in().find(4527).unwrap();
        let feet = meters.in_unit(crate::crs::Unit::Foot).unwrap();
        let refusal = Reading::new(feet).code().unwrap_err();
        assert_eq!(refusal.code, "crs.no_code");
        assert!(refusal.to_string().contains("+units=ft"), "{refusal}");
    }
}
