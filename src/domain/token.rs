//! The opaque string in a plate's address: 11 random characters and one check character of
//! Crockford base32, never derived from the component code, never recycled.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use super::Refusal;

/// Crockford's base32 digits: no I, L, O (read as 1, 1, 0) and no U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a token, check character included.
pub const TOKEN_CHARS: usize = 12;
const RANDOM_BITS: u32 = 55;

/// A plate's token. Holds the 55 random bits; the check character is derived.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

impl Token {
    /// Draws a new token. Uniqueness is the plate table's primary key, not luck.
    pub fn draw<R: rand::Rng + ?Sized>(random: &mut R) -> Self {
        Self(random.random::<u64>() >> (64 - RANDOM_BITS))
    }

    /// The 55 bits as stored; always positive.
    pub fn to_i64(self) -> i64 {
        self.0 as i64
    }

    /// From the stored bits; `None` when they are no token.
    pub fn from_i64(stored: i64) -> Option<Self> {
        u64::try_from(stored).ok().filter(|bits| bits >> RANDOM_BITS == 0).map(Self)
    }

    /// The twelve characters.
    pub fn chars(self) -> [u8; TOKEN_CHARS] {
        let mut out = [0; TOKEN_CHARS];
        let mut digits = [0u8; TOKEN_CHARS - 1];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = (self.0 >> (5 * (TOKEN_CHARS - 2 - at)) & 31) as u8;
            out[at] = ALPHABET[usize::from(*digit)];
        }
        out[TOKEN_CHARS - 1] = ALPHABET[usize::from(check_digit(&digits))];
        out
    }

    /// Typed and printed in groups of four: `7K3Q-9XW2-M4AB`.
    pub fn grouped(self) -> String {
        let text = self.to_string();
        format!("{}-{}-{}", &text[..4], &text[4..8], &text[8..])
    }
}

/// Weighted sum over GF(32) with weights α¹, α², …: α is primitive, so weights are non-zero (any
/// single error shows) and neighbors' weights differ (any swap of different neighbors shows).
/// The check character itself has the weight 1 = α⁰, which differs from its neighbor's too.
fn check_digit(digits: &[u8]) -> u8 {
    let mut weight = 1;
    let mut sum = 0;
    for digit in digits.iter().rev() {
        weight = times_alpha(weight);
        sum ^= times(weight, *digit);
    }
    sum
}

/// Multiplication by α in GF(2⁵) modulo x⁵ + x² + 1, a primitive polynomial.
const fn times_alpha(value: u8) -> u8 {
    let shifted = value << 1;
    if shifted & 32 == 0 { shifted } else { shifted ^ 0b10_0101 }
}

fn times(mut left: u8, mut right: u8) -> u8 {
    let mut product = 0;
    while right != 0 {
        if right & 1 == 1 {
            product ^= left;
        }
        left = times_alpha(left);
        right >>= 1;
    }
    product
}

fn digit_of(character: char) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    let byte = u8::try_from(upper).ok()?;
    ALPHABET.iter().position(|known| *known == byte).map(|at| at as u8)
}

impl FromStr for Token {
    type Err = Refusal;

    /// Reads a token as people type it: any case, `I L O` for `1 1 0`, hyphens and spaces between groups.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let read: String = text.chars().take(40).collect();
        let mut digits = [0u8; TOKEN_CHARS];
        let mut count = 0;
        for character in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let digit = digit_of(character).ok_or_else(|| {
                Refusal::new("token.character").at("token").with("read", &read).with("character", character)
            })?;
            if count < TOKEN_CHARS {
                digits[count] = digit;
            }
            count += 1;
        }
        if count != TOKEN_CHARS {
            return Err(Refusal::new("token.length").at("token").with("read", &read).with("count", count));
        }
        if check_digit(&digits[..TOKEN_CHARS - 1]) != digits[TOKEN_CHARS - 1] {
            return Err(Refusal::new("token.check_character").at("token").with("read", &read));
        }
        let bits = digits[..TOKEN_CHARS - 1].iter().fold(0u64, |bits, digit| bits << 5 | u64::from(*digit));
        Ok(Self(bits))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chars = self.chars();
        f.write_str(std::str::from_utf8(&chars).map_err(|_| fmt::Error)?)
    }
}

