//! What stands in the cells of a file, as read: the columns with what the profile takes them for, for a
//! person who looks at a preview, and whole rows, for one who corrects them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::mapping::{Cell, Mapper, Meaning};
use super::place::Point;
use super::profile::{Field, Profile};
use super::{Problem, Scope, Source, read_file, shown};
use crate::domain::Refusal;
use crate::domain::code::Scheme;

/// Column of a corrected file that says what was wrong with a row; read over when the file comes back.
pub const PROBLEM_COLUMN: &str = "lidmark_problem";
/// Different values of a column that are shown.
const SAMPLES: usize = 3;
/// Columns that are looked at; GeoJSON may name others in every feature.
const COLUMNS: usize = 500;

/// A column of a file, with some of what stands in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnLook {
    /// As the file spells it.
    pub name: String,
    pub means: Means,
    /// Different values in the order of the file; none where the column is left out.
    pub samples: Vec<String>,
}

/// What a column is taken for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    Field(Field),
    /// Kept under a name that the profile gives.
    Kept(String),
    /// Kept as it is: no line of the profile names it.
    AsItIs,
    /// Never kept: names of people.
    LeftOut,
}

/// Gathers cells on their way through the mapper.
#[derive(Default)]
pub(super) struct Cells {
    columns: Vec<ColumnLook>,
    by_name: HashMap<String, usize>,
    row: Vec<(String, String)>,
    whole_rows: bool,
}

impl Cells {
    fn see(&mut self, name: &str, means: impl FnOnce() -> Means, text: &str) {
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None if self.columns.len() == COLUMNS => return,
            None => {
                self.by_name.insert(name.to_owned(), self.columns.len());
                self.columns.push(ColumnLook { name: name.to_owned(), means: means(), samples: Vec::new() });
                self.columns.len() - 1
            }
        };
        let column = &mut self.columns[at];
        if column.means == Means::LeftOut {
            return;
        }
        if self.whole_rows {
            self.row.push((name.to_owned(), text.to_owned()));
        } else if column.samples.len() < SAMPLES && !text.is_empty() {
            let text = shown(text);
            if !column.samples.contains(&text) {
                column.samples.push(text);
            }
        }
    }
}

impl Mapper<'_> {
    /// From here on cells are gathered: samples of every column, or whole rows.
    pub(super) fn begin_cells(&mut self, whole_rows: bool) {
        self.cells = Some(RefCell::new(Cells { whole_rows, ..Cells::default() }));
    }

    pub(super) fn take_columns(&mut self) -> Vec<ColumnLook> {
        self.cells.take().map(|cells| cells.into_inner().columns).unwrap_or_default()
    }

    /// The cells of the row that was read last; none where it could not be parted into cells.
    fn take_row(&self) -> Vec<(String, String)> {
        self.cells.as_ref().map(|cells| std::mem::take(&mut cells.borrow_mut().row)).unwrap_or_default()
    }

    pub(super) fn see_cell(&self, cell: &Cell<'_>) {
        let Some(cells) = &self.cells else { return };
        let means = || match *cell.meaning {
            Meaning::Field(field, _) => Means::Field(field),
            Meaning::Kept(at) => Means::Kept(self.profile.kept[at].name.clone()),
            Meaning::Dropped => Means::LeftOut,
            Meaning::Unnamed => Means::AsItIs,
        };
        cells.borrow_mut().see(cell.name, means, self.text_of(cell));
    }

    /// A shape stands in the columns in which a table would have it.
    pub(super) fn see_point(&self, point: Option<Point>) {
        let (Some(cells), Some(point)) = (&self.cells, point) else { return };
        let mut cells = cells.borrow_mut();
        for (field, number) in [(Field::Lon, point.x), (Field::Lat, point.y)] {
            let name = self.profile.rule(field).columns.first().map_or(field.as_str(), String::as_str);
            cells.see(name, || Means::Field(field), &number.to_string());
        }
    }
}

/// Reads a file once more for what stands in its rows. `tell` hears the line and the cells of every row
/// that could be parted into cells, by the names of their columns, until it answers `false`. Refuses what
/// [`read_file`] refuses.
pub fn read_cells(
    profile: &Profile,
    schemes: &[Scheme],
    source: &Source<'_>,
    path: &Path,
    mut tell: impl FnMut(u64, Vec<(String, String)>) -> bool,
) -> Result<(), Refusal> {
    let mut rows = read_file(profile, schemes, source, path)?;
    rows.mapper.begin_cells(true);
    while let Some(item) = rows.next() {
        let line = match item {
            Ok(candidate) => candidate.line,
            Err(Problem { scope: Scope::File, .. }) => continue,
            Err(problem) => problem.line,
        };
        let cells = rows.mapper.take_row();
        if !cells.is_empty() && !tell(line, cells) {
            break;
        }
    }
    Ok(())
}
