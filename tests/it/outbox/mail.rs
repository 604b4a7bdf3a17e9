//! What citizens are told: asked first, then told, never again once they left; by mail and by a gateway.

use std::sync::atomic::Ordering;

use lidmark::domain::case::CaseMove;
use lidmark::domain::citizen::MessageKind;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{IdempotencyKey, MessageId};
use lidmark::domain::receiver::{LetterState, ReceiverKind};
use lidmark::domain::role::{Actor, Role};
use lidmark::outbox::Courier;
use lidmark::registry::{CityWord, Followed, NewFollower, NewReceiver, ReceiverFile, Registry};

use super::hook::{Hook, draft, ok};
use crate::both_engines;
use crate::registry::cases::{because, order, with_photo};
use crate::registry::ground::{Town, photo};
use crate::support::smtp::Sink;

const ADDRESS: &str = "li.ming@mail.example.cn";

fn new(address: &str) -> NewFollower {
    NewFollower { address: address.into(), language: "zh-CN" }
}

async fn office(town: &Town, sink: &Sink) -> Courier {
    town.registry.settle_mail_receiver(Some(format!("smtp://{}", sink.address))).await.unwrap();
    Courier::new(town.registry.clone(), true).unwrap().writing_to_citizens(&sink.config(), None).unwrap()
}

async fn mail_receiver(registry: &Registry) -> ReceiverFile {
    let all = registry.list_receivers().await.unwrap();
    all.into_iter().find(|file| file.receiver.kind == ReceiverKind::Mail).unwrap()
}

/// The last part of an address in a mail.
fn link_of(address: &str) -> String {
    address.split('/').nth(4).unwrap().to_owned()
}

