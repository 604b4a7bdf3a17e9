//! The engineers' map as files: a shell, its scripts, its words, and the library that draws. What it shows comes from
//! `/tiles/staff` and `/api/v1/map`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::edit_fields::crs_book;
use super::script_files::{SCRIPT, Spoken, revalidated, words_of};
use super::views::{self, MapView};
use super::{AppState, Problem};
use crate::config::{MapBase, MapSettings};
use crate::domain::Refusal;
use crate::domain::ids::Millis;
use crate::domain::role::Role;
use crate::tiles::TileKind;

const STYLE: &str = "text/css; charset=utf-8";

/// The page's own files: name in the address, media type, text.
macro_rules! files {
    ($($media_type:expr => [$($name:literal),* $(,)?]),* $(,)?) => {
        &[$($(($name, $media_type, include_str!(concat!("../../assets/web/map/", $name)))),*),*]
    };
}

static FILES: &[(&str, &str, &str)] = files![
    SCRIPT => [
        "api.js", "calendar.js", "changes.js", "clusters.js", "cover_layers.js", "file_panel.js", "filter_panel.js", "geometry.js", "ground.js",
        "list.js", "main.js", "overlays.js", "place.js", "question_answers.js", "question_forms.js", "questions.js", "results.js", "search.js",
        "state.js", "stats_panel.js", "streets.js", "symbols.js", "time.js", "tools.js", "words.js",
    ],
    STYLE => ["map.css"],
];

/// A file of the library as it is stored and sent: name, media type, brotli, gzip.
type Packed = (&'static str, &'static str, &'static [u8], &'static [u8]);

macro_rules! packed {
    ($($name:literal: $media_type:expr),* $(,)?) => {
        &[$((
            $name,
            $media_type,
            include_bytes!(concat!("../../assets/web/vendor/maplibre/", $name, ".br")),
            include_bytes!(concat!("../../assets/web/vendor/maplibre/", $name, ".gz")),
        )),*]
    };
}

static LIBRARY: &[Packed] = packed![
    "maplibre-gl.mjs": SCRIPT,
    "maplibre-gl-worker.mjs": SCRIPT,
    "maplibre-gl.css": STYLE,
];

