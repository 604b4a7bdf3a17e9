//! Pages and API: parse, call one verb, render. Handlers never reason, never call each other and
//! never see the database.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::compression::{CompressionLayer, Predicate};

use crate::config::Config;
use crate::domain::ids::UploadId;
use crate::photos::PhotoStore;
use crate::registry::Registry;
use crate::spatial::LiveSnapshot;

mod api_areas;
mod api_batches;
mod api_bulk;
mod api_campaigns;
mod api_cases;
mod api_citizens;
mod api_cover_sets;
mod api_covers;
mod api_crew;
mod api_crew_actions;
mod api_crew_photos;
mod api_density;
mod api_edit;
mod api_feed;
mod api_hot_spots;
mod api_map;
mod api_map_diff;
mod api_meetings;
mod api_notices;
mod api_plates;
mod api_profiles;
mod api_quality;
mod api_questions;
mod api_receivers;
mod api_reports;
mod api_rewards;
mod api_route;
mod api_search;
mod api_sensors;
mod api_tour;
mod area_desk;
mod ask;
mod auth;
mod base_tiles;
mod batch_form;
mod batch_pages;
mod bulk_pages;
mod campaign_files;
mod campaign_form;
mod campaign_pages;
mod case_asks;
mod case_moves;
mod case_tally;
mod census_files;
mod census_work;
mod citizen_desk;
mod citizen_pages;
mod claim_pages;
mod conflict;
mod cover_list;
mod cover_query;
mod crew_shell;
mod crew_watch;
mod cross_origin;
mod csv_body;
mod desk;
mod desk_intake;
mod doors;
mod duplicate_pages;
mod edit_fields;
mod edit_page;
mod exemplary_pages;
mod exports;
mod extent;
mod feed_cache;
mod form_texts;
mod forms;
mod held_pages;
mod import_desk;
mod import_runs;
mod imports;
mod json;
mod json_crew;
mod ledger_pages;
mod limits;
mod map_choice;
mod map_export;
mod map_feed;
mod map_overlays;
mod map_page;
mod map_place;
mod map_query;
mod mapping_desk;
mod meeting_pages;
mod notice_pages;
mod ogc;
mod open311;
mod operators;
mod packed_page;
mod page_cache;
mod paper;
mod past_maps;
mod plate_designer;
mod plate_draft;
mod plate_drawings;
mod plate_moves;
mod plate_printers;
mod plate_stock;
mod plate_wishes;
mod plate_work;
mod problem;
mod profile_desk;
mod public;
mod quality_board;
mod quality_files;
mod question;
mod quota;
mod receiver_pages;
mod report_place;
mod reward_pages;
mod rule_desk;
mod scopes;
mod script_files;
mod sender;
mod sensor_pages;
mod sparse;
mod statistics_pages;
mod structure_pages;
mod tiles;
mod uploads;
pub mod views;
mod whole_file;

use auth::percent_encode;
pub use doors::{Access, Door};
pub use problem::Problem;

/// What every handler may use. Each layer that a request passes clones it, so that it is one pointer.
#[derive(Clone)]
pub struct AppState(Arc<Held>);

impl Deref for AppState {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}

/// What an [`AppState`] holds.
pub struct Held {
    pub registry: Registry,
    pub snapshot: Arc<LiveSnapshot>,
    pub photos: PhotoStore,
    pub config: Config,
    /// Data folder, for files on their way in and plate files on their way out.
    pub data: PathBuf,
    shared: Shared,
}

/// What the handlers of one server share among themselves.
struct Shared {
    /// Decoding a photo takes up to 300 MB; this many at once.
    photo_slots: Semaphore,
    /// Log-ins take 19 MB and a core each.
    login_slots: Semaphore,
    /// Imports and plate batches, one at a time.
    heavy_slots: Semaphore,
    /// What is under way for the import desk, and files of which a piece is coming in.
    works: census_work::Works,
    receiving: Mutex<HashSet<UploadId>>,
    crew_photos: api_crew_photos::Intake,
    streets: api_crew::StreetBoard,
    /// Files on their way out: each reads through the whole city.
    export_slots: Semaphore,
    tries: limits::Limiter,
    reports: limits::Limiter,
    quotas: quota::Quotas,
    pages: page_cache::PageCache,
    quality: quality_board::QualityBoard,
    following_map: tokio::sync::Mutex<()>,
    tally: case_tally::CaseTally,
    open311: feed_cache::FeedCache,
    tracking: feed_cache::FeedCache,
    newest: feed_cache::NewestChange,
    extent: extent::Extent,
    feature_counts: ogc::FeatureCounts,
    choices: map_choice::Choices,
    past_maps: past_maps::PastMaps,
    last_diff: api_map_diff::LastDiff,
    counters: operators::Counters,
    ground: std::sync::OnceLock<base_tiles::Ground>,
}

impl AppState {
    pub fn new(
        registry: Registry,
        snapshot: Arc<LiveSnapshot>,
        photos: PhotoStore,
        config: Config,
        data: PathBuf,
    ) -> Self {
        let shared = Shared {
            photo_slots: Semaphore::new(2),
            login_slots: Semaphore::new(2),
            heavy_slots: Semaphore::new(1),
            works: census_work::Works::default(),
            receiving: Mutex::default(),
            crew_photos: api_crew_photos::Intake::default(),
            streets: api_crew::StreetBoard::default(),
            export_slots: Semaphore::new(2),
            tries: limits::Limiter::new(config.tries_per_minute),
            reports: limits::Limiter::new(config.reports_per_minute),
            quotas: quota::Quotas::new(&config.api),
            pages: page_cache::PageCache::default(),
            quality: quality_board::QualityBoard::default(),
            following_map: tokio::sync::Mutex::default(),
            tally: case_tally::CaseTally::default(),
            open311: feed_cache::FeedCache::default(),
            tracking: feed_cache::FeedCache::default(),
            newest: feed_cache::NewestChange::default(),
            extent: extent::Extent::default(),
            feature_counts: ogc::FeatureCounts::default(),
            choices: map_choice::Choices::default(),
            past_maps: past_maps::PastMaps::default(),
            last_diff: api_map_diff::LastDiff::default(),
            counters: operators::Counters::default(),
            ground: std::sync::OnceLock::new(),
        };
        Self(Arc::new(Held { registry, snapshot, photos, config, data, shared }))
    }

