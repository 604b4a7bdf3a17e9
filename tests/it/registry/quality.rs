//! 档案质量: what is counted, pairs that are known to be two, and covers without an owner.

use std::sync::atomic::Ordering;

use lidmark::domain::claim::{ClaimAnswer, ClaimState, ClaimStep};
use lidmark::domain::cover::{Candidate, CoverClass, CoverFile, Party};
use lidmark::domain::edit::CoverEdit;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::{CoverId, IdempotencyKey, Millis, PartyId};
use lidmark::domain::quality::{Attached, FileField, Rules};
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{
    ClaimFilter, ClaimLine, ClaimNotice, ClaimNoticeSet, ClaimOrder, NewClaimNotice, Outcome, RegistryError,
    Settled,
};

use super::editing::{done, order, set};
use super::ground::{MONDAY, Town, candidate, photo};
use crate::both_engines;

const DAY: i64 = 24 * 3_600_000;

/// Rows of which nobody knows the owner.
pub fn ownerless(range: std::ops::Range<u64>) -> Vec<Candidate> {
    let row = |at| {
        let mut row = candidate(at, CoverClass::Storm);
        row.survey.owner = None;
        row
    };
    range.map(row).collect()
}

pub async fn import_ownerless(town: &Town, range: std::ops::Range<u64>) -> Vec<CoverId> {
    let outcomes = town.import(ownerless(range)).await;
    let created = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Created(cover) => cover,
        other => panic!("{other:?}"),
    });
    created.collect()
}

async fn file(town: &Town, cover: CoverId) -> CoverFile {
    town.registry.find_cover(cover).await.unwrap().unwrap()
}

async fn second_party(town: &Town) -> PartyId {
    let roads = PartyId::fresh();
    town.registry.put_party(Party { id: roads, name: "市政养护".into(), hotline: None }).await.unwrap();
    roads
}

async fn notice(town: &Town, set: ClaimNoticeSet, actor: &Actor) -> Result<ClaimNotice, RegistryError> {
    let new = NewClaimNotice {
        key: IdempotencyKey::fresh(),
        set,
        reason: "2026 年普查未查明权属".into(),
        due_at: Millis(MONDAY + DAY),
        actor: actor.clone(),
    };
    town.registry.open_claim_notice(new).await
}

async fn line(town: &Town, notice: &ClaimNotice, cover: CoverId) -> ClaimLine {
    let filter = ClaimFilter { limit: 500, ..ClaimFilter::default() };
    let lines = town.registry.list_claims(&notice.number, filter).await.unwrap();
    lines.into_iter().find(|line| line.file.cover == cover).unwrap()
}

async fn step(
    town: &Town,
    notice: &ClaimNotice,
    cover: CoverId,
    (step, reason): (ClaimStep, &str),
    actor: &Actor,
) -> Result<ClaimLine, RegistryError> {
    let order = ClaimOrder {
        notice: notice.number.clone(),
        cover,
        expected_version: line(town, notice, cover).await.version,
        step,
        reason: reason.into(),
        actor: actor.clone(),
    };
    town.registry.step_claim(order).await
}

