//! What can be asked about: the properties of a collection, each with its kind.

use crate::domain::Refusal;

/// One property that a filter can name (a queryable of OGC API – Features Part 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
}

/// What values a property has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// One of these stored words. A filter may compare with any text; a word that is not listed matches nothing.
    Word(&'static [&'static str]),
    Number,
    Integer,
    Boolean,
    /// A day without a time.
    Date,
    /// A moment in UTC.
    Timestamp,
    /// Longitude and latitude in degrees.
    Point,
    /// Parts of areas in degrees.
    Areas,
    TextList,
}

/// The properties of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    fields: Vec<Field>,
    utc_offset_minutes: i32,
}

impl Kind {
    /// Whether it says where a row lies.
    pub fn is_place(self) -> bool {
        matches!(self, Self::Point | Self::Areas)
    }
}

impl Schema {
    /// The first field of kind [`Kind::Point`] is where a row lies: [`super::Filter::bounds`] speaks of it.
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields, utc_offset_minutes: 0 }
    }

    /// On which clock a moment is compared with a day: that of the city, so many minutes ahead of UTC.
    /// Without this it is UTC.
    pub fn on_clock(mut self, utc_offset_minutes: i32) -> Self {
        self.utc_offset_minutes = utc_offset_minutes;
        self
    }

    /// The number of a field. Names are compared exactly, capitals too.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) fn utc_offset_minutes(&self) -> i32 {
        self.utc_offset_minutes
    }

    /// The field that says where a row lies.
    pub(super) fn place(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.kind == Kind::Point)
    }

    /// The number of a field that a filter names; an unknown one is refused with the names that look like it.
    pub(super) fn resolve(&self, name: &str) -> Result<usize, Refusal> {
        self.find(name).ok_or_else(|| {
            let names = self.fields.iter().map(|field| field.name.as_str());
            Refusal::new("cql2.unknown_property")
                .at("filter")
                .with("read", shortened(name))
                .with("near", nearest(name, names))
        })
    }

    /// A condition on a field that fits its kind, to be shown to somebody whose own does not.
    pub(super) fn example(&self, field: usize) -> String {
        let Field { name, kind } = &self.fields[field];
        let name = super::text_out::property(name);
        match kind {
            Kind::Text => format!("{name} = 'A1'"),
            Kind::Word(words) => format!("{name} = '{}'", words.first().unwrap_or(&"A1")),
            Kind::Number => format!("{name} > 1.5"),
            Kind::Integer => format!("{name} > 3"),
            Kind::Boolean => format!("{name} = TRUE"),
            Kind::Date => format!("{name} >= DATE('2026-01-31')"),
            Kind::Timestamp => format!("{name} >= TIMESTAMP('2026-01-31T16:00:00Z')"),
            Kind::Point | Kind::Areas => format!("S_INTERSECTS({name}, BBOX(118.5, 37.4, 118.6, 37.5))"),
            Kind::TextList => format!("A_CONTAINS({name}, ('A1'))"),
        }
    }
}

/// A piece of what was read that fits into a sentence.
pub(super) fn shortened(read: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = read.chars().filter(|character| !character.is_control()).take(MOST).collect();
    if read.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

/// Up to three names that look like this one, or else the first few there are.
pub(super) fn nearest<'a>(read: &str, names: impl Iterator<Item = &'a str>) -> String {
    let read: Vec<char> = read.to_lowercase().chars().take(60).collect();
    let mut ranked: Vec<(usize, &str)> = names.map(|name| (edits(&read, name), name)).collect();
    let enough = 2.max(read.len() / 3);
    if ranked.iter().any(|(edits, _)| *edits <= enough) {
        ranked.retain(|(edits, _)| *edits <= enough);
        ranked.sort_by_key(|(edits, _)| *edits);
        ranked.truncate(3);
    } else {
        ranked.truncate(8);
    }
    ranked.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

/// How many characters must be put in, left out or changed to make one of the other.
fn edits(read: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=read.len()).collect();
    for (line, character) in name.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in read.iter().enumerate() {
            let changed = diagonal + usize::from(*other != character);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[read.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_property_is_told_its_neighbors() {
        let fields = ["load_class", "class", "owner", "material"];
        let fields = fields.map(|name| Field { name: name.to_owned(), kind: Kind::Text });
        let schema = Schema::new(fields.to_vec());
        let refusal = schema.resolve("Load_clas").unwrap_err();
        assert_eq!(refusal.code, "cql2.unknown_property");
        assert_eq!(refusal.params[1], ("near", "load_class".to_owned()));
        let all = schema.resolve("承载等级").unwrap_err();
        assert_eq!(all.params[1].1, "load_class, class, owner, material");
    }
}
