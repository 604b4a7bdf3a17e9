//! Cells of a row → candidate, as the profile says. Format-free: every reader comes here.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::cells::{Cells, PROBLEM_COLUMN};
use super::dates::DateFormat;
use super::lexicon::Target;
use super::place::{Declaration, Point, Sample, decimal_comma};
use super::profile::{FIELDS, Field, Profile, Word, Words, plain};
use super::units::convert;
use super::{Format, Problem, Scope, Source, shown};
use crate::domain::Refusal;
use crate::domain::code::{CodeParts, ComponentCode, Scheme};
use crate::domain::cover::{Candidate, CoverState, Survey};
use crate::domain::formula::unguarded;
use crate::domain::ids::Millis;

/// Characters that a field, and a column kept as read, may have.
const MAX_TEXT: usize = 500;
/// What a cell of a spreadsheet can hold.
const MAX_KEPT: usize = 32_767;
/// A name this long can have been cut: ten bytes, less a character that did not fit any more.
const CUT_NAME: usize = 8;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A field, with the place of this column among those the field may stand in.
    Field(Field, u16),
    /// Kept in `extra` as this entry of `Profile::kept` says.
    Kept(usize),
    /// Never kept: names of people.
    Dropped,
    /// No profile line names it: kept under its own name.
    Unnamed,
}

pub(super) struct Cell<'r> {
    pub(super) name: &'r str,
    pub(super) meaning: &'r Meaning,
    pub(super) text: &'r str,
    /// A number of which the file holds fewer digits than were typed in.
    pub(super) inexact: bool,
}

/// The columns of a table.
pub(super) struct Columns {
    names: Vec<String>,
    meanings: Vec<Meaning>,
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, at: usize) -> Option<&str> {
        self.names.get(at).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Meaning)> {
        self.names.iter().map(String::as_str).zip(&self.meanings)
    }
}

/// What is wrong with a row, before its line is known.
#[derive(Debug)]
pub(super) struct Flaw(Box<FlawParts>);

#[derive(Debug)]
struct FlawParts {
    column: Option<String>,
    read: String,
    refusal: Refusal,
}

impl Flaw {
    pub(super) fn new(refusal: Refusal) -> Self {
        Self(Box::new(FlawParts { column: None, read: String::new(), refusal }))
    }

    pub(super) fn column(mut self, name: &str) -> Self {
        self.0.column = Some(name.to_owned()).filter(|name| !name.is_empty());
        self
    }

    pub(super) fn read(mut self, text: &str) -> Self {
        self.0.read = shown(text);
        self
    }

    pub(super) fn into_problem(self, line: u64, scope: Scope) -> Problem {
        let FlawParts { column, read, refusal } = *self.0;
        Problem { line, column, read, refusal, scope }
    }
}

/// What stands in a field of the row at hand.
#[derive(Clone, Copy)]
pub(super) struct Slot<'r> {
    rank: u16,
    pub(super) column: &'r str,
    pub(super) text: &'r str,
    inexact: bool,
}

/// A profile, ready for one file.
pub(super) struct Mapper<'a> {
    pub(super) profile: &'a Profile,
    scheme: Option<&'a Scheme>,
    /// Whether a text may be led by an apostrophe that is none of its own.
    guarded: bool,
    /// What a field says where the row says nothing: from the file's name, else the profile's default.
    defaults: [Option<&'a str>; FIELDS],
    /// How the shapes of this file are read, once it has declared its system.
    pub(super) declared: RefCell<Option<Declaration>>,
    /// Numbers as read, while a sample is taken.
    pub(super) sample: Option<RefCell<Sample>>,
    /// What stands in the cells, while somebody looks at them.
    pub(super) cells: Option<RefCell<Cells>>,
}

