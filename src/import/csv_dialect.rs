//! How a table of text parts and quotes its fields: told, or found by which reading makes its records
//! most alike.

use std::collections::BTreeMap;

use super::csv_cut::{Cut, Record, cut, first_line};
use crate::domain::names::named_enum;

named_enum! {
    /// How texts are quoted that hold a delimiter or a line end.
    Quoting as "quoting" {
        /// `"say ""井"""`, as nearly every program writes it.
        Double = "double",
        /// `"say \"井\""`, as databases export.
        Backslash = "backslash",
        /// `'say ''井'''`
        Single = "single",
        /// Quotes are signs like any other.
        None = "none",
    }
}

impl Quoting {
    pub(super) fn sign(self) -> Option<u8> {
        match self {
            Self::Double | Self::Backslash => Some(b'"'),
            Self::Single => Some(b'\''),
            Self::None => None,
        }
    }
}

/// The signs of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quoting: Quoting,
}

/// The delimiters that are looked for, the less usual ones last.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Records that a dialect is tried on.
const TRIED: usize = 200;

/// What the first records come to in a dialect.
#[derive(Debug, Default)]
struct Trial {
    records: usize,
    /// How many records have the most usual number of fields above 1, and that number.
    even: (usize, usize),
    /// Records with a field in quotes.
    quoted: usize,
    /// Lines with a quote that is not closed, or closed in the middle of a field.
    bad: usize,
}

/// Finds what is not told. `whole` = the head ends where the file ends.
pub(super) fn find_dialect(
    head: &[u8],
    whole: bool,
    delimiter: Option<u8>,
    quoting: Option<Quoting>,
) -> Dialect {
    let best = |quoting: Quoting| {
        let known = delimiter.as_ref().map_or(&DELIMITERS[..], std::slice::from_ref);
        let mut best = (known[0], Trial::default());
        for (at, sign) in known.iter().enumerate() {
            let trial = try_out(head, whole, Dialect { delimiter: *sign, quoting });
            if at == 0 || trial.even > best.1.even {
                best = (*sign, trial);
            }
        }
        best
    };
    let usually = quoting.unwrap_or(Quoting::Double);
    let (delimiter, usual) = best(usually);
    let found = Dialect { delimiter, quoting: usually };
    if quoting.is_some() {
        return found;
    }
    if usual.quoted == 0 && head.contains(&b'\'') {
        let (delimiter, single) = best(Quoting::Single);
        if single.quoted * 2 > single.records && single.bad == 0 {
            return Dialect { delimiter, quoting: Quoting::Single };
        }
    }
    if usual.bad > 0 && head.contains(&b'\\') {
        let (delimiter, escaped) = best(Quoting::Backslash);
        if escaped.bad < usual.bad && escaped.even >= usual.even {
            return Dialect { delimiter, quoting: Quoting::Backslash };
        }
    }
    // One quote too many is a mistake; several, and none that is closed, are signs of the texts.
    if usual.bad > 1 && usual.quoted == 0 {
        let (delimiter, bare) = best(Quoting::None);
        if bare.even > usual.even {
            return Dialect { delimiter, quoting: Quoting::None };
        }
    }
    found
}

fn try_out(head: &[u8], whole: bool, dialect: Dialect) -> Trial {
    let mut record = Record::default();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    let mut trial = Trial::default();
    let mut at = 0;
    while at < head.len() && trial.records + trial.bad < TRIED {
        let rest = &head[at..];
        match cut(rest, whole, dialect, &mut record) {
            Cut::Record(len) => {
                trial.records += 1;
                trial.quoted += usize::from(record.quoted > 0);
                if record.ends.len() > 1 {
                    *counts.entry(record.ends.len()).or_default() += 1;
                }
                at += len;
            }
            // The head may be cut in the middle of its only line.
            Cut::NeedMore if at == 0 => {
                let fields = rest.iter().filter(|byte| **byte == dialect.delimiter).count();
                trial.even = (usize::from(fields > 0), fields);
                return trial;
            }
            Cut::NeedMore => break,
            Cut::BadQuote | Cut::TooLong => {
                trial.bad += 1;
                at += first_line(rest);
            }
        }
    }
    let even = counts.into_iter().map(|(fields, records)| (records, fields)).max();
    trial.even = even.unwrap_or_default();
    trial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiter_and_quoting_are_found_by_what_makes_the_records_alike() {
        let rows = |row: &str| format!("key,road,note,owner\n{}", row.repeat(5));
        for (text, delimiter, quoting) in [
            (rows("1,黄河路,a,b\n"), b',', Quoting::Double),
            (rows("1,\"黄河路, 南\",a,b\n").replace(',', ";"), b';', Quoting::Double),
            (rows("1,\"a\nb\",c,d\n").replace(',', "\t"), b'\t', Quoting::Double),
            (rows("1,\"say \\\"a, b\\\" twice\",c,d\n"), b',', Quoting::Backslash),
            (rows("1,\"C:\\\\data\",c,d\n"), b',', Quoting::Double),
            (rows("'1','黄河路, 南','it''s','b'\n"), b',', Quoting::Single),
            (rows("1,it's,rock 'n' roll,b\n"), b',', Quoting::Double),
            (rows("1,\"A\" street,4\" pipe,b\n"), b',', Quoting::None),
            (rows("1,\"A street,2,b\n").replace(',', "|"), b'|', Quoting::None),
            // One quote too many among proper ones is a mistake of its line.
            (rows("1,\"a\",b,c\n") + "2,\"two,b,c\n3,\"x\",b,c\n", b',', Quoting::Double),
            (rows("1,a,b,c\n") + "2,\"two,b,c\n", b',', Quoting::Double),
            ("a".to_owned(), b',', Quoting::Double),
            (String::new(), b',', Quoting::Double),
        ] {
            let found = find_dialect(text.as_bytes(), true, None, None);
            assert_eq!(found, Dialect { delimiter, quoting }, "{text}");
        }
        let told = find_dialect(b"'a';'b'", true, Some(b';'), Some(Quoting::Double));
        assert_eq!(told, Dialect { delimiter: b';', quoting: Quoting::Double });
    }
}
