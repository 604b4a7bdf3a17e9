//! What speaks for a reading: stable codes with their facts. The sentences are in the catalogues
//! under `evidence.<code>`.

use super::Datum;
use crate::domain::position::SystemCode;

/// One observation.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// The user named this system.
    Declared,
    /// The file names it, in its own words.
    FileSays { said: String },
    /// The file names another one, which the user overruled.
    FileOverruled { said: String },
    /// The file does not name one, and its format means degrees then: GeoJSON (RFC 7946, section 4).
    FormatSays,
    /// The profile of the source names it.
    ProfileSays { profile: String },
    /// The numbers are no larger than degrees are.
    SizeOfDegrees,
    /// So many digits of the easting begin with the number of this zone.
    EastingZonePrefix { digits: u32, zone: u32 },
    /// The easting names no zone; its meridian follows from the place alone.
    EastingWithoutZone { digits: u32 },
    /// The file gives north (or latitude) first.
    AxesSwapped,
    /// Read in this unit, and not in meters, it falls where it should.
    FeetNotMeters { unit: String },
    /// This share of the points falls into the region that was given.
    InsideRegion { percent: u32 },
    /// This share falls into the area where the system is used.
    InsideArea { percent: u32 },
    /// Another code stands for the same numbers, within so many meters.
    SameNumbers { as_code: u32, within_m: f64 },
    /// Datum of the system, where it is not CGCS2000; its degrees are taken for those of CGCS2000.
    DatumWithin { datum: String, within_m: f64 },
    /// Degrees do not say their datum.
    DegreesSayNoDatum,
    /// Shifted degrees of an online map would look the same.
    ShiftNotSeen,
    /// A meridian that no national grid has; found by trying half degrees.
    OwnMeridian { degrees: f64 },
    /// Where the first point would lie.
    FirstPoint { lon: f64, lat: f64 },
}

impl Evidence {
    /// Every code, for the catalogues' test.
    pub const CODES: [&'static str; 18] = [
        "declared",
        "file_says",
        "file_overruled",
        "format_says",
        "profile_says",
        "size_of_degrees",
        "easting_zone_prefix",
        "easting_without_zone",
        "axes_swapped",
        "feet_not_meters",
        "inside_region",
        "inside_area",
        "same_numbers",
        "datum_within",
        "degrees_say_no_datum",
        "shift_not_seen",
        "own_meridian",
        "first_point",
    ];

    pub fn code(&self) -> &'static str {
        match self {
            Evidence::Declared => "declared",
            Evidence::FileSays { .. } => "file_says",
            Evidence::FileOverruled { .. } => "file_overruled",
            Evidence::FormatSays => "format_says",
            Evidence::ProfileSays { .. } => "profile_says",
            Evidence::SizeOfDegrees => "size_of_degrees",
            Evidence::EastingZonePrefix { .. } => "easting_zone_prefix",
            Evidence::EastingWithoutZone { .. } => "easting_without_zone",
            Evidence::AxesSwapped => "axes_swapped",
            Evidence::FeetNotMeters { .. } => "feet_not_meters",
            Evidence::InsideRegion { .. } => "inside_region",
            Evidence::InsideArea { .. } => "inside_area",
            Evidence::SameNumbers { .. } => "same_numbers",
            Evidence::DatumWithin { .. } => "datum_within",
            Evidence::DegreesSayNoDatum => "degrees_say_no_datum",
            Evidence::ShiftNotSeen => "shift_not_seen",
            Evidence::OwnMeridian { .. } => "own_meridian",
            Evidence::FirstPoint { .. } => "first_point",
        }
    }

    /// Facts for the sentence.
    pub fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Evidence::Declared
            | Evidence::FormatSays
            | Evidence::SizeOfDegrees
            | Evidence::AxesSwapped
            | Evidence::DegreesSayNoDatum
            | Evidence::ShiftNotSeen => Vec::new(),
            Evidence::FileSays { said } | Evidence::FileOverruled { said } => vec![("said", said.clone())],
            Evidence::ProfileSays { profile } => vec![("profile", profile.clone())],
            Evidence::EastingZonePrefix { digits, zone } => {
                vec![("digits", digits.to_string()), ("zone", zone.to_string())]
            }
            Evidence::EastingWithoutZone { digits } => vec![("digits", digits.to_string())],
            Evidence::FeetNotMeters { unit } => vec![("unit", unit.clone())],
            Evidence::InsideRegion { percent } | Evidence::InsideArea { percent } => {
                vec![("percent", percent.to_string())]
            }
            Evidence::SameNumbers { as_code, within_m } => {
                vec![("crs", SystemCode(*as_code).to_string()), ("meters", within_m.to_string())]
            }
            Evidence::DatumWithin { datum, within_m } => {
                vec![("datum", datum.clone()), ("meters", within_m.to_string())]
            }
            Evidence::OwnMeridian { degrees } => vec![("degrees", degrees.to_string())],
            Evidence::FirstPoint { lon, lat } => {
                vec![("lon", format!("{lon:.6}")), ("lat", format!("{lat:.6}"))]
            }
        }
    }

    /// What is to be said of a datum; `None` for CGCS2000 itself.
    pub(super) fn of_datum(datum: &Datum) -> Option<Self> {
        (datum.within_m > 0.0)
            .then(|| Evidence::DatumWithin { datum: datum.name.clone(), within_m: datum.within_m })
    }
}
