//! The tables of an archive with their columns, and what stays behind.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::archive::{Column, Kind, Table};
use super::area::{AreaKind, AreaShape};
use super::campaign::{CampaignStage, CampaignState, Repeat, Scope};
use super::case::{CaseSource, CaseState};
use super::case_ask::{AskKind, AskState};
use super::checklist::Checklist;
use super::citizen::{Voice, is_boxes};
use super::claim::{ClaimAnswer, ClaimState};
use super::cover::{CoverClass, CoverState, LoadClass, Material, Placement, Shape};
use super::crew::CrewKind;
use super::edit::{BulkRowState, BulkState, Moved, RetireReason, StoredRefusal};
use super::hazard::Hazard;
use super::history::HistoryKind;
use super::ids::UserId;
use super::import_run::{ImportState, PassedOver};
use super::meeting::SubjectKind;
use super::notice::NoticeState;
use super::open311::Open311Kind;
use super::plate::{PlateSpot, PlateState};
use super::plate_batch::{BatchLabels, BatchState, Ordered, PlateWords, PrinterRecord};
use super::position::PositionMethod;
use super::reward::{RewardReason, RewardState, RewardStep};
use super::role::Role;
use super::rule_set::RuleKind;
use super::sensor::{SensorState, check_serial};
use super::task::{CheckAnswers, TaskKind, TaskResult, TaskState};

const fn must(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: true }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: false }
}

fn is<T: std::str::FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

