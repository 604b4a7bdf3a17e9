//! What leaves the house: events to a receiver outside, mail, and rewards for those who reported first.

use std::collections::{BTreeMap, BTreeSet};

use lidmark::domain::case::CaseState;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use lidmark::outbox::Courier;
use serde_json::{Value, json};

use super::city::{Body, Call, City, Who};
use crate::contract::house::House;
use crate::outbox::hook::{self, Hook};
use crate::support::smtp::{Sink, Taken};

const SUPERVISOR: Who = Who::Staff(Role::Supervisor);
/// People who want their rewards.
const PEOPLE: usize = 5;

/// How the subject of a mail begins that says where a case stands.
const STANDING: [(&str, &str); 4] = [
    ("received", "已开通通知"),
    ("closed", "已处理完毕"),
    ("rejected", "核实后不予处理"),
    ("reopened", "重新处理"),
];
const QUESTION: &str = "请确认接收通知";

/// Somebody who wants to hear by mail.
#[derive(Clone)]
struct Reader {
    /// What they reported.
    case: String,
    confirmed: Option<i64>,
    /// How many mails they had when they left.
    left: Option<usize>,
}

/// Who listens outside, and what the year knows of rewards by itself.
pub struct Outside {
    hook: Hook,
    mailbox: Sink,
    courier: Courier,
    /// Numbers of events since the receiver is there.
    events: BTreeSet<i64>,
    /// Tracking numbers of those who want to hear by telephone, with the case.
    pub followed: BTreeMap<String, String>,
    /// By their addresses.
    readers: BTreeMap<String, Reader>,
    mails_read: usize,
    /// Claims by their tracking numbers, with the case.
    claims: BTreeMap<String, String>,
    /// Fen that were approved, by month and person.
    approved: BTreeMap<(String, String), i64>,
    pub paid: usize,
    pub refused: usize,
}

impl Outside {
    pub async fn listen_to(house: &House, mailbox: Sink) -> Self {
        let registry = &house.town.registry;
        let hook = Hook::open(hook::ok).await;
        hook::register_for(registry, &hook, true).await;
        registry.settle_mail_receiver(Some(format!("smtp://{}", mailbox.address))).await.unwrap();
        Self {
            courier: hook::courier(registry).writing_to_citizens(&house.state.config, None).unwrap(),
            hook,
            mailbox,
            events: BTreeSet::new(),
            followed: BTreeMap::new(),
            readers: BTreeMap::new(),
            mails_read: 0,
            claims: BTreeMap::new(),
            approved: BTreeMap::new(),
            paid: 0,
            refused: 0,
        }
    }

    pub fn told(&mut self, sequence: i64) {
        self.events.insert(sequence);
    }

    /// How many asked to hear by mail, and how many of them left.
    pub fn readers(&self) -> (usize, usize) {
        (self.readers.len(), self.readers.values().filter(|reader| reader.left.is_some()).count())
    }
}

