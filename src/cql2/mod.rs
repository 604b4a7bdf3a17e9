//! The filter language OGC CQL2 (21-065r2), in its text and its JSON encoding: read, checked against the properties
//! there are, and asked about rows with three answers: true, false, unknown. It is pure: rows come from others, and
//! what a filter is good for is theirs to know.

mod bounds;
mod check;
mod figure;
mod filter;
mod json;
mod json_out;
mod lexer;
mod literal;
mod moment;
mod needs;
mod node;
mod predicate;
mod prepare;
mod prepared_figure;
mod schema;
mod text;
mod text_out;
mod value;
mod wkt;
mod words;

#[cfg(test)]
mod tests;

pub use figure::{Bounds, Figure};
pub use filter::Filter;
pub use needs::Need;
pub use prepare::Prepared;
pub use schema::{Field, Kind, Schema};
pub use value::{Dictionary, NULL_TERM, NoDictionary, Row, Value};

/// Brings a coordinate of some reference system, in its own order of axes, to degrees of longitude and latitude;
/// `None` where it lies outside of what the system is for.
pub type ToDegrees<'a> = &'a dyn Fn(f64, f64) -> Option<(f64, f64)>;

/// How long a filter may be. The outline of a district of two thousand corners fits.
pub const MAX_BYTES: usize = 64 * 1024;

/// The conformance classes of CQL2 that hold here. `functions` asks for a resource `/functions` as well: whoever
/// declares it answers with [`FUNCTIONS`].
pub const CONFORMANCE: &[&str] = &[
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
    "http://www.opengis.net/spec/cql2/1.0/conf/case-insensitive-comparison",
    "http://www.opengis.net/spec/cql2/1.0/conf/accent-insensitive-comparison",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions-plus",
    "http://www.opengis.net/spec/cql2/1.0/conf/spatial-functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/temporal-functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/array-functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/property-property",
    "http://www.opengis.net/spec/cql2/1.0/conf/functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/arithmetic",
];

/// A function that the standard does not have: its name, and the types of its arguments and of what it gives, by the
/// words of the schema of `/functions` (requirement `functions/get-functions-response-json`).
pub struct Function {
    pub name: &'static str,
    pub arguments: &'static [(&'static str, &'static str)],
    pub returns: &'static str,
}

/// Lidmark's own functions. `S_DWITHIN(position, POINT(118.5 37.4), 200)` holds for what lies 200 m away or nearer:
/// on a great circle (mean radius 6 371 008.8 m) to points, in the plane around the row to lines and areas, which is
/// good to a thousandth within ten kilometers.
pub const FUNCTIONS: &[Function] = &[Function {
    name: "S_DWITHIN",
    arguments: &[("geometry", "geometry"), ("other", "geometry"), ("meters", "number")],
    returns: "boolean",
}];
