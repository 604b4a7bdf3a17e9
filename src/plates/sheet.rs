//! 拼版: how faces lie on a page, read from a file in `labels/sheets`. All lengths are millimetres
//! from the upper left corner of the page, y downwards.

use serde::Deserialize;
use toml::Spanned;

use super::face::{Face, SLACK, check_id};
use super::label_file::LabelFile;
use crate::domain::Refusal;

/// One sheet, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    pub id: String,
    pub name_zh: String,
    pub name_en: String,
    /// `None` = the page is one face and its bleed.
    pub page: Option<Extent>,
    /// Where labels lie that are cut already; `None` = as many plates as fit, the grid centered.
    pub labels: Option<DieCut>,
    pub margin: f64,
    pub gap: f64,
    /// How far paint that touches the edge of a face runs over it.
    pub bleed: f64,
    pub cut_line: bool,
    /// Name of the spot color in which cutters look for outline and holes, e.g. `CutContour`.
    pub cut_contour: Option<String>,
    pub crop_marks: Option<CropMarks>,
    pub printer: Printer,
    /// Words at the lower edge; `{batch}`, `{face}`, `{page}` and `{pages}` are filled in.
    pub caption: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    pub width: f64,
    pub height: f64,
}

/// Labels that are cut already, in rows from the upper left; a plate lies in the middle of each.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DieCut {
    pub width: f64,
    pub height: f64,
    pub columns: usize,
    pub rows: usize,
    /// Of the first label.
    pub left: f64,
    pub top: f64,
    /// From one label to the next.
    pub step_x: f64,
    pub step_y: f64,
}

