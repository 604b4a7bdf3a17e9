//! Query parameters, as strict as the standard wants: what is not defined is refused, and so is what cannot be
//! meant.

use geo::{LineString, Polygon};

use crate::cql2::Figure;
use crate::domain::Refusal;
use crate::http::Problem;
use crate::http::forms::shortened;
use crate::spatial::BBox;

use super::crs::{System, Systems};

/// Features on a page where nobody says how many, and the most there are on one.
pub(super) const USUAL: usize = 100;
pub(super) const MOST: usize = 10_000;

/// What stood behind the question mark; an empty value counts as absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn read(query: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut read: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let refusal = Refusal::new("ogc.unknown_parameter").with("read", shortened(&name));
                return Err(Problem::bad_request(refusal.with("fits", known.join(", "))));
            }
            if read.iter().any(|(earlier, _)| *earlier == name) {
                return Err(wrong("ogc.twice", &name, &value));
            }
            read.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(read))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// The same with one of them said otherwise, or not at all, as the query of an address.
    pub(super) fn with(&self, name: &str, value: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let others = self.0.iter().filter(|(known, value)| known != name && !value.is_empty());
        query.extend_pairs(others).extend_pairs(value.map(|value| (name, value)));
        query.finish()
    }

    /// The same without some of them.
    pub(super) fn without(&self, names: &[&str]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let others =
            self.0.iter().filter(|(known, value)| !names.contains(&known.as_str()) && !value.is_empty());
        query.extend_pairs(others).finish()
    }

    /// How many features are wanted; more than there may be on a page means as many as there may be.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        self.number("limit", 1).map(|limit| limit.map_or(USUAL, |limit| limit.min(MOST)))
    }

    pub(super) fn offset(&self) -> Result<usize, Problem> {
        self.number("offset", 0).map(Option::unwrap_or_default)
    }

    fn number(&self, name: &str, least: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) if number >= least as u64 => Ok(Some(usize::try_from(number).unwrap_or(usize::MAX))),
            _ => {
                let refusal = Refusal::new("ogc.whole_number").with("field", name).with("least", least);
                Err(Problem::bad_request(refusal.with("read", shortened(text))))
            }
        }
    }

    /// The system that a parameter names; CRS84 where it does not.
    pub(super) fn system(&self, name: &'static str, systems: &Systems) -> Result<System, Problem> {
        match self.get(name) {
            None => Ok(System::crs84()),
            Some(uri) => systems.find(uri).ok_or_else(|| {
                let refusal = Refusal::new("ogc.crs").with("field", name).with("read", shortened(uri));
                Problem::bad_request(refusal.with("fits", systems.uris().join(" ")))
            }),
        }
    }

    /// The box that is asked for, in its own system: 4 numbers, or 6 of which the heights say nothing.
    pub(super) fn bbox(&self, systems: &Systems) -> Result<Option<Within>, Problem> {
        let system = self.system("bbox-crs", systems)?;
        let Some(text) = self.get("bbox") else { return Ok(None) };
        let numbers: Option<Vec<f64>> = text
            .split(',')
            .map(|part| part.trim().parse::<f64>().ok().filter(|number| number.is_finite()))
            .collect();
        let [a, b, c, d] = match numbers.as_deref() {
            Some([a, b, c, d] | [a, b, _, c, d, _]) => [*a, *b, *c, *d],
            _ => return Err(wrong("ogc.bbox", "bbox", text)),
        };
        let (low, high) = (system.east_north(a, b), system.east_north(c, d));
        Within::new(system, low, high).map(Some).map_err(|refusal| match refusal.code {
            "bbox.south_above_north" | "bbox.longitude" | "bbox.latitude" => Problem::bad_request(refusal),
            _ => wrong("ogc.bbox", "bbox", text),
        })
    }
}

fn wrong(code: &'static str, field: &str, read: &str) -> Problem {
    Problem::bad_request(Refusal::new(code).with("field", shortened(field)).with("read", shortened(read)))
}

/// A box in the system in which it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Within {
    /// What holds it in degrees.
    pub(super) around: BBox,
    /// For a grid: its edges there, west, south, east, north.
    grid: Option<(System, [f64; 4])>,
}

/// Points along each edge of a box in a grid by which its bounds in degrees are found.
const STEPS: u32 = 16;

impl Within {
    fn new(system: System, low: (f64, f64), high: (f64, f64)) -> Result<Self, Refusal> {
        if system.is_degrees() {
            let around = BBox::new(low.0, low.1, high.0, high.1)?;
            return Ok(Self { around, grid: None });
        }
        let [west, south, east, north] = [low.0, low.1, high.0, high.1];
        if !(west <= east && south <= north) {
            return Err(Refusal::new("bbox.south_above_north")
                .at("bbox")
                .with("south", south)
                .with("north", north));
        }
        // Meridians and parallels are bent in a grid: its edges are walked along.
        let mut bounds = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        for step in 0..=STEPS {
            let share = f64::from(step) / f64::from(STEPS);
            let (x, y) = (west + share * (east - west), south + share * (north - south));
            for (x, y) in [(x, south), (x, north), (west, y), (east, y)] {
                let Some((lon, lat)) = system.to_degrees(x, y) else { continue };
                bounds = [bounds[0].min(lon), bounds[1].min(lat), bounds[2].max(lon), bounds[3].max(lat)];
            }
        }
        let slack = 0.01 + 0.05 * (bounds[2] - bounds[0]).max(bounds[3] - bounds[1]);
        let around = match bounds[0] <= bounds[2] {
            // Nothing of it could be said in degrees: it may be anywhere.
            false => BBox::WORLD,
            true => BBox::new(
                (bounds[0] - slack).max(-180.0),
                (bounds[1] - slack).max(-90.0),
                (bounds[2] + slack).min(180.0),
                (bounds[3] + slack).min(90.0),
            )?,
        };
        Ok(Self { around, grid: Some((system, [west, south, east, north])) })
    }

    /// The box in degrees, its edges bent where they are in a grid; `None` where nothing of it lies on the globe.
    pub(super) fn figure(&self) -> Option<Figure> {
        let Some((system, [west, south, east, north])) = &self.grid else {
            return Figure::of_box(self.around.edges());
        };
        let corners = [(*west, *south), (*east, *south), (*east, *north), (*west, *north)];
        let walk = (0..4).flat_map(|side| {
            let ((x, y), (to_x, to_y)) = (corners[side], corners[(side + 1) % 4]);
            (0..STEPS).map(move |step| {
                let share = f64::from(step) / f64::from(STEPS);
                (x + share * (to_x - x), y + share * (to_y - y))
            })
        });
        let ring = LineString::from_iter(walk.filter_map(|(x, y)| system.to_degrees(x, y)));
        Figure::new(Polygon::new(ring, Vec::new()).into())
    }

    /// Whether a place in degrees lies in it, edges included.
    pub(super) fn contains(&self, lon: f64, lat: f64) -> bool {
        match &self.grid {
            None => self.around.contains(lon, lat),
            Some((system, [west, south, east, north])) => {
                let inside = |(x, y): (f64, f64)| x >= *west && x <= *east && y >= *south && y <= *north;
                system.to_grid(lon, lat).is_some_and(inside)
            }
        }
    }
}
