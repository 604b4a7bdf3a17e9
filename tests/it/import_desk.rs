//! The import desk in a real Chromium: a census is handed in, looked at and written, at a desk with scripts
//! and on a phone without them.

use std::path::{Path, PathBuf};

use crate::browser::{Street, assert_sound, log_in};
use crate::support::browser::{Browser, Visitor};
use crate::support::server::run_command;

/// An ugly table over two districts: a title above the header, GBK, every ninth row twice, some without
/// a class that anybody knows.
fn census(folder: &Path) -> PathBuf {
    let mut text =
        "东营区井盖普查表,,,,,,,\n普查编号,区划代码,井盖类别,经度,纬度,道路,权属单位,备注\n".to_owned();
    for at in 0..180 {
        let class =
            if at % 31 == 7 { "沼泽" } else { ["污水井盖", "雨水箅子", "电力井盖"][at % 3] };
        let (lon, lat) = (118.52 + (at % 20) as f64 * 0.008, 37.41 + (at / 20) as f64 * 0.011);
        let row = format!("P{at:04},370502,{class},{lon:.6},{lat:.6},济南路,东营水务,井盖第{at}号\n");
        text.push_str(&row);
        if at % 9 == 0 {
            text.push_str(&row);
        }
    }
    let file = folder.join("东营区井盖普查.csv");
    std::fs::write(&file, encoding_rs::GB18030.encode(&text).0).unwrap();
    file
}

/// Outlines of two districts side by side.
fn outlines(folder: &Path) -> PathBuf {
    let ring = |west: f64, east: f64| {
        format!("[[[{west},37.38],[{east},37.39],[{east},37.53],[{west},37.52],[{west},37.38]]]")
    };
    let feature = |code: &str, name: &str, ring: String| {
        format!(
            r#"{{"type":"Feature","properties":{{"code":"{code}","name":"{name}"}},"geometry":{{"type":"Polygon","coordinates":{ring}}}}}"#
        )
    };
    let both = [
        feature("370502", "东营区", ring(118.48, 118.70)),
        feature("370503", "河口区", ring(118.70, 118.80)),
    ];
    let file = folder.join("districts.geojson");
    let text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, both.join(","));
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_census_is_handed_in_looked_at_and_written() {
    let street = Street::serve().await;
    let folder = tempfile::tempdir().unwrap();
    let album = match std::env::var_os("LIDMARK_TOUR") {
        Some(place) => crate::support::checkout().join(PathBuf::from(place)),
        None => folder.path().to_owned(),
    };
    std::fs::create_dir_all(&album).unwrap();
    let drawn = outlines(folder.path());
    let drawn = drawn.display().to_string();
    let named = ["areas", "import", &drawn, "--kind", "district", "--code", "code", "--name", "name"];
    let said = run_command(street.server.home(), &named);
    assert_eq!(said.code, Some(0), "{said:?}");
    let file = census(folder.path());

    let Some(desk) = Browser::open(Visitor { screen: (1280, 900), ..Visitor::default() }).await else {
        return;
    };
    log_in(&desk, &street, "ying", "/admin/imports").await;
    desk.wait_for("#upload").await;
    assert_sound(&desk, "the import desk").await;
    desk.screenshot_whole(&album.join("imports.png")).await;
    desk.choose_file("[name=file]", &file).await;
    desk.click("#upload button.main").await;
    desk.wait_until_at("/admin/imports/files/").await;
    desk.wait_for("form[action$='/write']").await;
    let page = desk.url().await;
    let text = desk.page_text().await;
    for told in ["200", "GB18030", "表头在第 2 行", "重复"] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    assert_eq!(desk.count("svg.census .dots").await, 1);
    assert_sound(&desk, "the preview").await;
    desk.screenshot_whole(&album.join("import-preview.png")).await;

    let Some(phone) = Browser::open(Visitor::default().without_scripts()).await else { return };
    log_in(&phone, &street, "ying", "/admin/imports").await;
    phone.wait_for("#upload").await;
    phone.screenshot_whole(&album.join("imports-phone.png")).await;
    phone.choose_file("[name=file]", &file).await;
    phone.click("#upload button.main").await;
    phone.wait_until_at("/admin/imports/files/").await;
    phone.wait_for("form[action$='/write']").await;
    phone.screenshot_whole(&album.join("import-preview-phone.png")).await;

    desk.goto(&page).await;
    desk.click("form[action$='/write'] button").await;
    desk.wait_for("p.notice a[href^='/admin/imports/']:not([href*=files])").await;
    desk.click("p.notice a[href^='/admin/imports/']:not([href*=files])").await;
    desk.wait_for("form[action$='/roll-back']").await;
    assert_sound(&desk, "the page of a run").await;
    desk.screenshot_whole(&album.join("import-run.png")).await;
    let areas = format!("{}/admin/areas", page.split("/admin/").next().unwrap());
    desk.goto(&areas).await;
    desk.wait_for("svg.census .area").await;
    assert_sound(&desk, "the outlines").await;
    desk.screenshot_whole(&album.join("areas.png")).await;
    phone.goto(&areas).await;
    phone.wait_for("svg.census .area").await;
    phone.screenshot_whole(&album.join("areas-phone.png")).await;
}

