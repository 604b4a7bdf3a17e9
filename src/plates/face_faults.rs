//! What makes a face impossible: told of a file with its line, and of a draft beside the field.

use std::fmt;

use super::face::{Area, Face, Field, Outline, Piece, parse_pieces};

/// One thing that does not fit. Holes and text boxes are meant by their index from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaceFault {
    Id,
    Outline,
    Safe,
    NoNotice,
    SymbolLeaves,
    BandCoversSymbol,
    HoleLeaves(usize),
    HoleCutsSymbol(usize),
    TextLeaves(usize),
    TextCoversSymbol(usize),
    HoleCutsText(usize),
    TextSizes(usize),
    TextLines(usize),
    Show(usize, ShowFault),
    /// No text shows what every plate needs.
    Lacks(Field),
}

/// What is wrong with the words of a text box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShowFault {
    Empty,
    /// A placeholder is not closed.
    Open,
    Unknown(String),
}

/// Placeholders that no face may leave out: people must be able to read and type what the symbol
/// says, and must be told what it is for.
const REQUIRED: [Field; 3] = [Field::Code, Field::Token, Field::Notice];

impl Face {
    /// Everything that does not fit, from the outline inward; without outline or square nothing else is asked.
    pub fn faults(&self) -> Vec<FaceFault> {
        let mut faults = Vec::new();
        let mut say = |fault: FaceFault, holds: bool| {
            if holds {
                faults.push(fault);
            }
        };
        say(FaceFault::Id, !id_fits(&self.id));
        if !is_possible(self.outline) {
            say(FaceFault::Outline, true);
            return faults;
        }
        let (outline, qr) = (self.outline, self.qr);
        say(FaceFault::Safe, !(0.0..=20.0).contains(&self.safe));
        say(FaceFault::NoNotice, self.notice.trim().is_empty());
        if !qr.is_finite() || !outline.holds(qr, 0.0) {
            // What lies on a square that is nowhere has no answer.
            say(FaceFault::SymbolLeaves, true);
            return faults;
        }
        say(
            FaceFault::BandCoversSymbol,
            self.band.is_some_and(|band| !band.is_finite() || band.overlaps(qr)),
        );
        for (at, hole) in self.holes.iter().enumerate() {
            let around = Area { x: hole.x - hole.d / 2.0, y: hole.y - hole.d / 2.0, w: hole.d, h: hole.d };
            say(FaceFault::HoleLeaves(at), !around.is_finite() || !outline.holds(around, 0.0));
            say(FaceFault::HoleCutsSymbol(at), hole.touches(qr));
        }
        for (at, text) in self.texts.iter().enumerate() {
            let area = text.area;
            let leaves = !area.is_finite() || !outline.holds(area, self.safe);
            say(FaceFault::TextLeaves(at), leaves);
            say(FaceFault::TextCoversSymbol(at), !leaves && area.overlaps(qr));
            say(FaceFault::HoleCutsText(at), !leaves && self.holes.iter().any(|hole| hole.touches(area)));
            let sizes = text.min_pt >= 3.0 && text.min_pt <= text.size_pt && text.size_pt <= 400.0;
            say(FaceFault::TextSizes(at), !sizes);
            say(FaceFault::TextLines(at), !(1..=4).contains(&text.lines));
            if let Err(fault) = parse_pieces(&text.show) {
                say(FaceFault::Show(at, fault), true);
            }
        }
        for required in REQUIRED {
            let shown = |pieces: &[Piece]| pieces.contains(&Piece::Field(required));
            say(FaceFault::Lacks(required), !self.texts.iter().any(|text| shown(&text.pieces)));
        }
        faults
    }
}

fn is_possible(outline: Outline) -> bool {
    let (width, height) = outline.size();
    let radius_fits = match outline {
        Outline::Rect { radius, .. } => radius >= 0.0 && radius * 2.0 <= width.min(height),
        Outline::Circle { .. } | Outline::Oval { .. } => true,
    };
    (10.0..=1000.0).contains(&width) && (10.0..=1000.0).contains(&height) && radius_fits
}

/// An id becomes part of file names and of the ledger.
pub(super) fn id_fits(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !id.is_empty() && id.len() <= 40 && id.bytes().all(fits)
}

