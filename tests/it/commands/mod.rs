//! The command line, run as an operator runs it.

mod cambridge;
mod coordinates;
mod declared;
mod formats;
mod profiles;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::decode::{symbols_of_pdf, text_of_pdf};
use crate::support::engines::Ground;
use crate::support::server::{Home, PROGRAM, Said, run_command};

/// A folder that no command has touched yet.
struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let home = Home::Folder(path.join("data"));
        Self { _folder: folder, path, home }
    }

    /// Says where plates lead; without it none are made.
    fn lead_plates(&self) {
        std::fs::create_dir_all(self.home.folder()).unwrap();
        std::fs::write(self.home.folder().join("lidmark.toml"), "plate_host = \"lid.example.cn\"").unwrap();
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Said {
        run_command(&self.home, arguments)
    }
}

/// Says a line on standard input, as a password is given.
fn run_saying(home: &Home, arguments: &[&str], line: &str) -> Said {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .args(home.options())
        .env_remove("LIDMARK_DATABASE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or_else(|| panic!("no {name} in {summary}"))
}

fn assert_accounted_for(summary: &Value) {
    let parts = ["created", "updated", "unchanged", "duplicates", "problems"];
    assert_eq!(
        count(summary, "read"),
        parts.iter().map(|part| count(summary, part)).sum::<u64>(),
        "{summary}"
    );
}

/// Four good rows, one of them twice, a class nobody knows, swapped axes and a district nobody knows.
const UGLY: &str = "source_key,district,class,lon,lat,road
a1,370502,sewage,118.5801,37.4601,济南路
a2,370502,storm,118.5802,37.4602,济南路
a3,370502,swamp,118.5803,37.4603,济南路
a4,370502,sewage,37.4604,118.5804,济南路
a1,370502,sewage,118.5801,37.4601,济南路
a5,999999,sewage,118.5805,37.4605,济南路
a6,370503,gas,118.4901,37.8901,\"河,滨路\"
a7,370503,sewage,118.4902,37.8902,
";

const DISTRICTS: [&str; 4] = ["--district", "370502=东营区", "--district", "370503=河口区"];

fn import_ugly(place: &Place, extra: &[&str]) -> Said {
    let file = place.file("ugly.csv", UGLY);
    let mut arguments = vec!["import", &file, "--json", "--yes"];
    arguments.extend(DISTRICTS);
    arguments.extend(extra);
    place.run(&arguments)
}

#[test]
fn an_ugly_census_is_accounted_for_to_the_last_row_and_changes_nothing_the_second_time() {
    let place = Place::new();
    let (problems, duplicates) = (place.path("problems.csv"), place.path("duplicates.csv"));
    let dry = import_ugly(&place, &["--dry-run"]);
    let first = import_ugly(&place, &["--problems", &problems, "--duplicates", &duplicates]);
    assert_eq!(dry.code, Some(1), "{dry:?}");
    assert_eq!(first.code, Some(1), "{first:?}");
    let (dry, first) = (dry.json(), first.json());
    for part in ["read", "created", "updated", "unchanged", "duplicates", "problems"] {
        assert_eq!(dry[part], first[part], "{part}");
    }
    assert_accounted_for(&first);
    assert_eq!((count(&first, "read"), count(&first, "created")), (8, 4));
    assert_eq!((count(&first, "duplicates"), count(&first, "problems")), (1, 3));

    let listed = std::fs::read_to_string(&problems).unwrap();
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines[0], "file,line,column,value,code,hint");
    assert_eq!(lines.len(), 4, "{listed}");
    assert!(lines[1].starts_with("ugly.csv,4,class,swamp,class.unknown,"), "{listed}");
    assert!(lines[2].contains("position.swapped"), "{listed}");
    assert!(lines[3].contains("999999,district.unknown"), "{listed}");
    assert_eq!(std::fs::read_to_string(&duplicates).unwrap().lines().nth(1), Some("ugly.csv,6,ugly.csv,2"));

    let second = import_ugly(&place, &[]).json();
    assert_accounted_for(&second);
    assert_eq!((count(&second, "created"), count(&second, "updated")), (0, 0));
    assert_eq!(count(&second, "unchanged"), 4);
    assert_eq!(place.run(&["check"]).code, Some(0));
}

