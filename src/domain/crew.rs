//! 外业: what a crew does on the spot. A phone collects it where there is no signal and sends it later, each
//! deed once under a key that the phone made.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::cover::{CoverClass, Placement};
use super::hazard::Hazard;
use super::ids::{CoverId, FieldPhotoId, IdempotencyKey, Millis, SpotCheckId};
use super::names::named_enum;
use super::plate::PlateSpot;
use super::position;
use super::task::TaskDone;
use super::token::Token;

named_enum! {
    /// What was done.
    CrewKind as "crew_kind" {
        /// 安装: a plate was fitted to a cover.
        Fit = "fit",
        /// 补录: a cover that nobody knew was surveyed, and may wear a plate now.
        Survey = "survey",
        /// A plate is damaged or lost.
        Plate = "plate",
        /// 即查即改: a hazard was found and mended at once.
        Fix = "fix",
        /// 上报: a hazard was found.
        Report = "report",
        /// 抽查: a plate was looked at.
        Check = "check",
        /// 任务: a cover was visited for a campaign, a look back or a date.
        Task = "task",
    }
}

named_enum! {
    /// What a spot check found.
    CheckResult as "check_result" {
        Ok = "ok",
        /// Another cover's plate hangs here.
        WrongPlate = "wrong_plate",
        /// There is no plate.
        Missing = "missing",
        Damaged = "damaged",
        Unreadable = "unreadable",
    }
}

named_enum! {
    /// What a photo from the field shows.
    FieldPhotoRole as "field_photo_role" {
        Cover = "cover",
        Surroundings = "surroundings",
        Plate = "plate",
        /// 整改前
        Before = "before",
        /// 整改后
        After = "after",
    }
}

named_enum! {
    /// What can befall a plate in the field.
    PlateMishap as "plate_mishap" { Damaged = "damaged", Lost = "lost" }
}

/// What the city holds its crews to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrewRules {
    /// A fix less sure than this is stored only when the crew says so, in meters.
    pub accuracy_gate_m: f64,
    /// A plate that was fitted farther than this from its surveyed cover is marked, in meters.
    pub far_m: f64,
    /// Two covers of a class that lie closer may be one, in meters.
    pub nearby_m: f64,
    /// A report or check from farther than this speaks for a plate that was carried away, in meters.
    pub out_of_place_m: f64,
    /// How many of them raise a case.
    pub out_of_place_reports: u32,
    /// Within how many days.
    pub out_of_place_days: u32,
}

impl Default for CrewRules {
    fn default() -> Self {
        Self {
            accuracy_gate_m: 10.0,
            far_m: 30.0,
            nearby_m: 3.0,
            out_of_place_m: 200.0,
            out_of_place_reports: 3,
            out_of_place_days: 30,
        }
    }
}

impl CrewRules {
    /// Refuses what no city can mean.
    pub fn check(&self) -> Result<(), Refusal> {
        let meters = [self.accuracy_gate_m, self.far_m, self.nearby_m, self.out_of_place_m];
        let fits = meters.iter().all(|meters| (0.1..=10_000.0).contains(meters))
            && (1..=1000).contains(&self.out_of_place_reports)
            && (1..=3650).contains(&self.out_of_place_days);
        if fits {
            return Ok(());
        }
        let reason =
            "[crew]: meters lie between 0.1 and 10000, reports between 1 and 1000, days between 1 and 3650";
        Err(Refusal::new("config.unusable").with("reason", reason))
    }

    /// Whether a plate was fitted far from where its cover was surveyed, farther than the fix explains.
    pub fn is_far(&self, distance_m: f64, accuracy_m: f64) -> bool {
        distance_m > self.far_m.max(2.0 * accuracy_m)
    }

    /// Whether somebody who stood `distance_m` from a cover cannot have stood at it.
    pub fn is_out_of_place(&self, distance_m: f64, accuracy_m: f64) -> bool {
        distance_m - accuracy_m > self.out_of_place_m
    }
}

