//! Component codes 部件标识码. A code is `(scheme, digits)` and is never read without its scheme;
//! a scheme is data (a TOML file in `labels/schemes` or the city's data folder).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

use super::Refusal;
use super::cover::CoverClass;
use super::names::named_enum;

/// An official code: text from end to end, checked against its scheme when made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ComponentCode {
    pub scheme: String,
    pub digits: String,
}

impl ComponentCode {
    /// As people read it: in the groups of its scheme; as it is when the scheme is not known here.
    pub fn grouped(&self, schemes: &BTreeMap<String, Scheme>) -> String {
        schemes.get(&self.scheme).map_or_else(|| self.digits.clone(), |scheme| scheme.grouped(&self.digits))
    }
}

impl fmt::Display for ComponentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

/// What one part of a code says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", tag = "says", deny_unknown_fields)]
pub enum Part {
    /// The district's code.
    District { digits: usize },
    /// Always these digits, e.g. the major class.
    Constant { value: String },
    /// The class's digits from the class table.
    Class { digits: usize },
    /// Running number within (scheme, district, class).
    Sequence { digits: usize },
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Part::Constant { value } => value.len(),
            Part::District { digits } | Part::Class { digits } | Part::Sequence { digits } => *digits,
        }
    }
}

named_enum! {
    /// What a code says of its cover.
    CodeFact as "code_fact" { Class = "class", District = "district" }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemeFile {
    id: String,
    name_zh: String,
    name_en: String,
    /// Where the structure comes from.
    source: String,
    /// Sizes of the groups in which the code is printed and read aloud.
    groups: Vec<usize>,
    parts: Vec<Part>,
    /// Where one of these facts changes, the cover gets a new code; without the list, the person is asked.
    new_code_when: Option<Vec<CodeFact>>,
    classes: BTreeMap<CoverClass, String>,
}

/// A code scheme: how digits are put together and which digits a class has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    pub id: String,
    pub name_zh: String,
    pub name_en: String,
    pub source: String,
    groups: Vec<usize>,
    parts: Vec<Part>,
    new_code_when: Option<Vec<CodeFact>>,
    classes: BTreeMap<CoverClass, String>,
}

/// A code taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeParts {
    pub district: String,
    pub class: CoverClass,
    pub sequence: u64,
}

