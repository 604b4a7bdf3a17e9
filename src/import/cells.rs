//! What stands in the cells of a file, as read: the columns with what the profile takes them for, for a
//! person who looks at a preview, and whole rows, for one who corrects them.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
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
/// Different values of a column that are shown, and that are told apart.
const SAMPLES: usize = 3;
const VALUES: usize = 1000;
/// Values nobody knows that are listed.
const STRANGE: usize = 50;
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
    /// What speaks for what it is taken for, and against.
    #[serde(default)]
    pub notes: Vec<ColumnNote>,
    /// Values of a field with a closed list that no spelling fits, with how often they were met among the
    /// rows looked at; the most frequent first.
    #[serde(default)]
    pub strange: Vec<(String, u64)>,
}

/// One thing that speaks for a reading of a column, or against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnNote {
    /// Key of its sentence under `mapping` in the catalogues.
    pub code: String,
    /// The sentence, once somebody's language is known.
    #[serde(default)]
    pub detail: String,
    pub facts: BTreeMap<String, String>,
}

impl ColumnNote {
    pub(super) fn new(code: &str, facts: &[(&str, &str)]) -> Self {
        let facts = facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { code: code.to_owned(), detail: String::new(), facts }
    }
}

impl ColumnLook {
    /// Puts every note into words: `sentence` has the sentence of a code with its facts.
    pub fn say(&mut self, sentence: impl Fn(&str, &[(&str, &str)]) -> String) {
        for note in &mut self.notes {
            let facts: Vec<(&str, &str)> =
                note.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            note.detail = sentence(&note.code, &facts);
        }
    }
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

/// What is gathered of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Gather {
    /// Some values of each column.
    #[default]
    Samples,
    /// Every row.
    WholeRows,
    /// Some values of each column of a file that nobody has said how to read.
    Survey,
}

/// Gathers cells on their way through the mapper.
#[derive(Default)]
pub(super) struct Cells {
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    row: Vec<(String, String)>,
    gather: Gather,
    rows: u64,
    has_point: bool,
}

/// A column, with the different values among the rows looked at.
pub(super) struct Column {
    pub(super) name: String,
    means: Means,
    /// In the order of the file, with how often each was met.
    pub(super) values: Vec<(String, u64)>,
    by_value: HashMap<String, usize>,
    /// Rows in which something stands.
    pub(super) filled: u64,
}

/// What a file shows before anybody has said how it is read.
pub(super) struct Surveyed {
    pub(super) columns: Vec<Column>,
    pub(super) rows: u64,
    pub(super) has_point: bool,
}

impl Cells {
    pub(super) fn surveys(&self) -> bool {
        self.gather == Gather::Survey
    }

    fn see(&mut self, name: &str, means: impl FnOnce() -> Means, text: &str) {
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None if self.columns.len() == COLUMNS => return,
            None => {
                self.by_name.insert(name.to_owned(), self.columns.len());
                self.columns.push(Column {
                    name: name.to_owned(),
                    means: means(),
                    values: Vec::new(),
                    by_value: HashMap::new(),
                    filled: 0,
                });
                self.columns.len() - 1
            }
        };
        let column = &mut self.columns[at];
        if column.means == Means::LeftOut {
            return;
        }
        if self.gather == Gather::WholeRows {
            self.row.push((name.to_owned(), text.to_owned()));
        } else if !text.is_empty() {
            column.filled += 1;
            let text = shown(text);
            match column.by_value.get(&text) {
                Some(at) => column.values[*at].1 += 1,
                None if column.values.len() == VALUES => {}
                None => {
                    column.by_value.insert(text.clone(), column.values.len());
                    column.values.push((text, 1));
                }
            }
        }
    }
}

impl Mapper<'_> {
    /// From here on cells are gathered.
    pub(super) fn begin_cells(&mut self, gather: Gather) {
        self.cells = Some(RefCell::new(Cells { gather, ..Cells::default() }));
    }

    pub(super) fn take_survey(&mut self) -> Surveyed {
        let Cells { columns, rows, has_point, .. } =
            self.cells.take().map(RefCell::into_inner).unwrap_or_default();
        Surveyed { columns, rows, has_point }
    }

    pub(super) fn take_columns(&mut self) -> Vec<ColumnLook> {
        let cells = self.cells.take().map(RefCell::into_inner).unwrap_or_default();
        cells.columns.into_iter().map(|column| self.column_look(column)).collect()
    }

    fn column_look(&self, column: Column) -> ColumnLook {
        let Column { name, means, values, .. } = column;
        let mut strange = Vec::new();
        let mut notes = Vec::new();
        if let Means::Field(field) = means {
            let said: Vec<bool> = values
                .iter()
                .filter_map(|(text, count)| {
                    let known = self.profile.knows(field, text)?;
                    if !known {
                        strange.push((text.clone(), *count));
                    }
                    Some(known)
                })
                .collect();
            if !said.is_empty() {
                let (known, all) = (said.iter().filter(|known| **known).count(), said.len());
                let facts = [("known", known.to_string()), ("all", all.to_string())];
                notes.push(ColumnNote::new(
                    "values",
                    &facts.each_ref().map(|(name, value)| (*name, value.as_str())),
                ));
            }
        }
        strange.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        strange.truncate(STRANGE);
        let samples = values.into_iter().take(SAMPLES).map(|(text, _)| text).collect();
        ColumnLook { name, means, samples, notes, strange }
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

    /// A header says what its columns are even where no row below it can be parted into cells.
    pub(super) fn see_names(&self, names: &[String]) {
        let Some(cells) = &self.cells else { return };
        let mut cells = cells.borrow_mut();
        for name in names {
            cells.see(name, || Means::AsItIs, "");
        }
    }

    /// A shape stands in the columns in which a table would have it.
    pub(super) fn see_point(&self, point: Option<Point>) {
        let Some(cells) = &self.cells else { return };
        let mut cells = cells.borrow_mut();
        cells.rows += 1;
        cells.has_point |= point.is_some();
        let Some(point) = point.filter(|_| !cells.surveys()) else { return };
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
    rows.mapper.begin_cells(Gather::WholeRows);
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
