//! A filter: read, checked, and asked about rows.

use super::bounds;
use super::check::Checker;
use super::figure::Bounds;
use super::literal::Coordinates;
use super::moment::Clock;
use super::needs::{self, Need};
use super::node::Node;
use super::predicate::Predicate;
use super::prepare::Prepared;
use super::schema::Schema;
use super::value::{Dictionary, Row};
use super::{MAX_BYTES, ToDegrees, json, json_out, text, text_out};
use crate::domain::Refusal;

/// A condition in CQL2 that fits a [`Schema`].
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    node: Node,
    predicate: Predicate,
    clock: Clock,
    /// The field that says where a row lies.
    place: Option<usize>,
}

impl Filter {
    /// Reads the text encoding (`filter-lang=cql2-text`). `to_degrees` brings a coordinate of the reference system that
    /// `filter-crs` names, in that system's own order of axes, to longitude and latitude; without it they are degrees
    /// already (CRS84). Refuses what is longer than [`MAX_BYTES`], what cannot be read, with its place, and what does
    /// not fit the properties.
    pub fn from_text(
        text: &str,
        schema: &Schema,
        to_degrees: Option<ToDegrees<'_>>,
    ) -> Result<Self, Refusal> {
        check_length(text)?;
        Self::new(text::read(text, Coordinates { to_degrees })?, schema)
    }

    /// Reads the JSON encoding (`filter-lang=cql2-json`), with the same promises.
    pub fn from_json(
        text: &str,
        schema: &Schema,
        to_degrees: Option<ToDegrees<'_>>,
    ) -> Result<Self, Refusal> {
        check_length(text)?;
        Self::new(json::read(text, Coordinates { to_degrees })?, schema)
    }

    fn new(node: Node, schema: &Schema) -> Result<Self, Refusal> {
        let clock = Clock(schema.utc_offset_minutes());
        let predicate = Checker { schema, clock }.predicate(&node)?;
        Ok(Self { node, predicate, clock, place: schema.place() })
    }

    /// The filter in the text encoding, coordinates in CRS84. Reads back as the same filter.
    pub fn to_text(&self) -> String {
        text_out::write(&self.node)
    }

    /// The filter in the JSON encoding, coordinates in CRS84. Reads back as the same filter.
    pub fn to_json(&self) -> serde_json::Value {
        json_out::write(&self.node)
    }

    /// What both let through. They must be of one schema.
    pub fn and(self, other: Self) -> Self {
        let predicate = match self.predicate {
            Predicate::And(mut all) => {
                all.push(other.predicate);
                Predicate::And(all)
            }
            predicate => Predicate::And(vec![predicate, other.predicate]),
        };
        Self { node: self.node.and(other.node), predicate, clock: self.clock, place: self.place }
    }

    /// Whether a row fits; `None` is unknown, which lets nothing through. A plain walk, the reference for
    /// [`Prepared::matches`].
    pub fn test(&self, row: &impl Row) -> Option<bool> {
        self.predicate.test(row, self.clock)
    }

    /// A box in degrees, west, south, east, north, in which the position of every row that fits must lie: the first
    /// field of kind point. `None` is anywhere.
    pub fn bounds(&self) -> Option<Bounds> {
        bounds::bounds(&self.predicate, self.place?, true)
    }

    /// What must hold of single fields, by number, where a row fits: all of it, and more than that the filter says.
    pub fn needs(&self) -> Vec<(usize, Need)> {
        let mut found = Vec::new();
        needs::needs(&self.predicate, self.clock, &mut found);
        found
    }

    /// The fields that are read, each once, by number.
    pub fn fields(&self) -> impl Iterator<Item = usize> + use<> {
        let mut fields = Vec::new();
        bounds::fields(&self.predicate, &mut fields);
        fields.sort_unstable();
        fields.dedup();
        fields.into_iter()
    }

    /// The filter for many rows whose words stand in this dictionary.
    pub fn prepare(&self, dictionary: &impl Dictionary) -> Prepared {
        Prepared::new(&self.predicate, self.clock, dictionary)
    }
}

fn check_length(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_BYTES {
        return Err(Refusal::new("cql2.too_long")
            .at("filter")
            .with("bytes", text.len())
            .with("most", MAX_BYTES));
    }
    Ok(())
}
