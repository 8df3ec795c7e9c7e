//! Tables that fit their terminal.

use console::{measure_text_width, truncate_str};

use super::{Look, Paint};

/// Between two columns.
const GAP: usize = 2;

/// Rows below names of columns.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    /// How narrow it may become where there is little room.
    least: usize,
}

impl Column {
    /// One that is shown in full.
    pub(crate) const fn whole(name: &'static str) -> Self {
        let least = usize::MAX;
        Self { name, least }
    }

    /// One whose texts are cut where there is little room.
    pub(crate) const fn cut_to(name: &'static str, least: usize) -> Self {
        Self { name, least }
    }
}

/// A text in a table, without control characters.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, paint: Paint) -> Self {
        let text = text.into();
        Self { text, paint }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Paint::Plain)
    }
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// The table, line by line.
    pub(crate) fn lines(&self, look: Look) -> Vec<String> {
        let widths = self.widths(look);
        let head: Vec<Cell> = self
            .columns
            .iter()
            .map(|column| Cell::new(column.name, Paint::Head))
            .collect();
        std::iter::once(&head)
            .chain(&self.rows)
            .map(|row| line(row, &widths, look))
            .collect()
    }

    /// As wide as the widest text, or narrower, the last columns first.
    fn widths(&self, look: Look) -> Vec<usize> {
        let widest = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            let texts = cells.map(|cell| measure_text_width(&cell.text));
            texts.max().unwrap_or(0).max(column.name.len())
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(widest).collect();
        let all = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let mut surplus = look.width.map_or(0, |width| all.saturating_sub(width));
        for (width, column) in widths.iter_mut().zip(&self.columns).rev() {
            let cut = surplus.min(width.saturating_sub(column.least));
            *width -= cut;
            surplus -= cut;
        }
        widths
    }
}

/// Whatever the columns are: no longer than the terminal is wide, since what is
/// wrapped spoils all that is overwritten later.
fn line(row: &[Cell], widths: &[usize], look: Look) -> String {
    let mut line = String::new();
    let mut left = look.width.unwrap_or(usize::MAX);
    for (cell, width) in row.iter().zip(widths) {
        if left == 0 {
            break;
        }
        let text = truncate_str(&cell.text, (*width).min(left), "…");
        let shown = measure_text_width(&text);
        line.push_str(&look.paint(cell.paint, &text));
        let gap = (width - shown + GAP).min(left - shown);
        line.extend(std::iter::repeat_n(' ', gap));
        left -= shown + gap;
    }
    line.truncate(line.trim_end_matches(' ').len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Look = Look::PIPE;

    fn narrow(width: usize) -> Look {
        Look {
            width: Some(width),
            ..Look::PIPE
        }
    }

    fn table() -> Table {
        let mut table = Table::new([
            Column::whole("ID"),
            Column::cut_to("TOOL", 4),
            Column::cut_to("DETAIL", 6),
        ]);
        table.row([
            Cell::from("0123".to_owned()),
            Cell::new("convert", Paint::Busy),
            Cell::from("a long story".to_owned()),
        ]);
        table.row(["4567", "b", ""].map(|text| Cell::from(text.to_owned())));
        table
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            table().lines(WIDE),
            [
                "ID    TOOL     DETAIL",
                "0123  convert  a long story",
                "4567  b"
            ]
        );
    }

    #[test]
    fn little_room_cuts_the_last_columns_first() {
        assert_eq!(table().lines(narrow(24))[1], "0123  convert  a long s…");
        assert_eq!(table().lines(narrow(19))[1], "0123  conv…  a lon…");
        // All that may be cut is: the end of the line is too.
        assert_eq!(table().lines(narrow(12))[1], "0123  con…");
        for width in 0..30 {
            for line in table().lines(narrow(width)) {
                assert!(measure_text_width(&line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new([Column::cut_to("A", 4), Column::whole("B")]);
        table.row(["日本語", "x"].map(|text| Cell::from(text.to_owned())));
        assert_eq!(table.lines(WIDE)[0], "A       B");
        assert_eq!(table.lines(WIDE)[1], "日本語  x");
        assert_eq!(table.lines(narrow(8))[1], "日本…  x");
    }

    #[test]
    fn colours_take_no_room() {
        let colour = Look {
            colour: true,
            ..narrow(24)
        };
        assert_eq!(
            table().lines(colour)[1],
            "0123  \x1b[36mconvert\x1b[0m  a long s…"
        );
    }
}
