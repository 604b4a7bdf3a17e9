//! A city's files on their way from one registry to another: which tables go along and how a row of each is
//! a line of JSON. What stays behind are log-ins and what a registry keeps for itself; a test compares both
//! lists with the tables of the database, so that no column is forgotten.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::Refusal;
use super::area::{AreaKind, AreaShape};
use super::case::CaseState;
use super::claim::{ClaimAnswer, ClaimState};
use super::cover::{CoverClass, CoverState, LoadClass, Material, Placement, Shape};
use super::edit::{BulkRowState, BulkState, Moved, RetireReason, StoredRefusal};
use super::hazard::Hazard;
use super::history::HistoryKind;
use super::import_run::{ImportState, PassedOver};
use super::plate::PlateState;
use super::position::PositionMethod;
use super::role::Role;
use super::token::Token;

/// Version of the format; a reader refuses one it does not know.
pub const VERSION: u32 = 1;

/// What a column holds, and how a line says it.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Id,
    Whole,
    Real,
    Yes,
    Text,
    /// In hexadecimal.
    Bytes,
    /// An object in JSON, as text: history is hashed as it was written.
    Json,
    /// A stored word of a closed list, or anything else that this accepts.
    Word(fn(&str) -> bool),
    /// The bits of a plate's token; the line says the token.
    Token,
}

/// A column as a line names it.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether every row has it.
    pub required: bool,
}

/// A table that goes along.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// Its key, in whose order rows are read.
    pub key: &'static [&'static str],
    /// Columns that name another row of the same table, which may come later.
    pub refers: &'static [&'static str],
}

/// A value on its way.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Id(Uuid),
    Whole(i64),
    Real(f64),
    Yes(bool),
    Text(String),
    Bytes(Vec<u8>),
}

const fn must(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: true }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: false }
}

fn is<T: std::str::FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

