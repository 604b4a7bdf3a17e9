//! 牌面设计: the form of a face, a picture of it, and sentences about its sizes.

use std::collections::BTreeMap;

use askama::Template;

use super::words::Choice;
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::cover::CoverClass;
use crate::domain::plate::Finish;
use crate::plates::{Face, Layout, Level, Palette, PlateChecks, Sheet};

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
    pub wrong: Option<&'a Refusal>,
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
    value: String,
}

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
    square: [TextField; 3],
    shows: Vec<TextField>,
    holes: String,
    sentences: Vec<Sentence>,
    picture: Option<String>,
    alt: String,
    wrong: Option<String>,
}

impl DesignerPage<'_> {
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
    let shows = view.base.texts.iter().zip(&face.texts).enumerate();
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
        square: [
            text("qr_x", face.qr.x.to_string()),
            text("qr_y", face.qr.y.to_string()),
            text("qr_size", face.qr.w.to_string()),
        ],
        shows: shows.map(|(at, (_, own))| text(&format!("show{at}"), own.show.clone())).collect(),
        holes: view.texts.get("holes").cloned().unwrap_or_else(|| holes.join("\n")),
        sentences: view.look.map_or_else(Vec::new, |look| sentences(page, view, look)),
        picture: view.picture.clone(),
        alt: page.fill("designer.picture", "face", name(&face.name_zh, &face.name_en)),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal(refusal)),
    };
    write(&html)
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
