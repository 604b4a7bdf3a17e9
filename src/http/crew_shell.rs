//! The crew's page as files: a shell without any data, which a phone keeps and opens with no signal. What crews do goes
//! through `/api/v1/crew`; this room only hands out files and the words that stand on them.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Problem;
use super::ask::{Asked, Named, Nothing, Reader};
use super::script_files::{SCRIPT, Spoken, revalidated, words_of};
use crate::messages::Language;

/// A file of the shell: name in the address, media type, bytes.
type File = (&'static str, &'static str, &'static [u8]);

/// The files below `/crew/`, each compiled in.
macro_rules! files {
    ($($folder:literal: $media_type:expr => [$($name:literal),* $(,)?]),* $(,)?) => {
        &[$($((
            $name, $media_type, include_bytes!(concat!("../../assets/web/", $folder, "/", $name)).as_slice(),
        )),*),*]
    };
}

static FILES: &[File] = files![
    "crew": SCRIPT => [
        "api.js", "covers.js", "db.js", "dom.js", "drafts.js", "form.js", "geo.js", "gnss.js", "main.js", "map.js",
        "parts.js", "photos.js", "queue.js", "scan.js", "signal.js", "sync.js", "token.js", "update.js",
        "view_check.js", "view_cover.js", "view_drawn.js", "view_fit.js", "view_list.js", "view_map.js", "view_more.js",
        "view_packages.js", "view_plate.js", "view_question.js", "view_queue.js", "view_report.js", "view_scan.js",
        "view_survey.js", "view_task.js", "words.js",
    ],
    "crew": "text/css; charset=utf-8" => ["crew.css"],
    "crew": "image/svg+xml" => ["icon.svg"],
    "crew": "image/png" => ["icon-180.png", "icon-192.png", "icon-512.png"],
    "vendor/zxing-wasm": SCRIPT => ["zxing_reader.js"],
    "vendor/zxing-wasm": "application/wasm" => ["zxing_reader.wasm"],
];

const SHELL: &str = include_str!("../../assets/web/crew/crew.html");
const WORKER: &str = include_str!("../../assets/web/crew/sw.js");

/// Lists of the catalogue that the page shows beside its own words.
const LISTS: [&str; 12] = [
    "crew.",
    "check_result.",
    "class.",
    "fact.",
    "hazard.",
    "placement.",
    "plate_state.",
    "role.",
    "state.",
    "task_kind.",
    "task_result.",
    "refusal.token.",
];

/// Scripts of this host, and WebAssembly for the reader of symbols; nothing from elsewhere, no text that is run.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
     connect-src 'self'; worker-src 'self'; manifest-src 'self'; media-src 'self' blob:; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

/// The worker script with the list of what it keeps. Any change of any file makes it another one, which is how a
/// phone learns of a new version.
static WORKER_WITH_FILES: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    digest.update(SHELL);
    digest.update(WORKER);
    for (_, _, bytes) in FILES {
        digest.update(bytes);
    }
    let mut paths = vec!["/crew".to_owned()];
    for language in Language::ALL {
        digest.update(words_of(language, &LISTS));
        paths.push(format!("/crew/words.json?lang={}", language.tag()));
    }
    paths.extend(FILES.iter().map(|(name, _, _)| format!("/crew/{name}")));
    let version: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("const VERSION = {};\nconst FILES = {};\n{WORKER}", json!(version), json!(paths))
});

