//! A face as the designer's form describes it: one that is there with what was changed, and everything about
//! it that does not fit, each thing at its field.

use std::collections::BTreeMap;

use super::forms::shortened;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::cover::CoverClass;
use crate::domain::plate::Finish;
use crate::domain::token::{Token, plate_payload};
use crate::plates::{
    Area, Face, FaceFault, Hole, Layout, Level, Outline, Palette, PlateChecks, PlateSpec, Sheet, ShowFault,
    TextBox, check_face, placeholders,
};
use crate::press;

pub(super) type Texts = BTreeMap<String, String>;

const FIELDS: [&str; 23] = [
    "face",
    "sheet",
    "level",
    "finish",
    "class",
    "id",
    "name_zh",
    "name_en",
    "notice",
    "notice_en",
    "shape",
    "width",
    "height",
    "radius",
    "qr_x",
    "qr_y",
    "qr_size",
    "holes",
    "ground",
    "ink",
    "road",
    "owner",
    "colors",
];
/// How the words of the text boxes begin; their numbers follow.
const SHOW: &str = "show";
/// Fields of a text box beside its words: `text0_x`.
const TEXT: &str = "text";
const TEXT_FIELDS: [&str; 9] = ["x", "y", "w", "h", "size", "min", "align", "weight", "drop"];
/// Most text boxes that the form makes.
const MOST_TEXTS: usize = 24;
/// Size of a text box that is new, in millimetres.
const NEW_TEXT: (f64, f64) = (30.0, 4.0);
/// Where plates lead before the city has said it.
const EXAMPLE_HOST: &str = "lid.example.cn";
/// Longest text of a field.
const LONGEST: usize = 1000;

/// What the form says, understood.
pub(super) struct Draft {
    pub face: Face,
    pub sheet: Sheet,
    pub palette: Palette,
    pub class: CoverClass,
    pub level: Option<Level>,
    pub finish: Finish,
    /// Of each text box its number on the form.
    slots: Vec<usize>,
}

/// What is shown of a draft.
pub(super) struct Look {
    pub checks: PlateChecks,
    pub layout: Layout,
}

/// Refuses fields that the form does not have.
pub(super) fn known(texts: &Texts) -> Result<(), Problem> {
    let of_text_box = |name: &str| {
        let number = |text: &str| text.parse::<u8>().is_ok();
        name.strip_prefix(SHOW).is_some_and(number)
            || name
                .strip_prefix(TEXT)
                .and_then(|rest| rest.split_once('_'))
                .is_some_and(|(at, part)| number(at) && TEXT_FIELDS.contains(&part))
    };
    for (name, value) in texts {
        if !of_text_box(name) && !FIELDS.contains(&name.as_str()) {
            let refusal = Refusal::new("http.query").with("reason", shortened(name));
            return Err(Problem::bad_request(refusal));
        }
        if value.chars().count() > LONGEST {
            return Err(Refusal::new("designer.long").at("show").with("most", LONGEST).into());
        }
    }
    Ok(())
}

pub(super) fn field<'t>(texts: &'t Texts, name: &str) -> Option<&'t str> {
    texts.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// The first of several reasons, where only one can be told.
pub(super) fn first(faults: Vec<Refusal>) -> Refusal {
    faults.into_iter().next().expect("what is refused has a reason")
}

/// The form while it is read: a field that does not fit is noted and passed over.
struct Reading<'t> {
    texts: &'t Texts,
    faults: Vec<Refusal>,
}

