//! The attribute table of the map: what is known of a cover beside its place, 40 bytes a cover. Words of
//! short lists are kept as themselves, words of long ones by their number in a [`Lexicon`].

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::domain::code::ComponentCode;
use crate::domain::cover::{LoadClass, Material, Placement, Shape};
use crate::domain::ids::PartyId;
use crate::domain::quality::FieldSet;

/// What is known of a cover. The numbers are those of the lexicon of its snapshot; 0 = not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    pub code: PackedCode,
    /// The random end of the manhole's id: enough to tell whether two covers side by side lie on one.
    pub manhole: u32,
    pub road: u32,
    pub owner: u32,
    pub maintainer: u32,
    /// Days since 1970-01-01 on the city's clock; [`UNKNOWN_DAY`] = not known.
    pub surveyed_on: i32,
    pub district: u16,
    /// Year of installation; 0 = not known.
    pub installed: u16,
    /// Which facts its file holds.
    pub known: FieldSet,
    pub placement: Option<Placement>,
    pub material: Option<Material>,
    pub shape: Option<Shape>,
    pub load_class: Option<LoadClass>,
}

pub const UNKNOWN_DAY: i32 = i32::MIN;

/// A code in ten bytes: its digits as a number, or where they are too many their number in the lexicon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PackedCode {
    /// In bytes, so that it needs no even address.
    number: [u8; 8],
    /// How many digits; 0 = the number is the lexicon's.
    length: u8,
    scheme: u8,
}

/// A party by its id and the name that the public sees.
pub type NamedParty = (PartyId, String);

impl PackedCode {
    fn new(number: u64, length: u8, scheme: u8) -> Self {
        Self { number: number.to_ne_bytes(), length, scheme }
    }

    fn number(self) -> u64 {
        u64::from_ne_bytes(self.number)
    }

    /// By what codes are looked up.
    pub(super) fn order(self) -> CodeOrder {
        (self.length, self.number(), self.scheme)
    }

    /// Where codes stand in that order which begin with these digits, a range for each length.
    pub(super) fn beginning(digits: &str) -> Vec<Range<CodeOrder>> {
        let Ok(start) = digits.parse::<u64>() else { return Vec::new() };
        let range = |length: usize| {
            let scale = 10_u64.checked_pow(u32::try_from(length - digits.len()).ok()?)?;
            let (first, behind) = (start.checked_mul(scale)?, (start + 1).checked_mul(scale)?);
            Some((length as u8, first, 0)..(length as u8, behind, 0))
        };
        (digits.len()..=PACKED_DIGITS).filter_map(range).collect()
    }
}

/// Length, number and scheme of a code.
pub(super) type CodeOrder = (u8, u64, u8);

/// So many digits always fit 64 bits.
const PACKED_DIGITS: usize = 19;

/// The words of all snapshots of one map. It only grows, so that older snapshots stay readable.
#[derive(Debug, Default)]
pub struct Lexicon {
    districts: Words<String>,
    roads: Words<String>,
    parties: Words<NamedParty>,
    schemes: Words<String>,
    long_codes: Words<String>,
}

impl Lexicon {
    /// The number of a district; the last one stands for all beyond 65,535.
    pub fn district_number(&self, code: &str) -> u16 {
        u16::try_from(self.districts.number(code)).unwrap_or(u16::MAX)
    }

    pub fn road_number(&self, road: &str) -> u32 {
        self.roads.number(road)
    }

    /// A party keeps its name.
    pub fn party_number(&self, party: &NamedParty) -> u32 {
        self.parties.number(party)
    }

    pub fn pack(&self, code: &ComponentCode) -> PackedCode {
        let scheme = u8::try_from(self.schemes.number(code.scheme.as_str())).unwrap_or(u8::MAX);
        let digits = code.digits.as_str();
        let fits = digits.len() <= PACKED_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (number, length) = match digits.parse::<u64>() {
            Ok(number) if fits => (number, digits.len() as u8),
            _ => (u64::from(self.long_codes.number(digits)), 0),
        };
        PackedCode::new(number, length, scheme)
    }

    /// Everything readable at once, for a pass over many rows. Nothing new can be noted meanwhile.
    pub fn read(&self) -> Reading<'_> {
        Reading {
            districts: self.districts.read(),
            roads: self.roads.read(),
            parties: self.parties.read(),
            schemes: self.schemes.read(),
            long_codes: self.long_codes.read(),
        }
    }
}

