//! 井档案 on paper: what is known of a cover and its manhole as an A4 document, with photos and a symbol that
//! leads to itself. Drawn with the fonts and the symbols of the plates; what stands in it is told by others.

use std::collections::BTreeSet;
use std::io::Write;

use super::draw::{Fonts, PT_PER_MM, QUIET, font_of};
use super::face::Weight;
use super::figure::Figure;
use super::fonts::Font;
use super::leaf::{
    BLACK, Flow, GRAY, LEADING, Leaf, MARGIN, MISSING, PAGE, Pen, SMALL, WIDTH, number_pages, packed, pen,
    wrap,
};
use super::palette::Palette;
use super::pdf::{JpegFrame, PageBoxes, PdfWriter};
use super::symbol::{Level, Symbol, SymbolMaker};
use super::{PlateError, proof};
use crate::domain::Refusal;
use crate::domain::cover::CoverClass;
use crate::domain::ids::Millis;

/// What a document says.
#[derive(Debug, Clone)]
pub struct Dossier {
    pub title: String,
    /// The code in its groups.
    pub code: String,
    /// Class and place, below the code.
    pub lead: Vec<String>,
    pub class: CoverClass,
    /// Where the symbol leads, and what stands below it.
    pub address: String,
    pub address_hint: String,
    pub sections: Vec<Section>,
    /// At the foot of every page.
    pub footer: String,
    pub dated: Millis,
}

/// A part of the document under a heading of its own.
#[derive(Debug, Clone)]
pub struct Section {
    pub heading: String,
    pub body: Body,
}

#[derive(Debug, Clone)]
pub enum Body {
    /// Names and values.
    Facts(Vec<(String, String)>),
    /// Each a line and what stands smaller behind it.
    Lines(Vec<(String, String)>),
    /// Captions; the pictures are asked for by their place in this list, one at a time.
    Pictures(Vec<String>),
    Figure(Figure),
    /// One below the other.
    Parts(Vec<Body>),
}

impl Body {
    fn is_empty(&self) -> bool {
        match self {
            Body::Facts(pairs) | Body::Lines(pairs) => pairs.is_empty(),
            Body::Pictures(captions) => captions.is_empty(),
            Body::Figure(figure) => figure.is_empty(),
            Body::Parts(parts) => parts.iter().all(Body::is_empty),
        }
    }

    fn add_characters(&self, to: &mut BTreeSet<char>) {
        match self {
            Body::Facts(pairs) | Body::Lines(pairs) => {
                to.extend(pairs.iter().flat_map(|(one, other)| one.chars().chain(other.chars())));
            }
            Body::Pictures(captions) => to.extend(captions.iter().flat_map(|text| text.chars())),
            Body::Figure(figure) => to.extend(figure.texts.iter().flat_map(|text| text.text.chars())),
            Body::Parts(parts) => parts.iter().for_each(|part| part.add_characters(to)),
        }
    }
}

