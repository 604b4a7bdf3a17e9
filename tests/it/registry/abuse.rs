//! Doubtful reports wait for a look, danger never does, and nobody is refused or forgotten.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;

use lidmark::domain::abuse::{Doubt, OriginKind};
use lidmark::domain::case::{CaseMove, CaseState, PhonePosition};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::registry::{
    AttachedPhoto, BlockOrder, NewFinding, NewReport, Origin, Reported, RequestFilter, Spot,
};

use super::cases::order;
use super::ground::{Town, photo, report};
use crate::both_engines;

const HOUR_MS: i64 = 3_600_000;

fn origin(phone: &str) -> Option<Origin> {
    let network = IpAddr::V4(Ipv4Addr::new(10, 0, 0, phone.len() as u8));
    Some(Origin { network, device: Some(phone.to_owned()), by_staff: false })
}

async fn say(town: &Town, phone: &str, token: Token, hazard: Hazard) -> Reported {
    let new = NewReport { origin: origin(phone), ..report(token, hazard) };
    town.registry.report_hazard(new).await.unwrap()
}

async fn send_photo(town: &Town, phone: &str, token: Token, photo: AttachedPhoto) -> Reported {
    let new = NewReport { origin: origin(phone), photos: vec![photo], ..report(token, Hazard::Level) };
    town.registry.report_hazard(new).await.unwrap()
}

/// What the public sees of a plate's cover.
async fn shown(town: &Town, token: Token) -> usize {
    town.registry.find_plate(token).await.unwrap().unwrap().open_cases.len()
}

async fn held(town: &Town) -> Vec<(String, Vec<Doubt>)> {
    let held = town.registry.list_held(&Actor::System).await.unwrap();
    held.into_iter().map(|(line, hold)| (line.case.number, hold.doubts)).collect()
}

fn block(tracking: &str, kind: OriginKind, days: u32, actor: &Actor) -> BlockOrder {
    let (key, reason) = (IdempotencyKey::fresh(), "编造上报".to_owned());
    BlockOrder { key, tracking: tracking.to_owned(), kind, days, reason, actor: actor.clone() }
}

