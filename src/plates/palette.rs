//! The color of each class, read from `labels/colors.toml`.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

use super::label_file::LabelFile;
use crate::domain::Refusal;
use crate::domain::cover::CoverClass;

/// Red, green, blue, each from 0 to 1.
pub(super) type Rgb = [f64; 3];

/// Band and ink by class.
#[derive(Debug, Clone, PartialEq)]
pub struct Palette {
    by_class: BTreeMap<CoverClass, (Rgb, Rgb)>,
    other: (Rgb, Rgb),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaletteFile {
    colors: BTreeMap<CoverClass, ColorsFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColorsFile {
    ground: Spanned<String>,
    ink: Spanned<String>,
}

impl Palette {
    /// Reads a palette. It needs a color for `unidentified`, which stands in for classes not named.
    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        let file = LabelFile { kind: "palette", text };
        let read: PaletteFile = file.read()?;
        let color = |written: &Spanned<String>| {
            parse_color(written.get_ref()).ok_or_else(|| {
                file.refuse(written.span().start, format!("{:?} is no color like #0b5cad", written.get_ref()))
            })
        };
        let mut by_class = BTreeMap::new();
        for (class, colors) in &read.colors {
            let (ground, ink) = (color(&colors.ground)?, color(&colors.ink)?);
            if contrast(ground, ink) < 3.0 {
                let reason = "ground and ink are too alike; people need a contrast of at least 3 : 1";
                return Err(file.refuse(colors.ground.span().start, reason));
            }
            by_class.insert(*class, (ground, ink));
        }
        let other = by_class.get(&CoverClass::Unidentified).copied();
        let other = other.ok_or_else(|| file.refuse(0, "there is no color for unidentified"))?;
        Ok(Self { by_class, other })
    }

    pub fn built_in() -> Self {
        Self::from_toml(include_str!("../../labels/colors.toml"))
            .expect("the built-in palette is read by a test")
    }

    /// The colors of one class, as `#rrggbb`: ground and ink.
    pub fn colors(&self, class: CoverClass) -> [String; 2] {
        let written = |color: Rgb| {
            let [r, g, b] = color.map(|part| (part * 255.0).round() as u8);
            format!("#{r:02x}{g:02x}{b:02x}")
        };
        let (ground, ink) = *self.by_class.get(&class).unwrap_or(&self.other);
        [written(ground), written(ink)]
    }

    /// The palette with other colors for one class, refused where people could not read the ink.
    pub fn with(&self, class: CoverClass, [ground, ink]: [&str; 2]) -> Result<Self, Refusal> {
        let color = |written: &str, field: &'static str| {
            parse_color(written).ok_or_else(|| Refusal::new("palette.color").at(field).with("read", written))
        };
        let (ground, ink) = (color(ground, "ground")?, color(ink, "ink")?);
        if contrast(ground, ink) < 3.0 {
            return Err(Refusal::new("palette.contrast").at("ink"));
        }
        let mut palette = self.clone();
        palette.by_class.insert(class, (ground, ink));
        Ok(palette)
    }

    /// The palette as the file that [`Palette::from_toml`] reads.
    pub fn to_toml(&self) -> String {
        let mut out = String::from("[colors]\n");
        for class in self.by_class.keys() {
            let [ground, ink] = self.colors(*class);
            out.push_str(&format!("{class} = {{ ground = \"{ground}\", ink = \"{ink}\" }}\n"));
        }
        out
    }

    pub(super) fn ground(&self, class: CoverClass) -> Rgb {
        self.by_class.get(&class).unwrap_or(&self.other).0
    }

    pub(super) fn ink(&self, class: CoverClass) -> Rgb {
        self.by_class.get(&class).unwrap_or(&self.other).1
    }
}

fn parse_color(text: &str) -> Option<Rgb> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    Some([16, 8, 0].map(|shift| f64::from(value >> shift & 255) / 255.0))
}

/// Contrast ratio as WCAG 2 counts it.
fn contrast(one: Rgb, other: Rgb) -> f64 {
    let luminance = |color: Rgb| {
        let [r, g, b] =
            color.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_palette_names_every_class_in_colors_people_can_read() {
        let palette = Palette::built_in();
        for class in CoverClass::ALL {
            assert!(palette.by_class.contains_key(class), "{class}");
            assert!(contrast(palette.ground(*class), palette.ink(*class)) >= 4.5, "{class}");
        }
    }

    #[test]
    fn a_color_that_is_none_is_refused_with_its_line() {
        let text = include_str!("../../labels/colors.toml").replace("#0b5cad", "blue");
        assert!(Palette::from_toml(&text).unwrap_err().to_string().contains("line=4 "));
    }
}
