//! Requests and words on their way in. At the test endpoint everything is checked and answered, and nothing is filed.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::attributes::{ATTRIBUTES, DANGER, PLATE};
use super::form::SentForm;
use super::model::Node;
use super::{Asking, errors, service, service_notice};
use crate::domain::Refusal;
use crate::domain::case::PhonePosition;
use crate::domain::hazard::Hazard;
use crate::domain::open311::{UpdateStatus, asks_for_danger};
use crate::domain::token::Token;
use crate::http::ask::{From, Reader};
use crate::http::forms::{shortened, store_photos};
use crate::http::problem::Written;
use crate::http::{AppState, Problem};
use crate::messages::{Catalogue, Language};
use crate::registry::{MORE_CHARS, NewRequest, NewWord, Reported, Sent, Spot, User};

/// How far off a place may be whose sender does not say.
const UNKNOWN_ACCURACY_M: f64 = 1000.0;
/// Characters of a line for staff.
const LINE_CHARS: usize = 500;

pub(in crate::http) async fn send_request(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    asking: Asking,
    request: Request,
) -> Result<Response, Problem> {
    state.shared.reports.count(network, state.registry.now())?;
    let form = SentForm::read(request, &state).await?;
    let sender = sender(&state, &asking, &form, From(network)).await?;
    let mut wrong = Vec::new();
    let hazard = match form.field("service_code") {
        Some(code) => service(code).map_err(|problem| wrong.push(problem)).ok(),
        None => {
            wrong.push(missing("service_code"));
            None
        }
    };
    check_attributes(&form, hazard, &mut wrong);
    let mut lines = Lines::default();
    let spot = find_spot(&state, &form, &mut lines, &mut wrong).await?;
    let (Some(hazard), Some(spot), []) = (hazard, spot, wrong.as_slice()) else {
        return Ok(refused(&reader, &asking, &wrong));
    };
    lines.add_attributes(&form);
    let external = form
        .attribute("fixmystreet_id")
        .or(form.field("service_request_id_ext"))
        .or(form.field("external_id"));
    let sent = lines.sent(&state, &reader, &asking, &form, (&sender, external)).await?;
    let new = NewRequest { spot, hazard, sent };
    let number = if asking.is_test {
        let number = test_number(&new.sent.digest);
        state.registry.try_request(new).await?;
        number
    } else {
        let reported = state.registry.file_request(new).await?;
        changed(&state, &reported);
        reported.tracking
    };
    let answer = Node::Object(vec![
        ("service_request_id", Node::text(number)),
        ("service_notice", service_notice(&state, reader.catalogue(), hazard)),
        ("account_id", Node::text_if(form.field("account_id"))),
    ]);
    Ok(asking.format.answer("service_requests", &Node::List("request", vec![answer])))
}

pub(in crate::http) async fn send_word(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    asking: Asking,
    request: Request,
) -> Result<Response, Problem> {
    state.shared.reports.count(network, state.registry.now())?;
    let form = SentForm::read(request, &state).await?;
    let sender = sender(&state, &asking, &form, From(network)).await?;
    let mut wrong = Vec::new();
    if form.field("service_request_id").is_none() {
        wrong.push(missing("service_request_id"));
    }
    let status = match form.field("status") {
        None => None,
        Some(text) => {
            let word = text.to_ascii_uppercase().replace(' ', "_");
            word.parse::<UpdateStatus>().map_err(|refusal| wrong.push(Problem::bad_request(refusal))).ok()
        }
    };
    if status.is_none() && form.field("description").is_none() && form.photos.is_empty() {
        wrong.push(missing("description"));
    }
    let (Some(number), []) = (form.field("service_request_id"), wrong.as_slice()) else {
        return Ok(refused(&reader, &asking, &wrong));
    };
    let mut lines = Lines::default();
    if let Some(status) = status {
        lines.add("open311.note_status", status.as_str());
    }
    lines.add_attributes(&form);
    let external = form.field("update_id").or(form.field("update_id_ext"));
    let sent = lines.sent(&state, &reader, &asking, &form, (&sender, external)).await?;
    let new = NewWord { request: number.to_owned(), status, sent };
    let id = if asking.is_test {
        let id = test_number(&new.sent.digest);
        state.registry.try_word(new).await?;
        id
    } else {
        let reported = state.registry.add_word(new).await?;
        changed(&state, &reported);
        reported.tracking
    };
    let answer = Node::Object(vec![("update_id", Node::text(id))]);
    Ok(asking.format.answer("service_request_updates", &Node::List("request_update", vec![answer])))
}

