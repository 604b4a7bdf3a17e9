//! OGC API – Features Part 4 (20-002r1): covers created, replaced, updated and deleted by programs that edit maps, through
//! the same verbs as our own pages. Deleting retires: a code and a file stay for ever.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::crs::{System, Systems};
use super::{Asking, Collection, Incoming, covers, unknown_feature};
use crate::domain::Refusal;
use crate::domain::edit::{CodeChoice, CoverEdit, PlatesGo, RetireReason};
use crate::domain::ids::{CoverId, IdempotencyKey};
use crate::http::ask::{Named, has_media_type, idempotency_key, parse_json};
use crate::http::auth::Caller;
use crate::http::conflict;
use crate::http::edit_fields::SetBody;
use crate::http::forms::shortened;
use crate::http::{AppState, Problem};
use crate::registry::{Amended, CoverOrder, FieldEdit, NewManhole, Retirement};

/// What may stand behind the question mark of a change.
const PARAMETERS: &[&str] = &["reason"];
const DELETE_PARAMETERS: &[&str] = &["reason", "retire_reason"];

/// Properties that always have a value.
const NEEDED: &[&str] = &["class", "state", "district"];
/// Those of which nothing may be known.
const OPTIONAL: &[&str] = &["road", "placement", "material", "shape", "load_class"];
/// Parties, by name and by id.
const PARTIES: &[(&str, &str)] = &[("owner", "owner_id"), ("maintainer", "maintainer_id")];
/// What the registry knows by itself.
const OWN: &[&str] =
    &["code", "scheme", "has_plate", "open_case", "surveyed_on", "installed", "completeness", "id"];

/// A feature as it was sent.
struct Sent {
    /// `None` where the body does not speak of it.
    geometry: Option<Value>,
    properties: Map<String, Value>,
}

/// How much of a feature a body tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What it does not name is not known.
    Whole,
    /// What it does not name stays.
    Part,
}

/// Somebody who changes covers, and what they sent.
struct Change {
    state: AppState,
    caller: Caller,
    asking: Asking,
    headers: HeaderMap,
    /// In which the coordinates of the body are.
    system: System,
    sent: Sent,
}

