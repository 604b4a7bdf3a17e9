//! The properties of the layers that are read from the tables: cases, manholes, plates. The first one is the place;
//! each other one has a column of the same name.

use crate::cql2::{Field, Kind, Schema};
use crate::domain::case::{CaseSource, CaseState};
use crate::domain::cover::Placement;
use crate::domain::hazard::Hazard;
use crate::domain::plate::PlateState;
use crate::domain::position::PositionMethod;
use crate::domain::table_layer::TableLayer;

/// A property: what it is called, what values it has, and whether everybody may see it.
pub struct TableField {
    pub name: &'static str,
    pub kind: Kind,
    pub is_public: bool,
}

const fn open(name: &'static str, kind: Kind) -> TableField {
    TableField { name, kind, is_public: true }
}

const fn staff(name: &'static str, kind: Kind) -> TableField {
    TableField { name, kind, is_public: false }
}

/// Of a case everybody may know what Open311 tells of it.
const CASE_FIELDS: &[TableField] = &[
    open("geometry", Kind::Point),
    open("number", Kind::Text),
    open("hazard", Kind::Word(Hazard::WORDS)),
    open("status", Kind::Word(&["open", "closed"])),
    open("code", Kind::Text),
    open("district", Kind::Text),
    open("road", Kind::Text),
    open("reported_at", Kind::Timestamp),
    open("closed_at", Kind::Timestamp),
    staff("state", Kind::Word(CaseState::WORDS)),
    staff("source", Kind::Word(CaseSource::WORDS)),
    staff("emergency", Kind::Boolean),
    staff("report_count", Kind::Integer),
    staff("party", Kind::Text),
    staff("party_id", Kind::Text),
    staff("due_at", Kind::Timestamp),
    staff("until", Kind::Timestamp),
    staff("updated_at", Kind::Timestamp),
];

const MANHOLE_FIELDS: &[TableField] = &[
    staff("geometry", Kind::Point),
    staff("id", Kind::Text),
    staff("district", Kind::Text),
    staff("road", Kind::Text),
    staff("address", Kind::Text),
    staff("placement", Kind::Word(Placement::WORDS)),
    staff("codes", Kind::TextList),
    staff("covers", Kind::Integer),
    staff("surveyed_at", Kind::Timestamp),
    staff("position_method", Kind::Word(PositionMethod::WORDS)),
    staff("accuracy_m", Kind::Number),
    staff("epsg", Kind::Integer),
    staff("entries", Kind::Integer),
    staff("created_at", Kind::Timestamp),
];

/// Without the token: an address with a filter on it would be a plate's address in a log.
const PLATE_FIELDS: &[TableField] = &[
    staff("geometry", Kind::Point),
    staff("batch", Kind::Text),
    staff("ordinal", Kind::Integer),
    staff("state", Kind::Word(PlateState::WORDS)),
    staff("state_at", Kind::Timestamp),
    staff("face", Kind::Text),
    staff("printed_code", Kind::Text),
    staff("code", Kind::Text),
    staff("district", Kind::Text),
    staff("road", Kind::Text),
    staff("page", Kind::Integer),
    staff("place_on_page", Kind::Integer),
];

/// What somebody sees of the rows of a layer, the place first.
pub fn table_fields(layer: TableLayer, is_staff: bool) -> impl Iterator<Item = &'static TableField> {
    let all = match layer {
        TableLayer::Cases => CASE_FIELDS,
        TableLayer::Manholes => MANHOLE_FIELDS,
        TableLayer::Plates => PLATE_FIELDS,
    };
    all.iter().filter(move |field| is_staff || field.is_public)
}

/// What a filter may name; days are those of a clock so many minutes ahead of UTC.
pub fn table_schema(layer: TableLayer, is_staff: bool, utc_offset_minutes: i32) -> Schema {
    let field = |field: &TableField| Field { name: field.name.to_owned(), kind: field.kind };
    Schema::new(table_fields(layer, is_staff).map(field).collect()).on_clock(utc_offset_minutes)
}

/// The property that says when: a case was reported, a manhole surveyed, a plate became what it is.
pub const fn moment_field(layer: TableLayer) -> &'static str {
    match layer {
        TableLayer::Cases => "reported_at",
        TableLayer::Manholes => "surveyed_at",
        TableLayer::Plates => "state_at",
    }
}
