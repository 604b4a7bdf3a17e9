//! 牌面设计: the form of a face, a picture of it, and sentences about its sizes.

use std::collections::BTreeMap;

use askama::Template;

use super::words::Choice;
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::cover::CoverClass;
use crate::domain::plate::Finish;
use crate::plates::{Align, Face, Layout, Level, Outline, Palette, PlateChecks, Sheet, Weight};

/// What the page shows.
pub struct DesignerView<'a> {
    /// The face from which the draft was made.
    pub base: &'a Face,
    /// The draft; `None` where it does not fit.
    pub draft: Option<&'a Face>,
    pub sheet: Option<&'a Sheet>,
    pub look: Option<(&'a PlateChecks, &'a Layout)>,
    pub faces: &'a [Face],
    pub sheets: &'a [Sheet],
    pub palette: &'a Palette,
    /// What was typed so far.
    pub texts: &'a BTreeMap<String, String>,
    /// The draft as the query of an address; `None` where there is no picture.
    pub picture: Option<String>,
    /// What does not fit, each with the field of the form where it is told.
    pub wrong: &'a [Refusal],
}

/// Keeps the picture up with the form; without it a button does.
pub const DESIGNER_SCRIPT: &str = include_str!("../../../assets/web/designer.js");

/// Below these people and rivets are in trouble; millimetres.
const SLIM_RIM: f64 = 2.0;
const SMALL_TEXT: f64 = 1.2;

struct Sentence {
    words: String,
    /// Fits, but not well.
    doubtful: bool,
}

struct TextField {
    name: String,
    label: String,
    value: String,
}

/// A text box on the form.
struct BoxFields {
    /// How its fields begin.
    name: String,
    legend: String,
    show: TextField,
    numbers: Vec<TextField>,
    aligns: Vec<Choice>,
    weights: Vec<Choice>,
    dropped: bool,
}

/// Fields of a text box that are numbers, in the order of the form.
const NUMBERS: [&str; 6] = ["x", "y", "w", "h", "size", "min"];

#[derive(Template)]
#[template(path = "plate_designer.html")]
struct DesignerPage<'a> {
    page: Page<'a>,
    script: &'static str,
    faces: Vec<Choice>,
    sheets: Vec<Choice>,
    levels: Vec<Choice>,
    finishes: Vec<Choice>,
    classes: Vec<Choice>,
    ground: String,
    ink: String,
    texts: &'a BTreeMap<String, String>,
    plain: [TextField; 5],
    shapes: Vec<Choice>,
    size: [TextField; 3],
    square: [TextField; 3],
    boxes: Vec<BoxFields>,
    holes: String,
    sentences: Vec<Sentence>,
    picture: Option<String>,
    alt: String,
    wrong: Option<String>,
    /// Sentences by the field of the form that they are about.
    beside: BTreeMap<String, String>,
}

impl DesignerPage<'_> {
    fn beside(&self, name: &str) -> &str {
        self.beside.get(name).map_or("", String::as_str)
    }

    /// Whether something in the folded fields of a text box wants a look.
    fn is_wrong(&self, name: &str) -> bool {
        self.beside.contains_key(name) || self.beside.keys().any(|at| at.starts_with(&format!("{name}_")))
    }

    fn typed(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }
}

