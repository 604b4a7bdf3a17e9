//! What people who meet covers do: they scan plates, and they and others say what is wrong.

use lidmark::domain::case::CaseState;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use super::city::{Body, Call, City, PRIVATE, Who};

const CITIZEN: Who = Who::Citizen;
/// What the API may say of a plate, its cover, the cover's owner and what is open.
const PUBLISHED: [(&str, &[&str]); 4] = [
    ("", &["state", "cover", "open_hazards", "successor"]),
    ("/cover", &["code", "code_grouped", "class", "district", "road", "owner"]),
    ("/cover/owner", &["name", "hotline"]),
    ("/open_hazards/0", &["hazard", "since", "state"]),
];

impl City<'_> {
    /// So many people scan a plate each; every page shows what is open and nothing that is not for the public.
    pub async fn scan(&mut self) {
        let picked: Vec<usize> =
            (0..self.size.scans).map(|at| self.some_cover(&format!("scan {at}"))).collect();
        let call = |(at, cover): (usize, &usize)| {
            let token = self.covers[*cover].token.to_string();
            let path = match at % 10 {
                9 => format!("/api/v1/plates/{token}"),
                8 => format!("/C/{token}"),
                _ => format!("/c/{token}"),
            };
            Call { who: CITIZEN, method: "GET", path, body: Body::None }
        };
        let answers = self.send_all(picked.iter().enumerate().map(call).collect()).await;
        for (at, (cover, answer)) in picked.iter().zip(answers).enumerate() {
            assert_eq!(answer.status, 200, "{}", answer.text());
            let text = answer.text();
            let open =
                Hazard::ALL.iter().filter(|hazard| self.standing.contains_key(&(*cover, **hazard))).count();
            let spot = &self.covers[*cover];
            let shown = match at % 10 {
                9 => {
                    let said = answer.json();
                    assert_published(&said);
                    assert_eq!(said["cover"]["code"], spot.code);
                    said["open_hazards"].as_array().unwrap().len()
                }
                _ => {
                    assert!(text.contains(&spot.token.grouped()), "{text}");
                    text.matches("<span class=\"badge\">").count()
                }
            };
            assert_eq!(shown, open, "the page of {} shows what is open: {text}", spot.code);
            // Neither words of people, nor where it lies, nor numbers of cases, nor who works for whom.
            for hidden in [PRIVATE, "118.5", "37.4", "13800000000", "2026-000", "2027-000", "handler"] {
                assert!(!text.contains(hidden), "{hidden}: {text}");
            }
        }
        self.tally.scans += picked.len();
    }

    /// Some covers are met more often than others.
    fn some_cover(&self, about: &str) -> usize {
        let mut dice = self.dice(about);
        let all = self.covers.len();
        if dice.random_ratio(3, 10) {
            dice.random_range(0..all.div_ceil(10))
        } else {
            dice.random_range(0..all)
        }
    }

    /// Part of the day's reports, from all sides.
    pub async fn report(&mut self, range: std::ops::Range<usize>) {
        for at in range {
            let about = format!("report {at}");
            let hazard = self.some_hazard(&about);
            let cover = self.some_cover(&about);
            let from = self.dice(&format!("{about} from")).random_range(0..100);
            match from {
                0..40 => self.by_api(cover, hazard, &about).await,
                40..55 => self.by_form(cover, hazard).await,
                55..65 => self.at_place(hazard, &about).await,
                65..70 => self.near_cover(cover, hazard).await,
                70..85 => self.by_staff(Role::Dispatcher, cover, hazard).await,
                85..95 => self.by_staff(Role::Crew, cover, hazard).await,
                _ => self.by_staff(Role::GridWorker, cover, hazard).await,
            }
        }
    }

    fn some_hazard(&self, about: &str) -> Hazard {
        let mut dice = self.dice(about);
        let drawn = *Hazard::ALL.choose(&mut dice).unwrap();
        // Open holes are rarer than rattling covers.
        if drawn.is_emergency() && dice.random_bool(0.5) { Hazard::Rocking } else { drawn }
    }

    async fn by_api(&mut self, cover: usize, hazard: Hazard, about: &str) {
        let token = self.covers[cover].token.to_string();
        let body = match self.chance(30, &format!("{about} photo")) {
            true => Body::Form(
                vec![("token", token), ("hazard", hazard.to_string()), ("description", PRIVATE.into())],
                vec!["photos"],
            ),
            false => Body::Json(
                json!({"token": token, "hazard": hazard, "description": PRIVATE, "contact": "13800000000"}),
            ),
        };
        let call = Call { who: CITIZEN, method: "POST", path: "/api/v1/reports".into(), body };
        let said = self.expect(call, 201).await.json();
        self.heard(&said, Some(cover), hazard);
        let (link, number) = self.links.last().unwrap().clone();
        self.claim(&link, &number, said["joined"] == json!(false)).await;
    }

    /// What the server answers to a program.
    fn heard(&mut self, said: &Value, cover: Option<usize>, hazard: Hazard) {
        let number = said["case_number"].as_str().unwrap();
        self.filed(number, cover, hazard, said["joined"].as_bool().unwrap());
        assert_eq!(said["emergency"].as_bool(), Some(hazard.is_emergency()));
        let link = said["link"].as_str().unwrap().trim_start_matches("/r/");
        self.links.push((link.to_owned(), number.to_owned()));
    }

    async fn by_form(&mut self, cover: usize, hazard: Hazard) {
        let fields = vec![
            ("key", IdempotencyKey::fresh().to_string()),
            ("hazard", hazard.to_string()),
            ("description", PRIVATE.to_owned()),
            ("contact", format!("139{:08}", self.tally.reports)),
            ("tell", "yes".to_owned()),
        ];
        let path = format!("/c/{}/report", self.covers[cover].token);
        self.send_form(path, fields, Some(cover), hazard).await;
        let (link, number) = self.links.last().unwrap();
        let tracking = link.rsplit_once('-').unwrap().0.to_owned();
        self.outside.followed.insert(tracking, number.clone());
    }

    /// A form leads to the page of its tracking link, which does not say the number of the case.
    async fn send_form(
        &mut self,
        path: String,
        fields: Vec<(&'static str, String)>,
        cover: Option<usize>,
        hazard: Hazard,
    ) {
        let call = Call { who: CITIZEN, method: "POST", path, body: Body::Form(fields, Vec::new()) };
        let answer = self.expect(call, 303).await;
        let link = answer.header("location").unwrap().trim_start_matches("/r/").to_owned();
        let tracked = self.house.town.registry.find_tracked(&link).await.unwrap().unwrap();
        let number = tracked.case.number;
        let joined = self.cases.contains_key(&number);
        self.filed(&number, cover, hazard, joined);
        self.links.push((link.clone(), number.clone()));
        self.claim(&link, &number, !joined).await;
    }

    async fn at_place(&mut self, hazard: Hazard, about: &str) {
        let mut dice = self.dice(&format!("{about} place"));
        let mut within = |from: f64, to: f64| format!("{:.6}", dice.random_range(from..to));
        let fields = vec![
            ("key", IdempotencyKey::fresh().to_string()),
            ("cover", "none".to_owned()),
            ("hazard", hazard.to_string()),
            ("place_lon", within(118.51, 118.69)),
            ("place_lat", within(37.41, 37.49)),
            ("place_accuracy_m", "9".to_owned()),
        ];
        self.send_form("/report/send".into(), fields, None, hazard).await;
        self.follow_by_mail().await;
    }

    async fn near_cover(&mut self, cover: usize, hazard: Hazard) {
        let fields = vec![
            ("key", IdempotencyKey::fresh().to_string()),
            ("cover", self.covers[cover].code.clone()),
            ("hazard", hazard.to_string()),
            ("description", PRIVATE.to_owned()),
        ];
        self.send_form("/report/send".into(), fields, Some(cover), hazard).await;
    }

    /// 民生热线 by the dispatcher, 巡护 by crews and grid workers.
    async fn by_staff(&mut self, role: Role, cover: usize, hazard: Hazard) {
        let mut body = json!({"cover": self.covers[cover].code, "hazard": hazard, "description": PRIVATE});
        if role == Role::Dispatcher {
            body["source"] = json!("hotline");
            body["contact"] = json!("13800000000");
            body["external_number"] = json!(format!("12345-{}", self.tally.reports));
        }
        let path = "/api/v1/cases".to_owned();
        let call = Call { who: Who::Staff(role), method: "POST", path, body: Body::Json(body) };
        let said = self.expect(call, 201).await.json();
        self.heard(&said, Some(cover), hazard);
    }

    /// Some of those who reported look what became of it: each link says where its case stands.
    pub async fn open_links(&self, count: usize) {
        let all = self.links.len();
        let from = self.day as usize * count;
        let picked: Vec<&(String, String)> =
            (0..count.min(all)).map(|at| &self.links[(from + at) % all]).collect();
        let call = |(link, _): &&(String, String)| Call {
            who: CITIZEN,
            method: "GET",
            path: format!("/api/v1/reports/{link}"),
            body: Body::None,
        };
        let answers = self.send_all(picked.iter().map(call).collect()).await;
        for ((link, number), answer) in picked.into_iter().zip(answers) {
            assert_eq!(answer.status, 200, "{link}: {}", answer.text());
            let state = answer.json()["state"].as_str().unwrap().parse::<CaseState>().unwrap();
            let root = &self.cases[self.root(number)];
            assert_eq!(state, root.state, "{link} of {number} says where its case stands");
        }
    }
}

fn assert_published(said: &Value) {
    for (at, fields) in PUBLISHED {
        let Some(found) = said.pointer(at).and_then(Value::as_object) else { continue };
        let more: Vec<&String> = found.keys().filter(|name| !fields.contains(&name.as_str())).collect();
        assert!(more.is_empty(), "{more:?} at {at:?} is not on the publish list");
    }
}
