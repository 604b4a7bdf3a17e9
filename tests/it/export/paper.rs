//! The file of a cover on paper, read by machines: its symbol, its words, its pictures.

use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::notice::NoticeMove;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::NoticeOrder;

use crate::contract::house::{As, House, jpeg};
use crate::registry::ground::MONDAY;
use crate::registry::notices::{DAY, dispatched, draft};
use crate::support::decode::{symbols_of_pdf, text_of_pdf};
use crate::support::{have, skip_or_fail};

#[tokio::test]
async fn the_file_on_paper_leads_to_itself_and_says_in_chinese_what_is_known() {
    let house = House::open().await;
    let code = house.code(0).await;
    let crew = As::Staff(Role::Crew);
    house
        .post(crew, &format!("/covers/{code}/photos"))
        .multipart(&[], &[jpeg(9), jpeg(99)])
        .expect(303)
        .await;
    let page = house.get(crew, &format!("/covers/{code}")).expect(200).await.text();
    let link = format!("href=\"/covers/{code}/file.pdf\"");
    assert!(page.contains(&link), "{page}");

    let paper = house.get(crew, &format!("/covers/{code}/file.pdf")).header("accept-language", "zh-CN");
    let paper = paper.expect(200).await;
    assert_eq!(
        paper.header("content-disposition"),
        Some(format!("inline; filename=\"file-{code}.pdf\"").as_str())
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.pdf");
    std::fs::write(&file, &paper.body).unwrap();

    if let Some(pages) = symbols_of_pdf(&file, 200) {
        assert_eq!(pages[0], [format!("https://lid.example.cn/covers/{code}/file.pdf")]);
    }
    if let Some(text) = text_of_pdf(&file) {
        for said in
            ["井档案", "370502 01 02 000001", "污水井盖", "东营区", "黄河路", "东营水务", "安装铭牌", "编号"]
        {
            assert!(text.contains(said), "{said} in {text}");
        }
        assert!(text.replace(' ', "").contains("1/2\n") && text.contains("SHA-256 "), "{text}");
    }
    if have("pdfimages") {
        let list = std::process::Command::new("pdfimages").arg("-list").arg(&file).output().unwrap();
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        assert_eq!(list.matches(" jpeg ").count(), 2, "{list}");
    } else {
        skip_or_fail("pdfimages (package poppler-utils)");
    }
    if have("qpdf") {
        let check = std::process::Command::new("qpdf").arg("--check").arg(&file).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    } else {
        skip_or_fail("qpdf (package qpdf)");
    }
    house.assert_faultless();
}

#[tokio::test]
async fn a_notice_on_paper_says_in_chinese_what_is_asked_and_ends_with_a_slip_to_sign() {
    let house = House::open().await;
    let registry = &house.town.registry;
    let hazards = [Hazard::Broken, Hazard::Level];
    let cases = dispatched(&house.town, &house.plates[..2], &hazards, &Actor::System).await;
    let drafted = registry.draft_notice(draft(&cases, MONDAY + 10 * DAY, &Actor::System)).await.unwrap();
    let order = NoticeOrder {
        key: IdempotencyKey::fresh(),
        notice: drafted.notice.id.to_string(),
        expected_version: None,
        made: NoticeMove::Issue,
        reason: String::new(),
        actor: Actor::System,
    };
    registry.move_notice(order).await.unwrap();
    let print = async |who: Role| {
        let ask = house.get(As::Staff(who), "/desk/notices/2026-1/notice.pdf");
        ask.header("accept-language", "zh-CN").expect(200).await.body
    };
    let paper = print(Role::Supervisor).await;
    assert!(paper == print(Role::Supervisor).await, "the same notice, the same bytes");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notice.pdf");
    std::fs::write(&file, &paper).unwrap();
    if let Some(kept) = std::env::var_os("LIDMARK_ALBUM") {
        std::fs::write(std::path::Path::new(&kept).join("notice.pdf"), &paper).unwrap();
    }
    if let Some(text) = text_of_pdf(&file) {
        let text = text.replace(' ', "");
        for said in [
            "督办单",
            "〔2026〕1号",
            "东营水务",
            "2026-000001",
            "3705020102000001",
            "2026-03-12",
            "签收回执",
            "1/1",
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
    }
    if have("qpdf") {
        let check = std::process::Command::new("qpdf").arg("--check").arg(&file).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    } else {
        skip_or_fail("qpdf (package qpdf)");
    }
    house.assert_faultless();
}
