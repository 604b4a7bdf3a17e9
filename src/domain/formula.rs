//! Texts in tables that spreadsheets open. A spreadsheet takes a cell of CSV that begins with `=` for a formula
//! and carries it out, whoever wrote the text (OWASP, "CSV injection"); an apostrophe before it makes it a text.

use std::borrow::Cow;

/// Whether a spreadsheet would take the text for a formula, apart from apostrophes that stand before it.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// The text as it may stand in a table: one apostrophe more where it would be a formula.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// What [`guarded`] was given.
pub fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|_| is_formula(text)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_spreadsheet_would_carry_out_is_led_by_an_apostrophe() {
        for text in ["=1+1", "+86 546", "-5", "@SUM(A1)", "＝1", "'=1", "''-"] {
            assert_eq!(guarded(text), format!("'{text}"));
        }
        for text in ["", "黄河路", "'t Hof", "a=b", "{\"a\":\"=1\"}"] {
            assert_eq!(guarded(text), text);
        }
        assert_eq!(unguarded("'t Hof"), "'t Hof");
    }

    proptest! {
        #[test]
        fn a_guarded_text_is_read_back(text in "['=+@a-]{0,4}") {
            let guarded = guarded(&text).into_owned();
            prop_assert_eq!(unguarded(&guarded), text);
            prop_assert!(!guarded.starts_with(['=', '+', '-', '@']));
        }
    }
}
