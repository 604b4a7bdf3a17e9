//! 公文: a letter on A4 with a red head, its number, whom it goes to, what it asks, a table, who sends it, and a slip to be
//! signed and sent back. The same words make the same bytes.

use std::collections::BTreeSet;
use std::io::Write;

use super::PlateError;
use super::draw::{Fonts, PT_PER_MM, font_of};
use super::face::Weight;
use super::fonts::Font;
use super::leaf::{
    BLACK, Flow, GRAY, Leaf, MARGIN, MISSING, PAGE, Pen, WIDTH, number_pages, packed, pen, width, wrap,
};
use super::palette::Rgb;
use super::pdf::{PageBoxes, PdfWriter};
use crate::domain::ids::Millis;

/// What a letter says.
#[derive(Debug, Clone)]
pub struct Letter {
    /// In red, over the rule.
    pub head: String,
    pub number: String,
    pub title: String,
    /// To whom it goes, as the first line of the text.
    pub to: String,
    pub paragraphs: Vec<String>,
    pub table: LetterTable,
    pub closing: Vec<String>,
    /// Who sends it and when; at the right.
    pub signature: Vec<String>,
    /// `None` = nothing has to be sent back.
    pub slip: Option<Slip>,
    /// At the foot of every page.
    pub footer: String,
    pub dated: Millis,
}

#[derive(Debug, Clone, Default)]
pub struct LetterTable {
    /// Heading and share of the width of each column.
    pub columns: Vec<(String, f64)>,
    pub rows: Vec<Vec<String>>,
}

/// The part at the end that the addressee signs.
#[derive(Debug, Clone)]
pub struct Slip {
    pub title: String,
    pub text: String,
    /// What is filled in by hand.
    pub lines: Vec<String>,
}

const RED: Rgb = [0.78, 0.05, 0.08];
const HEAD: Pen = pen(Weight::Bold, 30.0, RED);
const NUMBER: Pen = pen(Weight::Regular, 12.0, BLACK);
const TITLE: Pen = pen(Weight::Bold, 17.0, BLACK);
const TEXT: Pen = pen(Weight::Regular, 12.0, BLACK);
const CELL: Pen = pen(Weight::Regular, 9.0, BLACK);
const CELL_HEAD: Pen = pen(Weight::Bold, 9.0, BLACK);
const CUT: Pen = pen(Weight::Bold, 12.0, BLACK);
/// From line to line, in millimetres.
const STEP: f64 = 7.4;
const CELL_STEP: f64 = 4.6;
/// Around the text of a cell.
const PAD: f64 = 1.2;
/// Most lines of a cell; what is longer is told where the case is.
const CELL_LINES: usize = 14;

/// Writes the letter. A character that the font has not is shown as 〓.
pub fn render_letter(letter: &Letter, out: &mut impl Write) -> Result<u64, PlateError> {
    let fonts = cut_fonts(letter)?;
    let mut flow = Flow { fonts: &fonts, pages: vec![Leaf::default()], y: MARGIN + 4.0 };
    flow.letter_head(letter);
    flow.paragraph(TEXT, (MARGIN, WIDTH), STEP, &letter.to);
    for paragraph in &letter.paragraphs {
        flow.indented(paragraph);
    }
    flow.table(&letter.table);
    for paragraph in &letter.closing {
        flow.indented(paragraph);
    }
    flow.signature(&letter.signature);
    if let Some(slip) = &letter.slip {
        flow.slip(slip);
    }
    let pages = flow.pages;
    let media = PAGE.map(|length| length * PT_PER_MM);
    let mut pdf = PdfWriter::begin(out, PageBoxes { media, trim: None })?;
    let resources = pdf.text_resources(fonts.iter().flatten())?;
    let count = pages.len();
    for (at, mut page) in pages.into_iter().enumerate() {
        number_pages(&mut page, &fonts, (at, count), &letter.footer);
        pdf.page(&packed(&page)?)?;
    }
    Ok(pdf.finish(&resources, &format!("{} {}", letter.title, letter.number), letter.dated)?)
}