impl Reading<'_> {
    fn read<T>(&mut self, name: &str, usual: T, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> T {
        match field(self.texts, name).map(parse) {
            None => usual,
            Some(Ok(read)) => read,
            Some(Err(refusal)) => {
                self.faults.push(refusal.at(name.to_owned()));
                usual
            }
        }
    }

    fn number(&mut self, name: &str, usual: f64) -> f64 {
        self.read(name, usual, |text| {
            let refusal = || Refusal::new("designer.number").with("read", shortened(text));
            text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(refusal)
        })
    }

    fn outline(&mut self, base: Outline) -> Outline {
        let (width, height) = base.size();
        let (shape, radius) = match base {
            Outline::Rect { radius, .. } => ("rect", radius),
            Outline::Circle { .. } => ("circle", 0.0),
            Outline::Oval { .. } => ("oval", 0.0),
        };
        let shape = self.read("shape", shape, |text| match text {
            "rect" => Ok("rect"),
            "circle" => Ok("circle"),
            "oval" => Ok("oval"),
            _ => Err(Refusal::new("designer.shape").with("read", shortened(text))),
        });
        let width = self.number("width", width);
        match shape {
            "circle" => Outline::Circle { d: width },
            "oval" => Outline::Oval { width, height: self.number("height", height) },
            _ => Outline::Rect {
                width,
                height: self.number("height", height),
                radius: self.number("radius", radius),
            },
        }
    }

    /// The text boxes that stay or are new, with their numbers on the form.
    fn text_boxes(&mut self, face: &Face) -> (Vec<TextBox>, Vec<usize>) {
        let (width, height) = face.outline.size();
        let (w, h) = NEW_TEXT;
        let fresh = Area { x: (width - w) / 2.0, y: (height - h) / 2.0, w, h };
        let mut kept = (Vec::new(), Vec::new());
        for slot in 0..face.texts.len().max(MOST_TEXTS) {
            let name = |part: &str| format!("{TEXT}{slot}_{part}");
            let show = field(self.texts, &format!("{SHOW}{slot}"));
            let known = face.texts.get(slot).cloned();
            let Some(mut text) = known.or_else(|| show.map(|_| TextBox::at(fresh))) else { continue };
            if field(self.texts, &name("drop")).is_some() {
                continue;
            }
            if let Some(show) = show {
                text.say(show);
            }
            text.area = Area {
                x: self.number(&name("x"), text.area.x),
                y: self.number(&name("y"), text.area.y),
                w: self.number(&name("w"), text.area.w),
                h: self.number(&name("h"), text.area.h),
            };
            text.size_pt = self.number(&name("size"), text.size_pt);
            text.min_pt = self.number(&name("min"), text.min_pt);
            text.align = self.read(&name("align"), text.align, str::parse);
            text.weight = self.read(&name("weight"), text.weight, str::parse);
            kept.0.push(text);
            kept.1.push(slot);
        }
        kept
    }
}

/// A hole a line: from the left, from above, diameter.
fn holes(text: &str) -> Result<Vec<Hole>, Refusal> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let numbers: Vec<f64> =
                line.split([' ', ',', '，', '\t']).filter_map(|number| number.parse().ok()).collect();
            match numbers[..] {
                [x, y, d] => Ok(Hole { x, y, d }),
                _ => Err(Refusal::new("designer.hole").at("holes").with("read", shortened(line))),
            }
        })
        .collect()
}

