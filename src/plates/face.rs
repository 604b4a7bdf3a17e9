//! 牌面: what one plate looks like, read from a file in `labels/faces`. All lengths are millimetres
//! from the upper left corner of the face, y downwards; text sizes are points.

use serde::Deserialize;
use toml::Spanned;

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
    fn holds(self, area: Area, safe: f64) -> bool {
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
    fn touches(self, area: Area) -> bool {
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
    fn overlaps(self, other: Area) -> bool {
        self.x + self.w > other.x + SLACK
            && other.x + other.w > self.x + SLACK
            && self.y + self.h > other.y + SLACK
            && other.y + other.h > self.y + SLACK
    }

    fn is_finite(self) -> bool {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    #[default]
    Regular,
    Bold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    #[default]
    Left,
    Center,
    Right,
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

fn one() -> u32 {
    1
}

/// Placeholders that no face may leave out: people must be able to read and type what the symbol
/// says, and must be told what it is for.
const REQUIRED: [Field; 3] = [Field::Code, Field::Token, Field::Notice];

impl Face {
    /// Reads a face. A refusal names the line and the reason.
    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        let file = LabelFile { kind: "face", text };
        let read: FaceFile = file.read()?;
        let start = |span: std::ops::Range<usize>| span.start;
        check_id(&file, &read.id)?;

        let outline = *read.outline.get_ref();
        let (width, height) = outline.size();
        let radius_fits = match outline {
            Outline::Rect { radius, .. } => radius >= 0.0 && radius * 2.0 <= width.min(height),
            Outline::Circle { .. } | Outline::Oval { .. } => true,
        };
        if !(10.0..=1000.0).contains(&width) || !(10.0..=1000.0).contains(&height) || !radius_fits {
            return Err(file.refuse(
                start(read.outline.span()),
                "an outline measures 10 to 1000 mm and its corner radius at most half a side",
            ));
        }
        let safe = *read.safe.get_ref();
        if !(0.0..=20.0).contains(&safe) {
            return Err(file.refuse(start(read.safe.span()), "safe is 0 to 20 mm"));
        }
        if read.notice.get_ref().trim().is_empty() {
            return Err(file.refuse(start(read.notice.span()), "the notice is empty"));
        }

        let QrFile { x, y, size } = *read.qr.get_ref();
        let qr = Area { x, y, w: size, h: size };
        if !qr.is_finite() || !outline.holds(qr, 0.0) {
            return Err(file.refuse(start(read.qr.span()), "the symbol's square leaves the face"));
        }
        let band = read.band.as_ref().map(|band| *band.get_ref());
        if let Some(spanned) = &read.band {
            let area = *spanned.get_ref();
            if !area.is_finite() || area.overlaps(qr) {
                return Err(file.refuse(start(spanned.span()), "the band covers the symbol's square"));
            }
        }

        for spanned in &read.holes {
            let hole = *spanned.get_ref();
            let around = Area { x: hole.x - hole.d / 2.0, y: hole.y - hole.d / 2.0, w: hole.d, h: hole.d };
            if !around.is_finite() || !outline.holds(around, 0.0) {
                return Err(file.refuse(start(spanned.span()), "the hole leaves the face"));
            }
            if hole.touches(qr) {
                return Err(file.refuse(start(spanned.span()), "the hole cuts into the symbol's square"));
            }
        }

        let holes: Vec<Hole> = read.holes.iter().map(|hole| *hole.get_ref()).collect();
        let mut texts = Vec::with_capacity(read.text.len());
        for spanned in read.text {
            let at = spanned.span().start;
            let text = spanned.into_inner();
            let show_at = text.show.span().start;
            let area = Area { x: text.x, y: text.y, w: text.w, h: text.h };
            let refuse = |reason: &str| Err(file.refuse(at, reason));
            if !area.is_finite() || !outline.holds(area, safe) {
                return refuse("the text box leaves the safe zone");
            }
            if area.overlaps(qr) {
                return refuse("the text box covers the symbol's square");
            }
            if holes.iter().any(|hole| hole.touches(area)) {
                return refuse("a hole cuts into the text box");
            }
            if !(text.min >= 3.0 && text.min <= text.size && text.size <= 400.0) {
                return refuse("a text needs 3 <= min <= size <= 400 points");
            }
            if !(1..=4).contains(&text.lines) {
                return refuse("a text box holds 1 to 4 lines");
            }
            let pieces = parse_pieces(text.show.get_ref()).map_err(|reason| file.refuse(show_at, reason))?;
            texts.push(TextBox {
                area,
                size_pt: text.size,
                min_pt: text.min,
                lines: text.lines,
                weight: text.weight,
                align: text.align,
                ink: text.ink,
                show: text.show.into_inner(),
                pieces,
                blank: text.blank,
            });
        }
        for required in REQUIRED {
            if !texts.iter().any(|text| text.pieces.contains(&Piece::Field(required))) {
                return Err(file.refuse(0, format!("no text shows {{{required}}}; every plate needs it")));
            }
        }

        Ok(Self {
            id: read.id.into_inner(),
            name_zh: read.name_zh,
            name_en: read.name_en,
            outline,
            safe,
            holes,
            qr,
            band,
            texts,
            notice: read.notice.into_inner(),
            notice_en: read.notice_en,
        })
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

/// An id becomes part of file names and of the ledger.
pub(super) fn check_id(file: &LabelFile<'_>, id: &Spanned<String>) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if id.get_ref().is_empty() || id.get_ref().len() > 40 || !id.get_ref().bytes().all(fits) {
        return Err(file.refuse(id.span().start, "an id is 1 to 40 characters of a-z, 0-9 and -"));
    }
    Ok(())
}

fn parse_pieces(show: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = show;
    while let Some(open) = rest.find('{') {
        let (words, after) = rest.split_at(open);
        let Some(close) = after.find('}') else {
            return Err("a placeholder is not closed".to_owned());
        };
        if !words.is_empty() {
            pieces.push(Piece::Words(words.to_owned()));
        }
        let name = &after[1..close];
        let field = name.parse().map_err(|_| {
            let fits: Vec<String> = Field::ALL.iter().map(|field| format!("{{{field}}}")).collect();
            format!("there is no placeholder {{{name}}}; there are {}", fits.join(", "))
        })?;
        pieces.push(Piece::Field(field));
        rest = &after[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Words(rest.to_owned()));
    }
    if pieces.is_empty() { Err("show is empty".to_owned()) } else { Ok(pieces) }
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
