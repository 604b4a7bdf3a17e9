//! 行政区: outlines decide where a cover may lie, and in which district it is.

use lidmark::domain::area::{Area, AreaKind, AreaShape};
use lidmark::domain::case::{CaseMove, MoveRequest, PhonePosition};
use lidmark::domain::cover::{Candidate, CoverClass};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{
    AreaName, AreaSet, CaseFilter, ImportMode, MoveOrder, NewFinding, Others, Outcome, RegistryError,
    Reported, Spot, UserAreasOrder,
};

use super::ground::{Town, candidate};
use crate::both_engines;

fn square(kind: AreaKind, code: &str, west: f64, east: f64) -> Area {
    let ring = vec![[west, 37.4], [east, 37.4], [east, 37.5], [west, 37.5], [west, 37.4]];
    let shape = AreaShape::new(vec![vec![ring]]).unwrap();
    Area {
        kind, code: code.into(), name_zh: format!("{code}区"), name_en: format!("District {code}"), shape
    }
}

/// At a longitude of the town's street.
fn at(number: u64, lon: f64, district: &str) -> Candidate {
    let mut row = candidate(number, CoverClass::Sewage);
    row.survey.position.lon = lon;
    row.survey.position.raw.x = lon;
    row.survey.district = district.into();
    row
}

fn refused(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Problem(refusal) => refusal.code,
        other => panic!("{other:?}"),
    }
}

