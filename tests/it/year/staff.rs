//! What people at desks and parties do with cases, each in their manner.

use std::collections::BTreeSet;

use lidmark::domain::case::{CaseMove, CaseState};
use lidmark::domain::ids::{Millis, PartyId};
use lidmark::domain::role::Role;
use rand::RngExt;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};

use super::city::{Body, Call, City, PRIVATE, Try, Who, Wish};
use super::slate::{DAY, Slate, Turn, With, limits_of};

const DISPATCHER: Who = Who::Staff(Role::Dispatcher);
const SUPERVISOR: Who = Who::Staff(Role::Supervisor);
const CREW: Who = Who::Staff(Role::Crew);
const POOL: &str = "everybody";
/// Where the phone of whoever hands in was.
const THERE: [(&str, &str); 3] = [("lon", "118.59"), ("lat", "37.46"), ("accuracy_m", "8")];

impl Try {
    fn json(number: &str, made: CaseMove, who: Who, body: Value) -> Self {
        Self { number: number.to_owned(), made, who, body: Body::Json(body), with: With::default(), may: &[] }
    }

    fn photos(number: &str, made: CaseMove, who: Who, names: Vec<&'static str>) -> Self {
        let mut fields = vec![("move", made.to_string())];
        if made != CaseMove::Close {
            fields.extend(THERE.map(|(name, value)| (name, value.to_owned())));
        }
        let body = Body::Form(fields, names);
        Self { number: number.to_owned(), made, who, body, with: With::default(), may: &[] }
    }

    fn to(mut self, party: PartyId) -> Self {
        self.with.party = Some(party);
        self
    }
}

