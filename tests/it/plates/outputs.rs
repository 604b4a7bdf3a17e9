//! What print shops, engravers and label printers get, read back with other people's tools.

use lidmark::domain::plate::Finish;
use lidmark::plates::{Face, PlateRun, PrintHead, Sheet, render_svgs, render_zpl};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use super::{ledger, on_disk, plates, render, runs};
use crate::support::decode::{symbols_of_image, symbols_of_pdf, zxing_reads};
use crate::support::{have, skip_or_fail};

pub(super) fn run(face: &str, sheet: &str, finish: Finish) -> PlateRun {
    let found = runs().find(|run| run.face.id == face && run.sheet.id == sheet);
    PlateRun { finish, ..found.unwrap() }
}

#[test]
fn every_face_decodes_in_every_finish_with_two_decoders() {
    let folder = tempfile::tempdir().unwrap();
    let plates = plates(3);
    for face in Face::built_in() {
        for finish in [Finish::Mono, Finish::Inverted] {
            let run = run(&face.id, "single-cut", finish);
            let (bytes, summary) = render(&run, &plates);
            let pdf = on_disk(folder.path(), &run, &bytes);
            let Some(read) = symbols_of_pdf(&pdf, 200) else { return };
            assert_eq!(read, ledger(&plates, &summary.plates), "{} {finish}", face.id);
            let status = Command::new("pdftoppm")
                .args(["-png", "-r", "200"])
                .arg(&pdf)
                .arg(folder.path().join(format!("{}-{finish}", face.id)))
                .status();
            assert!(status.unwrap().success());
        }
    }
    let mut pictures: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pictures.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
    assert_eq!(pictures.len(), Face::built_in().len() * 2 * plates.len());
    let read: Vec<String> =
        pictures.iter().flat_map(|picture| zxing_reads(&image::open(picture).unwrap().to_luma8())).collect();
    for plate in &plates {
        let count = read.iter().filter(|said| **said == plate.payload).count();
        assert_eq!(count, Face::built_in().len() * 2, "{read:?}");
    }
}

#[test]
fn the_contour_is_a_spot_color_and_three_programs_open_the_file_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let plates = plates(20);
    for finish in Finish::ALL {
        for sheet in ["single-cut", "a4"] {
            let run = run("round-100", sheet, *finish);
            let (bytes, _) = render(&run, &plates);
            let separations = bytes.windows(22).filter(|window| window == b"/Separation/CutContour");
            assert_eq!(separations.count(), usize::from(sheet == "single-cut"));
            let pdf = on_disk(folder.path(), &run, &bytes);
            if !have("mutool") || !have("pdftoppm") || !have("qpdf") {
                return skip_or_fail("mutool, pdftoppm and qpdf (packages mupdf-tools, poppler-utils, qpdf)");
            }
            let null = Path::new("/dev/null");
            let mut tools = [Command::new("mutool"), Command::new("pdftoppm"), Command::new("qpdf")];
            tools[0].args(["draw", "-q", "-r", "50", "-F", "pgm", "-o"]).arg(null).arg(&pdf);
            tools[1].args(["-r", "50"]).arg(&pdf).arg(folder.path().join("page"));
            tools[2].arg("--check").arg(&pdf);
            for tool in &mut tools {
                let said = tool.output().unwrap();
                let complaint = String::from_utf8_lossy(&said.stderr);
                // Of Debian's build of mupdf, whatever the file.
                let complaint = complaint.replace("warning: ICC support is not available", "");
                assert!(said.status.success() && complaint.trim().is_empty(), "{tool:?}: {complaint}");
            }
        }
    }
}

#[test]
fn an_svg_holds_outlines_alone_and_decodes_to_its_line_of_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let plates = plates(5);
    for (at, face) in Face::built_in().iter().enumerate() {
        let finish = Finish::ALL[at % Finish::ALL.len()];
        let run = run(&face.id, "single", finish);
        let mut files = Vec::new();
        let records = render_svgs(&run, &plates, |index, svg| {
            let path = folder.path().join(format!("{}-{index}.svg", face.id));
            std::fs::write(&path, svg)?;
            files.push(path);
            Ok(())
        })
        .unwrap();
        let (_, summary) = render(&run, &plates);
        assert!(records.iter().eq(summary.plates.iter().map(|placed| &placed.symbol)));
        for (path, plate) in files.iter().zip(&plates) {
            let svg = std::fs::read_to_string(path).unwrap();
            let (width, height) = face.outline.size();
            assert!(svg.contains(&format!("width=\"{width}mm\" height=\"{height}mm\"")), "{svg:.300}");
            assert!(!svg.contains("<text") && !svg.contains("font") && svg.contains("<g id=\"cut\""));
            if !have("mutool") || !have("zbarimg") {
                return skip_or_fail("mutool and zbarimg (packages mupdf-tools, zbar-tools)");
            }
            assert_eq!(svg_says(path), [plate.payload.as_str()], "{} {finish}", face.id);
        }
    }
}

/// What an SVG says, drawn by mupdf and read by zbar.
pub(super) fn svg_says(path: &Path) -> Vec<String> {
    let picture = path.with_extension("png");
    let drawn = Command::new("mutool")
        .args(["draw", "-q", "-r", "250", "-o"])
        .arg(&picture)
        .arg(path)
        .output()
        .unwrap();
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    symbols_of_image(&picture)
}