impl Draft {
    /// The base face with what the form changes. All that does not fit is told at once, never nothing.
    pub(super) fn read(state: &AppState, texts: &Texts) -> Result<Self, Vec<Refusal>> {
        let one = |refusal: Refusal| vec![refusal];
        let base = field(texts, "face").unwrap_or("rect-90x60");
        let mut face = press::find_face(&state.data, base).map_err(one)?;
        let sheet = press::find_sheet(&state.data, field(texts, "sheet").unwrap_or("a4")).map_err(one)?;
        let mut palette = press::find_palette(&state.data).map_err(one)?;
        let mut form = Reading { texts, faults: Vec::new() };
        let class = form.read("class", CoverClass::Sewage, str::parse);
        if let Some((ground, ink)) = field(texts, "ground").zip(field(texts, "ink")) {
            palette = palette.with(class, [ground, ink]).unwrap_or_else(|refusal| {
                form.faults.push(refusal);
                Palette::built_in()
            });
        }
        for (name, own) in [
            ("id", &mut face.id),
            ("name_zh", &mut face.name_zh),
            ("name_en", &mut face.name_en),
            ("notice", &mut face.notice),
            ("notice_en", &mut face.notice_en),
        ] {
            if let Some(text) = field(texts, name) {
                text.clone_into(own);
            }
        }
        let outline = form.outline(face.outline);
        face = face.with_outline(outline);
        let side = form.number("qr_size", face.qr.w);
        face.qr =
            Area { x: form.number("qr_x", face.qr.x), y: form.number("qr_y", face.qr.y), w: side, h: side };
        if let Some(text) = texts.get("holes") {
            face.holes = holes(text).unwrap_or_else(|refusal| {
                form.faults.push(refusal);
                Vec::new()
            });
        }
        let (text_boxes, slots) = form.text_boxes(&face);
        face.texts = text_boxes;
        let level = form.read("level", None, |text| text.parse().map(Some));
        let finish = form.read("finish", Finish::Color, str::parse);
        let mut faults = form.faults;
        if faults.is_empty() {
            faults = face.faults().iter().map(|fault| refused(fault, &face, &slots)).collect();
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        // As the file that it would become, so that what is kept can be read.
        let face = Face::from_toml(&face.to_toml()).map_err(one)?;
        Ok(Self { face, sheet, palette, class, level, finish, slots })
    }

    pub(super) fn spec(&self, state: &AppState, texts: &Texts) -> PlateSpec {
        let token = Token::from_i64(0x0012_3456_789A_BCDE).expect("55 bits");
        let config = &state.config;
        let host = if config.plate_host.is_empty() { EXAMPLE_HOST } else { &config.plate_host };
        let words = crate::messages::Catalogue::of(crate::messages::Language::Zh);
        let sample = |name: &str, key: &str| field(texts, name).unwrap_or_else(|| words.text(key)).to_owned();
        PlateSpec {
            token,
            payload: plate_payload(config.plate_scheme, host, token, config.plate_lower_case),
            code_groups: Some(words.text("designer.sample_code").to_owned()),
            class: self.class,
            class_label: words.word("class", self.class),
            owner: sample("owner", "designer.sample_owner"),
            hotline: config.hotline.clone(),
            road: sample("road", "designer.sample_road"),
            level: self.level,
            symbol: None,
        }
    }

    pub(super) fn look(&self, spec: &PlateSpec) -> Result<Look, Refusal> {
        Ok(Look {
            checks: check_face(&self.face, &spec.payload, self.level)?,
            layout: self.sheet.lay_out(&self.face)?,
        })
    }
}

/// A fault of a face as the designer says it, at the field of the form.
fn refused(fault: &FaceFault, face: &Face, slots: &[usize]) -> Refusal {
    let square = |code| Refusal::new(code).at("square");
    let hole = |code, at: &usize| Refusal::new(code).at("holes").with("number", at + 1);
    let text = |code, at: &usize| {
        let slot = slots[*at];
        Refusal::new(code).at(format!("{TEXT}{slot}")).with("number", slot + 1)
    };
    match fault {
        FaceFault::Id => Refusal::new("designer.id").at("id"),
        FaceFault::Outline => Refusal::new("designer.outline").at("outline"),
        FaceFault::SymbolLeaves => square("designer.symbol_leaves"),
        FaceFault::BandCoversSymbol => square("designer.symbol_band"),
        FaceFault::HoleLeaves(at) => hole("designer.hole_leaves", at),
        FaceFault::HoleCutsSymbol(at) => hole("designer.hole_symbol", at),
        FaceFault::TextLeaves(at) => text("designer.text_leaves", at).with("safe", face.safe),
        FaceFault::TextCoversSymbol(at) => text("designer.text_symbol", at),
        FaceFault::HoleCutsText(at) => text("designer.text_hole", at),
        FaceFault::TextSizes(at) => text("designer.text_sizes", at),
        FaceFault::Show(at, ShowFault::Empty) => text("designer.show_empty", at),
        FaceFault::Show(at, ShowFault::Open) => text("designer.show_open", at),
        FaceFault::Show(at, ShowFault::Unknown(name)) => {
            let name = shortened(name);
            text("designer.show_unknown", at).with("read", format!("{{{name}}}")).with("fits", placeholders())
        }
        FaceFault::Lacks(field) => {
            Refusal::new("designer.lacks").at("texts").with("field", format!("{{{field}}}"))
        }
        // The form does not change these.
        FaceFault::Safe | FaceFault::NoNotice | FaceFault::TextLines(_) => {
            Refusal::new("plates.file").with("kind", "face").with("line", 1).with("reason", fault)
        }
    }
}

/// A refusal of the drawing at the field of the form that can mend it.
pub(super) fn beside(refusal: Refusal, draft: Option<&Draft>) -> Refusal {
    match (refusal.code, &refusal.field, draft) {
        ("plates.module_small" | "plates.payload_long", ..) => refusal.at("square"),
        ("plates.sheet_small", ..) => refusal.at("sheet"),
        ("plates.text_long" | "plates.missing_glyph", Some(show), Some(draft)) => {
            match draft.face.texts.iter().position(|text| text.show == *show) {
                Some(at) => refusal.at(format!("{TEXT}{}", draft.slots[at])),
                None => refusal,
            }
        }
        _ => refusal,
    }
}
