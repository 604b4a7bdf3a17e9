//! In which colors plates are drawn, by how they are made.

use super::face::Ink;
use super::palette::{Palette, Rgb};
use crate::domain::cover::CoverClass;
use crate::domain::plate::Finish;

const BLACK: Rgb = [0.0; 3];
const WHITE: Rgb = [1.0; 3];
const GRAY: Rgb = [0.35; 3];
const LINE_GRAY: Rgb = [0.55; 3];

impl Finish {
    /// Of the band.
    pub(super) fn band(self, palette: &Palette, class: CoverClass) -> Rgb {
        match self {
            Finish::Color => palette.ground(class),
            Finish::Mono => BLACK,
            Finish::Inverted => WHITE,
        }
    }

    /// Of a text; `class` is `None` for what every plate of a batch shows alike.
    pub(super) fn ink(self, ink: Ink, palette: &Palette, class: Option<CoverClass>) -> Rgb {
        match (self, ink) {
            (Finish::Color, Ink::Black) | (Finish::Mono, Ink::Black | Ink::Gray) => BLACK,
            (Finish::Color, Ink::Gray) => GRAY,
            (Finish::Color, Ink::ClassInk) => class.map_or(BLACK, |class| palette.ink(class)),
            (Finish::Mono, Ink::ClassInk) | (Finish::Inverted, Ink::Black | Ink::Gray) => WHITE,
            (Finish::Inverted, Ink::ClassInk) => BLACK,
        }
    }

    /// Of cut lines and the rims of holes.
    pub(super) fn line(self) -> Rgb {
        match self {
            Finish::Color => LINE_GRAY,
            Finish::Mono | Finish::Inverted => BLACK,
        }
    }

    /// What lies under everything; `None` = the bare plate.
    pub(super) fn ground(self) -> Option<Rgb> {
        (self == Finish::Inverted).then_some(BLACK)
    }
}
