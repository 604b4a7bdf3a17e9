//! 群众沟通: questions and answers, marks, photos that were looked at, and taps of others.

use std::sync::atomic::Ordering;

use lidmark::domain::case::{CaseMove, CaseState};
use lidmark::domain::citizen::{BlurBox, Voice, Wish};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{CallBackId, IdempotencyKey};
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{
    CallBackDone, ChainState, CitizenSays, CityWord, NewFollower, NewRating, RegistryError, ReleaseOrder,
    Reported,
};

use super::cases::{order, with_photo};
use super::ground::{Town, photo};
use crate::both_engines;

const DAY: i64 = 86_400_000;

fn word(number: &str, text: &str, actor: &Actor) -> CityWord {
    let (key, number) = (IdempotencyKey::fresh(), number.to_owned());
    CityWord { key, number, tracking: None, text: text.into(), actor: actor.clone() }
}

fn says(text: &str) -> CitizenSays {
    CitizenSays { key: IdempotencyKey::fresh(), text: text.into(), photos: Vec::new() }
}

fn mark(score: i64, wish: Option<Wish>) -> NewRating {
    NewRating { key: IdempotencyKey::fresh(), score, text: "还在响".into(), wish, contact: None }
}

fn code(error: RegistryError) -> &'static str {
    match error {
        RegistryError::Refused(refusal)
        | RegistryError::Conflict(refusal)
        | RegistryError::Forbidden(refusal)
        | RegistryError::NotFound(refusal) => refusal.code,
        other => panic!("{other}"),
    }
}

/// Handles a case to its end; the photo of the closing is released where `release` says so.
async fn close(town: &Town, number: &str, release: bool) {
    let [dispatcher, handler, supervisor] = people(town).await;
    town.registry.move_case(order(number, CaseMove::File, &dispatcher)).await.unwrap();
    let mut send = order(number, CaseMove::Dispatch, &dispatcher);
    send.request.party = Some(town.water);
    town.registry.move_case(send).await.unwrap();
    town.registry.move_case(order(number, CaseMove::Accept, &handler)).await.unwrap();
    let mut hand_in = with_photo(order(number, CaseMove::HandIn, &handler), photo(7));
    hand_in.before_photos = vec![photo(6)];
    town.registry.move_case(hand_in).await.unwrap();
    town.registry.move_case(order(number, CaseMove::Check, &dispatcher)).await.unwrap();
    let mut end = with_photo(order(number, CaseMove::Close, &supervisor), photo(8));
    end.request.release = release;
    town.registry.move_case(end).await.unwrap();
}

async fn people(town: &Town) -> [Actor; 3] {
    let all = town.registry.list_users().await.unwrap();
    let of = |role| all.iter().find(|user| user.role == role).map(|user| user.actor()).unwrap();
    [of(Role::Dispatcher), of(Role::Handler), of(Role::Supervisor)]
}

async fn staffed(town: &Town) -> [Actor; 3] {
    [
        town.staff("dispatch", Role::Dispatcher).await,
        town.staff("handler", Role::Handler).await,
        town.staff("super", Role::Supervisor).await,
    ]
}

async fn assert_whole(town: &Town, reported: &Reported) {
    let cover = town.registry.list_covers_by_id(&[reported.cover.unwrap()]).await.unwrap().remove(0);
    let chain = town.registry.verify_history(cover.manhole).await.unwrap().unwrap();
    assert!(matches!(chain, ChainState::Whole { .. }), "{chain:?}");
    let history = town.registry.list_history(cover.manhole).await.unwrap();
    assert!(
        history.iter().all(|entry| !entry.body.contains("还在响") && !entry.body.contains("哪一侧")),
        "hashes alone"
    );
}

