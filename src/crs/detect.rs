//! Which system a sample of numbers can be in. Every known system is tried in both orders; what
//! fits is listed with its evidence, and only a reading that is alone is decided.

use super::definition::Definition;
use super::epsg::{self, HALF_WIDTH_3, Zone};
use super::{Area, Axes, Crs, CrsBook, Evidence, GaussKrueger, Reading, Unit, covers};
use crate::domain::Refusal;
use crate::domain::position::SystemCode;

/// Latitudes between which cities lie. Tells longitude from latitude where no region is given.
const CITIES: (f64, f64) = (-60.0, 75.0);
/// A reading is listed when it fits this share of the points, and believed from the other on: a few
/// wrong rows are for the list of problems.
const LISTED: f64 = 0.1;
const BELIEVED: f64 = 0.9;
/// A declared system is believed from here on; the rows outside it are problems of their own.
const DECLARED: f64 = 0.5;
/// Readings that a refusal spells out.
const MOST_SAID: usize = 8;

/// What a sample can mean.
#[derive(Debug, Clone)]
pub struct Detection {
    /// Plausible readings, the best first.
    pub plausible: Vec<Plausible>,
    /// The system that was declared.
    pub declared: Option<Crs>,
    /// Whether the declared system is the one of `plausible`.
    declared_fits: bool,
    /// Points that were looked at; (0, 0) and what is no number are left out.
    pub points: usize,
    /// The first point as the file has it.
    first: Option<(f64, f64)>,
}

/// A reading that fits.
#[derive(Debug, Clone)]
pub struct Plausible {
    pub reading: Reading,
    /// Of the points, 0 to 1.
    pub share: f64,
    pub evidence: Vec<Evidence>,
    /// Too weak to be decided on, even alone.
    only_proposed: bool,
}

impl Detection {
    /// The reading that alone is plausible; else a refusal that lists what fits, for the user to say.
    pub fn decided(&self) -> Result<&Plausible, Refusal> {
        let (x, y) = self.first.unwrap_or_default();
        let refuse = |code| {
            let said: Vec<String> = self.plausible.iter().take(MOST_SAID).map(Plausible::to_string).collect();
            let more = if self.plausible.len() > said.len() { "; …" } else { "" };
            Refusal::new(code)
                .at("crs")
                .with("x", x)
                .with("y", y)
                .with("count", self.plausible.len())
                .with("fits", format!("{}{more}", said.join("; ")))
        };
        if self.points == 0 {
            return Err(Refusal::new("crs.no_points").at("crs"));
        }
        match (&self.declared, self.plausible.as_slice()) {
            (Some(_), [only]) if self.declared_fits => Ok(only),
            (Some(declared), []) => Err(refuse("crs.declared_fits_not").with("crs", declared)),
            (Some(declared), _) if !self.declared_fits => {
                Err(refuse("crs.declared_fits_not_but").with("crs", declared))
            }
            (_, []) => Err(refuse("crs.nothing_fits")),
            (_, [only]) if only.share >= BELIEVED && !only.only_proposed => Ok(only),
            // A list of every zone of the world helps nobody.
            (_, many) if many.len() > MOST_SAID => Err(refuse("crs.ask_zone")),
            _ => Err(refuse("crs.ask")),
        }
    }
}

/// `EPSG:4548 CGCS2000 / … → 118.590000, 37.460000 (98 %)`.
impl std::fmt::Display for Plausible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.reading.crs)?;
        if self.reading.axes == Axes::NorthEast {
            f.write_str(" (N, E)")?;
        }
        let first = self.evidence.iter().find_map(|evidence| match evidence {
            Evidence::FirstPoint { lon, lat } => Some((lon, lat)),
            _ => None,
        });
        if let Some((lon, lat)) = first {
            write!(f, " → {lon:.6}, {lat:.6}")?;
        }
        if self.share < 1.0 { write!(f, " ({} %)", percent(self.share)) } else { Ok(()) }
    }
}