#[test]
fn a_label_printer_gets_whole_dots_that_decode_at_every_resolution() {
    let folder = tempfile::tempdir().unwrap();
    let plates = plates(3);
    for face in Face::built_in() {
        for head in PrintHead::ALL {
            let run = run(&face.id, "roll", Finish::Color);
            let mut zpl = Vec::new();
            render_zpl(&run, &plates, *head, &mut zpl).unwrap();
            let zpl = String::from_utf8(zpl).unwrap();
            assert_eq!(zpl.lines().count(), plates.len());
            if !have("zbarimg") {
                return skip_or_fail("zbarimg (package zbar-tools)");
            }
            for (label, plate) in zpl.lines().zip(&plates) {
                let picture = folder.path().join("label.pbm");
                std::fs::write(&picture, picture_of(label)).unwrap();
                assert_eq!(symbols_of_image(&picture), [plate.payload.as_str()], "{} at {head} dpi", face.id);
            }
        }
    }
}

/// The picture of a label as a bitmap, with a margin as a label on its roll has one.
pub(super) fn picture_of(label: &str) -> Vec<u8> {
    use base64::Engine;
    let number = |command: &str| -> usize {
        let (_, rest) = label.split_once(command).unwrap();
        rest.split(|character: char| !character.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let (width, height) = (number("^PW"), number("^LL"));
    let packed = label.split(':').nth(2).unwrap();
    let packed = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
    let mut dots = Vec::new();
    flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut dots).unwrap();
    assert_eq!(dots.len(), number("^GFA,"));
    let (row_bytes, margin) = (width.div_ceil(8), 8);
    let mut bitmap =
        format!("P4\n{} {}\n", (row_bytes + 2 * margin) * 8, height + 2 * margin * 8).into_bytes();
    let blank = vec![0u8; row_bytes + 2 * margin];
    bitmap.extend(blank.repeat(margin * 8));
    for row in dots.chunks(row_bytes) {
        bitmap.extend_from_slice(&blank[..margin]);
        bitmap.extend_from_slice(row);
        bitmap.extend_from_slice(&blank[..margin]);
    }
    bitmap.extend(blank.repeat(margin * 8));
    bitmap
}

#[test]
fn a_printers_error_is_taken_back_on_paper_and_on_labels() {
    let sheet = Sheet::built_in().into_iter().find(|sheet| sheet.id == "single").unwrap();
    let mut shifted = run("rect-90x60", "single", Finish::Color);
    let (straight, _) = render(&shifted, &plates(1));
    shifted.sheet =
        Sheet { printer: lidmark::plates::Printer { offset_x: 1.5, offset_y: -2.0, scale: 1.02 }, ..sheet };
    let (bytes, summary) = render(&shifted, &plates(1));
    let folder = tempfile::tempdir().unwrap();
    let Some([before, after]) = [straight, bytes]
        .map(|bytes| {
            let pdf = on_disk(folder.path(), &shifted, &bytes);
            have("pdftoppm").then(|| dark_box(folder.path(), &pdf))
        })
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .and_then(|both| <[_; 2]>::try_from(both).ok())
    else {
        return skip_or_fail("pdftoppm (package poppler-utils)");
    };
    // The whole drawing of 94 by 64 mm, grown by 2 % and moved: 600 dpi are 23.6 dots a millimetre.
    let expected = |edge: f64, offset: f64| offset + edge * 1.02;
    for (place, offset) in [(0, 1.5), (1, -2.0)] {
        let (was, is) = (before[place] / 600.0 * 25.4, after[place] / 600.0 * 25.4);
        assert!((is - expected(was, offset)).abs() < 0.1, "{was} mm became {is} mm");
    }
    assert_eq!(summary.plates.len(), 1);

    let mut zpl = Vec::new();
    render_zpl(&shifted, &plates(1), PrintHead::Dpi300, &mut zpl).unwrap();
    assert!(String::from_utf8(zpl).unwrap().contains("^LS-18^LT-24"));
}

/// Left edge and upper edge of the first finder pattern, in dots at 600 dpi.
fn dark_box(folder: &Path, pdf: &Path) -> [f64; 2] {
    let status =
        Command::new("pdftoppm").args(["-gray", "-png", "-r", "600"]).arg(pdf).arg(folder.join("p")).status();
    assert!(status.unwrap().success());
    let page = image::open(folder.join("p-1.png")).unwrap().to_luma8();
    // Left of the texts and below the band nothing is dark before the symbol but holes, which are rings.
    let dots = 600.0 / 25.4;
    let (from, to) = (17.0 * dots, 50.0 * dots);
    let dark = |x: u32, y: u32| page.get_pixel(x, y).0[0] < 100;
    let left = (0..page.width()).find(|x| (from as u32..to as u32).filter(|y| dark(*x, *y)).count() > 100);
    let left = left.unwrap();
    let column = left + 10;
    let top = (from as u32..to as u32).find(|y| (*y..*y + 60).all(|y| dark(column, y)));
    [f64::from(left), f64::from(top.unwrap())]
}