impl<'a> Mapper<'a> {
    pub(super) fn new(
        profile: &'a Profile,
        schemes: &'a [Scheme],
        source: &Source<'_>,
    ) -> Result<Self, Refusal> {
        let scheme = match source.scheme.or(profile.scheme.as_deref()) {
            Some(id) => Some(schemes.iter().find(|scheme| scheme.id == id).ok_or_else(|| {
                let known: Vec<&str> = schemes.iter().map(|scheme| scheme.id.as_str()).collect();
                Refusal::new("scheme.unknown").at("scheme").with("read", id).with("fits", known.join(", "))
            })?),
            None => None,
        };
        let mut defaults = [None; FIELDS];
        for field in Field::ALL {
            defaults[*field as usize] = profile.rule(*field).default.as_deref();
        }
        match profile.pattern_for(source.file_name) {
            Some(pattern) => {
                for (field, text) in &pattern.set {
                    defaults[*field as usize] = Some(text);
                }
            }
            None if !profile.files.is_empty()
                && profile.rule(Field::District).columns.is_empty()
                && defaults[Field::District as usize].is_none() =>
            {
                let known: Vec<&str> = profile.files.iter().map(|pattern| pattern.name.as_str()).collect();
                return Err(Refusal::new("file.name")
                    .at("district")
                    .with("read", source.file_name)
                    .with("fits", known.join(", ")));
            }
            None => {}
        }
        let guarded = profile.guards_formulas && source.format == Format::Csv;
        Ok(Self {
            profile,
            scheme,
            guarded,
            defaults,
            declared: RefCell::new(None),
            sample: None,
            cells: None,
        })
    }