/// Looks at a sample of raw numbers in file order. `declared` is what the user or the file says;
/// `region` where the points must lie.
pub fn detect(
    points: &[(f64, f64)],
    declared: Option<&Crs>,
    region: Option<Area>,
    book: &CrsBook,
) -> Detection {
    let points: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite() && (*x != 0.0 || *y != 0.0))
        .collect();
    let sample = Sample { points: &points, region };
    let mut detection = Detection {
        plausible: Vec::new(),
        declared: declared.cloned(),
        declared_fits: false,
        points: points.len(),
        first: points.first().copied(),
    };
    if let Some(declared) = declared {
        // The columns are named, so the order is turned only where more of the numbers say so.
        let mut orders: Vec<Plausible> =
            Axes::ALL.iter().filter_map(|axes| sample.declared(declared, *axes)).collect();
        orders.sort_by(|a, b| b.share.total_cmp(&a.share));
        orders.truncate(1);
        detection.plausible = orders;
        detection.declared_fits = !detection.plausible.is_empty();
        if detection.declared_fits {
            return detection;
        }
        detection.plausible = sample.in_feet(declared, book);
    }
    for found in sample.all(book) {
        let same = |there: &Plausible| {
            there.reading.axes == found.reading.axes && there.reading.crs.code() == found.reading.crs.code()
        };
        if !detection.plausible.iter().any(same) {
            detection.plausible.push(found);
        }
    }
    // What differs from the declared system in its false easting or scale alone is the likeliest.
    if let Some(meridian) = declared.and_then(Crs::definition).map(Definition::meridian) {
        detection.plausible.sort_by_key(|plausible| {
            plausible.reading.crs.definition().is_none_or(|definition| definition.meridian() != meridian)
        });
    }
    detection
}

struct Sample<'a> {
    points: &'a [(f64, f64)],
    region: Option<Area>,
}

