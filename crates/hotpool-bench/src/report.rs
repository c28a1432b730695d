//! Prints the rows as a table.

use crate::row::Row;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Color, Table};

/// Prints all rows.
pub fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["op", "size", "n", "hotpool", "peer", "takes", "ratio", "quartiles", "goal"]);
    for row in rows {
        let goal = row.goal.map_or_else(String::new, |goal| goal.to_string());
        let ratio = Cell::new(ratio(row.ratio));
        table.add_row([
            Cell::new(&row.op),
            Cell::new(row.size),
            Cell::new(row.n),
            Cell::new(time(row.hotpool_ns)),
            Cell::new(&row.peer),
            Cell::new(time(row.peer_ns)),
            match row.meets_goal() {
                Some(true) => ratio.fg(Color::Green),
                Some(false) => ratio.fg(Color::Red),
                None => ratio,
            },
            Cell::new(format!("{} to {}", self::ratio(row.ratio_low), self::ratio(row.ratio_high))),
            Cell::new(goal),
        ]);
    }
    for column in [1, 2, 3, 5, 6, 7, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    let (met, missed): (Vec<_>, Vec<_>) =
        rows.iter().filter(|r| r.goal.is_some()).partition(|r| r.meets_goal() == Some(true));
    println!("ratio: hotpool / peer, lower is better; {} goals met, {} missed", met.len(), missed.len());
}

/// Formats a duration in a suitable unit.
pub fn time(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.2} us", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

fn ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.4}") } else { format!("{ratio:.2}") }
}
