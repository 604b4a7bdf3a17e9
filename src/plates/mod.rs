//! 铭牌: tokens, a face and a sheet become a vector PDF, every symbol proved before release, and a
//! ledger; the file of a manhole and the notices of supervisors become documents. Knows `domain` and the files in `labels/`; who may
//! print and what is stored is not decided here.

mod calibration;
mod checks;
mod dossier;
mod draw;
mod face;
mod face_faults;
mod face_file;
mod figure;
mod finish;
mod fonts;
mod glyphs;
mod label_file;
mod leaf;
mod ledger;
mod letter;
mod palette;
mod pdf;
mod proof;
mod shapes;
mod sheet;
mod svg;
mod symbol;
mod typeset;
mod workers;
mod zpl;

use flate2::Compression;
use std::collections::BTreeSet;
use std::io::{self, Write};

pub use calibration::{Measured, Rulers, render_calibration};
pub use checks::{PlateChecks, check_face};
pub use dossier::{Body, Dossier, Section, render_dossier};
pub use face::{Align, Area, Face, Field, Hole, Ink, Outline, TextBox, Weight};
pub use face_faults::{FaceFault, ShowFault, placeholders};
pub use figure::{Figure, FigureBox, FigureLine, FigureText};
pub use fonts::{FontError, HeldFonts, hold_fonts};
pub use ledger::write_ledger;
pub use letter::{Letter, LetterTable, Slip, render_letter};
pub use palette::Palette;
pub use sheet::{Layout, Printer, Sheet};
pub use svg::render_svgs;
pub use symbol::Level;
pub use zpl::{PrintHead, render_zpl};

use crate::domain::Refusal;
use crate::domain::cover::CoverClass;
use crate::domain::ids::Millis;
use crate::domain::plate::{Finish, SymbolRecord};
use crate::domain::token::Token;
use draw::{Content, Drawing, Fonts, PT_PER_MM, QUIET, font_of};
use fonts::Font;
use pdf::{Packer, PageBoxes, PdfWriter, trimmed};
use symbol::{SymbolMaker, side};
use typeset::{Line, MM_PER_PT, Unfit};

/// Smallest module, in millimetres, that a phone reads off a weathered plate.
const SMALLEST_MODULE: f64 = 0.5;
/// Plates that one thread draws before it hands them over.
const PLATES_PER_PART: usize = 64;
const CAPTION_PT: f64 = 7.0;
/// Levels 8 and 9 save another two bytes a plate and take twice as long.
const PAGE_PACKING: Compression = Compression::new(7);

/// How a batch is printed.
#[derive(Debug, Clone)]
pub struct PlateRun {
    pub face: Face,
    pub sheet: Sheet,
    pub palette: Palette,
    pub finish: Finish,
    /// Names the batch in the caption and in the title of the file.
    pub title: String,
    /// When the batch was made; the file's date, so that a reprint has the same bytes.
    pub dated: Millis,
}

/// What one plate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlateSpec {
    pub token: Token,
    /// What the symbol says, see [`crate::domain::token::plate_payload`]; ends with the token.
    pub payload: String,
    /// Code as printed, in groups; `None` = a blank plate, to be bound in the field.
    pub code_groups: Option<String>,
    pub class: CoverClass,
    /// The class in the city's words.
    pub class_label: String,
    pub owner: String,
    pub hotline: String,
    pub road: String,
    /// `None` = H where its modules are not too small on the face, else Q.
    pub level: Option<Level>,
    /// The symbol of an earlier print, to be drawn again; it overrides `level`.
    pub symbol: Option<SymbolRecord>,
}

