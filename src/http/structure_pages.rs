//! Pages for what becomes of covers and manholes. Each form names the version that it showed; where
//! somebody changed the cover since, the form comes again with what happened, and nothing is done.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::edit_fields::version;
use super::edit_page::{Lists, Sent, find, retired, to_file};
use super::form_texts::{self, Texts};
use super::forms::Form;
use super::problem::page_with_problem;
use super::views::{self, AddView, FormAround, MergeView, RetireView, SplitView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::edit::{CoverEdit, PlatesGo};
use crate::domain::ids::{IdempotencyKey, MergeId};
use crate::domain::position::distance_m;
use crate::registry::{Amended, CodeEdit, Meanwhile, MergeOrder, NewCover, Retirement, SplitOrder};

/// Which form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Retire,
    Add,
    Merge,
    Split,
}

/// Who looks at a form, and what stands in it.
struct Desk<'d> {
    state: &'d AppState,
    reader: &'d Reader,
    caller: &'d Caller,
    kind: Kind,
}

/// Why a form is shown again.
#[derive(Default)]
struct Trouble {
    wrong: Option<Refusal>,
    meanwhile: Option<Box<Meanwhile>>,
}

/// How far away another manhole may lie to be offered for a merge, and how many are.
const NEAR_M: f64 = 10.0;
const NEAR: usize = 8;

impl Desk<'_> {
    async fn show(
        &self,
        file: &CoverFile,
        texts: &Texts,
        reason: &str,
        trouble: &Trouble,
    ) -> Result<String, Problem> {
        let (state, registry) = (self.state, &self.state.registry);
        let lists = Lists::read(state).await?;
        let gone = if self.kind == Kind::Retire { None } else { retired(state, file) };
        let around = FormAround {
            file,
            key: IdempotencyKey::fresh(),
            names: lists.names(),
            reason,
            wrong: trouble.wrong.as_ref().or(gone.as_ref()),
            meanwhile: trouble.meanwhile.as_deref(),
        };
        let mut beside = registry.list_manhole_covers(file.manhole).await?;
        let page = self.reader.page(state, self.caller.session.as_ref());
        Ok(match self.kind {
            Kind::Code => {
                let former = registry.list_former_codes(file.cover).await?;
                views::code_form(&page, around, &former, texts)
            }
            Kind::Retire => {
                beside.retain(|other| other.cover != file.cover);
                let cases = registry.list_manhole_cases(file.manhole).await?;
                let cases = cases.into_iter().filter(|case| case.cover == Some(file.cover));
                let open_cases: Vec<String> =
                    cases.filter(|case| case.state.is_open()).map(|case| case.number).collect();
                let plates = registry.list_cover_plates(file.cover).await?;
                let live_plates = plates.iter().filter(|plate| plate.state.is_live()).count();
                let view =
                    RetireView { around, beside: &beside, open_cases: &open_cases, live_plates, texts };
                views::retire_form(&page, &view)
            }
            Kind::Add => views::add_form(&page, &AddView { around, beside: &beside, texts }),
            Kind::Merge => {
                let other = match texts.get("other").filter(|code| !code.is_empty()) {
                    Some(code) => registry.find_cover_by_code(code).await?,
                    None => None,
                };
                let near = if other.is_none() { self.near(file).await? } else { Vec::new() };
                let earlier = registry.list_earlier_files(file.manhole).await?;
                let place = |file: &CoverFile| (file.survey.position.lon, file.survey.position.lat);
                let view = MergeView {
                    around,
                    distance_m: other.as_ref().map_or(0.0, |other| distance_m(place(file), place(other))),
                    other: other.as_ref(),
                    near: &near,
                    earlier: &earlier,
                    texts,
                };
                views::merge_form(&page, &view)
            }
            Kind::Split => {
                beside.retain(|other| other.cover != file.cover);
                let with: Vec<String> = going_along(texts).map(str::to_owned).collect();
                views::split_form(&page, &SplitView { around, beside: &beside, with: &with, texts })
            }
        })
    }

    /// Covers of other manholes near by, nearest first.
    async fn near(&self, file: &CoverFile) -> Result<Vec<(CoverFile, f64)>, Problem> {
        let position = &file.survey.position;
        let near = self.state.snapshot.load().nearest(position.lon, position.lat, 2 * NEAR, NEAR_M);
        let ids: Vec<_> = near.iter().map(|near| near.row.cover).collect();
        let files = self.state.registry.list_covers_by_id(&ids).await?;
        let found = near.iter().filter_map(|near| {
            let other = files.iter().find(|other| other.cover == near.row.cover)?;
            (other.manhole != file.manhole).then(|| (other.clone(), near.distance_m))
        });
        Ok(found.take(NEAR).collect())
    }

    async fn open(&self, code: &str, texts: Texts) -> Result<Response, Problem> {
        let file = find(self.state, code).await?;
        Ok(page(self.show(&file, &texts, "", &Trouble::default()).await?))
    }

    /// On to the file of the cover, or the form again with what went wrong.
    async fn answer(
        &self,
        file: CoverFile,
        form: &Form,
        outcome: Result<Amended, Problem>,
    ) -> Result<Response, Problem> {
        let (file, status, trouble) = match outcome {
            Ok(Amended::Done(file)) => {
                let here = self.state.registry.list_manhole_covers(file.manhole).await?;
                let here: Vec<_> = here.iter().map(|file| file.cover).collect();
                self.state.covers_changed(&here);
                return Ok(to_file(&file));
            }
            Ok(Amended::Meanwhile(meanwhile)) => {
                let now = meanwhile.now.clone();
                let trouble = Trouble { wrong: None, meanwhile: Some(meanwhile) };
                (now, StatusCode::PRECONDITION_FAILED, trouble)
            }
            Err(problem) if problem.status.is_client_error() => {
                let trouble = Trouble { wrong: Some(problem.refusal), meanwhile: None };
                (file, problem.status, trouble)
            }
            Err(problem) => return Err(problem),
        };
        let texts: Texts =
            form.beginning("").map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let reason = form.field("reason").unwrap_or_default();
        Ok(page_with_problem(status, self.show(&file, &texts, reason, &trouble).await?))
    }
}