/// Digest of the whole library, in its addresses: they may be kept for ever.
static LIBRARY_DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (_, _, brotli, _) in LIBRARY {
        digest.update(brotli);
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// Lists of the catalogue that the page shows beside its own words.
const LISTS: [&str; 12] = [
    "map.",
    "class.",
    "state.",
    "placement.",
    "material.",
    "position_method.",
    "fact.",
    "download.",
    "hazard.",
    "case_state.",
    "task_kind.",
    "sensor_state.",
];

/// Scripts and workers of this host; pictures and tiles of this host and of the servers that the city named.
fn policy(map: &MapSettings) -> HeaderValue {
    let others: String = map.origins().iter().map(|origin| format!(" {origin}")).collect();
    let policy = format!(
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:{others}; \
         connect-src 'self'{others}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("origins are visible ASCII")
}

/// What the page is told before it asks for anything.
async fn settings(state: &AppState, reader: &Reader, caller: &Caller) -> Result<String, Problem> {
    let (config, map) = (&state.config, &state.config.map);
    let role = caller.user.role;
    let may = |roles: &[Role]| role == Role::Admin || roles.contains(&role);
    let mut overlays = vec!["districts", "management", "grids", "cases"];
    if may(super::campaign_pages::TASK_DESK) {
        overlays.push("tasks");
    }
    if may(crate::domain::sensor::SENSOR_READERS) {
        overlays.push("sensors");
    }
    let first = state.registry.find_first_moment().await?;
    let middle = state.snapshot.load().rows().next().map(|row| [row.lon, row.lat]);
    let mut ground = json!({"base": map.base, "url": map.url});
    if map.base == MapBase::Tianditu {
        ground = json!({"base": map.base, "tiles": map.tianditu("vec"), "name_tiles": map.tianditu("cva")});
    }
    if let (MapBase::Pmtiles, Ok(tiles)) = (map.base, state.ground()) {
        let is_vector = tiles.kind == TileKind::Vector;
        ground = json!({"base": map.base, "is_vector": is_vector, "max_zoom": tiles.max_zoom});
    }
    let mut settings = json!({
        "library": format!("/map/lib/{}/", *LIBRARY_DIGEST),
        "language": reader.language.tag(),
        "city_zh": config.city_zh,
        "city_en": config.city_en,
        "city_attribution": config.attribution,
        "attribution": map.attribution,
        "max_zoom": map.max_zoom,
        "tile_size": map.tile_size,
        "center": middle.unwrap_or([105.0, 35.0]),
        "overlays": overlays,
        "history_from": first.map(|at| day_of(state, at)),
        "today": day_of(state, state.registry.now()),
        "csrf": caller.session.as_ref().map(|session| &session.csrf),
        "may_export": may(&[Role::Supervisor, Role::Engineer]),
        "systems": super::map_place::systems(&crs_book(state).await?, map, middle),
    });
    if let (Some(all), Some(more)) = (settings.as_object_mut(), ground.as_object_mut()) {
        all.append(more);
    }
    Ok(settings.to_string())
}

/// The day of a moment on the city's clock.
fn day_of(state: &AppState, at: Millis) -> String {
    let local = Millis(at.0 + i64::from(state.config.utc_offset_minutes) * 60_000).to_rfc3339();
    local.split('T').next().unwrap_or_default().to_owned()
}

/// What a link to the map may say; the page's scripts read it. In the fragment it would not outlive a log-in.
const LINKED: [&str; 29] = [
    "class",
    "state",
    "load_class",
    "material",
    "placement",
    "district",
    "owner",
    "maintainer",
    "has_plate",
    "open_case",
    "completeness_from",
    "completeness_to",
    "surveyed_from",
    "surveyed_to",
    "text",
    "filter",
    "bbox",
    "polygon",
    "near",
    "along",
    "buffer_m",
    "map",
    "at",
    "since",
    "cover",
    "ask",
    "on",
    "panel",
    "lang",
];

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(link): Asked<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    if let Some(unknown) = link.keys().find(|name| !LINKED.contains(&name.as_str())) {
        let reason = format!("unknown field {}", super::forms::shortened(unknown));
        return Err(Problem::bad_request(Refusal::new("http.query").with("reason", reason)));
    }
    let library = format!("/map/lib/{}/", *LIBRARY_DIGEST);
    let view = MapView { library, settings: settings(&state, &reader, &caller).await? };
    let mut response = page(views::map(&reader.page(&state, caller.session.as_ref()), view));
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy(&state.config.map));
    Ok(response)
}

pub(super) async fn words(Asked(spoken): Asked<Spoken>, headers: HeaderMap) -> Result<Response, Problem> {
    let words = words_of(spoken.language()?, &LISTS);
    Ok(revalidated(&headers, "application/json", words))
}