impl Change {
    async fn hear(
        state: &AppState,
        caller: Caller,
        request: Request,
        (collection, media_types): (&str, &[&str]),
        known: &[&str],
    ) -> Result<Self, Problem> {
        let collection = Collection::named(collection)?;
        let (mut parts, body) = request.into_parts();
        let Ok(incoming) = Incoming::from_request_parts(&mut parts, state).await;
        let headers = parts.headers.clone();
        let asking = Asking::of_caller(state, incoming, Some(caller.clone()), known)?;
        if collection != Collection::Covers {
            let refusal = Refusal::new("ogc.read_only").with("collection", collection.id());
            return Err(Problem { status: StatusCode::METHOD_NOT_ALLOWED, refusal });
        }
        let system = body_system(&headers, &Systems::of(state))?;
        let sent = if media_types.is_empty() {
            Sent { geometry: None, properties: Map::new() }
        } else {
            if !media_types.iter().any(|fits| has_media_type(&headers, fits)) {
                let refusal = Refusal::new("http.media_type").with("fits", media_types.join(", "));
                return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
            }
            let bytes = Bytes::from_request(Request::from_parts(parts, body), state)
                .await
                .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "http.too_large"))?;
            Sent::read(&bytes)?
        };
        Ok(Self { state: state.clone(), caller, asking, headers, system, sent })
    }

    /// A key of the sender's, or one of ours: then the same request again is another one.
    fn key(&self) -> Result<IdempotencyKey, Problem> {
        if self.headers.contains_key("idempotency-key") {
            return idempotency_key(&self.headers);
        }
        Ok(IdempotencyKey(uuid::Uuid::now_v7()))
    }

    fn reason(&self) -> String {
        self.asking.params.get("reason").unwrap_or_default().to_owned()
    }

    fn order<T>(&self, code: &str, version: i64, what: T) -> Result<CoverOrder<T>, Problem> {
        Ok(CoverOrder {
            key: self.key()?,
            code: code.to_owned(),
            expected_version: version,
            reason: self.reason(),
            actor: self.caller.actor(),
            what,
        })
    }

    /// What shall be set, given what there is; `now` is the feature as it stands, in the system of the body.
    async fn edit(&self, now: Option<&Value>, extent: Extent) -> Result<CoverEdit, Problem> {
        let mut set = Map::new();
        let given = &self.sent.properties;
        let now_of = |name: &str| now.map_or(&Value::Null, |now| &now["properties"][name]);
        for name in NEEDED {
            match given.get(*name) {
                Some(Value::Null) if extent == Extent::Part => {
                    return Err(Refusal::new("form.missing").at(*name).with("field", *name).into());
                }
                None | Some(Value::Null) => {}
                Some(value) => {
                    set.insert((*name).to_owned(), value.clone());
                }
            }
        }
        for name in OPTIONAL {
            match given.get(*name) {
                Some(value) => set.insert((*name).to_owned(), value.clone()),
                None if extent == Extent::Whole => set.insert((*name).to_owned(), Value::Null),
                None => None,
            };
        }
        for (name, id) in PARTIES {
            let is_new = |field: &str| given.get(field).filter(|value| *value != now_of(field));
            let party = match (is_new(id), is_new(name)) {
                (Some(id), _) => Some(id.clone()),
                (None, Some(Value::String(name))) => Some(self.party_named(name).await?),
                (None, Some(other)) => Some(other.clone()),
                (None, None)
                    if extent == Extent::Whole && !given.contains_key(*id) && !given.contains_key(*name) =>
                {
                    Some(Value::Null)
                }
                (None, None) => None,
            };
            set.extend(party.map(|party| ((*name).to_owned(), party)));
        }
        self.check_own(now_of)?;
        if let Some(position) = self.position(now)? {
            set.insert("position".to_owned(), position);
        }
        let set: SetBody = serde_json::from_value(Value::Object(set))
            .map_err(|error| Refusal::new("http.json_data").with("reason", error))?;
        set.edit(&self.state).await
    }

    /// Refuses what nobody can set, unless it says what is so already.
    fn check_own<'n>(&self, now_of: impl Fn(&str) -> &'n Value) -> Result<(), Problem> {
        let known = |name: &str| {
            NEEDED.contains(&name)
                || OPTIONAL.contains(&name)
                || PARTIES.iter().any(|(party, id)| *party == name || *id == name)
        };
        for (name, value) in &self.sent.properties {
            if known(name) || value.is_null() || OWN.contains(&name.as_str()) && value == now_of(name) {
                continue;
            }
            let fits: Vec<&str> = NEEDED
                .iter()
                .chain(OPTIONAL)
                .copied()
                .chain(PARTIES.iter().flat_map(|(name, id)| [*name, *id]))
                .collect();
            let refusal = Refusal::new("ogc.not_to_set").at("properties").with("read", shortened(name));
            return Err(refusal.with("fits", fits.join(", ")).into());
        }
        Ok(())
    }

    async fn party_named(&self, name: &str) -> Result<Value, Problem> {
        let parties = self.state.registry.list_parties().await?;
        let mut fitting = parties.iter().filter(|party| party.name == name);
        match (fitting.next(), fitting.next()) {
            (Some(party), None) => Ok(json!(party.id)),
            _ => Err(Refusal::new("party.unknown").at("owner").with("read", shortened(name)).into()),
        }
    }

    /// The place that was sent, as far as it is another one than now.
    fn position(&self, now: Option<&Value>) -> Result<Option<Value>, Problem> {
        let Some(geometry) = &self.sent.geometry else { return Ok(None) };
        let wrong = || Problem::from(Refusal::new("ogc.point").at("geometry"));
        let numbers = |geometry: &Value| -> Option<[f64; 2]> {
            let coordinates = geometry["coordinates"].as_array().filter(|_| geometry["type"] == "Point")?;
            match coordinates.as_slice() {
                [first, second] | [first, second, _] => Some([first.as_f64()?, second.as_f64()?]),
                _ => None,
            }
        };
        let [first, second] = numbers(geometry).ok_or_else(wrong)?;
        if now.and_then(|now| numbers(&now["geometry"])) == Some([first, second]) {
            return Ok(None);
        }
        let (x, y) = self.system.east_north(first, second);
        Ok(Some(json!({"x": x, "y": y, "crs": self.system.short_name()})))
    }

    /// The answer to a change: the feature as it is now, or what happened meanwhile.
    async fn answer(&self, amended: Amended) -> Result<Response, Problem> {
        match amended {
            Amended::Done(file) => {
                self.state.covers_changed(&[file.cover]);
                let mut response = self.feature(file.cover, file.version).await?;
                let at = self.address(&file.code.digits)?;
                response.headers_mut().insert(header::CONTENT_LOCATION, at);
                Ok(response)
            }
            meanwhile => {
                let (reader, wanted) = (&self.asking.reader, &self.sent.properties);
                Ok(conflict::answer(&self.state, reader, meanwhile, StatusCode::OK, wanted))
            }
        }
    }

    async fn feature(&self, cover: CoverId, version: i64) -> Result<Response, Problem> {
        let row = covers::newest_row(&self.state, cover).await?;
        let row = row.ok_or_else(|| unknown_feature(&cover.to_string()))?;
        Ok(covers::one(&self.state, &self.asking, row, &self.system, Some(version)))
    }

    fn address(&self, code: &str) -> Result<HeaderValue, Problem> {
        let code = crate::http::auth::percent_encode(code);
        HeaderValue::try_from(format!("{}/ogc/collections/covers/items/{code}", self.asking.base))
            .map_err(|_| Problem::broken())
    }
}

