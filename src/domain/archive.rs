//! A city's files on their way from one registry to another: which tables go along and how a row of each is
//! a line of JSON. What stays behind are log-ins and what a registry keeps for itself; a test compares both
//! lists with the tables of the database, so that no column is forgotten.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::Refusal;
use super::token::Token;

pub use super::archive_tables::{LEFT_BEHIND, TABLES, is_numbering};

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
