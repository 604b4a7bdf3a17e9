//! OGC API – Features, Parts 1 (1.0), 2, 3 with CQL2, and 4: the city's covers, manholes, cases, plates and districts for programs that read
//! maps. Anybody sees what the publish list names; with a log-in or a token there is more of each cover, at
//! the same addresses and never from the same cache.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::ask::{Named, Reader};
use super::auth;
use super::open311::own_address;
use super::{AppState, Problem};
use crate::cql2;
use crate::domain::Refusal;
use crate::domain::table_layer::TableLayer;

mod covers;
mod crs;
mod definition;
mod districts;
mod edits;
mod feature_page;
mod features;
mod pages;
mod params;
mod queryables;
mod question;
mod tables;

use crs::Systems;
pub(super) use edits::{create, delete, item_options, items_options, replace, update};
use features::{Links, Media};
use params::Params;
pub(super) use tables::FeatureCounts;

/// What we hold to, by the identifiers that clients look for.
const CONFORMANCE: &[&str] = &[
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/create-replace-delete",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/update",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/optimistic-locking-etags",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/features",
];

/// A collection of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collection {
    Covers,
    Districts,
    /// Whose features are rows of the tables.
    Table(TableLayer),
}

impl Collection {
    const ALL: [Self; 5] = [
        Self::Covers,
        Self::Table(TableLayer::Manholes),
        Self::Table(TableLayer::Cases),
        Self::Districts,
        Self::Table(TableLayer::Plates),
    ];

    const fn id(self) -> &'static str {
        match self {
            Self::Covers => "covers",
            Self::Districts => "districts",
            Self::Table(layer) => layer.as_str(),
        }
    }

    /// Whether anybody may see some of it.
    const fn is_public(self) -> bool {
        match self {
            Self::Covers | Self::Districts => true,
            Self::Table(layer) => layer.is_public(),
        }
    }

    /// Those that somebody sees.
    fn visible_to(is_staff: bool) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |collection| is_staff || collection.is_public())
    }

    fn named(id: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|collection| collection.id() == id).ok_or_else(|| {
            let fits = Self::ALL.map(Self::id).join(", ");
            let refusal = Refusal::new("ogc.unknown_collection").with("read", super::forms::shortened(id));
            Problem { status: StatusCode::NOT_FOUND, refusal: refusal.with("fits", fits) }
        })
    }
}

/// A request of which nothing is understood yet.
pub(super) struct Incoming {
    reader: Reader,
    headers: HeaderMap,
    query: Option<String>,
}

impl FromRequestParts<AppState> for Incoming {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        Ok(Self {
            reader: Reader::from_request_parts(parts, state).await?,
            headers: parts.headers.clone(),
            query: parts.uri.query().map(str::to_owned),
        })
    }
}

/// Who asks, for what, and how the answer is written.
struct Asking {
    reader: Reader,
    params: Params,
    media: Media,
    /// Scheme and host under which we were asked.
    base: String,
    caller: Option<auth::Caller>,
}

impl Asking {
    async fn of(state: &AppState, incoming: Incoming, known: &[&str]) -> Result<Self, Problem> {
        let caller = auth::find_reader(state, &incoming.headers).await?;
        Self::of_caller(state, incoming, caller, known)
    }

    /// Where who asks decides what may be asked.
    fn of_caller(
        state: &AppState,
        incoming: Incoming,
        caller: Option<auth::Caller>,
        known: &[&str],
    ) -> Result<Self, Problem> {
        let Incoming { reader, headers, query } = incoming;
        let params = Params::read(query.as_deref().unwrap_or_default(), known)?;
        let media = Media::wanted(&params, &headers)?;
        Ok(Self { base: own_address(state, &headers), reader, params, media, caller })
    }

    fn is_staff(&self) -> bool {
        self.caller.is_some()
    }

    /// Refuses strangers what is for staff alone.
    fn check_sees(&self, collection: Collection) -> Result<(), Problem> {
        if collection.is_public() || self.is_staff() {
            return Ok(());
        }
        Err(auth::unknown_caller())
    }

