//! Draws the rows as charts, including those that hotpool loses.

use crate::growth::Attach;
use crate::row::Row;
use plotters::coord::Shift;
use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

const WIDTH: u32 = 900;
const ROW: u32 = 22;
/// Height of the title and the scale.
const FRAME: u32 = 90;
/// Colours of rows in which hotpool takes less time, and more time.
const WON: RGBColor = RGBColor(46, 125, 80);
const LOST: RGBColor = RGBColor(178, 64, 52);

/// Draws one chart for each size and population, and one for each operation that was measured at
/// several populations.
pub fn draw(rows: &[Row], folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let populations: BTreeSet<(usize, usize)> = rows.iter().map(|row| (row.size, row.n)).collect();
    for (size, n) in populations {
        let chosen: Vec<&Row> = rows.iter().filter(|row| (row.size, row.n) == (size, n)).collect();
        let (file, title) = match size {
            0 => (format!("restart-{n}.svg"), format!("Fresh process, {n} objects of a zone")),
            _ => (format!("ratios-{size}-{n}.svg"), format!("{n} objects of {size} B")),
        };
        ratios(&chosen, &title, &folder.join(file))?;
    }
    let series: BTreeSet<(&str, usize)> = rows.iter().map(|row| (row.op.as_str(), row.size)).collect();
    for (op, size) in series {
        let chosen: Vec<&Row> = rows.iter().filter(|row| (row.op.as_str(), row.size) == (op, size)).collect();
        let counts: BTreeSet<usize> = chosen.iter().map(|row| row.n).collect();
        if counts.len() >= 2 {
            growth(&chosen, &format!("{op}, {size} B"), &folder.join(format!("growth-{op}-{size}.svg")))?;
        }
    }
    Ok(())
}

/// Draws how the cost of an attach grows: one line each for objects, types and blocks.
pub fn attach(lines: &[Attach], folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("growth-attach.svg");
    let area = canvas(&file, 460)?;
    let all = || lines.iter().flat_map(|line| &line.points);
    let last = all().map(|point| point.0).fold(10.0, f64::max);
    let most = all().map(|point| point.1).fold(1e3, f64::max) * 1.5;
    let mut chart = ChartBuilder::on(&area)
        .caption("Open and add_type: nanoseconds by objects, types, blocks", ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d((1.0..last).log_scale(), (1e4..most).log_scale())?;
    chart
        .configure_mesh()
        .x_label_formatter(&|n| format!("{n:.0}"))
        .y_label_formatter(&|t| format!("{t}"))
        .draw()?;
    for (number, line) in lines.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)))?
            .label(line.by)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(area.present()?)
}

fn canvas(file: &Path, height: u32) -> anyhow::Result<DrawingArea<SVGBackend<'_>, Shift>> {
    let area = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    Ok(area)
}

/// Draws a bar for each row, from 1 to its ratio; to the left if hotpool is faster.
fn ratios(rows: &[&Row], title: &str, file: &Path) -> anyhow::Result<()> {
    let area = canvas(file, FRAME + ROW * rows.len() as u32)?;
    let least = rows.iter().map(|row| row.ratio).fold(0.5, f64::min) / 1.5;
    let most = rows.iter().map(|row| row.ratio).fold(2.0, f64::max) * 1.5;
    let title = format!("{title}: time of hotpool / time of the peer (left of 1: hotpool is faster)");
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(190)
        .build_cartesian_2d((least..most).log_scale(), 0.0..rows.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .x_label_formatter(&|ratio| format!("{ratio}"))
        .draw()?;
    for (place, row) in rows.iter().enumerate() {
        let top = (rows.len() - place) as f64;
        let color = if row.ratio <= 1.0 { WON } else { LOST };
        let corners = [(row.ratio.min(1.0), top - 0.85), (row.ratio.max(1.0), top - 0.15)];
        chart.draw_series([Rectangle::new(corners, color.filled())])?;
        let (end, y) = chart.backend_coord(&(row.ratio.max(1.0), top - 0.5));
        let label = format!("{} / {}", row.op, row.peer);
        area.draw(&Text::new(label, (10, y - 6), ("sans-serif", 13)))?;
        area.draw(&Text::new(short(row.ratio), (end + 4, y - 6), ("sans-serif", 12)))?;
    }
    Ok(area.present()?)
}

fn short(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.4}") } else { format!("{ratio:.2}") }
}

/// Draws a line for hotpool and one for each peer: nanoseconds by population.
fn growth(rows: &[&Row], title: &str, file: &Path) -> anyhow::Result<()> {
    let area = canvas(file, 460)?;
    let times = || rows.iter().flat_map(|row| [row.hotpool_ns, row.peer_ns]);
    let (least, most) = (times().fold(f64::MAX, f64::min) / 1.5, times().fold(0.0, f64::max) * 1.5);
    let first = rows.iter().map(|row| row.n).min().unwrap_or(1) as f64;
    let last = rows.iter().map(|row| row.n).max().unwrap_or(1) as f64;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("{title}: nanoseconds by number of objects"), ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d((first..last).log_scale(), (least..most).log_scale())?;
    chart
        .configure_mesh()
        .x_label_formatter(&|n| format!("{n:.0}"))
        .y_label_formatter(&|t| format!("{t}"))
        .draw()?;
    let peers: BTreeSet<&str> = rows.iter().map(|row| row.peer.as_str()).collect();
    let ours = rows.iter().filter(|row| Some(&row.peer.as_str()) == peers.first());
    let ours: Vec<_> = ours.map(|row| (row.n as f64, row.hotpool_ns)).collect();
    chart
        .draw_series(LineSeries::new(ours, WON.stroke_width(3)))?
        .label("hotpool")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], WON.stroke_width(3)));
    for (number, peer) in peers.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let line = rows.iter().filter(|row| row.peer == *peer).map(|row| (row.n as f64, row.peer_ns));
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(1)))?
            .label(*peer)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(1)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(area.present()?)
}
