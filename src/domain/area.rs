//! Areas of a city as polygons: districts 行政区, management areas 管理区 such as a development zone
//! beside the counties, and the cells of the unit grid 单元网格.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::names::named_enum;
use super::position::check_degrees;

named_enum! {
    /// What an area is for. Areas of different kinds lie over each other.
    AreaKind as "area_kind" {
        /// 行政区: where all of them end, the jurisdiction ends.
        District = "district",
        /// 管理区, e.g. 经济技术开发区: manages what lies in it, whatever the district.
        Management = "management",
        /// 单元网格
        Grid = "grid",
    }
}

/// A closed line of longitude and latitude in CGCS2000 degrees; the first point again at the end.
pub type Ring = Vec<[f64; 2]>;

/// Parts of an area, each an outer ring and its holes: the coordinates of a GeoJSON MultiPolygon.
/// Which way a ring turns does not matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<Ring>>", into = "Vec<Vec<Ring>>")]
pub struct AreaShape {
    parts: Vec<Vec<Ring>>,
}

/// Characters of a code and of a name.
const MAX_CODE: usize = 40;
const MAX_NAME: usize = 200;

impl AreaShape {
    /// Refuses a shape without parts, a ring that is not closed or has no inside, and points that
    /// no city can have.
    pub fn new(parts: Vec<Vec<Ring>>) -> Result<Self, Refusal> {
        if parts.is_empty() || parts.iter().any(Vec::is_empty) {
            return Err(Refusal::new("area.empty").at("geometry"));
        }
        for ring in parts.iter().flatten() {
            for [lon, lat] in ring {
                check_degrees(*lon, *lat)?;
            }
            if ring.len() < 4 || ring.first() != ring.last() {
                return Err(Refusal::new("area.ring").at("geometry").with("points", ring.len()));
            }
        }
        Ok(Self { parts })
    }

    pub fn parts(&self) -> &[Vec<Ring>] {
        &self.parts
    }

    /// West, south, east, north in degrees.
    pub fn bounds(&self) -> [f64; 4] {
        let everything = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        self.parts.iter().flatten().flatten().fold(everything, |[west, south, east, north], [lon, lat]| {
            [west.min(*lon), south.min(*lat), east.max(*lon), north.max(*lat)]
        })
    }
}

impl TryFrom<Vec<Vec<Ring>>> for AreaShape {
    type Error = Refusal;
    fn try_from(parts: Vec<Vec<Ring>>) -> Result<Self, Refusal> {
        Self::new(parts)
    }
}

impl From<AreaShape> for Vec<Vec<Ring>> {
    fn from(shape: AreaShape) -> Self {
        shape.parts
    }
}

/// An area with its outline.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    pub kind: AreaKind,
    /// Unique within its kind; for a district the digits that stand in codes. Text from end to end.
    pub code: String,
    pub name_zh: String,
    pub name_en: String,
    pub shape: AreaShape,
}

impl Area {
    /// Refuses a code or a name that nobody could read or type.
    pub fn check(&self) -> Result<(), Refusal> {
        let fits = |text: &str, most: usize| {
            !text.trim().is_empty()
                && text.trim() == text
                && text.chars().count() <= most
                && !text.chars().any(char::is_control)
        };
        if !fits(&self.code, MAX_CODE)
            || !self.code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            let read: String = self.code.chars().take(60).collect();
            return Err(Refusal::new("area.code").at("code").with("read", read));
        }
        for name in [&self.name_zh, &self.name_en] {
            if !fits(name, MAX_NAME) {
                let read: String = name.chars().take(60).collect();
                return Err(Refusal::new("area.name").at("name").with("read", read));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_encloses_nothing_is_refused() {
        let open = vec![[118.0, 37.0], [118.1, 37.0], [118.1, 37.1], [118.0, 37.1]];
        let code = |parts| AreaShape::new(parts).unwrap_err().code;
        assert_eq!(code(vec![vec![open.clone()]]), "area.ring");
        assert_eq!(code(vec![vec![open[..2].to_vec()]]), "area.ring");
        assert_eq!(code(vec![]), "area.empty");
        assert_eq!(code(vec![vec![]]), "area.empty");
        let swapped = vec![[37.0, 118.0], [37.0, 118.1], [37.1, 118.1], [37.0, 118.0]];
        assert_eq!(code(vec![vec![swapped]]), "position.swapped");
        let mut closed = open;
        closed.push(closed[0]);
        assert_eq!(AreaShape::new(vec![vec![closed]]).unwrap().bounds(), [118.0, 37.0, 118.1, 37.1]);
    }
}