fn changed(state: &AppState, reported: &Reported) {
    state.covers_changed(reported.cover.as_slice());
}

/// What the test endpoint answers where a number would be.
fn test_number(digest: &[u8; 32]) -> String {
    let mark: String = digest.iter().take(6).map(|byte| format!("{byte:02X}")).collect();
    format!("TEST-{mark}")
}

fn missing(field: &'static str) -> Problem {
    Problem::bad_request(Refusal::new("form.missing").at(field).with("field", field))
}

/// All that is wrong, at once.
fn refused(reader: &Reader, asking: &Asking, wrong: &[Problem]) -> Response {
    let (status, body) = errors(reader.catalogue(), asking.format, wrong);
    let headers = [(header::CONTENT_TYPE, asking.format.content_type()), (header::CACHE_CONTROL, "no-store")];
    let mut response = (status, headers, body).into_response();
    response.extensions_mut().insert(Written);
    response
}

/// Whose key it is.
async fn sender(
    state: &AppState,
    asking: &Asking,
    form: &SentForm,
    From(network): From,
) -> Result<User, Problem> {
    asking.check_jurisdiction(state, form.field("jurisdiction_id"))?;
    let forbidden =
        |code| Problem { status: StatusCode::FORBIDDEN, refusal: Refusal::new(code).at("api_key") };
    let key = form.field("api_key").ok_or_else(|| forbidden("open311.key_missing"))?;
    match state.registry.find_open311_key(key).await? {
        Some(user) => Ok(user),
        None => {
            state.shared.tries.count(network, state.registry.now())?;
            Err(forbidden("open311.key_unknown"))
        }
    }
}

/// Attributes that we ask for must fit; others are for staff to read.
fn check_attributes(form: &SentForm, hazard: Option<Hazard>, wrong: &mut Vec<Problem>) {
    for attribute in ATTRIBUTES.iter().filter(|attribute| !attribute.keys.is_empty()) {
        let fits = attribute.keys.join(", ");
        let refusal = match form.attribute(attribute.code) {
            Some(read) if attribute.keys.contains(&read) => continue,
            Some(read) => Refusal::new("open311.attribute_value").with("read", shortened(read)),
            None if attribute.code == DANGER && hazard.is_some_and(asks_for_danger) => {
                Refusal::new("open311.attribute_missing")
            }
            None => continue,
        };
        let refusal = refusal.at(format!("attribute[{}]", attribute.code));
        wrong.push(Problem::bad_request(refusal.with("attribute", attribute.code).with("fits", fits)));
    }
}

/// Where it is: by the plate, by the code of the cover, by its place. An address alone says nothing that we can find,
/// unless it is such a code itself.
async fn find_spot(
    state: &AppState,
    form: &SentForm,
    lines: &mut Lines,
    wrong: &mut Vec<Problem>,
) -> Result<Option<Spot>, Problem> {
    let place = match (ordinate(form, "lat"), ordinate(form, "long")) {
        (Ok(Some(lat)), Ok(Some(lon))) => {
            let place = PhonePosition { lon, lat, accuracy_m: UNKNOWN_ACCURACY_M };
            if let Err(refusal) = place.check() {
                wrong.push(Problem::bad_request(refusal));
                return Ok(None);
            }
            Some(Spot::Place(place))
        }
        (Ok(None), Ok(None)) => None,
        (Ok(None), Ok(Some(_))) => {
            wrong.push(missing("lat"));
            return Ok(None);
        }
        (Ok(Some(_)), Ok(None)) => {
            wrong.push(missing("long"));
            return Ok(None);
        }
        (lat, long) => {
            wrong.extend([lat, long].into_iter().filter_map(Result::err).map(Problem::bad_request));
            return Ok(None);
        }
    };
    let mut unfit = Vec::new();
    if let Some(text) = form.attribute(PLATE) {
        match text.parse::<Token>() {
            Ok(token) => {
                let scanned = state.registry.find_plate(token).await?;
                match scanned.filter(|scanned| scanned.plate.state.is_live()).and_then(|found| found.cover) {
                    Some(cover) => return Ok(Some(Spot::Cover(cover.code.digits))),
                    None => unfit.push(Refusal::new("plate.unknown").at("attribute[PLATE]")),
                }
            }
            Err(refusal) => unfit.push(refusal.at("attribute[PLATE]")),
        }
    }
    for field in ["address_id", "address_string"] {
        let Some(text) = form.field(field) else { continue };
        match state.registry.find_cover_by_code(text).await? {
            Some(file) if file.retired.is_none() => return Ok(Some(Spot::Cover(file.code.digits))),
            _ if field == "address_id" => {
                let refusal = Refusal::new("open311.address_id").at(field).with("read", shortened(text));
                unfit.push(refusal);
                lines.add("open311.note_address_id", text);
            }
            _ => {
                if place.is_none() {
                    unfit.push(Refusal::new("open311.address_only").at(field));
                }
                lines.add("open311.note_address", text);
            }
        }
    }
    if place.is_none() {
        if unfit.is_empty() {
            unfit.push(Refusal::new("open311.no_location").at("lat"));
        }
        wrong.extend(unfit.into_iter().map(Problem::bad_request));
    }
    // A plate that was mistyped does not matter where the place is known; staff read what was typed.
    Ok(place)
}

