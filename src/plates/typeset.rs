//! From a text box and a plate's facts to lines of a size that fits.

use std::borrow::Cow;

use super::PlateSpec;
use super::face::{Align, Area, Face, Field, Ink, Piece, TextBox, Weight};
use super::fonts::Font;

pub(super) const MM_PER_PT: f64 = 25.4 / 72.0;
/// From one baseline to the next, in sizes.
const LEADING: f64 = 1.2;
/// From the middle of a line to its baseline, in sizes; digits and ideographs look centered so.
const DROP: f64 = 0.37;

/// A line of text at its place on the face, millimetres, y downwards.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) weight: Weight,
    pub(super) ink: Ink,
    pub(super) size: f64,
    pub(super) x: f64,
    pub(super) baseline: f64,
    pub(super) text: String,
}

/// Why a text cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    NoGlyph(char),
    TooLong,
}

/// Fills in the placeholders. `None` = nothing to show.
pub(super) fn expand(text: &TextBox, face: &Face, spec: Option<&PlateSpec>) -> Option<String> {
    let mut out = String::new();
    for piece in &text.pieces {
        match piece {
            Piece::Words(words) => out.push_str(words),
            Piece::Field(field) => {
                let value = value_of(*field, face, spec);
                if value.is_empty() {
                    return text.blank.clone();
                }
                out.push_str(&value);
            }
        }
    }
    Some(out)
}

fn value_of<'a>(field: Field, face: &'a Face, spec: Option<&'a PlateSpec>) -> Cow<'a, str> {
    match (field, spec) {
        (Field::Notice, _) => Cow::Borrowed(&face.notice),
        (Field::NoticeEn, _) => Cow::Borrowed(&face.notice_en),
        (_, None) => Cow::Borrowed(""),
        (Field::Class, Some(spec)) => Cow::Borrowed(&spec.class_label),
        (Field::Code, Some(spec)) => Cow::Borrowed(spec.code_groups.as_deref().unwrap_or("")),
        (Field::Owner, Some(spec)) => Cow::Borrowed(&spec.owner),
        (Field::Hotline, Some(spec)) => Cow::Borrowed(&spec.hotline),
        (Field::Road, Some(spec)) => Cow::Borrowed(&spec.road),
        (Field::Token, Some(spec)) => Cow::Owned(spec.token.grouped()),
        (Field::Site, Some(spec)) => Cow::Owned(site_of(&spec.payload)),
    }
}

/// What is typed before the token, e.g. `lid.example.cn/c/`.
fn site_of(payload: &str) -> String {
    let address = payload.split_once("://").map_or(payload, |(_, address)| address);
    address.rfind('/').map_or("", |slash| &address[..=slash]).to_ascii_lowercase()
}

/// Sets `text` into its box: as large as stated where it fits, smaller down to the minimum, broken
/// into as many lines as the box allows when that lets it be larger.
pub(super) fn set(text_box: &TextBox, text: &str, font: &Font) -> Result<Vec<Line>, Unfit> {
    let area = text_box.area;
    let stated = text_box.size_pt * MM_PER_PT;
    let whole = width(text, font)?;
    let mut best = (stated.min(area.h).min(area.w / whole.max(1e-6)), vec![text]);
    for lines in 2..=text_box.lines {
        if best.0 >= stated {
            break;
        }
        let mut size = stated.min(area.h / (f64::from(lines) * LEADING));
        while size > best.0 {
            if let Some(broken) = break_lines(text, area.w / size, lines as usize, font)? {
                best = (size, broken);
                break;
            }
            size -= 0.02;
        }
    }
    let (size, mut lines) = best;
    // Lines of like length: one ideograph alone on the last line looks like a mistake.
    let mut room = area.w / size;
    while lines.len() > 1 {
        room *= 0.92;
        match break_lines(text, room, lines.len(), font)? {
            Some(narrower) => lines = narrower,
            None => break,
        }
    }
    if size + 1e-6 < text_box.min_pt * MM_PER_PT {
        return Err(Unfit::TooLong);
    }
    let middle = area.y + area.h / 2.0;
    let count = lines.len() as f64;
    lines
        .into_iter()
        .enumerate()
        .map(|(at, line)| {
            let offset = (at as f64 - (count - 1.0) / 2.0) * size * LEADING;
            Ok(Line {
                weight: text_box.weight,
                ink: text_box.ink,
                size,
                x: start(area, text_box.align, width(line, font)? * size),
                baseline: middle + offset + DROP * size,
                text: line.to_owned(),
            })
        })
        .collect()
}

