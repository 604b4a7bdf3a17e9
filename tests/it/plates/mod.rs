//! Finished sheets, read back by other people's tools: text, symbols, structure.

mod damage;
mod drawings;
mod in_pdf_js;
mod orders;
mod outputs;

use lidmark::domain::cover::CoverClass;
use lidmark::domain::ids::Millis;
use lidmark::domain::plate::Finish;
use lidmark::domain::token::{PlateScheme, Token, plate_payload};
use lidmark::plates::{
    Face, Level, Palette, PlacedPlate, PlateRun, PlateSpec, RenderSummary, Sheet, render_batch,
};
use rand::SeedableRng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::decode::{symbols_of_pdf, text_of_pdf};
use crate::support::{have, keep_fonts, skip_or_fail};

/// Names from a street, with classes, and characters outside the first plane.
const STREET: [(CoverClass, &str, &str, &str); 4] = [
    (CoverClass::Sewage, "污水井盖", "东营市东营区城市管理局", "济南路"),
    (CoverClass::Storm, "雨水井盖", "东营市市政工程公司", "东三路与黄河路交叉口"),
    (CoverClass::Gas, "燃气井盖", "胜利燃气", "西四路 (府前大街—北一路)"),
    (CoverClass::Telecom, "通信井盖", "中国铁塔东营分公司", "鄠邑䶮路"),
];

fn plates(count: usize) -> Vec<PlateSpec> {
    let mut random = rand::rngs::SmallRng::seed_from_u64(6);
    (0..count)
        .map(|at| {
            let token = Token::draw(&mut random);
            let (class, label, owner, road) = STREET[at % STREET.len()];
            PlateSpec {
                token,
                payload: plate_payload(PlateScheme::Https, "lid.dongying.gov.cn", token, false),
                code_groups: (at % 5 != 4)
                    .then(|| format!("370502 01 {:02} {:06}", at % 9 + 1, 480_100 + at)),
                class,
                class_label: label.into(),
                owner: owner.into(),
                hotline: "0546-12345".into(),
                road: road.into(),
                level: Some([Level::M, Level::Q, Level::H][at % 3]),
                symbol: None,
            }
        })
        .collect()
}

/// Die-cut labels take only the faces that are not larger.
const FACES_ON_SHEETS: usize = 63;

/// Every face on every sheet on which it fits.
fn runs() -> impl Iterator<Item = PlateRun> {
    Face::built_in().into_iter().flat_map(|face| {
        let fits: Vec<Sheet> =
            Sheet::built_in().into_iter().filter(|sheet| sheet.lay_out(&face).is_ok()).collect();
        fits.into_iter().map(move |sheet| PlateRun {
            face: face.clone(),
            sheet,
            palette: Palette::built_in(),
            finish: Finish::Color,
            title: "2026-001 批".into(),
            dated: Millis(1_790_000_000_000),
        })
    })
}

fn render(run: &PlateRun, plates: &[PlateSpec]) -> (Vec<u8>, RenderSummary) {
    keep_fonts();
    let mut out = Vec::new();
    let summary = render_batch(run, plates, &mut out).unwrap();
    (out, summary)
}

fn on_disk(folder: &Path, run: &PlateRun, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("{}-{}.pdf", run.face.id, run.sheet.id));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Payloads by page, sorted: a decoder finds the symbols of a page in its own order.
fn ledger(plates: &[PlateSpec], placed: &[PlacedPlate]) -> Vec<Vec<String>> {
    let mut pages: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (plate, placed) in plates.iter().zip(placed) {
        pages.entry(placed.page).or_default().push(plate.payload.clone());
    }
    pages.into_values().map(sorted).collect()
}

fn sorted(mut payloads: Vec<String>) -> Vec<String> {
    payloads.sort();
    payloads
}

fn every_symbol_decodes_to_the_ledger_at(dpi: u32, runs: impl Iterator<Item = PlateRun>) {
    let folder = tempfile::tempdir().unwrap();
    let plates = plates(9);
    for run in runs {
        let (bytes, summary) = render(&run, &plates);
        let Some(read) = symbols_of_pdf(&on_disk(folder.path(), &run, &bytes), dpi) else { return };
        let read: Vec<Vec<String>> = read.into_iter().map(sorted).collect();
        assert_eq!(read, ledger(&plates, &summary.plates), "{} on {}", run.face.id, run.sheet.id);
    }
}

fn on_paper() -> impl Iterator<Item = PlateRun> {
    runs().filter(|run| ["a4", "single"].contains(&run.sheet.id.as_str()))
}

#[test]
fn a_raster_at_150_dpi_decodes_to_the_whole_ledger() {
    every_symbol_decodes_to_the_ledger_at(150, on_paper());
}

/// At 150 dpi zbar passes over a symbol now and then that lies between many others.
#[test]
fn every_face_on_every_sheet_decodes_to_the_whole_ledger_at_every_level() {
    assert_eq!(runs().count(), FACES_ON_SHEETS);
    every_symbol_decodes_to_the_ledger_at(200, runs());
}

#[test]
fn a_raster_at_300_dpi_decodes_to_the_whole_ledger() {
    every_symbol_decodes_to_the_ledger_at(300, on_paper());
}