fn cut_fonts(letter: &Letter) -> Result<Fonts, PlateError> {
    let mut bold = BTreeSet::from([MISSING, ' ', '…']);
    let mut regular: BTreeSet<char> = BTreeSet::from([MISSING, ' ', '/', '…', '_']);
    regular.extend('0'..='9');
    let headings = letter.table.columns.iter().map(|(heading, _)| heading);
    let strong = [&letter.head, &letter.title].into_iter().chain(headings);
    bold.extend(strong.chain(letter.slip.iter().map(|slip| &slip.title)).flat_map(|text| text.chars()));
    let slip = letter.slip.iter().flat_map(|slip| slip.lines.iter().chain([&slip.text]));
    let plain = [&letter.number, &letter.to, &letter.footer].into_iter();
    let plain = plain.chain(&letter.paragraphs).chain(&letter.closing).chain(&letter.signature).chain(slip);
    regular.extend(plain.chain(letter.table.rows.iter().flatten()).flat_map(|text| text.chars()));
    Ok([Some(Font::cut(Weight::Regular, &regular)?), Some(Font::cut(Weight::Bold, &bold)?)])
}

impl Flow<'_> {
    /// A line in the middle of the page; one that is too long for its size is set smaller.
    fn centered(&mut self, pen: Pen, text: &str) {
        let fonts = self.fonts;
        let wide = width(text, fonts, pen.weight);
        let pen = if wide * pen.size() > WIDTH { pen.fitting(WIDTH / wide) } else { pen };
        let x = MARGIN + (WIDTH - wide * pen.size()) / 2.0;
        self.say(pen, x.max(MARGIN), text);
    }

    fn letter_head(&mut self, letter: &Letter) {
        self.centered(HEAD, &letter.head);
        self.y += 17.0;
        self.centered(NUMBER, &letter.number);
        self.y += 8.0;
        let y = self.y;
        self.page().rule((MARGIN, y, WIDTH), (0.9, RED));
        self.y += 8.0;
        let Some(font) = font_of(self.fonts, TITLE.weight) else { return };
        for line in wrap(&letter.title, WIDTH / TITLE.size(), font) {
            self.centered(TITLE, &line);
            self.y += 9.5;
        }
        self.y += 3.0;
    }

    /// Paragraphs that are set in by two ideographs, which stand before the first line while it is broken.
    fn indented(&mut self, text: &str) {
        let Some(font) = font_of(self.fonts, TEXT.weight) else { return };
        let set_in = [MISSING; 2].iter().collect::<String>();
        for part in text.lines().filter(|part| !part.trim().is_empty()) {
            for line in wrap(&format!("{set_in}{}", part.trim()), WIDTH / TEXT.size(), font) {
                self.need(STEP);
                match line.strip_prefix(&set_in) {
                    Some(line) => self.say(TEXT, MARGIN + 2.0 * TEXT.size(), line),
                    None => self.say(TEXT, MARGIN, &line),
                }
                self.y += STEP;
            }
        }
    }

    fn table(&mut self, table: &LetterTable) {
        if table.rows.is_empty() {
            return;
        }
        let whole: f64 = table.columns.iter().map(|(_, share)| share).sum();
        let widths: Vec<f64> = table.columns.iter().map(|(_, share)| share / whole * WIDTH).collect();
        let headings: Vec<String> = table.columns.iter().map(|(heading, _)| heading.clone()).collect();
        self.y += 1.0;
        self.row(CELL_HEAD, &widths, &headings);
        for row in &table.rows {
            let pages = self.pages.len();
            let height = self.row_height(CELL, &widths, row);
            self.need(height);
            if self.pages.len() > pages {
                // The headings stand over the rest as well.
                self.row(CELL_HEAD, &widths, &headings);
            }
            self.row(CELL, &widths, row);
        }
        self.y += 3.0;
    }

    fn row_height(&self, pen: Pen, widths: &[f64], cells: &[String]) -> f64 {
        let Some(font) = font_of(self.fonts, pen.weight) else { return 0.0 };
        let lines = widths.iter().zip(cells).map(|(wide, cell)| broken(cell, *wide, pen, font).len());
        lines.max().unwrap_or_default().max(1) as f64 * CELL_STEP + 2.0 * PAD
    }

    fn row(&mut self, pen: Pen, widths: &[f64], cells: &[String]) {
        let Some(font) = font_of(self.fonts, pen.weight) else { return };
        let height = self.row_height(pen, widths, cells);
        self.need(height);
        let top = self.y;
        let mut x = MARGIN;
        for (wide, cell) in widths.iter().zip(cells) {
            let content = &mut self.page().content;
            content.raw("q 0.35 G 0.25 w");
            content.op(&[x, PAGE[1] - top - height, *wide, height], "re S Q");
            for (at, line) in broken(cell, *wide, pen, font).iter().enumerate() {
                self.y = top + PAD + at as f64 * CELL_STEP;
                self.say(pen, x + PAD, line);
            }
            x += wide;
        }
        self.y = top + height;
    }

    fn signature(&mut self, lines: &[String]) {
        self.need(STEP * (lines.len() as f64 + 1.0));
        self.y += STEP;
        for line in lines {
            let wide = width(line, self.fonts, TEXT.weight) * TEXT.size();
            self.say(TEXT, (PAGE[0] - MARGIN - 8.0 - wide).max(MARGIN), line);
            self.y += STEP;
        }
    }

    /// Stands whole on one page.
    fn slip(&mut self, slip: &Slip) {
        let Some(font) = font_of(self.fonts, TEXT.weight) else { return };
        let text = wrap(&slip.text, WIDTH / TEXT.size(), font).len() as f64;
        self.need(26.0 + STEP * text + slip.lines.len() as f64 * (STEP + 3.0));
        self.y += 6.0;
        let y = self.y;
        self.page().content.raw("q [2 1.5] 0 d");
        self.page().rule((MARGIN, y, WIDTH), (0.25, GRAY));
        self.page().content.raw("Q");
        self.y += 6.0;
        self.centered(CUT, &slip.title);
        self.y += 9.0;
        self.paragraph(TEXT, (MARGIN, WIDTH), STEP, &slip.text);
        for line in &slip.lines {
            self.y += 3.0;
            self.say(TEXT, MARGIN, line);
            let wide = width(line, self.fonts, TEXT.weight) * TEXT.size();
            let (x, y) = (MARGIN + wide + 2.0, self.y + TEXT.size() + 0.8);
            self.page().rule((x, y, WIDTH - wide - 2.0), (0.25, BLACK));
            self.y += STEP;
        }
    }
}

