//! Where a manhole lies: the coordinates as surveyed, unchanged, beside the CGCS2000
//! longitude/latitude that everything else uses, and the quadkey made from it.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::ids::Millis;
use super::names::named_enum;

/// Northern and southern edge of the Web Mercator square, in degrees: atan(sinh(π)).
pub const MERCATOR_MAX_LAT: f64 = 85.051_128_779_806_59;
/// Zoom level of the tile coordinate that a quadkey interleaves (15 cm at the equator).
pub const QUADKEY_ZOOM: u32 = 28;

named_enum! {
    /// How a position was found.
    PositionMethod as "position_method" {
        Rtk = "rtk", TotalStation = "total_station", Digitized = "digitized", MapPick = "map_pick",
        Phone = "phone", Unknown = "unknown",
    }
}

/// The numbers exactly as the survey gave them, whichever of them its file named first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RawPosition {
    /// Easting or longitude.
    pub x: f64,
    /// Northing or latitude.
    pub y: f64,
    /// Reference system of `x` and `y`: a [`SystemCode`], which is EPSG's code where there is one.
    pub epsg: u32,
}

/// Code of a reference system: EPSG's, or one of ours above 900 000, where EPSG has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SystemCode(pub u32);

impl SystemCode {
    /// Degrees as Chinese online maps shift them, and as one of these maps shifts them once more.
    pub const GCJ02: Self = Self(900_001);
    pub const BD09: Self = Self(900_002);
    /// Codes that a city gives to systems of its own in `crs.toml`.
    pub const OWN: std::ops::RangeInclusive<u32> = 910_000..=999_999;
    /// Gauss-Krüger on a meridian of the city's own: this and the meridian in seconds of arc.
    const MERIDIAN: u32 = 10_000_000;

    /// The code of a usual CGCS2000 grid (easting 500 km on the meridian) by its meridian in degrees
    /// east; `None` for one that does not lie on whole seconds of the eastern hemisphere.
    pub fn of_meridian(degrees: f64) -> Option<Self> {
        let seconds = degrees * 3600.0;
        let whole = seconds.round();
        let fits = (0.0..=648_000.0).contains(&whole) && (seconds - whole).abs() < 1e-5;
        fits.then(|| Self(Self::MERIDIAN + whole as u32))
    }

    /// The meridian of [`Self::of_meridian`], in degrees.
    pub fn meridian(self) -> Option<f64> {
        let seconds = self.0.checked_sub(Self::MERIDIAN).filter(|seconds| *seconds <= 648_000)?;
        Some(f64::from(seconds) / 3600.0)
    }
}

/// `EPSG:4527`, `CM:118.5`, `GCJ-02`, `OWN:910001`: what a person may also type.
impl std::fmt::Display for SystemCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::GCJ02 => f.write_str("GCJ-02"),
            Self::BD09 => f.write_str("BD-09"),
            Self(own) if Self::OWN.contains(&own) => write!(f, "OWN:{own}"),
            Self(code) => match self.meridian() {
                Some(degrees) => write!(f, "CM:{degrees}"),
                None => write!(f, "EPSG:{code}"),
            },
        }
    }
}

/// A position in CGCS2000 degrees with its birth certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub lon: f64,
    pub lat: f64,
    pub raw: RawPosition,
    pub method: PositionMethod,
    /// Radius in meters within which the survey is sure; `None` = not told.
    pub accuracy_m: Option<f64>,
    pub surveyed_at: Option<Millis>,
    pub device: Option<String>,
}

impl Position {
    pub fn quadkey(&self) -> i64 {
        quadkey(self.lon, self.lat)
    }

