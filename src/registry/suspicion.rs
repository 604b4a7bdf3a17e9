//! 可疑铭牌: a plate that several people met far from its cover was carried away or copied. One case for
//! somebody to look, not one for each of them.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::crew_cases::{LANGUAGE, event};
use super::files::{self, NewEntry};
use super::report_desk::open_case;
use super::{Registry, RegistryError, amend, year_at};
use crate::domain::case::{PhonePosition, Report};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, Millis, ReportId};
use crate::domain::position::distance_m;
use crate::domain::role::Actor;
use crate::store::feed::ChangeKind;
use crate::store::reports::{self as store_reports, Filed};
use crate::store::{Tx, cases, covers, crew, people};

const DAY_MS: i64 = 86_400_000;
const HAZARD: Hazard = Hazard::PlateOutOfPlace;

impl Registry {
    /// Looks whether the plate of a cover is met far from it, after somebody met it at `place`. What was
    /// said stands whatever becomes of this; the next one who meets it leads here again.
    pub(super) async fn weigh_sighting(&self, cover: CoverId, place: PhonePosition) {
        if let Err(error) = self.look_out_of_place(cover, place).await {
            tracing::warn!(%error, "a plate that may be out of place was not looked at");
        }
    }

    async fn look_out_of_place(&self, cover: CoverId, place: PhonePosition) -> Result<(), RegistryError> {
        let file = covers::find_cover(&mut self.store.read().await?, cover).await?;
        let Some(file) = file.filter(|file| file.retired.is_none()) else { return Ok(()) };
        let home = (file.survey.position.lon, file.survey.position.lat);
        if !self.crew.is_out_of_place(distance_m((place.lon, place.lat), home), place.accuracy_m) {
            return Ok(());
        }
        let (registry, now) = (self.clone(), self.now());
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let registry = registry.clone();
                Box::pin(async move { raise(tx, &registry, cover, now).await })
            })
            .await
    }
}

/// Opens the case when enough met the plate elsewhere since the last one was opened.
async fn raise(tx: &mut Tx, registry: &Registry, cover: CoverId, now: Millis) -> Result<(), RegistryError> {
    let taken = amend::take(tx, cover).await?;
    let (file, rules) = (&taken.file, &registry.crew);
    let open = cases::list_open_cases(tx, file.manhole).await?;
    let is_open = open.iter().any(|case| case.cover == Some(cover) && case.hazard == HAZARD);
    if file.retired.is_some() || is_open {
        return Ok(());
    }
    let days_ago = Millis(now.0 - i64::from(rules.out_of_place_days) * DAY_MS);
    let looked = crew::find_last_case(tx, cover, HAZARD.as_str()).await?;
    let sightings = crew::list_sightings(tx, cover, looked.map_or(days_ago, |at| at.max(days_ago))).await?;
    let home = (file.survey.position.lon, file.survey.position.lat);
    let elsewhere = sightings
        .iter()
        .filter(|at| rules.is_out_of_place(distance_m((at.lon, at.lat), home), at.accuracy_m));
    let elsewhere = elsewhere.count();
    if elsewhere < rules.out_of_place_reports as usize {
        return Ok(());
    }
    let year = year_at(now, registry.utc_offset_minutes);
    let (cases, reports) = (format!("case:{year}"), format!("report:{year}"));
    let wanted = [(cases.as_str(), 1), ("changes", 2), ("outbox", 1), (reports.as_str(), 1)];
    let [number, last_change, last_event, report_number] = people::advance_counters(tx, wanted).await?;
    let case = open_case(format!("{year}-{number:06}"), (file.manhole, file.cover), HAZARD, now);
    // Lidmark itself reports it; what people said belongs to cases of their own.
    let report = Report {
        id: ReportId::fresh(),
        tracking: format!("R{year}-{report_number:06}"),
        case: case.id,
        hazard: HAZARD,
        description: String::new(),
        contact: None,
        phone_position: None,
        created_at: now,
    };
    let body = json!({"case": case.number, "report": report.tracking, "hazard": HAZARD,
        "description_sha256": super::hex(&Sha256::digest(report.description.as_bytes())),
        "sightings": elsewhere, "meters": rules.out_of_place_m, "days": rules.out_of_place_days});
    let entry =
        NewEntry { actor: Actor::System.word(), kind: HistoryKind::Reported, case: Some(case.id), body };
    let mut filed = Filed {
        entries: files::chained(file.manhole, taken.locked.head, now, vec![entry]),
        reports: vec![(report, LANGUAGE)],
        ..Filed::default()
    };
    filed.news.events.push(event(&case, "case"));
    filed.news.changed = vec![(ChangeKind::Case, case.id.0), (ChangeKind::Cover, cover.0)];
    filed.opened.push((case, taken.locked.district.clone()));
    // Nothing is joined, so nothing can have moved.
    store_reports::write(tx, &filed, "", now, [last_change, last_event]).await?;
    Ok(())
}