/// The page.
pub fn designer(page: &Page, view: &DesignerView) -> String {
    let typed = |name: &str| view.texts.get(name).map(String::as_str).filter(|text| !text.trim().is_empty());
    let face = view.draft.unwrap_or(view.base);
    let text = |name: &str, usual: String| TextField {
        name: name.to_owned(),
        label: page.word("designer_field", name),
        value: typed(name).map_or(usual, str::to_owned),
    };
    let chosen = |name: &str, usual: &str| typed(name).unwrap_or(usual).to_owned();
    let listed = |names: Vec<(String, String)>, chosen: String| -> Vec<Choice> {
        let choice = |(value, word): (String, String)| Choice { chosen: value == chosen, word, value };
        names.into_iter().map(choice).collect()
    };
    let name = |zh: &String, en: &String| if page.is_chinese() { zh.clone() } else { en.clone() };
    let own_id = if view.faces.iter().any(|known| known.id == face.id) && typed("id").is_none() {
        format!("{}-own", face.id.trim_end_matches("-own"))
    } else {
        face.id.clone()
    };
    let class: CoverClass = typed("class").and_then(|class| class.parse().ok()).unwrap_or(CoverClass::Sewage);
    let [ground, ink] = view.palette.colors(class);
    let holes: Vec<String> =
        face.holes.iter().map(|hole| format!("{} {} {}", hole.x, hole.y, hole.d)).collect();
    let (width, height) = face.outline.size();
    let (shape, radius) = match face.outline {
        Outline::Rect { radius, .. } => ("rect", radius),
        Outline::Circle { .. } => ("circle", 0.0),
        Outline::Oval { .. } => ("oval", 0.0),
    };
    let shapes =
        ["rect", "circle", "oval"].map(|shape| (shape.to_owned(), page.word("designer_shape", shape)));
    let html = DesignerPage {
        page: *page,
        script: DESIGNER_SCRIPT,
        faces: listed(
            view.faces.iter().map(|face| (face.id.clone(), name(&face.name_zh, &face.name_en))).collect(),
            chosen("face", "rect-90x60"),
        ),
        sheets: listed(
            view.sheets
                .iter()
                .map(|sheet| (sheet.id.clone(), name(&sheet.name_zh, &sheet.name_en)))
                .collect(),
            chosen("sheet", "a4"),
        ),
        levels: listed(
            Level::ALL.iter().map(|level| (level.to_string(), level.to_string())).collect(),
            chosen("level", ""),
        ),
        finishes: listed(
            Finish::ALL.iter().map(|finish| (finish.to_string(), page.word("finish", finish))).collect(),
            chosen("finish", Finish::Color.as_str()),
        ),
        classes: listed(
            CoverClass::ALL.iter().map(|class| (class.to_string(), page.word("class", class))).collect(),
            class.to_string(),
        ),
        ground,
        ink,
        texts: view.texts,
        plain: [
            text("id", own_id),
            text("name_zh", face.name_zh.clone()),
            text("name_en", face.name_en.clone()),
            text("notice", face.notice.clone()),
            text("notice_en", face.notice_en.clone()),
        ],
        shapes: listed(shapes.into(), chosen("shape", shape)),
        size: [
            text("width", width.to_string()),
            text("height", height.to_string()),
            text("radius", radius.to_string()),
        ],
        square: [
            text("qr_x", face.qr.x.to_string()),
            text("qr_y", face.qr.y.to_string()),
            text("qr_size", face.qr.w.to_string()),
        ],
        boxes: boxes(page, view),
        holes: view.texts.get("holes").cloned().unwrap_or_else(|| holes.join("\n")),
        sentences: view.look.map_or_else(Vec::new, |look| sentences(page, view, look)),
        picture: view.picture.clone(),
        alt: page.fill("designer.picture", "face", name(&face.name_zh, &face.name_en)),
        wrong: view.wrong.first().map(|refusal| page.catalogue.refusal(refusal)),
        beside: view
            .wrong
            .iter()
            .rev()
            .filter_map(|refusal| {
                Some((refusal.field.as_ref()?.to_string(), page.catalogue.refusal(refusal)))
            })
            .collect(),
    };
    write(&html)
}