/// A token opens a file: logs show that there is one, never which.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How the address on a plate begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlateScheme {
    #[default]
    Https,
    /// For a trial in a network of one's own: anybody on the way could read along.
    Http,
}

impl fmt::Display for PlateScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlateScheme::Https => "https",
            PlateScheme::Http => "http",
        })
    }
}

/// What the QR symbol says: `HTTPS://{HOST}/C/{TOKEN}`, in upper case for QR alphanumeric mode,
/// or in lower case (token excepted) for hosts that need it.
pub fn plate_payload(scheme: PlateScheme, host: &str, token: Token, lower_case: bool) -> String {
    let before = format!("{scheme}://{host}/c/");
    let before = if lower_case { before.to_ascii_lowercase() } else { before.to_ascii_uppercase() };
    format!("{before}{token}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    fn any_token() -> impl Strategy<Value = Token> {
        (0u64..1 << RANDOM_BITS).prop_map(Token)
    }

    proptest! {
        #[test]
        fn a_token_is_read_back_in_any_case_and_grouping(token in any_token()) {
            prop_assert_eq!(token.to_string().parse(), Ok(token));
            prop_assert_eq!(token.to_string().to_lowercase().parse(), Ok(token));
            prop_assert_eq!(token.grouped().parse(), Ok(token));
            prop_assert_eq!(Token::from_i64(token.to_i64()), Some(token));
            let aliased = token.to_string().replace('1', "l").replace('0', "o");
            prop_assert_eq!(aliased.parse(), Ok(token));
        }

        #[test]
        fn every_single_character_error_is_caught(token in any_token(), at in 0..TOKEN_CHARS, other in 0usize..32) {
            let mut chars = token.chars();
            prop_assume!(chars[at] != ALPHABET[other]);
            chars[at] = ALPHABET[other];
            let text = std::str::from_utf8(&chars).unwrap();
            prop_assert_eq!(text.parse::<Token>().unwrap_err().code, "token.check_character");
        }

        #[test]
        fn every_swap_of_neighbors_is_caught(token in any_token(), at in 0..TOKEN_CHARS - 1) {
            let mut chars = token.chars();
            prop_assume!(chars[at] != chars[at + 1]);
            chars.swap(at, at + 1);
            let text = std::str::from_utf8(&chars).unwrap();
            prop_assert_eq!(text.parse::<Token>().unwrap_err().code, "token.check_character");
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Token>();
        }
    }

    #[test]
    fn ten_million_tokens_repeat_no_more_than_chance_allows() {
        let mut random = rand::rngs::SmallRng::seed_from_u64(7);
        let mut drawn: Vec<u64> = (0..10_000_000).map(|_| Token::draw(&mut random).0).collect();
        drawn.sort_unstable();
        let repeats = drawn.windows(2).filter(|pair| pair[0] == pair[1]).count();
        // 10⁷ draws from 2⁵⁵: expected repeats 0.0014; two or more would mean a broken generator.
        assert!(repeats < 2, "{repeats} repeats");
        assert!(drawn.iter().all(|bits| bits >> RANDOM_BITS == 0));
    }

    #[test]
    fn a_payload_is_upper_case_unless_the_host_needs_lower() {
        let token: Token = Token(0);
        let payload = |scheme, host, lower_case| plate_payload(scheme, host, token, lower_case);
        let (https, http) = (PlateScheme::Https, PlateScheme::Http);
        assert_eq!(payload(https, "lid.example.cn", false), "HTTPS://LID.EXAMPLE.CN/C/000000000000");
        assert_eq!(payload(https, "lid.example.cn", true), "https://lid.example.cn/c/000000000000");
        assert_eq!(payload(http, "192.168.1.5:8080", false), "HTTP://192.168.1.5:8080/C/000000000000");
    }

    #[test]
    fn a_token_never_shows_in_debug_output() {
        assert_eq!(format!("{:?}", Token(5)), "Token(…)");
    }
}
