//! In which reference system points are written. Every format takes the easting (or longitude) first,
//! whatever EPSG says of the system's axes: so do all programs that read them.

use crate::crs::{Crs, CrsBook, covers};
use crate::domain::Refusal;
use crate::domain::position::{RawPosition, SystemCode};

/// A tenth of a millimeter: what is computed is not more exact than that, and numbers stay readable.
const PER_METER: f64 = 1e4;

/// The system of a file.
#[derive(Debug, Clone)]
pub struct Frame {
    crs: Crs,
    declared: bool,
}

impl Frame {
    /// Degrees of CGCS2000, where nobody asked for another system.
    pub fn degrees(book: &CrsBook) -> Result<Self, Refusal> {
        Ok(Self { crs: book.find(4490)?, declared: false })
    }

    /// Refuses the shifted degrees of online maps: a file of them would be taken for the truth.
    pub fn of(crs: Crs) -> Result<Self, Refusal> {
        let code = crs.code().map(SystemCode);
        if matches!(code, Some(SystemCode::GCJ02 | SystemCode::BD09)) {
            return Err(Refusal::new("export.shifted").at("crs").with("read", crs.name()));
        }
        Ok(Self { crs, declared: true })
    }

    pub fn crs(&self) -> &Crs {
        &self.crs
    }

    /// Whether somebody asked for this system.
    pub(super) fn is_declared(&self) -> bool {
        self.declared
    }

    /// The code that EPSG gave to the system.
    pub(super) fn epsg(&self) -> Option<u32> {
        self.crs.code().filter(|code| *code < SystemCode::GCJ02.0)
    }

    /// Where a place in degrees of CGCS2000 stands in this system; `None` where the system is not used,
    /// because the formulas would answer with a number that nobody could read back. A place that was
    /// surveyed in this very system stands where it was surveyed, to the last digit.
    pub fn place(&self, (lon, lat): (f64, f64), raw: &RawPosition) -> Option<(f64, f64)> {
        if self.crs.is_degrees() {
            return self.crs.to_grid(lon, lat);
        }
        if !covers(self.crs.area(), lon, lat) {
            return None;
        }
        if self.crs.code() == Some(raw.epsg) {
            return Some((raw.x, raw.y));
        }
        let (east, north) = self.crs.to_grid(lon, lat)?;
        let round = |ordinate: f64| (ordinate * PER_METER).round() / PER_METER;
        Some((round(east), round(north)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: RawPosition = RawPosition { x: 118.59, y: 37.46, epsg: 4490 };

    #[test]
    fn a_place_surveyed_in_the_wanted_system_keeps_its_digits() {
        let book = CrsBook::built_in();
        let frame = Frame::of(book.find(4549).unwrap()).unwrap();
        let surveyed = RawPosition { x: 375_250.337_217_4, y: 4_148_496.376_491_2, epsg: 4549 };
        assert_eq!(frame.place((118.59, 37.46), &surveyed), Some((surveyed.x, surveyed.y)));
        assert_eq!(frame.place((118.59, 37.46), &RAW), Some((375_250.337_2, 4_148_496.376_5)));
    }

    #[test]
    fn a_place_far_from_a_zone_has_no_number_in_it() {
        let frame = Frame::of(CrsBook::built_in().find(4549).unwrap()).unwrap();
        assert_eq!(frame.place((-72.58, 44.26), &RAW), None);
    }

    #[test]
    fn degrees_that_online_maps_shift_are_not_written_to_files() {
        for code in [900_001, 900_002] {
            let refused = Frame::of(CrsBook::built_in().find(code).unwrap()).unwrap_err();
            assert_eq!(refused.code, "export.shifted");
        }
    }
}