/// The text boxes of the base, those that were added, and an empty one for the next.
fn boxes(page: &Page, view: &DesignerView) -> Vec<BoxFields> {
    let typed = |name: &str| view.texts.get(name).map(String::as_str).filter(|text| !text.trim().is_empty());
    let known = view.base.texts.len();
    let added = (known..).take_while(|at| typed(&format!("show{at}")).is_some()).count();
    let choices = |words: &[&str], list: &str, chosen: &str| -> Vec<Choice> {
        let choice = |word: &&str| Choice {
            value: (*word).to_owned(),
            word: page.word(list, word),
            chosen: *word == chosen,
        };
        words.iter().map(choice).collect()
    };
    let aligns: Vec<&str> = Align::ALL.iter().map(|align| align.as_str()).collect();
    let weights: Vec<&str> = Weight::ALL.iter().map(|weight| weight.as_str()).collect();
    (0..=known + added)
        .map(|at| {
            let base = view.base.texts.get(at);
            let name = format!("text{at}");
            let value = |name: String, label: String, usual: Option<String>| TextField {
                value: typed(&name).map_or_else(|| usual.unwrap_or_default(), str::to_owned),
                label,
                name,
            };
            let own = base.map(|text| {
                let area = text.area;
                [area.x, area.y, area.w, area.h, text.size_pt, text.min_pt]
            });
            let number = |part: usize| {
                let label = page.word("designer_text", NUMBERS[part]);
                value(format!("{name}_{}", NUMBERS[part]), label, own.map(|own| own[part].to_string()))
            };
            let align = base.map_or(Align::Left, |text| text.align);
            let weight = base.map_or(Weight::Regular, |text| text.weight);
            BoxFields {
                legend: match base {
                    Some(text) => page
                        .catalogue
                        .fill("designer.box", &[("number", &(at + 1).to_string()), ("text", &text.show)]),
                    None => page.fill("designer.new_box", "number", at + 1),
                },
                show: value(
                    format!("show{at}"),
                    page.t("designer.show").to_owned(),
                    base.map(|text| text.show.clone()),
                ),
                numbers: (0..NUMBERS.len()).map(number).collect(),
                aligns: choices(&aligns, "align", typed(&format!("{name}_align")).unwrap_or(align.as_str())),
                weights: choices(
                    &weights,
                    "weight",
                    typed(&format!("{name}_weight")).unwrap_or(weight.as_str()),
                ),
                dropped: typed(&format!("{name}_drop")).is_some(),
                name,
            }
        })
        .collect()
}

fn sentences(page: &Page, view: &DesignerView, (checks, layout): (&PlateChecks, &Layout)) -> Vec<Sentence> {
    let mm = |length: f64| format!("{length:.2}");
    let say = |key: &str, values: &[(&str, &str)], doubtful: bool| Sentence {
        words: page.catalogue.fill(key, values),
        doubtful,
    };
    let symbol = checks.symbol;
    let (version, level) = (symbol.version.to_string(), symbol.level.to_string());
    let mut all = vec![
        say(
            "designer.module",
            &[("module", &mm(checks.module)), ("version", &version), ("level", &level)],
            false,
        ),
        say("designer.quiet", &[("quiet", &mm(checks.quiet))], false),
        say("designer.reach", &[("reach", &format!("{:.0}", checks.reach / 10.0))], false),
    ];
    if let Some(distance) = checks.hole_to_symbol {
        all.push(say("designer.hole_to_symbol", &[("distance", &mm(distance))], distance < 0.5));
    }
    if let Some(distance) = checks.hole_to_edge {
        all.push(say("designer.hole_to_edge", &[("distance", &mm(distance))], distance < SLIM_RIM));
    }
    let smallest = checks.smallest_text;
    all.push(say("designer.smallest_text", &[("size", &mm(smallest))], smallest < SMALL_TEXT));
    let (count, width, height) =
        (layout.per_page().to_string(), layout.page.width.to_string(), layout.page.height.to_string());
    let sheet = view.sheet.map_or("", |sheet| &sheet.id);
    all.push(say(
        "designer.per_page",
        &[("sheet", sheet), ("count", &count), ("width", &width), ("height", &height)],
        false,
    ));
    all
}