impl Sent {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let mut said: Map<String, Value> = parse_json(bytes)?;
        let wrong = || Problem::from(Refusal::new("ogc.no_feature"));
        if said.get("type").is_some_and(|kind| kind != "Feature") {
            return Err(wrong());
        }
        let properties = match said.remove("properties") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(properties)) => properties,
            Some(_) => return Err(wrong()),
        };
        Ok(Self { geometry: said.remove("geometry"), properties })
    }
}

/// The system that `Content-Crs` names; CRS84 without it.
fn body_system(headers: &HeaderMap, systems: &Systems) -> Result<System, Problem> {
    let Some(value) = headers.get("content-crs") else { return Ok(System::crs84()) };
    let uri = value.to_str().unwrap_or_default().trim().trim_start_matches('<').trim_end_matches('>');
    systems.find(uri).ok_or_else(|| {
        let refusal = Refusal::new("ogc.crs").with("field", "Content-Crs").with("read", shortened(uri));
        Problem::bad_request(refusal.with("fits", systems.uris().join(" ")))
    })
}

/// The version that a change is meant for. Without `If-Match` it is the one there is now, unless a whole feature would
/// be written over what somebody else said meanwhile.
fn expected_version(headers: &HeaderMap, now: i64, is_needed: bool) -> Result<i64, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        if is_needed {
            let refusal = Refusal::new("precondition.missing").at("If-Match");
            return Err(Problem { status: StatusCode::PRECONDITION_REQUIRED, refusal });
        }
        return Ok(now);
    };
    let text = value.to_str().unwrap_or_default().trim();
    let tags = || text.split(',').map(str::trim);
    if text == "*" || tags().any(|tag| tag == format!("\"{now}\"")) {
        return Ok(now);
    }
    // What is no tag of ours is of before everything.
    Ok(tags().find_map(|tag| tag.trim_matches('"').parse().ok()).unwrap_or_default())
}