/// Every table that goes along, each behind those that its rows name.
pub const TABLES: &[Table] = {
    use Kind::*;
    &[
        Table {
            name: "districts",
            columns: &[must("code", Text), must("name_zh", Text), must("name_en", Text)],
            key: &["code"],
            refers: &[],
        },
        Table {
            name: "areas",
            columns: &[
                must("kind", Word(is::<AreaKind>)),
                must("code", Text),
                must("name_zh", Text),
                must("name_en", Text),
                must("shape", Word(is_outline)),
                must("updated_at", Whole),
            ],
            key: &["kind", "code"],
            refers: &[],
        },
        Table {
            name: "parties",
            columns: &[must("id", Id), must("name", Text), may("hotline", Text)],
            key: &["id"],
            refers: &[],
        },
        // Their passwords stay behind.
        Table {
            name: "users",
            columns: &[
                must("id", Id),
                must("login", Text),
                must("name", Text),
                must("role", Word(is::<Role>)),
                may("party_id", Id),
                must("disabled", Yes),
                must("created_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "manholes",
            columns: &[
                must("id", Id),
                must("district", Text),
                may("road", Text),
                may("address", Text),
                may("placement", Word(is::<Placement>)),
                must("lon", Real),
                must("lat", Real),
                must("quadkey", Whole),
                must("raw_x", Real),
                must("raw_y", Real),
                must("raw_epsg", Whole),
                must("position_method", Word(is::<PositionMethod>)),
                may("accuracy_m", Real),
                may("surveyed_at", Whole),
                may("device", Text),
                must("history_length", Whole),
                must("history_hash", Bytes),
                must("created_at", Whole),
                may("merged_into", Id),
                may("split_from", Id),
            ],
            key: &["id"],
            refers: &["merged_into", "split_from"],
        },
        Table {
            name: "covers",
            columns: &[
                must("id", Id),
                must("manhole_id", Id),
                must("scheme", Text),
                must("code", Text),
                must("class", Word(is::<CoverClass>)),
                must("state", Word(is::<CoverState>)),
                may("material", Word(is::<Material>)),
                may("shape", Word(is::<Shape>)),
                may("load_class", Word(is::<LoadClass>)),
                may("owner_id", Id),
                may("maintainer_id", Id),
                may("supervisor_id", Id),
                must("source", Text),
                may("source_key", Text),
                must("extra", Word(is_extra)),
                must("version", Whole),
                may("retired_at", Whole),
                may("retired_reason", Word(is::<RetireReason>)),
                may("successor_id", Id),
            ],
            key: &["id"],
            refers: &["successor_id"],
        },
        Table {
            name: "code_aliases",
            columns: &[must("code", Text), must("scheme", Text), must("cover_id", Id)],
            key: &["code", "scheme"],
            refers: &[],
        },
        Table {
            name: "merges",
            columns: &[
                must("id", Id),
                must("survivor_id", Id),
                must("absorbed_id", Id),
                may("same_cover_id", Id),
                may("kept_cover_id", Id),
                must("moved", Word(is_moved)),
                must("reason", Text),
                must("actor", Text),
                must("at", Whole),
                may("undone_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "bulk_edits",
            columns: &[
                must("id", Id),
                must("state", Word(is::<BulkState>)),
                must("filter", Text),
                must("edit", Word(is_object)),
                must("reason", Text),
                must("actor", Text),
                must("matched", Whole),
                must("unchanged", Whole),
                must("created_at", Whole),
                may("applied_at", Whole),
                may("undone_at", Whole),
                may("undone_by", Text),
                must("version", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "bulk_edit_rows",
            columns: &[
                must("edit_id", Id),
                must("cover_id", Id),
                must("state", Word(is::<BulkRowState>)),
                must("version", Whole),
                must("fields", Word(is_object)),
                must("refusal", Word(is_refusal)),
            ],
            key: &["edit_id", "cover_id"],
            refers: &[],
        },
        Table {
            name: "imports",
            columns: &[
                must("number", Whole),
                must("state", Word(is::<ImportState>)),
                must("source", Text),
                must("profile", Text),
                must("profile_version", Whole),
                must("file_name", Text),
                must("fingerprint", Bytes),
                must("actor", Text),
                must("settled", Whole),
                must("created", Whole),
                must("updated", Whole),
                must("unchanged", Whole),
                must("duplicates", Whole),
                must("problems", Whole),
                must("kept", Whole),
                must("started_at", Whole),
                must("touched_at", Whole),
            ],
            key: &["number"],
            refers: &[],
        },
        Table {
            name: "import_profiles",
            columns: &[
                must("name", Text),
                must("version", Whole),
                must("text", Text),
                must("why", Text),
                must("actor", Text),
                must("saved_at", Whole),
                may("removed_at", Whole),
            ],
            key: &["name", "version"],
            refers: &[],
        },
        Table {
            name: "passed_over",
            columns: &[
                must("import", Whole),
                must("cover_id", Id),
                may("decision", Word(is::<PassedOver>)),
                may("decided_by", Text),
                may("decided_at", Whole),
            ],
            key: &["import", "cover_id"],
            refers: &[],
        },
        Table {
            name: "told_apart",
            columns: &[
                must("older_id", Id),
                must("newer_id", Id),
                must("actor", Text),
                must("reason", Text),
                must("at", Whole),
            ],
            key: &["older_id", "newer_id"],
            refers: &[],
        },
        Table {
            name: "claim_notices",
            columns: &[
                must("number", Text),
                may("district", Text),
                may("class", Word(is::<CoverClass>)),
                must("reason", Text),
                must("actor", Text),
                must("opened_at", Whole),
                must("due_at", Whole),
                may("cursor", Id),
            ],
            key: &["number"],
            refers: &[],
        },
        Table {
            name: "claims",
            columns: &[
                must("notice", Text),
                must("cover_id", Id),
                must("state", Word(is::<ClaimState>)),
                must("claimants", Whole),
                may("outcome_id", Id),
                must("fields", Word(is_object)),
                must("due_at", Whole),
                must("changed_at", Whole),
                must("version", Whole),
            ],
            key: &["notice", "cover_id"],
            refers: &[],
        },
        Table {
            name: "claim_answers",
            columns: &[
                must("notice", Text),
                must("cover_id", Id),
                must("party_id", Id),
                must("answer", Word(is::<ClaimAnswer>)),
                must("reason", Text),
                must("actor", Text),
                must("at", Whole),
            ],
            key: &["notice", "cover_id", "party_id"],
            refers: &[],
        },
        Table {
            name: "code_sequences",
            columns: &[
                must("scheme", Text),
                must("district", Text),
                must("class", Word(is::<CoverClass>)),
                must("last", Whole),
            ],
            key: &["scheme", "district", "class"],
            refers: &[],
        },
        Table {
            name: "plate_batches",
            columns: &[
                must("id", Id),
                must("face", Text),
                must("sheet", Text),
                must("host", Text),
                must("note", Text),
                must("actor", Text),
                must("plate_count", Whole),
                must("created_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "plates",
            columns: &[
                must("token", Token),
                must("batch_id", Id),
                must("ordinal", Whole),
                must("state", Word(is::<PlateState>)),
                must("payload", Text),
                must("qr_version", Whole),
                must("qr_level", Word(is_level)),
                must("qr_mask", Whole),
                may("cover_id", Id),
                may("manhole_id", Id),
                may("printed_code", Text),
                must("page", Whole),
                must("place_on_page", Whole),
                may("successor", Token),
                must("state_at", Whole),
            ],
            key: &["token"],
            refers: &["successor"],
        },
        Table {
            name: "cases",
            columns: &[
                must("id", Id),
                must("number", Text),
                must("manhole_id", Id),
                may("cover_id", Id),
                must("district", Text),
                must("hazard", Word(is::<Hazard>)),
                must("state", Word(is::<CaseState>)),
                must("emergency", Yes),
                must("report_count", Whole),
                may("party_id", Id),
                may("handed_in_by", Id),
                may("joined_to", Id),
                may("until", Whole),
                must("created_at", Whole),
                must("updated_at", Whole),
                may("closed_at", Whole),
                must("version", Whole),
            ],
            key: &["id"],
            refers: &["joined_to"],
        },
        Table {
            name: "reports",
            columns: &[
                must("id", Id),
                must("tracking", Text),
                must("case_id", Id),
                must("hazard", Word(is::<Hazard>)),
                must("description", Text),
                may("contact", Text),
                may("phone_lon", Real),
                may("phone_lat", Real),
                may("phone_accuracy_m", Real),
                must("language", Text),
                must("created_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "photos",
            columns: &[
                must("id", Id),
                must("digest", Bytes),
                must("manhole_id", Id),
                may("case_id", Id),
                may("report_id", Id),
                must("role", Text),
                must("media_type", Text),
                must("bytes", Whole),
                must("width", Whole),
                must("height", Whole),
                must("created_at", Whole),
                may("cover_id", Id),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "history",
            columns: &[
                must("manhole_id", Id),
                must("sequence", Whole),
                must("at", Whole),
                must("actor", Text),
                must("kind", Word(is::<HistoryKind>)),
                may("case_id", Id),
                must("body", Json),
                must("hash", Bytes),
            ],
            key: &["manhole_id", "sequence"],
            refers: &[],
        },
        // Where the numbers of cases, reports, notices and imports stand; those of feed and outbox begin anew.
        Table {
            name: "counters",
            columns: &[must("name", Word(is_numbering)), must("last", Whole)],
            key: &["name"],
            refers: &[],
        },
    ]
};

/// Tables and columns that stay behind, and why.
pub const LEFT_BEHIND: &[(&str, &str)] = &[
    ("settings", "the secret of tracking links; a new registry has its own"),
    ("users.password_hash", "a password is set anew with `lidmark user password`"),
    ("users.failed_logins", "of the log-ins that stay behind"),
    ("users.locked_until", "of the log-ins that stay behind"),
    (
        "imports.first_change",
        "a place in the feed; the feed of the new registry has every cover from its start",
    ),
    ("sessions", "log-ins"),
    ("api_tokens", "log-ins of programs"),
    ("idempotency", "answers to retries; they come within minutes"),
    ("changes", "the feed of a registry begins with it"),
    ("outbox", "has been heard where the registry was"),
    ("outbox_receivers", "has been heard where the registry was"),
];

fn is_outline(text: &str) -> bool {
    serde_json::from_str::<AreaShape>(text).is_ok()
}

/// Columns of a census that nobody has a field for, as they are stored: on one line.
fn is_extra(text: &str) -> bool {
    !text.contains(['\n', '\r']) && serde_json::from_str::<BTreeMap<String, String>>(text).is_ok()
}

fn is_level(text: &str) -> bool {
    matches!(text, "M" | "Q" | "H")
}

/// What a merge moved, as it must be known to undo it.
fn is_moved(text: &str) -> bool {
    serde_json::from_str::<Moved>(text).is_ok()
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<BTreeMap<String, &RawValue>>(text).is_ok()
}

/// Why a cover was left alone, or nothing.
fn is_refusal(text: &str) -> bool {
    text.is_empty() || serde_json::from_str::<StoredRefusal>(text).is_ok()
}

/// Whether a counter numbers what people name: `case:2026`, `report:2026`, `claims:2026`, `imports`.
pub fn is_numbering(name: &str) -> bool {
    name == "imports" || matches!(name.split_once(':'), Some(("case" | "report" | "claims", _)))
}

impl Table {
    /// Where a column stands.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Adds a row as a line; what is unknown is left out.
    pub fn write_line(&self, values: &[Value], out: &mut Vec<u8>) {
        out.push(b'{');
        let start = out.len();
        for (column, value) in self.columns.iter().zip(values) {
            if *value == Value::Null {
                continue;
            }
            if out.len() > start {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(column.name.as_bytes());
            out.extend_from_slice(b"\":");
            let said = match (value, column.kind) {
                (Value::Whole(bits), Kind::Token) => {
                    serde_json::to_writer(&mut *out, &Token::from_i64(*bits))
                }
                (Value::Null, _) => Ok(()),
                (Value::Id(id), _) => serde_json::to_writer(&mut *out, id),
                (Value::Whole(number), _) => serde_json::to_writer(&mut *out, number),
                (Value::Real(number), _) => serde_json::to_writer(&mut *out, number),
                (Value::Yes(yes), _) => serde_json::to_writer(&mut *out, yes),
                (Value::Text(text), _) => serde_json::to_writer(&mut *out, text),
                (Value::Bytes(bytes), _) => serde_json::to_writer(&mut *out, &hex(bytes)),
            };
            said.expect("plain values are always JSON, and memory takes them");
        }
        out.extend_from_slice(b"}\n");
    }

    /// Reads a line. Refuses one that has another field, lacks one, or says what its column does not hold.
    pub fn read_line(&self, number: u64, line: &str) -> Result<Vec<Value>, Refusal> {
        let refuse = |field: &str, reason: &str| {
            Refusal::new("archive.line")
                .with("table", self.name)
                .with("line", number)
                .with("field", field.chars().take(60).collect::<String>())
                .with("reason", reason)
        };
        let mut fields: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(line).map_err(|error| refuse("", &error.to_string()))?;
        let mut values = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let value = match fields.remove(column.name) {
                Some(said) => read(column.kind, said.get())
                    .ok_or_else(|| refuse(column.name, "its value does not fit"))?,
                None if column.required => return Err(refuse(column.name, "it is missing")),
                None => Value::Null,
            };
            values.push(value);
        }
        match fields.keys().next() {
            Some(unknown) => Err(refuse(unknown, "it is not known here; a newer program wrote it")),
            None => Ok(values),
        }
    }
}

/// A value as its column holds it; `None` = something else.
fn read(kind: Kind, said: &str) -> Option<Value> {
    let text = || serde_json::from_str::<String>(said).ok().filter(|text| !text.contains('\0'));
    Some(match kind {
        Kind::Id => Value::Id(Uuid::try_parse(&text()?).ok()?),
        Kind::Whole => Value::Whole(said.parse().ok()?),
        // To the last digit; the usual way to read numbers in JSON is off by one in some.
        Kind::Real => Value::Real(said.parse().ok().filter(|number: &f64| number.is_finite())?),
        Kind::Yes => Value::Yes(serde_json::from_str(said).ok()?),
        Kind::Text => Value::Text(text()?),
        Kind::Bytes => Value::Bytes(unhex(&text()?)?),
        Kind::Json => {
            let text = text()?;
            serde_json::from_str::<BTreeMap<String, &RawValue>>(&text).ok()?;
            Value::Text(text)
        }
        Kind::Word(fits) => Value::Text(text().filter(|text| fits(text))?),
        Kind::Token => Value::Whole(text()?.parse::<Token>().ok()?.to_i64()),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(name: &str) -> &'static Table {
        TABLES.iter().find(|table| table.name == name).unwrap()
    }

    #[test]
    fn every_key_is_made_of_columns_that_are_always_there() {
        for table in TABLES {
            for name in table.key {
                let column = table.position(name).map(|at| table.columns[at]);
                assert!(column.is_some_and(|column| column.required), "{}.{name}", table.name);
            }
            assert!(table.refers.iter().all(|name| table.position(name).is_some()), "{}", table.name);
        }
    }

    #[test]
    fn a_line_that_does_not_fit_is_refused_by_its_field() {
        let districts = table("districts");
        for (line, says) in [
            ("{\"code\":\"1\",\"name_zh\":\"东\"}", "name_en"),
            ("{\"code\":1,\"name_zh\":\"东\",\"name_en\":\"E\"}", "code"),
            ("{\"code\":\"1\",\"name_zh\":\"东\",\"name_en\":\"E\",\"mayor\":\"x\"}", "mayor"),
            ("{\"code\":\"1\\u0000\",\"name_zh\":\"东\",\"name_en\":\"E\"}", "code"),
            ("[1,2]", "map"),
            ("", "EOF"),
        ] {
            let refusal = districts.read_line(7, line).unwrap_err();
            assert!(refusal.code == "archive.line" && refusal.to_string().contains(says), "{refusal}");
        }
        let history = table("history");
        let line = "{\"manhole_id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"sequence\":1,\"at\":1,\
            \"actor\":\"system\",\"kind\":\"invented\",\"body\":\"{}\",\"hash\":\"00\"}";
        assert!(history.read_line(1, line).unwrap_err().to_string().contains("field=kind"));
    }

    proptest! {
        #[test]
        fn a_row_is_read_back_to_the_last_digit(
            lon in any::<f64>().prop_filter("finite", |number| number.is_finite()),
            text in "[^\\x00]{0,20}",
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            number in any::<i64>(),
            bits in 0i64..1 << 55,
        ) {
            for (kind, value) in [
                (Kind::Real, Value::Real(lon)),
                (Kind::Text, Value::Text(text)),
                (Kind::Bytes, Value::Bytes(bytes)),
                (Kind::Whole, Value::Whole(number)),
                (Kind::Token, Value::Whole(bits)),
                (Kind::Id, Value::Id(Uuid::from_u128(number as u128))),
                (Kind::Yes, Value::Yes(number > 0)),
            ] {
                let column = Column { name: "x", kind, required: true };
                let columns: &'static [Column] = Box::leak(Box::new([column]));
                let table = Table { name: "t", columns, key: &["x"], refers: &[] };
                let mut line = Vec::new();
                table.write_line(std::slice::from_ref(&value), &mut line);
                let line = String::from_utf8(line).unwrap();
                prop_assert_eq!(table.read_line(1, line.trim_end()), Ok(vec![value]));
            }
        }

        #[test]
        fn no_line_is_a_panic(line in "\\PC{0,60}") {
            for table in TABLES {
                let _ = table.read_line(1, &line);
            }
        }
    }
}
