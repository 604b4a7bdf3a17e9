//! Pages: each is a struct beside its template. What the public may see is decided here and in the
//! templates alone: a field that no public page names cannot leave.

use std::collections::BTreeMap;

use askama::Template;

use crate::config::Config;
use crate::domain::code::{ComponentCode, Scheme};
use crate::domain::ids::{IdempotencyKey, Millis};
use crate::domain::notice::NOTICE_READERS;
use crate::domain::role::Role;
use crate::domain::{Refusal, hazard::Hazard};
use crate::messages::{Catalogue, Language};
use crate::registry::Session;

mod area_pages;
mod ask_pages;
mod batch_form;
mod batch_pages;
mod bulk_pages;
mod campaign_cells;
mod campaign_map;
mod campaign_pages;
mod campaign_paper;
mod case_advice;
mod case_pages;
mod census_file;
mod census_map;
mod charts;
mod citizen_desk;
mod citizen_pages;
mod claim_pages;
mod cover_list;
mod cover_page;
mod cover_paper;
mod crew_watch;
mod downloads;
mod drawing;
mod due_dates_page;
mod duplicate_pages;
mod edit_page;
mod exemplary_pages;
mod field_words;
mod held_pages;
mod import_desk;
mod intake_page;
mod layer_page;
mod ledger_page;
mod line_diff;
mod map_page;
mod meeting_pages;
mod notice_pages;
mod notice_paper;
mod plate_designer;
mod plate_printers;
mod profile_pages;
mod public_pages;
mod quality_pages;
mod receiver_pages;
mod reward_pages;
mod rule_pages;
mod sensor_pages;
mod standing;
mod statistics_page;
mod statistics_paper;
mod structure_pages;
mod understood;
mod words;

pub use area_pages::{AreaDeskView, AreaFileView, area_desk, area_file};
pub use ask_pages::asks;
pub use batch_form::{BatchForm, batch_form};
pub use batch_pages::{
    BatchListView, BatchPlatesView, BatchView, Did, StockView, batch, batch_list, batch_plates, plate_stock,
};
pub use bulk_pages::{BulkForm, BulkView, CHOSEN, OneState, bulk_edit, bulk_form, bulk_list};
pub use campaign_cells::{task_cells, task_headings};
pub use campaign_pages::{
    CampaignFormView, CampaignListView, CampaignView, campaign, campaign_form, campaigns,
};
pub use campaign_paper::campaign_paper;
pub use case_pages::{CASE_SCRIPT, MoveDraft, case_file, case_list};
pub use census_file::{FileView, census_file, means};
pub use citizen_desk::{RELEASE_SCRIPT, ReleaseView, citizens, release};
pub use citizen_pages::{follow_form, followed, left, mail_link};
pub use claim_pages::{
    ClaimNoticeView, ClaimsView, claim_cells, claim_headings, claim_notice, claim_notices,
};
pub use cover_list::{CoverListView, cover_list};
pub use cover_page::{AskedOf, CoverView, cover_file};
pub use cover_paper::cover_paper;
pub use crew_watch::{
    CheckListView, CheckView, CrewWatchView, Period, check_table, crew_table, crew_watch, day_table,
    spot_check, spot_checks, street_table,
};
pub use due_dates_page::{DueDatesView, due_dates};
pub use duplicate_pages::{CloseFiles, DuplicatesView, duplicate_cells, duplicate_headings, duplicates};
pub use edit_page::{Clash, EditView, FormAround, cover_form};
pub use exemplary_pages::{ExemplaryView, exemplary_cells, exemplary_headings, exemplary_list};
pub use held_pages::{SendersView, held, senders};
pub use import_desk::{CHANGED_HERE, DeskView, RunView, UPLOAD_SCRIPT, import_desk, import_run};
pub use intake_page::{IntakeDraft, IntakeView, intake};
pub use layer_page::{FactView, LayerView, SmallMap, layer};
pub use ledger_page::{LedgerView, ledger, ledger_as_shown, ledger_cells, ledger_table};
pub use map_page::{MapView, map};
pub use meeting_pages::{MeetingForm, MeetingListView, MeetingView, meeting_file, meeting_list};
pub use notice_pages::{
    NoticeForm, NoticeFormView, NoticeListView, NoticeView, notice_file, notice_form, notice_list,
};
pub use notice_paper::notice_paper;
pub use plate_designer::{DESIGNER_SCRIPT, DesignerView, designer};
pub use plate_printers::{PrintersView, calibration_words, printers};
pub use profile_pages::{ProfileDraft, ProfileListView, profile_list, profile_look, profile_versions};
pub use quality_pages::{
    FileListView, OverviewView, quality_cells, quality_files, quality_headings, quality_overview,
    quality_sum_cells,
};
pub use receiver_pages::{LettersView, ReceiverListView, ReceiverView, letters, receiver, receivers};
pub use reward_pages::{RewardListView, reward, rewards};
pub use rule_pages::{RuleEditView, RulesView, TrialDraft, TrialView, rule_edit, rule_trial, rules};
pub use sensor_pages::{SensorDraft, SensorListView, SensorView, sensor, sensors};
pub use statistics_page::{StatisticsView, statistics};
pub use statistics_paper::statistics_paper;
pub use structure_pages::{
    AddView, MergeView, RetireView, SplitView, add_form, code_form, merge_form, retire_form, split_form,
};
pub use understood::understood;
pub use words::{Names, day};

pub use public_pages::{
    EndpointView, PlaceView, PublicStep, REPORT_SCRIPT, ReportTarget, TAP_KEY, TrackingDraft, blank_plate,
    home, login, open311, place_start, public_step, report_form, scan, tracking, unknown_plate,
    withdrawn_plate,
};