    fn words(&self) -> &'static crate::messages::Catalogue {
        self.reader.catalogue()
    }

    /// What all of it is called.
    fn title(&self, state: &AppState) -> String {
        let config = &state.config;
        let is_chinese = self.reader.language == crate::messages::Language::Zh;
        self.words().fill_one("ogc.title", "city", if is_chinese { &config.city_zh } else { &config.city_en })
    }

    /// To the collection that a feature is of.
    fn link_to(&self, collection: Collection) -> Value {
        let href = format!("{}/ogc/collections/{}?f=json", self.base, collection.id());
        json!({"rel": "collection", "type": "application/json", "href": href})
    }

    fn links(&self, path: &str) -> Links {
        Links::new(&self.base, path, &self.params)
    }

    /// JSON, or the same as a page.
    fn answer(&self, state: &AppState, media_type: &'static str, said: Value, title: &str) -> Response {
        match self.media {
            Media::Json => self.dressed(media_type, said.to_string().into_response()),
            Media::Html => {
                let page = self.reader.page(state, self.session());
                self.dressed("text/html; charset=utf-8", Html(pages::of(&page, title, &said)).into_response())
            }
        }
    }

    fn session(&self) -> Option<&crate::registry::Session> {
        self.caller.as_ref().and_then(|caller| caller.session.as_ref())
    }

    /// To a feature under the code that it has now, asked for in the same way. Codes may come back: nobody keeps it.
    fn moved(&self, collection: Collection, id: &str) -> Response {
        let (id, query) = (auth::percent_encode(id), self.params.without(&[]));
        let mark = if query.is_empty() { "" } else { "?" };
        let target = format!("/ogc/collections/{}/items/{id}{mark}{query}", collection.id());
        let mut response = Redirect::permanent(&target).into_response();
        self.say_who_keeps(response.headers_mut());
        response
    }

    /// What staff see is kept by nobody on the way.
    fn dressed(&self, media_type: &'static str, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        self.say_who_keeps(headers);
        response
    }

    fn say_who_keeps(&self, headers: &mut HeaderMap) {
        let cache = if self.is_staff() { "private, no-store" } else { "no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(
            header::VARY,
            HeaderValue::from_static("accept, accept-language, authorization, cookie, host"),
        );
    }
}

pub(super) async fn landing(State(state): State<AppState>, incoming: Incoming) -> Result<Response, Problem> {
    let asking = Asking::of(&state, incoming, &["f"]).await?;
    let (words, title) = (asking.words(), asking.title(&state));
    let mut links = asking.links("/ogc").own("application/json");
    for (rel, path, media_type, key) in [
        ("service-desc", "/ogc/api", definition::MEDIA_TYPE, "ogc.service_desc"),
        ("service-doc", "/ogc/api?f=html", "text/html", "ogc.service_doc"),
        ("conformance", "/ogc/conformance", "application/json", "ogc.conformance"),
        ("data", "/ogc/collections", "application/json", "ogc.collections"),
        (
            "http://www.opengis.net/def/rel/ogc/1.0/functions",
            "/ogc/functions",
            "application/json",
            "ogc.functions",
        ),
        (
            "http://www.opengis.net/def/rel/ogc/1.0/conformance",
            "/ogc/conformance",
            "application/json",
            "ogc.conformance",
        ),
    ] {
        links.push(json!({"rel": rel, "type": media_type, "href": format!("{}{path}", asking.base), "title": words.text(key)}));
    }
    let said = json!({"title": title, "description": words.text("ogc.lead"), "links": links});
    Ok(asking.answer(&state, "application/json", said, &title))
}

pub(super) async fn conformance(
    State(state): State<AppState>,
    incoming: Incoming,
) -> Result<Response, Problem> {
    let asking = Asking::of(&state, incoming, &["f"]).await?;
    let classes: Vec<&str> = CONFORMANCE.iter().chain(cql2::CONFORMANCE).copied().collect();
    let links = asking.links("/ogc/conformance").own("application/json");
    let said = json!({"conformsTo": classes, "links": links});
    Ok(asking.answer(&state, "application/json", said, asking.words().text("ogc.conformance")))
}

/// The functions of filters that the standard does not have (CQL2, 7.10).
pub(super) async fn functions(
    State(state): State<AppState>,
    incoming: Incoming,
) -> Result<Response, Problem> {
    let asking = Asking::of(&state, incoming, &["f"]).await?;
    let arguments = |function: &cql2::Function| -> Vec<Value> {
        function.arguments.iter().map(|(name, kind)| json!({"title": name, "type": [kind]})).collect()
    };
    let functions: Vec<Value> = cql2::FUNCTIONS
        .iter()
        .map(|function| {
            json!({"name": function.name, "arguments": arguments(function), "returns": [function.returns]})
        })
        .collect();
    let links = asking.links("/ogc/functions").own("application/json");
    let said = json!({"functions": functions, "links": links});
    Ok(asking.answer(&state, "application/json", said, asking.words().text("ogc.functions")))
}

