//! What coordinates are counted in, by the words that headers and `.prj` files use.

use std::fmt;

/// A unit of coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    Degree,
    Meter,
    /// The international foot, 0.3048 m.
    Foot,
    /// The US survey foot, 1200/3937 m: 2 ppm longer, which is a meter and more on a state plane.
    UsSurveyFoot,
    /// Another length, in meters.
    Length(f64),
}

const US_SURVEY_FOOT: f64 = 1200.0 / 3937.0;

impl Unit {
    /// Meters in one; `None` for angles.
    pub fn to_meter(self) -> Option<f64> {
        match self {
            Unit::Degree => None,
            Unit::Meter => Some(1.0),
            Unit::Foot => Some(0.3048),
            Unit::UsSurveyFoot => Some(US_SURVEY_FOOT),
            Unit::Length(meters) => Some(meters),
        }
    }

    /// The unit of so many meters. The two feet differ in the seventh digit and are kept apart.
    pub(super) fn of_factor(meters: f64) -> Self {
        let is = |unit: f64| (meters / unit - 1.0).abs() < 1e-8;
        if is(1.0) {
            Unit::Meter
        } else if is(0.3048) {
            Unit::Foot
        } else if is(US_SURVEY_FOOT) {
            Unit::UsSurveyFoot
        } else {
            Unit::Length(meters)
        }
    }

    /// As written in a header or a profile: `m`, `米`, `ft`, `US survey foot`, `英尺`, `度`.
    /// `None` = no unit we know. A bare "foot" is the international one.
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String =
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        Some(match plain.as_str() {
            "m" | "meter" | "meters" | "metre" | "metres" | "米" | "公尺" => Unit::Meter,
            "ft" | "foot" | "feet" | "intfoot" | "internationalfoot" | "footinternational" | "英尺"
            | "呎" => Unit::Foot,
            "ftus" | "usft" | "footus" | "usfoot" | "ussurveyfoot" | "ussurveyfeet" | "surveyfoot"
            | "surveyfeet" | "美制测量英尺" | "测量英尺" => Unit::UsSurveyFoot,
            "deg" | "degree" | "degrees" | "decimaldegrees" | "decimaldegree" | "dd" | "度" | "十进制度" => {
                Unit::Degree
            }
            _ => return None,
        })
    }
}

/// The word that PROJ and EPSG names use.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unit::Degree => f.write_str("degree"),
            Unit::Meter => f.write_str("m"),
            Unit::Foot => f.write_str("ft"),
            Unit::UsSurveyFoot => f.write_str("ftUS"),
            Unit::Length(meters) => write!(f, "{meters} m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_headers_write_them() {
        for (text, unit) in [
            ("m", Unit::Meter),
            (" Metre ", Unit::Meter),
            ("（米）", Unit::Meter),
            ("ft", Unit::Foot),
            ("Foot_US", Unit::UsSurveyFoot),
            ("US survey foot", Unit::UsSurveyFoot),
            ("ftUS", Unit::UsSurveyFoot),
            ("英尺", Unit::Foot),
            ("度", Unit::Degree),
        ] {
            assert_eq!(Unit::parse(text), Some(unit), "{text}");
        }
        assert_eq!(Unit::parse("furlong"), None);
        assert_eq!(Unit::parse(""), None);
    }

    #[test]
    fn the_two_feet_are_told_apart_by_their_factor() {
        assert_eq!(Unit::of_factor(0.304800609601219), Unit::UsSurveyFoot);
        assert_eq!(Unit::of_factor(0.3048006096012192), Unit::UsSurveyFoot);
        assert_eq!(Unit::of_factor(0.3048), Unit::Foot);
        assert_eq!(Unit::of_factor(0.30479841), Unit::Length(0.30479841));
        // A thousand kilometers of feet: the difference is 2 m.
        let feet = 1e6 / 0.3048;
        let apart = (Unit::UsSurveyFoot.to_meter().unwrap() - Unit::Foot.to_meter().unwrap()) * feet;
        assert!((1.9..2.1).contains(&apart));
    }
}