/// Where a plate lies and how its symbol is drawn. Pages and places count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedPlate {
    pub symbol: SymbolRecord,
    pub page: i64,
    pub place_on_page: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderSummary {
    /// In the order of the plates.
    pub plates: Vec<PlacedPlate>,
    pub pages: usize,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum PlateError {
    /// The order does not fit; nothing may be released.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Font(#[from] FontError),
    #[error("the plates could not be written")]
    Write(#[from] io::Error),
}

/// Refuses a batch that [`render_batch`] would refuse for what it was asked for: texts that do not fit,
/// and modules that are too small, which they are for all plates of one host and level alike.
pub fn check_plates(run: &PlateRun, plates: &[PlateSpec]) -> Result<(), PlateError> {
    let batch = Batch::prepare(run, plates)?;
    batch.symbol(&mut SymbolMaker::default(), 0, &plates[0]).map(drop)
}

/// Writes the plates as one PDF, page by page. All texts are checked before the first byte, every
/// symbol is proved before its page is written. On an error `out` holds a torn file: write to a
/// temporary file and release it only when this returns a summary.
pub fn render_batch(
    run: &PlateRun,
    plates: &[PlateSpec],
    out: &mut impl Write,
) -> Result<RenderSummary, PlateError> {
    let batch = Batch::prepare(run, plates)?;
    let page = batch.layout.page;
    let (width, height) = run.face.outline.size();
    let bleed = run.sheet.bleed;
    let boxes = PageBoxes {
        media: [page.width * PT_PER_MM, page.height * PT_PER_MM],
        trim: run.sheet.page.is_none().then(|| trimmed([page.width, page.height], bleed)),
    };
    let mut pdf = PdfWriter::begin(out, boxes)?;
    let resources = pdf.resources(
        batch.fonts.iter().flatten(),
        (&batch.shared_part, [-bleed, -bleed, width + bleed, height + bleed]),
        &batch.frame_part,
        run.sheet.cut_contour.as_deref(),
    )?;
    let mut placed = Vec::with_capacity(plates.len());
    let pages_per_part = PLATES_PER_PART.div_ceil(batch.layout.per_page());
    workers::in_order(
        batch.pages.div_ceil(pages_per_part),
        || (SymbolMaker::default(), Packer::new(PAGE_PACKING)),
        |tools, part| {
            let first = part * pages_per_part;
            let pages = first..batch.pages.min(first + pages_per_part);
            pages.map(|page| batch.page(tools, page)).collect::<Result<Vec<_>, PlateError>>()
        },
        |pages| {
            for page in pages {
                pdf.page(&page.deflated)?;
                for record in page.records {
                    placed.push(batch.placed(placed.len(), record));
                }
            }
            Ok(())
        },
    )?;
    let bytes = pdf.finish(&resources, &run.title, run.dated)?;
    Ok(RenderSummary { plates: placed, pages: batch.pages, bytes })
}

/// A batch whose texts are known to fit and whose fonts are cut down.
struct Batch<'a> {
    run: &'a PlateRun,
    plates: &'a [PlateSpec],
    layout: Layout,
    pages: usize,
    fonts: Fonts,
    /// What every plate shows alike.
    shared_part: Vec<u8>,
    /// What every page shows alike.
    frame_part: Vec<u8>,
}

/// A page that passed its proof.
struct Page {
    deflated: Vec<u8>,
    records: Vec<SymbolRecord>,
}

impl<'a> Batch<'a> {
    fn prepare(run: &'a PlateRun, plates: &'a [PlateSpec]) -> Result<Self, PlateError> {
        if plates.is_empty() {
            return Err(Refusal::new("plates.empty").into());
        }
        for (at, spec) in plates.iter().enumerate() {
            // The token must be the last part, in capitals, whatever the case of the host.
            if spec.payload.rsplit('/').next() != Some(&spec.token.to_string()) {
                return Err(Refusal::new("plates.payload_token").at("payload").with("plate", at + 1).into());
            }
        }
        let layout = run.sheet.lay_out(&run.face)?;
        let pages = plates.len().div_ceil(layout.per_page());
        let (fonts, shared_part, frame_part) = ([None, None], Vec::new(), Vec::new());
        let mut batch = Self { run, plates, layout, pages, fonts, shared_part, frame_part };

        let mut shown = [BTreeSet::new(), BTreeSet::new()];
        for text in &run.face.texts {
            let characters = &mut shown[text.weight as usize];
            if text.is_fixed() {
                characters
                    .extend(typeset::expand(text, &run.face, None).iter().flat_map(|text| text.chars()));
                continue;
            }
            for spec in plates {
                if let Some(text) = typeset::expand(text, &run.face, Some(spec)) {
                    characters.extend(text.chars());
                }
            }
        }
        if let Some(caption) = batch.caption(0) {
            shown[Weight::Regular as usize].extend(caption.chars().chain('0'..='9'));
        }
        for weight in [Weight::Regular, Weight::Bold] {
            let characters = &shown[weight as usize];
            if !characters.is_empty() {
                batch.fonts[weight as usize] = Some(Font::cut(weight, characters)?);
            }
        }

        for (at, spec) in plates.iter().enumerate() {
            batch.lines(at, spec)?;
        }
        for page in [0, pages - 1] {
            batch.caption_line(page)?;
        }
        batch.shared_part = batch.drawing().shared_part(&batch.fixed_lines()?);
        batch.frame_part = batch.drawing().frame_part();
        Ok(batch)
    }

    fn drawing(&self) -> Drawing<'_> {
        Drawing {
            face: &self.run.face,
            sheet: &self.run.sheet,
            palette: &self.run.palette,
            finish: self.run.finish,
            layout: &self.layout,
            fonts: &self.fonts,
        }
    }

    fn placed(&self, index: usize, symbol: SymbolRecord) -> PlacedPlate {
        let per_page = self.layout.per_page();
        PlacedPlate {
            symbol,
            page: (index / per_page + 1) as i64,
            place_on_page: (index % per_page + 1) as i64,
        }
    }

    /// The texts that every plate shows alike.
    fn fixed_lines(&self) -> Result<Vec<Line>, Refusal> {
        let mut lines = Vec::new();
        for text in self.run.face.texts.iter().filter(|text| text.is_fixed()) {
            lines.extend(self.set(0, text, None)?);
        }
        Ok(lines)
    }

    /// The texts of one plate that are its own.
    fn lines(&self, index: usize, spec: &PlateSpec) -> Result<Vec<Line>, Refusal> {
        let mut lines = Vec::with_capacity(self.run.face.texts.len());
        for text in self.run.face.texts.iter().filter(|text| !text.is_fixed()) {
            lines.extend(self.set(index, text, Some(spec))?);
        }
        Ok(lines)
    }

    fn set(&self, index: usize, text: &TextBox, spec: Option<&PlateSpec>) -> Result<Vec<Line>, Refusal> {
        let Some(words) = typeset::expand(text, &self.run.face, spec) else { return Ok(Vec::new()) };
        let Some(font) = font_of(&self.fonts, text.weight) else { return Ok(Vec::new()) };
        typeset::set(text, &words, font).map_err(|unfit| {
            let code = match unfit {
                Unfit::NoGlyph(_) => "plates.missing_glyph",
                Unfit::TooLong => "plates.text_long",
            };
            let refusal = Refusal::new(code)
                .at(text.show.clone())
                .with("plate", index + 1)
                .with("text", &words)
                .with("box", &text.show)
                .with("min", text.min_pt);
            match unfit {
                Unfit::NoGlyph(character) => refusal.with("character", name_character(character)),
                Unfit::TooLong => refusal,
            }
        })
    }

    fn caption(&self, page: usize) -> Option<String> {
        let caption = self.run.sheet.caption.as_ref()?;
        // Only where the grid leaves room between its marks and the margin.
        let free = self.layout.corner(0).1 - self.run.sheet.margin;
        let marks = self.run.sheet.crop_marks.map_or(0.0, |marks| marks.offset + marks.length);
        (free - marks >= CAPTION_PT * MM_PER_PT).then(|| {
            caption
                .replace("{face}", &self.run.face.id)
                .replace("{page}", &(page + 1).to_string())
                .replace("{pages}", &self.pages.to_string())
                .replace("{batch}", &self.run.title)
        })
    }

    fn caption_line(&self, page: usize) -> Result<Option<Line>, Refusal> {
        let (Some(caption), Some(font)) = (self.caption(page), font_of(&self.fonts, Weight::Regular)) else {
            return Ok(None);
        };
        let size = CAPTION_PT * MM_PER_PT;
        let margin = self.run.sheet.margin.max(4.0);
        let (width, height) = (self.layout.page.width - 2.0 * margin, size * 1.2);
        let text_box = TextBox {
            area: Area { x: margin, y: self.layout.page.height - margin - height, w: width, h: height },
            size_pt: CAPTION_PT,
            min_pt: 3.0,
            lines: 1,
            weight: Weight::Regular,
            align: Align::Center,
            ink: Ink::Gray,
            show: caption.clone(),
            pieces: Vec::new(),
            blank: None,
        };
        let lines = typeset::set(&text_box, &caption, font).map_err(|unfit| match unfit {
            Unfit::NoGlyph(character) => {
                Refusal::new("plates.caption_glyph").at("title").with("character", name_character(character))
            }
            Unfit::TooLong => Refusal::new("plates.caption_long").at("title").with("text", &caption),
        })?;
        Ok(lines.into_iter().next())
    }

    fn symbol(
        &self,
        maker: &mut SymbolMaker,
        index: usize,
        spec: &PlateSpec,
    ) -> Result<symbol::Symbol, PlateError> {
        let mut make = |level| {
            maker.make(&spec.payload, level, spec.symbol).map_err(|refusal| refusal.with("plate", index + 1))
        };
        let modules = |symbol: &symbol::Symbol| side(symbol.record.version) as f64 + 2.0 * QUIET;
        let size = self.run.face.qr.w;
        let mut symbol = make(spec.level.unwrap_or(Level::H))?;
        if spec.level.is_none() && size / modules(&symbol) < SMALLEST_MODULE {
            symbol = make(Level::Q)?;
        }
        let modules = modules(&symbol);
        let module = size / modules;
        if module < SMALLEST_MODULE {
            return Err(Refusal::new("plates.module_small")
                .at("payload")
                .with("plate", index + 1)
                .with("module", format!("{module:.2}"))
                .with("fits", format!("{:.1}", modules * SMALLEST_MODULE))
                .with("face", &self.run.face.id)
                .into());
        }
        Ok(symbol)
    }

    /// Draws and proves a page.
    fn page(&self, (maker, packer): &mut (SymbolMaker, Packer), page: usize) -> Result<Page, PlateError> {
        let drawing = self.drawing();
        let mut content = Content(Vec::with_capacity(4096 * self.layout.per_page()));
        if !self.frame_part.is_empty() {
            content.raw("/P Do");
        }
        if let Some(caption) = self.caption_line(page)? {
            drawing.caption(&mut content, &caption);
        }
        let first = page * self.layout.per_page();
        let specs = &self.plates[first..self.plates.len().min(first + self.layout.per_page())];
        let mut expected = Vec::with_capacity(specs.len());
        for (place, spec) in specs.iter().enumerate() {
            let lines = self.lines(first + place, spec)?;
            let symbol = self.symbol(maker, first + place, spec)?;
            expected.push(drawing.plate(&mut content, place, spec, &lines, &symbol));
        }
        let payloads: Vec<&str> = specs.iter().map(|spec| spec.payload.as_str()).collect();
        proof::check_page(&content.0, &self.shared_part, &expected, &payloads)
            .map_err(|(at, fault)| refused_proof(first + at, fault))?;
        Ok(Page {
            deflated: packer.pack(&content.0)?,
            records: expected.iter().map(|one| one.record).collect(),
        })
    }
}