/// A file of the shell, which brings a policy of its own.
fn file(asked: &HeaderMap, media_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
    let mut response = revalidated(asked, media_type, body);
    // With a 304 as well: a browser takes its headers for those of what it kept.
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

pub(super) async fn show(_: Asked<Nothing>, headers: HeaderMap) -> Response {
    file(&headers, "text/html; charset=utf-8", SHELL)
}

/// The worker may keep `/crew` itself, which lies above its own folder.
pub(super) async fn worker(_: Asked<Nothing>, headers: HeaderMap) -> Response {
    let mut response = file(&headers, SCRIPT, WORKER_WITH_FILES.as_bytes());
    let scope = HeaderName::from_static("service-worker-allowed");
    response.headers_mut().insert(scope, HeaderValue::from_static("/crew"));
    response
}

/// What a phone needs to put the page among its apps.
pub(super) async fn manifest(reader: Reader, _: Asked<Nothing>, headers: HeaderMap) -> Response {
    let catalogue = reader.catalogue();
    let icon = |size: &str| json!({"src": format!("/crew/icon-{size}.png"), "sizes": format!("{size}x{size}"), "type": "image/png"});
    let manifest = json!({
        "id": "/crew",
        "name": catalogue.text("crew.title"),
        "short_name": catalogue.text("crew.short_title"),
        "lang": catalogue.language().tag(),
        "start_url": "/crew",
        "scope": "/crew",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#0b2f5c",
        "icons": [icon("192"), icon("512"), {"src": "/crew/icon.svg", "sizes": "any", "type": "image/svg+xml"}],
    });
    let mut response = file(&headers, "application/manifest+json", manifest.to_string());
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    response
}

pub(super) async fn words(Asked(spoken): Asked<Spoken>, headers: HeaderMap) -> Result<Response, Problem> {
    Ok(file(&headers, "application/json", words_of(spoken.language()?, &LISTS)))
}

pub(super) async fn asset(
    Named(name): Named,
    _: Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, media_type, bytes) = FILES
        .iter()
        .find(|(known, _, _)| *known == name)
        .ok_or_else(|| Problem::not_found("http.unknown_address"))?;
    Ok(file(&headers, media_type, *bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Catalogue;
    use std::collections::BTreeSet;

    fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
        FILES
            .iter()
            .filter(|(name, media_type, _)| *media_type == SCRIPT && *name != "zxing_reader.js")
            .map(|(name, _, bytes)| (*name, std::str::from_utf8(bytes).unwrap()))
    }

    /// The quoted texts of a script that look like a key.
    fn quoted(script: &str) -> impl Iterator<Item = &str> {
        script.split('"').skip(1).step_by(2).filter(|text| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
    }

    #[test]
    fn every_file_that_a_script_or_the_shell_names_is_handed_out() {
        let known: BTreeSet<&str> = FILES.iter().map(|(name, _, _)| *name).collect();
        for (name, script) in scripts() {
            for (_, rest) in script.match_indices("from \"./").map(|(at, _)| script.split_at(at + 8)) {
                let wanted = rest.split('"').next().unwrap();
                assert!(known.contains(wanted), "{name} imports {wanted}");
            }
            for wanted in script.split("\"/crew/").skip(1).filter_map(|rest| rest.split(['"', '?']).next()) {
                let served = known.contains(wanted) || ["sw.js", "words.json"].contains(&wanted);
                assert!(served, "{name} fetches {wanted}");
            }
        }
        for wanted in SHELL.split("\"/crew/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(known.contains(wanted) || wanted == "manifest.webmanifest", "the shell names {wanted}");
        }
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/web/crew");
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            assert!(
                known.contains(&*name) || ["crew.html", "sw.js"].contains(&&*name),
                "{name} is not handed out"
            );
        }
    }

    #[test]
    fn the_words_of_the_scripts_and_of_the_catalogue_are_the_same() {
        let catalogue = Catalogue::of(Language::En);
        let mut used = BTreeSet::new();
        let mut starts = BTreeSet::from(["wind_"]);
        for (name, script) in scripts() {
            used.extend(quoted(script));
            for call in script.split(" t(\"").chain(script.split("(t(\"")).skip(1) {
                let Some((key, rest)) = call.split_once('"') else { continue };
                if !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                    continue;
                }
                if rest.starts_with(" +") {
                    starts.insert(key);
                } else if rest.starts_with([')', ',']) {
                    assert!(catalogue.has(&format!("crew.{key}")), "{name} says {key}");
                }
            }
        }
        for key in catalogue.keys().filter_map(|key| key.strip_prefix("crew.")) {
            let is_used = used.contains(key) || starts.iter().any(|start| key.starts_with(start));
            assert!(is_used || key == "short_title", "no script says crew.{key}");
        }
    }

    #[test]
    fn the_shell_holds_no_script_of_its_own_and_names_no_other_host() {
        assert!(!SHELL.contains("onclick") && !SHELL.contains("style=") && !SHELL.contains("://"));
        assert_eq!(SHELL.matches("<script").count(), SHELL.matches("<script type=\"module\" src=").count());
        for (name, script) in scripts() {
            assert!(!script.contains("innerHTML") && !script.contains("eval("), "{name}");
            assert!(!script.contains("https://") && !script.contains("http://"), "{name} names another host");
        }
    }
}