fn start(area: Area, align: Align, width: f64) -> f64 {
    match align {
        Align::Left => area.x,
        Align::Center => area.x + (area.w - width) / 2.0,
        Align::Right => area.x + area.w - width,
    }
}

/// Width in sizes.
pub(super) fn width(text: &str, font: &Font) -> Result<f64, Unfit> {
    let mut sum = 0;
    for character in text.chars() {
        sum += u32::from(font.glyph(character).ok_or(Unfit::NoGlyph(character))?.advance);
    }
    Ok(f64::from(sum) / 1000.0)
}

/// Breaks at spaces and between ideographs into at most `limit` lines of `room` sizes.
fn break_lines<'t>(
    text: &'t str,
    room: f64,
    limit: usize,
    font: &Font,
) -> Result<Option<Vec<&'t str>>, Unfit> {
    let mut lines = Vec::new();
    let (mut start, mut last_break, mut used) = (0, None, 0.0);
    let mut before = ' ';
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        if at > start && (before == ' ' || is_wide(before) || is_wide(character)) && !is_closing(character) {
            last_break = Some(at);
        }
        used += width(character.encode_utf8(&mut [0; 4]), font)?;
        if used > room + 1e-6 && character != ' ' {
            let Some(split) = last_break else { return Ok(None) };
            lines.push(text[start..split].trim_end());
            (start, at, used, last_break) = (split, split, 0.0, None);
            if lines.len() == limit {
                return Ok(None);
            }
            before = ' ';
            continue;
        }
        before = character;
        at += character.len_utf8();
    }
    lines.push(&text[start..]);
    Ok(Some(lines))
}

fn is_wide(character: char) -> bool {
    character >= '\u{2e80}'
}

/// Never begins a line.
fn is_closing(character: char) -> bool {
    matches!(character, '，' | '。' | '、' | '）' | '》' | '；' | '：' | '！' | '？' | '”' | ')' | ',' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn owner_box() -> TextBox {
        let face = Face::built_in().remove(0);
        face.texts.into_iter().find(|text| text.show.contains("{owner}")).unwrap()
    }

    #[test]
    fn a_long_owner_is_broken_into_two_lines_and_then_refused() {
        let name = "东营市东营区综合行政执法局市政公用事业服务中心排水管网管理一所(城北片区)";
        let font = Font::cut(Weight::Regular, &name.chars().collect::<BTreeSet<char>>()).unwrap();
        let lines = set(&owner_box(), name, &font).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<String>(), name);
        let lengths: Vec<usize> = lines.iter().map(|line| line.text.chars().count()).collect();
        assert!(lengths[0].abs_diff(lengths[1]) <= 6, "{lengths:?}");
        for line in &lines {
            assert!(width(&line.text, &font).unwrap() * line.size <= owner_box().area.w + 1e-6);
        }
        assert_eq!(set(&owner_box(), &name.repeat(3), &font), Err(Unfit::TooLong));
    }

    #[test]
    fn a_short_text_keeps_its_size() {
        let font = Font::cut(Weight::Regular, &"城管局".chars().collect::<BTreeSet<char>>()).unwrap();
        let lines = set(&owner_box(), "城管局", &font).unwrap();
        assert_eq!((lines.len(), lines[0].size), (1, owner_box().size_pt * MM_PER_PT));
        assert_eq!(set(&owner_box(), "城\n管", &font), Err(Unfit::NoGlyph('\n')));
    }

    #[test]
    fn the_site_is_what_people_type_before_the_token() {
        assert_eq!(site_of("HTTPS://LID.EXAMPLE.CN/C/000000000000"), "lid.example.cn/c/");
        assert_eq!(site_of("odd"), "");
    }
}