pub(in crate::http) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Named(collection): Named,
    request: Request,
) -> Result<Response, Problem> {
    let media_types = ["application/geo+json", "application/json"];
    let mut change = Change::hear(&state, caller, request, (&collection, &media_types), PARAMETERS).await?;
    // A program that lets people fill in the code sends it along.
    let code = change.sent.properties.remove("code").filter(|code| !code.is_null());
    let edit = change.edit(None, Extent::Whole).await?;
    let class = edit.class.ok_or_else(|| Refusal::new("form.missing").at("class").with("field", "class"))?;
    let new = NewManhole {
        key: change.key()?,
        actor: change.caller.actor(),
        class,
        state: edit.state.unwrap_or(crate::domain::cover::CoverState::Intact),
        edit,
        code: code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned)),
        reason: change.reason(),
    };
    let file = state.registry.register_manhole(new).await?;
    let mut response = change.feature(file.cover, file.version).await?;
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::LOCATION, change.address(&file.code.digits)?);
    Ok(response)
}

pub(in crate::http) async fn replace(
    State(state): State<AppState>,
    caller: Caller,
    Path((collection, feature)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let media_types = ["application/geo+json", "application/json"];
    let change = Change::hear(&state, caller, request, (&collection, &media_types), PARAMETERS).await?;
    if change.sent.geometry.is_none() {
        return Err(Refusal::new("ogc.point").at("geometry").into());
    }
    amend(change, &feature, Extent::Whole).await
}

pub(in crate::http) async fn update(
    State(state): State<AppState>,
    caller: Caller,
    Path((collection, feature)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let media_types = ["application/merge-patch+json", "application/geo+json", "application/json"];
    let change = Change::hear(&state, caller, request, (&collection, &media_types), PARAMETERS).await?;
    amend(change, &feature, Extent::Part).await
}

async fn amend(change: Change, code: &str, extent: Extent) -> Result<Response, Problem> {
    let state = &change.state;
    let (file, row) = covers::find_in_use(state, code).await?;
    let version = expected_version(&change.headers, file.version, extent == Extent::Whole)?;
    let now = covers::as_json(state, row, &change.system);
    let edit = change.edit(Some(&now), extent).await?;
    if edit.is_empty() {
        return change.answer(Amended::Done(Box::new(file))).await;
    }
    let what = FieldEdit { edit, code: CodeChoice::ByScheme };
    let order = change.order(&file.code.digits, version, what)?;
    let amended = state.registry.edit_cover(order).await?;
    change.answer(amended).await
}

pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((collection, feature)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let change = Change::hear(&state, caller, request, (&collection, &[]), DELETE_PARAMETERS).await?;
    let (file, _) = covers::find_in_use(&state, &feature).await?;
    let version = expected_version(&change.headers, file.version, false)?;
    let reason = change.asking.params.get("retire_reason");
    let reason = reason.map_or(Ok(RetireReason::Removed), str::parse)?;
    let what = Retirement { reason, successor: None, plates: PlatesGo::Withdrawn };
    let mut order = change.order(&file.code.digits, version, what)?;
    if order.reason.trim().is_empty() {
        order.reason = change.asking.words().text("ogc.deleted").to_owned();
    }
    match state.registry.retire_cover(order).await? {
        Amended::Done(file) => {
            state.covers_changed(&[file.cover]);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        meanwhile => {
            let reader = &change.asking.reader;
            Ok(conflict::answer(&state, reader, meanwhile, StatusCode::OK, &Map::new()))
        }
    }
}

/// What can be done with the features of a collection (Part 4, 6.6).
pub(in crate::http) async fn items_options(Named(collection): Named) -> Result<Response, Problem> {
    options(&collection, &[Method::GET, Method::HEAD, Method::OPTIONS, Method::POST])
}

/// What can be done with one feature.
pub(in crate::http) async fn item_options(
    Path((collection, _)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let methods = [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::PATCH, Method::DELETE];
    options(&collection, &methods)
}

fn options(collection: &str, methods: &[Method]) -> Result<Response, Problem> {
    let is_written = Collection::named(collection)? == Collection::Covers;
    let allowed: Vec<&str> =
        methods.iter().filter(|method| is_written || method.is_safe()).map(Method::as_str).collect();
    Ok((StatusCode::NO_CONTENT, [(header::ALLOW, allowed.join(", "))]).into_response())
}