/// Side of the symbol with its quiet zone.
const SYMBOL: f64 = 34.0;
const LABEL: f64 = 44.0;
/// A picture's box; two stand side by side.
const PICTURE: [f64; 2] = [86.0, 64.0];
/// Writes the document. A picture that `picture` does not have is an empty frame. A character that the font
/// has not is shown as 〓.
pub fn render_dossier(
    dossier: &Dossier,
    palette: &Palette,
    mut picture: impl FnMut(usize) -> Option<Vec<u8>>,
    out: &mut impl Write,
) -> Result<u64, PlateError> {
    let symbol = SymbolMaker::default().make(&dossier.address, Level::M, None)?;
    if !proof::says(&symbol.rows, &dossier.address) {
        return Err(Refusal::new("plates.proof").with("plate", 1).with("fault", "payload").into());
    }
    let fonts = cut_fonts(dossier)?;
    let mut flow = Flow { fonts: &fonts, pages: vec![Leaf::default()], y: MARGIN };
    flow.head(dossier, palette, &symbol);
    for section in dossier.sections.iter().filter(|section| !section.body.is_empty()) {
        flow.section(section);
    }
    let pages = flow.pages;

    let media = PAGE.map(|length| length * PT_PER_MM);
    let mut pdf = PdfWriter::begin(out, PageBoxes { media, trim: None })?;
    let resources = pdf.text_resources(fonts.iter().flatten())?;
    let count = pages.len();
    for (at, mut page) in pages.into_iter().enumerate() {
        number_pages(&mut page, &fonts, (at, count), &dossier.footer);
        let mut images = Vec::new();
        for (which, [x, y]) in &page.pictures {
            let bytes = picture(*which);
            let frame = bytes.as_deref().and_then(JpegFrame::read);
            let content = &mut page.content;
            content.raw("q 0.85 G 0.2 w");
            content.op(&[*x, PAGE[1] - y - PICTURE[1], PICTURE[0], PICTURE[1]], "re S Q");
            let (Some(bytes), Some(frame)) = (bytes, frame) else { continue };
            let (wide, high) = (f64::from(frame.width), f64::from(frame.height));
            let scale = (PICTURE[0] / wide).min(PICTURE[1] / high);
            let (wide, high) = (wide * scale, high * scale);
            let left = x + (PICTURE[0] - wide) / 2.0;
            let bottom = PAGE[1] - y - PICTURE[1] + (PICTURE[1] - high) / 2.0;
            content.raw("q");
            content.op(&[wide, 0.0, 0.0, high, left, bottom], "cm");
            content.raw(&format!("/I{} Do Q", images.len()));
            images.push(pdf.jpeg(&bytes, &frame)?);
        }
        let deflated = packed(&page)?;
        if images.is_empty() {
            pdf.page(&deflated)?;
        } else {
            pdf.page_with_images(&deflated, &resources, &images)?;
        }
    }
    Ok(pdf.finish(&resources, &format!("{} {}", dossier.title, dossier.code), dossier.dated)?)
}

fn cut_fonts(dossier: &Dossier) -> Result<Fonts, PlateError> {
    let mut bold = BTreeSet::from([MISSING]);
    let mut regular: BTreeSet<char> = BTreeSet::from([MISSING, ' ', '/', '…']);
    regular.extend('0'..='9');
    bold.extend(dossier.title.chars().chain(dossier.code.chars()));
    let small = [&dossier.footer, &dossier.address_hint];
    regular.extend(small.into_iter().chain(&dossier.lead).flat_map(|text| text.chars()));
    for section in &dossier.sections {
        bold.extend(section.heading.chars());
        section.body.add_characters(&mut regular);
    }
    Ok([Some(Font::cut(Weight::Regular, &regular)?), Some(Font::cut(Weight::Bold, &bold)?)])
}

const TITLE: Pen = pen(Weight::Bold, 18.0, BLACK);
const CODE: Pen = pen(Weight::Bold, 16.0, BLACK);
const LEAD: Pen = pen(Weight::Regular, 10.5, BLACK);
const HEADING: Pen = pen(Weight::Bold, 11.5, BLACK);
const TEXT: Pen = pen(Weight::Regular, 9.0, BLACK);
const NAME: Pen = pen(Weight::Regular, 9.0, GRAY);
const HINT: Pen = pen(Weight::Regular, 6.5, GRAY);

/// What must fit on a page below a heading.
fn least_height(body: &Body) -> f64 {
    match body {
        Body::Pictures(_) => PICTURE[1],
        Body::Figure(figure) => figure.height_mm(),
        Body::Parts(parts) => {
            // A line of words stands with the drawing below it.
            let words = parts.iter().take_while(|part| !matches!(part, Body::Figure(_))).count();
            parts.get(words).map_or(8.0, |part| 8.0 * words as f64 + least_height(part))
        }
        Body::Facts(_) | Body::Lines(_) => 8.0,
    }
}