impl DieCut {
    fn lies_on(self, page: Extent) -> bool {
        let end =
            |first: f64, step: f64, count: usize, length: f64| first + step * (count - 1) as f64 + length;
        (1..=100).contains(&self.columns)
            && (1..=100).contains(&self.rows)
            && self.width > 0.0
            && self.height > 0.0
            && self.left >= 0.0
            && self.top >= 0.0
            && self.step_x >= self.width
            && self.step_y >= self.height
            && end(self.left, self.step_x, self.columns, self.width) <= page.width + SLACK
            && end(self.top, self.step_y, self.rows, self.height) <= page.height + SLACK
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropMarks {
    pub length: f64,
    /// From the cut edge to where the mark begins.
    pub offset: f64,
}

/// What a printer does wrong, measured with a ruler and taken back here.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Printer {
    pub offset_x: f64,
    pub offset_y: f64,
    pub scale: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SheetFile {
    id: Spanned<String>,
    name_zh: String,
    name_en: String,
    page: Option<Spanned<Extent>>,
    labels: Option<Spanned<DieCut>>,
    margin: Spanned<f64>,
    gap: Spanned<f64>,
    bleed: Spanned<f64>,
    #[serde(default)]
    cut_line: bool,
    cut_contour: Option<Spanned<String>>,
    crop_marks: Option<CropMarks>,
    printer: Option<Spanned<Printer>>,
    caption: Option<String>,
}

impl Sheet {
    /// Reads a sheet. A refusal names the line and the reason.
    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        let file = LabelFile { kind: "sheet", text };
        let read: SheetFile = file.read()?;
        check_id(&file, &read.id)?;
        if let Some(page) = &read.page {
            let Extent { width, height } = *page.get_ref();
            if !(20.0..=2000.0).contains(&width) || !(20.0..=2000.0).contains(&height) {
                return Err(file.refuse(page.span().start, "a page measures 20 to 2000 mm"));
            }
        }
        let page = read.page.as_ref().map(|page| *page.get_ref());
        if let Some(labels) = &read.labels
            && !page.is_some_and(|page| labels.get_ref().lies_on(page))
        {
            return Err(file.refuse(
                labels.span().start,
                "labels lie on a page, side by side and not over its edge, in 1 to 100 columns and rows",
            ));
        }
        for (name, length) in [("margin", &read.margin), ("gap", &read.gap), ("bleed", &read.bleed)] {
            if !(0.0..=100.0).contains(length.get_ref()) {
                return Err(file.refuse(length.span().start, format!("{name} is 0 to 100 mm")));
            }
        }
        let plain = |name: &str| {
            (1..=40).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if let Some(name) = &read.cut_contour
            && !plain(name.get_ref())
        {
            let reason = "the name of a spot color is 1 to 40 letters, digits and hyphens";
            return Err(file.refuse(name.span().start, reason));
        }
        let (gap, bleed) = (*read.gap.get_ref(), *read.bleed.get_ref());
        if page.is_some() && bleed * 2.0 > gap {
            return Err(file.refuse(
                read.bleed.span().start,
                "the bleed of two neighbors does not fit into the gap; make the gap at least twice the bleed",
            ));
        }
        let printer = match &read.printer {
            None => Printer { offset_x: 0.0, offset_y: 0.0, scale: 1.0 },
            Some(printer) => {
                let Printer { offset_x, offset_y, scale } = *printer.get_ref();
                // More than five per cent is not a printer's error but a wrong page size.
                if offset_x.abs() > 20.0 || offset_y.abs() > 20.0 || !(0.95..=1.05).contains(&scale) {
                    return Err(file.refuse(
                        printer.span().start,
                        "a printer is corrected by at most 20 mm and by a scale of 0.95 to 1.05",
                    ));
                }
                *printer.get_ref()
            }
        };
        Ok(Self {
            id: read.id.into_inner(),
            name_zh: read.name_zh,
            name_en: read.name_en,
            page,
            labels: read.labels.map(Spanned::into_inner),
            margin: read.margin.into_inner(),
            gap,
            bleed,
            cut_line: read.cut_line,
            cut_contour: read.cut_contour.map(Spanned::into_inner),
            crop_marks: read.crop_marks,
            printer,
            caption: read.caption,
        })
    }

    /// The sheets that come with the program.
    pub fn built_in() -> Vec<Sheet> {
        [
            include_str!("../../labels/sheets/a4.toml"),
            include_str!("../../labels/sheets/single.toml"),
            include_str!("../../labels/sheets/single-cut.toml"),
            include_str!("../../labels/sheets/a3.toml"),
            include_str!("../../labels/sheets/letter.toml"),
            include_str!("../../labels/sheets/steel-300x600.toml"),
            include_str!("../../labels/sheets/roll.toml"),
            include_str!("../../labels/sheets/avery-l7164.toml"),
            include_str!("../../labels/sheets/avery-l7165.toml"),
            include_str!("../../labels/sheets/avery-l7168.toml"),
            include_str!("../../labels/sheets/avery-5163.toml"),
            include_str!("../../labels/sheets/avery-5164.toml"),
        ]
        .into_iter()
        .map(|text| Sheet::from_toml(text).expect("built-in sheets are read by a test"))
        .collect()
    }

    /// How many of this face fit and where they lie.
    pub fn lay_out(&self, face: &Face) -> Result<Layout, Refusal> {
        let (width, height) = face.outline.size();
        let Some(page) = self.page else {
            let page = Extent { width: width + 2.0 * self.bleed, height: height + 2.0 * self.bleed };
            return Ok(Layout {
                page,
                columns: 1,
                rows: 1,
                left: self.bleed,
                top: self.bleed,
                step_x: width,
                step_y: height,
            });
        };
        let small = || Refusal::new("plates.sheet_small").with("face", &face.id).with("sheet", &self.id);
        if let Some(labels) = self.labels {
            let (spare_x, spare_y) = (labels.width - width, labels.height - height);
            if spare_x < 2.0 * self.bleed - SLACK || spare_y < 2.0 * self.bleed - SLACK {
                return Err(small());
            }
            return Ok(Layout {
                page,
                columns: labels.columns,
                rows: labels.rows,
                left: labels.left + spare_x / 2.0,
                top: labels.top + spare_y / 2.0,
                step_x: labels.step_x,
                step_y: labels.step_y,
            });
        }
        let fit = |page: f64, plate: f64| {
            ((page - 2.0 * self.margin + self.gap + 1e-9) / (plate + self.gap)).floor().max(0.0) as usize
        };
        let (columns, rows) = (fit(page.width, width), fit(page.height, height));
        if columns == 0 || rows == 0 {
            return Err(small());
        }
        let (step_x, step_y) = (width + self.gap, height + self.gap);
        Ok(Layout {
            page,
            columns,
            rows,
            left: (page.width - columns as f64 * step_x + self.gap) / 2.0,
            top: (page.height - rows as f64 * step_y + self.gap) / 2.0,
            step_x,
            step_y,
        })
    }
}

/// Where the plates of one face lie on the pages of one sheet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout {
    pub page: Extent,
    pub columns: usize,
    pub rows: usize,
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) step_x: f64,
    pub(super) step_y: f64,
}

