//! Where a cover lies: the shape of a row, or its two columns, → a position, read in the system that
//! the user, the file or the profile names.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::READ_SHOWN;
use super::declared::DeclaredCrs;
use super::mapping::{Flaw, Mapper, Slot};
use super::profile::{FIELDS, Field};
use crate::crs::{Crs, Reading, parse_degrees};
use crate::domain::Refusal;
use crate::domain::position::{Position, PositionMethod, RawPosition, check_degrees};

/// A geometry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: Option<f64>,
}

/// How the shapes of a file are read, by what it declares.
pub(super) struct Declaration {
    reading: Reading,
    /// Under which positions are kept.
    code: u32,
}

/// What a file's coordinates can be told by.
#[derive(Default)]
pub(super) struct Sample {
    /// Before anything is made of them, in file order: longitude or easting where the columns or the
    /// format call it so, then the other.
    pub(super) points: Vec<(f64, f64)>,
    /// What the file declares for its shapes, and the system that is meant.
    pub(super) declared: Option<(DeclaredCrs, Result<Crs, Refusal>)>,
}

impl Mapper<'_> {
    /// From here on numbers are only gathered; see [`Mapper::take_sample`].
    pub(super) fn begin_sample(&mut self) {
        self.sample = Some(RefCell::default());
    }

    pub(super) fn take_sample(&mut self) -> Sample {
        self.sample.take().unwrap_or_default().into_inner()
    }

    /// Hears what the file declares of the shapes that follow. Refuses a system that is not
    /// understood or has no code, unless the user said which one it is.
    pub(super) fn declare(&self, said: &DeclaredCrs) -> Result<(), Refusal> {
        let book = self.profile.book();
        if let Some(sample) = &self.sample {
            sample.borrow_mut().declared.get_or_insert_with(|| (said.clone(), said.understand(book)));
        } else if !self.profile.insisted {
            let reading = Reading::new(said.understand(book)?);
            let code = reading.code()?;
            self.declared.replace(Some(Declaration { reading, code }));
        }
        Ok(())
    }

    /// Hears what a file declares when its shapes are out already. Refuses what says that they were
    /// read in the wrong system.
    pub(super) fn declare_late(&self, said: &DeclaredCrs) -> Result<(), Refusal> {
        if self.sample.is_some() || self.profile.insisted {
            return self.declare(said);
        }
        let meant = said.understand(self.profile.book())?;
        let declared = self.declared.borrow();
        let taken = declared.as_ref().map_or(&self.profile.reading.crs, |declared| &declared.reading.crs);
        // Degrees of any datum were read as degrees, within what every description of it says.
        if taken.code() == meant.code() || taken.is_plain_degrees() && meant.is_plain_degrees() {
            return Ok(());
        }
        Err(Refusal::new("crs.late").at("crs").with("crs", meant).with("read", taken))
    }

    pub(super) fn position(
        &self,
        slots: &[Option<Slot<'_>>; FIELDS],
        point: Option<Point>,
        extra: &mut BTreeMap<String, String>,
    ) -> Result<Position, Flaw> {
        let (x, y, columns) = self.numbers(slots, point, extra)?;
        if let Some(sample) = &self.sample {
            sample.borrow_mut().points.push((x, y));
        }
        let declared = self.declared.borrow();
        let (reading, epsg) = match declared.as_ref().filter(|_| point.is_some()) {
            Some(declared) => (&declared.reading, declared.code),
            None => (&self.profile.reading, self.profile.epsg),
        };
        let place = reading
            .place(x, y)
            .and_then(|place| self.check_place(place.lon, place.lat).map(|()| place))
            .map_err(|refusal| {
                let column = if y.abs() > 90.0 { columns.1 } else { columns.0 };
                Flaw::new(refusal).column(column).read(&format!("{x}, {y}"))
            })?;
        let method = self
            .word(slots, Field::PositionMethod, &self.profile.position_method, extra)?
            .unwrap_or(PositionMethod::Unknown);
        let lenient = |field: Field| self.profile.rule(field).lenient;
        let accuracy_m = match slots[Field::AccuracyM as usize] {
            None => None,
            Some(slot) => match self.accuracy(slot) {
                Err(_) if lenient(Field::AccuracyM) => {
                    self.keep(extra, slot.column, slot.column, slot.text)?;
                    None
                }
                read => Some(read?),
            },
        };
        let surveyed_at = match slots[Field::SurveyedAt as usize] {
            None => None,
            Some(slot) => match self.date(slot) {
                Err(_) if lenient(Field::SurveyedAt) => {
                    self.keep(extra, slot.column, slot.column, slot.text)?;
                    None
                }
                read => {
                    let read = read?;
                    // A year is not the first of January: what was written stays beside it.
                    if read.is_some_and(|(_, format)| format.is_rough()) {
                        self.keep(extra, slot.column, slot.column, slot.text)?;
                    }
                    read.map(|(at, _)| at)
                }
            },
        };
        Ok(Position {
            lon: place.lon,
            lat: place.lat,
            raw: RawPosition { x: place.east, y: place.north, epsg },
            method,
            accuracy_m,
            surveyed_at,
            device: self.text(slots, Field::Device)?,
        })
    }

    /// The two numbers as the row has them, with the columns they stand in.
    fn numbers<'r>(
        &self,
        slots: &[Option<Slot<'r>>; FIELDS],
        point: Option<Point>,
        extra: &mut BTreeMap<String, String>,
    ) -> Result<(f64, f64, (&'r str, &'r str)), Flaw> {
        let (lon_slot, lat_slot) = (slots[Field::Lon as usize], slots[Field::Lat as usize]);
        match (point, lon_slot, lat_slot) {
            (Some(point), _, _) => {
                // A height of 0 is how GIS programs write "none".
                if let Some(z) = point.z.filter(|z| *z != 0.0) {
                    extra.insert("z".into(), z.to_string());
                }
                // The shape speaks; columns that say something else are not lost.
                for (slot, ordinate) in [(lon_slot, point.x), (lat_slot, point.y)] {
                    if let Some(slot) = slot.filter(|slot| slot.text.parse() != Ok(ordinate)) {
                        self.keep(extra, slot.column, slot.column, slot.text)?;
                    }
                }
                Ok((point.x, point.y, ("geometry", "geometry")))
            }
            (None, Some(lon), Some(lat)) => {
                // What the numbers are is not known yet while a sample is taken.
                let angles = self.profile.reading.crs.is_degrees() || self.sample.is_some();
                let numbers = (number(lon, angles)?, number(lat, angles)?);
                // Minutes and seconds are kept as surveyed beside the degrees they make.
                for slot in [lon, lat] {
                    if slot.text.parse::<f64>().is_err() && decimal_comma(slot.text).is_none() {
                        self.keep(extra, slot.column, slot.column, slot.text)?;
                    }
                }
                Ok((numbers.0, numbers.1, (lon.column, lat.column)))
            }
            (None, None, None) => {
                let by_columns =
                    self.profile.rule(Field::Lon).columns.first().map_or("geometry", String::as_str);
                Err(Flaw::new(Refusal::new("position.missing").at("position")).column(by_columns))
            }
            (None, lon, _) => {
                let field = if lon.is_none() { Field::Lon } else { Field::Lat };
                let column = self.profile.rule(field).columns.first().map_or(field.as_str(), String::as_str);
                Err(Flaw::new(Refusal::new("position.missing").at("position")).column(column))
            }
        }
    }

    fn check_place(&self, lon: f64, lat: f64) -> Result<(), Refusal> {
        check_degrees(lon, lat)?;
        let Some([west, south, east, north]) = self.profile.bbox else { return Ok(()) };
        let inside = |lon: f64, lat: f64| (west..=east).contains(&lon) && (south..=north).contains(&lat);
        if inside(lon, lat) {
            return Ok(());
        }
        let code = if inside(lat, lon) { "position.swapped" } else { "position.outside" };
        Err(Refusal::new(code)
            .at("position")
            .with("lon", lon)
            .with("lat", lat)
            .with("west", west)
            .with("south", south)
            .with("east", east)
            .with("north", north))
    }
}

/// A coordinate; minutes and seconds where the system counts in degrees.
fn number(slot: Slot<'_>, angle: bool) -> Result<f64, Flaw> {
    let read = match slot.text.parse::<f64>() {
        Ok(number) => Some(number).filter(|number| number.is_finite()),
        // In degrees a comma can only be the decimal one; in meters it may part thousands.
        Err(_) if angle => decimal_comma(slot.text).or_else(|| parse_degrees(slot.text)),
        Err(_) => None,
    };
    read.ok_or_else(|| {
        let read: String = slot.text.chars().take(READ_SHOWN).collect();
        Flaw::new(Refusal::new("position.unreadable").at("position").with("read", read))
            .column(slot.column)
            .read(slot.text)
    })
}

/// `118,5912`, as half of Europe writes it.
pub(super) fn decimal_comma(text: &str) -> Option<f64> {
    let (whole, part) = text.split_once(',')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole.strip_prefix(['-', '+']).unwrap_or(whole)) || !digits(part) {
        return None;
    }
    format!("{whole}.{part}").parse().ok()
}