/// Every table that goes along, each behind those that its rows name.
pub const TABLES: &[Table] = {
    use Kind::*;
    &[
        Table {
            name: "districts",
            columns: &[must("code", Text), must("name_zh", Text), must("name_en", Text)],
            key: &["code"],
            refers: &[],
        },
        Table {
            name: "areas",
            columns: &[
                must("kind", Word(is::<AreaKind>)),
                must("code", Text),
                must("name_zh", Text),
                must("name_en", Text),
                must("shape", Word(is_outline)),
                must("updated_at", Whole),
            ],
            key: &["kind", "code"],
            refers: &[],
        },
        Table {
            name: "parties",
            columns: &[must("id", Id), must("name", Text), may("hotline", Text)],
            key: &["id"],
            refers: &[],
        },
        // Their passwords stay behind.
        Table {
            name: "users",
            columns: &[
                must("id", Id),
                must("login", Text),
                must("name", Text),
                must("role", Word(is::<Role>)),
                may("party_id", Id),
                must("disabled", Yes),
                must("created_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "user_areas",
            columns: &[
                must("id", Id),
                must("user_id", Id),
                must("kind", Word(is::<AreaKind>)),
                must("code", Text),
                must("set_at", Whole),
                must("set_by", Text),
                may("ended_at", Whole),
                may("ended_by", Text),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "manholes",
            columns: &[
                must("id", Id),
                must("district", Text),
                may("road", Text),
                may("address", Text),
                may("placement", Word(is::<Placement>)),
                must("lon", Real),
                must("lat", Real),
                must("quadkey", Whole),
                must("raw_x", Real),
                must("raw_y", Real),
                must("raw_epsg", Whole),
                must("position_method", Word(is::<PositionMethod>)),
                may("accuracy_m", Real),
                may("surveyed_at", Whole),
                may("device", Text),
                must("history_length", Whole),
                must("history_hash", Bytes),
                must("created_at", Whole),
                may("merged_into", Id),
                may("split_from", Id),
            ],
            key: &["id"],
            refers: &["merged_into", "split_from"],
        },
        Table {
            name: "covers",
            columns: &[
                must("id", Id),
                must("manhole_id", Id),
                must("scheme", Text),
                must("code", Text),
                must("class", Word(is::<CoverClass>)),
                must("state", Word(is::<CoverState>)),
                may("material", Word(is::<Material>)),
                may("shape", Word(is::<Shape>)),
                may("load_class", Word(is::<LoadClass>)),
                may("owner_id", Id),
                may("maintainer_id", Id),
                may("supervisor_id", Id),
                must("source", Text),
                may("source_key", Text),
                must("extra", Word(is_extra)),
                must("version", Whole),
                may("retired_at", Whole),
                may("retired_reason", Word(is::<RetireReason>)),
                may("successor_id", Id),
            ],
            key: &["id"],
            refers: &["successor_id"],
        },
        Table {
            name: "code_aliases",
            columns: &[must("code", Text), must("scheme", Text), must("cover_id", Id)],
            key: &["code", "scheme"],
            refers: &[],
        },
        Table {
            name: "merges",
            columns: &[
                must("id", Id),
                must("survivor_id", Id),
                must("absorbed_id", Id),
                may("same_cover_id", Id),
                may("kept_cover_id", Id),
                must("moved", Word(is_moved)),
                must("reason", Text),
                must("actor", Text),
                must("at", Whole),
                may("undone_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "bulk_edits",
            columns: &[
                must("id", Id),
                must("state", Word(is::<BulkState>)),
                must("filter", Text),
                must("edit", Word(is_object)),
                must("reason", Text),
                must("actor", Text),
                must("matched", Whole),
                must("unchanged", Whole),
                must("created_at", Whole),
                may("applied_at", Whole),
                may("undone_at", Whole),
                may("undone_by", Text),
                must("version", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "bulk_edit_rows",
            columns: &[
                must("edit_id", Id),
                must("cover_id", Id),
                must("state", Word(is::<BulkRowState>)),
                must("version", Whole),
                must("fields", Word(is_object)),
                must("refusal", Word(is_refusal)),
            ],
            key: &["edit_id", "cover_id"],
            refers: &[],
        },
        Table {
            name: "imports",
            columns: &[
                must("number", Whole),
                must("state", Word(is::<ImportState>)),
                must("source", Text),
                must("profile", Text),
                must("profile_version", Whole),
                must("file_name", Text),
                must("fingerprint", Bytes),
                must("actor", Text),
                must("settled", Whole),
                must("created", Whole),
                must("updated", Whole),
                must("unchanged", Whole),
                must("duplicates", Whole),
                must("problems", Whole),
                must("kept", Whole),
                must("started_at", Whole),
                must("touched_at", Whole),
            ],
            key: &["number"],
            refers: &[],
        },
        Table {
            name: "import_profiles",
            columns: &[
                must("name", Text),
                must("version", Whole),
                must("text", Text),
                must("why", Text),
                must("actor", Text),
                must("saved_at", Whole),
                may("removed_at", Whole),
            ],
            key: &["name", "version"],
            refers: &[],
        },
        Table {
            name: "passed_over",
            columns: &[
                must("import", Whole),
                must("cover_id", Id),
                may("decision", Word(is::<PassedOver>)),
                may("decided_by", Text),
                may("decided_at", Whole),
            ],
            key: &["import", "cover_id"],
            refers: &[],
        },
        Table {
            name: "told_apart",
            columns: &[
                must("older_id", Id),
                must("newer_id", Id),
                must("actor", Text),
                must("reason", Text),
                must("at", Whole),
            ],
            key: &["older_id", "newer_id"],
            refers: &[],
        },
        Table {
            name: "claim_notices",
            columns: &[
                must("number", Text),
                may("district", Text),
                may("class", Word(is::<CoverClass>)),
                must("reason", Text),
                must("actor", Text),
                must("opened_at", Whole),
                must("due_at", Whole),
                may("cursor", Id),
            ],
            key: &["number"],
            refers: &[],
        },
        Table {
            name: "claims",
            columns: &[
                must("notice", Text),
                must("cover_id", Id),
                must("state", Word(is::<ClaimState>)),
                must("claimants", Whole),
                may("outcome_id", Id),
                must("fields", Word(is_object)),
                must("due_at", Whole),
                must("changed_at", Whole),
                must("version", Whole),
            ],
            key: &["notice", "cover_id"],
            refers: &[],
        },
        Table {
            name: "claim_answers",
            columns: &[
                must("notice", Text),
                must("cover_id", Id),
                must("party_id", Id),
                must("answer", Word(is::<ClaimAnswer>)),
                must("reason", Text),
                must("actor", Text),
                must("at", Whole),
            ],
            key: &["notice", "cover_id", "party_id"],
            refers: &[],
        },
        Table {
            name: "code_sequences",
            columns: &[
                must("scheme", Text),
                must("district", Text),
                must("class", Word(is::<CoverClass>)),
                must("last", Whole),
            ],
            key: &["scheme", "district", "class"],
            refers: &[],
        },
        Table {
            name: "plate_batches",
            columns: &[
                must("id", Id),
                must("face", Text),
                must("sheet", Text),
                must("host", Text),
                must("note", Text),
                must("actor", Text),
                must("plate_count", Whole),
                must("created_at", Whole),
                must("state", Word(is::<BatchState>)),
                must("made_as", Word(is::<PlateState>)),
                must("ordered", Word(is_ordered)),
                may("level", Word(is_level)),
                may("printer", Word(is_json::<PrinterRecord>)),
                must("labels", Word(is_json::<BatchLabels>)),
                may("split", Whole),
                may("target", Text),
                must("lines_done", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "plate_lines",
            columns: &[
                must("batch_id", Id),
                must("ordinal", Whole),
                must("cover_id", Id),
                must("code", Text),
                must("words", Word(is_json::<PlateWords>)),
            ],
            key: &["batch_id", "ordinal"],
            refers: &[],
        },
        Table {
            name: "plates",
            columns: &[
                must("token", Token),
                must("batch_id", Id),
                must("ordinal", Whole),
                must("state", Word(is::<PlateState>)),
                must("payload", Text),
                must("qr_version", Whole),
                must("qr_level", Word(is_level)),
                must("qr_mask", Whole),
                may("cover_id", Id),
                may("manhole_id", Id),
                may("printed_code", Text),
                must("page", Whole),
                must("place_on_page", Whole),
                may("successor", Token),
                must("state_at", Whole),
                may("holder", Id),
                must("spot", Word(is::<PlateSpot>)),
            ],
            key: &["token"],
            refers: &["successor"],
        },
        Table {
            name: "plate_events",
            columns: &[
                must("token", Token),
                must("step", Whole),
                must("at", Whole),
                must("actor", Text),
                must("state", Word(is::<PlateState>)),
                may("reason", Text),
                may("holder", Id),
                may("cover_id", Id),
                may("lon", Real),
                may("lat", Real),
                may("accuracy_m", Real),
                may("distance_m", Real),
            ],
            key: &["token", "step"],
            refers: &[],
        },
        Table {
            name: "spot_checks",
            columns: &[
                must("id", Id),
                must("seed", Text),
                must("from_at", Whole),
                must("until_at", Whole),
                may("crew", Text),
                may("district", Text),
                must("population", Whole),
                must("plate_count", Whole),
                must("actor", Text),
                must("created_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "spot_check_plates",
            columns: &[
                must("check_id", Id),
                must("ordinal", Whole),
                must("token", Token),
                must("cover_id", Id),
                must("fitted_by", Text),
                must("fitted_at", Whole),
            ],
            key: &["check_id", "ordinal"],
            refers: &[],
        },
        Table {
            name: "cases",
            columns: &[
                must("id", Id),
                must("number", Text),
                must("manhole_id", Id),
                may("cover_id", Id),
                must("district", Text),
                must("hazard", Word(is::<Hazard>)),
                must("state", Word(is::<CaseState>)),
                must("emergency", Yes),
                must("report_count", Whole),
                may("party_id", Id),
                may("handed_in_by", Id),
                may("joined_to", Id),
                may("until", Whole),
                must("created_at", Whole),
                must("updated_at", Whole),
                may("closed_at", Whole),
                must("version", Whole),
                must("source", Word(is::<CaseSource>)),
                must("triage", Whole),
                must("offered_to", Text),
                must("clock", Json),
                may("due_at", Whole),
                may("remind_at", Whole),
                must("dispatches", Whole),
                must("refusals", Whole),
                must("reworks", Whole),
                must("reopenings", Whole),
                must("late_ms", Whole),
                must("exempt", Yes),
                may("strike_number", Text),
                may("recurs", Id),
                may("filed_at", Whole),
                may("dispatched_at", Whole),
                may("handled_at", Whole),
            ],
            key: &["id"],
            refers: &["joined_to", "recurs"],
        },
        Table {
            name: "notices",
            columns: &[
                must("id", Id),
                may("year", Whole),
                may("issue", Whole),
                must("title", Text),
                must("body", Text),
                must("state", Word(is::<NoticeState>)),
                must("due_at", Whole),
                must("created_by", Text),
                must("created_at", Whole),
                may("issued_by", Text),
                may("issued_at", Whole),
                may("withdrawn_at", Whole),
                may("withdrawn_why", Text),
                must("reminded", Whole),
                must("version", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "notice_parties",
            columns: &[
                must("notice_id", Id),
                must("party_id", Id),
                may("confirmed_at", Whole),
                may("confirmed_by", Text),
            ],
            key: &["notice_id", "party_id"],
            refers: &[],
        },
        Table {
            name: "notice_items",
            columns: &[
                must("notice_id", Id),
                must("ordinal", Whole),
                must("case_id", Id),
                must("party_id", Id),
                may("feedback", Text),
                may("feedback_at", Whole),
                may("feedback_by", Text),
            ],
            key: &["notice_id", "ordinal"],
            refers: &[],
        },
        Table {
            name: "meetings",
            columns: &[
                must("id", Id),
                must("number", Text),
                must("held_at", Whole),
                must("place", Text),
                must("attendees", Text),
                must("decision", Text),
                must("lead_id", Id),
                must("due_at", Whole),
                must("actor", Text),
                must("created_at", Whole),
                may("revoked_at", Whole),
                may("revoked_by", Text),
                may("revoked_why", Text),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "meeting_subjects",
            columns: &[
                must("meeting_id", Id),
                must("ordinal", Whole),
                must("kind", Word(is::<SubjectKind>)),
                may("case_id", Id),
                may("cover_id", Id),
                may("district", Text),
                may("road", Text),
            ],
            key: &["meeting_id", "ordinal"],
            refers: &[],
        },
        Table {
            name: "exemplary_cases",
            columns: &[
                must("case_id", Id),
                must("year", Whole),
                must("quarter", Whole),
                must("sentence", Text),
                must("actor", Text),
                must("marked_at", Whole),
            ],
            key: &["case_id"],
            refers: &[],
        },
        Table {
            name: "campaigns",
            columns: &[
                must("id", Id),
                must("name", Text),
                must("kind", Word(is::<TaskKind>)),
                must("state", Word(is::<CampaignState>)),
                must("scope", Word(is_json::<Scope>)),
                must("checklist", Word(is_checklist)),
                must("crews", Word(is_json::<Vec<UserId>>)),
                may("repeat_rule", Word(is::<Repeat>)),
                must("from_at", Whole),
                must("until_at", Whole),
                must("round", Whole),
                must("round_from", Whole),
                must("round_until", Whole),
                must("stage", Word(is::<CampaignStage>)),
                may("cursor", Id),
                must("actor", Text),
                must("created_at", Whole),
                may("ended_at", Whole),
                must("version", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "campaign_streets",
            columns: &[
                must("campaign_id", Id),
                must("district", Text),
                must("road", Text),
                must("covers", Whole),
                may("crew_id", Id),
            ],
            key: &["campaign_id", "district", "road"],
            refers: &[],
        },
        Table {
            name: "tasks",
            columns: &[
                must("id", Id),
                must("kind", Word(is::<TaskKind>)),
                may("campaign_id", Id),
                must("round", Whole),
                may("case_id", Id),
                may("party_id", Id),
                must("cover_id", Id),
                must("district", Text),
                may("road", Text),
                may("crew_id", Id),
                must("from_at", Whole),
                must("due_at", Whole),
                must("state", Word(is::<TaskState>)),
                may("result", Word(is::<TaskResult>)),
                must("answers", Word(is_json::<CheckAnswers>)),
                may("note", Text),
                may("done_by", Id),
                may("done_at", Whole),
                may("distance_m", Real),
                may("raised_case_id", Id),
                must("created_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "due_dates",
            columns: &[
                must("cover_id", Id),
                must("kind", Word(is::<TaskKind>)),
                must("due_at", Whole),
                must("actor", Text),
                must("set_at", Whole),
            ],
            key: &["cover_id", "kind"],
            refers: &[],
        },
        Table {
            name: "reports",
            columns: &[
                must("id", Id),
                must("tracking", Text),
                must("case_id", Id),
                must("hazard", Word(is::<Hazard>)),
                must("description", Text),
                may("contact", Text),
                may("phone_lon", Real),
                may("phone_lat", Real),
                may("phone_accuracy_m", Real),
                must("language", Text),
                must("created_at", Whole),
                must("source", Word(is::<CaseSource>)),
                may("external_number", Text),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "photos",
            columns: &[
                must("id", Id),
                must("digest", Bytes),
                must("manhole_id", Id),
                may("case_id", Id),
                may("report_id", Id),
                must("role", Text),
                must("media_type", Text),
                must("bytes", Whole),
                must("width", Whole),
                must("height", Whole),
                must("created_at", Whole),
                may("cover_id", Id),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "reward_payouts",
            columns: &[must("id", Id), must("number", Text), must("actor", Text), must("created_at", Whole)],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "rewards",
            columns: &[
                must("id", Id),
                must("report_id", Id),
                must("case_id", Id),
                must("person", Bytes),
                must("payee", Text),
                must("payee_name", Text),
                must("amount_fen", Whole),
                must("month", Text),
                must("state", Word(is::<RewardState>)),
                may("reason", Word(is::<RewardReason>)),
                must("note", Text),
                may("payout_id", Id),
                may("payment", Text),
                must("created_at", Whole),
                must("updated_at", Whole),
                must("version", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "reward_steps",
            columns: &[
                must("reward_id", Id),
                must("version", Whole),
                must("at", Whole),
                must("actor", Text),
                must("step", Word(is::<RewardStep>)),
                must("state", Word(is::<RewardState>)),
                must("note", Text),
            ],
            key: &["reward_id", "version"],
            refers: &[],
        },
        Table {
            name: "open311_requests",
            columns: &[
                must("report_id", Id),
                must("kind", Word(is::<Open311Kind>)),
                must("sender_id", Id),
                may("external_id", Text),
                must("digest", Bytes),
                may("account_id", Text),
                may("device_id", Text),
                may("media_url", Text),
                may("follows", Id),
                may("case_id", Id),
                must("created_at", Whole),
            ],
            key: &["report_id"],
            refers: &[],
        },
        Table {
            name: "sensors",
            columns: &[
                must("id", Id),
                must("serial", Word(is_serial)),
                must("model", Text),
                must("state", Word(is::<SensorState>)),
                may("cover_id", Id),
                may("installed_at", Whole),
                may("disarmed_until", Whole),
                may("disarm_reason", Text),
                must("created_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "crew_actions",
            columns: &[
                must("id", Id),
                must("user_id", Id),
                must("kind", Word(is::<CrewKind>)),
                must("at", Whole),
                must("done_at", Whole),
                may("cover_id", Id),
                may("token", Token),
                may("case_id", Id),
                may("result", Text),
                may("note", Text),
                may("lon", Real),
                may("lat", Real),
                may("accuracy_m", Real),
                may("distance_m", Real),
                may("answers", Id),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "history",
            columns: &[
                must("manhole_id", Id),
                must("sequence", Whole),
                must("at", Whole),
                must("actor", Text),
                must("kind", Word(is::<HistoryKind>)),
                may("case_id", Id),
                must("body", Json),
                must("hash", Bytes),
            ],
            key: &["manhole_id", "sequence"],
            refers: &[],
        },
        Table {
            name: "case_asks",
            columns: &[
                must("id", Id),
                must("case_id", Id),
                must("kind", Word(is::<AskKind>)),
                must("state", Word(is::<AskState>)),
                must("party_id", Id),
                must("reason", Text),
                may("until", Whole),
                must("asked_by", Id),
                must("asked_at", Whole),
                may("endorsed_by", Id),
                may("endorsed_at", Whole),
                may("decided_by", Id),
                may("decided_at", Whole),
                may("answer", Text),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "citizen_words",
            columns: &[
                must("id", Id),
                must("report_id", Id),
                must("voice", Word(is::<Voice>)),
                must("text", Text),
                must("actor", Text),
                must("created_at", Whole),
                may("answered_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "released_photos",
            columns: &[
                must("photo_id", Id),
                must("boxes", Word(is_boxes)),
                must("actor", Text),
                must("released_at", Whole),
            ],
            key: &["photo_id"],
            refers: &[],
        },
        Table {
            name: "ratings",
            columns: &[
                must("report_id", Id),
                must("score", Whole),
                must("text", Text),
                may("again_id", Id),
                must("rated_at", Whole),
                must("changed_at", Whole),
            ],
            key: &["report_id"],
            refers: &[],
        },
        Table {
            name: "call_backs",
            columns: &[
                must("id", Id),
                must("report_id", Id),
                must("asked_at", Whole),
                may("outcome", Text),
                may("done_by", Text),
                may("done_at", Whole),
            ],
            key: &["id"],
            refers: &[],
        },
        Table {
            name: "same_here",
            columns: &[must("case_id", Id), must("key", Id), must("at", Whole)],
            key: &["case_id", "key"],
            refers: &[],
        },
        Table {
            name: "rule_versions",
            columns: &[
                must("kind", Word(is::<RuleKind>)),
                must("version", Whole),
                must("valid_from", Whole),
                must("text", Text),
                must("note", Text),
                must("actor", Text),
                must("created_at", Whole),
            ],
            key: &["kind", "version"],
            refers: &[],
        },
        // Where the numbers of cases, reports, notices and imports stand; those of feed and outbox begin anew.
        Table {
            name: "counters",
            columns: &[must("name", Word(is_numbering)), must("last", Whole)],
            key: &["name"],
            refers: &[],
        },
    ]
};

/// Tables and columns that stay behind, and why.
pub const LEFT_BEHIND: &[(&str, &str)] = &[
    ("settings", "the secret of tracking links; a new registry has its own"),
    ("users.password_hash", "a password is set anew with `lidmark user password`"),
    ("users.failed_logins", "of the log-ins that stay behind"),
    ("users.locked_until", "of the log-ins that stay behind"),
    (
        "imports.first_change",
        "a place in the feed; the feed of the new registry has every cover from its start",
    ),
    ("sessions", "log-ins"),
    ("api_tokens", "log-ins of programs"),
    ("idempotency", "answers to retries; they come within minutes"),
    (
        "field_photos",
        "photos on their way in; a phone sends them again when it is told that they are not here",
    ),
    ("changes", "the feed of a registry begins with it"),
    ("outbox", "has been heard where the registry was"),
    ("outbox_receivers", "has been heard where the registry was"),
    ("receivers", "they hold secrets, and hear where the registry was"),
    ("deliveries", "of the receivers that stay behind"),
    ("report_origins", "digests under the secret that stays behind"),
    ("blocks", "digests under the secret that stays behind"),
    ("case_holds", "of the last day; where the registry goes on, its cases are public"),
    ("photo_looks", "of some months; photos that come from now on are known again"),
    ("sensors.heard_at", "devices say it again within a day; the same of what follows"),
    ("sensors.next_at", "of what devices say"),
    ("sensors.alarmed", "of what devices say"),
    ("sensors.low_battery", "of what devices say"),
    ("sensors.memory", "of what devices say"),
    ("sensor_hours", "of what devices say; old after some weeks"),
    ("followers", "addresses of people, who gave them to the house where the registry was"),
    ("citizen_messages", "of the followers that stay behind"),
    ("upstream_cases", "ids of a platform that a registry in another house is not bound to"),
];

fn is_serial(text: &str) -> bool {
    check_serial(text) == Ok(text)
}

fn is_outline(text: &str) -> bool {
    serde_json::from_str::<AreaShape>(text).is_ok()
}

/// Columns of a census that nobody has a field for, as they are stored: on one line.
fn is_extra(text: &str) -> bool {
    !text.contains(['\n', '\r']) && serde_json::from_str::<BTreeMap<String, String>>(text).is_ok()
}

fn is_json<T: serde::de::DeserializeOwned>(text: &str) -> bool {
    serde_json::from_str::<T>(text).is_ok()
}

/// What a batch was ordered for; nothing of those from before orders were kept.
fn is_ordered(text: &str) -> bool {
    text == "{}" || is_json::<Ordered>(text)
}

fn is_checklist(text: &str) -> bool {
    Checklist::read(text).is_ok()
}

fn is_level(text: &str) -> bool {
    matches!(text, "M" | "Q" | "H")
}

/// What a merge moved, as it must be known to undo it.
fn is_moved(text: &str) -> bool {
    serde_json::from_str::<Moved>(text).is_ok()
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<BTreeMap<String, &RawValue>>(text).is_ok()
}

/// Why a cover was left alone, or nothing.
fn is_refusal(text: &str) -> bool {
    text.is_empty() || serde_json::from_str::<StoredRefusal>(text).is_ok()
}

/// Whether a counter numbers what people name: `case:2026`, `report:2026`, `claims:2026`, `notice:2026`, `meeting:2026`,
/// `imports`.
pub fn is_numbering(name: &str) -> bool {
    name == "imports"
        || matches!(
            name.split_once(':'),
            Some(("case" | "report" | "strike" | "claims" | "notice" | "meeting", _))
        )
}