/// A lexicon while it is read.
pub struct Reading<'l> {
    districts: RwLockReadGuard<'l, Noted<String>>,
    roads: RwLockReadGuard<'l, Noted<String>>,
    parties: RwLockReadGuard<'l, Noted<NamedParty>>,
    schemes: RwLockReadGuard<'l, Noted<String>>,
    long_codes: RwLockReadGuard<'l, Noted<String>>,
}

impl Reading<'_> {
    /// Code of a district.
    pub fn district(&self, number: u16) -> Option<&str> {
        self.districts.word(u32::from(number)).map(String::as_str)
    }

    pub fn road(&self, number: u32) -> Option<&str> {
        self.roads.word(number).map(String::as_str)
    }

    pub fn party(&self, number: u32) -> Option<&NamedParty> {
        self.parties.word(number)
    }

    pub fn scheme(&self, code: PackedCode) -> Option<&str> {
        self.schemes.word(u32::from(code.scheme)).map(String::as_str)
    }

    /// Writes the digits of a code behind what is there.
    pub fn write_digits(&self, code: PackedCode, text: &mut String) {
        let number = code.number();
        match usize::from(code.length) {
            0 => text.push_str(self.long_codes.word(number as u32).map_or("", String::as_str)),
            length => {
                use std::fmt::Write;
                write!(text, "{number:0length$}").expect("a String takes all text");
            }
        }
    }

    pub fn digits(&self, code: PackedCode) -> String {
        let mut text = String::with_capacity(PACKED_DIGITS);
        self.write_digits(code, &mut text);
        text
    }

    /// The packed codes that are written with these digits, one for each scheme; of long ones none that no cover had.
    pub fn packed(&self, digits: &str) -> Vec<PackedCode> {
        let fits = digits.len() <= PACKED_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (number, length) = match digits.parse::<u64>() {
            Ok(number) if fits => (number, digits.len() as u8),
            _ => match self.long_codes.numbers.get(digits) {
                Some(number) => (u64::from(*number), 0),
                None => return Vec::new(),
            },
        };
        let schemes = 1..=u8::try_from(self.schemes.list.len()).unwrap_or(u8::MAX);
        schemes.map(|scheme| PackedCode::new(number, length, scheme)).collect()
    }

    /// How many districts have numbers; they are 1 to that.
    pub fn district_count(&self) -> usize {
        self.districts.list.len()
    }

    pub fn road_count(&self) -> usize {
        self.roads.list.len()
    }

    pub fn party_count(&self) -> usize {
        self.parties.list.len()
    }
}

/// Words with numbers from 1.
#[derive(Debug)]
struct Words<T>(RwLock<Noted<T>>);

#[derive(Debug)]
struct Noted<T> {
    list: Vec<T>,
    numbers: HashMap<T, u32, foldhash::fast::RandomState>,
}

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self(RwLock::new(Noted { list: Vec::new(), numbers: HashMap::default() }))
    }
}

impl<T> Noted<T> {
    fn word(&self, number: u32) -> Option<&T> {
        self.list.get((number as usize).checked_sub(1)?)
    }
}

impl<T: Eq + Hash + Clone> Words<T> {
    fn read(&self) -> RwLockReadGuard<'_, Noted<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn number<Q>(&self, word: &Q) -> u32
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = T> + ?Sized,
    {
        if let Some(number) = self.read().numbers.get(word) {
            return *number;
        }
        let mut noted = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = noted.numbers.get(word) {
            return *number;
        }
        noted.list.push(word.to_owned());
        let number = noted.list.len() as u32;
        noted.numbers.insert(word.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Leading zeros, long codes and other schemes' signs: a code is read as it was written.
        #[test]
        fn a_code_comes_out_as_it_went_in(digits in "[0-9]{1,24}|[0-9A-Z-]{1,12}", scheme in "[ab]") {
            let lexicon = Lexicon::default();
            lexicon.pack(&ComponentCode { scheme: "other".into(), digits: "x".into() });
            let packed = lexicon.pack(&ComponentCode { scheme: scheme.clone(), digits: digits.clone() });
            let reading = lexicon.read();
            prop_assert_eq!(reading.digits(packed), digits);
            prop_assert_eq!(reading.scheme(packed), Some(scheme.as_str()));
        }
    }

    #[test]
    fn a_word_keeps_its_number_and_zero_is_none() {
        let lexicon = Lexicon::default();
        let (first, second) = (lexicon.road_number("黄河路"), lexicon.road_number("东三路"));
        assert_eq!((first, second, lexicon.road_number("黄河路")), (1, 2, 1));
        let reading = lexicon.read();
        assert_eq!((reading.road(0), reading.road(2), reading.road(3)), (None, Some("东三路"), None));
        assert_eq!(size_of::<Attributes>(), 40);
    }
}