impl City<'_> {
    /// Every case in this state, page by page, as somebody's list has it.
    async fn listed(&self, who: Who, state: CaseState) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut path = format!("/api/v1/cases?state={state}&limit=200");
        loop {
            let page = self.get(who, &path).await.json();
            let cases = page["cases"].as_array().unwrap();
            found.extend(cases.iter().map(|line| line["case"]["number"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => path = format!("/api/v1/cases?state={state}&limit=200&cursor={next}"),
                None => return found,
            }
        }
    }

    fn standing_at(&self, fits: impl Fn(&Slate) -> bool) -> BTreeSet<String> {
        self.open.iter().filter(|number| fits(&self.cases[*number])).cloned().collect()
    }

    /// The lists of the desk hold what waits for it, and nothing else.
    pub async fn read_desk_lists(&self) {
        use CaseState::{Checked, Filed, Handled, Reopened, Reported, Returned, Suspended};
        for state in [Reported, Filed, Returned, Reopened, Handled, Checked, Suspended] {
            let listed = self.listed(DISPATCHER, state).await;
            assert_eq!(listed, self.standing_at(|slate| slate.state == state), "the desk's list of {state}");
        }
    }

    /// The list of a party holds its cases and those that it is offered, and nobody else's.
    pub async fn read_party_lists(&self) {
        for (at, office) in self.offices.iter().enumerate() {
            for state in [CaseState::Dispatched, CaseState::Handling] {
                let listed = self.listed(Who::Office(at), state).await;
                let theirs = |slate: &Slate| {
                    slate.state == state
                        && (slate.party == Some(office.id) || slate.pool.contains(&office.id))
                };
                assert_eq!(listed, self.standing_at(theirs), "list of {state} of party {at}");
            }
        }
    }

    /// One step for each case that waits at the desk; outside of working days for emergencies only.
    pub async fn desk(&mut self, round: usize) {
        let tries = self
            .open
            .iter()
            .map(|number| (number, &self.cases[number]))
            .filter(|(_, slate)| slate.turn() == Turn::Desk && (self.is_workday() || slate.emergency))
            .filter_map(|(number, slate)| self.at_desk(number, slate, round))
            .collect();
        self.make(tries).await;
    }

    fn at_desk(&self, number: &str, slate: &Slate, round: usize) -> Option<Try> {
        let falls = |percent, what: &str| self.chance(percent, &format!("{number} {what} {round}"));
        let because = |made: CaseMove| json!({"move": made, "reason": PRIVATE});
        Some(match slate.state {
            CaseState::Reported | CaseState::Filed | CaseState::Returned if falls(2, "fix") => {
                Try::photos(number, CaseMove::Fix, CREW, vec!["photos"])
            }
            CaseState::Reported if falls(6, "reject") => {
                Try::json(number, CaseMove::Reject, DISPATCHER, because(CaseMove::Reject))
            }
            CaseState::Reported if falls(if slate.cover.is_none() { 40 } else { 3 }, "join") => {
                self.join(number, slate)?
            }
            CaseState::Reported if falls(92, "file") => {
                Try::json(number, CaseMove::File, DISPATCHER, json!({"move": "file"}))
            }
            CaseState::Reported => return None,
            CaseState::Handled if falls(15, "leave") => return None,
            CaseState::Handled if falls(12, "send back") => {
                Try::json(number, CaseMove::SendBack, DISPATCHER, because(CaseMove::SendBack))
            }
            CaseState::Handled => Try::json(number, CaseMove::Check, DISPATCHER, json!({"move": "check"})),
            CaseState::Checked if falls(4, "send back") => {
                Try::json(number, CaseMove::SendBack, SUPERVISOR, because(CaseMove::SendBack))
            }
            CaseState::Checked => Try::photos(number, CaseMove::Close, SUPERVISOR, vec!["photos"]),
            _ => self.dispatch(number, slate),
        })
    }

    fn dispatch(&self, number: &str, slate: &Slate) -> Try {
        let was_refused = slate.state == CaseState::Returned || slate.state == CaseState::Handling;
        let whose = self.whose(slate).filter(|_| !was_refused);
        let party = match whose {
            Some(party) => party,
            None if was_refused => {
                self.offices.iter().choose(&mut self.dice(&format!("{number} whose"))).unwrap().id
            }
            None => {
                let mut offer =
                    Try::json(number, CaseMove::Offer, DISPATCHER, json!({"move": "offer", "pool": POOL}));
                offer.with.pool = self.pool(slate.class);
                return offer;
            }
        };
        let body = json!({"move": "dispatch", "party": party, "reason": PRIVATE});
        Try::json(number, CaseMove::Dispatch, DISPATCHER, body).to(party)
    }

    /// What was reported without a plate may be known already.
    fn join(&self, number: &str, slate: &Slate) -> Option<Try> {
        // An older one: two that are joined to each other at once would be a ring.
        let alike = |other: &&String| other.as_str() < number && self.cases[*other].hazard == slate.hazard;
        let target = self.open.iter().filter(alike).choose(&mut self.dice(&format!("{number} target")))?;
        let mut join =
            Try::json(number, CaseMove::Join, DISPATCHER, json!({"move": "join", "target": target}));
        join.with.target = Some(target.clone());
        // The other one may be rejected or joined in the same minute.
        join.may = &["case.target_unfit"];
        Some(join)
    }

    /// Now and then what is closed is not well, and what was rejected is there after all.
    pub async fn reopen(&mut self) {
        let mut dice = self.dice("reopen");
        let wanted = (0..self.size.reports).filter(|_| dice.random_ratio(2, 100)).count();
        let lately = self.now - 60 * DAY;
        let over = self.cases.iter().filter(|(_, slate)| {
            let is_rejected = slate.state == CaseState::Rejected && slate.since > lately;
            slate.closed.is_some_and(|at| at > lately) || is_rejected
        });
        let picked: Vec<String> = over.map(|(number, _)| number.clone()).sample(&mut dice, wanted);
        let mut tries = Vec::new();
        for number in picked {
            let slate = &self.cases[&number];
            let body = json!({"move": "reopen", "reason": PRIVATE});
            let twin = slate.cover.is_some_and(|cover| self.standing.contains_key(&(cover, slate.hazard)));
            let mut again = Try::json(&number, CaseMove::Reopen, SUPERVISOR, body);
            if twin {
                again.may = &["case.open_twin"];
            }
            tries.push(again);
        }
        // One after the other, because two may be about the same hazard.
        for one in tries {
            self.make(vec![one]).await;
        }
    }

    /// One step for each case on the lists of the parties.
    pub async fn offices(&mut self, round: usize, emergencies_only: bool) {
        let mut tries = Vec::new();
        let mut wishes = Vec::new();
        for (at, office) in self.offices.iter().enumerate() {
            for number in &self.open {
                let slate = &self.cases[number];
                let is_theirs = slate.turn() == Turn::Party(office.id)
                    || (slate.turn() == Turn::Pool && slate.pool.contains(&office.id));
                let is_on = slate.emergency || (self.is_workday() && !self.is_off(at));
                if !is_theirs || !is_on || (emergencies_only && !slate.emergency) {
                    continue;
                }
                let about = format!("{number} {at} {round}");
                match self.at_office(number, slate, at, &about) {
                    Some(one) if tries.iter().all(|other: &Try| other.number != one.number) => {
                        tries.push(one)
                    }
                    Some(_) => {}
                    None if slate.state == CaseState::Handling && !emergencies_only => {
                        let asks = office.manner.asks;
                        wishes
                            .extend(self.chance(asks, &format!("{about} ask")).then(|| (at, number.clone())));
                    }
                    None => {}
                }
            }
        }
        self.make(tries).await;
        for (at, number) in wishes {
            self.ask(at, number).await;
        }
    }

    fn at_office(&self, number: &str, slate: &Slate, at: usize, about: &str) -> Option<Try> {
        let (office, who) = (&self.offices[at], Who::Office(at));
        let manner = office.manner;
        let falls = |percent, what: &str| self.chance(percent, &format!("{about} {what}"));
        if slate.turn() == Turn::Pool {
            let because = json!({"move": "decline", "reason": PRIVATE});
            return if falls(manner.claims, "claim") {
                Some(Try::json(number, CaseMove::Accept, who, json!({"move": "accept"})).to(office.id))
            } else if falls(manner.refuses, "decline") {
                Some(Try::json(number, CaseMove::Decline, who, because).to(office.id))
            } else {
                None
            };
        }
        if slate.state == CaseState::Dispatched {
            let because = json!({"move": "refuse", "reason": PRIVATE});
            return if falls(manner.refuses, "refuse") {
                Some(Try::json(number, CaseMove::Refuse, who, because))
            } else if falls(manner.accepts, "accept") {
                Some(Try::json(number, CaseMove::Accept, who, json!({"move": "accept"})))
            } else {
                None
            };
        }
        let has_repair = limits_of(slate.hazard, slate.class).1.is_some();
        if has_repair && !slate.made_safe && falls(50, "make safe") {
            return Some(Try::photos(number, CaseMove::MakeSafe, who, vec!["photos"]));
        }
        if !falls(manner.hands_in, "hand in") {
            return None;
        }
        if falls(manner.bare, "bare") {
            let mut bare = Try::photos(number, CaseMove::HandIn, who, Vec::new());
            bare.may = &["case.needs_photo"];
            return Some(bare);
        }
        let mut photos = vec!["photos"];
        let with_before = !falls(manner.bare, "without before");
        if with_before {
            photos.push("before_photos");
        }
        let mut hand_in = Try::photos(number, CaseMove::HandIn, who, photos);
        if !with_before {
            hand_in.may = &["case.needs_before"];
        }
        Some(hand_in)
    }

    /// 延期, 挂账, 申诉, 咨询
    async fn ask(&mut self, at: usize, number: String) {
        let mut dice = self.dice(&format!("{number} wish"));
        let kind = ["extension", "suspension", "appeal", "question"][dice.random_range(0..4)];
        let until = self.now + dice.random_range(3..40) * DAY;
        let slate = &self.cases[&number];
        if slate.turn() != Turn::Party(self.offices[at].id) {
            return;
        }
        let body = json!({"kind": kind, "reason": PRIVATE, "until": Millis(until).to_rfc3339()});
        let path = format!("/api/v1/cases/{number}/asks");
        let call = Call { who: Who::Office(at), method: "POST", path, body: Body::Json(body) };
        let answer = self.send(call).await;
        let is_late = slate.due().is_some_and(|due| due <= self.now);
        match (answer.status, answer.code().as_str()) {
            (201, _) => {
                assert!(kind != "extension" || !is_late, "{number} is over and may not take longer");
                let id = answer.json()["ask"].as_str().unwrap().to_owned();
                self.wishes.insert(id, Wish { number, kind, until, endorsed: false, stale: false });
                self.tally.asked += 1;
            }
            (409, "case.extend_late") => assert!(is_late, "{number} is not over yet"),
            (409, "ask.not_late") => {
                let is_over = slate.due().is_some_and(|due| due < self.now);
                assert!(!is_over && slate.late == 0, "{number} is late");
            }
            (409, "ask.open_already" | "ask.appealed_before" | "case.extend_most" | "case.suspend_most") => {}
            _ => panic!("{number} {kind}: {}", answer.text()),
        }
    }

    /// The desk answers what parties asked: one after the other, because what is granted is done at once.
    pub async fn answer(&mut self) {
        for (id, wish) in self.wishes.clone() {
            if self.chance(30, &format!("{id} later")) {
                continue;
            }
            let grants = !wish.stale && self.chance(65, &format!("{} {}", wish.number, wish.kind));
            let (verdict, who) = match wish.kind {
                "appeal" if !wish.endorsed => ("endorse", DISPATCHER),
                "question" => ("answer", DISPATCHER),
                _ if grants => ("grant", SUPERVISOR),
                _ => ("deny", SUPERVISOR),
            };
            let body = Body::Json(json!({"verdict": verdict, "text": PRIVATE}));
            let path = format!("/api/v1/asks/{id}");
            let answer = self.send(Call { who, method: "POST", path, body }).await;
            let known = self.wishes.get_mut(&id).unwrap();
            match (answer.status, verdict) {
                (204, "endorse") => known.endorsed = true,
                (204, _) => {
                    self.wishes.remove(&id);
                }
                // The case went on while the party waited for an answer.
                (409, "grant") => known.stale = true,
                (422, "grant") if answer.code() == "case.until_past" => known.stale = true,
                _ => panic!("{} {}: {}", wish.number, wish.kind, answer.text()),
            }
            if (answer.status, verdict) == (204, "grant") {
                match wish.kind {
                    "extension" => self.keep(&wish.number, CaseMove::Extend, With::default()),
                    "suspension" => {
                        let with = With { until: wish.until, ..With::default() };
                        self.keep(&wish.number, CaseMove::Suspend, with);
                    }
                    _ => {}
                }
            }
        }
    }

    /// 督办单: supervisors tell each party that is late, which says that it has heard and how it stands.
    pub async fn send_notices(&mut self) {
        for (at, office) in self.offices.iter().enumerate() {
            let is_late = |slate: &Slate| {
                slate.turn() == Turn::Party(office.id) && slate.due().is_some_and(|due| due <= self.now)
            };
            let late: Vec<String> = self.standing_at(is_late).into_iter().take(5).collect();
            let Some(first) = late.first() else { continue };
            let due = Millis(self.now + 10 * DAY).to_rfc3339();
            let body = json!({"title": "限期整改", "body": PRIVATE, "due_at": due, "cases": late});
            let post = |who, path: String, body| Call { who, method: "POST", path, body: Body::Json(body) };
            let draft = self.expect(post(DISPATCHER, "/api/v1/notices".into(), body), 201).await.json();
            let id = draft["notice"]["id"].as_str().unwrap();
            let moves = format!("/api/v1/notices/{id}/moves");
            let issued = self.expect(post(SUPERVISOR, moves, json!({"move": "issue"})), 200).await.json();
            self.tally.notices += 1;
            if self.is_off(at) || !self.chance(office.manner.accepts, &format!("notice {at}")) {
                continue;
            }
            let address = format!("/api/v1/notices/{}", issued["notice"]["number"].as_str().unwrap());
            let confirm = post(Who::Office(at), format!("{address}/moves"), json!({"move": "confirm"}));
            self.expect(confirm, 200).await;
            let said = json!({"case": first, "text": PRIVATE});
            self.expect(post(Who::Office(at), format!("{address}/feedback"), said), 200).await;
        }
    }

    /// 回头看: grid workers visit what was closed a while ago. What came back is a case again.
    pub async fn look_back(&mut self) {
        let mut path = "/api/v1/tasks?kind=look_back&state=open&limit=1000".to_owned();
        let now = Millis(self.now).to_rfc3339();
        loop {
            let page = self.get(DISPATCHER, &path).await.json();
            for task in page["tasks"].as_array().unwrap() {
                if task["from"].as_str().unwrap() <= now.as_str() {
                    self.visit(task).await;
                }
            }
            match page["next"].as_str() {
                Some(next) => {
                    path = format!("/api/v1/tasks?kind=look_back&state=open&limit=1000&cursor={next}");
                }
                None => return,
            }
        }
    }

    async fn visit(&mut self, task: &Value) {
        let grid = Who::Staff(Role::GridWorker);
        let (id, case, cover) =
            (&task["id"], task["case"].as_str().unwrap(), task["cover"].as_str().unwrap());
        if self.chance(20, &format!("{case} visit")) {
            return;
        }
        let recurred = self.chance(10, &format!("{case} recurred"));
        let found = if recurred { "recurred" } else { "holds" };
        let mut body =
            json!({"kind": "task", "done_at": self.now, "task": id, "cover": cover, "found": found});
        if recurred {
            body["photos"] = json!([{"id": self.send_photo(Role::GridWorker).await, "role": "before"}]);
        }
        let path = "/api/v1/crew/actions".to_owned();
        let call = Call { who: grid, method: "POST", path, body: Body::Json(body) };
        let said = self.expect(call, 201).await.json();
        self.tally.looked_back += 1;
        if recurred {
            self.tally.recurred += 1;
            let (cover, hazard) = (self.by_id[cover], self.cases[case].hazard);
            let joined = self.standing.contains_key(&(cover, hazard));
            self.filed(said["case"].as_str().unwrap(), Some(cover), hazard, joined);
        }
    }
}