both_engines! {
    async fn citizens_are_asked_first_then_told_and_never_again_once_they_left(ground: Ground) {
        let town = Town::found(&ground).await;
        let sink = Sink::open();
        let courier = office(&town, &sink).await;
        let token = town.plated(1).await[0];
        let dispatcher = town.staff("dispatch", Role::Dispatcher).await;
        let supervisor = town.staff("super", Role::Supervisor).await;
        let handler = town.staff("handler", Role::Handler).await;
        let reported = town.report(token, Hazard::Broken).await;
        let tracking = town.registry.tracking_link(&reported);
        for wrong in ["", "nobody", "a@b.cn\r\nBcc: all@b.cn"] {
            assert!(town.registry.follow_report(&tracking, new(wrong)).await.is_err());
        }
        assert_eq!(town.registry.follow_report("R2026-000001-0000000000000000", new(ADDRESS)).await.unwrap(), None);
        for _ in 0..2 {
            // Twice by a double tap: one question.
            let asked = town.registry.follow_report(&tracking, new(ADDRESS)).await.unwrap();
            assert_eq!(asked, Some(Followed::Asked));
        }
        courier.turn().await.unwrap();
        let taken = sink.taken();
        assert_eq!(taken.len(), 1);
        let question = &taken[0];
        assert_eq!((question.to.as_str(), question.header("From")), (ADDRESS, "井盖服务 <noreply@lid.example.cn>"), "{question:?}");
        assert!(question.header("Subject").contains("请确认") && question.header("Subject").contains(&reported.tracking));
        assert!(!question.text.contains(&tracking), "nobody gets the secret link before they confirmed");
        let (confirm, stop) = (question.link("/confirm"), question.link("/stop"));
        assert_eq!(question.header("List-Unsubscribe"), format!("<{stop}>"));
        assert_eq!(question.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");

        // Nothing more before they confirmed.
        town.registry.move_case(order(&reported.case_number, CaseMove::File, &dispatcher)).await.unwrap();
        courier.turn().await.unwrap();
        assert_eq!(sink.taken().len(), 1);
        assert!(town.registry.confirm_follower("x-y").await.unwrap().is_none());
        town.registry.confirm_follower(&link_of(&confirm)).await.unwrap().unwrap();
        town.registry.confirm_follower(&link_of(&confirm)).await.unwrap().unwrap();
        courier.turn().await.unwrap();
        assert_eq!(sink.taken().len(), 2, "the first with the link, once");
        assert_eq!(sink.taken()[1].link("/r/"), format!("https://lid.example.cn/r/{tracking}"));

        // In their order: in hand, a question, closed; handing over twice is told once.
        let number = reported.case_number.as_str();
        let mut send = order(number, CaseMove::Dispatch, &dispatcher);
        send.request.party = Some(town.water);
        town.registry.move_case(send).await.unwrap();
        town.registry.move_case(order(number, CaseMove::Accept, &handler)).await.unwrap();
        let ask = CityWord {
            key: IdempotencyKey::fresh(), number: number.into(), tracking: None,
            text: "在路的哪一侧？".into(), actor: dispatcher.clone(),
        };
        town.registry.write_to_citizen(ask).await.unwrap();
        let mut hand_in = with_photo(order(number, CaseMove::HandIn, &handler), photo(1));
        hand_in.before_photos = vec![photo(3)];
        town.registry.move_case(hand_in).await.unwrap();
        town.registry.move_case(order(number, CaseMove::Check, &dispatcher)).await.unwrap();
        town.registry.move_case(with_photo(order(number, CaseMove::Close, &supervisor), photo(2))).await.unwrap();
        courier.turn().await.unwrap();
        let told: Vec<String> = sink.taken()[2..].iter().map(|mail| mail.header("Subject").to_owned()).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for (subject, words) in told.iter().zip(["正在处理", "请您补充说明", "已处理完毕"]) {
            assert!(subject.contains(words), "{told:?}");
        }
        assert!(sink.taken()[2].text.contains("东营水务") && sink.taken()[3].text.contains("在路的哪一侧？"));

        // The log holds neither text nor address, and neither does what is printed of a follower.
        let events = town.registry.list_waiting_events("nobody", 1000).await.unwrap();
        assert!(events.iter().all(|event| !event.body.contains(ADDRESS) && !event.body.contains("哪一侧")));
        let thing = town.registry.find_followed(&link_of(&stop)).await.unwrap().unwrap();
        assert!(!format!("{thing:?}").contains(ADDRESS));

        // What waits when they leave is not sent.
        town.registry.move_case(because(order(number, CaseMove::Reopen, &dispatcher), "又松了")).await.unwrap();
        assert!(town.registry.unfollow(&link_of(&stop)).await.unwrap());
        assert!(!town.registry.unfollow(&link_of(&stop)).await.unwrap());
        courier.turn().await.unwrap();
        assert_eq!(sink.taken().len(), 5);
        assert_eq!(mail_receiver(&town.registry).await.behind, 0);
        assert!(town.registry.find_followed(&link_of(&stop)).await.unwrap().is_none());
    }

    async fn who_is_refused_waits_for_nobody_and_what_was_busy_comes_later(ground: Ground) {
        let town = Town::found(&ground).await;
        let sink = Sink::open();
        let courier = office(&town, &sink).await;
        let token = town.plated(1).await[0];
        sink.says(|to| match to {
            "gone@mail.example.cn" => 550,
            "busy@mail.example.cn" => 451,
            _ => 250,
        });
        for address in ["gone@mail.example.cn", "busy@mail.example.cn", "here@mail.example.cn"] {
            assert_eq!(town.registry.follow_cover(token, new(address)).await.unwrap(), Followed::Asked);
        }
        assert!(town.registry.follow_cover(token, new("13800000000")).await.is_err(), "by mail only");
        courier.turn().await.unwrap();
        assert_eq!(sink.taken().len(), 1, "the one behind them does not wait");
        let receiver = mail_receiver(&town.registry).await;
        assert_eq!((receiver.waiting, receiver.dead), (1, 1));
        let dead = town.registry.list_letters(receiver.receiver.id, LetterState::Dead, (0, 10)).await.unwrap();
        assert_eq!((dead[0].last_status, dead[0].trouble.as_deref()), (Some(550), Some("SMTP 550")), "and no address");
        courier.turn().await.unwrap();
        assert_eq!(sink.taken().len(), 1, "not before its time");
        sink.says(|_| 250);
        town.clock.fetch_add(10_000, Ordering::SeqCst);
        courier.turn().await.unwrap();
        assert_eq!(sink.taken().len(), 2);
        assert_eq!(sink.taken()[1].to, "busy@mail.example.cn");

        // A server that is not there costs no letter; who never answers is forgotten after three days.
        town.registry.settle_mail_receiver(Some("smtp://127.0.0.1:1".into())).await.unwrap();
        town.clock.fetch_add(4 * 86_400_000, Ordering::SeqCst);
        assert_eq!(town.registry.forget_unconfirmed().await.unwrap(), 3);
        town.registry.settle_mail_receiver(None).await.unwrap();
        let kinds: Vec<_> = town.registry.list_receivers().await.unwrap().into_iter().map(|file| file.receiver.kind).collect();
        assert!(!kinds.contains(&ReceiverKind::Mail));
    }

    async fn a_gateway_gets_the_message_written_out_and_others_its_number_alone(ground: Ground) {
        let town = Town::found(&ground).await;
        let sink = Sink::open();
        let courier = Courier::new(town.registry.clone(), true).unwrap().writing_to_citizens(&sink.config(), None).unwrap();
        let token = town.plated(1).await[0];
        let reported = town.report(token, Hazard::Rocking).await;
        let hook = Hook::open(ok).await;
        let mut wanted = draft("短信网关", &hook.url(), "citizen.*");
        wanted.personal = true;
        let key = IdempotencyKey::fresh();
        let new_hook = NewReceiver { key, kind: ReceiverKind::Webhook, draft: wanted, actor: Actor::System };
        let made = town.registry.add_receiver(new_hook).await.unwrap();
        let tracking = town.registry.tracking_link(&reported);
        let followed = town.registry.follow_report(&tracking, new("13800000000")).await.unwrap();
        assert_eq!(followed, Some(Followed::Confirmed), "the gateway asks by itself");
        courier.turn().await.unwrap();
        let heard = hook.taken();
        assert_eq!(heard.len(), 1);
        assert!(heard[0].is_signed_by(&made.secret.unwrap()));
        let body = heard[0].json();
        assert_eq!((&body["type"], &body["data"]["kind"]), (&"citizen.message".into(), &"received".into()));
        assert_eq!(body["citizen"]["address"], "13800000000");
        assert_eq!(body["citizen"]["link"], format!("https://lid.example.cn/r/{tracking}"));
        assert!(body["citizen"]["text"].as_str().unwrap().contains("退订"));
        assert!(sink.taken().is_empty());
        let id: MessageId = body["data"]["message"].as_str().unwrap().parse().unwrap();
        let letter = town.registry.compose_message(id).await.unwrap().unwrap();
        assert_eq!(letter.kind, MessageKind::Received);
    }
}
