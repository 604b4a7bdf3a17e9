//! A profile for a file of which nobody has said how it is read, from what its columns are called and what
//! stands in them. The rules stand at the head of `labels/synonyms.toml`; what was decided by which is noted
//! beside each column, and nothing is taken that two columns claim alike.

use std::collections::{BTreeMap, HashMap};

use toml::{Table, Value};

use super::cells::{Column, ColumnNote, Surveyed};
use super::dates::{DateFormat, FormsSeen};
use super::lexicon::{Claim, Lexicon, Strength, Target};
use super::mapping::is_one_of;
use super::place::decimal_comma;
use super::profile::{AUTO, Field, Profile, find_built_in_for, plain};
use super::{DateOrder, Source};
use crate::crs::parse_degrees;
use crate::domain::Refusal;
use crate::domain::code::Scheme;

/// Share of the filled cells that must bear out a weak claim.
const BORNE_OUT: f64 = 0.5;
/// Letters of a word that is looked for in a file's name.
const IN_NAME: usize = 4;

/// A profile with what speaks for it.
pub(super) struct Proposal {
    pub(super) profile: Profile,
    pub(super) notes: Vec<ColumnNote>,
    pub(super) by_column: HashMap<String, Vec<ColumnNote>>,
}

/// What a column could be.
struct Candidate<'s> {
    column: &'s Column,
    claim: Claim,
    /// The stronger, the smaller.
    rank: u8,
}

struct Desk<'s> {
    lexicon: &'s Lexicon,
    base: &'s Profile,
    surveyed: &'s Surveyed,
    notes: Vec<ColumnNote>,
    by_column: HashMap<String, Vec<ColumnNote>>,
    /// Words for districts, by what a file may write.
    districts: HashMap<String, String>,
}

/// Proposes a profile. Refuses only what cannot become one.
pub(super) fn propose(
    base: &Profile,
    schemes: &[Scheme],
    source: &Source<'_>,
    surveyed: &Surveyed,
) -> Result<Proposal, Refusal> {
    let city = &base.city;
    if is_our_table(surveyed, &city.lexicon)
        && let Some(profile) = find_built_in_for("lidmark-csv", city)
    {
        let notes = vec![ColumnNote::new("own_table", &[])];
        return Ok(Proposal { profile: profile?, notes, by_column: HashMap::new() });
    }
    let mut desk = Desk {
        lexicon: &city.lexicon,
        base,
        surveyed,
        notes: Vec::new(),
        by_column: HashMap::new(),
        districts: district_words(base),
    };
    let scheme_id = source.scheme.or(city.scheme.as_deref());
    let scheme = schemes.iter().find(|scheme| Some(scheme.id.as_str()) == scheme_id);
    let taken = desk.decide(desk.candidates(), scheme);
    let text = desk.write(&taken, scheme, source);
    let profile = Profile::from_toml_in(&text, city)?;
    Ok(Proposal { profile, notes: desk.notes, by_column: desk.by_column })
}

/// Whether every column that says something to us is called by our own name, and enough of them are there.
fn is_our_table(surveyed: &Surveyed, lexicon: &Lexicon) -> bool {
    let has = |field: Field| surveyed.columns.iter().any(|column| column.name == field.as_str());
    let is_ours = |column: &Column| match lexicon.claim_of(&column.name).map(|claim| claim.target) {
        Some(Target::Field(field)) => column.name == field.as_str(),
        _ => true,
    };
    has(Field::Class)
        && (has(Field::District) || has(Field::Code))
        && (surveyed.has_point || has(Field::Lon) && has(Field::Lat))
        && surveyed.columns.iter().all(is_ours)
}

