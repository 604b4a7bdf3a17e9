//! How well a word fits what somebody typed: the beginning, a part, the initials of its Pinyin, or with a slip.

use std::cmp::Ordering;

use pinyin::ToPinyin;

/// Most characters of a query that are looked at.
const MOST: usize = 40;

/// How a word fits, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Same,
    Begins,
    Holds,
    /// `hhl` for 黄河路, or `huanghelu`.
    Sounds,
    /// So many characters are wrong, missing or too many.
    Nearly(u8),
}

/// What somebody typed, ready to be compared with many words.
pub struct Wanted {
    text: Vec<char>,
    /// Only letters: it may be Pinyin.
    letters: Option<String>,
}

impl Wanted {
    pub fn new(typed: &str) -> Self {
        let text: Vec<char> = plain(typed).take(MOST).collect();
        let is_latin = text.len() >= 2 && text.iter().all(char::is_ascii_alphabetic);
        Self { letters: is_latin.then(|| text.iter().collect()), text }
    }

    /// `None` where the word is another one.
    pub fn fit(&self, word: &str) -> Option<Fit> {
        let word: Vec<char> = plain(word).collect();
        if self.text.is_empty() || word.is_empty() {
            return None;
        }
        if word == self.text {
            return Some(Fit::Same);
        }
        if word.starts_with(&self.text) {
            return Some(Fit::Begins);
        }
        if word.windows(self.text.len()).any(|part| part == self.text) {
            return Some(Fit::Holds);
        }
        if let Some(letters) = &self.letters
            && sounds_like(&word, letters)
        {
            return Some(Fit::Sounds);
        }
        // One slip in three characters, two in six.
        let allowed = self.text.len() / 3;
        (1..=allowed.min(2))
            .contains(&slips(&self.text, &word, allowed))
            .then(|| Fit::Nearly(u8::try_from(slips(&self.text, &word, allowed)).unwrap_or(u8::MAX)))
    }

    /// The words that fit, the best first, shorter ones before longer ones; at most so many.
    pub fn best<'w, T>(&self, words: impl Iterator<Item = (T, &'w str)>, most: usize) -> Vec<(T, Fit)> {
        let mut found: Vec<(T, Fit, &str)> =
            words.filter_map(|(what, word)| Some((what, self.fit(word)?, word))).collect();
        let order = |one: &(T, Fit, &str), other: &(T, Fit, &str)| -> Ordering {
            one.1
                .cmp(&other.1)
                .then(one.2.chars().count().cmp(&other.2.chars().count()))
                .then(one.2.cmp(other.2))
        };
        found.sort_by(order);
        found.truncate(most);
        found.into_iter().map(|(what, fit, _)| (what, fit)).collect()
    }
}

/// Without blanks and capitals, full-width letters as plain ones.
fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars()
        .filter(|sign| !sign.is_whitespace() && !sign.is_control())
        .map(|sign| match sign {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(sign as u32 - 0xfee0).unwrap_or(sign),
            other => other,
        })
        .flat_map(char::to_lowercase)
}

/// Whether the initials of its syllables, or the syllables, begin like this from one of its characters on.
fn sounds_like(word: &[char], letters: &str) -> bool {
    let sounds: Vec<&str> =
        word.iter().map(|sign| sign.to_pinyin().map_or("", |pinyin| pinyin.plain())).collect();
    if sounds.iter().all(|sound| sound.is_empty()) {
        return false;
    }
    (0..word.len()).any(|from| {
        let mut initials = String::new();
        let mut whole = String::new();
        for (sound, sign) in sounds[from..].iter().zip(&word[from..]) {
            if sound.is_empty() {
                initials.push(*sign);
                whole.push(*sign);
            } else {
                initials.extend(sound.chars().next());
                whole.push_str(sound);
            }
        }
        initials.starts_with(letters) || whole.starts_with(letters)
    })
}

/// How many characters are wrong, missing or too many; beyond `most` some number above it.
fn slips(one: &[char], other: &[char], most: usize) -> usize {
    if one.len().abs_diff(other.len()) > most {
        return most + 1;
    }
    let mut before: Vec<usize> = (0..=other.len()).collect();
    for (line, sign) in one.iter().enumerate() {
        let mut row = vec![line + 1];
        for (column, wanted) in other.iter().enumerate() {
            let change = before[column] + usize::from(sign != wanted);
            row.push(change.min(before[column + 1] + 1).min(row[column] + 1));
        }
        before = row;
    }
    before[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_road_is_found_by_a_part_by_its_sound_and_with_a_slip() {
        let roads = ["黄河路", "黄河东路", "东三路", "西四路", "府前大街", "Main Street"];
        let found = |typed: &str| -> Vec<&str> {
            let words = roads.iter().map(|road| (*road, *road));
            Wanted::new(typed).best(words, 3).into_iter().map(|(road, _)| road).collect()
        };
        assert_eq!(found("黄河路"), ["黄河路", "黄河东路"]);
        assert_eq!(found("黄河"), ["黄河路", "黄河东路"]);
        assert_eq!(found("河东"), ["黄河东路"]);
        assert_eq!(found("hhl"), ["黄河路"]);
        assert_eq!(found("HHD"), ["黄河东路"]);
        assert_eq!(found("huanghe"), ["黄河路", "黄河东路"]);
        assert_eq!(found("sl"), ["东三路", "西四路"]);
        assert_eq!(found("府前大该"), ["府前大街"]);
        assert_eq!(found("main stret"), ["Main Street"]);
        assert_eq!(found("ｍａｉｎ"), ["Main Street"]);
        assert!(found("").is_empty() && found("北").is_empty() && found("  ").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_compared_with_any_other(typed in ".{0,60}", word in ".{0,60}") {
            let _ = Wanted::new(&typed).fit(&word);
            if plain(&word).next().is_some() && plain(&word).count() <= MOST {
                proptest::prop_assert_eq!(Wanted::new(&word).fit(&word), Some(Fit::Same));
            }
        }
    }
}