/// Two tables of one source, with a column whose name nobody could guess.
fn pair(folder: &Path) -> [PathBuf; 2] {
    [("东城水司.csv", "S", 0.0), ("西城水司.csv", "T", 0.02)].map(|(name, key, east)| {
        let mut text = "普查编号,区划代码,井盖类别,经度,纬度,道路,水司分区\n".to_owned();
        for at in 0..20 {
            let lon = 118.55 + east + f64::from(at) * 0.0008;
            text.push_str(&format!("{key}{at:03},370502,污水井盖,{lon:.6},37.45,济南路,第{at}区\n"));
        }
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mapping_of_a_file_is_saved_and_the_next_file_is_read_by_it() {
    let street = Street::serve().await;
    let folder = tempfile::tempdir().unwrap();
    let album = match std::env::var_os("LIDMARK_TOUR") {
        Some(place) => crate::support::checkout().join(PathBuf::from(place)),
        None => folder.path().to_owned(),
    };
    std::fs::create_dir_all(&album).unwrap();
    let [first, second] = pair(folder.path());
    let phone = Visitor { screen: (360, 780), ..Visitor::default() }.without_scripts();
    let Some(phone) = Browser::open(phone).await else { return };
    log_in(&phone, &street, "ying", "/admin/imports").await;
    phone.wait_for("#upload").await;
    phone.choose_file("[name=file]", &first).await;
    phone.click("#upload button.main").await;
    phone.wait_until_at("/admin/imports/files/").await;
    phone.wait_for("#mapping summary").await;
    phone.click("#mapping summary").await;
    phone.type_into("#mapping [name=name]", "东营水司").await;
    phone.type_into("#mapping [name=why]", "水司每季度的表").await;
    phone.screenshot_whole(&album.join("profile-mapping-phone.png")).await;
    phone.click("#mapping form button").await;
    phone.wait_for("#save button.main").await;
    phone.screenshot_whole(&album.join("profile-look-phone.png")).await;
    phone.click("#save button.main").await;
    phone.wait_for("#versions").await;
    assert!(phone.text("#versions").await.contains("东营水司@1"));
    phone.screenshot_whole(&album.join("profile-phone.png")).await;

    let Some(desk) = Browser::open(Visitor { screen: (1280, 900), ..Visitor::default() }).await else {
        return;
    };
    log_in(&desk, &street, "ying", "/admin/imports").await;
    desk.wait_for("#upload [name=profile] option[value='东营水司']").await;
    desk.script("document.querySelector('#upload [name=profile]').value = '东营水司'").await;
    desk.choose_file("[name=file]", &second).await;
    desk.click("#upload button.main").await;
    desk.wait_until_at("/admin/imports/files/").await;
    desk.wait_for("#used a").await;
    assert_eq!(desk.text("#used a").await, "东营水司@1");
    desk.screenshot_whole(&album.join("profile-used.png")).await;
    desk.click("#used a").await;
    desk.wait_for("#versions").await;
    assert_sound(&desk, "the versions of a profile").await;
    desk.screenshot_whole(&album.join("profile.png")).await;
    // The text is changed by hand; what differs is shown before it is saved.
    let change = "const text = document.querySelector('[name=text]'); text.value = text.value.replace('source = \"东城水司\"', 'source = \"水司\"')";
    desk.script(change).await;
    desk.click("form[enctype] button.main").await;
    desk.wait_for("#differs .new").await;
    let differs = desk.text("#differs").await;
    assert!(differs.contains("source = \"东城水司\"") && differs.contains("source = \"水司\""), "{differs}");
    assert_sound(&desk, "what a version changes").await;
    desk.screenshot_whole(&album.join("profile-look.png")).await;
    desk.click("#save button.main").await;
    desk.wait_for("#versions tbody tr:nth-child(2)").await;
    assert!(desk.text("#versions").await.contains("东营水司@2"));
    desk.click("p.crumb a").await;
    desk.wait_for("#saved table").await;
    assert_sound(&desk, "the list of profiles").await;
    desk.screenshot_whole(&album.join("profiles.png")).await;
    let list = desk.url().await;
    phone.goto(&list).await;
    phone.wait_for("#saved table").await;
    assert_eq!(phone.overflow_px().await, 0);
    phone.screenshot_whole(&album.join("profiles-phone.png")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_and_values_are_taken_for_something_else() {
    let street = Street::serve().await;
    let folder = tempfile::tempdir().unwrap();
    let drawn = outlines(folder.path()).display().to_string();
    let named = ["areas", "import", &drawn, "--kind", "district", "--code", "code", "--name", "name"];
    assert_eq!(run_command(street.server.home(), &named).code, Some(0));
    let Some(phone) = Browser::open(Visitor::default()).await else { return };
    log_in(&phone, &street, "ying", "/admin/imports").await;
    phone.wait_for("#upload").await;
    phone.choose_file("[name=file]", &census(folder.path())).await;
    phone.click("#upload button.main").await;
    phone.wait_until_at("/admin/imports/files/").await;
    phone.wait_for("#columns button").await;
    // 沼泽 is no class that anybody knows; 道路 and 备注 are to change places.
    phone.click("[name='column.2.value.0'] option[value=sewage]").await;
    phone.click("[name='column.5.use'] option[value=as_it_is]").await;
    phone.click("[name='column.7.use'] option[value=road]").await;
    if let Some(place) = std::env::var_os("LIDMARK_ALBUM") {
        phone.screenshot_whole(&PathBuf::from(place).join("mapping-phone.png")).await;
    }
    phone.click("#columns button").await;
    phone.wait_for("option[value='@changed']").await;
    phone.wait_for("form[action$='/write']").await;
    assert_eq!(phone.count("[name='column.2.value.0']").await, 0, "the class is known now");
    assert_eq!(phone.count("[name='column.7.use'] option[value=road][selected]").await, 1);
    assert_sound(&phone, "the preview after a change").await;
    phone.click("form[action$='/write'] button").await;
    phone.wait_for("p.notice a[href^='/admin/imports/']:not([href*=files])").await;
    let out = folder.path().join("covers.csv").display().to_string();
    let said = run_command(street.server.home(), &["export", "covers", "--format", "csv", "-o", &out]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let covers = std::fs::read_to_string(&out).unwrap();
    let seventh =
        covers.lines().find(|line| line.contains("井盖第7号")).expect("the row of the 沼泽 was taken");
    assert!(seventh.contains("sewage") && seventh.contains("济南路"), "{seventh}");
}

/// Rows enough that a desk takes its time with them.
fn long_census(folder: &Path, rows: usize) -> PathBuf {
    let mut text = "普查编号,区划代码,井盖类别,经度,纬度,道路,权属单位,备注\n".to_owned();
    let remark = "井盖边框完好，周边路面无沉降，井内无积水，防坠网齐全".repeat(6);
    for at in 0..rows {
        let (lon, lat) = (118.49 + (at % 300) as f64 * 0.0005, 37.40 + (at / 300) as f64 * 0.0005);
        text.push_str(&format!("L{at:06},370502,污水井盖,{lon:.6},{lat:.6},济南路,东营水务,{remark}\n"));
    }
    let file = folder.join("全区普查.csv");
    std::fs::write(&file, text).unwrap();
    file
}

/// How a file stands at the desk, as it is kept on the disk.
fn stage_on_disk(street: &Street) -> String {
    let desk = street.server.home().folder().join("incoming/desk");
    let file = std::fs::read_dir(desk).unwrap().next().expect("a file is at the desk").unwrap();
    let about = std::fs::read(file.path().join("about.json")).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    about["stage"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_network_and_a_server_killed_three_times_lose_no_row_of_a_file() {
    const ROWS: usize = 16_000;
    let mut street = Street::serve().await;
    let folder = tempfile::tempdir().unwrap();
    let file = long_census(folder.path(), ROWS);
    assert!(std::fs::metadata(&file).unwrap().len() > 8 << 20, "three pieces are sent");
    let count = |street: &Street, table: &str| -> usize {
        street.ground.sql(&format!("SELECT count(*) FROM {table}")).parse().unwrap()
    };
    let covers = |street: &Street| count(street, "covers");
    let (before, runs_before) = (covers(&street), count(&street, "imports"));
    let Some(desk) = Browser::open(Visitor { screen: (1280, 900), ..Visitor::default() }).await else {
        return;
    };
    let network = async |offline: bool| {
        let conditions = serde_json::json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2 << 20,
        });
        desk.cdp("Network.emulateNetworkConditions", conditions).await;
    };
    log_in(&desk, &street, "ying", "/admin/imports").await;
    desk.wait_for("#upload").await;
    desk.cdp("Network.enable", serde_json::json!({})).await;
    network(false).await;
    desk.choose_file("[name=file]", &file).await;
    desk.click("#upload button.main").await;

    // Some of it has arrived; then the network goes, and while it is away the server does, too.
    let percent = async || {
        let said = desk.text("#upload-said").await;
        said.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
    };
    while percent().await < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    network(true).await;
    desk.wait_for_text("网络").await;
    assert_eq!(stage_on_disk(&street), "receiving");
    street.server.kill();
    street.server.restart().await;
    network(false).await;
    desk.wait_until_at("/admin/imports/files/").await;
    let page = desk.url().await;

    assert_eq!(stage_on_disk(&street), "received", "killed while it looks at the file");
    street.server.kill();
    street.server.restart().await;
    desk.goto(&page).await;
    desk.wait_for("form[action$='/write']").await;
    let preview = desk.page_text().await;
    assert!(preview.contains("16,000") || preview.contains("16000"), "{preview}");

    desk.click("form[action$='/write'] button").await;
    while covers(&street) == before {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    street.server.kill();
    let written = covers(&street) - before;
    assert!(written < ROWS, "killed while it writes");
    assert_eq!(stage_on_disk(&street), "writing");
    street.server.restart().await;
    desk.goto(&page).await;
    desk.wait_for("form[action$='/write']").await;
    assert_eq!(covers(&street) - before, written, "nothing is written until somebody says so");
    desk.click("form[action$='/write'] button").await;
    desk.wait_for("p.notice a[href^='/admin/imports/']:not([href*=files])").await;
    assert_eq!(covers(&street) - before, ROWS, "each row once");
    assert_eq!(count(&street, "imports") - runs_before, 1, "one run, which went on");
    let said = run_command(street.server.home(), &["check"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    crate::support::say(&format!("killed with {written} of {ROWS} rows written"));
}