impl Scheme {
    /// Reads a scheme file. Refuses one that could not number covers without ambiguity.
    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        let file: SchemeFile = toml::from_str(text)
            .map_err(|error| Refusal::new("scheme.unreadable").with("reason", error.message()))?;
        let broken =
            |reason: &str| Err(Refusal::new("scheme.unusable").with("id", &file.id).with("reason", reason));
        let count = |wanted: fn(&Part) -> bool| file.parts.iter().filter(|part| wanted(part)).count();
        if count(|p| matches!(p, Part::District { .. })) != 1
            || count(|p| matches!(p, Part::Class { .. })) != 1
            || count(|p| matches!(p, Part::Sequence { .. })) != 1
        {
            return broken("a scheme needs exactly one district, one class and one sequence part");
        }
        let length: usize = file.parts.iter().map(Part::len).sum();
        if file.groups.iter().sum::<usize>() != length {
            return broken("the groups do not add up to the length of the code");
        }
        for part in &file.parts {
            match part {
                Part::Constant { value } if !all_digits(value) => {
                    return broken("a constant is not made of digits");
                }
                Part::Class { digits } => {
                    let mut seen: Vec<&String> = file.classes.values().collect();
                    seen.sort();
                    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
                        return broken("two classes have the same digits");
                    }
                    if seen.iter().any(|value| value.len() != *digits || !all_digits(value)) {
                        return broken("a class has digits of another length");
                    }
                }
                Part::Sequence { digits } if !(1..=12).contains(digits) => {
                    return broken("the sequence needs 1 to 12 digits");
                }
                _ => {}
            }
        }
        let SchemeFile { id, name_zh, name_en, source, groups, parts, new_code_when, classes } = file;
        Ok(Self { id, name_zh, name_en, source, groups, parts, new_code_when, classes })
    }

    /// Characters of a code.
    pub fn code_len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Highest running number; allocation refuses to pass it.
    pub fn last_sequence(&self) -> u64 {
        let digits = self.parts.iter().find_map(|part| match part {
            Part::Sequence { digits } => Some(*digits),
            _ => None,
        });
        10u64.pow(digits.unwrap_or(1) as u32) - 1
    }

    /// The classes that this scheme can number.
    pub fn classes(&self) -> impl Iterator<Item = CoverClass> + '_ {
        self.classes.keys().copied()
    }

    /// Whether a cover whose class or district has changed gets a new code; `None` when this scheme
    /// leaves it to the person.
    pub fn wants_new_code(&self, class_changed: bool, district_changed: bool) -> Option<bool> {
        let when = self.new_code_when.as_ref()?;
        Some(
            class_changed && when.contains(&CodeFact::Class)
                || district_changed && when.contains(&CodeFact::District),
        )
    }

    /// Whether this scheme has digits for the class.
    pub fn has_class(&self, class: CoverClass) -> bool {
        self.classes.contains_key(&class)
    }

    /// Puts a code together. Refuses a class the scheme has no digits for, a district code of
    /// another length, and a sequence that overflows.
    pub fn compose(
        &self,
        district: &str,
        class: CoverClass,
        sequence: u64,
    ) -> Result<ComponentCode, Refusal> {
        let mut digits = String::with_capacity(self.code_len());
        for part in &self.parts {
            match part {
                Part::Constant { value } => digits.push_str(value),
                Part::District { digits: len } => {
                    if district.len() != *len || !all_digits(district) {
                        return Err(Refusal::new("code.district")
                            .at("district")
                            .with("read", district)
                            .with("digits", len));
                    }
                    digits.push_str(district);
                }
                Part::Class { .. } => match self.classes.get(&class) {
                    Some(known) => digits.push_str(known),
                    None => {
                        return Err(Refusal::new("code.class")
                            .at("class")
                            .with("class", class)
                            .with("scheme", &self.id));
                    }
                },
                Part::Sequence { digits: len } => {
                    if sequence == 0 || sequence > self.last_sequence() {
                        return Err(Refusal::new("code.sequence_full")
                            .at("code")
                            .with("district", district)
                            .with("class", class)
                            .with("last", self.last_sequence()));
                    }
                    digits.push_str(&format!("{sequence:0len$}"));
                }
            }
        }
        Ok(ComponentCode { scheme: self.id.clone(), digits })
    }

    /// Reads a code of this scheme; blanks and hyphens between groups are allowed.
    pub fn parse(&self, text: &str) -> Result<(ComponentCode, CodeParts), Refusal> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let refuse = |code| {
            let read: String = text.chars().take(60).collect();
            Refusal::new(code)
                .at("code")
                .with("read", read)
                .with("length", self.code_len())
                .with("scheme", &self.id)
        };
        if !all_digits(&digits) {
            return Err(refuse("code.not_digits"));
        }
        if digits.len() != self.code_len() {
            return Err(refuse("code.length"));
        }
        let (mut district, mut class, mut sequence) = (String::new(), None, 0);
        let mut rest = digits.as_str();
        for part in &self.parts {
            let (here, after) = rest.split_at(part.len());
            rest = after;
            match part {
                Part::Constant { value } if here != value => {
                    return Err(refuse("code.constant").with("fits", value));
                }
                Part::Constant { .. } => {}
                Part::District { .. } => district = here.to_owned(),
                Part::Class { .. } => {
                    class = self.classes.iter().find(|(_, digits)| *digits == here).map(|(class, _)| *class);
                    if class.is_none() {
                        return Err(refuse("code.class_digits").with("class", here));
                    }
                }
                Part::Sequence { .. } => sequence = here.parse().map_err(|_| refuse("code.not_digits"))?,
            }
        }
        let class = class.ok_or_else(|| refuse("code.class_digits"))?;
        if sequence == 0 {
            return Err(refuse("code.sequence_zero"));
        }
        Ok((ComponentCode { scheme: self.id.clone(), digits }, CodeParts { district, class, sequence }))
    }

    /// The digits in the scheme's groups, for plates and pages: `370502 01 02 000017`.
    pub fn grouped(&self, digits: &str) -> String {
        let mut out = String::with_capacity(digits.len() + self.groups.len());
        let mut rest = digits;
        for size in &self.groups {
            let Some((here, after)) = rest.split_at_checked(*size) else { break };
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(here);
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The schemes that come with the program.
pub fn built_in_schemes() -> Vec<Scheme> {
    [
        include_str!("../../labels/schemes/component-16.toml"),
        include_str!("../../labels/schemes/town-11.toml"),
    ]
    .into_iter()
    .map(|text| Scheme::from_toml(text).expect("built-in schemes are read by a test"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scheme(id: &str) -> Scheme {
        built_in_schemes().into_iter().find(|scheme| scheme.id == id).unwrap()
    }

    #[test]
    fn the_16_digit_scheme_reads_codes_seen_in_the_wild() {
        // Payloads of a Suzhou exchange interface (domain.md §1.1).
        let (code, parts) = scheme("component-16").parse("3205820102048188").unwrap();
        assert_eq!(code.digits, "3205820102048188");
        assert_eq!(
            parts,
            CodeParts { district: "320582".into(), class: CoverClass::Sewage, sequence: 48188 }
        );
        assert_eq!(scheme("component-16").classes().count(), 12);
    }

    #[test]
    fn a_sequence_refuses_to_overflow() {
        let scheme = scheme("town-11");
        assert!(scheme.compose("001", CoverClass::Sewage, 999_999).is_ok());
        assert_eq!(
            scheme.compose("001", CoverClass::Sewage, 1_000_000).unwrap_err().code,
            "code.sequence_full"
        );
        assert_eq!(scheme.compose("01", CoverClass::Sewage, 1).unwrap_err().code, "code.district");
        assert_eq!(scheme.compose("001", CoverClass::Gas, 1).unwrap_err().code, "code.class");
    }

    #[test]
    fn a_scheme_that_would_be_ambiguous_is_refused_by_name() {
        let text = include_str!("../../labels/schemes/town-11.toml");
        let twice = text.replace("storm = \"02\"", "storm = \"01\"");
        assert_eq!(Scheme::from_toml(&twice).unwrap_err().code, "scheme.unusable");
        assert_eq!(Scheme::from_toml("id = 3").unwrap_err().code, "scheme.unreadable");
    }

    proptest! {
        #[test]
        fn what_is_composed_is_parsed_back(sequence in 1u64..=999_999, at in 0usize..12) {
            let scheme = scheme("component-16");
            let class = scheme.classes().nth(at).unwrap();
            let code = scheme.compose("370502", class, sequence).unwrap();
            let (again, parts) = scheme.parse(&scheme.grouped(&code.digits)).unwrap();
            prop_assert_eq!(again, code);
            prop_assert_eq!(parts, CodeParts { district: "370502".into(), class, sequence });
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,30}") {
            for scheme in built_in_schemes() {
                let _ = scheme.parse(&text);
                let _ = scheme.grouped(&text);
            }
        }
    }
}
