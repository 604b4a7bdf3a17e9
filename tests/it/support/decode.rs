//! Reads plates as a phone and a person would: PDF → raster → symbols, PDF → text.

use std::path::Path;
use std::process::Command;

use super::{have, skip_or_fail};

/// Every QR payload on the pages of a PDF at this resolution, page by page.
/// `None`, with a message, where the decoders are missing; a failure where `CI` is set.
pub fn symbols_of_pdf(pdf: &Path, dpi: u32) -> Option<Vec<Vec<String>>> {
    if !have("pdftoppm") || !have("zbarimg") {
        skip_or_fail("a decoder (packages poppler-utils, zbar-tools)");
        return None;
    }
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let status = Command::new("pdftoppm")
        .args(["-gray", "-r", &dpi.to_string()])
        .arg(pdf)
        .arg(folder.path().join("page"))
        .status()
        .expect("pdftoppm can be started");
    assert!(status.success(), "pdftoppm cannot read {}", pdf.display());
    let mut pages: Vec<_> =
        std::fs::read_dir(folder.path()).expect("just made").flatten().map(|entry| entry.path()).collect();
    pages.sort();
    Some(pages.iter().map(|page| symbols_of_image(page)).collect())
}

/// Every QR payload in an image, in the decoder's order.
pub fn symbols_of_image(image: &Path) -> Vec<String> {
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .arg(image)
        .output()
        .expect("zbarimg can be started");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Every QR payload that ZXing reads in a picture.
pub fn zxing_reads(picture: &image::GrayImage) -> Vec<String> {
    let (width, height) = picture.dimensions();
    let view = zxingcpp::ImageView::from_slice(picture.as_raw(), width, height, zxingcpp::ImageFormat::Lum);
    let reader = zxingcpp::read().formats(zxingcpp::BarcodeFormat::QRCode);
    let read = reader.from(view.expect("one byte a dot")).expect("a picture can be looked at");
    read.into_iter().map(|code| code.text()).collect()
}

/// The text of a PDF in reading order. `None` as above.
pub fn text_of_pdf(pdf: &Path) -> Option<String> {
    if !have("pdftotext") {
        skip_or_fail("pdftotext (package poppler-utils)");
        return None;
    }
    let output =
        Command::new("pdftotext").arg("-raw").arg(pdf).arg("-").output().expect("pdftotext can be started");
    assert!(output.status.success(), "pdftotext cannot read {}", pdf.display());
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