    /// Number of the newest change; what was committed before is in it.
    async fn newest_change(&self) -> Result<i64, crate::registry::RegistryError> {
        self.shared.newest.ask(&self.registry).await
    }

    /// Call it when covers changed outside this server's own handlers: their scan pages are drawn
    /// anew.
    pub fn covers_changed(&self, covers: &[crate::domain::ids::CoverId]) {
        covers.iter().for_each(|cover| self.shared.pages.forget(*cover));
    }

    /// The map's own file of tiles, opened when it is first asked for.
    fn ground(&self) -> base_tiles::Ground {
        let open = || base_tiles::open(&self.config.map, &self.data);
        self.shared.ground.get_or_init(open).clone()
    }
}

/// Every address of the server with who may call it; `openapi.yaml` is held to it.
pub fn doors(state: &AppState) -> Vec<Door> {
    build(state.clone()).list
}

/// The whole router.
pub fn router(state: AppState) -> Router {
    let (metered, dressed) = (state.clone(), state.clone());
    build(state.clone())
        .router
        .fallback(problem::unknown_address)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(axum::middleware::from_fn_with_state(metered, quota::meter))
        .layer(axum::middleware::from_fn_with_state(dressed, problem::dress))
        .layer(axum::middleware::from_fn(cross_origin::let_in))
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Precise(4))
                .compress_when(SizeAbove::new(ONE_PACKET).and(is_text)),
        )
        .with_state(state)
}

/// What fits a packet gets there no sooner when it is smaller.
const ONE_PACKET: u64 = 1200;

/// Pages, style, script and JSON shrink to a third on their way to a phone; scan pages come shrunk
/// from their cache, and photos and plate files would only cost time.
fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = text(header::CONTENT_TYPE);
    let shrinks = ["json", "yaml", "wasm", "svg", "vector-tile"].iter().any(|kind| media_type.contains(kind));
    // Events would wait for one another until there are enough to shrink.
    let is_stream = media_type.starts_with("text/event-stream");
    !is_stream && (media_type.starts_with("text/") || shrinks)
}