    /// Whether `new` is at least as sure: a better position never gives way to a worse one in silence.
    pub fn gives_way_to(&self, new: &Position) -> bool {
        match (self.accuracy_m, new.accuracy_m) {
            (Some(known), Some(new)) => new <= known,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }
}

/// Checks a longitude and latitude in degrees; refuses what no survey of a city can mean.
/// (0, 0), swapped axes and numbers beyond the globe each get their own sentence.
pub fn check_degrees(lon: f64, lat: f64) -> Result<(), Refusal> {
    let refuse = |code| Err(Refusal::new(code).at("position").with("lon", lon).with("lat", lat));
    if !lon.is_finite() || !lat.is_finite() {
        return refuse("position.not_a_number");
    }
    if lon == 0.0 && lat == 0.0 {
        return refuse("position.null_island");
    }
    if lat.abs() > 90.0 && lat.abs() <= 180.0 && lon.abs() <= 90.0 {
        return refuse("position.swapped");
    }
    if lon.abs() > 180.0 || lat.abs() > 90.0 {
        return refuse("position.beyond_globe");
    }
    if lat.abs() > MERCATOR_MAX_LAT {
        return refuse("position.polar");
    }
    Ok(())
}

/// Column of the zoom-28 tile that holds this longitude; clamps to the square.
pub fn tile_x(lon: f64) -> u32 {
    let size = f64::from(1u32 << QUADKEY_ZOOM);
    (((lon + 180.0) / 360.0 * size).floor()).clamp(0.0, size - 1.0) as u32
}

/// Row of the zoom-28 tile that holds this latitude, counted from the north; clamps to the square.
pub fn tile_y(lat: f64) -> u32 {
    let size = f64::from(1u32 << QUADKEY_ZOOM);
    let lat = lat.clamp(-MERCATOR_MAX_LAT, MERCATOR_MAX_LAT).to_radians();
    let mercator = lat.sin().atanh();
    (((1.0 - mercator / std::f64::consts::PI) / 2.0 * size).floor()).clamp(0.0, size - 1.0) as u32
}

/// Morton code of the Web Mercator tile coordinate at zoom 28: x in the even bits, y in the odd.
/// Any tile of any zoom is one contiguous range of it. Always in `0..2^56`.
pub fn quadkey(lon: f64, lat: f64) -> i64 {
    (spread(tile_x(lon)) | spread(tile_y(lat)) << 1) as i64
}

/// Spreads the bits of a number to the even places.
pub fn spread(value: u32) -> u64 {
    let mut v = u64::from(value);
    v = (v | v << 16) & 0x0000_FFFF_0000_FFFF;
    v = (v | v << 8) & 0x00FF_00FF_00FF_00FF;
    v = (v | v << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    v = (v | v << 2) & 0x3333_3333_3333_3333;
    (v | v << 1) & 0x5555_5555_5555_5555
}

/// Column and row of the zoom-28 tile with this key.
pub fn quadkey_tile(key: i64) -> (u32, u32) {
    (gather(key as u64), gather(key as u64 >> 1))
}

/// Longitude and latitude of the middle of the zoom-28 tile with this key, a square of 15 cm at the equator.
pub fn quadkey_center(key: i64) -> (f64, f64) {
    let (_, y) = quadkey_tile(key);
    let down = (f64::from(y) + 0.5) / f64::from(1u32 << QUADKEY_ZOOM);
    let lat = ((1.0 - 2.0 * down) * std::f64::consts::PI).tanh().asin().to_degrees();
    (quadkey_lon(key), lat)
}

/// Longitude of the middle of the zoom-28 tile with this key.
pub fn quadkey_lon(key: i64) -> f64 {
    let (x, _) = quadkey_tile(key);
    (f64::from(x) + 0.5) / f64::from(1u32 << QUADKEY_ZOOM) * 360.0 - 180.0
}

/// Gathers the bits at the even places: undoes [`spread`].
fn gather(key: u64) -> u32 {
    let mut v = key & 0x5555_5555_5555_5555;
    v = (v | v >> 1) & 0x3333_3333_3333_3333;
    v = (v | v >> 2) & 0x0F0F_0F0F_0F0F_0F0F;
    v = (v | v >> 4) & 0x00FF_00FF_00FF_00FF;
    v = (v | v >> 8) & 0x0000_FFFF_0000_FFFF;
    (v | v >> 16) as u32
}

/// Meters between two points on the sphere of radius 6 371 008.8 m (haversine); good to 0.5 %.
pub fn distance_m(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (lat1, lat2) = (from.1.to_radians(), to.1.to_radians());
    let (dlat, dlon) = (lat2 - lat1, (to.0 - from.0).to_radians());
    let a = (dlat / 2.0).sin().powi(2) + lat1.cos() * lat2.cos() * (dlon / 2.0).sin().powi(2);
    2.0 * 6_371_008.8 * a.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_impossible_position_gets_its_own_sentence() {
        for (lon, lat, code) in [
            (0.0, 0.0, "position.null_island"),
            (37.46, 118.59, "position.swapped"),
            (640_676.0, 4_148_750.0, "position.beyond_globe"),
            (f64::NAN, 1.0, "position.not_a_number"),
            (12.0, 89.0, "position.polar"),
        ] {
            assert_eq!(check_degrees(lon, lat).unwrap_err().code, code);
        }
        assert_eq!(check_degrees(118.59, 37.46), Ok(()));
    }

    #[test]
    fn a_system_without_a_code_of_epsg_has_one_that_says_what_it_is() {
        let said = |code: u32| SystemCode(code).to_string();
        assert_eq!(said(4527), "EPSG:4527");
        assert_eq!(said(SystemCode::BD09.0), "BD-09");
        assert_eq!(said(910_001), "OWN:910001");
        let meridian = SystemCode::of_meridian(118.5).unwrap();
        assert_eq!((meridian.to_string().as_str(), meridian.meridian()), ("CM:118.5", Some(118.5)));
        assert_eq!(SystemCode::of_meridian(118.0 + 40.0 / 60.0).unwrap().0, 10_427_200);
        assert_eq!(SystemCode::of_meridian(118.500_1), None);
        assert_eq!(SystemCode::of_meridian(-72.5), None);
    }

    #[test]
    fn the_quadkey_covers_the_square_from_corner_to_corner() {
        assert_eq!(quadkey(-180.0, MERCATOR_MAX_LAT), 0);
        assert_eq!(quadkey(180.0, -MERCATOR_MAX_LAT), (1 << 56) - 1);
        for (lon, lat) in [(118.59, 37.46), (-71.1, 42.36), (0.0, 0.0), (179.9, -84.0)] {
            let key = quadkey(lon, lat);
            let center = quadkey_center(key);
            assert_eq!(quadkey(center.0, center.1), key);
            assert!(distance_m((lon, lat), center) < 0.11, "{center:?}");
        }
        assert_eq!(quadkey(180.0, -90.0), (1 << 56) - 1);
    }
}
