//! Rules in words.

use askama::Template;

use super::case_advice::{RouteView, factors, in_words, limit_words};
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::case::CaseSource;
use crate::domain::cover::{CoverClass, Placement};
use crate::domain::hazard::Hazard;
use crate::domain::limits::LimitRow;
use crate::domain::role::Role;
use crate::domain::routing::{Destination, RoutingRule};
use crate::domain::rule_set::{RuleKind, RuleVersion, in_force};
use crate::registry::{ActiveRules, DryRun, RuleVerdict, RulesLook};

pub struct RulesView<'a> {
    pub rules: &'a ActiveRules,
    pub versions: &'a [RuleVersion],
    pub names: Names<'a>,
    pub wrong: Option<&'a Refusal>,
}

struct RoutingLine {
    words: String,
    conditions: String,
    to: String,
    automatic: String,
}

struct LimitLine {
    condition: String,
    hazards: String,
    classes: String,
    limit: String,
    closing: String,
    evidence: String,
}

struct VersionLine {
    version: i64,
    in_force: bool,
    from: String,
    who: String,
    note: String,
}

struct KindView {
    key: &'static str,
    word: String,
    versions: Vec<VersionLine>,
}

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage<'a> {
    page: Page<'a>,
    weather: Option<String>,
    may_edit: bool,
    routing: Vec<RoutingLine>,
    limits: Vec<LimitLine>,
    desk: Vec<(String, String)>,
    kinds: Vec<KindView>,
    wrong: Option<String>,
}