fn broken(cell: &str, wide: f64, pen: Pen, font: &Font) -> Vec<String> {
    let mut lines = wrap(cell, (wide - 2.0 * PAD) / pen.size(), font);
    if lines.len() > CELL_LINES {
        lines.truncate(CELL_LINES - 1);
        lines.push('…'.to_string());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(rows: usize) -> Letter {
        let row = |at: usize| {
            let place = "东营区黄河路与胜利大街交叉口东南角人行道".to_owned();
            vec![format!("2026-{at:06}"), "破损/开裂".into(), place, "370502 01 02 000017".into()]
        };
        Letter {
            head: "东营市井盖服务督办单".into(),
            number: "〔2026〕12号".into(),
            title: "关于限期整改井盖隐患的督办单".into(),
            to: "东营水务、市政养护：".into(),
            paragraphs: vec!["请按期处置下列案件，并反馈结果。\n逾期未办结的将通报。🦀".into()],
            table: LetterTable {
                columns: vec![
                    ("案件号".into(), 2.0),
                    ("问题".into(), 2.0),
                    ("地点".into(), 4.0),
                    ("井盖编码".into(), 3.0),
                ],
                rows: (1..=rows).map(row).collect(),
            },
            closing: vec!["请于 2026-12-31 前反馈。".into()],
            signature: vec!["东营市井盖服务".into(), "2026-12-01".into()],
            slip: Some(Slip {
                title: "签收回执".into(),
                text: "已收到督办单〔2026〕12号。".into(),
                lines: vec!["签收单位（盖章）：".into(), "签收人：".into()],
            }),
            footer: "东营市井盖服务".into(),
            dated: Millis(1_790_000_000_000),
        }
    }

    fn render(letter: &Letter) -> Vec<u8> {
        let mut out = Vec::new();
        let bytes = render_letter(letter, &mut out).unwrap();
        assert_eq!(bytes, out.len() as u64);
        out
    }

    #[test]
    fn the_same_words_make_the_same_bytes_and_a_long_table_goes_on() {
        let (short, long) = (render(&letter(3)), render(&letter(120)));
        assert_eq!(short, render(&letter(3)));
        let pages = |bytes: &[u8]| lopdf::Document::load_mem(bytes).unwrap().get_pages().len();
        assert_eq!((pages(&short), pages(&long)), (1, 7));
    }

    #[test]
    fn a_letter_of_endless_words_is_still_a_letter() {
        let mut endless = letter(1);
        endless.head = "很长的城市名称".repeat(20);
        endless.title = "x".repeat(3000);
        endless.table.rows[0][2] = "很长的地点".repeat(100);
        endless.paragraphs = vec!["字".repeat(4000)];
        render(&endless);
    }
}