impl Flow<'_> {
    fn head(&mut self, dossier: &Dossier, palette: &Palette, symbol: &Symbol) {
        let ground = palette.ground(dossier.class);
        let content = &mut self.page().content;
        content.color(ground);
        content.op(&[0.0, PAGE[1] - 6.0, PAGE[0], 6.0], "re f");
        let module = SYMBOL / (symbol.rows.len() as f64 + 2.0 * QUIET);
        let (left, top) = (PAGE[0] - MARGIN - SYMBOL, MARGIN - 4.0);
        let corner = (left + QUIET * module, PAGE[1] - top - SYMBOL + QUIET * module);
        content.symbol(module, corner, symbol);
        content.raw("f Q");
        let room = WIDTH - SYMBOL - 4.0;
        let fonts = self.fonts;
        self.say(TITLE, MARGIN, &dossier.title);
        self.y += 10.0;
        self.say(CODE, MARGIN, &dossier.code);
        self.y += 8.5;
        if let Some(font) = font_of(fonts, Weight::Regular) {
            for lead in &dossier.lead {
                for line in wrap(lead, room / LEAD.size(), font) {
                    self.say(LEAD, MARGIN, &line);
                    self.y += 5.4;
                }
            }
            let below = top + SYMBOL + 2.5;
            for (at, line) in wrap(&dossier.address_hint, SYMBOL / HINT.size(), font).iter().enumerate() {
                let baseline = below + at as f64 * 3.0;
                self.page().text(fonts, HINT, (left, baseline), line);
                self.y = self.y.max(baseline + 2.0);
            }
        }
        self.y += 3.0;
    }

    fn section(&mut self, section: &Section) {
        // A heading does not stand alone at the foot of a page.
        self.need(10.0 + least_height(&section.body));
        self.y += 2.5;
        self.say(HEADING, MARGIN, &section.heading);
        self.y += 6.0;
        let rule = PAGE[1] - self.y;
        let content = &mut self.page().content;
        content.raw("q 0.7 G 0.25 w");
        content.op(&[MARGIN, rule], "m");
        content.op(&[MARGIN + WIDTH, rule], "l S Q");
        self.y += 1.6;
        self.body(&section.body);
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Facts(pairs) => self.facts(pairs),
            Body::Lines(lines) => self.lines(lines),
            Body::Pictures(captions) => self.pictures(captions),
            Body::Figure(figure) => self.figure(figure),
            Body::Parts(parts) => parts.iter().for_each(|part| self.body(part)),
        }
    }

    fn facts(&mut self, pairs: &[(String, String)]) {
        let Some(font) = font_of(self.fonts, Weight::Regular) else { return };
        for (name, value) in pairs {
            let names = wrap(name, (LABEL - 3.0) / NAME.size(), font);
            let values = wrap(value, (WIDTH - LABEL) / TEXT.size(), font);
            for at in 0..names.len().max(values.len()) {
                self.need(4.8);
                if let Some(line) = names.get(at) {
                    self.say(NAME, MARGIN, line);
                }
                if let Some(line) = values.get(at) {
                    self.say(TEXT, MARGIN + LABEL, line);
                }
                self.y += 4.6;
            }
            self.y += 0.4;
        }
    }

    fn lines(&mut self, lines: &[(String, String)]) {
        let Some(font) = font_of(self.fonts, Weight::Regular) else { return };
        for (line, more) in lines {
            let parts: Vec<(Pen, String)> = [(TEXT, line), (SMALL, more)]
                .into_iter()
                .flat_map(|(pen, text)| {
                    wrap(text, WIDTH / pen.size(), font).into_iter().map(move |part| (pen, part))
                })
                .collect();
            // What belongs together stays on one page, where it is not longer than many.
            let height: f64 = parts.iter().map(|(pen, _)| pen.size() * LEADING).sum();
            self.need(height.min(40.0));
            for (pen, part) in parts {
                self.need(pen.size() * LEADING);
                self.say(pen, MARGIN, &part);
                self.y += pen.size() * LEADING;
            }
            self.y += 0.9;
        }
    }

    fn pictures(&mut self, captions: &[String]) {
        let Some(font) = font_of(self.fonts, Weight::Regular) else { return };
        for (row, pair) in captions.chunks(2).enumerate() {
            self.need(PICTURE[1] + 6.0);
            let y = self.y;
            for (at, caption) in pair.iter().enumerate() {
                let x = MARGIN + at as f64 * (WIDTH - PICTURE[0]);
                self.page().pictures.push((row * 2 + at, [x, y]));
                let line = wrap(caption, PICTURE[0] / SMALL.size(), font).into_iter().next();
                let (fonts, below) = (self.fonts, y + PICTURE[1] + 3.6);
                self.page().text(fonts, SMALL, (x, below), &line.unwrap_or_default());
            }
            self.y = y + PICTURE[1] + 6.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dossier(lines: usize, pictures: usize) -> Dossier {
        let entry = |at: usize| (format!("2026-11-24 08:00 · 系统 · 建档 #{at}"), "来源：东营".to_owned());
        Dossier {
            title: "井档案".into(),
            code: "370502 01 02 000017".into(),
            lead: vec!["污水井盖".into(), "东营区 · 济南路".into()],
            class: CoverClass::Sewage,
            address: "https://lid.example.cn/covers/3705020102000017/file.pdf".into(),
            address_hint: "lid.example.cn".into(),
            sections: vec![
                Section {
                    heading: "属性".into(),
                    body: Body::Facts(vec![("道路".into(), "济南路🦀".into()), ("空".into(), String::new())]),
                },
                Section {
                    heading: "档案记录".into(), body: Body::Lines((1..=lines).map(entry).collect())
                },
                Section {
                    heading: "照片".into(),
                    body: Body::Pictures((0..pictures).map(|at| format!("第 {at} 张")).collect()),
                },
            ],
            footer: "城市井盖服务".into(),
            dated: Millis(0),
        }
    }

    fn render(dossier: &Dossier, picture: impl FnMut(usize) -> Option<Vec<u8>>) -> lopdf::Document {
        let mut out = Vec::new();
        let bytes = render_dossier(dossier, &Palette::built_in(), picture, &mut out).unwrap();
        assert_eq!(bytes, out.len() as u64);
        lopdf::Document::load_mem(&out).unwrap()
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let picture = image::RgbImage::from_pixel(width, height, image::Rgb([9, 99, 200]));
        let mut out = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
        out.into_inner()
    }

    #[test]
    fn a_long_file_goes_on_from_page_to_page() {
        assert_eq!(render(&dossier(100, 0), |_| None).get_pages().len(), 4);
        let mut asked = Vec::new();
        let pages = render(&dossier(3, 9), |at| {
            asked.push(at);
            (at != 4).then(|| jpeg(40 + at as u32, 30))
        });
        assert_eq!(asked, (0..9).collect::<Vec<_>>());
        assert_eq!(pages.get_pages().len(), 2);
    }

    #[test]
    fn a_picture_is_measured_before_it_is_drawn() {
        let frame = JpegFrame::read(&jpeg(123, 45)).unwrap();
        assert_eq!((frame.width, frame.height, frame.components), (123, 45, 3));
        for bytes in [&b""[..], b"\xff\xd8", b"\xff\xd8\xff\xc0\0\x11", b"\x89PNG\r\n\x1a\n", &[0xff; 40]] {
            assert_eq!(JpegFrame::read(bytes), None);
        }
        // What is no picture leaves an empty frame.
        assert_eq!(render(&dossier(1, 1), |_| Some(b"no jpeg".to_vec())).get_pages().len(), 1);
    }
}
