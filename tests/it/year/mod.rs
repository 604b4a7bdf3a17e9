//! A year of a city, over HTTP: people scan and report, the desk files and sends on, parties handle, each in their
//! manner, somebody else checks and looks again; storms come, holidays pass, people are away. What must hold is asked
//! every evening of slates that the year keeps of each case by itself.
//!
//! `make test` lives a small year and `make year` (`benches/year.rs`) one of full size. Alike seeds make alike years,
//! but for the look-backs, which hang on the ids of cases.

use std::time::Instant;

use lidmark::config::Mail;
use lidmark::domain::ids::Millis;
use lidmark::domain::role::Role;
use serde_json::json;

use self::city::{Body, Call, City, PRIVATE, Who};
use self::slate::DAY;
use crate::contract::house::House;
use crate::registry::ground::MONDAY;
use crate::support::engines::Ground;
use crate::support::say;
use crate::support::smtp::Sink;

pub use self::city::Size;

mod citizens;
mod city;
mod evening;
mod outside;
mod slate;
mod staff;

/// Says where the year failed.
struct Diary {
    size: Size,
    seed: u64,
    day: i64,
}

impl Drop for Diary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let date = Millis(MONDAY + self.day * DAY).to_rfc3339();
            let (size, seed, day) = (self.size.name, self.seed, self.day);
            say(&format!("the {size} year of seed {seed} fails on day {day}, {}", &date[..10]));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_a_city_leaves_no_case_without_somebody_and_no_clock_wrong() {
    live(Ground::sqlite().unwrap(), Size::SMALL, 2026).await;
}

/// Lives a whole year; panics on the first evening on which something does not hold.
pub async fn live(ground: Ground, size: Size, seed: u64) {
    let mut diary = Diary { size, seed, day: 0 };
    let mailbox = Sink::open();
    let mail = Mail { by_gateway: true, ..mailbox.settings() };
    let house = House::open_with(ground, |config| config.mail = mail).await;
    let mut city = City::found(&house, mailbox, size, seed).await;
    let began = Instant::now();
    for day in 0..size.days {
        diary.day = day;
        city.day = day;
        city.live_a_day().await;
        if day % 30 == 29 && size.is_told {
            say(&format!("day {day}, {:.0} s: {}", began.elapsed().as_secs_f64(), city.story()));
        }
    }
    city.open_links(city.links.len()).await;
    city.strikes_are_numbered_once().await;
    city.outside_is_right().await;
    city.everybody_is_answered();
    say(&format!(
        "{} year, seed {seed}, {:.0} s: {}",
        size.name,
        began.elapsed().as_secs_f64(),
        city.story()
    ));
    let tally = &city.tally;
    let many = size.reports * size.days as usize;
    assert!(tally.reports > many && tally.closed > many / 2, "{}", city.story());
    for (what, count) in [
        ("late", tally.late.len()),
        ("joined", tally.joined),
        ("asked", tally.asked),
        ("unclaimed", tally.unclaimed),
        ("refused", tally.refused),
        ("notices", tally.notices),
        ("reopened", tally.reopened),
        ("recurred", tally.recurred),
        ("paid", city.outside.paid),
        ("beyond a limit", city.outside.refused),
        ("told by mail", city.outside.readers().0),
        ("tired of mail", city.outside.readers().1),
    ] {
        assert!(count > 0, "a year in which nothing was {what}");
    }
}

impl City<'_> {
    async fn live_a_day(&mut self) {
        let reports = if self.is_storm() { 5 * self.size.reports } else { self.size.reports };
        let by_night = reports.div_ceil(4);
        self.set_clock(3, 0);
        self.sweep().await;
        self.house.town.registry.sweep_tasks().await.unwrap();
        self.house.town.registry.sweep_holds().await.unwrap();
        self.report(0..by_night).await;
        self.set_clock(9, 0);
        self.sweep().await;
        if self.is_storm() && self.day % 60 == 57 {
            self.warn_of_weather().await;
        }
        if self.day % self.size.lists == 0 {
            self.read_desk_lists().await;
        }
        self.desk(0).await;
        self.desk(1).await;
        if self.day % self.size.notices == 0 {
            self.send_notices().await;
        }
        self.set_clock(12, 0);
        self.report(by_night..reports).await;
        self.scan().await;
        self.set_clock(12, 50);
        self.offices(0, true).await;
        self.set_clock(13, 30);
        self.sweep().await;
        self.offices(1, true).await;
        self.set_clock(15, 0);
        self.sweep().await;
        if self.day % self.size.lists == 0 {
            self.read_party_lists().await;
        }
        self.offices(2, false).await;
        self.set_clock(16, 30);
        self.sweep().await;
        self.offices(3, false).await;
        if self.is_workday() && matches!(self.day % 7, 1 | 4) {
            self.look_back().await;
        }
        self.set_clock(17, 0);
        self.desk(2).await;
        self.desk(3).await;
        if self.is_workday() {
            self.answer().await;
            self.reopen().await;
        }
        self.house.town.registry.sweep_rewards().await.unwrap();
        if self.day % 7 == 2 {
            self.review_rewards().await;
        }
        if self.day % 30 == 15 {
            self.pay_rewards().await;
        }
        self.set_clock(21, 0);
        self.sweep().await;
        self.evening().await;
    }

    async fn warn_of_weather(&self) {
        let until = Millis(self.now + 3 * DAY).to_rfc3339();
        let body = Body::Json(json!({"words": PRIVATE, "until": until}));
        let who = Who::Staff(Role::Supervisor);
        self.expect(Call { who, method: "PUT", path: "/api/v1/weather".into(), body }, 200).await;
    }

    fn story(&self) -> String {
        let tally = &self.tally;
        let (readers, left) = self.outside.readers();
        let filed = self.cases.values().filter(|slate| slate.is_filed()).count();
        format!(
            "{} days checked, {} scans, {} reports ({} joined open cases), {} cases, {filed} filed, {} closed, {} late, \
             {} open, {} asked of the desk, {} unclaimed in time, {} refused moves, {} notices, {} reopened, \
             {} looked at again, {} found again, {readers} read mail, {left} of them left",
            tally.days,
            tally.scans,
            tally.reports,
            tally.joined,
            self.cases.len(),
            tally.closed,
            tally.late.len(),
            self.open.len(),
            tally.asked,
            tally.unclaimed,
            tally.refused,
            tally.notices,
            tally.reopened,
            tally.looked_back,
            tally.recurred,
        )
    }
}
