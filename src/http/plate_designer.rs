//! 牌面设计: a face of the city's own, made from one that is there, with a picture of it, what it measures in
//! the hand, and its file.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};

use super::ask::{Asked, Reader};
use super::auth::{Caller, percent_encode};
use super::desk::page;
use super::forms::Form;
use super::problem::page_with_problem;
use super::views::{self, DesignerView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::cover::CoverClass;
use crate::domain::plate::Finish;
use crate::domain::token::{Token, plate_payload};
use crate::plates::{
    Area, Face, Hole, Layout, Level, Palette, PlateChecks, PlateError, PlateRun, PlateSpec, Sheet,
    check_face, render_svgs,
};
use crate::press;

pub(super) type Texts = BTreeMap<String, String>;

const FIELDS: [&str; 19] = [
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
pub(super) const SHOW: &str = "show";
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
}

/// What is shown of a draft.
pub(super) struct Look {
    pub checks: PlateChecks,
    pub layout: Layout,
}

fn known(texts: &Texts) -> Result<(), Problem> {
    for (name, value) in texts {
        let text_box = name.strip_prefix(SHOW).is_some_and(|number| number.parse::<u8>().is_ok());
        if !text_box && !FIELDS.contains(&name.as_str()) {
            let refusal = Refusal::new("http.query").with("reason", super::forms::shortened(name));
            return Err(Problem::bad_request(refusal));
        }
        if value.chars().count() > LONGEST {
            return Err(Refusal::new("designer.long").at("show").with("most", LONGEST).into());
        }
    }
    Ok(())
}

fn field<'t>(texts: &'t Texts, name: &str) -> Option<&'t str> {
    texts.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn number(texts: &Texts, name: &'static str, usual: f64) -> Result<f64, Refusal> {
    field(texts, name).map_or(Ok(usual), |text| {
        let refusal = || Refusal::new("designer.number").at(name).with("read", super::forms::shortened(text));
        text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(refusal)
    })
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
                _ => {
                    Err(Refusal::new("designer.hole").at("holes").with("read", super::forms::shortened(line)))
                }
            }
        })
        .collect()
}