impl Sample<'_> {
    /// Degrees of a point under a reading, when they lie where they can.
    fn fit(&self, reading: &Reading, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let (east, north) = reading.axes.sort(x, y);
        let (lon, lat) = reading.crs.to_degrees(east, north)?;
        let there = covers(reading.crs.area(), lon, lat)
            && match self.region {
                Some(region) => covers(region, lon, lat),
                None => (CITIES.0..=CITIES.1).contains(&lat),
            };
        there.then_some((lon, lat))
    }

    /// The share of points that a reading fits, and the first of them.
    fn try_reading(&self, reading: &Reading) -> Option<(f64, (f64, f64))> {
        // Most readings fit nothing; that shows in a few points.
        let step = (self.points.len() / 50).max(1);
        if self.points.len() > 100
            && !self.points.iter().step_by(step).any(|point| self.fit(reading, *point).is_some())
        {
            return None;
        }
        let mut fitting = self.points.iter().filter_map(|point| self.fit(reading, *point));
        let first = fitting.next()?;
        let share = (1 + fitting.count()) as f64 / self.points.len() as f64;
        (share >= LISTED).then_some((share, first))
    }

    fn plausible(&self, reading: Reading) -> Option<Plausible> {
        let (share, (lon, lat)) = self.try_reading(&reading)?;
        let mut evidence = Vec::new();
        if reading.crs.is_degrees() {
            evidence.push(Evidence::SizeOfDegrees);
        } else {
            evidence.extend(self.of_easting(&reading));
        }
        if reading.axes == Axes::NorthEast {
            evidence.push(Evidence::AxesSwapped);
        }
        evidence.push(match self.region {
            Some(_) => Evidence::InsideRegion { percent: percent(share) },
            None => Evidence::InsideArea { percent: percent(share) },
        });
        evidence.extend(Evidence::of_datum(reading.crs.datum()));
        evidence.push(Evidence::FirstPoint { lon, lat });
        Some(Plausible { reading, share, evidence, only_proposed: false })
    }

    /// What the digits of the eastings say.
    fn of_easting(&self, reading: &Reading) -> Option<Evidence> {
        let zone = reading.crs.code().and_then(Zone::of_code);
        let on_meridian = reading.crs.code().is_some_and(|code| SystemCode(code).meridian().is_some());
        let point = self.points.iter().find(|point| self.fit(reading, **point).is_some())?;
        let (east, _) = reading.axes.sort(point.0, point.1);
        let digits = east.abs().trunc().to_string().len() as u32;
        match zone {
            Some(Zone { prefixed: true, number, .. }) => {
                Some(Evidence::EastingZonePrefix { digits, zone: number })
            }
            Some(_) => Some(Evidence::EastingWithoutZone { digits }),
            None if on_meridian => Some(Evidence::EastingWithoutZone { digits }),
            None => None,
        }
    }

    fn declared(&self, crs: &Crs, axes: Axes) -> Option<Plausible> {
        let mut plausible =
            self.plausible(Reading { crs: crs.clone(), axes }).filter(|found| found.share >= DECLARED)?;
        plausible.evidence.insert(0, Evidence::Declared);
        Some(plausible)
    }

    /// The declared grid in feet, where it does not fit in meters.
    fn in_feet(&self, declared: &Crs, book: &CrsBook) -> Vec<Plausible> {
        let mut found = Vec::new();
        for unit in [Unit::UsSurveyFoot, Unit::Foot].into_iter().filter(|_| declared.unit() == Unit::Meter) {
            let Some(in_unit) = declared.in_unit(unit) else { continue };
            let named = in_unit.definition().and_then(|definition| book.like(definition, declared.datum()));
            for axes in Axes::ALL {
                let crs = named.clone().unwrap_or_else(|| in_unit.clone());
                if let Some(mut plausible) = self.plausible(Reading { crs, axes }) {
                    plausible.evidence.insert(0, Evidence::FeetNotMeters { unit: unit.to_string() });
                    found.push(plausible);
                }
            }
        }
        found
    }

    /// Every reading that fits, equal ones as one.
    fn all(&self, book: &CrsBook) -> Vec<Plausible> {
        let mut found: Vec<Plausible> = Vec::new();
        let degrees = epsg::find(4490);
        let degrees = degrees.iter().flat_map(|crs| Axes::ALL.map(|axes| Reading { crs: crs.clone(), axes }));
        for reading in degrees {
            let Some(mut plausible) = self.plausible(reading) else { continue };
            plausible.evidence.push(Evidence::DegreesSayNoDatum);
            let shifted = plausible.evidence.iter().any(|evidence| match evidence {
                Evidence::FirstPoint { lon, lat } => super::wgs84_to_gcj02(*lon, *lat) != (*lon, *lat),
                _ => false,
            });
            if shifted {
                plausible.evidence.push(Evidence::ShiftNotSeen);
            }
            found.push(plausible);
        }
        for crs in book.grids() {
            for axes in Axes::ALL {
                let Some(mut plausible) = self.plausible(Reading { crs: crs.clone(), axes }) else {
                    continue;
                };
                let same = found.iter_mut().find(|there| {
                    let both = there.reading.crs.definition().zip(crs.definition());
                    there.reading.axes == axes && both.is_some_and(|(a, b)| a.is_same(b))
                });
                match (same, crs.code()) {
                    (Some(there), Some(as_code)) => {
                        let within_m = there.reading.crs.datum().within_m.max(crs.datum().within_m);
                        there.evidence.push(Evidence::SameNumbers { as_code, within_m });
                    }
                    _ => {
                        if matches!(crs.unit(), Unit::Foot | Unit::UsSurveyFoot) {
                            let unit = crs.unit().to_string();
                            plausible.evidence.insert(0, Evidence::FeetNotMeters { unit });
                        }
                        found.push(plausible);
                    }
                }
            }
        }
        if found.is_empty() {
            found = self.on_own_meridians();
        }
        // Stable: what stands first in the list of codes stays first among equals.
        found.sort_by(|a, b| b.share.total_cmp(&a.share));
        found
    }

    /// Grids on half degrees near the region, where no national one fits. The numbers cannot prove
    /// a meridian, so these are proposed and never decided.
    fn on_own_meridians(&self) -> Vec<Plausible> {
        let Some([west, _, east, _]) = self.region else { return Vec::new() };
        let first = ((west - HALF_WIDTH_3) * 2.0).ceil() as i32;
        let last = ((east + HALF_WIDTH_3) * 2.0).floor() as i32;
        let mut found = Vec::new();
        for half in first..=last {
            let degrees = f64::from(half) / 2.0;
            let Ok(crs) = Crs::gauss_krueger(GaussKrueger::on(degrees)) else { continue };
            for axes in Axes::ALL {
                if let Some(mut plausible) = self.plausible(Reading { crs: crs.clone(), axes }) {
                    plausible.evidence.insert(0, Evidence::OwnMeridian { degrees });
                    plausible.only_proposed = true;
                    found.push(plausible);
                }
            }
        }
        found
    }
}

/// Whole percent, never 100 for less than all.
fn percent(share: f64) -> u32 {
    if share >= 1.0 { 100 } else { ((share * 100.0).round() as u32).min(99) }
}

#[cfg(test)]
mod tests;