fn refused_proof(index: usize, fault: proof::Fault) -> Refusal {
    Refusal::new("plates.proof").with("plate", index + 1).with("fault", fault.word())
}

/// A character so that people can find it, invisible ones too.
fn name_character(character: char) -> String {
    let number = u32::from(character);
    if character.is_control() || character.is_whitespace() {
        format!("U+{number:04X}")
    } else {
        format!("{character} (U+{number:04X})")
    }
}

#[cfg(test)]
mod tests {
    use super::proof::Expected;
    use super::*;
    use crate::domain::token::{PlateScheme, plate_payload};

    pub(super) fn plate(number: i64) -> PlateSpec {
        let token = Token::from_i64(number * 0x0005_DEEC_E66D).unwrap();
        PlateSpec {
            token,
            payload: plate_payload(PlateScheme::Https, "lid.example.cn", token, false),
            code_groups: Some(format!("370502 01 02 {number:06}")),
            class: CoverClass::Sewage,
            class_label: "污水井盖".into(),
            owner: "东营区城市管理局".into(),
            hotline: "12345".into(),
            road: "济南路".into(),
            level: Some(Level::Q),
            symbol: None,
        }
    }

    pub(super) fn run() -> PlateRun {
        PlateRun {
            face: Face::built_in().remove(0),
            sheet: Sheet::built_in().remove(0),
            palette: Palette::built_in(),
            finish: Finish::Color,
            title: "东营区 2026-001".into(),
            dated: Millis(1_790_000_000_000),
        }
    }