/// What every page needs around its content.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    pub catalogue: &'a Catalogue,
    pub config: &'a Config,
    /// For the groups in which codes are read.
    pub schemes: &'a BTreeMap<String, Scheme>,
    /// Who is logged in, on pages for staff.
    pub session: Option<&'a Session>,
    /// Where the language form returns to; empty where the address opens something by itself.
    pub path: &'a str,
    pub now: Millis,
}

/// What a citizen typed so far.
pub struct ReportDraft {
    pub key: IdempotencyKey,
    pub hazard: Option<Hazard>,
    pub description: String,
    pub contact: String,
    /// Whether they want to be told how it goes on.
    pub tell: bool,
}

impl ReportDraft {
    pub fn empty() -> Self {
        let (description, contact) = (String::new(), String::new());
        Self { key: IdempotencyKey::fresh(), hazard: None, description, contact, tell: false }
    }
}

/// The filters of the case list as they stand in the address.
pub struct CaseQuery {
    pub state: String,
    pub hazard: String,
    pub district: String,
    pub party: String,
    pub emergency: String,
    pub source: String,
    pub due: String,
    pub order: String,
    pub text: String,
}

impl<'a> Page<'a> {
    /// The text of a key; short, because templates are full of it.
    fn t(&self, key: &'a str) -> &'a str {
        self.catalogue.text(key)
    }

    fn word(&self, list: &str, stored: impl std::fmt::Display) -> String {
        self.catalogue.word(list, stored)
    }

    /// A text with its one place filled.
    fn fill(&self, key: &str, name: &str, value: impl std::fmt::Display) -> String {
        self.catalogue.fill(key, &[(name, &value.to_string())])
    }

    fn tag(&self) -> &'static str {
        self.catalogue.language().tag()
    }

    fn is_chinese(&self) -> bool {
        self.catalogue.language() == Language::Zh
    }

    fn city(&self) -> &'a str {
        if self.is_chinese() { &self.config.city_zh } else { &self.config.city_en }
    }

    /// A code in the groups of its scheme.
    fn code(&self, code: &ComponentCode) -> String {
        code.grouped(self.schemes)
    }

    /// Whether the one who is logged in keeps the registry.
    fn keeps_registry(&self) -> bool {
        self.session.is_some_and(|session| matches!(session.user.role, Role::Engineer | Role::Admin))
    }

    /// Whether the one who is logged in files and dispatches.
    fn dispatches(&self) -> bool {
        let files = |role| matches!(role, Role::Dispatcher | Role::Supervisor | Role::Admin);
        self.session.is_some_and(|session| files(session.user.role))
    }

    /// Whether the one who is logged in looks after the server itself.
    fn administers(&self) -> bool {
        self.session.is_some_and(|session| session.user.role == Role::Admin)
    }

    /// Whether the one who is logged in reviews rewards, where the city pays any.
    fn reviews_rewards(&self) -> bool {
        let reviews = |role| crate::domain::reward::REWARD_DESK.contains(&role);
        self.config.rewards.enabled && self.session.is_some_and(|session| reviews(session.user.role))
    }

    /// Whether the one who is logged in looks after crews.
    fn watches_crews(&self) -> bool {
        let watches = |role| matches!(role, Role::Supervisor | Role::Engineer | Role::Admin);
        self.session.is_some_and(|session| watches(session.user.role))
    }

    /// Whether the one who is logged in sends crews out.
    fn sends_crews(&self) -> bool {
        self.session.is_some_and(|session| super::campaign_pages::TASK_DESK.contains(&session.user.role))
    }

    /// Whether the one who is logged in reads notices of supervisors.
    fn reads_notices(&self) -> bool {
        self.session.is_some_and(|session| NOTICE_READERS.contains(&session.user.role))
    }

    /// Whether the one who is logged in sees what lies under covers and measures.
    fn reads_sensors(&self) -> bool {
        let readers = crate::domain::sensor::SENSOR_READERS;
        self.session.is_some_and(|session| readers.contains(&session.user.role))
    }

    /// Whether a crew is logged in.
    fn is_crew(&self) -> bool {
        self.session.is_some_and(|session| session.user.role == Role::Crew)
    }

    /// Whether the one who is logged in sees ledger and statistics.
    fn reads_figures(&self) -> bool {
        self.session.is_some_and(|session| crate::http::ledger_pages::READERS.contains(&session.user.role))
    }

    fn csrf(&self) -> &'a str {
        self.session.map_or("", |session| &session.csrf)
    }

    /// A number that a phone can call.
    fn dialed(&self, number: &str) -> String {
        number.chars().filter(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#')).collect()
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    page: Page<'a>,
    title: String,
    sentence: String,
    next: String,
    code: &'a str,
    log_in: bool,
}

/// The page of a refusal.
pub fn error(page: &Page, status: u16, refusal: &Refusal) -> String {
    let one_of = |start: &str| {
        let key = format!("problem.{start}_{status}");
        let key = if page.catalogue.has(&key) { key } else { format!("problem.{start}_other") };
        page.catalogue.text(&key).to_owned()
    };
    write(&ProblemPage {
        page: *page,
        title: one_of("title"),
        sentence: page.catalogue.refusal_in_words(refusal),
        next: one_of("next"),
        code: refusal.code,
        log_in: status == 401,
    })
}

/// Templates are checked when the program is built; writing to memory does not fail.
fn write(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}

#[cfg(test)]
mod tests;
