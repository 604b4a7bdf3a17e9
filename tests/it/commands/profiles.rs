//! `lidmark profiles`: saved, shown by version, named by an import, offered no more.

use lidmark::import::find_built_in;

use super::{DISTRICTS, Place, count};

#[test]
fn a_profile_is_saved_from_a_file_named_by_imports_and_offered_no_more() {
    let place = Place::new();
    let built_in = find_built_in("census-zh").unwrap().text;
    let first = place.file("first.toml", &format!("source = \"水司\"\n{built_in}"));
    let second = place.file("second.toml", &format!("source = \"水务\"\r\n{built_in}\n\n"));
    let save = |name: &str, file: &str| {
        let said = place.run(&["profiles", "save", name, file, "--why", "表头换了", "--json"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        (count(&said.json(), "version"), said.json()["new"].as_bool().unwrap())
    };
    assert_eq!(save("东营水司", &first), (1, true));
    assert_eq!(save("东营水司", &first), (1, false));
    assert_eq!(save("东营水司", &second), (2, true));

    let show = |name: &str| place.run(&["profiles", "show", name, "--json"]).json();
    assert!(show("东营水司@1")["text"].as_str().unwrap().starts_with("source = \"水司\"\n"));
    let text = show("东营水司")["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("source = \"水务\"\n"), "{text}");
    let out = place.path("out.toml");
    assert_eq!(place.run(&["profiles", "show", "东营水司", "-o", &out]).code, Some(0));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), text);
    assert_eq!(save("东营水司", &out), (2, false), "what was written out comes in as the same");
    let versions = place.run(&["profiles", "show", "东营水司", "--versions", "--json"]).json();
    let versions: Vec<_> =
        versions["versions"].as_array().unwrap().iter().map(|one| count(one, "version")).collect();
    assert_eq!(versions, [2, 1]);
    let listed = place.run(&["profiles", "list"]);
    for told in ["东营水司\t@2", "表头换了", "census-zh"] {
        assert!(listed.stdout.contains(told), "{told} is not in {listed:?}");
    }

    let mut run = 0;
    for (wanted, version) in [("东营水司@1", 1), ("东营水司", 2)] {
        run += 1;
        let text = format!("普查编号,区划代码,井盖类别,经度,纬度\nK{run},370502,污水井盖,118.5{run},37.46\n");
        let census = place.file("census.csv", &text);
        let mut arguments = vec!["import", &census, "--profile", wanted, "--yes", "--json"];
        arguments.extend(DISTRICTS);
        let said = place.run(&arguments);
        assert_eq!((said.code, count(&said.json(), "created")), (Some(0), 1), "{said:?}");
        let runs = place.run(&["imports", "list", "--json"]).json();
        let newest = &runs["imports"][0];
        assert_eq!(
            (newest["profile"].as_str(), count(newest, "profile_version")),
            (Some("东营水司"), version)
        );
    }

    let none = place.file("none.toml", "no toml [");
    for (name, file) in [("x", none.as_str()), ("census-zh", &first), ("a/b", &first), ("x@1", &first)] {
        let said = place.run(&["profiles", "save", name, file]);
        assert_eq!(said.code, Some(2), "{name}: {said:?}");
        assert!(!said.stderr.contains("refusal."), "{said:?}");
    }
    assert_eq!(place.run(&["profiles", "remove", "东营水司"]).code, Some(0));
    for arguments in
        [["profiles", "remove", "东营水司"], ["profiles", "show", "东营水司"], ["profiles", "show", "x@0"]]
    {
        let said = place.run(&arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
    }
    assert_eq!(show("东营水司@2")["text"].as_str(), Some(text.as_str()));
}