fn build(state: AppState) -> doors::Doors {
    use crate::domain::role::Role;
    use axum::routing::{delete, get, options, patch, post, put};
    const STAFF: Access = Access::Staff(&[]);
    const REGISTRY: Access = Access::Staff(&[Role::Engineer, Role::Admin]);
    const ADMIN: Access = Access::Staff(&[Role::Admin]);
    const DESK: Access = Access::Staff(&[Role::Dispatcher, Role::Supervisor, Role::Admin]);
    // An account of the platform's own: what it says is what such a person may do.
    const UPSTREAM: Access = Access::Staff(&[Role::Handler, Role::Dispatcher, Role::Supervisor, Role::Admin]);
    const SENSORS: Access = Access::Staff(crate::domain::sensor::SENSOR_READERS);
    // Who writes to citizens.
    const TALKERS: Access = UPSTREAM;
    const WEATHER: Access = Access::Staff(&[Role::Supervisor, Role::Admin]);
    const FIELD: Access = Access::Staff(&[Role::Crew, Role::Engineer, Role::Admin]);
    const CREW: Access = Access::Staff(&[Role::Crew, Role::GridWorker, Role::Engineer, Role::Admin]);
    const CLAIM_DESK: Access = Access::Staff(claim_pages::CLAIM_DESK);
    const CLAIM_VOICES: Access = Access::Staff(claim_pages::CLAIM_VOICES);
    const TASK_DESK: Access = Access::Staff(campaign_pages::TASK_DESK);
    const NOTICE_DESK: Access = Access::Staff(notice_pages::NOTICE_DESK);
    const NOTICE_READERS: Access = Access::Staff(notice_pages::NOTICE_READERS);
    const NOTICE_ACTORS: Access = Access::Staff(notice_pages::NOTICE_ACTORS);
    const NOTICE_PARTIES: Access = Access::Staff(notice_pages::NOTICE_PARTIES);
    const MEETING_DESK: Access = Access::Staff(meeting_pages::MEETING_DESK);
    const MEETING_READERS: Access = Access::Staff(meeting_pages::MEETING_READERS);
    const EXPORT: Access = Access::Staff(&[Role::Supervisor, Role::Engineer, Role::Admin]);
    const CASE_EXPORT: Access =
        Access::Staff(&[Role::Dispatcher, Role::Supervisor, Role::Engineer, Role::Admin]);
    const REWARD_DESK: Access = Access::Staff(crate::domain::reward::REWARD_DESK);
    const FIGURES: Access = Access::Staff(ledger_pages::READERS);
    use Access::Public;
    doors::Doors::new(state)
        .open("GET", "/", Public, get(public::home))
        .open("GET", "/c", Public, get(public::typed_token))
        .open("GET", "/c/{token}", Public, get(public::scan))
        .open("GET", "/C/{token}", Public, get(public::scan))
        .open("GET", "/c/{token}/report", Public, get(public::report_form))
        .open("GET", "/C/{token}/report", Public, get(public::report_form))
        .open("POST", "/c/{token}/report", Public, post(public::report))
        .open("POST", "/C/{token}/report", Public, post(public::report))
        .open("GET", "/c/{token}/photos/{id}", Public, get(public::cover_photo))
        .open("GET", "/report", Public, get(report_place::show))
        .open("POST", "/report", Public, post(report_place::locate))
        .open("POST", "/report/send", Public, post(report_place::send))
        .open("GET", "/r/{tracking}", Public, get(public::tracking))
        .open("GET", "/r/{tracking}/photos/{n}", Public, get(public::tracking_photo))
        .open("GET", "/r/{tracking}/reward", Public, get(reward_pages::offer))
        .open("POST", "/r/{tracking}/reward", Public, post(reward_pages::claim))
        .open("POST", "/r/{tracking}/words", Public, post(citizen_pages::send_word))
        .open("POST", "/r/{tracking}/rating", Public, post(citizen_pages::send_rating))
        .open("POST", "/r/{tracking}/follow", Public, post(citizen_pages::follow_report))
        .open("POST", "/c/{token}/same", Public, post(citizen_pages::tap_same))
        .open("GET", "/c/{token}/follow", Public, get(citizen_pages::follow_form))
        .open("POST", "/c/{token}/follow", Public, post(citizen_pages::follow_cover))
        .open("GET", "/mail/{link}/{step}", Public, get(citizen_pages::show_mail_link))
        .open("POST", "/mail/{link}/{step}", Public, post(citizen_pages::use_mail_link))
        .open("GET", "/tiles/staff/covers/{z}/{x}/{y}", STAFF, get(tiles::staff_tile))
        .open("GET", "/api/v1/search", STAFF, get(api_search::search))
        .open("GET", "/api/v1/map/summary", STAFF, get(api_map::summary))
        .open("GET", "/api/v1/map/covers", STAFF, get(api_map::list))
        .open("GET", "/api/v1/map/diff", STAFF, get(api_map_diff::diff))
        .open("GET", "/api/v1/map/nearest", STAFF, get(api_questions::find_nearest))
        .open("POST", "/api/v1/map/route", STAFF, post(api_route::follow_route))
        .open("GET", "/api/v1/map/duplicates", STAFF, get(api_questions::find_duplicates))
        .open("GET", "/api/v1/map/alike", STAFF, get(api_questions::find_alike))
        .open("GET", "/api/v1/map/density", STAFF, get(api_density::find_density))
        .open("GET", "/api/v1/map/hotspots", STAFF, get(api_hot_spots::find_hot_spots))
        .open("GET", "/api/v1/map/tour", STAFF, get(api_tour::plan))
        .open("GET", "/ogc", Public, get(ogc::landing))
        .open("GET", "/ogc/", Public, get(ogc::landing))
        .open("GET", "/ogc/api", Public, get(ogc::definition))
        .open("GET", "/ogc/conformance", Public, get(ogc::conformance))
        .open("GET", "/ogc/functions", Public, get(ogc::functions))
        .open("GET", "/ogc/collections", Public, get(ogc::collections))
        .open("GET", "/ogc/collections/{collection}", Public, get(ogc::collection))
        .open("GET", "/ogc/collections/{collection}/queryables", Public, get(ogc::queryables))
        .open("GET", "/ogc/collections/{collection}/items", Public, get(ogc::items))
        .open("OPTIONS", "/ogc/collections/{collection}/items", Public, options(ogc::items_options))
        .open("POST", "/ogc/collections/{collection}/items", REGISTRY, post(ogc::create))
        .open("GET", "/ogc/collections/{collection}/items/{feature}", Public, get(ogc::item))
        .open("OPTIONS", "/ogc/collections/{collection}/items/{feature}", Public, options(ogc::item_options))
        .open("PUT", "/ogc/collections/{collection}/items/{feature}", REGISTRY, put(ogc::replace))
        .open("PATCH", "/ogc/collections/{collection}/items/{feature}", REGISTRY, patch(ogc::update))
        .open("DELETE", "/ogc/collections/{collection}/items/{feature}", REGISTRY, delete(ogc::delete))
        .open("POST", "/language", Public, post(public::language))
        .open("GET", "/assets/{name}", Public, get(public::asset))
        .open("GET", "/crew", Public, get(crew_shell::show))
        .open("GET", "/crew/sw.js", Public, get(crew_shell::worker))
        .open("GET", "/crew/manifest.webmanifest", Public, get(crew_shell::manifest))
        .open("GET", "/crew/words.json", Public, get(crew_shell::words))
        .open("GET", "/crew/{asset}", Public, get(crew_shell::asset))
        .open("GET", "/map", STAFF, get(map_page::show))
        .open("GET", "/map/words.json", Public, get(map_page::words))
        .open("GET", "/map/{asset}", Public, get(map_page::asset))
        .open("GET", "/map/lib/{digest}/{asset}", Public, get(map_page::library))
        .open("GET", "/login", Public, get(desk::login_form))
        .open("POST", "/login", Public, post(desk::login))
        .open("POST", "/logout", STAFF, post(desk::logout))
        .open("GET", "/desk", STAFF, get(desk::case_list))
        .open("GET", "/desk/cases/{number}", STAFF, get(desk::case_file))
        .open("POST", "/desk/cases/{number}/moves", STAFF, post(desk::move_case))
        .open("GET", "/admin/rewards", REWARD_DESK, get(reward_pages::list))
        .open("POST", "/admin/rewards", REWARD_DESK, post(reward_pages::send))
        .open("GET", "/desk/held", DESK, get(held_pages::list))
        .open("POST", "/desk/held", DESK, post(held_pages::lift))
        .open("GET", "/desk/cases/{number}/senders", DESK, get(held_pages::senders))
        .open("POST", "/desk/cases/{number}/senders", DESK, post(held_pages::block))
        .open("POST", "/desk/cases/{number}/words", TALKERS, post(citizen_desk::send_word))
        .open("GET", "/desk/cases/{number}/photos/{id}", DESK, get(citizen_desk::show_release))
        .open("POST", "/desk/cases/{number}/photos/{id}", DESK, post(citizen_desk::send_release))
        .open("GET", "/desk/citizens", DESK, get(citizen_desk::show))
        .open("POST", "/desk/call-backs/{id}", DESK, post(citizen_desk::finish_call))
        .open("GET", "/desk/ledger", FIGURES, get(ledger_pages::show))
        .open("GET", "/desk/ledger/export", FIGURES, get(ledger_pages::export))
        .open("GET", "/desk/statistics", FIGURES, get(statistics_pages::show))
        .open("GET", "/desk/statistics/report.pdf", FIGURES, get(statistics_pages::report_pdf))
        .open("GET", "/desk/campaigns", TASK_DESK, get(campaign_pages::list))
        .open("POST", "/desk/campaigns", TASK_DESK, post(campaign_pages::send))
        .open("GET", "/desk/campaigns/new", TASK_DESK, get(campaign_pages::form))
        .open("GET", "/desk/campaigns/{id}", TASK_DESK, get(campaign_pages::show))
        .open("POST", "/desk/campaigns/{id}", TASK_DESK, post(campaign_pages::step))
        .open("GET", "/desk/campaigns/{id}/results.csv", TASK_DESK, get(campaign_files::results_csv))
        .open("GET", "/desk/campaigns/{id}/report.pdf", TASK_DESK, get(campaign_files::report_pdf))
        .open("GET", "/desk/due-dates", TASK_DESK, get(campaign_pages::due_dates))
        .open("POST", "/desk/due-dates", TASK_DESK, post(campaign_pages::set_due_dates))
        .open("GET", "/desk/notices", NOTICE_READERS, get(notice_pages::list))
        .open("POST", "/desk/notices", NOTICE_DESK, post(notice_pages::create))
        .open("GET", "/desk/notices/new", NOTICE_DESK, get(notice_pages::new_form))
        .open("GET", "/desk/notices/{number}", NOTICE_READERS, get(notice_pages::show))
        .open("POST", "/desk/notices/{number}", NOTICE_ACTORS, post(notice_pages::step))
        .open("POST", "/desk/notices/{number}/feedback", NOTICE_PARTIES, post(notice_pages::feed_back))
        .open("GET", "/desk/notices/{number}/notice.pdf", NOTICE_READERS, get(notice_pages::print))
        .open("GET", "/desk/meetings", MEETING_READERS, get(meeting_pages::list))
        .open("POST", "/desk/meetings", MEETING_DESK, post(meeting_pages::record))
        .open("GET", "/desk/meetings/{number}", MEETING_READERS, get(meeting_pages::show))
        .open("POST", "/desk/meetings/{number}", MEETING_DESK, post(meeting_pages::revoke))
        .open("GET", "/desk/exemplary", MEETING_READERS, get(exemplary_pages::show))
        .open("POST", "/desk/exemplary", MEETING_DESK, post(exemplary_pages::mark))
        .open("GET", "/desk/exemplary.csv", MEETING_READERS, get(exemplary_pages::list_csv))
        .open("GET", "/covers", STAFF, get(cover_list::list))
        .open("GET", "/covers/{code}", STAFF, get(desk::cover_file))
        .open("GET", "/covers/{code}/file.pdf", STAFF, get(paper::cover_file_pdf))
        .open("GET", "/covers/{code}/edit", REGISTRY, get(edit_page::form))
        .open("POST", "/covers/{code}/edit", REGISTRY, post(edit_page::send))
        .open("GET", "/covers/{code}/code", REGISTRY, get(structure_pages::code_form))
        .open("POST", "/covers/{code}/code", REGISTRY, post(structure_pages::send_code))
        .open("GET", "/covers/{code}/retire", REGISTRY, get(structure_pages::retire_form))
        .open("POST", "/covers/{code}/retire", REGISTRY, post(structure_pages::send_retire))
        .open("POST", "/covers/{code}/reinstate", REGISTRY, post(structure_pages::send_reinstate))
        .open("GET", "/covers/{code}/add", REGISTRY, get(structure_pages::add_form))
        .open("POST", "/covers/{code}/add", REGISTRY, post(structure_pages::send_add))
        .open("GET", "/covers/{code}/merge", REGISTRY, get(structure_pages::merge_form))
        .open("POST", "/covers/{code}/merge", REGISTRY, post(structure_pages::send_merge))
        .open("POST", "/covers/{code}/unmerge", REGISTRY, post(structure_pages::send_unmerge))
        .open("GET", "/covers/{code}/split", REGISTRY, get(structure_pages::split_form))
        .open("POST", "/covers/{code}/split", REGISTRY, post(structure_pages::send_split))
        .open("GET", "/quality", STAFF, get(quality_files::overview))
        .open("GET", "/quality.csv", STAFF, get(quality_files::overview_csv))
        .open("GET", "/quality/files", STAFF, get(quality_files::list))
        .open("GET", "/quality/files.csv", STAFF, get(quality_files::list_csv))
        .open("GET", "/quality/duplicates", STAFF, get(duplicate_pages::show))
        .open("POST", "/quality/duplicates", REGISTRY, post(duplicate_pages::decide))
        .open("GET", "/quality/duplicates.csv", STAFF, get(duplicate_pages::list_csv))
        .open("GET", "/quality/claims", STAFF, get(claim_pages::list))
        .open("POST", "/quality/claims", CLAIM_DESK, post(claim_pages::open))
        .open("GET", "/quality/claims/{number}", STAFF, get(claim_pages::show))
        .open("POST", "/quality/claims/{number}", CLAIM_VOICES, post(claim_pages::step))
        .open("GET", "/quality/claims/{number}/covers.csv", STAFF, get(claim_pages::list_csv))
        .open("GET", "/bulk-edits", REGISTRY, get(bulk_pages::list))
        .open("POST", "/bulk-edits", REGISTRY, post(bulk_pages::send))
        .open("GET", "/bulk-edits/new", REGISTRY, get(bulk_pages::form))
        .open("GET", "/bulk-edits/{id}", REGISTRY, get(bulk_pages::show))
        .open("POST", "/bulk-edits/{id}/apply", REGISTRY, post(bulk_pages::apply))
        .open("POST", "/bulk-edits/{id}/undo", REGISTRY, post(bulk_pages::undo))
        .open("GET", "/admin/imports", REGISTRY, get(import_desk::show))
        .open("POST", "/admin/imports", REGISTRY, post(import_desk::send))
        .open("GET", "/admin/imports/{number}", REGISTRY, get(import_runs::show))
        .open("POST", "/admin/imports/{number}/passed-over", REGISTRY, post(import_runs::decide))
        .open("POST", "/admin/imports/{number}/roll-back", REGISTRY, post(import_runs::roll_back))
        .open("GET", "/admin/imports/files/{id}", REGISTRY, get(import_desk::show_file))
        .open("POST", "/admin/imports/files/{id}", REGISTRY, post(import_desk::look_again))
        .open("POST", "/admin/imports/files/{id}/write", REGISTRY, post(import_desk::write))
        .open("POST", "/admin/imports/files/{id}/discard", REGISTRY, post(import_desk::discard))
        .open("GET", "/admin/imports/files/{id}/problems.csv", REGISTRY, get(import_desk::problems))
        .open("GET", "/admin/imports/files/{id}/rows.csv", REGISTRY, get(import_desk::bad_rows))
        .open("POST", "/admin/imports/files/{id}/mapping", REGISTRY, post(mapping_desk::change))
        .open("POST", "/admin/imports/files/{id}/profile", REGISTRY, post(profile_desk::save_mapping))
        .open("GET", "/admin/import-profiles", REGISTRY, get(profile_desk::show))
        .open("POST", "/admin/import-profiles", REGISTRY, post(profile_desk::send))
        .open("GET", "/admin/import-profiles/{name}", REGISTRY, get(profile_desk::show_profile))
        .open("GET", "/admin/import-profiles/{name}/profile.toml", REGISTRY, get(profile_desk::download))
        .open("POST", "/admin/import-profiles/{name}/remove", REGISTRY, post(profile_desk::remove))
        .open("GET", "/admin/plates", REGISTRY, get(batch_pages::list))
        .open("POST", "/admin/plates", REGISTRY, post(batch_form::send))
        .open("GET", "/admin/plates/new", REGISTRY, get(batch_form::show))
        .open("GET", "/admin/plates/designer", REGISTRY, get(plate_designer::show))
        .open("POST", "/admin/plates/designer", REGISTRY, post(plate_designer::keep))
        .open("GET", "/admin/plates/designer/preview.svg", REGISTRY, get(plate_designer::preview))
        .open("GET", "/admin/plates/designer/face.toml", REGISTRY, get(plate_designer::download))
        .open("GET", "/admin/plates/printers", REGISTRY, get(plate_printers::show))
        .open("POST", "/admin/plates/printers", REGISTRY, post(plate_printers::send))
        .open("GET", "/admin/plates/printers/calibration.pdf", REGISTRY, get(plate_printers::calibration))
        .open("GET", "/admin/plates/stock", FIELD, get(plate_stock::show))
        .open("POST", "/admin/plates/stock", REGISTRY, post(plate_stock::send))
        .open("GET", "/admin/plates/{id}", REGISTRY, get(batch_pages::show))
        .open("GET", "/admin/plates/{id}/plates", REGISTRY, get(batch_pages::plates))
        .open("GET", "/admin/plates/{id}/drawings", REGISTRY, get(batch_pages::drawings))
        .open("POST", "/admin/plates/{id}/steps", REGISTRY, post(batch_pages::step))
        .open("POST", "/admin/plates/{id}/resume", REGISTRY, post(batch_pages::resume))
        .open("POST", "/admin/plates/{id}/stop", REGISTRY, post(batch_pages::stop))
        .open("GET", "/admin/crews", EXPORT, get(crew_watch::show))
        .open("GET", "/admin/crews/export", EXPORT, get(crew_watch::export))
        .open("GET", "/admin/crews/checks", EXPORT, get(crew_watch::list_checks))
        .open("POST", "/admin/crews/checks", EXPORT, post(crew_watch::draw))
        .open("GET", "/admin/crews/checks/{id}", EXPORT, get(crew_watch::show_check))
        .open("GET", "/desk/new", STAFF, get(desk_intake::show))
        .open("POST", "/desk/new", STAFF, post(desk_intake::send))
        .open("POST", "/desk/cases/{number}/asks", STAFF, post(case_asks::send_ask))
        .open("GET", "/desk/asks", DESK, get(case_asks::show_asks))
        .open("POST", "/desk/asks/{id}", DESK, post(case_asks::send_answer))
        .open("GET", "/admin/rules", DESK, get(rule_desk::show))
        .open("GET", "/admin/rules/try", DESK, get(rule_desk::try_page))
        .open("GET", "/admin/rules/{kind}", ADMIN, get(rule_desk::edit))
        .open("POST", "/admin/rules/{kind}", ADMIN, post(rule_desk::send))
        .open("GET", "/admin/rules/{kind}/{version}/rules.toml", DESK, get(rule_desk::download))
        .open("POST", "/admin/weather", WEATHER, post(rule_desk::send_weather))
        .open("GET", "/admin/receivers", ADMIN, get(receiver_pages::list))
        .open("POST", "/admin/receivers", ADMIN, post(receiver_pages::add))
        .open("GET", "/admin/receivers/{id}", ADMIN, get(receiver_pages::show))
        .open("POST", "/admin/receivers/{id}", ADMIN, post(receiver_pages::change))
        .open("POST", "/admin/receivers/{id}/steps", ADMIN, post(receiver_pages::step))
        .open("GET", "/admin/receivers/{id}/letters", ADMIN, get(receiver_pages::letters))
        .open("POST", "/admin/receivers/{id}/letters", ADMIN, post(receiver_pages::step_letter))
        .open("GET", "/admin/sensors", SENSORS, get(sensor_pages::list))
        .open("POST", "/admin/sensors", REGISTRY, post(sensor_pages::add))
        .open("GET", "/admin/sensors/{serial}", SENSORS, get(sensor_pages::show))
        .open("POST", "/admin/sensors/{serial}/moves", SENSORS, post(sensor_pages::make_move))
        .open("GET", "/admin/areas", REGISTRY, get(area_desk::show))
        .open("POST", "/admin/areas", ADMIN, post(area_desk::send))
        .open("POST", "/admin/areas/assign", ADMIN, post(area_desk::assign))
        .open("POST", "/admin/areas/people", ADMIN, post(area_desk::set_people))
        .open("GET", "/admin/areas/files/{id}", ADMIN, get(area_desk::show_file))
        .open("POST", "/admin/areas/files/{id}", ADMIN, post(area_desk::look_again))
        .open("POST", "/admin/areas/files/{id}/apply", ADMIN, post(area_desk::apply))
        .open("POST", "/admin/areas/files/{id}/discard", ADMIN, post(area_desk::discard))
        .open("POST", "/covers/{code}/plates", FIELD, post(desk::install_plate))
        .open("POST", "/covers/{code}/photos", FIELD, post(desk::add_cover_photos))
        .open("GET", "/photos/{digest}", STAFF, get(desk::photo))
        .open("POST", "/api/v1/reports", Public, post(api_reports::create_report))
        .open("GET", "/api/v1/reports/{tracking}", Public, get(api_reports::find_report))
        .open("GET", "/api/v1/plates/{token}", Public, get(api_plates::find_plate))
        .open("POST", "/api/v1/plates/{token}/install", FIELD, post(api_plates::install_plate))
        .open("GET", "/api/v1/statistics", FIGURES, get(statistics_pages::find_statistics))
        .open("GET", "/api/v1/covers", STAFF, get(api_covers::list_covers))
        .open("POST", "/api/v1/covers", REGISTRY, post(api_edit::register_manhole))
        .open("GET", "/api/v1/covers/export", EXPORT, get(exports::export_covers))
        .open("POST", "/api/v1/covers/read", STAFF, post(api_cover_sets::read_covers))
        .open("POST", "/api/v1/covers/write", REGISTRY, post(api_cover_sets::write_covers))
        .open("GET", "/api/v1/covers/{code}", STAFF, get(api_covers::find_cover))
        .open("PATCH", "/api/v1/covers/{code}", REGISTRY, patch(api_edit::update_cover))
        .open("GET", "/api/v1/covers/{code}/history", STAFF, get(api_covers::list_history))
        .open("POST", "/api/v1/covers/{code}/code", REGISTRY, post(api_edit::change_code))
        .open("POST", "/api/v1/covers/{code}/retire", REGISTRY, post(api_edit::retire_cover))
        .open("POST", "/api/v1/covers/{code}/reinstate", REGISTRY, post(api_edit::reinstate_cover))
        .open("POST", "/api/v1/covers/{code}/covers", REGISTRY, post(api_edit::add_cover))
        .open("POST", "/api/v1/covers/{code}/merge", REGISTRY, post(api_edit::merge_manholes))
        .open("POST", "/api/v1/covers/{code}/unmerge", REGISTRY, post(api_edit::undo_merge))
        .open("POST", "/api/v1/covers/{code}/split", REGISTRY, post(api_edit::split_manhole))
        .open("GET", "/api/v1/bulk-edits", REGISTRY, get(api_bulk::list_bulk_edits))
        .open("POST", "/api/v1/bulk-edits", REGISTRY, post(api_bulk::create_bulk_edit))
        .open("GET", "/api/v1/bulk-edits/{id}", REGISTRY, get(api_bulk::find_bulk_edit))
        .open("GET", "/api/v1/bulk-edits/{id}/covers", REGISTRY, get(api_bulk::list_bulk_covers))
        .open("POST", "/api/v1/bulk-edits/{id}/apply", REGISTRY, post(api_bulk::apply_bulk_edit))
        .open("POST", "/api/v1/bulk-edits/{id}/undo", REGISTRY, post(api_bulk::undo_bulk_edit))
        .open("GET", "/api/v1/quality", STAFF, get(api_quality::find_quality))
        .open("GET", "/api/v1/quality/files", STAFF, get(api_quality::list_quality_files))
        .open("GET", "/api/v1/quality/duplicates", STAFF, get(api_quality::list_duplicates))
        .open("GET", "/api/v1/quality/claims", STAFF, get(api_quality::list_claim_notices))
        .open("GET", "/api/v1/quality/claims/{number}", STAFF, get(api_quality::find_claim_notice))
        .open("GET", "/api/v1/quality/claims/{number}/covers", STAFF, get(api_quality::list_claims))
        .open("GET", "/api/v1/cases", STAFF, get(api_cases::list_cases))
        .open("POST", "/api/v1/cases", STAFF, post(desk_intake::create_case))
        .open("GET", "/api/v1/cases/similar", STAFF, get(desk_intake::list_similar))
        .open("POST", "/api/v1/cases/{number}/asks", STAFF, post(case_asks::create_ask))
        .open("GET", "/api/v1/cases/{number}/words", STAFF, get(api_citizens::list_words))
        .open("POST", "/api/v1/cases/{number}/words", TALKERS, post(api_citizens::create_word))
        .open("POST", "/api/v1/cases/{number}/photos/{id}", DESK, post(api_citizens::release_photo))
        .open("GET", "/api/v1/citizen-words", DESK, get(api_citizens::list_open_words))
        .open("GET", "/api/v1/call-backs", DESK, get(api_citizens::list_call_backs))
        .open("POST", "/api/v1/call-backs/{id}", DESK, post(api_citizens::finish_call_back))
        .open("GET", "/api/v1/asks", DESK, get(case_asks::list_asks))
        .open("POST", "/api/v1/asks/{id}", DESK, post(case_asks::answer_ask))
        .open("GET", "/api/v1/rules", DESK, get(rule_desk::list_rules))
        .open("GET", "/api/v1/rules/try", DESK, get(rule_desk::try_rules))
        .open("PUT", "/api/v1/rules/{kind}", ADMIN, put(rule_desk::put_rules))
        .open("PUT", "/api/v1/weather", WEATHER, put(rule_desk::put_weather))
        .open("GET", "/api/v1/cases/export", CASE_EXPORT, get(exports::export_cases))
        .open("GET", "/api/v1/cases/{number}", STAFF, get(api_cases::find_case))
        .open("POST", "/api/v1/cases/{number}/moves", STAFF, post(api_cases::move_case))
        .open("GET", "/api/v1/notices", NOTICE_READERS, get(api_notices::list_notices))
        .open("POST", "/api/v1/notices", NOTICE_DESK, post(api_notices::create_notice))
        .open("GET", "/api/v1/notices/{number}", NOTICE_READERS, get(api_notices::find_notice))
        .open("POST", "/api/v1/notices/{number}/moves", NOTICE_ACTORS, post(api_notices::move_notice))
        .open("POST", "/api/v1/notices/{number}/feedback", NOTICE_PARTIES, post(api_notices::answer_notice))
        .open("GET", "/api/v1/cases/{number}/senders", DESK, get(held_pages::list_senders))
        .open("GET", "/api/v1/rewards", REWARD_DESK, get(api_rewards::list_rewards))
        .open("GET", "/api/v1/rewards/{id}", REWARD_DESK, get(api_rewards::find_reward))
        .open("POST", "/api/v1/rewards/{id}/steps", REWARD_DESK, post(api_rewards::step_reward))
        .open("GET", "/api/v1/reward-payouts", REWARD_DESK, get(api_rewards::list_payouts))
        .open("POST", "/api/v1/reward-payouts", REWARD_DESK, post(api_rewards::create_payout))
        .open("GET", "/api/v1/reward-payouts/{number}", REWARD_DESK, get(api_rewards::payout_csv))
        .open("POST", "/api/v1/reward-payouts/{number}/results", REWARD_DESK, post(api_rewards::send_results))
        .open("GET", "/api/v1/blocks", DESK, get(held_pages::list_blocks))
        .open("POST", "/api/v1/blocks", DESK, post(held_pages::create_block))
        .open("POST", "/api/v1/blocks/{id}/lift", DESK, post(held_pages::lift_block))
        .open("GET", "/api/v1/meetings", MEETING_READERS, get(api_meetings::list_meetings))
        .open("POST", "/api/v1/meetings", MEETING_DESK, post(api_meetings::create_meeting))
        .open("GET", "/api/v1/meetings/{number}", MEETING_READERS, get(api_meetings::find_meeting))
        .open("POST", "/api/v1/meetings/{number}/revoke", MEETING_DESK, post(api_meetings::revoke_meeting))
        .open("GET", "/api/v1/exemplary", MEETING_READERS, get(api_meetings::list_exemplary))
        .open("POST", "/api/v1/exemplary", MEETING_DESK, post(api_meetings::mark_exemplary))
        .open("GET", "/api/v1/notice-years", NOTICE_READERS, get(api_notices::count_notices))
        .open("GET", "/api/v1/crew/me", CREW, get(api_crew::show_me))
        .open("GET", "/api/v1/crew/packages", CREW, get(api_crew::list_packages))
        .open("GET", "/api/v1/crew/packages/covers", CREW, get(api_crew::list_covers))
        .open("GET", "/api/v1/crew/stock", CREW, get(api_crew::list_stock))
        .open("GET", "/api/v1/crew/plates/{token}", CREW, get(api_crew::find_plate))
        .open("GET", "/api/v1/crew/photos/{id}", CREW, get(api_crew_photos::find_photo))
        .open("PUT", "/api/v1/crew/photos/{id}", CREW, put(api_crew_photos::send_piece))
        .open("POST", "/api/v1/crew/actions", CREW, post(api_crew_actions::create_action))
        .open("GET", "/api/v1/campaigns", TASK_DESK, get(api_campaigns::list_campaigns))
        .open("POST", "/api/v1/campaigns", TASK_DESK, post(api_campaigns::create_campaign))
        .open("GET", "/api/v1/campaigns/{id}", TASK_DESK, get(api_campaigns::find_campaign))
        .open("POST", "/api/v1/campaigns/{id}/steps", TASK_DESK, post(api_campaigns::step_campaign))
        .open("GET", "/api/v1/tasks", TASK_DESK, get(api_campaigns::list_tasks))
        .open("GET", "/api/v1/tasks/recurrences", TASK_DESK, get(api_campaigns::list_recurrences))
        .open("GET", "/api/v1/due-dates", TASK_DESK, get(api_campaigns::list_due_dates))
        .open("PUT", "/api/v1/due-dates", TASK_DESK, put(api_campaigns::put_due_date))
        .open("GET", "/api/v1/plate-batches", REGISTRY, get(api_batches::list_batches))
        .open("POST", "/api/v1/plate-batches", REGISTRY, post(api_batches::create_batch))
        .open("GET", "/api/v1/plate-batches/{id}", FIELD, get(api_batches::find_batch))
        .open("GET", "/api/v1/plate-batches/{id}/plates", FIELD, get(api_batches::list_batch_plates))
        .open("GET", "/api/v1/plate-batches/{id}/plates.pdf", FIELD, get(api_batches::batch_pdf))
        .open("GET", "/api/v1/plate-batches/{id}/plates.svg.zip", FIELD, get(plate_drawings::svgs))
        .open("GET", "/api/v1/plate-batches/{id}/plates.zpl", FIELD, get(plate_drawings::labels))
        .open("GET", "/api/v1/plate-batches/{id}/ledger.csv", FIELD, get(api_batches::batch_ledger))
        .open("POST", "/api/v1/plate-batches/{id}/steps", REGISTRY, post(api_batches::step_batch))
        .open("POST", "/api/v1/plate-batches/{id}/resume", REGISTRY, post(api_batches::resume_batch))
        .open("POST", "/api/v1/plate-batches/{id}/stop", REGISTRY, post(api_batches::stop_batch))
        .open("GET", "/api/v1/plate-stock", FIELD, get(api_batches::list_stock))
        .open("POST", "/api/v1/plate-stock", REGISTRY, post(api_batches::step_stock))
        .open("POST", "/api/v1/imports", REGISTRY, post(imports::create_import))
        .open("GET", "/api/v1/import-profiles", REGISTRY, get(api_profiles::list_profiles))
        .open("GET", "/api/v1/import-profiles/{name}", REGISTRY, get(api_profiles::find_profile))
        .open("PUT", "/api/v1/import-profiles/{name}", REGISTRY, put(api_profiles::put_profile))
        .open("DELETE", "/api/v1/import-profiles/{name}", REGISTRY, delete(api_profiles::delete_profile))
        .open("GET", "/api/v1/import-profiles/{name}/versions", REGISTRY, get(api_profiles::list_versions))
        .open("POST", "/api/v1/uploads", REGISTRY, post(uploads::create_upload))
        .open("GET", "/api/v1/uploads/{id}", REGISTRY, get(uploads::find_upload))
        .open("PUT", "/api/v1/uploads/{id}", REGISTRY, put(uploads::send_piece))
        .open("GET", "/api/v1/areas", STAFF, get(api_areas::list_areas))
        .open("POST", "/api/v1/areas/assign", ADMIN, post(api_areas::assign_districts))
        .open("GET", "/api/v1/areas/{kind}/{code}", STAFF, get(api_areas::find_area))
        .open("PUT", "/api/v1/areas/{kind}/{code}", ADMIN, put(api_areas::put_area))
        .open("DELETE", "/api/v1/areas/{kind}/{code}", ADMIN, delete(api_areas::delete_area))
        .open("GET", "/api/v1/map/export", EXPORT, get(map_export::export))
        .open("GET", "/api/v1/map/place", STAFF, get(map_place::find_place))
        .open("GET", "/api/v1/map/cases", STAFF, get(map_overlays::list_cases))
        .open("GET", "/api/v1/map/tasks", TASK_DESK, get(map_overlays::list_tasks))
        .open("GET", "/api/v1/map/sensors", SENSORS, get(map_overlays::list_sensors))
        .open("GET", "/api/v1/receivers", ADMIN, get(api_receivers::list_receivers))
        .open("POST", "/api/v1/receivers", ADMIN, post(api_receivers::create_receiver))
        .open("GET", "/api/v1/receivers/{id}", ADMIN, get(api_receivers::find_receiver))
        .open("PUT", "/api/v1/receivers/{id}", ADMIN, put(api_receivers::put_receiver))
        .open("POST", "/api/v1/receivers/{id}/steps", ADMIN, post(api_receivers::step_receiver))
        .open("GET", "/api/v1/receivers/{id}/letters", ADMIN, get(api_receivers::list_letters))
        .open("POST", "/api/v1/receivers/{id}/letters/{sequence}", ADMIN, post(api_receivers::step_letter))
        .open("POST", "/api/v1/upstream/{id}/states", UPSTREAM, post(api_receivers::hear_upstream))
        .open("POST", "/api/v1/sensor-readings", Access::Sensors, post(api_sensors::take_readings))
        .open("GET", "/api/v1/sensors", SENSORS, get(api_sensors::list_sensors))
        .open("POST", "/api/v1/sensors", REGISTRY, post(api_sensors::create_sensors))
        .open("GET", "/api/v1/sensors/{serial}", SENSORS, get(api_sensors::find_sensor))
        .open("GET", "/api/v1/sensors/{serial}/hours", SENSORS, get(api_sensors::list_hours))
        .open("POST", "/api/v1/sensors/{serial}/moves", SENSORS, post(api_sensors::move_sensor))
        .open("GET", "/api/v1/changes", STAFF, get(api_feed::list_changes))
        .open("GET", "/api/v1/changes/stream", STAFF, get(api_feed::stream_changes))
        .open("GET", "/open311/{document}", Public, get(open311::discover))
        .open("GET", "/open311/v2/services.xml", Public, get(open311::list_services))
        .open("GET", "/open311/v2/services.json", Public, get(open311::list_services))
        .open("GET", "/open311/v2/services/{file}", Public, get(open311::define_service))
        .open("GET", "/open311/v2/requests.xml", Public, get(open311::list_requests))
        .open("POST", "/open311/v2/requests.xml", Public, post(open311::send_request))
        .open("GET", "/open311/v2/requests.json", Public, get(open311::list_requests))
        .open("POST", "/open311/v2/requests.json", Public, post(open311::send_request))
        .open("GET", "/open311/v2/requests/{file}", Public, get(open311::find_request))
        .open("GET", "/open311/v2/tokens/{file}", Public, get(open311::find_token))
        .open("GET", "/open311/v2/servicerequestupdates.xml", Public, get(open311::list_updates))
        .open("POST", "/open311/v2/servicerequestupdates.xml", Public, post(open311::send_word))
        .open("GET", "/open311/v2/servicerequestupdates.json", Public, get(open311::list_updates))
        .open("POST", "/open311/v2/servicerequestupdates.json", Public, post(open311::send_word))
        .open("GET", "/open311/test/v2/services.xml", Public, get(open311::list_services))
        .open("GET", "/open311/test/v2/services.json", Public, get(open311::list_services))
        .open("GET", "/open311/test/v2/services/{file}", Public, get(open311::define_service))
        .open("GET", "/open311/test/v2/requests.xml", Public, get(open311::list_requests))
        .open("POST", "/open311/test/v2/requests.xml", Public, post(open311::send_request))
        .open("GET", "/open311/test/v2/requests.json", Public, get(open311::list_requests))
        .open("POST", "/open311/test/v2/requests.json", Public, post(open311::send_request))
        .open("GET", "/open311/test/v2/requests/{file}", Public, get(open311::find_request))
        .open("GET", "/open311/test/v2/tokens/{file}", Public, get(open311::find_token))
        .open("GET", "/open311/test/v2/servicerequestupdates.xml", Public, get(open311::list_updates))
        .open("POST", "/open311/test/v2/servicerequestupdates.xml", Public, post(open311::send_word))
        .open("GET", "/open311/test/v2/servicerequestupdates.json", Public, get(open311::list_updates))
        .open("POST", "/open311/test/v2/servicerequestupdates.json", Public, post(open311::send_word))
        .open("GET", "/open311/v2/photos/{file}", Public, get(open311::request_photo))
        .open("GET", "/tiles/covers.json", Public, get(tiles::tile_json))
        .open("GET", "/tiles/covers/{z}/{x}/{y}", Public, get(tiles::tile))
        .open("GET", "/tiles/base/{z}/{x}/{y}", STAFF, get(base_tiles::tile))
        .open("GET", "/healthz", Public, get(operators::healthz))
        .open("GET", "/readyz", Public, get(operators::readyz))
        .open("GET", "/metrics", Public, get(operators::metrics))
        .open("GET", "/openapi.yaml", Public, get(operators::openapi))
        .open("GET", "/robots.txt", Public, get(operators::robots))
}

/// Serves until `shutdown` is done, then lets running requests finish.
pub async fn serve(
    state: AppState,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(tokio_nodelay(listener), service).with_graceful_shutdown(shutdown).await
}

/// Small answers must not wait for more bytes.
fn tokio_nodelay(
    listener: TcpListener,
) -> axum::serve::TapIo<TcpListener, impl FnMut(&mut tokio::net::TcpStream)> {
    use axum::serve::ListenerExt;
    listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nodelay");
        }
    })
}
