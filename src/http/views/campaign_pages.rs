//! 专项巡护: the list of campaigns, the form for a new one, one with its progress, map and answers; dates that come round.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use askama::Template;

use super::drawing::{Drawing, widened};
use super::field_words;
use super::quality_pages::district_choices;
use super::words::{Choice, Names, joined};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::area::{AreaKind, AreaShape};
use crate::domain::campaign::{CampaignState, CampaignStep, Progress};
use crate::domain::checklist::{AnswerKind, Checklist, QuestionSummary};
use crate::domain::code::ComponentCode;
use crate::domain::cover::{CoverClass, CoverState, LoadClass, Placement};
use crate::domain::ids::{IdempotencyKey, Millis, UserId};
use crate::domain::task::{CheckAnswer, CheckAnswers, TaskKind, TaskRules};
use crate::registry::{Campaign, DueLine, Recurrence, TaskCount, TaskLine, TaskPoint, User};

pub struct CampaignListView<'a> {
    pub names: Names<'a>,
    pub rows: &'a [(&'a Campaign, Vec<TaskCount>)],
    pub looked: &'a [Recurrence],
    pub next: Option<String>,
}

struct ListRow {
    id: String,
    name: String,
    kind: String,
    state: String,
    period: String,
    repeat: String,
    progress: Progress,
    percent: i64,
}

#[derive(Template)]
#[template(path = "campaigns.html")]
struct ListPage<'a> {
    page: Page<'a>,
    rows: Vec<ListRow>,
    looked: &'a [Recurrence],
    next: Option<String>,
}

/// Campaigns, newest first, with their newest rounds; and what looks back found of each party's work.
pub fn campaigns(page: &Page, view: &CampaignListView) -> String {
    let row = |(campaign, counts): &(&Campaign, Vec<TaskCount>)| {
        let progress = sum(counts);
        ListRow {
            id: campaign.id.to_string(),
            name: campaign.name.clone(),
            kind: page.word("task_kind", campaign.kind),
            state: page.word("campaign_state", campaign.state),
            period: period(page, campaign.from_at, campaign.until_at),
            repeat: repeat(page, campaign),
            percent: progress.percent(),
            progress,
        }
    };
    write(&ListPage {
        page: *page,
        rows: view.rows.iter().map(row).collect(),
        looked: view.looked,
        next: view.next.clone(),
    })
}

fn sum<'c>(counts: impl IntoIterator<Item = &'c TaskCount>) -> Progress {
    let mut sum = Progress::default();
    counts.into_iter().for_each(|count| sum.add(count.state, count.result, count.count));
    sum
}

/// Days, the last one whole.
fn period(page: &Page, from: Millis, until: Millis) -> String {
    let (first, last) = (page.date(from), page.date(Millis(until.0 - 1)));
    if first == last { first } else { format!("{first} – {last}") }
}

fn repeat(page: &Page, campaign: &Campaign) -> String {
    use crate::domain::campaign::Repeat;
    match &campaign.repeat {
        None => String::new(),
        Some(Repeat::Every(days)) => page.fill("campaigns.every", "days", days),
        Some(Repeat::On(days)) => {
            let words: Vec<String> = days
                .iter()
                .filter_map(|day| WEEK.get(usize::from(*day)))
                .map(|day| page.word("weekday", day))
                .collect();
            words.join(page.t("list.comma"))
        }
    }
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub struct CampaignFormView<'a> {
    pub names: Names<'a>,
    pub crews: &'a [User],
    /// What was filled in so far.
    pub value: &'a dyn Fn(&str) -> String,
    pub ticked: &'a dyn Fn(&str, &str) -> bool,
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

#[derive(Template)]
#[template(path = "campaign_form.html")]
struct FormPage<'a> {
    page: Page<'a>,
    name: String,
    kinds: Vec<Choice>,
    districts: Vec<Choice>,
    area_kinds: Vec<Choice>,
    area_code: String,
    outline: String,
    road: String,
    classes: Vec<Choice>,
    states: Vec<Choice>,
    placements: Vec<Choice>,
    load_classes: Vec<Choice>,
    owners: Vec<Choice>,
    crews: Vec<Choice>,
    days: Vec<Choice>,
    every: String,
    from: String,
    until: String,
    checklist: String,
    key: String,
    wrong: Option<String>,
}