#[test]
fn printed_codes_and_chinese_texts_are_read_back_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let plates = plates(9);
    for run in runs() {
        let (bytes, _) = render(&run, &plates);
        let Some(text) = text_of_pdf(&on_disk(folder.path(), &run, &bytes)) else { return };
        // Columns of neighboring plates share lines; how far apart they are set is not the point.
        let squeezed: String = text.split_whitespace().collect();
        let count = |wanted: &str| squeezed.matches(&wanted.split_whitespace().collect::<String>()).count();
        let place = format!("{} on {}", run.face.id, run.sheet.id);
        for plate in &plates {
            if let Some(code) = &plate.code_groups {
                assert_eq!(count(code), 1, "{code}, {place}\n{text}");
            }
            assert_eq!(count(&plate.token.grouped()), 1, "{place}\n{text}");
            for words in [&plate.class_label, &plate.owner, &plate.hotline, &plate.road] {
                let wanted = plates.iter().filter(|other| {
                    [&other.class_label, &other.owner, &other.hotline, &other.road].contains(&words)
                });
                assert_eq!(count(words), wanted.count(), "{words}, {place}\n{text}");
            }
        }
        assert_eq!(count("只用于查看和上报, 不收费"), plates.len(), "{place}\n{text}");
        assert_eq!(count("现场绑定"), 1, "{place}\n{text}");
    }
}

/// As cities write them: a place instead of a road, a full legal name, a code of 19 digits, a long host.
#[test]
fn the_longest_texts_that_a_city_brings_fit_every_face() {
    let folder = tempfile::tempdir().unwrap();
    let mut plates = plates(6);
    let (road, owner) = (
        "人民南路四段与科华北路交叉口西北侧辅道人行横道以南",
        "成都市锦江区综合行政执法和城市管理局市政公用设施管护服务中心排水一所",
    );
    for plate in &mut plates {
        let host = "jinggai.chengguan.chengdu.gov.cn";
        plate.payload = plate_payload(PlateScheme::Https, host, plate.token, false);
        plate.code_groups = Some("510104 001 01 13 000001".into());
        (plate.class, plate.class_label) = (CoverClass::OilGas, "输油（气）井盖".into());
        (plate.road, plate.owner) = (road.into(), owner.into());
    }
    for run in runs() {
        let (bytes, summary) = render(&run, &plates);
        let file = on_disk(folder.path(), &run, &bytes);
        let (Some(read), Some(text)) = (symbols_of_pdf(&file, 200), text_of_pdf(&file)) else { return };
        let read: Vec<Vec<String>> = read.into_iter().map(sorted).collect();
        let place = format!("{} on {}", run.face.id, run.sheet.id);
        assert_eq!(read, ledger(&plates, &summary.plates), "{place}");
        if run.sheet.id == "single" {
            let squeezed: String = text.split_whitespace().collect();
            for words in [road, owner, "51010400101 13000001".replace(' ', "").as_str()] {
                assert_eq!(squeezed.matches(words).count(), plates.len(), "{words}, {place}\n{text}");
            }
        }
    }
}

#[test]
fn the_file_is_sound_and_its_fonts_are_embedded_subsets_with_unicode() {
    let folder = tempfile::tempdir().unwrap();
    let plates = plates(20);
    for run in runs() {
        let (bytes, summary) = render(&run, &plates);
        let document = lopdf::Document::load_mem(&bytes).unwrap();
        assert_eq!((document.version.as_str(), document.get_pages().len()), ("1.7", summary.pages));
        let path = on_disk(folder.path(), &run, &bytes);
        if !have("qpdf") || !have("pdffonts") {
            skip_or_fail("qpdf and pdffonts (packages qpdf, poppler-utils)");
            return;
        }
        let check = Command::new("qpdf").arg("--check").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&check.stdout) + String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success() && !said.contains("WARNING"), "{said}");
        let fonts = Command::new("pdffonts").arg(&path).output().unwrap();
        let fonts = String::from_utf8_lossy(&fonts.stdout).into_owned();
        let rows: Vec<&str> = fonts.lines().skip(2).collect();
        assert_eq!(rows.len(), 2, "{fonts}");
        for row in rows {
            assert!(row.contains("+NotoSansSC-"), "{row}");
            let marks: Vec<&str> =
                row.split_whitespace().filter(|word| ["yes", "no"].contains(word)).collect();
            assert_eq!(marks, ["yes", "yes", "yes"], "embedded, subset, unicode: {row}");
        }
    }
}

#[test]
fn the_page_has_the_size_that_the_sheet_states() {
    for run in runs() {
        let (face, bleed) = (run.face.outline.size(), run.sheet.bleed);
        let around = [face.0 + 2.0 * bleed, face.1 + 2.0 * bleed];
        let stated = run.sheet.page.map_or(around, |page| [page.width, page.height]);
        let (bytes, _) = render(&run, &plates(1));
        let document = lopdf::Document::load_mem(&bytes).unwrap();
        let pages = document.catalog().unwrap().get(b"Pages").unwrap().as_reference().unwrap();
        let pages = document.get_dictionary(pages).unwrap();
        let media: Vec<f32> = pages
            .get(b"MediaBox")
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|side| side.as_float().unwrap())
            .collect();
        for (points, millimetres) in media[2..].iter().zip(stated) {
            // A tenth of a millimetre is what plates promise; the page keeps a hundredth.
            assert!((f64::from(*points) / 72.0 * 25.4 - millimetres).abs() < 0.01, "{media:?}");
        }
    }
}

#[test]
fn the_same_order_gives_the_same_bytes_and_another_one_another_identifier() {
    let plates = plates(30);
    for run in on_paper() {
        let (first, _) = render(&run, &plates);
        let (second, _) = render(&run, &plates);
        assert!(first == second, "{} on {}", run.face.id, run.sheet.id);
        let (other, _) = render(&run, &plates[1..]);
        let id = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(&bytes[bytes.len() - 300..]).into_owned();
            text[text.find("/ID").unwrap()..][..70].to_owned()
        };
        assert_ne!(id(&first), id(&other));
    }
}
