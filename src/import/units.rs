//! Units of length in names of columns: 井深(cm), `Depth_ft`, 直径/毫米.

/// The units that are known, by any of their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Units {
    units: Vec<Unit>,
}

#[derive(Debug, Clone)]
struct Unit {
    name: String,
    meters: f64,
    /// In small letters.
    names: Vec<String>,
}

impl Units {
    pub(super) fn add(&mut self, name: &str, meters: f64, names: &[String]) {
        let names = names.iter().map(|name| name.to_lowercase()).collect();
        self.units.push(Unit { name: name.to_owned(), meters, names });
    }

    /// How long it is; `None` = no unit.
    pub(super) fn meters(&self, name: &str) -> Option<f64> {
        self.units.iter().find(|unit| unit.name == name).map(|unit| unit.meters)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.units.iter().map(|unit| unit.name.as_str())
    }

    /// The factor from one unit to another.
    pub(super) fn factor(&self, from: &str, to: &str) -> Option<f64> {
        Some(self.meters(from)? / self.meters(to)?)
    }

    fn find(&self, text: &str) -> Option<&str> {
        let text = text.trim().to_lowercase();
        let text = ["单位", "unit", "in "].iter().find_map(|start| text.strip_prefix(start)).unwrap_or(&text);
        let text = text.trim_start_matches([':', '：', ' ']);
        self.units
            .iter()
            .find(|unit| unit.names.iter().any(|name| name == text))
            .map(|unit| unit.name.as_str())
    }

    /// Parts the name of a column from the unit at its end.
    pub(super) fn split<'h>(&self, header: &'h str) -> (&'h str, Option<&str>) {
        let wide: String = header.trim_end().chars().map(narrow).collect();
        // The same number of characters, though not of bytes.
        let cut = |at: usize| {
            let chars = wide[..at].chars().count();
            header.char_indices().nth(chars).map_or(header, |(end, _)| &header[..end])
        };
        if let Some(inner) = wide.strip_suffix([')', ']', '】', '〕'])
            && let Some(open) = inner.rfind(['(', '[', '【', '〔'])
        {
            let begins = inner[open..].chars().next().map_or(1, char::len_utf8);
            if let Some(unit) = self.find(&inner[open + begins..]) {
                return (cut(open), Some(unit));
            }
        }
        for (at, sign) in wide.char_indices().rev().filter(|(_, c)| matches!(c, '_' | '/' | ' ' | '-' | ','))
        {
            if let Some(unit) = self.find(&wide[at + sign.len_utf8()..]) {
                let stem = cut(at);
                // "depth in feet"
                let stem = stem.strip_suffix(" in").or_else(|| stem.strip_suffix("_in")).unwrap_or(stem);
                return (stem, Some(unit));
            }
        }
        // 井深cm
        let tail = wide
            .rfind(|c: char| !c.is_ascii_alphabetic())
            .map_or(0, |at| at + wide[at..].chars().next().map_or(1, char::len_utf8));
        let behind_chinese = wide[..tail].chars().next_back().is_some_and(|c| !c.is_ascii());
        match self.find(&wide[tail..]) {
            Some(unit) if behind_chinese => (cut(tail), Some(unit)),
            _ => (header, None),
        }
    }
}

/// Wide letters and signs as usual ones.
fn narrow(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => c,
    }
}

/// A number in another unit, without the dust that multiplication leaves.
pub(super) fn convert(number: f64, factor: f64) -> f64 {
    let product = number * factor;
    let rounded = (product * 1e6).round() / 1e6;
    if rounded.is_finite() { rounded } else { product }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_the_same_in_every_unit() {
        for (number, factor, gives) in
            [(150.0, 10.0, 1500.0), (2.3, 304.8, 701.04), (1.52, 1000.0, 1520.0), (0.1, 3.0, 0.3)]
        {
            assert_eq!(convert(number, factor), gives);
        }
    }
}