/// Codes of the covers that go along with a split.
fn going_along(texts: &Texts) -> impl Iterator<Item = &str> {
    texts.keys().filter_map(|name| name.strip_prefix("with:"))
}

/// The page of a form, and the handler of what it sends.
macro_rules! form_page {
    ($show:ident, $kind:expr) => {
        pub(super) async fn $show(
            State(state): State<AppState>,
            reader: Reader,
            caller: Caller,
            _: Asked<Nothing>,
            Named(code): Named,
        ) -> Result<Response, Problem> {
            let desk = Desk { state: &state, reader: &reader, caller: &caller, kind: $kind };
            desk.open(&code, Texts::new()).await
        }
    };
}

macro_rules! send_form {
    ($send:ident, $kind:expr, $fields:expr, |$state:ident, $caller:ident, $file:ident, $form:ident, $sent:ident| $done:block) => {
        pub(super) async fn $send(
            State(state): State<AppState>,
            reader: Reader,
            caller: Caller,
            _: Asked<Nothing>,
            Named(code): Named,
            request: Request,
        ) -> Result<Response, Problem> {
            let form = Form::from_request(request, &state).await?;
            let known: Vec<&str> =
                ["csrf", "key", "version", "reason"].iter().chain($fields).copied().collect();
            let prefix = if $kind == Kind::Split { "with:" } else { "\0" };
            form.only_or_beginning(&known, prefix)?;
            caller.check_csrf(form.field("csrf"))?;
            let file = find(&state, &code).await?;
            let outcome = {
                let ($state, $caller, $file, $form) = (&state, &caller, &file, &form);
                let tried = async move {
                    let $sent = Sent::read($form)?;
                    $done
                };
                tried.await
            };
            let desk = Desk { state: &state, reader: &reader, caller: &caller, kind: $kind };
            desk.answer(file, &form, outcome).await
        }
    };
}

const NO_FIELDS: &[&str] = &[];

form_page!(code_form, Kind::Code);
send_form!(send_code, Kind::Code, &["code", "scheme"], |state, caller, file, form, sent| {
    let owned = |name: &str| form.field(name).map(str::to_owned);
    let what = CodeEdit { code: owned("code"), scheme: owned("scheme") };
    Ok(state.registry.change_code(sent.order(file, caller, what)).await?)
});