impl Layout {
    pub fn per_page(&self) -> usize {
        self.columns * self.rows
    }

    /// Upper left corner of the place with this index (from 0) on its page.
    pub(super) fn corner(&self, place: usize) -> (f64, f64) {
        let (row, column) = (place / self.columns, place % self.columns);
        (self.left + column as f64 * self.step_x, self.top + row as f64 * self.step_y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_plates_as_fit_lie_on_a4() {
        let sheets = Sheet::built_in();
        let counts: Vec<usize> =
            Face::built_in().iter().map(|face| sheets[0].lay_out(face).unwrap().per_page()).collect();
        assert_eq!(counts, [8, 18, 3, 4, 6, 3, 6]);
        let single = sheets.iter().find(|sheet| sheet.id == "single").unwrap();
        let layout = single.lay_out(&Face::built_in()[0]).unwrap();
        assert_eq!((layout.page.width, layout.page.height, layout.per_page()), (94.0, 64.0, 1));
    }

    #[test]
    fn a_plate_lies_in_the_middle_of_each_label_and_none_that_is_larger() {
        let sheets = Sheet::built_in();
        let labels = sheets.iter().find(|sheet| sheet.id == "avery-l7165").unwrap();
        let [small, large] = ["rect-90x60", "rect-120x80"]
            .map(|id| Face::built_in().into_iter().find(|face| face.id == id).unwrap());
        let layout = labels.lay_out(&small).unwrap();
        assert_eq!(layout.per_page(), 8);
        // The last label ends 4.65 mm from the right and 13.1 mm from the lower edge, as the first begins.
        let (x, y) = layout.corner(7);
        assert!((x + 45.0 - (210.0 - 4.65 - 99.1 / 2.0)).abs() < 0.06, "{x}");
        assert!((y + 30.0 - (297.0 - 13.1 - 67.7 / 2.0)).abs() < 0.06, "{y}");
        assert_eq!(labels.lay_out(&large).unwrap_err().code, "plates.sheet_small");
    }

    #[test]
    fn a_bad_sheet_is_refused_with_line_and_reason() {
        let text = include_str!("../../labels/sheets/a4.toml");
        let refusal = Sheet::from_toml(&text.replace("bleed = 1", "bleed = 1.5")).unwrap_err();
        assert_eq!(refusal.code, "plates.file");
        assert!(refusal.to_string().contains("line=9 "), "{refusal}");
        let refusal = Sheet::from_toml(&text.replace("scale = 1", "scale = 2")).unwrap_err();
        assert!(refusal.to_string().contains("0.95"), "{refusal}");
        let labels = include_str!("../../labels/sheets/avery-l7165.toml");
        for (from, to) in
            [("columns = 2", "columns = 3"), ("step_y = 67.7", "step_y = 60"), ("rows = 4", "rows = 0")]
        {
            assert!(labels.contains(from));
            let refusal = Sheet::from_toml(&labels.replace(from, to)).unwrap_err();
            assert!(refusal.to_string().contains("line=6 "), "{to}: {refusal}");
        }
    }

    #[test]
    fn a_face_larger_than_the_sheet_is_refused() {
        let text = include_str!("../../labels/sheets/a4.toml").replace("width = 210", "width = 80");
        let sheet = Sheet::from_toml(&text).unwrap();
        assert_eq!(sheet.lay_out(&Face::built_in()[0]).unwrap_err().code, "plates.sheet_small");
    }
}