both_engines! {
    async fn questions_go_back_and_forth_by_the_secret_link(ground: Ground) {
        let town = Town::found(&ground).await;
        let [dispatcher, handler, _] = staffed(&town).await;
        let crew = town.staff("crew", Role::Crew).await;
        let token = town.plated(1).await[0];
        let reported = town.report(token, Hazard::Broken).await;
        let (number, link) = (reported.case_number.as_str(), town.registry.tracking_link(&reported));
        let ask = word(number, "在路的哪一侧？", &dispatcher);
        let first = town.registry.write_to_citizen(ask.clone()).await.unwrap();
        assert_eq!(town.registry.write_to_citizen(ask).await.unwrap(), first, "a lost answer is given again");
        assert_eq!(code(town.registry.write_to_citizen(word(number, "?", &crew)).await.unwrap_err()), "citizen.desk_only");
        assert_eq!(code(town.registry.write_to_citizen(word(number, "?", &handler)).await.unwrap_err()), "case.unknown");
        let words = town.registry.find_tracked(&link).await.unwrap().unwrap().words;
        assert_eq!((words.len(), words[0].voice, words[0].answered_at), (1, Voice::City, None));

        assert_eq!(town.registry.say_as_citizen("R2026-000001-0000000000000000", says("x")).await.unwrap(), None);
        assert_eq!(code(town.registry.say_as_citizen(&link, says("  ")).await.unwrap_err()), "form.missing");
        let mut answer = says("南侧，公交站旁边");
        answer.photos = vec![photo(3)];
        town.registry.say_as_citizen(&link, answer.clone()).await.unwrap().unwrap();
        town.registry.say_as_citizen(&link, answer).await.unwrap().unwrap();
        let tracked = town.registry.find_tracked(&link).await.unwrap().unwrap();
        assert_eq!(tracked.words.len(), 2, "once, by its key");
        assert!(tracked.words[0].answered_at.is_some() && tracked.words[1].answered_at.is_none());
        assert_eq!(tracked.photos.len(), 1, "their own photo");

        // It waits for the desk until somebody answers, or says that there is nothing to answer.
        let open = town.registry.list_open_words(&dispatcher).await.unwrap();
        assert_eq!((open.len(), open[0].case_number.as_str(), open[0].tracking.as_str()), (1, number, reported.tracking.as_str()));
        assert!(town.registry.list_open_words(&crew).await.unwrap().is_empty());
        let file = town.registry.find_case(number, &crew).await.unwrap().unwrap();
        assert!(file.voices.words.is_empty(), "crews look after covers");
        assert_eq!(town.registry.write_to_citizen(word(number, "", &dispatcher)).await.unwrap(), None);
        assert!(town.registry.list_open_words(&dispatcher).await.unwrap().is_empty());
        assert_eq!(code(town.registry.write_to_citizen(word(number, "", &dispatcher)).await.unwrap_err()), "form.missing");

        // Where a case has several reports, one of them is meant.
        let second = town.report(token, Hazard::Broken).await;
        assert_eq!(code(town.registry.write_to_citizen(word(number, "谢谢", &dispatcher)).await.unwrap_err()), "citizen.which_report");
        let mut to = word(number, "谢谢", &dispatcher);
        to.tracking = Some("R2026-999999".into());
        assert_eq!(code(town.registry.write_to_citizen(to.clone()).await.unwrap_err()), "citizen.other_report");
        (to.key, to.tracking) = (IdempotencyKey::fresh(), Some(second.tracking.clone()));
        town.registry.write_to_citizen(to).await.unwrap().unwrap();
        let theirs = town.registry.find_tracked(&town.registry.tracking_link(&second)).await.unwrap().unwrap();
        assert_eq!(theirs.words.len(), 1);
        assert_whole(&town, &reported).await;
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn who_is_not_content_is_called_or_reports_it_again(ground: Ground) {
        let town = Town::found(&ground).await;
        let [dispatcher, _, _] = staffed(&town).await;
        let token = town.plated(1).await[0];
        let reported = town.report(token, Hazard::Rocking).await;
        let link = town.registry.tracking_link(&reported);
        assert_eq!(code(town.registry.rate(&link, mark(5, None)).await.unwrap_err()), "rating.not_closed");
        town.registry.follow_report(&link, NewFollower { address: "13800000000".into(), language: "en" }).await.unwrap();
        close(&town, &reported.case_number, false).await;
        assert_eq!(code(town.registry.rate(&link, mark(6, None)).await.unwrap_err()), "rating.score");
        assert_eq!(code(town.registry.rate(&link, mark(3, Some(Wish::CallBack))).await.unwrap_err()), "rating.no_wish");
        assert_eq!(code(town.registry.rate(&link, mark(2, Some(Wish::CallBack))).await.unwrap_err()), "rating.needs_contact");
        let called = NewRating { contact: Some("0546-8000000".into()), ..mark(2, Some(Wish::CallBack)) };
        town.registry.rate(&link, called).await.unwrap().unwrap();
        town.registry.rate(&link, mark(1, Some(Wish::CallBack))).await.unwrap().unwrap();
        let calls = town.registry.list_call_backs(&dispatcher).await.unwrap();
        assert_eq!(calls.len(), 1, "one call is enough");
        assert_eq!((calls[0].contact.as_deref(), calls[0].score), (Some("0546-8000000"), Some(1)));
        let done = |id: CallBackId| CallBackDone {
            key: IdempotencyKey::fresh(), id, outcome: "说好明天再去看".into(), actor: dispatcher.clone(),
        };
        town.registry.finish_call_back(done(calls[0].call_back.id)).await.unwrap();
        assert_eq!(code(town.registry.finish_call_back(done(calls[0].call_back.id)).await.unwrap_err()), "call_back.done");
        assert_eq!(code(town.registry.finish_call_back(done(CallBackId::fresh())).await.unwrap_err()), "call_back.unknown");
        assert!(town.registry.list_call_backs(&dispatcher).await.unwrap().is_empty());

        // Not mended: the same hazard is a new case that recurs, and their link leads on.
        let again = mark(1, Some(Wish::NotMended));
        let rated = town.registry.rate(&link, again.clone()).await.unwrap().unwrap();
        assert_eq!(town.registry.rate(&link, again).await.unwrap().unwrap(), rated);
        let next = rated.again.unwrap();
        assert_ne!(next.case_number, reported.case_number);
        let tracked = town.registry.find_tracked(&link).await.unwrap().unwrap();
        assert_eq!(tracked.case.state, CaseState::Closed, "a case is moved by people");
        assert_eq!(tracked.again, Some(town.registry.tracking_link(&next)));
        let file = town.registry.find_case(&next.case_number, &dispatcher).await.unwrap().unwrap();
        assert_eq!(file.case.recurs, Some(tracked.case.id));
        assert_eq!(file.reports[0].contact.as_deref(), Some("0546-8000000"));
        assert_eq!(code(town.registry.rate(&link, mark(5, None)).await.unwrap_err()), "rating.over");
        // Who was told of the first is told of this one.
        let before = town.registry.list_waiting_events("nobody", 1000).await.unwrap().len();
        close(&town, &next.case_number, true).await;
        let events = town.registry.list_waiting_events("nobody", 1000).await.unwrap();
        let told: Vec<_> = events[before..].iter().filter(|event| event.event == "citizen.message").collect();
        assert_eq!(told.len(), 2, "in hand and closed");
        let link = town.registry.tracking_link(&next);
        town.registry.rate(&link, mark(4, None)).await.unwrap();
        town.clock.fetch_add(31 * DAY, Ordering::SeqCst);
        assert_eq!(code(town.registry.rate(&link, mark(5, None)).await.unwrap_err()), "rating.over");
        assert_whole(&town, &reported).await;
    }

    async fn a_photo_of_the_work_is_seen_once_somebody_released_it(ground: Ground) {
        let town = Town::found(&ground).await;
        let [dispatcher, handler, _] = staffed(&town).await;
        let token = town.plated(1).await[0];
        let reported = town.report(token, Hazard::Broken).await;
        let (number, link) = (reported.case_number.clone(), town.registry.tracking_link(&reported));
        close(&town, &number, false).await;
        let tracked = town.registry.find_tracked(&link).await.unwrap().unwrap();
        assert!(tracked.result_waits && tracked.photos.is_empty());
        let file = town.registry.find_case(&number, &dispatcher).await.unwrap().unwrap();
        let of_closing = file.photos.iter().find(|photo| photo.role == "close").unwrap().id;
        let boxes = vec![BlurBox { left: 10.0, top: 20.0, width: 30.0, height: 40.0 }];
        let release = |boxes: Option<Vec<BlurBox>>, actor: &Actor| ReleaseOrder {
            key: IdempotencyKey::fresh(), number: number.clone(), photo: of_closing, boxes, actor: actor.clone(),
        };
        let refused = town.registry.release_photo(release(Some(Vec::new()), &handler)).await.unwrap_err();
        assert_eq!(code(refused), "citizen.desk_only");
        let refused = town.registry.release_photo(release(None, &dispatcher)).await.unwrap_err();
        assert_eq!(code(refused), "release.not_released");
        town.registry.release_photo(release(Some(boxes.clone()), &dispatcher)).await.unwrap();
        let tracked = town.registry.find_tracked(&link).await.unwrap().unwrap();
        assert!(!tracked.result_waits);
        assert_eq!((tracked.photos.len(), &tracked.released[0].boxes), (1, &boxes));
        let place = (tracked.case.manhole, reported.cover.unwrap());
        let shown = town.registry.list_public_photos(place).await.unwrap();
        assert_eq!((shown.len(), shown[0].0.id, &shown[0].1), (1, of_closing, &boxes));
        town.registry.release_photo(release(None, &dispatcher)).await.unwrap();
        assert!(town.registry.list_public_photos(place).await.unwrap().is_empty());
        assert!(town.registry.find_tracked(&link).await.unwrap().unwrap().result_waits);

        // Whoever closes has looked, and says so.
        let next = town.report(token, Hazard::Rocking).await;
        close(&town, &next.case_number, true).await;
        assert_eq!(town.registry.list_public_photos(place).await.unwrap().len(), 1);
        assert_whole(&town, &reported).await;
    }

    async fn a_tap_is_counted_once_a_key_while_the_hazard_is_there(ground: Ground) {
        let town = Town::found(&ground).await;
        staffed(&town).await;
        let token = town.plated(1).await[0];
        let reported = town.report(token, Hazard::Broken).await;
        let link = town.registry.tracking_link(&reported);
        let key = IdempotencyKey::fresh();
        for key in [key, key, IdempotencyKey::fresh()] {
            assert_eq!(town.registry.tap_same_here(token, Hazard::Broken, key).await.unwrap(), reported.cover);
        }
        let other = town.registry.tap_same_here(token, Hazard::Rocking, key).await.unwrap_err();
        assert_eq!(code(other), "same_here.over");
        assert_eq!(town.registry.find_tracked(&link).await.unwrap().unwrap().same_here, 2);
        close(&town, &reported.case_number, false).await;
        let late = town.registry.tap_same_here(token, Hazard::Broken, IdempotencyKey::fresh()).await.unwrap_err();
        assert_eq!(code(late), "same_here.over");
    }
}