    /// What a cell says.
    pub(super) fn text_of<'r>(&self, cell: &Cell<'r>) -> &'r str {
        let text = cell.text.trim();
        if self.guarded { unguarded(text) } else { text }
    }

    pub(super) fn meaning_of(&self, column: &str) -> Meaning {
        if column == PROBLEM_COLUMN {
            return Meaning::Dropped;
        }
        let columns = &self.profile.columns;
        let found = columns.get(column).or_else(|| columns.get(&plain(column))).copied();
        match found {
            None if self.is_surveying() => {
                match self.profile.city.lexicon.claim_of(column).map(|claim| claim.target) {
                    Some(Target::Field(field)) => Meaning::Field(field, 0),
                    _ => Meaning::Unnamed,
                }
            }
            found => found.unwrap_or(Meaning::Unnamed),
        }
    }

    /// Whether cells are only gathered, for a profile to be proposed.
    fn is_surveying(&self) -> bool {
        self.cells.as_ref().is_some_and(|cells| cells.borrow().surveys())
    }

    /// The full name of a column whose name a table of the shapefile kind has cut to ten bytes, where
    /// the profile knows exactly one that begins so.
    pub(super) fn full_name(&self, cut: &str) -> String {
        let cut = cut.trim();
        if cut.len() >= CUT_NAME && matches!(self.meaning_of(cut), Meaning::Unnamed) {
            let begins = plain(cut);
            let mut found = self.profile.columns.keys().filter(|name| plain(name).starts_with(&begins));
            if let Some(name) = found.next()
                && found.all(|other| plain(other) == plain(name))
            {
                return name.clone();
            }
        }
        cut.to_owned()
    }

    /// Whether the profile names this column.
    pub(super) fn wants(&self, column: &str) -> bool {
        self.profile.columns.contains_key(column)
    }

    /// Sorts out a header. Refuses one in which a field could stand in two columns of one name, or
    /// that cannot give any candidate. `has_point` = the file has shapes beside its columns.
    pub(super) fn columns_of_header(&self, mut names: Vec<String>, has_point: bool) -> Result<Columns, Flaw> {
        let surveying = self.is_surveying();
        let mut seen: HashMap<String, u32> = HashMap::new();
        let mut meanings = Vec::with_capacity(names.len());
        for (at, name) in names.iter_mut().enumerate() {
            if name.is_empty() {
                *name = format!("column {}", at + 1);
            }
            let mut meaning = self.meaning_of(name);
            let count = seen.entry(plain(name)).or_default();
            *count += 1;
            if *count > 1 && self.profile.numbered_repeats {
                *name = format!("{name} ({count})");
                meaning = self.meaning_of(name);
            } else if *count > 1 {
                if let Meaning::Field(field, _) = meaning
                    && !surveying
                {
                    let refusal =
                        Refusal::new("header.column_twice").at(field.as_str()).with("column", &*name);
                    return Err(Flaw::new(refusal).column(name).read(name));
                }
                *name = format!("{name} ({count})");
            }
            meanings.push(meaning);
        }
        let has = |field: Field| {
            self.defaults[field as usize].is_some()
                || meanings
                    .iter()
                    .any(|meaning| matches!(meaning, Meaning::Field(found, _) if *found == field))
        };
        let code_says_it = self.scheme.is_some() && has(Field::Code);
        let missing = [
            (Field::Lon, has_point || has(Field::Lon)),
            (Field::Lat, has_point || has(Field::Lat)),
            (Field::Class, has(Field::Class) || code_says_it),
            (Field::District, has(Field::District) || code_says_it || self.profile.districts_by_position),
        ]
        .into_iter()
        .find(|(_, there)| !there);
        if let Some((field, _)) = missing.filter(|_| !surveying) {
            let fits = self.profile.fits(field);
            let refusal = Refusal::new("header.column_missing")
                .at(field.as_str())
                .with("field", field)
                .with("fits", fits.join(", "));
            return Err(Flaw::new(refusal).column(&fits[0]).read(&names.join(", ")));
        }
        if surveying {
            self.see_names(&names);
        }
        Ok(Columns { names, meanings })
    }

    pub(super) fn candidate<'r>(
        &'r self,
        line: u64,
        cells: impl Iterator<Item = Cell<'r>>,
        point: Option<Point>,
    ) -> Result<Candidate, Flaw> {
        if self.cells.is_none() {
            return self.understand(line, cells, point);
        }
        // A flaw in one cell ends the reading of a row; all of its cells are looked at before.
        let cells: Vec<Cell<'r>> = cells.collect();
        cells.iter().for_each(|cell| self.see_cell(cell));
        self.see_point(point);
        if self.is_surveying() {
            return Err(Flaw::new(Refusal::new("row.blank")));
        }
        self.understand(line, cells.into_iter(), point)
    }

    fn understand<'r>(
        &'r self,
        line: u64,
        cells: impl Iterator<Item = Cell<'r>>,
        point: Option<Point>,
    ) -> Result<Candidate, Flaw> {
        let mut slots: [Option<Slot<'r>>; FIELDS] = [None; FIELDS];
        let mut extra = BTreeMap::new();
        for cell in cells {
            let text = self.text_of(&cell);
            if text.contains('\0') {
                return Err(Flaw::new(Refusal::new("text.nul")).column(cell.name).read(text));
            }
            match *cell.meaning {
                Meaning::Dropped => {}
                Meaning::Unnamed => self.keep_as_it_is(&mut extra, cell.name, text)?,
                Meaning::Kept(at) => self.keep_as(&mut extra, at, cell.name, text)?,
                Meaning::Field(field, rank) => {
                    if self.is_unknown(field, text) {
                        continue;
                    }
                    if let Some(keep) = &self.profile.rule(field).keep {
                        self.keep(&mut extra, keep, cell.name, text)?;
                    }
                    let new = Slot { rank, column: cell.name, text, inexact: cell.inexact };
                    match &mut slots[field as usize] {
                        empty @ None => *empty = Some(new),
                        // The first column in the profile's order speaks; another one that says
                        // something else is not lost.
                        Some(old) => {
                            let (speaks, other) = if old.rank <= rank { (*old, new) } else { (new, *old) };
                            if speaks.text != other.text {
                                self.keep(&mut extra, other.column, other.column, other.text)?;
                            }
                            *old = speaks;
                        }
                    }
                }
            }
        }
        if slots.iter().all(Option::is_none) && extra.is_empty() && point.is_none() {
            return Err(Flaw::new(Refusal::new("row.blank")));
        }
        for field in Field::ALL {
            if let (empty @ None, Some(text)) = (&mut slots[*field as usize], self.defaults[*field as usize])
            {
                *empty = Some(Slot { rank: u16::MAX, column: "", text, inexact: false });
            }
        }
        self.survey(line, &slots, extra, point)
    }

    fn survey(
        &self,
        line: u64,
        slots: &[Option<Slot<'_>>; FIELDS],
        mut extra: BTreeMap<String, String>,
        point: Option<Point>,
    ) -> Result<Candidate, Flaw> {
        let profile = self.profile;
        let position = self.position(slots, point, &mut extra)?;
        let (code, parts) = match slots[Field::Code as usize] {
            Some(slot) => self.code(slot).map(|(code, parts)| (Some(code), Some(parts)))?,
            None => (None, None),
        };
        let class = match self.word(slots, Field::Class, &profile.class, &mut extra)? {
            Some(class) => class,
            None => match &parts {
                Some(parts) => parts.class,
                None => return Err(self.missing(Field::Class)),
            },
        };
        let district = match (self.text(slots, Field::District)?, &parts) {
            (Some(district), _) => district,
            (None, Some(parts)) => parts.district.clone(),
            // The registry, which knows the outlines, fills it in.
            (None, None) if profile.districts_by_position => String::new(),
            (None, None) => return Err(self.missing(Field::District)),
        };
        if let (Some(parts), Some(slot)) = (&parts, slots[Field::Code as usize]) {
            let refusal = if parts.class != class {
                Refusal::new("code.class_differs").with("code", parts.class).with("row", class)
            } else if parts.district != district {
                Refusal::new("code.district_differs").with("code", &parts.district).with("row", &district)
            } else {
                Refusal::new("")
            };
            if !refusal.code.is_empty() {
                return Err(Flaw::new(refusal.at("code").with("read", slot.text))
                    .column(slot.column)
                    .read(slot.text));
            }
        }
        let survey = Survey {
            district,
            class,
            state: self.word(slots, Field::State, &profile.state, &mut extra)?.unwrap_or(CoverState::Intact),
            position,
            road: self.text(slots, Field::Road)?,
            address: self.text(slots, Field::Address)?,
            placement: self.word(slots, Field::Placement, &profile.placement, &mut extra)?,
            material: self.word(slots, Field::Material, &profile.material, &mut extra)?,
            shape: self.word(slots, Field::Shape, &profile.shape, &mut extra)?,
            load_class: self.word(slots, Field::LoadClass, &profile.load_class, &mut extra)?,
            owner: self.text(slots, Field::Owner)?,
            maintainer: self.text(slots, Field::Maintainer)?,
            supervisor: self.text(slots, Field::Supervisor)?,
            extra,
        };
        let source_key = match slots[Field::SourceKey as usize] {
            Some(slot) if slot.inexact || is_rounded_number(slot.text) => return Err(rounded(slot)),
            _ => self.text(slots, Field::SourceKey)?,
        };
        Ok(Candidate { line, source_key, code, survey })
    }

    fn code(&self, slot: Slot<'_>) -> Result<(ComponentCode, CodeParts), Flaw> {
        if slot.inexact || is_rounded_number(slot.text) {
            return Err(rounded(slot));
        }
        let Some(scheme) = self.scheme else {
            return Err(Flaw::new(
                Refusal::new("code.scheme_missing").at("code").with("read", shown(slot.text)),
            )
            .column(slot.column)
            .read(slot.text));
        };
        scheme.parse(slot.text).map_err(|refusal| Flaw::new(refusal).column(slot.column).read(slot.text))
    }

    pub(super) fn accuracy(&self, slot: Slot<'_>) -> Result<f64, Flaw> {
        let text = self.spelled(Field::AccuracyM, slot.text);
        let factor = self.profile.rule(Field::AccuracyM).factor;
        let number = text.parse::<f64>().or_else(|error| decimal_comma(&text).ok_or(error));
        match number.map(|number| factor.map_or(number, |factor| convert(number, factor))) {
            Ok(meters) if meters.is_finite() && (0.0..=100_000.0).contains(&meters) => Ok(meters),
            _ => Err(Flaw::new(
                Refusal::new("accuracy.unreadable").at("accuracy_m").with("read", shown(slot.text)),
            )
            .column(slot.column)
            .read(slot.text)),
        }
    }

    /// `None` = a day that stands for "unknown".
    pub(super) fn date(&self, slot: Slot<'_>) -> Result<Option<(Millis, DateFormat)>, Flaw> {
        let profile = self.profile;
        let flaw = |refusal: Refusal| {
            Err(Flaw::new(refusal.at("surveyed_at").with("read", shown(slot.text)))
                .column(slot.column)
                .read(slot.text))
        };
        let Some((at, format)) = profile.day_of(slot.text) else {
            let fits: Vec<&str> = profile.date_formats.iter().map(|format| format.example()).collect();
            return flaw(Refusal::new("date.unreadable").with("fits", fits.join(", ")));
        };
        if profile.is_unknown_day(at) {
            return Ok(None);
        }
        // 1900 and 2200 in milliseconds. Before it lie the zero days of spreadsheets (1899-12-30).
        if !(-2_208_988_800_000..7_258_118_400_000).contains(&at.0) {
            return flaw(Refusal::new("date.impossible"));
        }
        Ok(Some((at, format)))
    }

    pub(super) fn word<T: Copy>(
        &self,
        slots: &[Option<Slot<'_>>; FIELDS],
        field: Field,
        words: &Words<T>,
        extra: &mut BTreeMap<String, String>,
    ) -> Result<Option<T>, Flaw> {
        let Some(slot) = slots[field as usize] else { return Ok(None) };
        let code = match words.find(slot.text) {
            Word::Known(word) => return Ok(Some(word)),
            Word::Unknown if self.profile.rule(field).lenient => {
                self.keep(extra, slot.column, slot.column, slot.text)?;
                return Ok(None);
            }
            Word::NotACover => "class.not_a_cover",
            Word::Unknown => unknown_code(field),
        };
        let refusal =
            Refusal::new(code).at(field.as_str()).with("read", shown(slot.text)).with("fits", &words.fits);
        Err(Flaw::new(refusal).column(slot.column).read(slot.text))
    }

    pub(super) fn text(
        &self,
        slots: &[Option<Slot<'_>>; FIELDS],
        field: Field,
    ) -> Result<Option<String>, Flaw> {
        let Some(slot) = slots[field as usize] else { return Ok(None) };
        check_length(slot.text, MAX_TEXT, slot.column)?;
        Ok(Some(self.spelled(field, slot.text).into_owned()))
    }

    /// Our spelling of a text, where the profile gives one.
    fn spelled<'t>(&'t self, field: Field, text: &'t str) -> Cow<'t, str> {
        let texts = &self.profile.rule(field).texts;
        if texts.is_empty() {
            return Cow::Borrowed(text);
        }
        match texts.get(text).or_else(|| texts.get(&plain(text))) {
            Some(ours) => Cow::Borrowed(ours),
            None => Cow::Borrowed(text),
        }
    }

    /// Keeps a column as read, unless it says nothing or names a person.
    pub(super) fn keep(
        &self,
        extra: &mut BTreeMap<String, String>,
        name: &str,
        column: &str,
        text: &str,
    ) -> Result<(), Flaw> {
        if text.is_empty() || is_one_of(&self.profile.unknown, text) {
            return Ok(());
        }
        self.keep_text(extra, name, column, text)
    }

    fn keep_text(
        &self,
        extra: &mut BTreeMap<String, String>,
        name: &str,
        column: &str,
        text: &str,
    ) -> Result<(), Flaw> {
        check_length(text, MAX_KEPT, column)?;
        if self.profile.left_out.iter().any(|phrase| contains(text, phrase)) {
            return Ok(());
        }
        match extra.get(name) {
            Some(there) if there != text => {
                let other = if name == column { format!("{name} (2)") } else { column.to_owned() };
                extra.insert(other, text.to_owned());
            }
            _ => {
                extra.insert(name.to_owned(), text.to_owned());
            }
        }
        Ok(())
    }

    /// Keeps a column that nobody named: only what says that nothing stands there is left out, because a
    /// word such as 无 may be an answer.
    fn keep_as_it_is(
        &self,
        extra: &mut BTreeMap<String, String>,
        column: &str,
        text: &str,
    ) -> Result<(), Flaw> {
        if text.is_empty() || is_one_of(&self.profile.city.lexicon.nothing, text) {
            return Ok(());
        }
        self.keep_text(extra, column, column, text)
    }

    /// Keeps a column as the profile says: under its name, its codes in words, its days as days.
    fn keep_as(
        &self,
        extra: &mut BTreeMap<String, String>,
        at: usize,
        column: &str,
        text: &str,
    ) -> Result<(), Flaw> {
        let kept = &self.profile.kept[at];
        match kept.spelled(text, self.profile) {
            Some(spelled) => self.keep(extra, &kept.name, column, &spelled),
            None => Ok(()),
        }
    }

    fn is_unknown(&self, field: Field, text: &str) -> bool {
        text.is_empty()
            || is_one_of(&self.profile.unknown, text)
            || is_one_of(&self.profile.rule(field).unknown, text)
    }

    fn missing(&self, field: Field) -> Flaw {
        let refusal = Refusal::new("field.missing")
            .at(field.as_str())
            .with("field", field)
            .with("fits", self.profile.fits(field).join(", "));
        let columns = &self.profile.rule(field).columns;
        Flaw::new(refusal).column(columns.first().map_or("", String::as_str))
    }
}

/// The refusal that a closed list of the domain gives to a word it does not know.
fn unknown_code(field: Field) -> &'static str {
    match field {
        Field::Class => "class.unknown",
        Field::State => "state.unknown",
        Field::Placement => "placement.unknown",
        Field::Material => "material.unknown",
        Field::Shape => "shape.unknown",
        Field::LoadClass => "load_class.unknown",
        _ => "position_method.unknown",
    }
}

/// `words` are in their plain form.
pub(super) fn is_one_of(words: &[String], text: &str) -> bool {
    words.iter().any(|word| word == text || (word.len() == text.len() && word.eq_ignore_ascii_case(text)))
}

/// Whether a text holds a phrase, in capitals or not.
fn contains(text: &str, phrase: &str) -> bool {
    text.as_bytes().windows(phrase.len().max(1)).any(|part| part.eq_ignore_ascii_case(phrase.as_bytes()))
}

fn check_length(text: &str, most: usize, column: &str) -> Result<(), Flaw> {
    if text.len() <= most || text.chars().count() <= most {
        return Ok(());
    }
    let refusal = Refusal::new("text.too_long").with("count", text.chars().count()).with("most", most);
    Err(Flaw::new(refusal).column(column).read(text))
}

/// `3.70502E+15`: what a spreadsheet makes of a code that it takes for a number. The digits are gone.
fn is_rounded_number(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    digits(whole) && digits(part) && digits(exponent)
}

fn rounded(slot: Slot<'_>) -> Flaw {
    let code = if slot.inexact { "id.number" } else { "id.rounded" };
    Flaw::new(Refusal::new(code).with("read", slot.text)).column(slot.column).read(slot.text)
}