fn code<T: std::fmt::Debug>(outcome: Result<T, RegistryError>) -> String {
    match outcome.unwrap_err() {
        RegistryError::Refused(refusal)
        | RegistryError::Conflict(refusal)
        | RegistryError::NotFound(refusal) => refusal.code.to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn sound(town: &Town) {
    let report = town.registry.check_tables().await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

both_engines! {
    async fn what_is_counted_is_what_the_files_say(ground: Ground) {
        let town = Town::found(&ground).await;
        town.plated(2).await;
        let mut rows = ownerless(10..12);
        rows[0].survey.extra.insert("安装日期".into(), "2009-05-01".into());
        rows[0].survey.address = Some("12 号".into());
        town.import(rows).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let first = town.cover("3705020102000001").await;
        town.registry.add_cover_photos(&first.code.digits, vec![photo(7)], &engineer).await.unwrap();
        let rules = Rules::built_in();
        let page = town.registry.list_points(None, 3).await.unwrap();
        assert_eq!(page.len(), 3);
        let rest = town.registry.list_points(Some(page[2].cover), 3).await.unwrap();
        let rows: Vec<_> = page.into_iter().chain(rest).collect();
        assert_eq!(rows.len(), 4);
        for row in &rows {
            let file = file(&town, row.cover).await;
            let mut sketch = row.sketch;
            sketch.installed = rules.installed_in(&row.extra);
            assert_eq!(rules.facts_of(&sketch), rules.facts(&file, row.sketch.attached));
            assert_eq!((row.manhole, row.district.as_str()), (file.manhole, "370502"));
        }
        let of = |cover| rows.iter().find(|row| row.cover == cover).unwrap();
        assert_eq!(of(first.cover).sketch.attached, Attached { plate: true, photo: true });
        let years: Vec<_> = rows.iter().filter_map(|row| rules.installed_in(&row.extra)).collect();
        assert_eq!(years, [2009]);
        let poor = rows.iter().find(|row| !row.sketch.owner && row.extra.len() == 1).unwrap();
        let missing = rules.missing(rules.facts_of(&poor.sketch).there);
        assert!(missing.contains(&FileField::Owner) && !missing.contains(&FileField::Class), "{missing:?}");
        let ids: Vec<CoverId> = rows.iter().map(|row| row.cover).collect();
        let mut again = town.registry.list_points_by_id(&ids).await.unwrap();
        again.sort_by_key(|row| row.cover);
        assert_eq!(again, rows);
    }

    async fn two_covers_that_are_two_are_remembered_until_somebody_takes_it_back(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let covers = import_ownerless(&town, 0..2).await;
        let pair = (covers[1], covers[0]);
        assert_eq!(code(town.registry.tell_apart(pair, "", &engineer).await), "form.missing");
        assert_eq!(code(town.registry.tell_apart((covers[0], covers[0]), "x", &engineer).await), "apart.same");
        assert_eq!(code(town.registry.take_back_apart(pair, "x", &engineer).await), "apart.not_said");
        let before = town.registry.last_change().await.unwrap();
        town.registry.tell_apart(pair, "两口相邻的井", &engineer).await.unwrap();
        town.registry.tell_apart(pair, "两口相邻的井", &engineer).await.unwrap();
        assert_eq!(town.registry.list_told_apart().await.unwrap(), [(covers[0], covers[1])]);
        assert_eq!(town.registry.last_change().await.unwrap(), before + 2, "said twice, told once");
        for cover in &covers {
            assert_eq!(town.kinds(&file(&town, *cover).await).await, [HistoryKind::Created, HistoryKind::ToldApart]);
        }
        let said = town.registry.list_latest_told_apart(10).await.unwrap();
        assert_eq!((said.len(), said[0].reason.as_str(), said[0].actor.as_str()), (1, "两口相邻的井", engineer.word().as_str()));
        town.registry.take_back_apart(pair, "看错了", &engineer).await.unwrap();
        assert_eq!(town.registry.list_told_apart().await.unwrap(), []);
        sound(&town).await;
    }

    async fn a_party_claims_a_cover_the_desk_confirms_and_a_wrong_award_is_undone(ground: Ground) {
        let town = Town::found(&ground).await;
        let (desk, handler) = (town.staff("pai", Role::Dispatcher).await, town.staff("xiu", Role::Handler).await);
        let roads = second_party(&town).await;
        let covers = import_ownerless(&town, 0..2).await;
        let notice = notice(&town, ClaimNoticeSet::Covers(covers.clone()), &desk).await.unwrap();
        assert_eq!((notice.number.as_str(), notice.cursor), ("2026-00001", None));
        assert_eq!(town.registry.find_pending_claim_notice(covers[0]).await.unwrap().as_ref(), Some(&notice));
        let claimed = step(&town, &notice, covers[0], (ClaimStep::Claim(town.water), "我司图纸有此井"), &handler).await.unwrap();
        assert_eq!(claimed.claim.answers.get(&town.water), Some(&ClaimAnswer::Claimed));
        assert_eq!(code(step(&town, &notice, covers[0], (ClaimStep::Claim(town.water), "又一次"), &handler).await), "claim.answered");
        assert_eq!(code(step(&town, &notice, covers[1], (ClaimStep::Decline(town.water), ""), &handler).await), "form.missing");
        step(&town, &notice, covers[1], (ClaimStep::Decline(town.water), "不在我司图纸上"), &handler).await.unwrap();
        // The only claim is confirmed without another word.
        let awarded = step(&town, &notice, covers[0], (ClaimStep::Award(town.water), ""), &desk).await.unwrap();
        assert_eq!((awarded.claim.state, awarded.claim.outcome), (ClaimState::Awarded, Some(town.water)));
        assert_eq!(awarded.file.owner.as_ref().unwrap().id, town.water);
        assert_eq!(
            town.kinds(&awarded.file).await,
            [HistoryKind::Created, HistoryKind::ClaimOpened, HistoryKind::ClaimAnswered, HistoryKind::ClaimSettled]
        );
        sound(&town).await;
        assert_eq!(code(step(&town, &notice, covers[0], (ClaimStep::Undo, ""), &desk).await), "form.missing");
        let undone = step(&town, &notice, covers[0], (ClaimStep::Undo, "弄错了"), &desk).await.unwrap();
        assert_eq!((undone.claim.state, undone.file.owner.clone()), (ClaimState::Open, None));
        assert_eq!(undone.claim.claimants().collect::<Vec<_>>(), [town.water], "what was said stays");
        // Now two claim it, and the desk must say why it believes one of them.
        let two = step(&town, &notice, covers[0], (ClaimStep::Claim(roads), "在我方养护范围"), &desk).await.unwrap();
        assert!(two.claim.is_contested());
        assert_eq!(town.registry.find_claim_notice(&notice.number).await.unwrap().unwrap().contested, 1);
        let contested = ClaimFilter { contested: true, limit: 10, ..ClaimFilter::default() };
        assert_eq!(town.registry.list_claims(&notice.number, contested).await.unwrap().len(), 1);
        assert_eq!(code(step(&town, &notice, covers[0], (ClaimStep::Award(roads), ""), &desk).await), "form.missing");
        step(&town, &notice, covers[0], (ClaimStep::SetAside(town.water), "图纸有误"), &desk).await.unwrap();
        assert_eq!(code(step(&town, &notice, covers[0], (ClaimStep::Award(town.water), "x"), &desk).await), "claim.set_aside");
        let stale = ClaimOrder {
            notice: notice.number.clone(),
            cover: covers[0],
            expected_version: 1,
            step: ClaimStep::Award(roads),
            reason: String::new(),
            actor: desk.clone(),
        };
        assert_eq!(code(town.registry.step_claim(stale).await), "claim.moved_meanwhile");
        let awarded = step(&town, &notice, covers[0], (ClaimStep::Award(roads), ""), &desk).await.unwrap();
        // Somebody else corrects the owner by hand: the award can no longer be undone.
        let edit = CoverEdit { owner: Some(Some(town.water)), ..CoverEdit::default() };
        let engineer = town.staff("ying", Role::Engineer).await;
        done(town.registry.edit_cover(order(&awarded.file, &engineer, set(edit))).await);
        assert_eq!(code(step(&town, &notice, covers[0], (ClaimStep::Undo, "x"), &desk).await), "claim.changed_since");
        assert_eq!(file(&town, covers[0]).await.owner.unwrap().id, town.water);
        sound(&town).await;
    }

    async fn what_nobody_claims_falls_back_when_the_notice_is_over(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = town.staff("pai", Role::Dispatcher).await;
        let handler = town.staff("xiu", Role::Handler).await;
        let roads = second_party(&town).await;
        let covers = import_ownerless(&town, 0..5).await;
        let found = ClaimNoticeSet::Found { district: Some("370502".into()), class: Some(CoverClass::Storm) };
        let opened = notice(&town, found.clone(), &desk).await.unwrap();
        assert!(opened.cursor.is_some());
        assert_eq!(town.registry.list_filling_claim_notices().await.unwrap(), [opened.number.as_str()]);
        town.registry.fill_claim_notice(&opened.number).await.unwrap();
        assert_eq!(town.registry.list_filling_claim_notices().await.unwrap(), [""; 0]);
        assert_eq!(town.registry.count_pending_claims().await.unwrap(), 5);
        assert_eq!(code(notice(&town, found, &desk).await), "claim.nothing");
        assert_eq!(code(notice(&town, ClaimNoticeSet::Covers(vec![covers[0]]), &desk).await), "claim.pending");
        // One is claimed, one gets an owner by hand, one a maintainer, one is left to the clock.
        step(&town, &opened, covers[0], (ClaimStep::Claim(town.water), "我司"), &handler).await.unwrap();
        let engineer = town.staff("ying", Role::Engineer).await;
        let owned = CoverEdit { owner: Some(Some(roads)), ..CoverEdit::default() };
        done(town.registry.edit_cover(order(&file(&town, covers[1]).await, &engineer, set(owned))).await);
        let kept = CoverEdit { maintainer: Some(Some(town.water)), ..CoverEdit::default() };
        done(town.registry.edit_cover(order(&file(&town, covers[2]).await, &engineer, set(kept))).await);
        let mut rules = Rules::built_in().claims.clone();
        rules.fallback = "市政养护".into();
        assert_eq!(town.registry.settle_due_claims(&rules).await.unwrap(), Settled::default(), "it is not over");
        town.clock.store(MONDAY + DAY, Ordering::SeqCst);
        let settled = town.registry.settle_due_claims(&rules).await.unwrap();
        assert_eq!(settled, Settled { fell_back: 3, unclaimed: 0, withdrawn: 1 });
        assert_eq!(town.registry.settle_due_claims(&rules).await.unwrap(), Settled::default());
        let states: Vec<_> = {
            let mut states = Vec::new();
            for cover in &covers {
                states.push(line(&town, &opened, *cover).await.claim.state);
            }
            states
        };
        use ClaimState::*;
        assert_eq!(states, [Open, Withdrawn, FellBack, FellBack, FellBack]);
        let fallen = file(&town, covers[3]).await;
        assert_eq!((fallen.owner.clone(), fallen.maintainer.as_ref().unwrap().id), (None, roads));
        assert_eq!(line(&town, &opened, covers[2]).await.claim.outcome, Some(town.water), "who looks after it goes on");
        sound(&town).await;
        // The owner comes late all the same; whoever stood in no longer does, and an undo brings it back.
        step(&town, &opened, covers[3], (ClaimStep::Claim(town.water), "找到图纸"), &handler).await.unwrap();
        let late = step(&town, &opened, covers[3], (ClaimStep::Award(town.water), ""), &desk).await.unwrap();
        assert_eq!((late.file.owner.as_ref().unwrap().id, late.file.maintainer), (town.water, None));
        let back = step(&town, &opened, covers[3], (ClaimStep::Undo, "弄错了"), &desk).await.unwrap();
        assert_eq!((back.file.owner, back.file.maintainer.unwrap().id), (None, roads));
        // Without a fallback it waits for a person, who names somebody with a reason.
        let undone = step(&town, &opened, covers[4], (ClaimStep::Undo, "另定"), &desk).await.unwrap();
        assert_eq!((undone.claim.state, undone.file.maintainer), (Unclaimed, None));
        assert_eq!(town.registry.settle_due_claims(&rules).await.unwrap(), Settled::default());
        assert_eq!(code(step(&town, &opened, covers[4], (ClaimStep::Award(roads), ""), &desk).await), "form.missing");
        step(&town, &opened, covers[4], (ClaimStep::Award(roads), "按井的用途指定"), &desk).await.unwrap();
        step(&town, &opened, covers[0], (ClaimStep::Withdraw, "另案处理"), &desk).await.unwrap();
        // A notice may be opened again about what was withdrawn.
        let again = notice(&town, ClaimNoticeSet::Covers(vec![covers[0]]), &desk).await.unwrap();
        assert_eq!(again.number, "2026-00002");
        let listed = town.registry.list_claim_notices(None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|file| file.notice.number.as_str()).collect::<Vec<_>>(), ["2026-00002", "2026-00001"]);
        assert_eq!(town.registry.list_claim_notices(Some("2026-00002"), 10).await.unwrap().len(), 1);
        sound(&town).await;
    }

    async fn many_covers_come_into_a_notice_by_turns_and_once(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = town.staff("pai", Role::Dispatcher).await;
        let covers = import_ownerless(&town, 0..450).await;
        let new = NewClaimNotice {
            key: IdempotencyKey::fresh(),
            set: ClaimNoticeSet::Found { district: None, class: None },
            reason: "普查".into(),
            due_at: Millis(MONDAY + DAY),
            actor: desk.clone(),
        };
        let opened = town.registry.open_claim_notice(new.clone()).await.unwrap();
        assert_eq!(town.registry.open_claim_notice(new).await.unwrap().number, opened.number, "the first answer again");
        let two = (town.registry.fill_claim_notice(&opened.number), town.registry.fill_claim_notice(&opened.number));
        let (one, other) = futures_util::future::join(two.0, two.1).await;
        one.unwrap();
        other.unwrap();
        let known = town.registry.find_claim_notice(&opened.number).await.unwrap().unwrap();
        assert_eq!(known.counts.get(&ClaimState::Open), Some(&(covers.len() as i64)));
        sound(&town).await;
        // The check sees a hand at the tables.
        ground.sql("UPDATE claims SET state = 'withdrawn' WHERE cover_id = (SELECT id FROM covers ORDER BY id LIMIT 1)");
        let report = town.registry.check_tables().await.unwrap();
        assert_eq!(report.findings.iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>(), ["claim.differs"]);
    }
}