/// The form for a new campaign.
pub fn campaign_form(page: &Page, view: &CampaignFormView) -> String {
    let value = view.value;
    fn words<T: Copy + std::fmt::Display>(page: &Page, list: &str, all: &[T], chosen: &str) -> Vec<Choice> {
        all.iter()
            .map(|word| Choice {
                value: word.to_string(),
                word: page.word(list, word),
                chosen: word.to_string() == chosen,
            })
            .collect()
    }
    let kinds: Vec<TaskKind> = TaskKind::ALL.iter().copied().filter(|kind| kind.lapses()).collect();
    let owner = value("owner");
    write(&FormPage {
        page: *page,
        name: value("name"),
        kinds: words(page, "task_kind", &kinds, &value("kind")),
        districts: district_choices(page, view.names.districts, &value("district")),
        area_kinds: words(page, "area_kind", AreaKind::ALL, &value("area_kind")),
        area_code: value("area_code"),
        outline: value("outline"),
        road: value("road"),
        classes: words(page, "class", CoverClass::ALL, &value("class")),
        states: words(page, "state", CoverState::ALL, &value("state")),
        placements: words(page, "placement", Placement::ALL, &value("placement")),
        load_classes: LoadClass::ALL
            .iter()
            .map(|class| Choice {
                value: class.to_string(),
                word: class.to_string(),
                chosen: class.as_str() == value("load_class"),
            })
            .collect(),
        owners: view
            .names
            .parties
            .iter()
            .map(|party| Choice {
                value: party.id.to_string(),
                word: party.name.clone(),
                chosen: party.id.to_string() == owner,
            })
            .collect(),
        crews: view
            .crews
            .iter()
            .map(|crew| {
                let id = crew.id.to_string();
                Choice { chosen: (view.ticked)("crew", &id), word: crew.name.clone(), value: id }
            })
            .collect(),
        days: WEEK
            .iter()
            .map(|day| Choice {
                value: (*day).to_owned(),
                word: page.word("weekday", day),
                chosen: (view.ticked)("day", day),
            })
            .collect(),
        every: value("every"),
        from: value("from"),
        until: value("until"),
        checklist: value("checklist"),
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// What the page of a campaign shows, and its report.
pub struct CampaignView<'a> {
    pub names: Names<'a>,
    pub campaign: &'a Campaign,
    pub round: i64,
    pub counts: &'a [TaskCount],
    pub questions: &'a [QuestionSummary],
    pub points: &'a [TaskPoint],
    /// Where something was wrong.
    pub troubled: &'a [TaskLine],
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

pub(super) struct ProgressRow {
    pub(super) name: String,
    pub(super) progress: Progress,
    pub(super) percent: i64,
}

impl ProgressRow {
    fn of(name: String, progress: Progress) -> Self {
        Self { name, percent: progress.percent(), progress }
    }
}

/// One question with what was answered, in words.
pub(super) struct QuestionRow {
    pub(super) text: String,
    pub(super) answered: i64,
    pub(super) said: String,
}

struct TroubleRow {
    digits: String,
    code: String,
    place: String,
    who: String,
    at: String,
    note: String,
    case: Option<String>,
}

struct Map {
    width: f64,
    height: f64,
    is_grid: bool,
    outline: String,
    paths: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "campaign.html")]
struct CampaignPage<'a> {
    page: Page<'a>,
    id: String,
    name: &'a str,
    facts: Vec<(String, String)>,
    is_filling: bool,
    total: ProgressRow,
    districts: Vec<ProgressRow>,
    crews: Vec<ProgressRow>,
    streets: Vec<ProgressRow>,
    questions: Vec<QuestionRow>,
    troubled: Vec<TroubleRow>,
    map: Option<Map>,
    rounds: Vec<Choice>,
    steps: Vec<(CampaignStep, String)>,
    version: i64,
    key: String,
    wrong: Option<String>,
    files: Vec<(String, String)>,
}

/// One campaign with its progress, its map and what was answered.
pub fn campaign(page: &Page, view: &CampaignView) -> String {
    let campaign = view.campaign;
    let steps = CampaignStep::ALL.iter().filter(|step| campaign.state.after(**step).is_some());
    let id = campaign.id.to_string();
    let file = |name: &str, key: &str| {
        (format!("/desk/campaigns/{id}/{name}?round={}", view.round), page.catalogue.text(key).to_owned())
    };
    let files = match view.round {
        0 => Vec::new(),
        _ => vec![file("report.pdf", "campaigns.report"), file("results.csv", "campaigns.results")],
    };
    use crate::domain::campaign::CampaignStage;
    write(&CampaignPage {
        page: *page,
        name: &campaign.name,
        facts: facts(page, view),
        is_filling: campaign.state == CampaignState::Running
            && matches!(campaign.stage, CampaignStage::Dividing | CampaignStage::Filling),
        total: ProgressRow::of(page.t("campaigns.total").to_owned(), sum(view.counts)),
        districts: by_district(page, view),
        crews: by_crew(page, view),
        streets: by_street(page, view),
        questions: questions(page, view.questions),
        troubled: view.troubled.iter().map(|line| trouble(page, view.names, line)).collect(),
        map: map(view.points, campaign.scope.outline.as_ref()),
        rounds: (1..=campaign.round)
            .rev()
            .take(60)
            .map(|round| Choice {
                value: round.to_string(),
                word: page.fill("campaigns.round_of", "round", round),
                chosen: round == view.round,
            })
            .collect(),
        steps: steps.map(|step| (*step, page.word("campaign_step", step))).collect(),
        version: campaign.version,
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
        files,
        id,
    })
}

/// What a campaign is about.
pub(super) fn facts(page: &Page, view: &CampaignView) -> Vec<(String, String)> {
    let (campaign, scope) = (view.campaign, &view.campaign.scope);
    let fact = |name: &str, value: String| (page.word("fact", name), value);
    let own = |key: &'static str, value: String| (page.catalogue.text(key).to_owned(), value);
    let mut facts = vec![
        own("campaigns.kind", page.word("task_kind", campaign.kind)),
        own("campaigns.state", page.word("campaign_state", campaign.state)),
        own("campaigns.period", period(page, campaign.from_at, campaign.until_at)),
    ];
    if campaign.repeat.is_some() {
        facts.push(own("campaigns.repeat", repeat(page, campaign)));
    }
    if view.round > 0 && campaign.repeat.is_some() && view.round == campaign.round {
        let days = period(page, campaign.round_from, campaign.round_until);
        facts.push(own("campaigns.round", format!("{} · {days}", view.round)));
    }
    if let Some(district) = &scope.district {
        facts.push(fact("district", field_words::text(page, view.names, "district", district)));
    }
    match (&scope.area, &scope.outline) {
        (Some((kind, code)), _) => {
            facts.push(own("campaigns.area", format!("{} {code}", page.word("area_kind", kind))));
        }
        (None, Some(_)) => facts.push(own("campaigns.area", page.t("campaigns.drawn").to_owned())),
        _ => {}
    }
    facts.extend(scope.road.clone().map(|road| fact("road", road)));
    facts.extend(scope.class.map(|class| fact("class", page.word("class", class))));
    facts.extend(scope.state.map(|state| fact("state", page.word("state", state))));
    facts.extend(scope.placement.map(|placement| fact("placement", page.word("placement", placement))));
    facts.extend(scope.load_class.map(|class| fact("load_class", class.to_string())));
    if let Some(owner) = scope.owner {
        let known = view.names.parties.iter().find(|party| party.id == owner);
        facts.push(fact("owner", known.map_or_else(|| owner.to_string(), |party| party.name.clone())));
    }
    let crews: Vec<String> = campaign.crews.iter().map(|crew| who(page, view.names, Some(*crew))).collect();
    if !crews.is_empty() {
        facts.push(own("campaigns.crews", crews.join(page.t("list.comma"))));
    }
    facts.push(own("campaigns.made_by", view.names.who(page, &campaign.actor)));
    facts
}

fn who(page: &Page, names: Names, user: Option<UserId>) -> String {
    user.map_or_else(
        || page.t("campaigns.any_crew").to_owned(),
        |user| names.who(page, &format!("user:{user}")),
    )
}

fn grouped<K: Ord>(counts: &[TaskCount], key: impl Fn(&TaskCount) -> K) -> BTreeMap<K, Progress> {
    let mut sums: BTreeMap<K, Progress> = BTreeMap::new();
    for count in counts {
        sums.entry(key(count)).or_default().add(count.state, count.result, count.count);
    }
    sums
}

pub(super) fn by_district(page: &Page, view: &CampaignView) -> Vec<ProgressRow> {
    let sums = grouped(view.counts, |count| count.district.clone());
    let name = |code: &str| field_words::text(page, view.names, "district", code);
    sums.into_iter().map(|(code, sum)| ProgressRow::of(name(&code), sum)).collect()
}

pub(super) fn by_crew(page: &Page, view: &CampaignView) -> Vec<ProgressRow> {
    let sums = grouped(view.counts, |count| count.crew);
    sums.into_iter().map(|(crew, sum)| ProgressRow::of(who(page, view.names, crew), sum)).collect()
}

pub(super) fn by_street(page: &Page, view: &CampaignView) -> Vec<ProgressRow> {
    let sums = grouped(view.counts, |count| (count.district.clone(), count.road.clone()));
    let name = |code: &str, road: Option<String>| {
        let district = field_words::text(page, view.names, "district", code);
        joined([Some(road.as_deref().unwrap_or(page.t("crews.no_road"))), Some(district.as_str())])
    };
    sums.into_iter().map(|((code, road), sum)| ProgressRow::of(name(&code, road), sum)).collect()
}

pub(super) fn questions(page: &Page, summaries: &[QuestionSummary]) -> Vec<QuestionRow> {
    summaries
        .iter()
        .map(|summary| {
            let question = &summary.question;
            let english = question.text_en.as_ref().filter(|_| !page.is_chinese());
            let said = match (question.kind, summary.numbers) {
                (AnswerKind::Number, Some([least, mean, most])) => {
                    let unit = question.unit.as_deref().unwrap_or_default();
                    let number = |number: f64| format!("{} {unit}", (number * 100.0).round() / 100.0);
                    let values = [("least", number(least)), ("mean", number(mean)), ("most", number(most))];
                    let values: Vec<(&str, &str)> =
                        values.iter().map(|(name, value)| (*name, value.trim_end())).collect();
                    page.catalogue.fill("campaigns.numbers", &values)
                }
                _ => {
                    let said = summary.counts.iter().map(|(answer, count)| {
                        let answer = match question.kind {
                            AnswerKind::YesNo => page.word("yes_no", answer),
                            _ => answer.clone(),
                        };
                        format!("{answer} {count}")
                    });
                    said.collect::<Vec<_>>().join(" · ")
                }
            };
            QuestionRow { text: english.unwrap_or(&question.text).clone(), answered: summary.answered, said }
        })
        .collect()
}

fn code_of(page: &Page, line: &TaskLine) -> String {
    page.code(&ComponentCode { scheme: line.scheme.clone(), digits: line.code.clone() })
}

fn place_of(page: &Page, names: Names, line: &TaskLine) -> String {
    let district = field_words::text(page, names, "district", &line.task.district);
    joined([line.task.road.as_deref(), Some(district.as_str())])
}

fn trouble(page: &Page, names: Names, line: &TaskLine) -> TroubleRow {
    TroubleRow {
        digits: line.code.clone(),
        code: code_of(page, line),
        place: place_of(page, names, line),
        who: line.task.done_by.map(|user| who(page, names, Some(user))).unwrap_or_default(),
        at: line.task.done_at.map(|at| page.date_time(at)).unwrap_or_default(),
        note: line.task.note.clone().unwrap_or_default(),
        case: line.raised_number.clone(),
    }
}

/// The same as two texts, for paper.
pub(super) fn trouble_lines(page: &Page, view: &CampaignView) -> Vec<(String, String)> {
    let line = |line: &TaskLine| {
        let row = trouble(page, view.names, line);
        let first = joined([Some(row.code.as_str()), Some(&row.place), row.case.as_deref()]);
        (first, joined([Some(row.who.as_str()), Some(&row.at), Some(&row.note)]))
    };
    view.troubled.iter().map(line).collect()
}

/// Points that are drawn one by one; more are summed up in the squares of a grid.
const POINTS: usize = 5000;
const SQUARE: f64 = 12.0;
/// Rings of an outline that are drawn.
const RINGS: usize = 120;
const STANDS: [&str; 5] = ["bare", "verified", "trouble", "made", "missed"];

/// One path for each stand, the worst on top.
fn map(points: &[TaskPoint], outline: Option<&AreaShape>) -> Option<Map> {
    let edges = points.iter().map(|point| [point.lon, point.lat, point.lon, point.lat]);
    let around = edges.reduce(|all, one| {
        [all[0].min(one[0]), all[1].min(one[1]), all[2].max(one[2]), all[3].max(one[3])]
    })?;
    let around = outline.map_or(around, AreaShape::bounds);
    let drawing = Drawing::of(widened(around, 0.04, 0.0005));
    let is_grid = points.len() > POINTS;
    let mut marks: BTreeSet<(usize, i64, i64)> = BTreeSet::new();
    let place = |point: &TaskPoint| drawing.place([point.lon, point.lat]);
    let stand_of = |point: &TaskPoint| usize::try_from(point.stand).unwrap_or_default().min(STANDS.len() - 1);
    if is_grid {
        let mut squares: BTreeMap<(i64, i64), [usize; STANDS.len()]> = BTreeMap::new();
        for point in points {
            let (x, y) = place(point);
            let square = ((x / SQUARE).floor() as i64, (y / SQUARE).floor() as i64);
            squares.entry(square).or_default()[stand_of(point)] += 1;
        }
        let middle = |at: i64| ((at as f64 + 0.5) * SQUARE).round() as i64;
        for ((x, y), counts) in squares {
            // A square says what is most in it; a single thing that is wrong is not lost in the crowd.
            let most = (0..STANDS.len()).max_by_key(|stand| counts[*stand]).unwrap_or_default();
            let stand = if counts[2] > 0 { 2 } else { most };
            marks.insert((stand, middle(x), middle(y)));
        }
    } else {
        for point in points {
            let (x, y) = place(point);
            marks.insert((stand_of(point), x.round() as i64, y.round() as i64));
        }
    }
    let paths = [0, 4, 1, 3, 2].map(|stand| {
        let mut path = String::new();
        for (_, x, y) in marks.iter().filter(|(of, ..)| *of == stand) {
            // Writing to memory does not fail.
            let _ = write!(path, "M{x} {y}h0");
        }
        (STANDS[stand], path)
    });
    let rings = outline.into_iter().flat_map(AreaShape::parts).flatten().take(RINGS);
    let outline = drawing.path(rings, 0);
    Some(Map { width: drawing.width, height: drawing.height, is_grid, outline, paths: paths.into() })
}

/// The headings of the results as a file: one column for each question.
pub fn task_headings(page: &Page, list: &Checklist) -> Vec<String> {
    let own = [
        "campaigns.code",
        "campaigns.class",
        "campaigns.district",
        "campaigns.road",
        "campaigns.crew",
        "campaigns.state",
        "campaigns.result",
        "campaigns.done_by",
        "campaigns.done_at",
        "campaigns.distance",
        "campaigns.note",
        "campaigns.case",
    ];
    let questions = list.questions.iter().map(|question| match &question.text_en {
        Some(english) if !page.is_chinese() => english.clone(),
        _ => question.text.clone(),
    });
    own.iter().map(|key| page.catalogue.text(key).to_owned()).chain(questions).collect()
}

/// One task as a line of that file.
pub fn task_cells(page: &Page, names: Names, list: &Checklist, line: &TaskLine) -> Vec<String> {
    let task = &line.task;
    let mut cells = vec![
        line.code.clone(),
        page.word("class", &line.class),
        field_words::text(page, names, "district", &task.district),
        task.road.clone().unwrap_or_default(),
        who(page, names, task.crew),
        page.word("task_state", task.state),
        task.result.map(|result| page.word("task_result", result)).unwrap_or_default(),
        task.done_by.map(|user| who(page, names, Some(user))).unwrap_or_default(),
        task.done_at.map(|at| page.date_time(at)).unwrap_or_default(),
        task.distance_m.map(|meters| format!("{meters:.0}")).unwrap_or_default(),
        task.note.clone().unwrap_or_default(),
        line.raised_number.clone().unwrap_or_default(),
    ];
    let answers: CheckAnswers = serde_json::from_str(&task.answers).unwrap_or_default();
    cells.extend(list.questions.iter().map(|question| match answers.get(&question.id) {
        None => String::new(),
        Some(CheckAnswer::Yes(yes)) => page.word("yes_no", yes),
        Some(CheckAnswer::Number(number)) => number.to_string(),
        Some(CheckAnswer::Text(text)) => text.clone(),
    }));
    cells
}

pub struct DueDatesView<'a> {
    pub names: Names<'a>,
    pub lines: &'a [DueLine],
    pub is_more: bool,
    pub until: Millis,
    pub rules: &'a TaskRules,
    /// What was typed and could not be set.
    pub given: &'a str,
    /// By line.
    pub wrong: &'a [(usize, Refusal)],
}

