//! 牌面: what one plate looks like, read from a file in `labels/faces`. All lengths are millimetres
//! from the upper left corner of the face, y downwards; text sizes are points.

use serde::Deserialize;
use toml::Spanned;

use super::face_faults::{FaceFault, ShowFault, id_fits};
use super::label_file::LabelFile;
use crate::domain::Refusal;
use crate::domain::names::named_enum;

/// One face, checked: everything lies inside the safe zone and nothing covers the symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    pub id: String,
    pub name_zh: String,
    pub name_en: String,
    pub outline: Outline,
    /// How far from the edge every text stays.
    pub safe: f64,
    pub holes: Vec<Hole>,
    /// Square that holds the symbol and its quiet zone.
    pub qr: Area,
    /// Painted in the color of the class.
    pub band: Option<Area>,
    pub texts: Vec<TextBox>,
    pub notice: String,
    pub notice_en: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", tag = "shape", deny_unknown_fields)]
pub enum Outline {
    Rect { width: f64, height: f64, radius: f64 },
    Circle { d: f64 },
    Oval { width: f64, height: f64 },
}

impl Outline {
    /// Width and height of the rectangle around the face.
    pub fn size(self) -> (f64, f64) {
        match self {
            Outline::Rect { width, height, .. } | Outline::Oval { width, height } => (width, height),
            Outline::Circle { d } => (d, d),
        }
    }

    /// Whether `area` lies inside and at least `safe` away from the edge.
    pub(super) fn holds(self, area: Area, safe: f64) -> bool {
        let (width, height) = self.size();
        let (right, bottom) = (area.x + area.w, area.y + area.h);
        let in_box = area.x >= safe - SLACK
            && area.y >= safe - SLACK
            && right <= width - safe + SLACK
            && bottom <= height - safe + SLACK;
        let corners = [(area.x, area.y), (right, area.y), (area.x, bottom), (right, bottom)];
        let inside = |(x, y): (f64, f64)| match self {
            Outline::Circle { d } => near((x, y), (d / 2.0, d / 2.0), d / 2.0 - safe),
            Outline::Rect { radius, .. } => {
                let center = (x.clamp(radius, width - radius), y.clamp(radius, height - radius));
                near((x, y), center, radius - safe)
            }
            Outline::Oval { width, height } => {
                let (a, b) = (width / 2.0, height / 2.0);
                let (x, y) = (x - a, y - b);
                (x / a).hypot(y / b) <= 1.0 + SLACK / b && away_from_oval((x, y), (a, b)) >= safe - SLACK
            }
        };
        in_box && corners.into_iter().all(inside)
    }
}

fn near((x, y): (f64, f64), center: (f64, f64), radius: f64) -> bool {
    (x - center.0).hypot(y - center.1) <= radius.max(0.0) + SLACK
}

/// How far a point is from an ellipse around the origin, to a hundredth of a millimetre for those of a
/// plate: the curve at a distance from an ellipse has no simple formula, so the edge is walked.
fn away_from_oval((x, y): (f64, f64), (a, b): (f64, f64)) -> f64 {
    const STEPS: u32 = 1440;
    let edge = (0..STEPS).map(|step| {
        let (sin, cos) = (f64::from(step) / f64::from(STEPS) * std::f64::consts::TAU).sin_cos();
        (a * cos - x).hypot(b * sin - y)
    });
    edge.fold(f64::INFINITY, f64::min)
}

/// Rounding that a file in tenths of a millimetre is forgiven.
pub(super) const SLACK: f64 = 0.01;

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hole {
    pub x: f64,
    pub y: f64,
    pub d: f64,
}

