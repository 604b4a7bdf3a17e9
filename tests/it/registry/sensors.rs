//! Sensors: their lives, and what their readings come to, on both engines.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use lidmark::domain::case::{Case, CaseState};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::{CoverId, IdempotencyKey, Millis};
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::sensor::{Quantity, SensorMark, SensorMove, SensorState};
use lidmark::domain::sensor_message::SensorMessage;
use lidmark::registry::{
    IntakeOutcome, NewSensors, RegistryError, SensorFilter, SensorLine, SensorOrder, SensorsSwept,
};

use super::ground::{MONDAY, Town};
use crate::both_engines;

/// A message of now, in seconds since the clock began.
pub fn said(serial: &str, second: i64, values: &[(Quantity, f64)]) -> SensorMessage {
    SensorMessage {
        serial: serial.to_owned(),
        message_id: None,
        measured_at: Some(Millis(MONDAY + second * 1000)),
        values: values.to_vec(),
        problems: Vec::new(),
    }
}

pub async fn register(town: &Town, serials: &[&str]) {
    let serials = serials.iter().map(|serial| (*serial).to_owned()).collect();
    let new = NewSensors { key: IdempotencyKey::fresh(), serials, model: "T2".into(), actor: Actor::System };
    town.registry.add_sensors(new).await.unwrap();
}

pub fn order(serial: &str, made: SensorMove, actor: &Actor) -> SensorOrder {
    SensorOrder {
        key: IdempotencyKey::fresh(),
        serial: serial.to_owned(),
        made,
        cover: None,
        until: None,
        reason: String::new(),
        actor: actor.clone(),
    }
}

/// Puts a device under the cover of a code.
pub async fn install(town: &Town, serial: &str, code: &str) -> SensorLine {
    let order =
        SensorOrder { cover: Some(code.to_owned()), ..order(serial, SensorMove::Install, &Actor::System) };
    town.registry.move_sensor(order).await.unwrap()
}

async fn code_of(town: &Town, cover: CoverId) -> String {
    town.registry.find_cover(cover).await.unwrap().unwrap().code.digits
}

/// Lets the clock stand so many seconds behind its beginning, and sends what was measured then.
async fn tell(town: &Town, second: i64, values: &[(Quantity, f64)]) -> IntakeOutcome {
    town.clock.store(MONDAY + second * 1000, Ordering::SeqCst);
    let answers = town.registry.take_readings(vec![said("LM-1", second, values)]).await.unwrap();
    answers[0].outcome
}

async fn sweep(town: &Town, second: i64) -> SensorsSwept {
    town.clock.store(MONDAY + second * 1000, Ordering::SeqCst);
    town.registry.sweep_sensors().await.unwrap()
}

pub async fn cases_of(town: &Town, cover: CoverId) -> Vec<Case> {
    let manhole = town.registry.find_cover(cover).await.unwrap().unwrap().manhole;
    town.registry.list_manhole_cases(manhole).await.unwrap()
}

async fn refused(town: &Town, order: SensorOrder) -> String {
    match town.registry.move_sensor(order).await.unwrap_err() {
        RegistryError::Refused(refusal)
        | RegistryError::NotFound(refusal)
        | RegistryError::Conflict(refusal)
        | RegistryError::Forbidden(refusal) => refusal.code.to_owned(),
        other => panic!("{other:?}"),
    }
}

