//! A projection as a PROJ string: written, read back to its parameters, and compared by them, so
//! that a `.prj` without a code finds the code it could have had.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Unit;
use crate::domain::position::SystemCode;

/// What a PROJ string may say. Grids of shifts would read files; axes are found by magnitude.
const KNOWN: &[&str] = &[
    "a", "alpha", "b", "datum", "ellps", "f", "gamma", "k", "k_0", "lat_0", "lat_1", "lat_2", "lat_ts",
    "lon_0", "lonc", "no_defs", "no_off", "no_uoff", "pm", "proj", "R", "rf", "south", "to_meter", "towgs84",
    "type", "units", "wktext", "x_0", "y_0", "zone",
];

#[derive(Debug, Clone)]
pub(super) struct Definition {
    text: String,
    /// Parameters that decide where a point falls, in their plain form.
    texts: BTreeMap<String, String>,
    numbers: BTreeMap<&'static str, f64>,
    to_meter: f64,
    /// False easting and northing, in meters.
    offset: (f64, f64),
    web_mercator: bool,
}

/// Half the equator, with a meter to spare.
const HALF_WAY_ROUND_M: f64 = 20_037_509.4;

/// Parameters that are numbers, with what they are where nobody says it.
const NUMBERS: &[(&str, f64)] = &[
    ("lat_0", 0.0),
    ("lon_0", 0.0),
    ("lat_1", 0.0),
    ("lat_2", 0.0),
    ("lat_ts", 0.0),
    ("k_0", 1.0),
    ("x_0", 0.0),
    ("y_0", 0.0),
    ("alpha", 0.0),
    ("gamma", 0.0),
    ("lonc", 0.0),
    ("pm", 0.0),
];

impl Definition {
    /// Reads a PROJ string; says what it cannot take.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut said: BTreeMap<&str, &str> = BTreeMap::new();
        for part in text.split_whitespace() {
            let Some(part) = part.strip_prefix('+') else {
                return Err(format!("{part} does not begin with +"));
            };
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !KNOWN.contains(&name) {
                return Err(format!("+{name} is not taken"));
            }
            if said.insert(if name == "k" { "k_0" } else { name }, value).is_some() {
                return Err(format!("+{name} stands twice"));
            }
        }
        let number = |name: &str| -> Result<Option<f64>, String> {
            match said.get(name) {
                None => Ok(None),
                Some(value) => match value.parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok(Some(number)),
                    _ => Err(format!("+{name}={value} is no number")),
                },
            }
        };
        let mut numbers = BTreeMap::new();
        for (name, otherwise) in NUMBERS {
            numbers.insert(*name, number(name)?.unwrap_or(*otherwise));
        }
        let Some(mut projection) = said.get("proj").copied() else { return Err("+proj is missing".into()) };
        if projection == "utm" {
            let Some(zone) = number("zone")? else { return Err("+zone is missing".into()) };
            projection = "tmerc";
            numbers.insert("lon_0", zone * 6.0 - 183.0);
            numbers.insert("k_0", 0.9996);
            numbers.insert("x_0", 500_000.0);
            numbers.insert("y_0", if said.contains_key("south") { 1e7 } else { 0.0 });
        }
        let to_meter = match said.get("units") {
            Some(&"m") => 1.0,
            Some(&"ft") => 0.3048,
            Some(&"us-ft") => 1200.0 / 3937.0,
            Some(other) => return Err(format!("+units={other} is not taken; m, ft, us-ft or +to_meter fit")),
            None => number("to_meter")?.unwrap_or(1.0),
        };
        if !(1e-4..=1e4).contains(&to_meter) {
            return Err(format!("+to_meter={to_meter} is no unit"));
        }
        let mut texts = BTreeMap::from([("proj".to_owned(), projection.to_owned())]);
        if let Some(radius) = said.get("a").filter(|_| said.get("a") == said.get("b")) {
            texts.insert("sphere".into(), (*radius).to_owned());
        }
        if let Some(shift) = said.get("towgs84").filter(|shift| shift.split(',').any(|part| !is_zero(part))) {
            texts.insert("towgs84".into(), (*shift).to_owned());
        }
        let offset = (numbers["x_0"], numbers["y_0"]);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let web_mercator = projection == "merc" && texts.contains_key("sphere");
        Ok(Self { text, texts, numbers, to_meter, offset, web_mercator })
    }

    /// A transverse Mercator grid from the equator in meters, on the ellipsoid of CGCS2000.
    pub(super) fn transverse_mercator(
        central_meridian: f64,
        scale: f64,
        false_easting_m: f64,
        false_northing_m: f64,
    ) -> Self {
        let mut text = format!("+proj=tmerc +lat_0=0 +lon_0={central_meridian} +k={scale}");
        // Writing to a string does not fail.
        let _ =
            write!(text, " +x_0={false_easting_m} +y_0={false_northing_m} +ellps=GRS80 +units=m +no_defs");
        let mut numbers: BTreeMap<&str, f64> = NUMBERS.iter().copied().collect();
        numbers.insert("lon_0", central_meridian);
        numbers.insert("k_0", scale);
        numbers.insert("x_0", false_easting_m);
        numbers.insert("y_0", false_northing_m);
        let texts = BTreeMap::from([("proj".to_owned(), "tmerc".to_owned())]);
        Self {
            text,
            texts,
            numbers,
            to_meter: 1.0,
            offset: (false_easting_m, false_northing_m),
            web_mercator: false,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Degrees east.
    pub(super) fn meridian(&self) -> f64 {
        self.numbers["lon_0"]
    }

    pub(super) fn to_meter(&self) -> f64 {
        self.to_meter
    }

    /// One of the parameters that are numbers, by its name in PROJ; offsets in meters.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.numbers[name]
    }

    /// What the string says behind a name, as it is.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        let said = self.text.split(' ').filter_map(|part| part.strip_prefix('+')?.split_once('='));
        said.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(super) fn is_web_mercator(&self) -> bool {
        self.web_mercator
    }

    /// Whether coordinates lie within half the circumference of the origin; beyond it the formulas go
    /// round the globe and answer with a place that nobody meant. In Web Mercator, which reaches its
    /// origin, numbers that could be degrees are none: they would fall into the Atlantic.
    pub(super) fn is_on_earth(&self, east: f64, north: f64) -> bool {
        if self.web_mercator && east.abs() <= 360.0 && north.abs() <= 360.0 {
            return false;
        }
        let within =
            |ordinate: f64, offset: f64| (ordinate * self.to_meter - offset).abs() <= HALF_WAY_ROUND_M;
        within(east, self.offset.0) && within(north, self.offset.1)
    }

    /// The same grid, counted in another unit; `None` for an angle.
    pub(super) fn in_unit(&self, unit: Unit) -> Option<Self> {
        let to_meter = unit.to_meter()?;
        let is_unit = |part: &&str| part.starts_with("+units=") || part.starts_with("+to_meter=");
        let mut parts: Vec<&str> = self.text.split(' ').filter(|part| !is_unit(part)).collect();
        let factor = format!("+to_meter={to_meter}");
        parts.push(match unit {
            Unit::Foot => "+units=ft",
            Unit::UsSurveyFoot => "+units=us-ft",
            Unit::Meter => "+units=m",
            _ => &factor,
        });
        Some(Self { text: parts.join(" "), to_meter, ..self.clone() })
    }

    /// Whether both put every point on the same place within a millimeter. GRS 80 and the ellipsoid
    /// of WGS 84, which differ by 0.1 mm, count as one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let close = |name: &str| {
            let (a, b) = (self.numbers[name], other.numbers[name]);
            let most = match name {
                "x_0" | "y_0" => 5e-4,
                "k_0" => 1e-10,
                _ => 1e-9,
            };
            (a - b).abs() <= most
        };
        let parallels = |definition: &Self| {
            let mut both = [definition.numbers["lat_1"], definition.numbers["lat_2"]];
            both.sort_by(f64::total_cmp);
            both
        };
        // The two standard parallels may stand in either order.
        let same_parallels = parallels(self).iter().zip(parallels(other)).all(|(a, b)| (a - b).abs() <= 1e-9);
        self.texts == other.texts
            && (self.to_meter / other.to_meter - 1.0).abs() < 1e-8
            && same_parallels
            && NUMBERS.iter().all(|(name, _)| matches!(*name, "lat_1" | "lat_2") || close(name))
    }

    /// Our code of a usual Gauss-Krüger grid on a meridian of whole seconds; `None` for other grids.
    pub(super) fn meridian_code(&self) -> Option<u32> {
        let meridian = self.numbers["lon_0"];
        let usual = Self::transverse_mercator(meridian, 1.0, 500_000.0, 0.0);
        let code = SystemCode::of_meridian(meridian)?;
        self.is_same(&usual).then_some(code.0)
    }
}