/// What a file may write for a district: its code, its names, its names without the word for "district".
fn district_words(base: &Profile) -> HashMap<String, String> {
    let mut words: HashMap<String, String> = HashMap::new();
    let districts = &base.city.districts;
    for district in districts {
        for word in [&district.code, &district.name_zh, &district.name_en] {
            words.insert(plain(word), district.code.clone());
        }
    }
    for district in districts {
        let short = district.name_zh.trim_end_matches(['区', '县', '市']);
        let alone = districts.iter().filter(|other| other.name_zh.starts_with(short)).count() == 1;
        if alone && short.chars().count() > 1 {
            words.entry(plain(short)).or_insert_with(|| district.code.clone());
        }
    }
    words
}

impl<'s> Desk<'s> {
    fn note(&mut self, column: &str, code: &str, facts: &[(&str, &str)]) {
        self.by_column.entry(column.to_owned()).or_default().push(ColumnNote::new(code, facts));
    }

    fn candidates(&self) -> Vec<Candidate<'s>> {
        let claim = |column: &'s Column| {
            let claim = self.lexicon.claim_of(&column.name)?;
            let rank = match claim.strength {
                Strength::Exact => 0,
                Strength::Weak => 2,
                Strength::Cut => 3,
                Strength::Contains => 4,
            };
            Some(Candidate { column, claim, rank })
        };
        self.surveyed.columns.iter().filter_map(claim).collect()
    }

    /// Which column speaks for which target.
    fn decide(&mut self, candidates: Vec<Candidate<'s>>, scheme: Option<&Scheme>) -> Vec<Candidate<'s>> {
        let mut by_target: BTreeMap<Target, Vec<Candidate<'s>>> = BTreeMap::new();
        for mut candidate in candidates {
            if candidate.claim.target == Target::Field(Field::Code) && !self.is_code(candidate.column, scheme)
            {
                let scheme = scheme.map_or("", |scheme| scheme.id.as_str());
                self.note(&candidate.column.name, "code_fits_not", &[("scheme", scheme)]);
                candidate.claim.target = Target::Field(Field::SourceKey);
                candidate.rank += 1;
            }
            if self.is_borne_out(&candidate) {
                by_target.entry(candidate.claim.target).or_default().push(candidate);
            }
        }
        let mut taken = Vec::new();
        for (target, mut claims) in by_target {
            if target == Target::Person {
                taken.extend(claims);
                continue;
            }
            let best = claims.iter().map(|claim| claim.rank).min().unwrap_or_default();
            let (first, second): (Vec<_>, Vec<_>) = claims.drain(..).partition(|claim| claim.rank == best);
            let meant = self.name_of(target);
            if first.len() > 1 {
                let names: Vec<&str> = first.iter().map(|claim| claim.column.name.as_str()).collect();
                let names = names.join(", ");
                for claim in &first {
                    let facts = [("columns", names.as_str()), ("import_field", meant.as_str())];
                    self.note(&claim.column.name, "contested", &facts);
                }
            }
            for claim in second {
                let facts = [("column", first[0].column.name.as_str()), ("import_field", meant.as_str())];
                self.note(&claim.column.name, "second", &facts);
            }
            if first.len() == 1 {
                taken.extend(first);
            }
        }
        for claim in &taken {
            let code = match claim.claim.strength {
                Strength::Exact => "by_name",
                Strength::Weak => "by_weak",
                Strength::Cut => "by_cut",
                Strength::Contains => "by_part",
            };
            let facts = [("synonym", claim.claim.synonym.as_str())];
            let notes = self.by_column.entry(claim.column.name.clone()).or_default();
            notes.insert(0, ColumnNote::new(code, &facts));
        }
        taken
    }

    fn name_of(&self, target: Target) -> String {
        match target {
            Target::Field(field) => field.to_string(),
            Target::Attribute(at) => self.lexicon.attribute(at).name.clone(),
            Target::Person => String::new(),
        }
    }

    fn is_code(&self, column: &Column, scheme: Option<&Scheme>) -> bool {
        let Some(scheme) = scheme else { return false };
        share(column, |text| is_one_of(&self.base.unknown, text) || scheme.parse(text).is_ok()) >= BORNE_OUT
    }

    /// Whether what stands in a column bears out what its name claims.
    fn is_borne_out(&mut self, candidate: &Candidate<'_>) -> bool {
        let Candidate { column, claim, .. } = candidate;
        let strong = claim.strength == Strength::Exact;
        let fits = match claim.target {
            Target::Person => claim.strength == Strength::Exact,
            Target::Field(Field::SourceKey) => {
                let rows = self.surveyed.rows;
                let different = column.values.len() as u64;
                let repeats = column.filled - different;
                if repeats > 0 {
                    let facts = [("count", repeats.to_string()), ("rows", rows.to_string())];
                    let facts = facts.each_ref().map(|(name, value)| (*name, value.as_str()));
                    self.note(&column.name, "key_repeats", &facts);
                }
                if !strong && repeats == 0 && different > 0 {
                    self.note(&column.name, "key_weak", &[]);
                }
                return strong && different > 0 && repeats == 0;
            }
            Target::Field(Field::Lon | Field::Lat) => strong || share(column, is_ordinate) >= BORNE_OUT,
            Target::Field(Field::District) if !strong => {
                share(column, |text| self.districts.contains_key(&plain(text))) >= BORNE_OUT
            }
            Target::Field(field)
                if !self.lexicon.spellings(field).is_empty() && field != Field::AccuracyM =>
            {
                let words = self.words(field);
                let known = share(column, |text| words.contains_key(&self.lexicon.fold(text)));
                // A name that says it plainly is believed, and what nobody knows is asked for.
                strong && field == Field::Class || known >= BORNE_OUT || strong && known > 0.0
            }
            Target::Field(Field::SurveyedAt) => {
                strong || self.forms(column).read as f64 >= BORNE_OUT * column.filled as f64
            }
            Target::Attribute(at) if !strong && self.lexicon.attribute(at).date => {
                self.forms(column).read as f64 >= BORNE_OUT * column.filled as f64
            }
            Target::Attribute(at) if !strong && self.lexicon.attribute(at).unit.is_some() => {
                share(column, |text| number(text).is_some()) >= BORNE_OUT
            }
            _ => true,
        };
        if !fits && column.filled > 0 {
            let meant = self.name_of(claim.target);
            self.note(
                &column.name,
                "not_borne_out",
                &[("import_field", &meant), ("synonym", &claim.synonym)],
            );
        }
        fits
    }

    /// Our word by every spelling of a field's list.
    fn words(&self, field: Field) -> HashMap<String, &'s str> {
        let mut words = HashMap::new();
        for (word, spellings) in self.lexicon.spellings(field) {
            words.insert(self.lexicon.fold(word), word.as_str());
            for spelling in spellings {
                words.entry(self.lexicon.fold(spelling)).or_insert(word.as_str());
            }
        }
        words
    }

    fn forms(&self, column: &Column) -> FormsSeen {
        let calendar = super::dates::Calendar { years_from: self.lexicon.years_from, ..self.base.calendar };
        let mut seen = FormsSeen::default();
        for (text, count) in &column.values {
            let unknown = is_one_of(&self.lexicon.unknown, text) || is_one_of(&self.lexicon.nothing, text);
            if !unknown {
                seen.see(text, *count, calendar);
            }
        }
        seen
    }

    /// The profile as text, complete in itself, so that it means the same whatever the synonyms become.
    fn write(&mut self, taken: &[Candidate<'s>], scheme: Option<&Scheme>, source: &Source<'_>) -> String {
        let stem = source.file_name.rsplit_once('.').map_or(source.file_name, |(stem, _)| stem);
        let mut profile = Table::new();
        let name: String = stem.chars().filter(|c| !c.is_control()).take(60).collect();
        let name = if name.trim().is_empty() { AUTO.to_owned() } else { name.trim().to_owned() };
        profile.insert("id".into(), AUTO.into());
        profile.insert("version".into(), Value::Integer(1));
        profile.insert("name_zh".into(), name.clone().into());
        profile.insert("name_en".into(), name.clone().into());
        profile.insert("source".into(), name.into());
        profile.insert("epsg".into(), Value::Integer(i64::from(self.base.epsg)));
        profile.insert("numbered_repeats".into(), true.into());
        profile.insert("districts_by_position".into(), true.into());
        let nobody_knows = self.lexicon.nothing.iter().chain(&self.lexicon.unknown);
        profile.insert("unknown".into(), texts(nobody_knows));
        if taken.iter().any(|one| one.claim.target == Target::Field(Field::Code))
            && let Some(scheme) = scheme
        {
            profile.insert("scheme".into(), scheme.id.clone().into());
        }
        let (formats, open) = self.dates(taken, source.told.dates);
        profile.insert("dates".into(), Value::Table(self.write_dates(&formats)));

        let (mut fields, mut keep, mut drop) = (Table::new(), Table::new(), Vec::new());
        for one in taken {
            let column = &one.column.name;
            match one.claim.target {
                Target::Person => {
                    if !drop.iter().any(|there: &String| plain(there) == plain(column)) {
                        drop.push(column.clone());
                    }
                }
                _ if open.contains(column) => {}
                Target::Field(field) => {
                    fields.insert(field.to_string(), Value::Table(self.write_field(field, one)));
                }
                Target::Attribute(at) => {
                    let (name, table) = self.write_attribute(at, one);
                    keep.insert(name, Value::Table(table));
                }
            }
        }
        let has = |field: Field| fields.contains_key(field.as_str());
        if !has(Field::Class) {
            let mut class = Table::new();
            class.insert("values".into(), Value::Table(self.values(Field::Class, None)));
            if !has(Field::Code)
                && let Some((word, said)) = self.class_in(stem)
            {
                self.notes.push(ColumnNote::new("class_by_name", &[("read", &said), ("class", word)]));
                class.insert("default".into(), word.into());
            }
            fields.insert("class".into(), Value::Table(class));
        }
        let state = fields.entry("state").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(state) = state {
            state.insert("default".into(), "intact".into());
        }
        profile.insert("drop".into(), texts(&drop));
        profile.insert("fields".into(), Value::Table(fields));
        profile.insert("keep".into(), Value::Table(keep));
        toml::to_string_pretty(&profile).expect("texts, numbers and tables are always TOML")
    }

    /// The forms of all dates, and the columns whose days can be read in two ways.
    fn dates(&mut self, taken: &[Candidate<'_>], told: Option<DateOrder>) -> (Vec<DateFormat>, Vec<String>) {
        let is_date = |target: Target| match target {
            Target::Field(field) => field == Field::SurveyedAt,
            Target::Attribute(at) => self.lexicon.attribute(at).date,
            Target::Person => false,
        };
        let columns: Vec<&Column> =
            taken.iter().filter(|one| is_date(one.claim.target)).map(|one| one.column).collect();
        let seen: Vec<(&Column, FormsSeen)> =
            columns.into_iter().map(|column| (column, self.forms(column))).collect();
        let month_first = seen.iter().find_map(|(_, seen)| seen.month_first.clone());
        let day_first = seen.iter().find_map(|(_, seen)| seen.day_first.clone());
        let order = match (told, &month_first, &day_first) {
            (Some(DateOrder::MonthFirst), ..) | (None, Some(_), None) => Some(DateFormat::Us),
            (Some(DateOrder::DayFirst), ..) | (None, None, Some(_)) => Some(DateFormat::DayFirst),
            (None, Some(_), Some(_)) | (None, None, None) => None,
        };
        let mut formats: Vec<DateFormat> = Vec::new();
        let mut open = Vec::new();
        for (column, seen) in &seen {
            let turned = seen.ambiguous.as_ref().or(seen.month_first.as_ref()).or(seen.day_first.as_ref());
            match (order, turned) {
                (None, Some(example)) => {
                    let code = if month_first.is_some() { "date_two_ways" } else { "date_open" };
                    let facts = [("read", example.as_str())];
                    self.note(&column.name, code, &facts);
                    open.push(column.name.clone());
                    continue;
                }
                (Some(order), _) if turned.is_some() || seen.either => formats.push(order),
                (None, None) if seen.either => formats.push(DateFormat::Us),
                _ => {}
            }
            formats.extend(&seen.forms);
            let mut own: Vec<DateFormat> = seen.forms.clone();
            own.extend(order.filter(|_| turned.is_some() || seen.either));
            if !own.is_empty() {
                let examples: Vec<&str> = own.iter().map(|form| form.example()).collect();
                self.note(&column.name, "date_forms", &[("fits", &examples.join(", "))]);
            }
            if let Some(strange) = &seen.strange {
                self.note(&column.name, "date_strange", &[("read", strange)]);
            }
        }
        formats.extend([DateFormat::Iso, DateFormat::Slash, DateFormat::Chinese, DateFormat::Compact]);
        let mut once = Vec::new();
        for format in DateFormat::ALL {
            if formats.contains(&format) {
                once.push(format);
            }
        }
        (once, open)
    }

    fn write_dates(&self, formats: &[DateFormat]) -> Table {
        let offset = self.base.city.utc_offset_minutes;
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        let mut dates = Table::new();
        let word =
            |format: &DateFormat| Value::try_from(format).unwrap_or_else(|_| Value::String(String::new()));
        dates.insert("formats".into(), Value::Array(formats.iter().map(word).collect()));
        dates.insert("zone".into(), format!("{sign}{hours:02}:{minutes:02}").into());
        if let Some(from) = self.lexicon.years_from {
            dates.insert("years_from".into(), Value::Integer(from));
        }
        let years = self.lexicon.unknown_years.iter().map(|year| Value::Integer(i64::from(*year)));
        dates.insert("unknown_years".into(), Value::Array(years.collect()));
        dates.insert("unknown_days".into(), texts(&self.lexicon.unknown_days));
        dates
    }

    fn write_field(&mut self, field: Field, one: &Candidate<'_>) -> Table {
        let column = one.column;
        let mut table = Table::new();
        table.insert("columns".into(), texts([&column.name]));
        let values = match field {
            Field::District => self.district_values(column),
            field => self.values(field, Some(column)),
        };
        if !values.is_empty() {
            table.insert("values".into(), Value::Table(values));
            let numbers = self.lexicon.unknown_numbers.iter().map(f64::to_string);
            if field != Field::District {
                table.insert("unknown".into(), Value::Array(numbers.map(Value::String).collect()));
            }
        }
        match field {
            // More may be said there than a word of ours holds: 球墨铸铁 (防盗).
            Field::Class | Field::Material => drop(table.insert("keep".into(), column.name.clone().into())),
            _ => {}
        }
        let asked = [
            Field::Class,
            Field::State,
            Field::District,
            Field::Code,
            Field::SourceKey,
            Field::Lon,
            Field::Lat,
        ];
        if !asked.contains(&field) {
            table.insert("lenient".into(), true.into());
        }
        let ours = self.lexicon.field(field).and_then(|meant| meant.unit.clone());
        if let (Some(unit), Some(ours)) = (&one.claim.unit, ours) {
            table.insert("unit".into(), unit.clone().into());
            self.note(&column.name, "unit", &[("unit", unit), ("kept", &ours)]);
        }
        table
    }

    /// The whole list of a field, with the spellings of this file.
    fn values(&self, field: Field, column: Option<&Column>) -> Table {
        let words = self.words(field);
        let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (word, spellings) in self.lexicon.spellings(field) {
            lists.insert(word, spellings.clone());
        }
        for (text, _) in column.map_or(&[][..], |column| column.values.as_slice()) {
            if let Some(list) = words.get(&self.lexicon.fold(text)).and_then(|word| lists.get_mut(word))
                && !list.contains(text)
                && !list.iter().any(|there| plain(there) == plain(text))
            {
                list.push(text.clone());
            }
        }
        lists.into_iter().map(|(word, list)| (word.to_owned(), texts(&list))).collect()
    }

    fn district_values(&mut self, column: &Column) -> Table {
        let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (word, code) in &self.districts {
            if word != code {
                lists.entry(code).or_default().push(word.clone());
            }
        }
        lists.values_mut().for_each(|list| list.sort());
        let known =
            column.values.iter().filter(|(text, _)| self.districts.contains_key(&plain(text))).count();
        let table = lists.into_iter().map(|(code, list)| (code.to_owned(), texts(&list))).collect();
        let facts = [("known", known.to_string()), ("all", column.values.len().to_string())];
        self.note(&column.name, "values", &facts.each_ref().map(|(name, value)| (*name, value.as_str())));
        table
    }

    /// Under which name an attribute is kept, and how.
    fn write_attribute(&mut self, at: usize, one: &Candidate<'_>) -> (String, Table) {
        let meant = self.lexicon.attribute(at).clone();
        let column = &one.column.name;
        let mut table = Table::new();
        table.insert("columns".into(), texts([column]));
        if meant.date {
            table.insert("date".into(), true.into());
            return (meant.name, table);
        }
        let Some(ours) = &meant.unit else { return (meant.name, table) };
        let numbers = self.lexicon.unknown_numbers.iter().chain(&meant.numbers);
        table.insert(
            "unknown_numbers".into(),
            Value::Array(numbers.map(|number| Value::Float(*number)).collect()),
        );
        let by_our_name = self.lexicon.fold(column) == self.lexicon.fold(&meant.name);
        let unit = one.claim.unit.clone().or_else(|| by_our_name.then(|| ours.clone()));
        match unit {
            Some(unit) => {
                if unit != *ours {
                    self.note(column, "unit", &[("unit", &unit), ("kept", ours)]);
                }
                table.insert("unit".into(), unit.into());
                table.insert("kept_unit".into(), ours.clone().into());
                (meant.name, table)
            }
            None => {
                self.note(column, "unit_open", &[("import_field", &meant.name)]);
                (column.clone(), table)
            }
        }
    }

    /// The class that a file's name says, with the word that says it.
    fn class_in(&self, stem: &str) -> Option<(&'s str, String)> {
        let name = self.lexicon.fold(stem);
        let mut best: Option<(usize, &'s str, String)> = None;
        let mut alone = true;
        for (word, spellings) in self.lexicon.spellings(Field::Class) {
            let word = word.as_str();
            for spelling in spellings.iter().map(String::as_str).chain([word]) {
                let fold = self.lexicon.fold(spelling);
                let letters = if fold.is_ascii() { fold.len() } else { 2 * fold.chars().count() };
                if letters < IN_NAME
                    || fold.bytes().all(|byte| byte.is_ascii_digit())
                    || !name.contains(&fold)
                {
                    continue;
                }
                match &best {
                    Some((longest, ..)) if letters < *longest => {}
                    Some((longest, other, _)) if letters == *longest => alone &= *other == word,
                    _ => (best, alone) = (Some((letters, word, spelling.to_owned())), true),
                }
            }
        }
        best.filter(|_| alone).map(|(_, word, spelling)| (word, spelling))
    }
}

/// Of the filled cells, those that fit.
fn share(column: &Column, fits: impl Fn(&str) -> bool) -> f64 {
    let (mut all, mut fitting) = (0, 0);
    for (text, count) in &column.values {
        all += count;
        fitting += if fits(text) { *count } else { 0 };
    }
    if all == 0 { 0.0 } else { fitting as f64 / all as f64 }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().or_else(|| decimal_comma(text))
}

fn is_ordinate(text: &str) -> bool {
    number(text).or_else(|| parse_degrees(text)).is_some()
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t String>) -> Value {
    Value::Array(texts.into_iter().map(|text| Value::String(text.clone())).collect())
}