/// Where a phone found itself, as the mean of several fixes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldFix {
    /// Degrees of WGS 84, which are those of CGCS2000 to a few centimeters.
    pub lon: f64,
    pub lat: f64,
    /// Radius in meters within which the phone is sure.
    pub accuracy_m: f64,
    /// How many fixes went into it.
    #[serde(default = "one")]
    pub fixes: u32,
    /// By the phone's clock.
    pub taken_at: Millis,
}

fn one() -> u32 {
    1
}

/// A photo that was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldPhotoRef {
    pub id: FieldPhotoId,
    pub role: FieldPhotoRole,
}

/// A plate to be fitted to a cover: one that was made for it, or a blank one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    pub token: Token,
    pub cover: CoverId,
    /// Version of the cover that the crew had on the phone; `None` = they had none.
    pub seen_version: Option<i64>,
    #[serde(default = "public")]
    pub spot: PlateSpot,
    /// The crew knows that the cover wears a plate there, and takes its place.
    #[serde(default)]
    pub replace: bool,
}

fn public() -> PlateSpot {
    PlateSpot::Public
}

/// A cover that nobody knew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFind {
    pub class: CoverClass,
    pub placement: Option<Placement>,
    pub road: Option<String>,
    pub address: Option<String>,
    /// The crew said "store anyway" to a fix beyond the gate.
    #[serde(default)]
    pub accuracy_accepted: bool,
    pub token: Option<Token>,
    #[serde(default = "public")]
    pub spot: PlateSpot,
    /// Covers close by which the crew has seen, and which are not this one.
    #[serde(default)]
    pub nearby_seen: Vec<CoverId>,
}

/// A plate that came to harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mishap {
    pub token: Token,
    pub state: PlateMishap,
    pub reason: String,
}

/// A hazard on a cover.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub cover: CoverId,
    pub hazard: Hazard,
    pub description: Option<String>,
}

/// What a look at a plate found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// As scanned; `None` where there was nothing to scan.
    pub token: Option<Token>,
    pub cover: CoverId,
    pub result: CheckResult,
    /// The draw that sent the crew here; `None` = they looked of their own accord. Left out of what is hashed
    /// where it is not there, as is the next one: a phone may repeat what it sent before they existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_check: Option<SpotCheckId>,
    /// The crew knows that somebody else looked since the draw, and stands by what it found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mine_counts: bool,
}

/// What a crew did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Deed {
    Fit(Fit),
    Survey(NewFind),
    Plate(Mishap),
    Fix(Found),
    Report(Found),
    Check(Check),
    Task(TaskDone),
}

impl Deed {
    pub fn kind(&self) -> CrewKind {
        match self {
            Deed::Fit(_) => CrewKind::Fit,
            Deed::Survey(_) => CrewKind::Survey,
            Deed::Plate(_) => CrewKind::Plate,
            Deed::Fix(_) => CrewKind::Fix,
            Deed::Report(_) => CrewKind::Report,
            Deed::Check(_) => CrewKind::Check,
            Deed::Task(_) => CrewKind::Task,
        }
    }

    /// The plate that was in the crew's hands.
    pub fn token(&self) -> Option<Token> {
        match self {
            Deed::Fit(fit) => Some(fit.token),
            Deed::Survey(find) => find.token,
            Deed::Plate(mishap) => Some(mishap.token),
            Deed::Check(check) => check.token,
            Deed::Fix(_) | Deed::Report(_) | Deed::Task(_) => None,
        }
    }

    /// Whether a task found that something is wrong.
    pub fn finds_trouble(&self) -> bool {
        matches!(self, Deed::Task(done) if done.found.is_trouble())
    }

    /// The cover that the crew stood at; `None` where nobody knew it.
    pub fn cover(&self) -> Option<CoverId> {
        match self {
            Deed::Fit(fit) => Some(fit.cover),
            Deed::Fix(found) | Deed::Report(found) => Some(found.cover),
            Deed::Check(check) => Some(check.cover),
            Deed::Task(done) => Some(done.cover),
            Deed::Survey(_) | Deed::Plate(_) => None,
        }
    }
}