impl Draft {
    /// The base face with what the form changes, read again as the file that it would become.
    fn read(state: &AppState, texts: &Texts) -> Result<Self, Refusal> {
        let mut face = press::find_face(&state.data, field(texts, "face").unwrap_or("rect-90x60"))?;
        let sheet = press::find_sheet(&state.data, field(texts, "sheet").unwrap_or("a4"))?;
        let class = field(texts, "class").map_or(Ok(CoverClass::Sewage), str::parse)?;
        let mut palette = press::find_palette(&state.data)?;
        if let Some((ground, ink)) = field(texts, "ground").zip(field(texts, "ink")) {
            palette = palette.with(class, [ground, ink])?;
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
        let side = number(texts, "qr_size", face.qr.w)?;
        face.qr = Area {
            x: number(texts, "qr_x", face.qr.x)?,
            y: number(texts, "qr_y", face.qr.y)?,
            w: side,
            h: side,
        };
        if let Some(text) = texts.get("holes") {
            face.holes = holes(text)?;
        }
        for (at, text_box) in face.texts.iter_mut().enumerate() {
            if let Some(show) = field(texts, &format!("{SHOW}{at}")) {
                show.clone_into(&mut text_box.show);
            }
        }
        Ok(Self {
            face: Face::from_toml(&face.to_toml())?,
            sheet,
            palette,
            class,
            level: field(texts, "level").map(str::parse).transpose()?,
            finish: field(texts, "finish").map_or(Ok(Finish::Color), str::parse)?,
        })
    }

    fn spec(&self, state: &AppState, texts: &Texts) -> PlateSpec {
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

    fn look(&self, spec: &PlateSpec) -> Result<Look, Refusal> {
        Ok(Look {
            checks: check_face(&self.face, &spec.payload, self.level)?,
            layout: self.sheet.lay_out(&self.face)?,
        })
    }
}

/// Draws one plate of a draft; every check of a batch is made.
async fn draw(draft: &Draft, spec: PlateSpec) -> Result<Vec<u8>, Problem> {
    let run = PlateRun {
        face: draft.face.clone(),
        sheet: draft.sheet.clone(),
        palette: draft.palette.clone(),
        finish: draft.finish,
        title: String::new(),
        dated: crate::domain::ids::Millis(0),
    };
    let drawn = tokio::task::spawn_blocking(move || {
        let mut svg = Vec::new();
        render_svgs(&run, &[spec], |_, one| {
            svg.extend_from_slice(one);
            Ok(())
        })
        .map(|_| svg)
    });
    match drawn.await {
        Ok(Ok(svg)) => Ok(svg),
        Ok(Err(PlateError::Refused(refusal))) => Err(refusal.into()),
        Ok(Err(error)) => {
            tracing::error!(error = ?error, "a plate was not drawn");
            Err(Problem::broken())
        }
        Err(_) => Err(Problem::broken()),
    }
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(texts): Asked<Texts>,
) -> Result<Response, Problem> {
    known(&texts)?;
    Ok(page(designer_page(&state, &reader, &caller, &texts, None).await?))
}

async fn designer_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    texts: &Texts,
    refused: Option<Refusal>,
) -> Result<String, Problem> {
    let draft = Draft::read(state, texts);
    let looked = draft.as_ref().map_err(Clone::clone).and_then(|draft| draft.look(&draft.spec(state, texts)));
    let mut wrong = refused;
    if wrong.is_none() {
        wrong = looked.as_ref().err().cloned();
    }
    // What the batch would refuse is said here, in place of a broken picture.
    if let (Ok(draft), Ok(_), None) = (&draft, &looked, &wrong)
        && let Err(problem) = draw(draft, draft.spec(state, texts)).await
    {
        wrong = Some(problem.refusal);
    }
    let base = press::find_face(&state.data, field(texts, "face").unwrap_or("rect-90x60"));
    let base = base.or_else(|_| press::find_face(&state.data, "rect-90x60"))?;
    let view = DesignerView {
        base: &base,
        draft: draft.as_ref().ok().map(|draft| &draft.face),
        sheet: draft.as_ref().ok().map(|draft| &draft.sheet),
        look: looked.as_ref().ok().map(|look| (&look.checks, &look.layout)),
        faces: &press::list_faces(&state.data)?,
        sheets: &press::list_sheets(&state.data)?,
        palette: &draft.as_ref().map_or_else(|_| Palette::built_in(), |draft| draft.palette.clone()),
        texts,
        picture: wrong.is_none().then(|| query_of(texts)),
        wrong: wrong.as_ref(),
    };
    Ok(views::designer(&reader.page(state, caller.session.as_ref()), &view))
}

/// The form as an address says it.
fn query_of(texts: &Texts) -> String {
    let pairs = texts.iter().map(|(name, value)| format!("{name}={}", percent_encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// A plate as the draft makes it.
pub(super) async fn preview(
    State(state): State<AppState>,
    _: Caller,
    Asked(texts): Asked<Texts>,
) -> Result<Response, Problem> {
    known(&texts)?;
    let draft = Draft::read(&state, &texts)?;
    let spec = draft.spec(&state, &texts);
    let svg = draw(&draft, spec).await?;
    let headers = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "private, no-store")];
    Ok((headers, svg).into_response())
}

/// The draft as a file.
pub(super) async fn download(
    State(state): State<AppState>,
    _: Caller,
    Asked(texts): Asked<Texts>,
) -> Result<Response, Problem> {
    known(&texts)?;
    let face = Draft::read(&state, &texts)?.face;
    let headers = [
        (header::CONTENT_TYPE, "application/toml".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.toml\"", face.id)),
    ];
    Ok((headers, face.to_toml()).into_response())
}

/// Keeps the draft among the city's own faces, and its colors where that is asked.
pub(super) async fn keep(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    caller.check_csrf(form.field("csrf"))?;
    let typed = form.beginning("").filter(|(name, _)| *name != "csrf");
    let texts: Texts = typed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    known(&texts)?;
    match kept(&state, &texts).await {
        Ok(id) => Ok(Redirect::to(&format!("/admin/plates/designer?face={id}")).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = designer_page(&state, &reader, &caller, &texts, Some(problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn kept(state: &AppState, texts: &Texts) -> Result<String, Problem> {
    let draft = Draft::read(state, texts)?;
    let spec = draft.spec(state, texts);
    draft.look(&spec)?;
    draw(&draft, spec).await?;
    press::keep_face(&state.data, &draft.face)?;
    if field(texts, "colors").is_some()
        && let Some((ground, ink)) = field(texts, "ground").zip(field(texts, "ink"))
    {
        press::keep_colors(&state.data, draft.class, [ground, ink])?;
    }
    Ok(draft.face.id)
}
