//! Encodings by real texts, long and short. Which words a column may hold is not asked here.

use super::*;

/// Chinese as people write it: our own sentences and the names of real places.
const CHINESE: [&str; 2] = [
    include_str!("../../locales/zh-CN.toml"),
    include_str!("../../assets/demo/dongying-admin-codes/dongying_admin_codes.csv"),
];
const TRADITIONAL: &str = "人孔蓋普查表，編號，類別，經度，緯度，道路名稱，管線單位，材質，尺寸，狀態，備註。\
    汙水人孔蓋位於臺北市中正區重慶南路一段與忠孝西路交叉口，鑄鐵圓形，承載等級不足，蓋座破損需更換。\
    電信手孔蓋，新北市板橋區文化路二段，車道上，調查人員確認後設備完好，無下陷現象。\
    瓦斯閥盒，高雄市前鎮區中山四路，人行道，水溝蓋遺失，已設置警示標誌。自來水制水閥，桃園市中壢區。";
const JAPANESE: &str = "マンホール蓋の種別、管理番号、経度、緯度、設置年度、備考。汚水マンホール、東京都千代田区丸の内一丁目、\
    車道、鋳鉄製、状態は良好です。雨水ますの蓋が破損しているため、取り替えが必要。ガスのバルブボックス、歩道。";
const LATIN: [&str; 4] = [
    "Straße;Größe;Schachtdeckel;Bemerkung\nMüllerstraße 7;groß;Abwasser;beschädigt – prüfen\nÖlhafen;klein;Regen;",
    "Rue;Catégorie;État\nAvenue de la République;Égout;Détérioré\nAllée des Chênes;Télécom;Bon état",
    "calle;categoría;años\nPeñalara;telefonía;3\nJosé Abascal;alcantarillado;12",
    "place;depth °;area m²\nMain;12°;3 m²\nElm;7°;4 m²",
];

fn encoded(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    let by = match encoding {
        Encoding::Gb18030 => encoding_rs::GB18030,
        Encoding::Big5 => encoding_rs::BIG5,
        Encoding::ShiftJis => encoding_rs::SHIFT_JIS,
        Encoding::Windows1252 => encoding_rs::WINDOWS_1252,
        _ => encoding_rs::UTF_8,
    };
    let (bytes, _, lost) = by.encode(text);
    (!lost).then(|| bytes.into_owned())
}

/// Slices of a text that have so many characters beyond ASCII.
fn slices(text: &str, count: usize) -> Vec<String> {
    let mut slices = Vec::new();
    let mut slice = String::new();
    let mut wide = 0;
    for character in text.chars() {
        slice.push(character);
        wide += usize::from(!character.is_ascii());
        if wide == count {
            slices.push(std::mem::take(&mut slice));
            wide = 0;
        }
    }
    slices
}

/// How many of so many slices are found for what they are.
fn found(texts: &[&str], encoding: Encoding, count: usize) -> (usize, usize) {
    let mut right = 0;
    let mut all = 0;
    for slice in texts.iter().flat_map(|text| slices(text, count)) {
        let Some(bytes) = encoded(&slice, encoding) else { continue };
        all += 1;
        right += usize::from(detect(&bytes, true).encoding == encoding);
    }
    (right, all)
}

#[test]
fn real_texts_are_found_for_what_they_are_long_and_short() {
    for (texts, encoding, count, least) in [
        (&CHINESE[..], Encoding::Utf8, 2, 1.0),
        (&CHINESE, Encoding::Gb18030, 2, 0.94),
        (&CHINESE, Encoding::Gb18030, 6, 0.999),
        (&CHINESE, Encoding::Gb18030, 20, 1.0),
        (&CHINESE, Encoding::Gb18030, 500, 1.0),
        (&[TRADITIONAL], Encoding::Big5, 6, 1.0),
        (&[TRADITIONAL], Encoding::Big5, 20, 1.0),
        (&[TRADITIONAL], Encoding::Utf8, 2, 1.0),
        (&[TRADITIONAL], Encoding::Gb18030, 20, 1.0),
        (&[JAPANESE], Encoding::ShiftJis, 6, 1.0),
        (&[JAPANESE], Encoding::ShiftJis, 20, 1.0),
        (&LATIN, Encoding::Windows1252, 3, 1.0),
        (&LATIN, Encoding::Utf8, 1, 1.0),
    ] {
        let (right, all) = found(texts, encoding, count);
        assert!(all > 0, "{encoding} {count}");
        let share = right as f64 / all as f64;
        assert!(share >= least, "{encoding} by {count} characters: {right} of {all}");
    }
}