/// A deed as the phone sends it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CrewAction {
    pub key: IdempotencyKey,
    /// The action that came back as a question, to which this is the answer.
    pub answers: Option<IdempotencyKey>,
    /// By the phone's clock.
    pub done_at: Millis,
    pub position: Option<FieldFix>,
    pub photos: Vec<FieldPhotoRef>,
    pub note: Option<String>,
    #[serde(flatten)]
    pub deed: Deed,
}

/// Most photos of one action.
pub const CREW_PHOTO_LIMIT: usize = 8;
/// 2000 and 2100: a phone whose clock says anything else has lost it.
const CLOCK: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

impl CrewAction {
    /// Refuses what cannot have been done, before anything is looked up.
    pub fn check(&self, rules: &CrewRules) -> Result<(), Refusal> {
        let in_time = |at: Millis, field: &'static str| match CLOCK.contains(&at.0) {
            true => Ok(()),
            false => Err(Refusal::new("action.done_at").at(field).with("read", at.0)),
        };
        in_time(self.done_at, "done_at")?;
        if let Some(fix) = &self.position {
            position::check_degrees(fix.lon, fix.lat)?;
            in_time(fix.taken_at, "position")?;
            if !fix.accuracy_m.is_finite() || !(0.0..=1e6).contains(&fix.accuracy_m) {
                return Err(Refusal::new("position.accuracy").at("accuracy_m").with("read", fix.accuracy_m));
            }
        }
        if self.photos.len() > CREW_PHOTO_LIMIT {
            let refusal = Refusal::new("photo.too_many").at("photos").with("count", self.photos.len());
            return Err(refusal.with("most", CREW_PHOTO_LIMIT));
        }
        match &self.deed {
            Deed::Survey(find) => self.check_survey(find, rules),
            Deed::Fit(_) => self.need_photos(&[FieldPhotoRole::Plate], "action.fit_photo"),
            Deed::Fix(_) => {
                self.need_photos(&[FieldPhotoRole::Before, FieldPhotoRole::After], "action.fix_photos")
            }
            Deed::Check(check) => self.check_look(check),
            Deed::Task(done) => done.check(!self.photos.is_empty(), self.note.as_deref()),
            Deed::Plate(_) | Deed::Report(_) => Ok(()),
        }
    }

    /// Refuses an action that names no photo of one of these roles. Their bytes come before the action: one that
    /// names a photo which is not here yet is asked to send it first.
    fn need_photos(&self, roles: &[FieldPhotoRole], code: &'static str) -> Result<(), Refusal> {
        match roles.iter().all(|role| self.photos.iter().any(|photo| photo.role == *role)) {
            true => Ok(()),
            false => Err(Refusal::new(code).at("photos")),
        }
    }

    fn check_look(&self, check: &Check) -> Result<(), Refusal> {
        if check.token.is_none() && !matches!(check.result, CheckResult::Missing | CheckResult::Unreadable) {
            return Err(Refusal::new("action.check_token").at("token"));
        }
        if check.spot_check.is_some() && check.result != CheckResult::Ok && self.photos.is_empty() {
            return Err(Refusal::new("action.check_photo").at("photos"));
        }
        Ok(())
    }

    fn check_survey(&self, find: &NewFind, rules: &CrewRules) -> Result<(), Refusal> {
        let Some(fix) = &self.position else {
            return Err(Refusal::new("action.survey_position").at("position"));
        };
        if fix.accuracy_m > rules.accuracy_gate_m && !find.accuracy_accepted {
            let refusal = Refusal::new("action.survey_accuracy").at("position");
            return Err(refusal
                .with("accuracy_m", fix.accuracy_m.round())
                .with("gate_m", rules.accuracy_gate_m));
        }
        match find.token {
            Some(_) => self.need_photos(&[FieldPhotoRole::Plate], "action.fit_photo"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(accuracy_m: f64, accuracy_accepted: bool) -> CrewAction {
        let taken_at = Millis(1_772_409_600_000);
        CrewAction {
            key: IdempotencyKey::fresh(),
            answers: None,
            done_at: taken_at,
            position: Some(FieldFix { lon: 118.6, lat: 37.46, accuracy_m, fixes: 12, taken_at }),
            photos: Vec::new(),
            note: None,
            deed: Deed::Survey(NewFind {
                class: CoverClass::Storm,
                placement: None,
                road: None,
                address: None,
                accuracy_accepted,
                token: None,
                spot: PlateSpot::Public,
                nearby_seen: Vec::new(),
            }),
        }
    }

    #[test]
    fn a_vague_fix_is_stored_only_when_somebody_says_so() {
        let rules = CrewRules::default();
        assert_eq!(find(9.0, false).check(&rules), Ok(()));
        assert_eq!(find(25.0, false).check(&rules).unwrap_err().code, "action.survey_accuracy");
        assert_eq!(find(25.0, true).check(&rules), Ok(()));
        let nowhere = CrewAction { position: None, ..find(9.0, true) };
        assert_eq!(nowhere.check(&rules).unwrap_err().code, "action.survey_position");
    }

    #[test]
    fn what_is_fitted_or_found_wrong_by_a_draw_is_seen_in_a_photo() {
        let rules = CrewRules::default();
        let photo = |role| vec![FieldPhotoRef { id: FieldPhotoId::fresh(), role }];
        let told = |deed: Deed, photos: Vec<FieldPhotoRef>| {
            let action = CrewAction { deed, photos, ..find(5.0, false) };
            action.check(&rules).map_err(|refusal| refusal.code)
        };
        let (token, cover) = (Token::from_i64(7919).unwrap(), CoverId::fresh());
        let spot = PlateSpot::Public;
        let fit = Deed::Fit(Fit { token, cover, seen_version: None, spot, replace: false });
        assert_eq!(told(fit.clone(), Vec::new()), Err("action.fit_photo"));
        assert_eq!(told(fit.clone(), photo(FieldPhotoRole::Cover)), Err("action.fit_photo"));
        assert_eq!(told(fit, photo(FieldPhotoRole::Plate)), Ok(()));
        let Deed::Survey(new) = find(5.0, false).deed else { unreachable!("it is one") };
        let with_plate = Deed::Survey(NewFind { token: Some(token), ..new });
        assert_eq!(told(with_plate.clone(), Vec::new()), Err("action.fit_photo"));
        assert_eq!(told(with_plate, photo(FieldPhotoRole::Plate)), Ok(()));
        let look = |result, spot_check| {
            Deed::Check(Check { token: Some(token), cover, result, spot_check, mine_counts: false })
        };
        let drawn = Some(SpotCheckId::fresh());
        assert_eq!(told(look(CheckResult::Damaged, drawn), Vec::new()), Err("action.check_photo"));
        assert_eq!(told(look(CheckResult::Damaged, drawn), photo(FieldPhotoRole::Plate)), Ok(()));
        assert_eq!(told(look(CheckResult::Damaged, None), Vec::new()), Ok(()));
        let fine = look(CheckResult::Ok, None);
        assert_eq!(told(fine.clone(), Vec::new()), Ok(()));
        let said = serde_json::to_string(&fine).unwrap();
        assert!(
            !said.contains("spot_check") && !said.contains("mine_counts"),
            "an old phone's key fits: {said}"
        );
    }

    #[test]
    fn a_phone_without_its_clock_is_told_so() {
        let lost = CrewAction { done_at: Millis(0), ..find(5.0, false) };
        assert_eq!(lost.check(&CrewRules::default()).unwrap_err().code, "action.done_at");
    }

    #[test]
    fn a_poor_fix_explains_a_distance() {
        let rules = CrewRules::default();
        assert!(rules.is_far(40.0, 5.0) && !rules.is_far(40.0, 25.0) && !rules.is_far(20.0, 1.0));
        assert!(rules.is_out_of_place(900.0, 600.0) && !rules.is_out_of_place(250.0, 100.0));
        assert_eq!(rules.check(), Ok(()));
        assert!(CrewRules { far_m: f64::NAN, ..rules }.check().is_err());
    }
}