pub(super) async fn definition(
    State(state): State<AppState>,
    incoming: Incoming,
) -> Result<Response, Problem> {
    let asking = Asking::of(&state, incoming, &["f"]).await?;
    let said = definition::write(&state, &asking);
    Ok(asking.answer(&state, definition::MEDIA_TYPE, said, asking.words().text("ogc.service_doc")))
}

pub(super) async fn collections(
    State(state): State<AppState>,
    incoming: Incoming,
) -> Result<Response, Problem> {
    let asking = Asking::of(&state, incoming, &["f"]).await?;
    let systems = Systems::of(&state);
    let mut listed = Vec::new();
    for collection in Collection::visible_to(asking.is_staff()) {
        listed.push(describe(&state, &asking, &systems, collection).await?);
    }
    let links = asking.links("/ogc/collections").own("application/json");
    let said = json!({"links": links, "crs": systems.uris(), "collections": listed});
    Ok(asking.answer(&state, "application/json", said, asking.words().text("ogc.collections")))
}

pub(super) async fn collection(
    State(state): State<AppState>,
    incoming: Incoming,
    Named(id): Named,
) -> Result<Response, Problem> {
    let collection = Collection::named(&id)?;
    let asking = Asking::of(&state, incoming, &["f"]).await?;
    asking.check_sees(collection)?;
    let said = describe(&state, &asking, &Systems::of(&state), collection).await?;
    let title = said["title"].as_str().unwrap_or_default().to_owned();
    Ok(asking.answer(&state, "application/json", said, &title))
}

/// What a collection is; the same in the list and alone.
async fn describe(
    state: &AppState,
    asking: &Asking,
    systems: &Systems,
    collection: Collection,
) -> Result<Value, Problem> {
    let (id, words) = (collection.id(), asking.words());
    let path = format!("/ogc/collections/{id}");
    let links = Links::plain(&asking.base, &path);
    let mut list = links.own("application/json");
    let href = |tail: &str| format!("{}{path}{tail}", asking.base);
    list.extend([
        json!({"rel": "items", "type": "application/geo+json", "href": href("/items?f=json")}),
        json!({"rel": "items", "type": "text/html", "href": href("/items?f=html")}),
        json!({"rel": "http://www.opengis.net/def/rel/ogc/1.0/queryables", "type": "application/schema+json",
            "href": href("/queryables?f=json")}),
    ]);
    let mut said = json!({
        "id": id,
        "title": words.word("ogc_collection", id),
        "description": words.word("ogc_collection_lead", id),
        "itemType": "feature",
        "crs": systems.uris(),
        "storageCrs": crs::STORAGE,
        "links": list,
    });
    let extent = match collection {
        Collection::Covers => covers::extent(state, asking.is_staff()),
        Collection::Districts => districts::extent(state).await?,
        // All rows would have to be read.
        Collection::Table(_) => None,
    };
    if let Some(extent) = extent {
        said["extent"] = extent;
    }
    Ok(said)
}

pub(super) async fn queryables(
    State(state): State<AppState>,
    incoming: Incoming,
    Named(id): Named,
) -> Result<Response, Problem> {
    let collection = Collection::named(&id)?;
    let asking = Asking::of(&state, incoming, &["f"]).await?;
    asking.check_sees(collection)?;
    let said = queryables::describe(&state, &asking, collection);
    Ok(asking.answer(&state, "application/schema+json", said, asking.words().text("ogc.queryables")))
}

pub(super) async fn items(
    State(state): State<AppState>,
    incoming: Incoming,
    Named(id): Named,
) -> Result<Response, Problem> {
    let collection = Collection::named(&id)?;
    match collection {
        Collection::Covers => covers::items(&state, incoming).await,
        Collection::Districts => districts::items(&state, incoming).await,
        Collection::Table(layer) => tables::items(&state, incoming, layer).await,
    }
}

pub(super) async fn item(
    State(state): State<AppState>,
    incoming: Incoming,
    axum::extract::Path((id, feature)): axum::extract::Path<(String, String)>,
) -> Result<Response, Problem> {
    let collection = Collection::named(&id)?;
    let asking = Asking::of(&state, incoming, &["f", "crs"]).await?;
    match collection {
        Collection::Covers => covers::item(&state, &asking, &feature).await,
        Collection::Districts => districts::item(&state, &asking, &feature).await,
        Collection::Table(layer) => tables::item(&state, &asking, layer, &feature).await,
    }
}

fn unknown_feature(read: &str) -> Problem {
    let refusal = Refusal::new("ogc.unknown_feature").with("read", super::forms::shortened(read));
    Problem { status: StatusCode::NOT_FOUND, refusal }
}
