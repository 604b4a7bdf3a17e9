//! Texts compared by what they say: without case, without accents, by pattern.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The text without the difference between capitals and small letters: full case folding of Unicode (C and F), as
/// requirement `case-insensitive-comparison/casei-function` asks. Small, capital and small again folds what
/// CaseFolding.txt folds, but for the dotless i, which that table keeps, and Cherokee, which it folds to capitals.
pub(super) fn fold_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            'ı' => folded.push('ı'),
            _ => folded
                .extend(character.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)),
        }
    }
    folded
}

/// The text with letters instead of accented ones. Marks of Japanese and other scripts stay, since there they make
/// another letter (recommendation `accent-insensitive-comparison/japanese-non-spacing-marks`).
pub(super) fn strip_accents(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let accent = |character: &char| {
        matches!(character, '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}')
            && is_combining_mark(*character)
    };
    let plain = text.nfd().filter(|character| !accent(character)).map(|character| match character {
        // Strokes through letters, which Unicode does not take apart.
        'Ø' => 'O',
        'ø' => 'o',
        'Đ' => 'D',
        'đ' => 'd',
        'Ħ' => 'H',
        'ħ' => 'h',
        'Ł' => 'L',
        'ł' => 'l',
        'Ŧ' => 'T',
        'ŧ' => 't',
        other => other,
    });
    plain.nfc().collect()
}

/// The pattern of LIKE: `%` stands for any characters, `_` for one, `\` takes the next one as it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(char),
    One,
    Any,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '%' => Part::Any,
                '_' => Part::One,
                '\\' => Part::Literal(characters.next().unwrap_or('\\')),
                other => Part::Literal(other),
            });
        }
        parts.dedup_by(|next, before| *next == Part::Any && *before == Part::Any);
        Self { parts }
    }

    /// Whether the whole text fits. Takes at most characters × parts steps: only the last `%` is tried again.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (mut part, mut rest) = (0, text.chars());
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let here = rest.clone();
            let character = rest.next();
            let fits = match (self.parts.get(part), character) {
                (Some(Part::Any), _) => {
                    retry = Some((part + 1, here.clone()));
                    rest = here;
                    true
                }
                (Some(Part::Literal(wanted)), Some(character)) => *wanted == character,
                (Some(Part::One), Some(_)) => true,
                (None, None) => return true,
                _ => false,
            };
            if fits {
                part += 1;
                continue;
            }
            // The last `%` swallows one character more.
            match &mut retry {
                Some((behind, from)) => {
                    if from.next().is_none() {
                        return false;
                    }
                    (part, rest) = (*behind, from.clone());
                }
                None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_make_no_difference_where_they_are_folded() {
        for (left, right) in
            [("Straße", "STRASSE"), ("ΟΔΟΣ", "Οδος"), ("ẞ", "ss"), ("D400", "d400"), ("K", "k")]
        {
            assert_eq!(fold_case(left), fold_case(right), "{left}");
        }
        assert_ne!(fold_case("ı"), fold_case("i"));
        assert_eq!(strip_accents("débárquér"), "debarquer");
        assert_eq!(strip_accents("Beyonce\u{301} København Łódź"), "Beyonce Kobenhavn Lodz");
        // Without the marks these would be other words.
        assert_eq!(strip_accents("ガス管 污水"), "ガス管 污水");
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, fits) in [
            ("B_r%", "Berlin", true),
            ("B_r%", "Br", false),
            ("%井%", "污水井盖", true),
            ("_", "井", true),
            ("_", "", false),
            ("%", "", true),
            ("", "", true),
            ("%a%b", "aabab", true),
            ("%ab%ab", "ab", false),
            (r"50\%", "50%", true),
            (r"50\%", "500", false),
            (r"a\_b", "axb", false),
            (r"a\", r"a\", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), fits, "{text} LIKE {pattern}");
        }
        let slow = "a".repeat(20_000);
        assert!(!Pattern::new(&"%a".repeat(300)).matches(&slow[..200]));
        assert!(!Pattern::new("%a%a%a%a%a%b").matches(&slow));
    }
}