both_engines! {
    async fn what_one_phone_sends_too_often_waits_but_never_danger(ground: Ground) {
        let town = Town::found(&ground).await;
        let plates = town.plated(4).await;
        for _ in 0..10 {
            say(&town, "one", plates[0], Hazard::Rocking).await;
        }
        assert_eq!((shown(&town, plates[0]).await, held(&town).await), (1, vec![]));

        let doubtful = say(&town, "one", plates[1], Hazard::Broken).await;
        assert_eq!(shown(&town, plates[1]).await, 0, "the public does not see it");
        assert_eq!(held(&town).await, [(doubtful.case_number.clone(), vec![Doubt::DeviceOften])]);
        let requests = RequestFilter { limit: 100, ..RequestFilter::default() };
        let told = town.registry.list_requests(requests.clone()).await.unwrap();
        assert_eq!(told.len(), 10, "nor do other systems");
        let link = town.registry.tracking_link(&doubtful);
        let tracked = town.registry.find_tracked(&link).await.unwrap().unwrap();
        assert_eq!(tracked.case.state, CaseState::Reported, "whoever sent it sees it as any other");

        let danger = say(&town, "one", plates[2], Hazard::Missing).await;
        assert_eq!(shown(&town, plates[2]).await, 1);
        let file = town.registry.find_case(&danger.case_number, &Actor::System).await.unwrap().unwrap();
        assert_eq!((file.case.state, file.hold), (CaseState::Dispatched, None));
        let from = town.registry.list_case_origins(file.case.id).await.unwrap();
        assert_eq!(from[0].doubts, [Doubt::DeviceOften], "it is noted all the same");
        assert_eq!(from[0].device.unwrap().reports, 12);

        // Somebody else says the same.
        let other = say(&town, "somebody else", plates[1], Hazard::Broken).await;
        assert_eq!((&other.case_number, other.joined), (&doubtful.case_number, true));
        assert_eq!((shown(&town, plates[1]).await, held(&town).await), (1, vec![]));
        assert_eq!(town.registry.list_requests(requests).await.unwrap().len(), 13);

        // Nobody looks.
        let late = say(&town, "one", plates[3], Hazard::Level).await;
        assert_eq!(town.registry.sweep_holds().await.unwrap(), 0);
        town.clock.fetch_add(25 * HOUR_MS, Ordering::SeqCst);
        assert_eq!(town.registry.sweep_holds().await.unwrap(), 1);
        assert_eq!((shown(&town, plates[3]).await, held(&town).await), (1, vec![]));
        let events = town.registry.list_waiting_events("gateway", 1000).await.unwrap();
        let of = |number: &str| -> Vec<String> {
            let told = events.iter().filter(|event| event.body.contains(number));
            told.map(|event| event.event.clone()).collect()
        };
        assert_eq!(of(&late.case_number), ["moderation.held", "case.reported"]);
        assert_eq!(of(&doubtful.case_number), ["moderation.held", "report.joined", "case.reported"]);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn whoever_is_blocked_is_heard_after_a_look(ground: Ground) {
        let town = Town::found(&ground).await;
        let plates = town.plated(5).await;
        let supervisor = town.staff("meng", Role::Supervisor).await;
        let first = say(&town, "prankster", plates[0], Hazard::Level).await;
        for (wrong, code) in [
            (BlockOrder { days: 0, ..block(&first.tracking, OriginKind::Device, 7, &supervisor) }, "block.days"),
            (block("R2026-999999", OriginKind::Device, 7, &supervisor), "block.no_origin"),
        ] {
            let error = town.registry.block_sender(wrong).await.unwrap_err();
            assert!(error.to_string().contains(code), "{error}");
        }
        let week = block(&first.tracking, OriginKind::Device, 7, &supervisor);
        let made = town.registry.block_sender(week.clone()).await.unwrap();
        assert_eq!(town.registry.block_sender(week).await.unwrap(), made, "once");

        let second = say(&town, "prankster", plates[1], Hazard::Level).await;
        assert_eq!(held(&town).await, [(second.case_number.clone(), vec![Doubt::Blocked])]);
        // The case is looked at by being filed, as any other.
        let look = order(&second.case_number, CaseMove::File, &supervisor);
        town.registry.move_case(look).await.unwrap();
        assert_eq!((shown(&town, plates[1]).await, held(&town).await), (1, vec![]));

        let in_house = Origin { by_staff: true, ..origin("prankster").unwrap() };
        let new = NewReport { origin: Some(in_house), ..report(plates[2], Hazard::Level) };
        town.registry.report_hazard(new).await.unwrap();
        assert_eq!(shown(&town, plates[2]).await, 1, "staff are known by name");

        assert!(town.registry.lift_block(made.id, &supervisor).await.unwrap().lifted_at.is_some());
        say(&town, "prankster", plates[3], Hazard::Level).await;
        assert_eq!((shown(&town, plates[3]).await, held(&town).await), (1, vec![]));
        // What is kept of senders is not kept for ever.
        town.clock.fetch_add(98 * 24 * HOUR_MS, Ordering::SeqCst);
        town.registry.sweep_holds().await.unwrap();
        let gone = town.registry.block_sender(block(&first.tracking, OriginKind::Network, 7, &supervisor)).await;
        assert!(gone.unwrap_err().to_string().contains("block.no_origin"));
        assert_eq!(town.registry.list_blocks().await.unwrap(), []);
    }

    async fn a_photo_is_known_again_elsewhere_even_when_it_was_sent_on(ground: Ground) {
        let town = Town::found(&ground).await;
        town.draw_dongying().await;
        let plates = town.plated(5).await;
        let look = 0x0f3c_55aa_1e87_b4d2;
        let first = AttachedPhoto { look: Some(look), ..photo(1) };
        send_photo(&town, "one", plates[0], first.clone()).await;
        send_photo(&town, "another", plates[0], first.clone()).await;
        assert_eq!(held(&town).await, [], "of the same place it is the same hazard");

        let same = send_photo(&town, "another", plates[1], first.clone()).await;
        assert_eq!(held(&town).await, [(same.case_number, vec![Doubt::PhotoSeen])]);
        let sent_on = AttachedPhoto { look: Some(look ^ 1 << 40 ^ 1 << 3), ..photo(2) };
        let alike = send_photo(&town, "third", plates[2], sent_on.clone()).await;
        assert_eq!(held(&town).await[0], (alike.case_number, vec![Doubt::PhotoSeen]));
        let own = AttachedPhoto { look: Some(!look), ..photo(3) };
        send_photo(&town, "fourth", plates[3], own).await;
        assert_eq!((held(&town).await.len(), shown(&town, plates[3]).await), (2, 1));

        // Also by a report without a plate.
        let finding = |hazard, photos| NewFinding {
            key: IdempotencyKey::fresh(),
            spot: Spot::Place(PhonePosition { lon: 118.61, lat: 37.45, accuracy_m: 8.0 }),
            hazard,
            source: None,
            description: String::new(),
            contact: None,
            external_number: None,
            phone_position: None,
            photos,
            actor: Actor::Citizen,
            language: "zh-CN",
            origin: origin("fifth"),
        };
        let found = town.registry.file_finding(finding(Hazard::Level, vec![sent_on.clone()])).await.unwrap();
        assert_eq!(held(&town).await[0], (found.case_number, vec![Doubt::PhotoSeen]));
        let danger = town.registry.file_finding(finding(Hazard::Collapsed, vec![sent_on])).await.unwrap();
        let file = town.registry.find_case(&danger.case_number, &Actor::System).await.unwrap().unwrap();
        assert_eq!((file.case.state.is_open(), file.hold), (true, None));
        // A quarter later it is any photo.
        town.clock.fetch_add(91 * 24 * HOUR_MS, Ordering::SeqCst);
        town.registry.sweep_holds().await.unwrap();
        send_photo(&town, "sixth", plates[4], first).await;
        assert_eq!(shown(&town, plates[4]).await, 1);
    }
}