fn ordinate(form: &SentForm, name: &'static str) -> Result<Option<f64>, Refusal> {
    let Some(text) = form.field(name) else { return Ok(None) };
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .map(Some)
        .ok_or_else(|| Refusal::new("form.number").at(name).with("field", name).with("read", shortened(text)))
}

/// What staff read below the text that was sent; in Chinese, as the desk's other words of ours.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, key: &'static str, value: &str) {
        self.0.push(words().fill(key, &[("value", &one_line(value))]));
    }

    fn add_attributes(&mut self, form: &SentForm) {
        for (code, value) in form.attributes() {
            let known = ATTRIBUTES.iter().find(|attribute| attribute.code == code);
            let (question, value) = match known {
                Some(attribute) => {
                    (words().text(attribute.question).to_owned(), attribute.word(words(), &value))
                }
                None => (code.to_owned(), value),
            };
            let (name, value) = (one_line(&question), one_line(&value));
            self.0.push(words().fill("open311.note_attribute", &[("name", &name), ("value", &value)]));
        }
    }

    /// Everything that came, ready to be filed. Links are kept as text: nothing is fetched from where somebody else says.
    async fn sent(
        mut self,
        state: &AppState,
        reader: &Reader,
        asking: &Asking,
        form: &SentForm,
        (sender, external): (&User, Option<&str>),
    ) -> Result<Sent, Problem> {
        for link in form.all("media_url").iter().chain(form.all("media_url[]")) {
            self.add("open311.note_media", link);
        }
        for (field, key) in [("account_id", "open311.note_account"), ("device_id", "open311.note_device")] {
            if let Some(value) = form.field(field) {
                self.add(key, value);
            }
        }
        self.add("open311.note_sender", &sender.name);
        let mut more = String::new();
        for line in self.0 {
            if more.chars().count() + line.chars().count() < MORE_CHARS {
                more.push_str(if more.is_empty() { "" } else { "\n" });
                more.push_str(&line);
            }
        }
        let name: Vec<&str> =
            ["first_name", "last_name"].iter().filter_map(|name| form.field(name)).collect();
        let name = Some(name.join(" ")).filter(|name| !name.is_empty());
        let contact: Vec<String> = name
            .into_iter()
            .chain(["phone", "email"].iter().filter_map(|field| form.field(field)).map(str::to_owned))
            .collect();
        let some = |field: &str| form.field(field).map(str::to_owned);
        Ok(Sent {
            actor: sender.actor(),
            sender: sender.id,
            external_id: external.map(str::to_owned),
            digest: form.digest(),
            text: form.field("description").unwrap_or_default().to_owned(),
            more,
            contact: Some(contact.join(" · ")).filter(|contact| !contact.is_empty()),
            account_id: some("account_id"),
            device_id: some("device_id"),
            media_url: some("media_url"),
            // The test endpoint leaves nothing behind.
            photos: if asking.is_test {
                Vec::new()
            } else {
                store_photos(state, form.photos.clone()).await?
            },
            language: reader.language.tag(),
        })
    }
}

fn words() -> &'static Catalogue {
    Catalogue::of(Language::Zh)
}

/// Text on one line, without what cannot be shown.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE_CHARS).collect()
}