form_page!(retire_form, Kind::Retire);
send_form!(
    send_retire,
    Kind::Retire,
    &["retire_reason", "successor", "plates"],
    |state, caller, file, form, sent| {
        let what = Retirement {
            reason: form.needed("retire_reason")?.parse()?,
            successor: form.field("successor").map(str::to_owned),
            plates: form.field("plates").map_or(Ok(PlatesGo::Withdrawn), str::parse)?,
        };
        Ok(state.registry.retire_cover(sent.order(file, caller, what)).await?)
    }
);
send_form!(send_reinstate, Kind::Retire, NO_FIELDS, |state, caller, file, form, sent| {
    let _ = form;
    Ok(state.registry.reinstate_cover(sent.order(file, caller, ())).await?)
});

const NEW_COVER: &[&str] =
    &["class", "state", "material", "shape", "load_class", "owner", "maintainer", "supervisor", "code"];

form_page!(add_form, Kind::Add);
send_form!(send_add, Kind::Add, NEW_COVER, |state, caller, file, form, sent| {
    let typed = form_texts::typed(form);
    let filled: Vec<&str> = typed
        .iter()
        .filter(|(name, text)| !text.is_empty() && !matches!(name.as_str(), "class" | "state"))
        .map(|(name, _)| name.as_str())
        .collect();
    let edit = if filled.is_empty() {
        CoverEdit::default()
    } else {
        form_texts::edit(state, file, &filled, &typed).await?
    };
    let what = NewCover {
        class: form.needed("class")?.parse()?,
        state: form.needed("state")?.parse()?,
        edit,
        code: form.field("code").map(str::to_owned),
    };
    Ok(state.registry.add_cover(sent.order(file, caller, what)).await?)
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtherQuery {
    #[serde(default)]
    other: String,
}

pub(super) async fn merge_form(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(code): Named,
    Asked(query): Asked<OtherQuery>,
) -> Result<Response, Problem> {
    let desk = Desk { state: &state, reader: &reader, caller: &caller, kind: Kind::Merge };
    let other = query.other.trim().to_owned();
    let file = find(&state, &code).await?;
    let known = match other.as_str() {
        "" => true,
        other => state.registry.find_cover_by_code(other).await?.is_some(),
    };
    let texts = Texts::from([("other".to_owned(), other.clone())]);
    if known {
        return Ok(page(desk.show(&file, &texts, "", &Trouble::default()).await?));
    }
    let read = super::forms::shortened(&other);
    let wrong = Some(Refusal::new("cover.unknown").at("other").with("read", read));
    let trouble = Trouble { wrong, meanwhile: None };
    Ok(page_with_problem(StatusCode::NOT_FOUND, desk.show(&file, &texts, "", &trouble).await?))
}

send_form!(
    send_merge,
    Kind::Merge,
    &["other", "other_version", "kind"],
    |state, caller, file, form, sent| {
        let what = MergeOrder {
            other: form.needed("other")?.to_owned(),
            other_version: version(form, "other_version")?,
            kind: form.needed("kind")?.parse()?,
        };
        Ok(state.registry.merge_manholes(sent.order(file, caller, what)).await?)
    }
);
send_form!(send_unmerge, Kind::Merge, &["merge"], |state, caller, file, form, sent| {
    let merge = form.needed("merge")?.parse::<MergeId>().map_err(|refusal| refusal.at("merge"))?;
    Ok(state.registry.undo_merge(sent.order(file, caller, merge)).await?)
});

form_page!(split_form, Kind::Split);
send_form!(send_split, Kind::Split, &form_texts::POSITION, |state, caller, file, form, sent| {
    let typed = form_texts::typed(form);
    let position = if form.field("x").is_some() || form.field("y").is_some() {
        Some(form_texts::position(state, file, &typed).await?)
    } else {
        None
    };
    let with = form.beginning("with:").map(|(code, _)| code.to_owned()).collect();
    Ok(state.registry.split_manhole(sent.order(file, caller, SplitOrder { with, position })).await?)
});