impl Hole {
    pub(super) fn touches(self, area: Area) -> bool {
        let nearest_x = self.x.clamp(area.x, area.x + area.w);
        let nearest_y = self.y.clamp(area.y, area.y + area.h);
        (self.x - nearest_x).hypot(self.y - nearest_y) < self.d / 2.0 - SLACK
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

impl Area {
    pub(super) fn overlaps(self, other: Area) -> bool {
        self.x + self.w > other.x + SLACK
            && other.x + other.w > self.x + SLACK
            && self.y + self.h > other.y + SLACK
            && other.y + other.h > self.y + SLACK
    }

    pub(super) fn is_finite(self) -> bool {
        [self.x, self.y, self.w, self.h].into_iter().all(f64::is_finite) && self.w > 0.0 && self.h > 0.0
    }
}

named_enum! {
    /// What a text box may show.
    Field as "placeholder" {
        Class = "class",
        Code = "code",
        Owner = "owner",
        Hotline = "hotline",
        Road = "road",
        Token = "token",
        Site = "site",
        Notice = "notice",
        NoticeEn = "notice_en",
    }
}

/// A piece of a text: as written, or filled in for each plate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Words(String),
    Field(Field),
}

named_enum! {
    #[derive(Default)]
    Weight as "weight" {
        #[default]
        Regular = "regular",
        Bold = "bold",
    }
}

named_enum! {
    #[derive(Default)]
    Align as "align" {
        #[default]
        Left = "left",
        Center = "center",
        Right = "right",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ink {
    #[default]
    Black,
    Gray,
    /// The ink that goes with the color of the class.
    ClassInk,
}

/// A line or a few of text; shrinks to `min_pt` and is then refused.
#[derive(Debug, Clone, PartialEq)]
pub struct TextBox {
    pub area: Area,
    pub size_pt: f64,
    pub min_pt: f64,
    pub lines: u32,
    pub weight: Weight,
    pub align: Align,
    pub ink: Ink,
    /// As written in the file, to name the box in a refusal.
    pub show: String,
    pub(super) pieces: Vec<Piece>,
    /// Shown where a placeholder has nothing to say; `None` leaves the box empty.
    pub blank: Option<String>,
}

impl TextBox {
    /// A line of plain text that shows nothing yet.
    pub fn at(area: Area) -> Self {
        Self {
            area,
            size_pt: 8.0,
            min_pt: 6.0,
            lines: 1,
            weight: Weight::Regular,
            align: Align::Left,
            ink: Ink::Black,
            show: String::new(),
            pieces: Vec::new(),
            blank: None,
        }
    }

    /// Takes other words; ones that do not fit are a fault of the face.
    pub fn say(&mut self, show: &str) {
        show.clone_into(&mut self.show);
        self.pieces = parse_pieces(show).unwrap_or_default();
    }

    /// Whether every plate shows the same here, in the same ink.
    pub(super) fn is_fixed(&self) -> bool {
        let same =
            |piece: &Piece| matches!(piece, Piece::Words(_) | Piece::Field(Field::Notice | Field::NoticeEn));
        self.ink != Ink::ClassInk && self.pieces.iter().all(same)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaceFile {
    id: Spanned<String>,
    name_zh: String,
    name_en: String,
    outline: Spanned<Outline>,
    safe: Spanned<f64>,
    notice: Spanned<String>,
    #[serde(default)]
    notice_en: String,
    #[serde(default)]
    holes: Vec<Spanned<Hole>>,
    qr: Spanned<QrFile>,
    band: Option<Spanned<Area>>,
    text: Vec<Spanned<TextFile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QrFile {
    x: f64,
    y: f64,
    size: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextFile {
    show: Spanned<String>,
    blank: Option<String>,
    x: f64,
    y: f64,
    w: f64,
    h: f64,
    size: f64,
    min: f64,
    #[serde(default = "one")]
    lines: u32,
    #[serde(default)]
    weight: Weight,
    #[serde(default)]
    align: Align,
    #[serde(default)]
    ink: Ink,
}

impl TextFile {
    fn text_box(self) -> TextBox {
        let show = self.show.into_inner();
        TextBox {
            area: Area { x: self.x, y: self.y, w: self.w, h: self.h },
            size_pt: self.size,
            min_pt: self.min,
            lines: self.lines,
            weight: self.weight,
            align: self.align,
            ink: self.ink,
            pieces: parse_pieces(&show).unwrap_or_default(),
            show,
            blank: self.blank,
        }
    }
}

fn one() -> u32 {
    1
}

impl Face {
    /// Reads a face. A refusal names the line and the reason.
    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        let file = LabelFile { kind: "face", text };
        let FaceFile { id, name_zh, name_en, outline, safe, notice, notice_en, holes, qr, band, text } =
            file.read()?;
        let shows: Vec<usize> = text.iter().map(|text| text.get_ref().show.span().start).collect();
        let texts: Vec<usize> = text.iter().map(|text| text.span().start).collect();
        let QrFile { x, y, size } = *qr.get_ref();
        let face = Self {
            id: id.get_ref().clone(),
            name_zh,
            name_en,
            outline: *outline.get_ref(),
            safe: *safe.get_ref(),
            holes: holes.iter().map(|hole| *hole.get_ref()).collect(),
            qr: Area { x, y, w: size, h: size },
            band: band.as_ref().map(|band| *band.get_ref()),
            texts: text.into_iter().map(|text| text.into_inner().text_box()).collect(),
            notice: notice.get_ref().clone(),
            notice_en,
        };
        let Some(fault) = face.faults().into_iter().next() else { return Ok(face) };
        let at = match &fault {
            FaceFault::Id => id.span().start,
            FaceFault::Outline => outline.span().start,
            FaceFault::Safe => safe.span().start,
            FaceFault::NoNotice => notice.span().start,
            FaceFault::SymbolLeaves => qr.span().start,
            FaceFault::BandCoversSymbol => band.map_or(0, |band| band.span().start),
            FaceFault::HoleLeaves(at) | FaceFault::HoleCutsSymbol(at) => holes[*at].span().start,
            FaceFault::TextLeaves(at)
            | FaceFault::TextCoversSymbol(at)
            | FaceFault::HoleCutsText(at)
            | FaceFault::TextSizes(at)
            | FaceFault::TextLines(at) => texts[*at],
            FaceFault::Show(at, _) => shows[*at],
            FaceFault::Lacks(_) => 0,
        };
        Err(file.refuse(at, fault))
    }

    /// The face with another outline; a band that reached from edge to edge still does.
    #[must_use]
    pub fn with_outline(mut self, outline: Outline) -> Self {
        let (old, new) = (self.outline.size(), outline.size());
        if let Some(band) = &mut self.band {
            if band.x + band.w >= old.0 - SLACK {
                band.w = new.0 - band.x;
            }
            if band.y + band.h >= old.1 - SLACK {
                band.h = new.1 - band.y;
            }
        }
        self.outline = outline;
        self
    }

    /// The faces that come with the program.
    pub fn built_in() -> Vec<Face> {
        [
            include_str!("../../labels/faces/rect-90x60.toml"),
            include_str!("../../labels/faces/rect-60x40.toml"),
            include_str!("../../labels/faces/rect-120x80.toml"),
            include_str!("../../labels/faces/round-100.toml"),
            include_str!("../../labels/faces/round-80.toml"),
            include_str!("../../labels/faces/oval-120x80.toml"),
            include_str!("../../labels/faces/strip-150x40.toml"),
        ]
        .into_iter()
        .map(|text| Face::from_toml(text).expect("built-in faces are read by a test"))
        .collect()
    }
}

pub(super) fn check_id(file: &LabelFile<'_>, id: &Spanned<String>) -> Result<(), Refusal> {
    if id_fits(id.get_ref()) { Ok(()) } else { Err(file.refuse(id.span().start, FaceFault::Id)) }
}

pub(super) fn parse_pieces(show: &str) -> Result<Vec<Piece>, ShowFault> {
    let mut pieces = Vec::new();
    let mut rest = show;
    while let Some(open) = rest.find('{') {
        let (words, after) = rest.split_at(open);
        let Some(close) = after.find('}') else { return Err(ShowFault::Open) };
        if !words.is_empty() {
            pieces.push(Piece::Words(words.to_owned()));
        }
        let name = &after[1..close];
        pieces.push(Piece::Field(name.parse().map_err(|_| ShowFault::Unknown(name.to_owned()))?));
        rest = &after[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Words(rest.to_owned()));
    }
    if pieces.is_empty() { Err(ShowFault::Empty) } else { Ok(pieces) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECT: &str = include_str!("../../labels/faces/rect-90x60.toml");

    #[test]
    fn the_built_in_faces_are_read_and_carry_the_notice() {
        let faces = Face::built_in();
        let ids: Vec<&str> = faces.iter().map(|face| face.id.as_str()).collect();
        let known = [
            "rect-90x60",
            "rect-60x40",
            "rect-120x80",
            "round-100",
            "round-80",
            "oval-120x80",
            "strip-150x40",
        ];
        assert_eq!(ids, known);
        assert!(faces.iter().all(|face| face.notice == "只用于查看和上报, 不收费"));
    }

    #[test]
    fn a_bad_face_is_refused_with_line_and_reason() {
        let line_of = |text: &str, needle: &str| {
            (1 + text[..text.find(needle).unwrap()].bytes().filter(|byte| *byte == b'\n').count()).to_string()
        };
        for (from, to, reason) in [
            ("{road}", "{street}", "there is no placeholder {street}"),
            ("{road}", "{road", "a placeholder is not closed"),
            ("size = 36.5", "size = 66.5", "the symbol's square leaves the face"),
            ("size = 36.5", "size = \"big\"", "invalid type"),
            ("{ x = 6, y = 54, d = 3.5 }", "{ x = 6, y = 48, d = 3.5 }", "the hole cuts into"),
        ] {
            assert!(RECT.contains(from), "{from}");
            let bad = RECT.replace(from, to);
            let refusal = Face::from_toml(&bad).unwrap_err();
            assert_eq!(refusal.code, "plates.file");
            let param = |name| refusal.params.iter().find(|(known, _)| *known == name).unwrap().1.clone();
            assert!(param("reason").contains(reason), "{} should say {reason}", param("reason"));
            let wanted = line_of(&bad, to).parse::<usize>().unwrap();
            let line: usize = param("line").parse().unwrap();
            // A table is refused at its head, a value where it stands.
            assert!(line.abs_diff(wanted) <= 3, "{reason}: line {line}, not {wanted}");
        }
    }

    #[test]
    fn a_face_without_the_notice_is_refused() {
        let bad = RECT.replace("show = \"{notice}\"", "show = \"{owner}\"");
        assert!(Face::from_toml(&bad).unwrap_err().to_string().contains("no text shows {notice}"));
        let empty = RECT.replace("notice = \"只用于查看和上报, 不收费\"", "notice = \" \"");
        assert!(Face::from_toml(&empty).unwrap_err().to_string().contains("the notice is empty"));
    }

    #[test]
    fn the_distance_to_an_oval_is_that_to_its_nearest_edge() {
        // Of a circle it is known, and of an ellipse on its shorter axis, where the edge is flattest.
        assert!((away_from_oval((3.0, 4.0), (10.0, 10.0)) - 5.0).abs() < 0.01);
        assert!((away_from_oval((0.0, 37.5), (60.0, 40.0)) - 2.5).abs() < 0.01);
        // An ellipse with axes shorter by 2.5 mm comes nearer to the edge than that between the axes.
        let (sin, cos) = std::f64::consts::FRAC_PI_4.sin_cos();
        assert!(away_from_oval((57.5 * cos, 37.5 * sin), (60.0, 40.0)) < 2.49);
    }

    #[test]
    fn text_outside_the_safe_zone_is_refused() {
        let bad = RECT.replace("x = 41.5\ny = 15\nw = 46", "x = 41.5\ny = 15\nw = 47.5");
        assert!(Face::from_toml(&bad).unwrap_err().to_string().contains("safe zone"));
        let round = include_str!("../../labels/faces/round-100.toml");
        let bad = round.replace("x = 33.5\ny = 91\nw = 33", "x = 20\ny = 91\nw = 60");
        assert!(Face::from_toml(&bad).unwrap_err().to_string().contains("safe zone"));
        let oval = include_str!("../../labels/faces/oval-120x80.toml");
        assert!(oval.contains("x = 38\ny = 7\nw = 44"));
        let bad = oval.replace("x = 38\ny = 7\nw = 44", "x = 32\ny = 7\nw = 56");
        assert!(Face::from_toml(&bad).unwrap_err().to_string().contains("safe zone"));
    }
}