#[test]
fn a_census_without_a_fault_ends_with_zero() {
    let place = Place::new();
    let file = place.file("good.csv", "district,class,lon,lat\n370502,sewage,118.58,37.46\n");
    let said = place.run(&["import", &file, "--district", "370502=东营区"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("1 rows read = 1 created"), "{said:?}");
}

#[test]
fn a_census_of_which_nothing_can_be_used_ends_with_two() {
    let place = Place::new();
    let one_bad_row = "district,class,lon,lat\n370502,swamp,118.58,37.46\n";
    for (name, text, told) in [
        ("other.csv", "\u{feff}district", "no column"),
        ("row.csv", one_bad_row, "swamp"),
        ("empty.csv", "", "empty"),
        ("x.geojson", "{\"type\":\"FeatureCollection\"}", "features"),
    ] {
        let file = place.file(name, text);
        for arguments in [&["--yes"][..], &["--dry-run"]] {
            let said = place.run(&[&["import", &file, "--district", "370502=东营区"], arguments].concat());
            assert_eq!(said.code, Some(2), "{said:?}");
            assert!(said.stderr.contains(told), "{said:?}");
        }
    }
}

#[test]
fn a_census_in_chinese_brings_its_codes_and_districts() {
    let place = Place::new();
    let file = place.file(
        "census.csv",
        "部件标识码,区县,井盖类别,经度,纬度,道路,权属单位\n3705020102000017,东营区,污水井盖,118.58,37.46,济南路,东营市城市管理局\n",
    );
    let said = place.run(&["import", &file, "--profile", "census-zh", "--json"]);
    assert_eq!((said.code, count(&said.json(), "created")), (Some(0), 1), "{said:?}");
}

fn ledger_rows(path: &str) -> Vec<csv::StringRecord> {
    let mut ledger = csv::Reader::from_path(path).unwrap();
    assert_eq!(
        ledger.headers().unwrap(),
        "batch,token,payload,cover_code,face,page,position".split(',').collect::<Vec<_>>()
    );
    ledger.records().map(Result::unwrap).collect()
}

#[test]
fn plates_come_with_a_ledger_and_a_reprint_has_the_same_bytes() {
    let place = Place::new();
    place.lead_plates();
    import_ugly(&place, &[]);
    let (pdf, ledger) = (place.path("a.pdf"), place.path("a.csv"));
    let made = place.run(&[
        "plates",
        "make",
        "--for",
        "district=370502",
        "--note",
        "first",
        "-o",
        &pdf,
        "--ledger",
        &ledger,
        "--json",
    ]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let rows = ledger_rows(&ledger);
    assert_eq!((rows.len(), count(&made.json(), "plates")), (2, 2));
    assert!(rows.iter().all(|row| row[3].starts_with("3705020")), "{rows:?}");
    assert!(rows.iter().all(|row| row[2].ends_with(&row[1])), "{rows:?}");
    let printed = std::fs::read(&pdf).unwrap();
    assert!(printed.starts_with(b"%PDF-"));

    let again = place.path("b.pdf");
    let batch = made.json()["batch"].as_str().unwrap().to_owned();
    assert_eq!(place.run(&["plates", "reprint", &batch, "-o", &again]).code, Some(0));
    assert!(std::fs::read(&again).unwrap() == printed, "the reprint has other bytes");

    let none = place.run(&["plates", "make", "--for", "district=370502", "-o", &pdf]);
    assert_eq!(none.code, Some(2), "every cover there has a plate already: {none:?}");
    assert!(std::fs::read(&pdf).unwrap() == printed, "a refusal changed the file");
}

#[test]
fn blank_plates_are_as_many_as_asked_for() {
    let place = Place::new();
    place.lead_plates();
    assert_eq!(place.run(&["migrate"]).code, Some(0));
    let (pdf, ledger) = (place.path("blank.pdf"), place.path("blank.csv"));
    let made = place.run(&[
        "plates",
        "make",
        "--count",
        "11",
        "--face",
        "round-100",
        "--sheet",
        "single",
        "-o",
        &pdf,
        "--ledger",
        &ledger,
    ]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let rows = ledger_rows(&ledger);
    assert_eq!(rows.len(), 11);
    assert!(rows.iter().all(|row| row[3].is_empty() && &row[4] == "round-100"));
    assert_eq!(&rows[10][5], "11", "one plate a page");
    if let Some(text) = text_of_pdf(Path::new(&pdf)) {
        assert!(text.contains("城市井盖"), "{text}");
    }
    let left: Vec<_> =
        std::fs::read_dir(&place.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
}

#[test]
fn people_and_tokens_come_and_go() {
    let place = Place::new();
    let add = [
        "user",
        "add",
        "--login",
        "ying",
        "--role",
        "handler",
        "--party",
        "东营市自来水公司",
        "--name",
        "颖",
    ];
    let said = run_saying(&place.home, &add, "a long password\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(run_saying(&place.home, &add, "a long password\n").code, Some(2), "the login is taken");
    let short = run_saying(&place.home, &["user", "add", "--login", "bo", "--role", "admin"], "short\n");
    assert_eq!(short.code, Some(2), "{short:?}");

    let added = place.run(&["token", "add", "--login", "ying", "--name", "gateway"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let secret = added.stdout.trim().to_owned();
    assert!(secret.len() >= 32, "a token is one line: {added:?}");
    let list = place.run(&["token", "list"]);
    assert!(list.stdout.contains("gateway\tying") && !list.stdout.contains(&secret), "{list:?}");
    assert_eq!(place.run(&["token", "revoke", "gateway"]).code, Some(0));
    assert!(place.run(&["token", "list"]).stdout.contains("revoked"));
    let narrow = ["token", "add", "--login", "ying", "--name", "mirror", "--scope", "covers:write,read"];
    let added = place.run(&[narrow.as_slice(), &["--expires", "2999-12-31", "--json"]].concat()).json();
    assert_eq!((&added["scope"], &added["expires"]), (&json!("read covers:write"), &json!("2999-12-31")));
    let list = place.run(&["token", "list", "--json"]).json();
    let mirror = list["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "mirror").unwrap();
    assert_eq!((&mirror["scope"], &mirror["last_used_on"]), (&json!("read covers:write"), &json!(null)));
    assert_eq!(mirror["expires_at"], "2999-12-31T16:00:00Z");

    assert_eq!(place.run(&["user", "disable", "ying"]).code, Some(0));
    let users = place.run(&["user", "list", "--json"]).json();
    assert_eq!((&users["users"][0]["login"], &users["users"][0]["disabled"]), (&"ying".into(), &true.into()));
}

#[test]
fn every_refusal_ends_with_two_and_says_what_to_do() {
    let place = Place::new();
    let nowhere = place.path("nowhere.csv");
    let good = place.file("good.csv", "district,class,lon,lat\n370502,sewage,118.58,37.46\n");
    let zip = place.file("census.xlsx", "PK\u{3}\u{4}");
    let picture = place.file("covers.pdf", "%PDF-1.7");
    let broken = place.file("broken.toml", "id = 3");
    let pdf = place.path("no/such/folder.pdf");
    let out = place.path("out.pdf");
    let before_there_is_one: [&[&str]; 2] = [&["check"], &["plates", "make", "--count", "1", "-o", &out]];
    for arguments in before_there_is_one {
        let said = place.run(arguments);
        assert_eq!(said.code, Some(2), "{arguments:?}: {said:?}");
        assert!(said.stderr.contains("data"), "{arguments:?}: {said:?}");
        assert!(!Path::new(&place.path("data")).exists(), "{arguments:?} made a folder");
    }
    assert_eq!(place.run(&["migrate"]).code, Some(0));
    let homeless = place.run(&["plates", "make", "--count", "3", "-o", &out, "--json"]);
    assert_eq!(
        homeless.json()["error"]["code"],
        "plates.no_host",
        "an example would be engraved: {homeless:?}"
    );
    place.lead_plates();
    let rights = std::fs::metadata(place.path("data")).unwrap().permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&rights) & 0o777,
        0o700,
        "contacts and photos lie here"
    );
    let refused: [(&[&str], &str); 22] = [
        (&["import", &nowhere], "file.not_read"),
        (&["import", &zip], "archive.damaged"),
        (&["import", &picture], "file.kind"),
        (&["import", &good, "--encoding", "klingon"], "encoding.unknown"),
        (&["import", &good, "--delimiter", "abc"], "delimiter.unknown"),
        (&["import", &good, "--profile", "nobody"], "profile.unknown"),
        (&["import", &good, "--profile", &broken], "profile.unreadable"),
        (&["import", &good, "--scheme", "nobody"], "scheme.unknown"),
        (&["import", &good, "--district", "east"], "district.argument"),
        (&["import", &good, "--match-radius", "5000"], "import.radius"),
        (&["import", &good, "--source", ""], "import.source"),
        (&["plates", "make", "--count", "0", "-o", &out], "batch.empty"),
        (&["plates", "make", "--count", "3", "--face", "oval", "-o", &out], "face.unknown"),
        (&["plates", "make", "--count", "3", "--level", "L", "-o", &out], "level.unknown"),
        (&["plates", "make", "--count", "3", "--sheet", "a9", "-o", &out], "sheet.unknown"),
        (&["plates", "make", "--count", "3", "-o", &pdf], "file.no_folder"),
        (&["plates", "make", "--for", "color=red", "-o", &out], "filter.unknown"),
        (&["plates", "reprint", "0190a000-0000-7000-8000-000000000000", "-o", &out], "batch.unknown"),
        (&["token", "add", "--login", "nobody", "--name", "x"], "user.unknown"),
        (
            &["token", "add", "--login", "nobody", "--name", "x", "--scope", "everything"],
            "token_scope.unknown",
        ),
        (&["token", "add", "--login", "nobody", "--name", "x", "--expires", "soon"], "form.day"),
        (&["serve", "--listen", "here"], "listen.address"),
    ];
    for (arguments, code) in refused {
        let said = place.run(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, Some(2), "{arguments:?}: {said:?}");
        assert_eq!(said.json()["error"]["code"], code, "{arguments:?}: {said:?}");
        assert!(said.stderr.starts_with("lidmark: "), "{arguments:?}: {said:?}");
    }
    assert!(!Path::new(&out).exists());
    let counts = place.run(&["check", "--json"]);
    assert_eq!((counts.code, count(&counts.json(), "covers")), (Some(0), 0));
}

#[test]
fn a_check_is_clean_until_somebody_edits_the_database_by_hand() {
    let Some(ground) = Ground::sqlite() else { return };
    let home = ground.home();
    let file = ground.home().folder().with_file_name("good.csv");
    std::fs::write(&file, "district,class,lon,lat\n370502,sewage,118.58,37.46\n370502,gas,118.59,37.47\n")
        .unwrap();
    let file = file.display().to_string();
    assert_eq!(run_command(&home, &["import", &file, "--district", "370502=东营区"]).code, Some(0));
    assert_eq!(run_command(&home, &["check"]).code, Some(0));
    ground.sql("UPDATE manholes SET lon = 118.6 WHERE lon = 118.58");
    ground.sql(
        "UPDATE history SET actor = 'nobody' WHERE manhole_id = (SELECT id FROM manholes WHERE lon = 118.59)",
    );
    let said = run_command(&home, &["check", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let findings = said.json()["findings"].as_array().unwrap().clone();
    let what: Vec<&str> = findings.iter().map(|finding| finding["what"].as_str().unwrap()).collect();
    assert!(what.contains(&"quadkey.wrong") && what.contains(&"history.broken"), "{what:?}");
}

#[test]
fn a_store_that_cannot_be_opened_is_told_to_those_who_run_it() {
    let Some(ground) = Ground::sqlite() else { return };
    let home = ground.home();
    let refused = |code: &str| {
        let said = run_command(&home, &["check", "--json"]);
        assert_eq!((said.code, &said.json()["error"]["code"]), (Some(2), &code.into()), "{said:?}");
    };
    let file = home.folder().with_file_name("good.csv");
    std::fs::write(&file, "district,class,lon,lat\n370502,sewage,118.58,37.46\n").unwrap();
    let file = file.display().to_string();
    assert_eq!(run_command(&home, &["import", &file, "--district", "370502=东营区"]).code, Some(0));
    ground.sql("UPDATE covers SET class = 'lid'");
    refused("database.row");
    ground.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (20991231000000, 'of a later version', TRUE, X'00', 0)",
    );
    refused("database.newer");
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(home.folder().join(format!("lidmark.db{ending}")));
    }
    std::fs::write(home.folder().join("lidmark.db"), "this is no database ".repeat(300)).unwrap();
    refused("database.damaged");
}

#[test]
fn the_demo_is_built_once_and_its_check_is_clean() {
    let place = Place::new();
    let first = place.run(&["demo", "--no-serve", "--json"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let first = first.json();
    assert_eq!(count(&first["import"], "read"), 17_091);
    assert_accounted_for(&first["import"]);
    assert_eq!(count(&first, "covers"), count(&first["import"], "created"));
    let ledger = ledger_rows(first["ledger"].as_str().unwrap());
    assert_eq!(ledger.len(), 40);
    assert!(Path::new(first["pdf"].as_str().unwrap()).exists());

    let checked = place.run(&["check", "--json"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let second = place.run(&["demo", "--no-serve", "--json"]).json();
    assert_eq!(second["changed"], false);
    for part in ["covers", "plates", "cases", "token", "code"] {
        assert_eq!(first[part], second[part], "{part}");
    }
    assert_eq!(place.run(&["check", "--json"]).json(), checked.json());
    let other = place.run(&["demo", "--synthetic", "dongying", "--no-serve"]);
    assert_eq!(other.code, Some(2), "a demo of another city has no place here: {other:?}");
}

#[test]
fn the_plates_of_a_demo_follow_it_to_an_address_that_phones_can_open() {
    let place = Place::new();
    let demo = |more: &[&str]| {
        let said = place.run(
            &[&["demo", "--synthetic", "dongying", "--covers", "200", "--no-serve", "--json"], more].concat(),
        );
        assert_eq!(said.code, Some(0), "{said:?}");
        let said = said.json();
        let payloads: Vec<String> =
            ledger_rows(said["ledger"].as_str().unwrap()).iter().map(|row| row[2].to_owned()).collect();
        (said, payloads)
    };
    let (_, at_the_desk) = demo(&[]);
    assert!(
        at_the_desk.iter().all(|payload| payload.starts_with("HTTP://127.0.0.1:8080/C/")),
        "{at_the_desk:?}"
    );

    let (said, for_phones) = demo(&["--listen", "0.0.0.0:8080", "--host", "192.168.1.5"]);
    assert_eq!(said["home"], "http://192.168.1.5:8080/");
    assert_eq!(for_phones.len(), 40);
    assert!(
        for_phones.iter().all(|payload| payload.starts_with("HTTP://192.168.1.5:8080/C/")),
        "{for_phones:?}"
    );
    let pdf = Path::new(said["pdf"].as_str().unwrap());
    // zbar overlooks one symbol in some hundred on a full page at one resolution, another at another.
    if let (Some(coarse), Some(fine)) = (symbols_of_pdf(pdf, 150), symbols_of_pdf(pdf, 300)) {
        let read: BTreeSet<String> = coarse.concat().into_iter().chain(fine.concat()).collect();
        assert_eq!(read, for_phones.iter().cloned().collect());
    }

    assert_eq!(demo(&["--host", "192.168.1.5"]).1, for_phones, "the same address: the same plates");
    assert_eq!(demo(&[]).1, for_phones, "a look from the desk leaves them alone");
    assert_eq!(place.run(&["check"]).code, Some(0));
}

#[test]
fn a_demo_that_was_interrupted_is_taken_up_again_without_doubles() {
    let place = Place::new();
    let arguments = ["demo", "--synthetic", "dongying", "--covers", "300", "--no-serve", "--json"];
    let first = place.run(&arguments).json();
    // As if the last line had never been written.
    let mark = place.path("data/demo.json");
    std::fs::write(&mark, r#"{"city":"dongying","built":null}"#).unwrap();
    let second = place.run(&arguments);
    assert_eq!(second.code, Some(0), "{second:?}");
    let second = second.json();
    for part in ["covers", "plates", "cases", "token", "code"] {
        assert_eq!(first[part], second[part], "{part}");
    }
    assert_eq!(count(&second["import"], "unchanged"), 300);
    assert_eq!(place.run(&["check"]).code, Some(0));
}

#[test]
fn a_demo_shows_a_case_in_every_state() {
    let Some(ground) = Ground::sqlite() else { return };
    let home = ground.home();
    let said = run_command(&home, &["demo", "--synthetic", "dongying", "--covers", "200", "--no-serve"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let states = ground.sql("SELECT DISTINCT state FROM cases ORDER BY state");
    let mut expected: Vec<&str> =
        lidmark::domain::case::CaseState::ALL.iter().map(|state| state.as_str()).collect();
    expected.sort_unstable();
    assert_eq!(states.split_whitespace().collect::<Vec<_>>(), expected);
}

#[test]
fn a_demo_never_goes_where_somebody_works() {
    let place = Place::new();
    import_ugly(&place, &[]);
    let said = place.run(&["demo", "--no-serve"]);
    assert_eq!(said.code, Some(2), "{said:?}");
}
