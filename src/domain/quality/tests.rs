//! What the rules say of files, loads and ages, and that a city can change them one by one.

use proptest::prelude::*;

use super::*;

fn set_of(bits: u16) -> FieldSet {
    FieldSet(bits)
}

#[test]
fn the_rules_that_come_with_the_program_can_be_used() {
    let rules = Rules::built_in();
    assert_eq!(rules.check(), Ok(()));
    let all: Vec<FileField> = rules.completeness.weights.keys().copied().collect();
    assert_eq!(all, FileField::ALL, "every field has its weight");
    assert_eq!(rules.completeness.weights.values().sum::<u32>(), 100, "so that a weight is a percentage");
    let text = toml::to_string(rules).unwrap();
    assert_eq!(toml::from_str::<Rules>(&text).unwrap(), *rules);
}

#[test]
fn a_city_changes_one_rule_and_keeps_the_others() {
    let rules: Rules =
        toml::from_str("[age]\nyears = 20\n[load.yard]\nleast = 'C250'\n[completeness.weights]\nphoto = 0")
            .unwrap();
    assert_eq!((rules.age.years, rules.age.columns.len()), (20, Rules::built_in().age.columns.len()));
    assert_eq!(rules.load[&Placement::Yard].usual, Some(LoadClass::C250));
    assert_eq!(rules.load.len(), Rules::built_in().load.len());
    let mut but_photos = set_of(u16::MAX >> 1);
    but_photos.0 &= !(1 << FileField::Photo as u8);
    assert_eq!((rules.score(but_photos), rules.missing(but_photos)), (100, vec![]));
    assert!(toml::from_str::<Rules>("[completeness.weights]\ncolor = 5").is_err());
    for wrong in [
        "[completeness]\nlow = 101",
        "[completeness]\nlow = 70\nfair = 60",
        "[completeness.weights]\nowner = 20000",
        "[duplicates]\ntolerance_m = 500.0",
        "[load.yard]\nleast = 'D400'\nusual = 'A15'",
        "[claims]\nnotice_days = 0",
    ] {
        assert!(toml::from_str::<Rules>(wrong).unwrap().check().is_err(), "{wrong}");
    }
}

/// GB/T 23858-2009: a green strip bears A15, a carriageway D400; C250 stands at the kerb and in back lanes.
#[test]
fn a_load_class_is_judged_by_its_place() {
    use LoadClass::*;
    use LoadVerdict::*;
    use Placement::*;
    let rules = Rules::built_in();
    for (placement, load, verdict) in [
        (Some(Carriageway), Some(A15), UnderRated),
        (Some(Carriageway), Some(B125), UnderRated),
        (Some(Carriageway), Some(C250), Doubtful),
        (Some(Carriageway), Some(D400), Fits),
        (Some(Carriageway), Some(F900), Fits),
        (Some(Carriageway), None, Unknown),
        (Some(Footway), Some(A15), Doubtful),
        (Some(Footway), Some(B125), Fits),
        (Some(Footway), None, NotJudged),
        (Some(Green), Some(A15), Fits),
        (Some(Yard), Some(A15), UnderRated),
        (Some(Yard), Some(B125), Doubtful),
        (None, Some(A15), NotJudged),
        (None, None, NotJudged),
    ] {
        assert_eq!(rules.judge_load(placement, load), verdict, "{placement:?} {load:?}");
    }
}

#[test]
fn a_year_is_found_in_every_form_of_date() {
    for (text, year) in [
        ("2015", Some(2015)),
        ("2015-03-01", Some(2015)),
        ("3/1/2015 12:00:00 AM", Some(2015)),
        ("2015年3月", Some(2015)),
        ("20150301", Some(2015)),
        ("1/1/1753", None),
        ("9999", None),
        ("15", None),
        ("", None),
        ("DN2015X", Some(2015)),
        ("201503", None),
    ] {
        assert_eq!(year_in(text), year, "{text}");
    }
    let rules = Rules::built_in();
    let extra = BTreeMap::from([
        ("INSTALLED".to_owned(), "unknown".to_owned()),
        ("安装日期".into(), "2003-1-1".into()),
    ]);
    assert_eq!(rules.installed_in(&extra), Some(2003), "a column that says nothing lets the next one speak");
    assert_eq!(rules.judge_age(Some(2003), 2026), AgeVerdict::OverAge);
    assert_eq!(rules.judge_age(Some(2011), 2026), AgeVerdict::Young);
    assert_eq!(rules.judge_age(Some(2027), 2026), AgeVerdict::Unknown);
}

proptest! {
    #[test]
    fn a_score_grows_with_what_is_known_and_is_full_only_when_nothing_is_missing(bits in 0u16..1 << 15, more in 0u8..15) {
        let rules = Rules::built_in();
        let field = FileField::from_index(more).unwrap();
        let before = set_of(bits);
        let mut after = before;
        after.set(field, true);
        prop_assert!(rules.score(after) >= rules.score(before));
        prop_assert!(after.contains(field));
        prop_assert_eq!(rules.score(before) == 100, rules.missing(before).is_empty());
        // What is there and what is missing are all there is.
        let missing: u32 = rules.missing(before).iter().map(|field| rules.completeness.weights[field]).sum();
        prop_assert_eq!(u32::from(rules.score(before)) + missing, 100);
        let weights: Vec<u32> = rules.missing(before).iter().map(|field| rules.completeness.weights[field]).collect();
        prop_assert!(weights.is_sorted_by(|one, next| one >= next));
    }

    #[test]
    fn any_weights_give_a_score_within_bounds(weights in proptest::collection::vec(0u32..10_000, 15), bits in 0u16..1 << 15) {
        let mut rules = Rules::default();
        rules.completeness.weights = FileField::ALL.iter().copied().zip(weights).collect();
        prop_assert!(rules.score(set_of(bits)) <= 100);
        prop_assert_eq!(rules.score(set_of(u16::MAX >> 1)), 100);
    }

    /// A stronger cover is never worse than a weaker one in the same place.
    #[test]
    fn a_stronger_cover_is_never_judged_worse(place in 0u8..5, one in 0u8..6, other in 0u8..6) {
        let rank = |verdict| match verdict {
            LoadVerdict::UnderRated => 0,
            LoadVerdict::Doubtful => 1,
            _ => 2,
        };
        let place = Placement::from_index(place);
        let judge = |load| rank(Rules::built_in().judge_load(place, LoadClass::from_index(load)));
        prop_assert!(judge(one.max(other)) >= judge(one.min(other)));
    }

    #[test]
    fn no_text_makes_a_year_panic(text in "\\PC{0,40}") {
        let year = year_in(&text);
        prop_assert!(year.is_none_or(|year| (1850..=2100).contains(&year)));
    }
}
