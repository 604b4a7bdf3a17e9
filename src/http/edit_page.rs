//! The edit page of a cover. Whoever saves after somebody else has the other's changes shown, field by
//! field, and chooses.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::{Caller, percent_encode};
use super::desk::{page, unknown_cover};
use super::edit_fields::{code_choice, version};
use super::form_texts::{self, EXTRA, Texts};
use super::forms::Form;
use super::problem::page_with_problem;
use super::views::{self, Clash, EditView, FormAround, Names};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::cover::{CoverFile, District, Party};
use crate::domain::edit::CodeChoice;
use crate::domain::ids::IdempotencyKey;
use crate::registry::{Amended, CoverOrder, FieldEdit, Meanwhile, User};

/// What forms about covers need beside the cover.
pub(super) struct Lists {
    pub parties: Vec<Party>,
    pub staff: Vec<User>,
    pub districts: Vec<District>,
}

impl Lists {
    pub(super) async fn read(state: &AppState) -> Result<Self, Problem> {
        Ok(Self {
            parties: state.registry.list_parties().await?,
            staff: state.registry.list_users().await?,
            districts: state.registry.list_districts().await?,
        })
    }

    pub(super) fn names(&self) -> Names<'_> {
        Names { parties: &self.parties, staff: &self.staff, districts: &self.districts }
    }
}

pub(super) async fn find(state: &AppState, code: &str) -> Result<CoverFile, Problem> {
    state.registry.find_cover_by_code(code).await?.ok_or_else(|| unknown_cover(code))
}

/// What is said on a form about a cover that is no longer in use.
pub(super) fn retired(state: &AppState, file: &CoverFile) -> Option<Refusal> {
    let code = || state.registry.grouped_code(&file.code);
    file.retired.is_some().then(|| Refusal::new("cover.retired").with("code", code()))
}

/// The file of a cover.
pub(super) fn to_file(file: &CoverFile) -> Response {
    Redirect::to(&format!("/covers/{}", percent_encode(&file.code.digits))).into_response()
}

/// What every form about a cover says of itself.
pub(super) struct Sent {
    pub key: IdempotencyKey,
    pub version: i64,
    pub reason: String,
}

impl Sent {
    pub(super) fn read(form: &Form) -> Result<Self, Refusal> {
        Ok(Self {
            key: form.key()?,
            version: version(form, "version")?,
            reason: form.field("reason").unwrap_or_default().to_owned(),
        })
    }

    pub(super) fn order<T>(&self, file: &CoverFile, caller: &Caller, what: T) -> CoverOrder<T> {
        CoverOrder {
            key: self.key,
            code: file.code.digits.clone(),
            expected_version: self.version,
            reason: self.reason.clone(),
            actor: caller.actor(),
            what,
        }
    }
}

/// What stands in the form when it is shown.
struct Shown<'s> {
    file: &'s CoverFile,
    texts: Texts,
    clashes: Vec<Clash>,
    code: CodeChoice,
    reason: &'s str,
    wrong: Option<&'s Refusal>,
    meanwhile: Option<&'s Meanwhile>,
}

fn show(state: &AppState, reader: &Reader, caller: &Caller, lists: &Lists, shown: Shown) -> String {
    let view = EditView {
        around: FormAround {
            file: shown.file,
            key: IdempotencyKey::fresh(),
            names: lists.names(),
            reason: shown.reason,
            wrong: shown.wrong,
            meanwhile: shown.meanwhile,
        },
        texts: &shown.texts,
        clashes: &shown.clashes,
        code: shown.code,
        extra: EXTRA,
    };
    views::cover_form(&reader.page(state, caller.session.as_ref()), &view)
}

pub(super) async fn form(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(code): Named,
) -> Result<Response, Problem> {
    let file = find(&state, &code).await?;
    let lists = Lists::read(&state).await?;
    let texts = form_texts::texts(&state, &file);
    let retired = retired(&state, &file);
    let shown = Shown {
        file: &file,
        texts,
        clashes: Vec::new(),
        code: CodeChoice::ByScheme,
        reason: "",
        wrong: retired.as_ref(),
        meanwhile: None,
    };
    Ok(page(show(&state, &reader, &caller, &lists, shown)))
}

const KNOWN: &[&str] = &[
    "csrf",
    "key",
    "version",
    "reason",
    "code",
    "position",
    "extra_name",
    "extra_value",
    "class",
    "state",
    "material",
    "shape",
    "load_class",
    "owner",
    "maintainer",
    "supervisor",
    "district",
    "road",
    "address",
    "placement",
    "x",
    "y",
    "crs",
    "method",
    "accuracy_m",
    "surveyed_on",
    "device",
];

pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(code): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only_or_beginning(KNOWN, EXTRA)?;
    caller.check_csrf(form.field("csrf"))?;
    let file = find(&state, &code).await?;
    let lists = Lists::read(&state).await?;
    let sent = Sent::read(&form)?;
    let choice = code_choice(form.field("code"))?;
    let mut typed = form_texts::typed(&form);
    if form.field("position") == Some("theirs") {
        typed.retain(|name, _| !form_texts::POSITION.contains(&name.as_str()));
    }
    let tried = Tried { state: &state, caller: &caller, lists: &lists, sent: &sent, typed: &typed, choice };
    let (file, trouble) = match tried.save(&file).await {
        Ok(Amended::Done(file)) => {
            state.covers_changed(&[file.cover]);
            return Ok(to_file(&file));
        }
        Ok(Amended::Meanwhile(meanwhile)) => (meanwhile.now.clone(), Trouble::Meanwhile(meanwhile)),
        Err(problem) if problem.status.is_client_error() => (file, Trouble::Wrong(problem)),
        Err(problem) => return Err(problem),
    };
    let (texts, clashes) = tried.texts(&file, &trouble);
    let (status, wrong, meanwhile) = match &trouble {
        Trouble::Meanwhile(meanwhile) => (StatusCode::PRECONDITION_FAILED, None, Some(meanwhile.as_ref())),
        Trouble::Wrong(problem) => (problem.status, Some(&problem.refusal), None),
    };
    let shown = Shown { file: &file, texts, clashes, code: choice, reason: &sent.reason, wrong, meanwhile };
    Ok(page_with_problem(status, show(&state, &reader, &caller, &lists, shown)))
}

/// Why the form is shown again.
enum Trouble {
    Meanwhile(Box<Meanwhile>),
    Wrong(Problem),
}

/// What somebody tried to save.
struct Tried<'t> {
    state: &'t AppState,
    caller: &'t Caller,
    lists: &'t Lists,
    sent: &'t Sent,
    typed: &'t Texts,
    choice: CodeChoice,
}

impl Tried<'_> {
    async fn save(&self, file: &CoverFile) -> Result<Amended, Problem> {
        let registry = &self.state.registry;
        if self.sent.version != file.version {
            // A repeated call is answered by its key; only what is new is compared.
            let meanwhile = registry.find_meanwhile(file.cover, self.sent.version).await?;
            if let Ok(order) = self.order(file, &meanwhile).await
                && let Ok(Amended::Done(done)) = registry.edit_cover(order).await
            {
                return Ok(Amended::Done(done));
            }
            return Ok(Amended::Meanwhile(Box::new(meanwhile)));
        }
        let now = form_texts::texts(self.state, file);
        let touched = form_texts::touched(&now, self.typed);
        if touched.is_empty() {
            return Ok(Amended::Done(Box::new(file.clone())));
        }
        let edit = form_texts::edit(self.state, file, &touched, self.typed).await?;
        let order = self.sent.order(file, self.caller, FieldEdit { edit, code: self.choice });
        Ok(registry.edit_cover(order).await?)
    }

    /// The order as it was when the form was opened.
    async fn order(&self, file: &CoverFile, meanwhile: &Meanwhile) -> Result<CoverOrder<FieldEdit>, Problem> {
        let now = form_texts::texts(self.state, file);
        let before = form_texts::texts_before(&now, self.state, &meanwhile.changes, &self.lists.parties);
        let touched = form_texts::touched(&before, self.typed);
        let edit = form_texts::edit(self.state, file, &touched, self.typed).await?;
        Ok(self.sent.order(file, self.caller, FieldEdit { edit, code: self.choice }))
    }

    /// What stands in the form now: what the person changed, and elsewhere what is there; and the fields
    /// that both changed.
    fn texts(&self, file: &CoverFile, trouble: &Trouble) -> (Texts, Vec<Clash>) {
        let mut texts = form_texts::texts(self.state, file);
        let Trouble::Meanwhile(meanwhile) = trouble else {
            texts.extend(self.typed.clone());
            return (texts, Vec::new());
        };
        let before = form_texts::texts_before(&texts, self.state, &meanwhile.changes, &self.lists.parties);
        let mine = form_texts::touched(&before, self.typed);
        let mut clashes = Vec::new();
        for field in &mine {
            if *field == "position" {
                let differs = form_texts::touched(&texts, self.typed).contains(field);
                let changed = meanwhile.changes.iter().any(|change| change.field == "position");
                if changed && differs {
                    clashes.push(Clash {
                        field: "position".into(),
                        theirs: String::new(),
                        mine: position_words(self.typed),
                    });
                }
                continue;
            }
            let text = |texts: &Texts| texts.get(*field).cloned().unwrap_or_default();
            let (theirs, own) = (text(&texts), text(self.typed));
            if theirs != text(&before) && theirs != own {
                clashes.push(Clash { field: (*field).to_owned(), theirs, mine: own });
            }
        }
        for field in mine {
            let names: Vec<&str> =
                if field == "position" { form_texts::POSITION.to_vec() } else { vec![field] };
            for name in names {
                texts.insert(name.to_owned(), self.typed.get(name).cloned().unwrap_or_default());
            }
        }
        (texts, clashes)
    }
}

/// Coordinates as somebody typed them.
fn position_words(typed: &Texts) -> String {
    let text = |name: &str| typed.get(name).map_or("", String::as_str);
    let accuracy = text("accuracy_m");
    let accuracy = if accuracy.is_empty() { String::new() } else { format!(" ± {accuracy} m") };
    format!("{}, {} ({}){accuracy}", text("x"), text("y"), text("crs"))
}