both_engines! {
    async fn a_device_lives_from_the_store_room_to_the_scrap(ground: Ground) {
        let town = Town::found(&ground).await;
        let cover = town.found_covers(1).await[0];
        let code = code_of(&town, cover).await;
        let (engineer, crew) = (town.staff("ying", Role::Engineer).await, town.staff("pu", Role::Crew).await);
        register(&town, &["LM-2", "LM-1"]).await;
        let again = NewSensors {
            key: IdempotencyKey::fresh(),
            serials: vec!["LM-3".into(), "LM-1".into()],
            model: String::new(),
            actor: engineer.clone(),
        };
        assert!(matches!(town.registry.add_sensors(again).await, Err(RegistryError::Conflict(_))));
        assert!(town.registry.find_sensor("LM-3").await.unwrap().is_none(), "all of them or none");

        assert_eq!(refused(&town, order("LM-1", SensorMove::Remove, &engineer)).await, "sensor.move");
        assert_eq!(refused(&town, order("LM-1", SensorMove::Scrap, &crew)).await, "sensor.role");
        assert_eq!(refused(&town, order("LM-1", SensorMove::Install, &crew)).await, "form.missing");
        assert_eq!(refused(&town, order("LM-9", SensorMove::Scrap, &engineer)).await, "sensor.unknown");
        let installing =
            SensorOrder { cover: Some(code.clone()), ..order("LM-1", SensorMove::Install, &crew) };
        let line = town.registry.move_sensor(installing.clone()).await.unwrap();
        assert_eq!((line.record.sensor.state, line.record.sensor.cover), (SensorState::Installed, Some(cover)));
        assert_eq!(town.registry.move_sensor(installing).await.unwrap(), line, "the same call, the same answer");

        let disarm = |until: i64, reason: &str| SensorOrder {
            until: Some(Millis(MONDAY + until)),
            reason: reason.into(),
            ..order("LM-1", SensorMove::Disarm, &engineer)
        };
        assert_eq!(refused(&town, disarm(-1, "清掏")).await, "sensor.until");
        assert_eq!(refused(&town, disarm(32 * 86_400_000, "清掏")).await, "sensor.until");
        assert_eq!(refused(&town, disarm(1000, " ")).await, "form.missing");
        assert_eq!(refused(&town, order("LM-1", SensorMove::Arm, &engineer)).await, "sensor.is_armed");
        town.registry.move_sensor(disarm(3_600_000, "清掏")).await.unwrap();
        let arm = town.registry.move_sensor(order("LM-1", SensorMove::Arm, &engineer)).await.unwrap();
        assert_eq!(arm.record.sensor.disarmed, None);
        town.registry.move_sensor(order("LM-1", SensorMove::Remove, &crew)).await.unwrap();
        install(&town, "LM-1", &code).await;
        town.registry.move_sensor(order("LM-1", SensorMove::Remove, &crew)).await.unwrap();
        town.registry.move_sensor(order("LM-1", SensorMove::Scrap, &engineer)).await.unwrap();
        let answers = town.registry.take_readings(vec![said("LM-1", 1, &[(Quantity::Gas, 1.0)])]).await.unwrap();
        assert_eq!(answers[0].problems[0].code, "sensor.scrapped");

        let manhole = town.registry.find_cover(cover).await.unwrap().unwrap().manhole;
        let file = town.registry.list_history(manhole).await.unwrap();
        let kinds: Vec<HistoryKind> = file.iter().skip(1).map(|entry| entry.kind).collect();
        use HistoryKind::{SensorArmed, SensorDisarmed, SensorInstalled, SensorRemoved};
        assert_eq!(
            kinds,
            [SensorInstalled, SensorDisarmed, SensorArmed, SensorRemoved, SensorInstalled, SensorRemoved]
        );
        let counts = town.registry.count_sensors().await.unwrap();
        assert_eq!((counts.states[&SensorState::Stock], counts.states[&SensorState::Scrapped]), (1, 1));
        install(&town, "LM-2", &code).await;
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        ground.sql("UPDATE sensors SET cover_id = NULL WHERE serial = 'LM-2'");
        let findings = town.registry.check_tables().await.unwrap().findings;
        assert!(findings.iter().any(|finding| finding.what == "sensor.differs"), "{findings:?}");
    }

    async fn a_tilt_files_one_case_however_the_device_flaps(ground: Ground) {
        let town = Town::found(&ground).await;
        let cover = town.found_covers(1).await[0];
        register(&town, &["LM-1"]).await;
        tell(&town, 0, &[(Quantity::Tilt, 60.0)]).await;
        assert_eq!(sweep(&town, 100).await, SensorsSwept::default(), "in the store room nothing is wrong");
        install(&town, "LM-1", &code_of(&town, cover).await).await;

        assert_eq!(tell(&town, 200, &[(Quantity::Tilt, 40.0)]).await, IntakeOutcome::Taken);
        assert_eq!(tell(&town, 200, &[(Quantity::Tilt, 40.0)]).await, IntakeOutcome::Known);
        assert_eq!(tell(&town, 150, &[(Quantity::Tilt, 1.0)]).await, IntakeOutcome::Known, "older than what is known");
        assert!(cases_of(&town, cover).await.is_empty(), "not for long enough");
        assert_eq!(sweep(&town, 229).await.alarms, 0);
        assert_eq!(sweep(&town, 230).await.alarms, 1, "it never said otherwise");
        let cases = cases_of(&town, cover).await;
        assert_eq!((cases.len(), cases[0].hazard, cases[0].source.as_str()), (1, Hazard::Displaced, "sensor"));
        assert!(cases[0].emergency && cases[0].filed_at.is_some());

        for (at, degrees) in [14.0, 16.0, 9.0, 17.0, 12.0, 40.0].into_iter().enumerate() {
            tell(&town, 240 + at as i64 * 10, &[(Quantity::Tilt, degrees)]).await;
            assert_eq!(sweep(&town, 241 + at as i64 * 10).await.quiet, 0);
        }
        assert_eq!(cases_of(&town, cover).await[0].report_count, 1);
        let line = town.registry.known_sensor("LM-1").await.unwrap();
        assert_eq!(town.registry.sensor_marks(&line.record), [SensorMark::Alarmed]);
        let numbers = town.registry.list_sensor_cases(&line.record).await.unwrap();
        assert_eq!(numbers["tilt"], cases[0].number);

        tell(&town, 400, &[(Quantity::Tilt, 2.0)]).await;
        assert_eq!(sweep(&town, 460).await.quiet, 1);
        let manhole = town.registry.find_cover(cover).await.unwrap().unwrap().manhole;
        let last = town.registry.list_history(manhole).await.unwrap().pop().unwrap();
        assert_eq!((last.kind, last.case), (HistoryKind::SensorQuiet, Some(cases[0].id)));
        assert!(cases_of(&town, cover).await[0].state.is_open(), "people see whether it is mended");

        // Up again while the case is open: it joins.
        tell(&town, 500, &[(Quantity::Tilt, 50.0)]).await;
        tell(&town, 530, &[(Quantity::Tilt, 50.0)]).await;
        let cases = cases_of(&town, cover).await;
        assert_eq!((cases.len(), cases[0].report_count), (1, 2));
        // Another cause is another case.
        tell(&town, 540, &[(Quantity::Gas, 50.0)]).await;
        assert_eq!(sweep(&town, 570).await.alarms, 1);
        assert_eq!(cases_of(&town, cover).await.len(), 2);
        assert!(cases_of(&town, cover).await.iter().all(|case| case.state != CaseState::Closed));
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn planned_work_files_nothing_and_what_is_still_wrong_behind_it_does(ground: Ground) {
        let town = Town::found(&ground).await;
        let cover = town.found_covers(1).await[0];
        let engineer = town.staff("ying", Role::Engineer).await;
        register(&town, &["LM-1"]).await;
        install(&town, "LM-1", &code_of(&town, cover).await).await;
        tell(&town, 0, &[(Quantity::Tilt, 2.0)]).await;
        let disarm = SensorOrder {
            until: Some(Millis(MONDAY + 3_600_000)),
            reason: "清掏作业".into(),
            ..order("LM-1", SensorMove::Disarm, &engineer)
        };
        town.registry.move_sensor(disarm).await.unwrap();
        tell(&town, 60, &[(Quantity::Tilt, 80.0)]).await;
        tell(&town, 600, &[(Quantity::Tilt, 80.0)]).await;
        assert_eq!(sweep(&town, 3599).await, SensorsSwept::default());
        let line = town.registry.known_sensor("LM-1").await.unwrap();
        assert_eq!(line.record.memory.readings[&Quantity::Tilt].value, 80.0, "readings are kept");
        assert_eq!(sweep(&town, 3600).await, SensorsSwept { armed: 1, ..SensorsSwept::default() });
        assert!(cases_of(&town, cover).await.is_empty());
        assert_eq!(sweep(&town, 3630).await.alarms, 1);
        assert_eq!(cases_of(&town, cover).await.len(), 1);
        // A device that is taken away answers for nothing any more.
        town.registry.move_sensor(order("LM-1", SensorMove::Remove, &engineer)).await.unwrap();
        tell(&town, 4000, &[(Quantity::Tilt, 2.0)]).await;
        assert_eq!(sweep(&town, 9000).await, SensorsSwept::default());
    }

    async fn weak_and_silent_devices_are_listed_and_hours_are_kept(ground: Ground) {
        let town = Town::found(&ground).await;
        let covers = town.found_covers(2).await;
        register(&town, &["LM-1", "LM-2"]).await;
        install(&town, "LM-1", &code_of(&town, covers[0]).await).await;
        install(&town, "LM-2", &code_of(&town, covers[1]).await).await;
        for second in [0, 1200, 3000, 7300] {
            tell(&town, second, &[(Quantity::Battery, 15.0), (Quantity::Tilt, second as f64 / 1000.0)]).await;
        }
        assert!(cases_of(&town, covers[0]).await.is_empty(), "a battery is no hazard of a citizen");
        let events = town.registry.list_waiting_events("gateway", 100).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.event == "sensor.wants_care").count(), 1);
        town.clock.store(MONDAY + 27 * 3_600_000, Ordering::SeqCst);
        let listed = async |mark| {
            let filter = SensorFilter { mark: Some(town.registry.marked(mark)), ..SensorFilter::default() };
            let lines = town.registry.list_sensors(&filter, 10).await.unwrap();
            lines.into_iter().map(|line| line.record.sensor.serial).collect::<Vec<_>>()
        };
        assert_eq!(listed(SensorMark::LowBattery).await, ["LM-1"]);
        assert_eq!(listed(SensorMark::Silent).await, ["LM-2"], "it never spoke");
        assert_eq!(listed(SensorMark::Alarmed).await, [""; 0]);
        let id = town.registry.known_sensor("LM-1").await.unwrap().record.sensor.id;
        let hours = town.registry.list_sensor_hours(id, Quantity::Tilt, Millis(0)).await.unwrap();
        assert_eq!(hours.len(), 1);
        assert_eq!((hours[0].hour, hours[0].count, hours[0].least, hours[0].most), (Millis(MONDAY), 3, 0.0, 3.0));
        town.clock.store(MONDAY + 100 * 86_400_000, Ordering::SeqCst);
        assert_eq!(town.registry.clear_sensor_hours().await.unwrap(), 2);
    }

    async fn a_crowd_of_messages_is_answered_each_for_itself(ground: Ground) {
        let town = Town::found(&ground).await;
        let covers = town.found_covers(8).await;
        let serials: Vec<String> = (0..8).map(|at| format!("LM-{at}")).collect();
        register(&town, &serials.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for (serial, cover) in serials.iter().zip(&covers) {
            install(&town, serial, &code_of(&town, *cover).await).await;
        }
        town.clock.store(MONDAY + 3_600_000, Ordering::SeqCst);
        let mut calls = Vec::new();
        for call in 0..24_i64 {
            let registry = town.registry.clone();
            let mut messages: Vec<SensorMessage> = serials
                .iter()
                .enumerate()
                .map(|(at, serial)| said(serial, 60 + call * 10 + at as i64, &[(Quantity::Tilt, 45.0)]))
                .collect();
            messages.push(said("LM-0", 999_999, &[(Quantity::Tilt, 45.0)]));
            messages.push(said("nobody", 5, &[(Quantity::Tilt, 45.0)]));
            calls.push(tokio::spawn(async move { registry.take_readings(messages).await.unwrap() }));
        }
        let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
        for call in calls {
            let answers = call.await.unwrap();
            assert_eq!(answers.len(), 10);
            assert_eq!(answers[8].problems[0].code, "sensor.future");
            assert_eq!(answers[9].problems[0].code, "sensor.unknown");
            for answer in &answers[..8] {
                *outcomes.entry(answer.outcome.as_str()).or_default() += 1;
            }
        }
        assert!(outcomes["taken"] >= 8, "{outcomes:?}");
        town.clock.store(MONDAY + 3_700_000, Ordering::SeqCst);
        town.registry.sweep_sensors().await.unwrap();
        for cover in covers {
            let cases = cases_of(&town, cover).await;
            assert_eq!((cases.len(), cases[0].report_count), (1, 1), "one cause, one case");
        }
        // A device without a clock is known again by its ids.
        let unclocked = |id: &str| SensorMessage {
            message_id: Some(id.into()),
            measured_at: None,
            ..said("LM-1", 0, &[(Quantity::Water, 3.0)])
        };
        let answers = town.registry.take_readings(vec![unclocked("a"), unclocked("b"), unclocked("a")]).await;
        let outcomes: Vec<IntakeOutcome> = answers.unwrap().iter().map(|answer| answer.outcome).collect();
        assert_eq!(outcomes, [IntakeOutcome::Taken, IntakeOutcome::Taken, IntakeOutcome::Known]);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }
}