impl City<'_> {
    /// Some of those who reported want their reward; whoever was not the first, or is staff, is told that there is none.
    pub async fn claim(&mut self, link: &str, number: &str, is_first: bool) {
        let about = format!("claim {link}");
        if !self.chance(20, &about) {
            return;
        }
        use rand::RngExt;
        let payee = format!("1380000000{}", self.dice(&about).random_range(0..PEOPLE));
        let fields = vec![("key", IdempotencyKey::fresh().to_string()), ("payee", payee)];
        let path = format!("/r/{link}/reward");
        let call = Call { who: Who::Citizen, method: "POST", path, body: Body::Form(fields, Vec::new()) };
        self.expect(call, if is_first { 303 } else { 409 }).await;
        if is_first {
            let tracking = link.rsplit_once('-').unwrap().0.to_owned();
            self.outside.claims.insert(tracking, number.to_owned());
        }
    }

    /// A supervisor approves what waits, as far as the city's limits go.
    pub async fn review_rewards(&mut self) {
        loop {
            let page = self.get(SUPERVISOR, "/api/v1/rewards?state=review&limit=200").await.json();
            let rewards = page["rewards"].as_array().unwrap().clone();
            if rewards.is_empty() {
                return;
            }
            for reward in rewards {
                let path = format!("/api/v1/rewards/{}/steps", reward["id"].as_str().unwrap());
                let step = |body: Value| Call {
                    who: SUPERVISOR,
                    method: "POST",
                    path: path.clone(),
                    body: Body::Json(body),
                };
                let text = |name: &str| reward[name].as_str().unwrap().to_owned();
                let answer = self.send_all(vec![step(json!({"step": "approve"}))]).await.remove(0);
                if answer.status == 200 {
                    *self.outside.approved.entry((text("month"), text("payee"))).or_default() +=
                        reward["amount_fen"].as_i64().unwrap();
                } else {
                    assert_eq!((answer.status, answer.code().as_str()), (409, "reward.cap"));
                    self.expect(step(json!({"step": "refuse", "note": "超过上限"})), 200).await;
                    self.outside.refused += 1;
                }
            }
        }
    }

    /// The payer is told once a month and says back what went through.
    pub async fn pay_rewards(&mut self) {
        let path = "/api/v1/reward-payouts".to_owned();
        let call = Call { who: SUPERVISOR, method: "POST", path, body: Body::Json(json!({})) };
        let made = self.send_all(vec![call]).await.remove(0);
        if made.status == 409 {
            return;
        }
        let number = made.json()["number"].as_str().unwrap().to_owned();
        let file = self.get(SUPERVISOR, &format!("/api/v1/reward-payouts/{number}.csv")).await.text();
        let answered = file.replace(",¥,,", ",¥,paid,42");
        let fields = vec![("csrf", String::new()), ("payout", number), ("results", answered)];
        let path = "/admin/rewards".to_owned();
        let call = Call { who: SUPERVISOR, method: "POST", path, body: Body::Form(fields, Vec::new()) };
        self.expect(call, 200).await;
        self.outside.paid += made.json()["count"].as_u64().unwrap() as usize;
    }

    pub async fn carry_events(&self) {
        while self.outside.courier.turn().await.unwrap() > 0 {}
    }

    /// Whoever made the last report wants to hear by mail.
    pub async fn follow_by_mail(&mut self) {
        let (link, case) = self.links.last().unwrap().clone();
        let address = format!("reader{}@mail.example.cn", self.outside.readers.len());
        let path = format!("/r/{link}/follow");
        let body = Body::Form(vec![("address", address.clone())], Vec::new());
        self.expect(Call { who: Who::Citizen, method: "POST", path, body }, 200).await;
        self.outside.readers.insert(address, Reader { case, confirmed: None, left: None });
    }

    /// Who was asked by mail says yes; some of them have enough of it at once.
    pub async fn read_mail(&mut self) {
        let before = self.outside.mails_read;
        let questions = self.outside.mailbox.taken().split_off(before);
        let questions = questions.into_iter().filter(|mail| mail.header("Subject").starts_with(QUESTION));
        for question in questions {
            self.use_link(&question, "/confirm").await;
            self.carry_events().await;
            let leaves = self.chance(10, &question.to);
            if leaves {
                self.use_link(&question, "/stop").await;
            }
            let had = self.outside.mailbox.taken().iter().filter(|mail| mail.to == question.to).count();
            let reader = self.outside.readers.get_mut(&question.to).unwrap();
            assert!(reader.confirmed.is_none(), "{} was asked twice", question.to);
            *reader = Reader { confirmed: Some(self.now), left: leaves.then_some(had), ..reader.clone() };
        }
        self.outside.mails_read = self.outside.mailbox.taken().len();
    }

    async fn use_link(&self, mail: &Taken, part: &str) {
        let path = mail.link(part).trim_start_matches("https://lid.example.cn").to_owned();
        let body = Body::Form(vec![("List-Unsubscribe", "One-Click".to_owned())], Vec::new());
        self.expect(Call { who: Who::Citizen, method: "POST", path, body }, 200).await;
    }

    /// Whoever reads mail was told how it ended since they said yes, nothing twice, and nothing more once they left.
    fn readers_are_answered(&self) {
        let mut told: BTreeMap<String, Vec<Taken>> = BTreeMap::new();
        for mail in self.outside.mailbox.taken() {
            told.entry(mail.to.clone()).or_default().push(mail);
        }
        for (address, reader) in &self.outside.readers {
            let mails = told.get(address).map_or(&[][..], Vec::as_slice);
            let confirmed = reader.confirmed.unwrap_or_else(|| panic!("{address} was never asked"));
            let stands = |mail: &Taken| {
                let subject = mail.header("Subject");
                STANDING.iter().find(|(_, begins)| subject.starts_with(begins)).map(|(kind, _)| *kind)
            };
            let kinds: Vec<&str> = mails.iter().filter_map(stands).collect();
            assert!(kinds.windows(2).all(|pair| pair[0] != pair[1]), "{address}: {kinds:?}");
            if let Some(had) = reader.left {
                assert_eq!(mails.len(), had, "{address} left");
                continue;
            }
            let slate = &self.cases[self.root(&reader.case)];
            let wanted: &[&str] = match slate.state {
                // Their first mail says how it stands, also where it is over already.
                state if !state.is_open() && slate.since <= confirmed => &["received", "closed", "rejected"],
                CaseState::Closed => &["closed"],
                CaseState::Rejected => &["rejected"],
                _ => &["received", "reopened"],
            };
            let last = kinds.last().copied().unwrap_or_default();
            assert!(wanted.contains(&last), "{address} of {}, {}: {kinds:?}", reader.case, slate.state);
        }
    }

    /// Whoever wanted to hear was told how it ended, and that it begins again; last what holds now.
    pub fn everybody_is_answered(&self) {
        self.readers_are_answered();
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for heard in self.outside.hook.taken() {
            let said = heard.json();
            if said["type"] != "citizen.message" {
                continue;
            }
            assert!(said["citizen"]["text"].is_string(), "a message is written out: {said}");
            let kind = said["data"]["kind"].as_str().unwrap();
            if matches!(kind, "received" | "closed" | "rejected" | "reopened") {
                last.insert(said["data"]["tracking"].as_str().unwrap().to_owned(), kind.to_owned());
            }
        }
        for (tracking, number) in &self.outside.followed {
            let state = self.cases[self.root(number)].state;
            let told = last.get(tracking).map(String::as_str);
            let wanted: &[&str] = match state {
                CaseState::Closed => &["closed"],
                CaseState::Rejected => &["rejected"],
                _ => &["received", "reopened"],
            };
            assert!(
                told.is_some_and(|told| wanted.contains(&told)),
                "{tracking} of {number}, {state}: {told:?}"
            );
        }
    }

    /// Every event was heard once, those of a case in their order; no limit is broken, and whoever claimed was answered.
    pub async fn outside_is_right(&self) {
        let taken = self.outside.hook.taken();
        let numbers: Vec<i64> = taken.iter().map(|heard| heard.sequence()).collect();
        let heard: BTreeSet<i64> = numbers.iter().copied().collect();
        assert_eq!(heard.len(), numbers.len(), "no event twice");
        let unlike: Vec<_> = heard.symmetric_difference(&self.outside.events).collect();
        assert_eq!(unlike, Vec::<&i64>::new(), "each event was heard");
        // What is about no case keeps the order of what it is about, and a message that of its reader.
        let mut last: BTreeMap<String, i64> = BTreeMap::new();
        let of_cases = taken.iter().filter(|heard| heard.json()["type"] != "citizen.message");
        for heard in of_cases.filter(|heard| !heard.case().is_empty()) {
            let before = last.insert(heard.case(), heard.sequence());
            assert!(before.is_none_or(|before| before < heard.sequence()), "{}", heard.case());
        }

        let rules = self.house.town.registry.reward_rules();
        let mut months: BTreeMap<&str, i64> = BTreeMap::new();
        for ((month, person), fen) in &self.outside.approved {
            assert!(*fen <= i64::from(rules.person_month_fen), "{person} in {month}: {fen}");
            *months.entry(month).or_default() += fen;
        }
        for (month, fen) in months {
            assert!(fen <= i64::from(rules.month_fen), "{month}: {fen}");
            let sums = self.get(SUPERVISOR, &format!("/api/v1/rewards?month={month}")).await.json();
            let owed = |sum: &&Value| matches!(sum["state"].as_str(), Some("approved" | "exported" | "paid"));
            let counted: i64 = sums["sums"]
                .as_array()
                .unwrap()
                .iter()
                .filter(owed)
                .map(|sum| sum["fen"].as_i64().unwrap())
                .sum();
            assert_eq!(counted, fen, "{month}");
        }
        let page = self.get(SUPERVISOR, "/api/v1/rewards?state=claimed&limit=200").await.json();
        for reward in page["rewards"].as_array().unwrap() {
            let case = &self.outside.claims[reward["tracking"].as_str().unwrap()];
            assert!(self.open.contains(case), "{case} is over and nobody said anything of its reward");
        }
    }
}