both_engines! {
    async fn a_census_is_held_to_the_outlines_of_the_districts(ground: Ground) {
        let town = Town::found(&ground).await;
        let blind = town.import(vec![at(0, 118.55, "")]).await;
        assert_eq!(refused(&blind[0]), "area.no_districts");
        let districts = vec![
            square(AreaKind::District, "370502", 118.5, 118.6),
            square(AreaKind::District, "370503", 118.6, 118.7),
        ];
        town.registry.put_areas(districts.clone()).await.unwrap();
        assert_eq!(town.registry.list_areas(AreaKind::District).await.unwrap(), districts);

        let outcomes = town.import(vec![
            at(1, 118.55, ""),
            at(2, 118.65, ""),
            // On the border, where the first code counts, and 20 m beyond it, where maps differ.
            at(3, 118.6, ""),
            at(4, 118.599_8, "370503"),
            at(5, 118.55, "370503"),
            at(6, 118.75, ""),
            at(7, 118.75, "370503"),
        ]).await;
        for (row, district) in [(0, "370502"), (1, "370503"), (2, "370502"), (3, "370503")] {
            let Outcome::Created(cover) = outcomes[row] else { panic!("{:?}", outcomes[row]) };
            let file = town.registry.find_cover(cover).await.unwrap().unwrap();
            assert_eq!(file.district.code, district, "row {row}");
            assert!(file.code.digits.starts_with(district), "numbered there: {}", file.code);
        }
        assert_eq!(refused(&outcomes[4]), "district.elsewhere");
        assert_eq!(refused(&outcomes[5]), "position.outside_jurisdiction");
        assert_eq!(refused(&outcomes[6]), "position.outside_jurisdiction");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_border_that_moves_takes_the_manholes_with_it_and_leaves_a_line_in_each_file(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("engineer", Role::Engineer).await;
        let nothing_drawn = town.registry.check_districts(ImportMode::DryRun, &engineer, |_| {}).await;
        assert!(matches!(nothing_drawn, Err(RegistryError::Refused(refusal)) if refusal.code == "area.no_districts"));
        let outcomes = town.import(vec![at(1, 118.55, "370502"), at(2, 118.62, "370502"), at(3, 118.9, "370502")]).await;
        let covers: Vec<_> = outcomes.iter().map(|outcome| match outcome {
            Outcome::Created(cover) => *cover,
            other => panic!("{other:?}"),
        }).collect();
        town.registry.put_areas(vec![
            square(AreaKind::District, "370502", 118.5, 118.6),
            square(AreaKind::District, "370503", 118.6, 118.7),
            square(AreaKind::Management, "DYKFQ", 118.5, 118.7),
        ]).await.unwrap();

        let would = town.registry.check_districts(ImportMode::DryRun, &engineer, |_| {}).await.unwrap();
        assert_eq!((would.checked, would.right, would.moved, would.outside), (3, 1, 1, 1));
        let feed = town.registry.last_change().await.unwrap();
        let done = town.registry.check_districts(ImportMode::Write, &engineer, |_| {}).await.unwrap();
        assert_eq!(done, would);
        assert_eq!(done.moves.get("370502→370503"), Some(&1));
        let file = town.registry.find_cover(covers[1]).await.unwrap().unwrap();
        assert_eq!((file.district.code.as_str(), file.version), ("370503", 2));
        assert_eq!(done.named_outside, [town.registry.find_cover(covers[2]).await.unwrap().unwrap().manhole.0]);
        let last = town.registry.list_history(file.manhole).await.unwrap().pop().unwrap();
        assert_eq!((last.kind, last.actor.as_str()), (HistoryKind::Updated, engineer.word().as_str()));
        assert!(last.body.contains("370503"), "{}", last.body);
        assert_eq!(town.registry.changes_since(feed, 10).await.unwrap().len(), 1);
        let again = town.registry.check_districts(ImportMode::Write, &Actor::System, |_| {}).await.unwrap();
        assert_eq!((again.right, again.moved), (2, 0));
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn open_cases_follow_a_border_and_closed_ones_stay_where_they_were_closed(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(2).await;
        let dispatcher = town.staff("dispatcher", Role::Dispatcher).await;
        let (shut, open) =
            (town.report(tokens[0], Hazard::Rocking).await.case_number, town.report(tokens[1], Hazard::Rocking).await.case_number);
        let made = |number: &str, made: CaseMove| MoveOrder {
            pool: None,
            condition: None,
            position: None,
            before_photos: Vec::new(),
            key: IdempotencyKey::fresh(),
            number: number.to_owned(),
            made,
            request: MoveRequest { reason: Some("看过了".into()), ..MoveRequest::default() },
            target_number: None,
            photos: Vec::new(),
            expected_version: None,
            actor: dispatcher.clone(),
        };
        town.registry.move_case(made(&shut, CaseMove::Reject)).await.unwrap();
        // Both covers lie in what is the other district from now on.
        town.registry.put_areas(vec![square(AreaKind::District, "370503", 118.58, 118.6)]).await.unwrap();
        let moved = town.registry.check_districts(ImportMode::Write, &dispatcher, |_| {}).await.unwrap();
        assert_eq!((moved.moved, moved.outside), (2, 0));
        let in_district = async |district: &str| {
            let filter = CaseFilter { district: Some(district.into()), limit: 10, ..CaseFilter::default() };
            let lines = town.registry.list_cases(filter, &dispatcher).await.unwrap();
            lines.into_iter().map(|line| line.case.number).collect::<Vec<_>>()
        };
        assert_eq!((in_district("370502").await, in_district("370503").await), (vec![shut.clone()], vec![open]));
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        // Taken up again, it is dealt with where the cover lies today.
        town.registry.move_case(made(&shut, CaseMove::Reopen)).await.unwrap();
        assert_eq!(in_district("370502").await, Vec::<String>::new());
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_set_of_outlines_is_planned_before_it_is_written(ground: Ground) {
        let town = Town::found(&ground).await;
        let east = square(AreaKind::District, "370503", 118.6, 118.7);
        town.registry.put_areas(vec![square(AreaKind::District, "370502", 118.5, 118.6), east.clone()]).await.unwrap();
        town.import(vec![at(1, 118.55, ""), at(2, 118.59, ""), at(3, 118.65, "")]).await;
        let renamed = Area { name_zh: "新名".into(), ..east };
        let given = vec![
            square(AreaKind::District, "370505", 118.7, 118.8),
            renamed,
            square(AreaKind::District, "370506", 118.58, 118.61),
        ];
        let set = AreaSet { kind: AreaKind::District, areas: given.clone(), others: Others::Keep };
        let plan = town.registry.plan_areas(&set).await.unwrap();
        let codes = |names: &[AreaName]| names.iter().map(|name| name.code.clone()).collect::<Vec<_>>();
        assert_eq!(codes(&plan.added), ["370505", "370506"]);
        assert_eq!((codes(&plan.redrawn), codes(&plan.renamed)), (Vec::new(), vec!["370503".to_owned()]));
        assert_eq!((codes(&plan.others), plan.unchanged), (vec!["370502".to_owned()], 0));
        let pairs: Vec<(&str, &str)> =
            plan.overlaps.iter().map(|overlap| (overlap.first.as_str(), overlap.second.as_str())).collect();
        assert_eq!(pairs, [("370502", "370506"), ("370503", "370506")]);
        assert_eq!(plan.districts.map(|check| (check.right, check.moved, check.outside)), Some((3, 0, 0)));

        let set = AreaSet { others: Others::Remove, ..set };
        let plan = town.registry.plan_areas(&set).await.unwrap();
        assert_eq!(plan.districts.map(|check| (check.right, check.moved, check.outside)), Some((1, 1, 1)));
        town.registry.set_areas(set).await.unwrap();
        let known = town.registry.list_areas(AreaKind::District).await.unwrap();
        assert_eq!(known.iter().map(|area| area.code.as_str()).collect::<Vec<_>>(), ["370503", "370505", "370506"]);
        let page = town.registry.list_area_page(AreaKind::District, "370503", 1).await.unwrap();
        assert_eq!(page, known[1..2]);
        assert_eq!(town.registry.find_area(AreaKind::District, "370506").await.unwrap(), known[2]);
        assert!(town.registry.find_area(AreaKind::District, "370502").await.is_err());
        let counts = town.registry.count_by_district().await.unwrap();
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("370502".to_owned(), 2), ("370503".to_owned(), 1)]);

        let bow = vec![[118.0, 37.0], [119.0, 38.0], [119.0, 37.0], [118.0, 38.0], [118.0, 37.0]];
        let crossed = Area { shape: AreaShape::new(vec![vec![bow]]).unwrap(), ..given[0].clone() };
        let refused = town.registry.put_areas(vec![crossed]).await;
        assert!(matches!(refused, Err(RegistryError::Refused(refusal)) if refusal.code == "area.crosses"));
    }

    async fn areas_are_put_all_or_none_and_taken_away_by_name(ground: Ground) {
        let town = Town::found(&ground).await;
        let good = square(AreaKind::Grid, "370502-001", 118.5, 118.6);
        let nameless = Area { name_zh: " ".into(), ..square(AreaKind::Grid, "370502-002", 118.6, 118.7) };
        for (given, code) in [(vec![good.clone(), nameless], "area.name"), (vec![good.clone(), good.clone()], "area.twice")] {
            let refused = town.registry.put_areas(given).await;
            assert!(matches!(refused, Err(RegistryError::Refused(refusal)) if refusal.code == code));
        }
        assert_eq!(town.registry.list_areas(AreaKind::Grid).await.unwrap(), []);
        town.registry.put_areas(vec![good.clone()]).await.unwrap();
        let redrawn = Area { name_zh: "第一网格".into(), ..square(AreaKind::Grid, "370502-001", 118.5, 118.55) };
        town.registry.put_areas(vec![redrawn.clone()]).await.unwrap();
        assert_eq!(town.registry.list_areas(AreaKind::Grid).await.unwrap(), [redrawn]);
        town.registry.remove_area(AreaKind::Grid, "370502-001").await.unwrap();
        let gone = town.registry.remove_area(AreaKind::Grid, "370502-001").await;
        assert!(matches!(gone, Err(RegistryError::NotFound(refusal)) if refusal.code == "area.unknown"));
    }

    async fn a_grid_worker_reports_in_their_own_grid_and_hears_whose_the_next_one_is(ground: Ground) {
        let town = Town::found(&ground).await;
        town.draw_dongying().await;
        let grids = vec![square(AreaKind::Grid, "G-001", 118.5, 118.6), square(AreaKind::Grid, "G-002", 118.6, 118.7)];
        town.registry.put_areas(grids).await.unwrap();
        let made = town.import(vec![at(1, 118.55, ""), at(2, 118.65, "")]).await;
        let covers = made.iter().map(|outcome| match outcome {
            Outcome::Created(cover) => *cover,
            other => panic!("{other:?}"),
        });
        let files = town.registry.list_covers_by_id(&covers.collect::<Vec<_>>()).await.unwrap();
        let code_at = |west: f64| {
            let here = files.iter().find(|file| (file.survey.position.lon - west).abs() < 1e-6).unwrap();
            here.code.digits.clone()
        };
        let admin = town.staff("admin", Role::Admin).await;
        let (mei, lan) = (town.staff("mei", Role::GridWorker).await, town.staff("lan", Role::GridWorker).await);
        let set = |login: &str, kind, codes: &[&str]| {
            let codes = codes.iter().map(|code| (*code).to_owned()).collect();
            town.registry.set_user_areas(UserAreasOrder { login: login.into(), kind, codes, actor: admin.clone() })
        };
        let found = |who: &Actor, spot: Spot| NewFinding {
            key: IdempotencyKey::fresh(), spot, hazard: Hazard::Broken, source: None, description: "巡查发现".into(),
            contact: None, external_number: None, phone_position: None, photos: vec![], actor: who.clone(),
            language: "zh-CN",
            origin: None,
        };
        let report = |who: &Actor, spot: Spot| town.registry.file_finding(found(who, spot));
        let place = Spot::Place(PhonePosition { lon: 118.66, lat: 37.45, accuracy_m: 5.0 });

        // Whoever has no areas is free.
        report(&mei, Spot::Cover(code_at(118.65))).await.unwrap();

        set("mei", AreaKind::Grid, &["G-001"]).await.unwrap();
        report(&mei, Spot::Cover(code_at(118.55))).await.unwrap();
        let refusal = |outcome: Result<Reported, RegistryError>| match outcome {
            Err(RegistryError::Forbidden(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        let told = refusal(report(&mei, Spot::Cover(code_at(118.65))).await);
        assert_eq!(told.code, "finding.other_area_nobody");
        assert!(told.params.contains(&("read", "G-002 G-002区".to_owned())), "{told:?}");
        set("lan", AreaKind::Grid, &["G-002"]).await.unwrap();
        let told = refusal(report(&mei, place.clone()).await);
        assert_eq!(told.code, "finding.other_area");
        assert!(told.params.contains(&("whom", "lan".to_owned())), "{told:?}");
        report(&lan, place).await.unwrap();
        // One step over the border of two grids is nobody's fault, and a dispatcher files what they were told.
        let near = PhonePosition { lon: 118.600_2, lat: 37.45, accuracy_m: 5.0 };
        report(&mei, Spot::Place(near)).await.unwrap();
        let dispatcher = town.staff("diao", Role::Dispatcher).await;
        report(&dispatcher, Spot::Cover(code_at(118.65))).await.unwrap();

        // A district will do as well as a grid; an area that is taken away binds nobody.
        set("mei", AreaKind::District, &["370502"]).await.unwrap();
        report(&mei, Spot::Cover(code_at(118.65))).await.unwrap();
        assert_eq!(town.registry.find_own_district(mei.user().unwrap()).await.unwrap().as_deref(), Some("370502"));
        set("mei", AreaKind::District, &[]).await.unwrap();
        let code = |outcome: Result<(), RegistryError>| match outcome {
            Err(RegistryError::Refused(refusal) | RegistryError::NotFound(refusal)) => refusal.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(set("mei", AreaKind::Grid, &["G-009"]).await), "user.area_unknown");
        assert_eq!(code(set("mei", AreaKind::Grid, &["G\0"]).await), "user.area_unknown");
        assert_eq!(code(set("admin", AreaKind::Grid, &["G-001"]).await), "user.areas_role");
        assert_eq!(code(set("nobody", AreaKind::Grid, &["G-001"]).await), "user.unknown");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        town.registry.remove_area(AreaKind::Grid, "G-001").await.unwrap();
        report(&mei, Spot::Cover(code_at(118.65))).await.unwrap();
        let found = town.registry.check_tables().await.unwrap().findings;
        assert_eq!(found.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), ["orphan.user_area_without_area"]);
        // Who set what stays.
        assert_eq!(ground.sql("SELECT COUNT(*) FROM user_areas WHERE ended_by LIKE 'user:%' AND ended_at IS NOT NULL"), "1");
    }
}