pub(super) async fn asset(
    Named(name): Named,
    _: Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, media_type, text) = FILES
        .iter()
        .find(|(known, _, _)| *known == name)
        .ok_or_else(|| Problem::not_found("http.unknown_address"))?;
    Ok(revalidated(&headers, media_type, (*text).to_owned()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Versioned {
    /// MapLibre asks for its worker with its own version.
    #[serde(rename = "v")]
    _version: Option<String>,
}

/// A file of the library, in the encoding in which it is stored.
pub(super) async fn library(
    State(state): State<AppState>,
    Path((digest, name)): Path<(String, String)>,
    _: Asked<Versioned>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = LIBRARY.iter().find(|(known, ..)| *known == name && digest == *LIBRARY_DIGEST);
    let (_, media_type, brotli, gzip) = file.ok_or_else(|| Problem::not_found("http.unknown_address"))?;
    let takes = |encoding: &str| {
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        accepted.unwrap_or_default().split(',').any(|one| {
            let (name, quality) = one.split_once(';').unwrap_or((one, "q=1"));
            name.trim() == encoding && !["q=0", "q=0.0", "q=0.00", "q=0.000"].contains(&quality.trim())
        })
    };
    let (encoding, bytes) = if takes("br") {
        ("br", (*brotli).to_vec())
    } else if takes("gzip") {
        ("gzip", (*gzip).to_vec())
    } else {
        let mut plain = Vec::new();
        let unpacked = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(*gzip), &mut plain);
        unpacked.map_err(|error| super::problem::from_io(&error))?;
        ("identity", plain)
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_ENCODING, HeaderValue::from_static(encoding)),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        // A worker is held to the policy of its own answer.
        (header::CONTENT_SECURITY_POLICY, policy(&state.config.map)),
    ];
    Ok((headers, bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Catalogue, Language};
    use std::collections::BTreeSet;

    fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
        FILES.iter().filter(|(_, media_type, _)| *media_type == SCRIPT).map(|(name, _, text)| (*name, *text))
    }

    #[test]
    fn every_file_that_a_script_names_is_handed_out() {
        let known: BTreeSet<&str> = FILES.iter().map(|(name, _, _)| *name).collect();
        for (name, script) in scripts() {
            for wanted in script.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(known.contains(wanted), "{name} imports {wanted}");
            }
            assert!(!script.contains("innerHTML") && !script.contains("eval("), "{name}");
            assert!(!script.contains("https://") && !script.contains("http://"), "{name} names another host");
            assert!(
                !script.contains("style=") && !script.contains("style:"),
                "{name}: the policy refuses it"
            );
        }
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/web/map");
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            assert!(known.contains(&*name), "{name} is not handed out");
        }
    }

    #[test]
    fn the_words_of_the_scripts_and_of_the_catalogue_are_the_same() {
        let catalogue = Catalogue::of(Language::En);
        let mut used = BTreeSet::new();
        let mut starts = BTreeSet::new();
        let is_key = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        for (name, script) in scripts() {
            used.extend(script.split('"').skip(1).step_by(2).filter(|text| is_key(text)));
            for call in
                script.split(" t(\"").chain(script.split("(t(\"")).chain(script.split("{t(\"")).skip(1)
            {
                let Some((key, rest)) = call.split_once('"') else { continue };
                if !is_key(key) {
                    continue;
                }
                if rest.starts_with(" +") {
                    starts.insert(key);
                } else if rest.starts_with([')', ',']) {
                    assert!(catalogue.has(&format!("map.{key}")), "{name} says {key}");
                }
            }
        }
        let template = include_str!("../../templates/map.html");
        for key in catalogue.keys().filter_map(|key| key.strip_prefix("map.")) {
            let is_used = used.contains(key)
                || starts.iter().any(|start| key.starts_with(start))
                || template.contains(&format!("\"map.{key}\""));
            assert!(is_used || key == "nav", "nothing says map.{key}");
        }
        for class in crate::domain::cover::CoverClass::ALL {
            assert!(catalogue.has(&format!("map.sign_{class}")), "no sign for {class}");
        }
    }

    #[test]
    fn the_library_is_what_its_list_of_digests_says() {
        use std::fmt::Write;
        let list = include_str!("../../assets/web/vendor/maplibre/SHA256SUMS");
        for (name, _, brotli, gzip) in LIBRARY {
            let mut from_gzip = Vec::new();
            let mut from_brotli = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(*gzip), &mut from_gzip).unwrap();
            std::io::Read::read_to_end(
                &mut brotli_decompressor::Decompressor::new(*brotli, 4096),
                &mut from_brotli,
            )
            .unwrap();
            assert!(from_gzip == from_brotli, "{name}: two encodings, two files");
            let digest = Sha256::digest(&from_gzip).iter().fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").unwrap();
                text
            });
            assert!(list.contains(&format!("{digest}  {name}")), "{name} has {digest}");
        }
    }

    #[test]
    fn the_policy_lets_through_what_the_city_named_and_nothing_else() {
        let text = |map: &MapSettings| policy(map).to_str().unwrap().to_owned();
        let bare = text(&MapSettings::default());
        assert!(bare.contains("connect-src 'self';") && !bare.contains("://"), "{bare}");
        let url = "https://tiles.example.cn/{z}/{x}/{y}.png".to_owned();
        let xyz = text(&MapSettings { base: MapBase::Xyz, url, ..MapSettings::default() });
        assert!(xyz.contains("connect-src 'self' https://tiles.example.cn;"), "{xyz}");
        assert_eq!(xyz.matches("://").count(), 2, "{xyz}");
        assert!(!xyz.contains("unsafe"), "{xyz}");
    }
}