fn is_zero(text: &str) -> bool {
    text.trim().parse::<f64>() == Ok(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_compared_by_what_they_do_and_not_by_their_words() {
        let read = |text: &str| Definition::parse(text).unwrap();
        let utm = read("+proj=utm +zone=50 +datum=WGS84 +units=m");
        assert!(utm.is_same(&Definition::transverse_mercator(117.0, 0.9996, 500_000.0, 0.0)));
        assert!(!utm.is_same(&Definition::transverse_mercator(117.0, 1.0, 500_000.0, 0.0)));
        let there =
            read("+proj=lcc +lat_0=41 +lon_0=-71.5 +lat_1=42.6833333333333 +lat_2=41.7166666666667 +x_0=2e5");
        let turned = read(
            "+proj=lcc +lat_0=41 +lon_0=-71.5 +lat_2=42.68333333333333 +lat_1=41.71666666666667 +x_0=2e5",
        );
        assert!(there.is_same(&turned));
        assert!(!there.is_same(&there.in_unit(Unit::UsSurveyFoot).unwrap()));
    }

    #[test]
    fn what_would_read_files_or_turn_axes_is_not_taken() {
        for (text, says) in [
            ("+proj=tmerc +nadgrids=/etc/passwd", "nadgrids"),
            ("+proj=tmerc +axis=neu", "axis"),
            ("+proj=tmerc +lon_0=east", "east"),
            ("+proj=tmerc +units=km", "km"),
            ("+proj=tmerc +k=1 +k_0=2", "twice"),
            ("+lon_0=3", "+proj"),
            ("proj=tmerc", "+"),
            ("", "+proj"),
        ] {
            let reason = Definition::parse(text).unwrap_err();
            assert!(reason.contains(says), "{text}: {reason}");
        }
    }

    #[test]
    fn a_usual_grid_on_whole_seconds_has_a_code() {
        let on = |meridian| Definition::transverse_mercator(meridian, 1.0, 500_000.0, 0.0);
        assert_eq!(on(118.5).meridian_code(), Some(10_426_600));
        assert_eq!(on(118.500_1).meridian_code(), None);
        assert_eq!(Definition::transverse_mercator(118.5, 1.0, 500_000.0, -4e6).meridian_code(), None);
    }
}
