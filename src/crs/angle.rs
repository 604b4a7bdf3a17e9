//! Angles as people write them: `118.59`, `118°40'12.5"E`, `118 40 12.5`, `N37°27′`, `１１８度４０分１２．５秒`.

/// Reads an angle in degrees. South and west are negative. `None` = no angle; minutes and seconds
/// from 60 up, and signs that contradict a letter, are none.
pub fn parse_degrees(text: &str) -> Option<f64> {
    if let Ok(degrees) = text.trim().parse::<f64>() {
        return Some(degrees).filter(|degrees| degrees.is_finite());
    }
    // Digits, marks and letters in their usual width.
    let plain: String = text.trim().chars().map(half_width).collect();
    let upper = plain.to_uppercase();
    let (rest, letter) = take_letter(upper.trim())?;
    let (rest, minus) = match rest.strip_prefix(['-', '−']) {
        Some(rest) => (rest, true),
        None => (rest.strip_prefix('+').unwrap_or(rest), false),
    };
    let (degrees, rest) = number(rest.trim_start())?;
    let mut angle = degrees;
    let rest = mark(rest, &['°', 'º', '˚', '度', ':', '-', 'D'])?;
    if !rest.is_empty() {
        let (minutes, rest) = number(rest).filter(|(minutes, _)| *minutes < 60.0)?;
        if degrees.fract() != 0.0 {
            return None;
        }
        angle += minutes / 60.0;
        let rest = mark(rest, &['\'', '′', '’', '‘', '`', '´', '分', ':', '-', 'M'])?;
        if !rest.is_empty() {
            let (seconds, rest) = number(rest).filter(|(seconds, _)| *seconds < 60.0)?;
            if minutes.fract() != 0.0 {
                return None;
            }
            angle += seconds / 3600.0;
            let rest = rest.trim();
            if !matches!(rest, "" | "\"" | "″" | "”" | "“" | "''" | "′′" | "’’" | "秒" | "S") {
                return None;
            }
        }
    }
    if minus && letter.is_some() {
        return None;
    }
    Some(if minus || matches!(letter, Some('S' | 'W')) { -angle } else { angle })
}

/// Takes a letter of the compass from either end, never from both. The S that closes seconds
/// stands behind a digit without any other mark and is left to them.
fn take_letter(text: &str) -> Option<(&str, Option<char>)> {
    let words = [
        ("N", 'N'),
        ("S", 'S'),
        ("E", 'E'),
        ("W", 'W'),
        ("北纬", 'N'),
        ("南纬", 'S'),
        ("东经", 'E'),
        ("西经", 'W'),
    ];
    for (word, letter) in words {
        if let Some(rest) = text.strip_prefix(word) {
            let rest = rest.trim_start_matches([' ', ':']);
            let twice = rest.ends_with(['N', 'E', 'W']);
            return (!twice).then_some((rest, Some(letter)));
        }
    }
    for (word, letter) in &words[..4] {
        if let Some(rest) = text.strip_suffix(word) {
            let closes_seconds =
                *word == "S" && rest.contains(['D', 'M']) && rest.ends_with(char::is_numeric);
            if !closes_seconds {
                return Some((rest.trim_end(), Some(*letter)));
            }
        }
    }
    Some((text, None))
}

/// A number without sign at the beginning of a text, and what follows.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number = text[..end].parse().ok()?;
    Some((number, &text[end..]))
}

/// Takes the mark behind a number, or the blank that stands for it.
fn mark<'t>(text: &'t str, marks: &[char]) -> Option<&'t str> {
    let trimmed = text.trim_start();
    match trimmed.strip_prefix(marks) {
        Some(rest) => Some(rest.trim_start()),
        None if trimmed.is_empty() || trimmed.len() < text.len() => Some(trimmed),
        None => None,
    }
}

fn half_width(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '\u{3000}' | '\u{A0}' => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn angles_are_read_as_people_write_them() {
        let east = 118.0 + 40.0 / 60.0 + 12.5 / 3600.0;
        for (text, degrees) in [
            ("118.59", 118.59),
            (" -72.5 ", -72.5),
            ("118°40'12.5\"E", east),
            ("118°40′12.5″E", east),
            ("118°40’12.5”", east),
            ("E118°40′12.5″", east),
            ("118 40 12.5", east),
            ("118:40:12.5", east),
            ("118-40-12.5", east),
            ("１１８°４０＇１２．５＂", east),
            ("１１８°４０′１２．５″", east),
            ("118度40分12.5秒", east),
            ("东经118度40分12.5秒", east),
            ("118° 40' 12.5'' E", east),
            ("118d40m12.5s", east),
            ("118D40M12.5SE", east),
            ("N37°27'", 37.45),
            ("37°27.5'N", 37.0 + 27.5 / 60.0),
            ("72°30'W", -72.5),
            ("W 72.5", -72.5),
            ("33.5S", -33.5),
            ("33°30'S", -33.5),
            ("-33°30'", -33.5),
            ("118.59°", 118.59),
            ("118.59 E", 118.59),
        ] {
            let read = parse_degrees(text).unwrap_or_else(|| panic!("{text} is not read"));
            assert!((read - degrees).abs() < 1e-12, "{text}: {read}");
        }
    }

    #[test]
    fn what_is_no_angle_is_none() {
        for text in [
            "",
            " ",
            "E",
            "north",
            "118°60'",
            "118°40'60\"",
            "118.5°40'",
            "118°40.5'12\"",
            "-72°W",
            "N37°27'N",
            "118°40'12.5\"X",
            "1,185",
            "NaN",
            "inf",
            "°",
            "118°'",
            "12 13 14 15",
            "E118°E",
        ] {
            assert_eq!(parse_degrees(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,24}") {
            let _ = parse_degrees(&text);
        }

        #[test]
        fn written_in_minutes_and_seconds_it_is_the_same(tenths in 0u32..=6_480_000 * 10) {
            let (degrees, rest) = (tenths / 360_000, tenths % 360_000);
            let (minutes, seconds) = (rest / 6000, f64::from(rest % 6000) / 100.0);
            let read = parse_degrees(&format!("{degrees}°{minutes}′{seconds}″W")).unwrap();
            prop_assert!((read + f64::from(tenths) / 360_000.0).abs() < 1e-9);
        }
    }
}
