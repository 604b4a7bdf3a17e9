//! The screenshots of the README, from the real program. `make tour` sets `LIDMARK_TOUR` to the folder
//! they go to; without it they are taken all the same and thrown away, so that the tour cannot rot.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser::{Street, choose_hazard, log_in, make_move};
use crate::support::browser::{Browser, Visitor};
use crate::support::have;
use crate::support::server::run_command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_of_the_readme_can_be_taken() {
    let folder = tempfile::tempdir().unwrap();
    let album = match std::env::var_os("LIDMARK_TOUR") {
        Some(place) => crate::support::checkout().join(PathBuf::from(place)),
        None => folder.path().to_owned(),
    };
    for (language, visitor) in [("en", Visitor::default().english()), ("zh", Visitor::default())] {
        let into = if language == "zh" { album.join("zh") } else { album.clone() };
        std::fs::create_dir_all(&into).unwrap();
        take(&into, visitor).await;
    }
    take_plates(&album, folder.path());
}

async fn take(album: &Path, visitor: Visitor) {
    let street = Street::serve().await;
    let Some(phone) = Browser::open(visitor.clone()).await else { return };
    phone.goto(&street.scan_url(0)).await;
    phone.screenshot(&album.join("scan.png")).await;
    phone.click("a[href$='/report']").await;
    choose_hazard(&phone, "missing").await;
    phone.screenshot(&album.join("report.png")).await;
    choose_hazard(&phone, "rocking").await;
    phone.type_into("[name=description]", "公交车经过时响 / rattles when a bus passes").await;
    phone.choose_file("[name=photos]", &street.photo).await;
    phone.click("form:has([name=hazard]) button:not([type])").await;
    phone.wait_until_at("/r/R").await;
    let tracking = phone.url().await;
    let year = tracking.split_once("/r/R").map(|(_, number)| number[..4].to_owned()).unwrap();
    for (plate, hazard) in [(1, "missing"), (2, "level"), (1, "odour")] {
        phone.goto(&format!("{}/report", street.scan_url(plate))).await;
        choose_hazard(&phone, hazard).await;
        phone.click("form:has([name=hazard]) button:not([type])").await;
        phone.wait_until_at("/r/R").await;
    }
    let Some(desk) = Browser::open(visitor.at_a_desk()).await else { return };
    log_in(&desk, &street, "pai", "/desk").await;
    desk.wait_for("a[href*='/desk/cases/']").await;
    desk.screenshot(&album.join("desk.png")).await;
    desk.goto(&street.server.url(&format!("/desk/cases/{year}-000001"))).await;
    make_move(&desk, "file", &[]).await;
    make_move(&desk, "dispatch", &[("party", "东营水务")]).await;
    desk.wait_for("h1").await;
    desk.goto(&street.server.url(&format!("/desk/cases/{year}-000002"))).await;
    desk.wait_for("details").await;
    desk.screenshot(&album.join("case.png")).await;
    desk.goto(&street.server.url(&format!("/covers/{}", street.codes[0]))).await;
    desk.wait_for("h1").await;
    desk.screenshot(&album.join("file.png")).await;
    phone.goto(&tracking).await;
    phone.wait_for("h1").await;
    phone.screenshot(&album.join("tracking.png")).await;
}

/// The first sheet of a batch, as it comes out of the printer.
fn take_plates(album: &Path, folder: &Path) {
    if !have("pdftoppm") {
        return;
    }
    let home = crate::support::server::Home::Folder(folder.join("data"));
    let migrated = run_command(&home, &["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    std::fs::write(home.folder().join("lidmark.toml"), "plate_host = \"lid.example.cn\"").unwrap();
    let pdf = folder.join("plates.pdf");
    let said = run_command(&home, &["plates", "make", "--count", "8", "-o", &pdf.display().to_string()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let drawn = Command::new("pdftoppm")
        .args(["-png", "-r", "60", "-f", "1", "-l", "1", "-singlefile"])
        .arg(&pdf)
        .arg(album.join("plates"))
        .status()
        .unwrap();
    assert!(drawn.success());
}
