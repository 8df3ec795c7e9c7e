//! The picture of a soak.

use std::path::Path;

use plotters::prelude::*;

use super::sample::{Sample, Series};
use crate::support::BoxError;

const SIZE: (u32, u32) = (900, 320);

/// One line of the picture: its name, colour, and figure in bytes.
type Line = (&'static str, RGBColor, fn(&Sample) -> u64);

const LINES: [Line; 3] = [
    ("memory of the server", RGBColor(31, 119, 180), |sample| {
        sample.resident
    }),
    ("database file", RGBColor(214, 90, 20), |sample| sample.file),
    ("its write-ahead log", RGBColor(120, 120, 120), |sample| {
        sample.log
    }),
];

pub(super) fn draw(series: &Series, path: &Path) -> Result<(), BoxError> {
    let samples = series.samples();
    let minutes = |sample: &Sample| sample.at.as_secs_f64() / 60.0;
    #[expect(clippy::cast_precision_loss, reason = "for people to look at")]
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let longest = samples.last().map_or(1.0, minutes);
    let figures = samples
        .iter()
        .flat_map(|sample| LINES.map(|(_, _, figure)| figure(sample)));
    let highest = mebibytes(figures.max().unwrap_or(1)) * 1.25;

    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..longest, 0.0..highest)?;
    chart
        .configure_mesh()
        .x_desc("minutes")
        .y_desc("MiB")
        .x_label_formatter(&|minutes| format!("{minutes:.0}"))
        .y_label_formatter(&|size| format!("{size:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (name, colour, figure) in LINES {
        let points = samples
            .iter()
            .map(|sample| (minutes(sample), mebibytes(figure(sample))));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE)
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    area.present()?;
    Ok(())
}