struct DueRow {
    digits: String,
    code: String,
    place: String,
    kind: String,
    due: String,
    is_over: bool,
    has_task: bool,
}

#[derive(Template)]
#[template(path = "due_dates.html")]
struct DuePage<'a> {
    page: Page<'a>,
    rows: Vec<DueRow>,
    is_more: bool,
    until: String,
    rules: &'a TaskRules,
    given: &'a str,
    wrong: Vec<String>,
}

/// Dates at which nets and covers must be looked at, and how to set them.
pub fn due_dates(page: &Page, view: &DueDatesView) -> String {
    let row = |line: &DueLine| {
        let district = field_words::text(page, view.names, "district", &line.district);
        DueRow {
            digits: line.code.clone(),
            code: page.code(&ComponentCode { scheme: line.scheme.clone(), digits: line.code.clone() }),
            place: joined([line.road.as_deref(), Some(district.as_str())]),
            kind: page.word("task_kind", line.due.kind),
            due: page.date(line.due.due_at),
            is_over: line.due.due_at < page.now,
            has_task: line.has_task,
        }
    };
    let wrong = view.wrong.iter().map(|(line, refusal)| {
        let values = [("line", line.to_string()), ("sentence", page.catalogue.refusal_in_words(refusal))];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        page.catalogue.fill("due_dates.wrong_line", &values)
    });
    write(&DuePage {
        page: *page,
        rows: view.lines.iter().map(row).collect(),
        is_more: view.is_more,
        until: page.date(Millis(view.until.0 - 1)),
        rules: view.rules,
        given: view.given,
        wrong: wrong.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_become_squares_in_which_trouble_is_not_lost() {
        let point = |at: usize, stand| TaskPoint {
            lon: 118.5 + at as f64 * 1e-5,
            lat: 37.4 + (at % 70) as f64 * 1e-4,
            stand,
        };
        let few: Vec<TaskPoint> = (0..100).map(|at| point(at, 1)).collect();
        let drawn = map(&few, None).unwrap();
        assert!(
            !drawn.is_grid
                && drawn.paths.iter().any(|(class, path)| *class == "verified" && !path.is_empty())
        );
        let many: Vec<TaskPoint> = (0..9000).map(|at| point(at, if at == 4000 { 2 } else { 0 })).collect();
        let drawn = map(&many, None).unwrap();
        assert!(drawn.is_grid);
        let count = |class: &str| {
            drawn
                .paths
                .iter()
                .filter(|(of, _)| *of == class)
                .map(|(_, path)| path.matches('M').count())
                .sum::<usize>()
        };
        assert_eq!(count("trouble"), 1);
        assert!((100..4000).contains(&count("bare")), "{}", count("bare"));
        assert!(map(&[], None).is_none());
    }
}