/// As it is said of a file.
impl fmt::Display for FaceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FaceFault::Id => "an id is 1 to 40 characters of a-z, 0-9 and -",
            FaceFault::Outline => {
                "an outline measures 10 to 1000 mm and its corner radius at most half a side"
            }
            FaceFault::Safe => "safe is 0 to 20 mm",
            FaceFault::NoNotice => "the notice is empty",
            FaceFault::SymbolLeaves => "the symbol's square leaves the face",
            FaceFault::BandCoversSymbol => "the band covers the symbol's square",
            FaceFault::HoleLeaves(_) => "the hole leaves the face",
            FaceFault::HoleCutsSymbol(_) => "the hole cuts into the symbol's square",
            FaceFault::TextLeaves(_) => "the text box leaves the safe zone",
            FaceFault::TextCoversSymbol(_) => "the text box covers the symbol's square",
            FaceFault::HoleCutsText(_) => "a hole cuts into the text box",
            FaceFault::TextSizes(_) => "a text needs 3 <= min <= size <= 400 points",
            FaceFault::TextLines(_) => "a text box holds 1 to 4 lines",
            FaceFault::Show(_, ShowFault::Empty) => "show is empty",
            FaceFault::Show(_, ShowFault::Open) => "a placeholder is not closed",
            FaceFault::Show(_, ShowFault::Unknown(name)) => {
                return write!(f, "there is no placeholder {{{name}}}; there are {}", placeholders());
            }
            FaceFault::Lacks(field) => return write!(f, "no text shows {{{field}}}; every plate needs it"),
        })
    }
}

/// Every placeholder, as it is written.
pub fn placeholders() -> String {
    let all: Vec<String> = Field::ALL.iter().map(|field| format!("{{{field}}}")).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plates::Hole;

    #[test]
    fn all_that_does_not_fit_is_told_at_once() {
        let mut face = Face::built_in().remove(0);
        assert_eq!(face.faults(), []);
        face.id = "../own".to_owned();
        face.texts[0].area.x = 60.0;
        face.texts[2].area.x = 20.0;
        face.texts[4].min_pt = 2.0;
        face.texts[7].say("{tokens}");
        face.holes[1].x = 89.0;
        let told = [
            FaceFault::Id,
            FaceFault::HoleLeaves(1),
            FaceFault::TextLeaves(0),
            FaceFault::TextCoversSymbol(2),
            FaceFault::TextSizes(4),
            FaceFault::Show(7, ShowFault::Unknown("tokens".to_owned())),
            FaceFault::Lacks(Field::Token),
        ];
        assert_eq!(face.faults(), told);
    }

    #[test]
    fn a_band_that_reached_the_edge_reaches_the_new_one() {
        let wider = Outline::Rect { width: 120.0, height: 80.0, radius: 4.0 };
        let face = Face::built_in().remove(0).with_outline(wider);
        assert_eq!((face.band.unwrap().w, face.band.unwrap().h), (120.0, 13.0));
        assert_eq!(face.faults(), []);
    }

    /// Lengths as people type them and as nobody does.
    fn length() -> impl Strategy<Value = f64> {
        prop_oneof![3 => (-20i32..2200).prop_map(|tenths| f64::from(tenths) / 10.0), 1 => any::<f64>()]
    }

    fn area() -> impl Strategy<Value = Area> {
        (length(), length(), length(), length()).prop_map(|(x, y, w, h)| Area { x, y, w, h })
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_a_face_that_can_be_kept_or_has_a_fault(
            base in 0usize..7, shape in 0..4, (width, height, radius) in (length(), length(), length()),
            text in area(), band in area(), (x, y, d) in (length(), length(), length()), side in length(),
        ) {
            let mut face = Face::built_in().remove(base);
            let outline = match shape {
                0 => Outline::Rect { width, height, radius },
                1 => Outline::Circle { d: width },
                2 => Outline::Oval { width, height },
                _ => face.outline,
            };
            face = face.with_outline(outline);
            face.texts[1].area = text;
            if shape != 3 {
                face.band = Some(band);
                face.holes = vec![Hole { x, y, d }];
                face.qr = Area { x, y, w: side, h: side };
            }
            if face.faults().is_empty() {
                prop_assert_eq!(Face::from_toml(&face.to_toml()), Ok(face));
            }
        }
    }
}