#[test]
fn the_words_of_a_survey_are_enough() {
    for word in
        ["污水", "雨水", "燃气", "井盖", "经度,纬度", "黄河路", "完好", "联通", "移动", "铸铁", "东营区"]
    {
        let bytes = encoded(word, Encoding::Gb18030).unwrap();
        assert_eq!(detect(&bytes, true).encoding, Encoding::Gb18030, "{word}");
    }
    for word in ["人孔蓋", "經度,緯度", "汙水", "道路", "編號", "備註"] {
        let bytes = encoded(word, Encoding::Big5).unwrap();
        assert_eq!(detect(&bytes, true).encoding, Encoding::Big5, "{word}");
    }
    for word in ["マンホール", "汚水ます", "経度,緯度,種別"] {
        let bytes = encoded(word, Encoding::ShiftJis).unwrap();
        assert_eq!(detect(&bytes, true).encoding, Encoding::ShiftJis, "{word}");
    }
    for word in ["Müller", "Café", "12°", "Rue de l’Église"] {
        let bytes = encoded(word, Encoding::Windows1252).unwrap();
        assert_eq!(detect(&bytes, true).encoding, Encoding::Windows1252, "{word}");
    }
}

#[test]
fn a_finding_brings_its_evidence_and_a_few_bad_bytes_do_not_overturn_it() {
    let mut bytes = encoded(CHINESE[0], Encoding::Gb18030).unwrap();
    let found = detect(&bytes, true);
    assert!(found.common_percent > 80, "{found:?}");
    assert!(found.runner_up.is_none_or(|(_, percent)| percent < 60), "{found:?}");
    for at in (500..bytes.len()).step_by(500) {
        bytes[at] = 0xFF;
    }
    assert_eq!(detect(&bytes, true).encoding, Encoding::Gb18030);
    let mut mixed = CHINESE[0].as_bytes().to_vec();
    let few: String = CHINESE[0].chars().take(1000).collect();
    mixed.extend(encoded(&few, Encoding::Gb18030).unwrap());
    assert_eq!(detect(&mixed, true).encoding, Encoding::Utf8);
    // A sample that is cut in the middle of a character.
    let utf8 = "污水".as_bytes();
    assert_eq!(detect(&utf8[..5], false).encoding, Encoding::Utf8);
}

#[test]
fn a_declaration_is_kept_unless_the_text_plainly_says_otherwise() {
    let text = "黄河路污水井盖检查登记表";
    let gbk = encoded(text, Encoding::Gb18030).unwrap();
    let wrong = check_declared(Encoding::Utf8, &gbk, true);
    assert_eq!((wrong.encoding, wrong.by), (Encoding::Gb18030, FoundBy::TextAgainstDeclared));
    let wrong = check_declared(Encoding::Gb18030, text.as_bytes(), true);
    assert_eq!((wrong.encoding, wrong.by), (Encoding::Utf8, FoundBy::TextAgainstDeclared));
    let right = check_declared(Encoding::Gb18030, &gbk, true);
    assert_eq!((right.encoding, right.by), (Encoding::Gb18030, FoundBy::Declared));
    // Two characters prove nothing against a declaration.
    let short = check_declared(Encoding::Windows1252, &encoded("污水", Encoding::Gb18030).unwrap(), true);
    assert_eq!(short.encoding, Encoding::Windows1252);
}

#[test]
fn encodings_are_known_by_the_names_in_use() {
    for (label, expected) in [
        ("gbk", Encoding::Gb18030),
        ("CP936", Encoding::Gb18030),
        ("GB2312", Encoding::Gb18030),
        ("ANSI 936", Encoding::Gb18030),
        ("utf8", Encoding::Utf8),
        ("65001", Encoding::Utf8),
        ("windows-1252", Encoding::Windows1252),
        ("ISO-8859-1", Encoding::Windows1252),
        ("ISO 88591", Encoding::Windows1252),
        ("cp950", Encoding::Big5),
        ("Shift-JIS", Encoding::ShiftJis),
    ] {
        assert_eq!(Encoding::of_label(label).unwrap(), expected, "{label}");
    }
    assert_eq!(Encoding::of_label("klingon").unwrap_err().code, "encoding.unknown");
}
