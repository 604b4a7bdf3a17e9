//! The map of the past where `any_changes` does not come by: what waits for a look, and what an import brought and took back.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lidmark::domain::case::CaseMove;
use lidmark::domain::cover::CoverClass;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::Millis;
use lidmark::domain::quality::Rules;
use lidmark::domain::role::Role;
use lidmark::domain::token::Token;
use lidmark::registry::{NewReport, Origin, PastMap};

use super::ground::{MONDAY, Town, candidate, report};
use crate::both_engines;

const HOUR_MS: i64 = 3_600_000;

/// Lets an hour pass; answers its last moment but one.
fn pass_hour(town: &Town) -> Millis {
    Millis(town.clock.fetch_add(HOUR_MS, Ordering::SeqCst) + HOUR_MS - 1)
}

async fn map_at(town: &Town, at: Millis) -> PastMap {
    let now = town.registry.load_map(&Rules::default(), Arc::default()).await.unwrap();
    town.registry.map_at(at, Arc::new(now), &Rules::default()).await.unwrap()
}

/// Reports from one phone: the eleventh of an hour waits for a look.
async fn say(town: &Town, token: Token, hazard: Hazard) -> String {
    let network = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let origin = Some(Origin { network, device: Some("one".into()), by_staff: false });
    town.registry.report_hazard(NewReport { origin, ..report(token, hazard) }).await.unwrap().case_number
}

both_engines! {
    async fn a_case_is_on_the_map_of_then_once_somebody_could_see_it(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = town.staff("desk", Role::Supervisor).await;
        let plates = town.plated(2).await;
        let cover = town.registry.find_plate(plates[1]).await.unwrap().unwrap().cover.unwrap().cover;
        let quiet = pass_hour(&town);
        for _ in 0..10 {
            say(&town, plates[0], Hazard::Rocking).await;
        }
        let number = say(&town, plates[1], Hazard::Broken).await;
        let held = pass_hour(&town);
        town.clock.fetch_add(25 * HOUR_MS, Ordering::SeqCst);
        assert_eq!(town.registry.sweep_holds().await.unwrap(), 1);
        let seen = pass_hour(&town);
        town.step(&number, CaseMove::Reject, &desk).await.unwrap();
        let over = pass_hour(&town);
        for (at, open) in [(quiet, [false, false]), (held, [true, false]), (seen, [true, true]), (over, [true, false])] {
            let past = map_at(&town, at).await;
            let is_open = |here| past.map.rows().any(|row| (row.cover == cover) == here && row.flags.open_case);
            assert_eq!([is_open(false), is_open(true)], open, "at {}", at.to_rfc3339());
        }
    }

    async fn what_an_import_brought_is_there_from_its_day_on(ground: Ground) {
        let town = Town::found(&ground).await;
        town.found_covers(3).await;
        let before = pass_hour(&town);
        town.import((0..5).map(|at| candidate(at, CoverClass::Storm)).collect()).await;
        let after = pass_hour(&town);
        let (then, later) = (map_at(&town, before).await, map_at(&town, after).await);
        assert_eq!((then.map.len(), then.touched.len(), later.map.len(), later.touched.len()), (3, 5, 5, 0));
        assert!(then.map.rows().all(|row| row.class == CoverClass::Sewage));
        assert_eq!(town.registry.find_first_moment().await.unwrap(), Some(Millis(MONDAY)));
        assert_eq!(map_at(&town, Millis(MONDAY - 1)).await.map.len(), 0);
        assert_eq!(map_at(&town, Millis(MONDAY)).await.map.len(), 3);
    }
}