    /// Content, shared part, what is expected and the payload of a page with one plate.
    pub(super) fn page_of_one(spec: &PlateSpec) -> (Vec<u8>, Vec<u8>, Expected, String) {
        page_of(&run(), spec)
    }

    pub(super) fn page_of(run: &PlateRun, spec: &PlateSpec) -> (Vec<u8>, Vec<u8>, Expected, String) {
        let specs = [spec.clone()];
        let batch = Batch::prepare(run, &specs).unwrap();
        let drawing = batch.drawing();
        let mut content = Content::default();
        let symbol = batch.symbol(&mut SymbolMaker::default(), 0, spec).unwrap();
        let lines = batch.lines(0, spec).unwrap();
        let expected = drawing.plate(&mut content, 0, spec, &lines, &symbol);
        (content.0, batch.shared_part, expected, spec.payload.clone())
    }

    fn refusal_of(run: &PlateRun, plates: &[PlateSpec]) -> Refusal {
        let mut out = Vec::new();
        let Err(PlateError::Refused(refusal)) = render_batch(run, plates, &mut out) else {
            panic!("the batch should have been refused");
        };
        match check_plates(run, plates) {
            Err(PlateError::Refused(checked)) => assert_eq!(checked, refusal),
            other => panic!("the check should have refused them too: {other:?}"),
        }
        refusal
    }