pub fn rules(page: &Page, view: &RulesView, role: Role) -> String {
    let limits = &view.rules.limits;
    let weather = view.rules.weather.as_ref().map(|mode| {
        let until = page.date_time(mode.until);
        page.catalogue.fill("rules.weather_is", &[("words", &mode.words), ("until", &until)])
    });
    let desk = [
        ("desk_step.file", limits.desk.file),
        ("desk_step.dispatch", limits.desk.dispatch),
        ("desk_step.claim", limits.desk.claim),
        ("desk_step.check", limits.desk.check),
        ("desk_step.close", limits.desk.close),
        ("desk_step.urgent_dispatch", limits.desk.urgent.dispatch),
        ("desk_step.urgent_claim", limits.desk.urgent.claim),
        ("desk_step.urgent_check", limits.desk.urgent.check),
        ("desk_step.urgent_close", limits.desk.urgent.close),
    ];
    write(&RulesPage {
        page: *page,
        weather,
        may_edit: role == Role::Admin,
        routing: view.rules.routing.rules.iter().map(|rule| routing_line(page, rule)).collect(),
        limits: limits.limits.iter().map(|row| limit_line(page, row)).collect(),
        desk: desk.map(|(key, limit)| (page.t(key).to_owned(), in_words(page, limit))).into(),
        kinds: RuleKind::ALL.iter().map(|kind| kind_view(page, view, *kind)).collect(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

fn kind_view(page: &Page, view: &RulesView, kind: RuleKind) -> KindView {
    let active = in_force(view.versions, kind, page.now).map_or(0, |rules| rules.version);
    let kept = view.versions.iter().rev().filter(|rules| rules.kind == kind).map(|rules| VersionLine {
        version: rules.version,
        in_force: rules.version == active,
        from: page.date_time(rules.valid_from),
        who: view.names.who(page, &rules.actor),
        note: rules.note.clone(),
    });
    let built_in = VersionLine {
        version: 0,
        in_force: active == 0,
        from: String::new(),
        who: page.t("rules.built_in").to_owned(),
        note: String::new(),
    };
    let word = page.word("rule_kind", kind);
    KindView { key: kind.as_str(), word, versions: kept.chain([built_in]).collect() }
}

fn listed<T: std::fmt::Display>(page: &Page, list: &str, words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| page.word(list, word)).collect::<Vec<_>>().join(page.t("list.comma"))
}

fn routing_line(page: &Page, rule: &RoutingRule) -> RoutingLine {
    let comma = page.t("list.comma");
    let names = |list: &std::collections::BTreeSet<String>| {
        list.iter().map(String::as_str).collect::<Vec<_>>().join(comma)
    };
    let mut conditions = vec![
        listed(page, "hazard", &rule.hazards),
        listed(page, "class", &rule.classes),
        names(&rule.districts),
        listed(page, "case_source", &rule.sources),
        names(&rule.owners),
        names(&rule.maintainers),
        listed(page, "placement", &rule.placements),
    ];
    let yes_no = |key: &str, wanted: Option<bool>| match wanted {
        Some(yes) => page.word(key, if yes { "yes" } else { "no" }),
        None => String::new(),
    };
    conditions.push(yes_no("rule_emergency", rule.emergency));
    conditions.push(yes_no("rule_owner_known", rule.owner_known));
    conditions.push(yes_no("rule_maintainer_known", rule.maintainer_known));
    conditions.push(yes_no("rule_weather", rule.weather));
    conditions.extend(rule.when.map(|when| page.word("rule_when", when)));
    conditions.retain(|words| !words.is_empty());
    RoutingLine {
        words: page.words(&rule.words).to_owned(),
        conditions: conditions.join(" · "),
        to: match &rule.to {
            Destination::Maintainer => page.t("rule_to.maintainer").to_owned(),
            Destination::Owner => page.t("rule_to.owner").to_owned(),
            Destination::Supervisor => page.t("rule_to.supervisor").to_owned(),
            Destination::Desk => page.t("rule_to.desk").to_owned(),
            Destination::Party(name) => name.clone(),
            Destination::Pool(name) => page.fill("rule_to.pool", "name", name),
        },
        automatic: page.word("automatic", rule.automatic),
    }
}

fn limit_line(page: &Page, row: &LimitRow) -> LimitLine {
    let all = |words: String| if words.is_empty() { page.t("rules.all").to_owned() } else { words };
    LimitLine {
        condition: page.words(&row.condition).to_owned(),
        hazards: all(listed(page, "hazard", &row.hazards)),
        classes: all(listed(page, "class", &row.classes)),
        limit: limit_words(page, row),
        closing: page.words(&row.closing).to_owned(),
        evidence: listed(page, "hand_in_evidence", &row.evidence),
    }
}

pub struct RuleEditView<'a> {
    pub kind: RuleKind,
    /// The newest version when the page was opened.
    pub seen: i64,
    pub text: &'a str,
    pub note: &'a str,
    pub valid_from: &'a str,
    pub look: Option<&'a RulesLook>,
    pub wrong: Option<&'a Refusal>,
}

#[derive(Template)]
#[template(path = "rule_edit.html")]
struct RuleEditPage<'a> {
    page: Page<'a>,
    title: String,
    kind: RuleKind,
    seen: i64,
    text: &'a str,
    note: &'a str,
    valid_from: &'a str,
    look: Vec<String>,
    may_keep: bool,
    wrong: Option<String>,
}

pub fn rule_edit(page: &Page, view: &RuleEditView) -> String {
    write(&RuleEditPage {
        page: *page,
        title: page.word("rule_kind", view.kind),
        kind: view.kind,
        seen: view.seen,
        text: view.text,
        note: view.note,
        valid_from: view.valid_from,
        look: view.look.map(|look| look_lines(page, look)).unwrap_or_default(),
        may_keep: view.look.is_some(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

fn look_lines(page: &Page, look: &RulesLook) -> Vec<String> {
    match look {
        RulesLook::Limits(run) => limit_lines(page, run),
        RulesLook::Routing { at_desk, changes } => {
            let counts = [("count", &at_desk.to_string()), ("changed", &changes.len().to_string())];
            let counts = counts.map(|(name, value)| (name, value.as_str()));
            let mut lines = vec![page.catalogue.fill("rules.look_routing", &counts)];
            lines.extend(changes.iter().take(50).map(|change| change.number.clone()));
            lines
        }
    }
}

fn limit_lines(page: &Page, run: &DryRun) -> Vec<String> {
    let (open, changed) = (run.open.to_string(), run.changed.to_string());
    let (newly, no_longer) = (run.newly_overdue.to_string(), run.no_longer_overdue.to_string());
    let counts =
        [("count", open.as_str()), ("changed", &changed), ("newly", &newly), ("no_longer", &no_longer)];
    let mut lines = vec![page.catalogue.fill("rules.look_limits", &counts)];
    let none = || "–".to_owned();
    for row in &run.rows {
        let (before, after) =
            (row.before.clone().unwrap_or_else(none), row.after.clone().unwrap_or_else(none));
        let open = row.open.to_string();
        let values =
            [("id", row.id.as_str()), ("before", &before), ("after", &after), ("count", open.as_str())];
        lines.push(page.catalogue.fill("rules.look_row", &values));
    }
    for change in &run.examples {
        let at = |due: Option<_>| due.map_or_else(none, |due| page.date_time(due));
        let (before, after) = (at(change.now_due), at(change.then_due));
        let values = [("number", change.number.as_str()), ("before", &before), ("after", &after)];
        lines.push(page.catalogue.fill("rules.look_case", &values));
    }
    lines
}

/// What somebody chose for a report that they imagine.
#[derive(Debug, Default)]
pub struct TrialDraft {
    pub hazard: String,
    pub class: String,
    pub district: String,
    pub placement: String,
    pub source: String,
    pub owner: String,
    pub maintainer: String,
    pub at: String,
}

pub struct TrialView<'a> {
    pub draft: &'a TrialDraft,
    pub verdict: Option<&'a RuleVerdict>,
    pub names: Names<'a>,
    pub wrong: Option<&'a Refusal>,
}

struct TrialField {
    name: &'static str,
    label: String,
    needed: bool,
    choices: Vec<Choice>,
}

struct VerdictView {
    lines: Vec<String>,
    score: i64,
    factors: Vec<(String, i64)>,
    passed: Vec<String>,
}

#[derive(Template)]
#[template(path = "rule_trial.html")]
struct TrialPage<'a> {
    page: Page<'a>,
    fields: Vec<TrialField>,
    at: &'a str,
    verdict: Option<VerdictView>,
    wrong: Option<String>,
}

pub fn rule_trial(page: &Page, view: &TrialView) -> String {
    let draft = view.draft;
    let choice = |value: String, word: String, chosen: &str| Choice { chosen: value == chosen, value, word };
    let parties = |chosen: &str| {
        let all = view.names.parties.iter();
        all.map(|party| choice(party.name.clone(), party.name.clone(), chosen)).collect()
    };
    let hazards = Hazard::ALL.iter();
    let classes = CoverClass::ALL.iter();
    let placements = Placement::ALL.iter();
    let sources = CaseSource::ALL.iter();
    let districts = view.names.districts.iter();
    let field = |name, label: &str, choices| TrialField {
        name,
        label: page.t(label).to_owned(),
        needed: name == "hazard",
        choices,
    };
    let fields = vec![
        field(
            "hazard",
            "desk.hazard",
            hazards.map(|one| choice(one.to_string(), page.word("hazard", one), &draft.hazard)).collect(),
        ),
        field(
            "class",
            "rules.class",
            classes.map(|one| choice(one.to_string(), page.word("class", one), &draft.class)).collect(),
        ),
        field("owner", "rule_to.owner", parties(&draft.owner)),
        field("maintainer", "rule_to.maintainer", parties(&draft.maintainer)),
        field(
            "district",
            "desk.district",
            districts
                .map(|one| choice(one.code.clone(), page.district(one).to_owned(), &draft.district))
                .collect(),
        ),
        field(
            "placement",
            "rules.placement",
            placements
                .map(|one| choice(one.to_string(), page.word("placement", one), &draft.placement))
                .collect(),
        ),
        field(
            "source",
            "case.source",
            sources
                .map(|one| choice(one.to_string(), page.word("case_source", one), &draft.source))
                .collect(),
        ),
    ];
    write(&TrialPage {
        page: *page,
        fields,
        at: &draft.at,
        verdict: view.verdict.map(|verdict| verdict_view(page, verdict)),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

fn verdict_view(page: &Page, verdict: &RuleVerdict) -> VerdictView {
    let route = RouteView::new(page, &verdict.route);
    let mut lines = Vec::new();
    if verdict.emergency {
        lines.push(page.t("rules.verdict_emergency").to_owned());
    }
    lines
        .push(page.t(if verdict.out_of_hours { "rules.verdict_off" } else { "rules.verdict_on" }).to_owned());
    lines.push(page.catalogue.fill(
        "rules.verdict_row",
        &[("condition", page.words(&verdict.row.condition)), ("limit", &limit_words(page, &verdict.row))],
    ));
    lines.push(route.says);
    lines.push(
        page.t(if verdict.route.automatic { "rules.verdict_automatic" } else { "rules.verdict_by_hand" })
            .to_owned(),
    );
    if let Some(due) = verdict.due_at {
        lines.push(page.fill("rules.verdict_due", "at", page.date_time(due)));
    }
    VerdictView {
        lines,
        score: verdict.triage.iter().map(|(_, points)| points).sum(),
        factors: factors(page, &verdict.triage),
        passed: route.passed,
    }
}