    fn param<'r>(refusal: &'r Refusal, name: &str) -> &'r str {
        &refusal.params.iter().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn the_reprint_has_the_same_bytes() {
        let mut plates: Vec<PlateSpec> = (1..=150).map(plate).collect();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let summary = render_batch(&run(), &plates, &mut first).unwrap();
        let placed = summary.plates.clone();
        assert_eq!((summary.pages, summary.bytes), (19, first.len() as u64));
        assert_eq!((placed[149].page, placed[149].place_on_page), (19, 6));
        for (spec, placed) in plates.iter_mut().zip(&placed) {
            spec.symbol = Some(placed.symbol);
        }
        assert_eq!(render_batch(&run(), &plates, &mut second).unwrap(), summary);
        assert!(first == second);
    }

    #[test]
    fn a_recorded_mask_is_drawn_again() {
        let mut spec = plate(1);
        let chosen =
            render_batch(&run(), std::slice::from_ref(&spec), &mut Vec::new()).unwrap().plates[0].symbol;
        let other = SymbolRecord { mask: (chosen.mask + 1) % 8, ..chosen };
        spec.symbol = Some(other);
        let summary = render_batch(&run(), &[spec], &mut Vec::new()).unwrap();
        assert_eq!(summary.plates[0].symbol, other);
    }

    #[test]
    fn a_missing_glyph_refuses_the_batch_and_names_character_and_plate() {
        let plates = [plate(1), PlateSpec { owner: "东营🚰局".into(), ..plate(2) }];
        let refusal = refusal_of(&run(), &plates);
        assert_eq!(refusal.code, "plates.missing_glyph");
        assert_eq!((param(&refusal, "plate"), param(&refusal, "character")), ("2", "🚰 (U+1F6B0)"));
    }

    #[test]
    fn a_text_that_is_too_long_fails_by_name() {
        let plates = [plate(1), plate(2), PlateSpec { road: "很长的路名".repeat(12), ..plate(3) }];
        let refusal = refusal_of(&run(), &plates);
        assert_eq!(refusal.code, "plates.text_long");
        assert_eq!((param(&refusal, "plate"), param(&refusal, "box")), ("3", "位置  {road}"));
    }

    #[test]
    fn a_symbol_too_fine_for_the_face_is_refused() {
        let face = include_str!("../../labels/faces/rect-90x60.toml").replace("size = 36.5", "size = 18");
        let run = PlateRun { face: Face::from_toml(&face).unwrap(), ..run() };
        assert_eq!(refusal_of(&run, &[plate(1)]).code, "plates.module_small");
    }

    #[test]
    fn a_payload_that_says_another_token_is_refused() {
        let spec = PlateSpec { payload: plate(2).payload, ..plate(1) };
        assert_eq!(refusal_of(&run(), &[spec]).code, "plates.payload_token");
        assert_eq!(refusal_of(&run(), &[]).code, "plates.empty");
    }
}
