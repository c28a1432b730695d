//! docs/layout.md matches the code: each of its tables is compared with the struct, field by field.

use hotpool::__internal::layout::{
    BaseHeader, BlockBase, ExtentRec, Frozen, Geometry, Group, LaneHead, LaneMark, NoteRec, NoteRing,
    PositionRec, StartRec, TypeInfo,
};
use std::mem::{offset_of, size_of, size_of_val};

type Field = (usize, usize, &'static str);
type ProseTable = (String, usize, Vec<(usize, usize, String)>);

fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! fields {
    ($record:ty: $($field:ident),+ $(,)?) => {
        (
            stringify!($record),
            size_of::<$record>(),
            vec![$((offset_of!($record, $field), size_of_field(|r: &$record| &r.$field), stringify!($field))),+],
        )
    };
}

fn code() -> Vec<(&'static str, usize, Vec<Field>)> {
    vec![
        fields!(Frozen: magic, layout, kind, pool_id, bytes, key, index, created, check, draft),
        fields!(Geometry: block_bytes, types_off, blocks_off, extents_off, schema_off, schema_bytes, lanes_off,
            lanes_bytes, starts_off, starts_bytes, black_box_off, black_box_bytes, queues_off, queues_bytes, max_types,
            max_blocks, max_extents, lanes, process, hash_seed, first_generation, spare, check),
        fields!(BaseHeader: frozen, geometry, epoch, run, owner_pid, owner_ticks, start_wall, start_boot, boot_id,
            closed_wall, ready_wall, starts_clean, starts_crashed, last_tag, ipc_namespace, moved, forms, nblocks, nextents, ntypes,
            schema_used, game_time, floor, spare_growth, last, split, spare_op, marks, suspects, lane_marks, quarantine, order),
        fields!(TypeInfo: id, flags, fingerprint, size, stride, head, align, shift, group_shift, extent_bytes, map_bytes,
            index_bytes, last_generation, schema_len, schema_off, name, place, spare_fixed, check, tally, high_water, retired,
            groups, filling, newer, followed, hollow),
        fields!(BlockBase: key, index, state, created, spare),
        fields!(ExtentRec: owner, ordinal, block, full, offset, bytes),
        fields!(StartRec: epoch, start_wall, start_boot, boot, pid, before, end, before_wall, ready_wall, end_wall),
        fields!(NoteRing: count, spare),
        fields!(NoteRec: number_tag, nanos, a, b),
        fields!(PositionRec: queue, key, reader, next),
        fields!(LaneMark: mark, spare),
        fields!(LaneHead: tail, lanes, spare),
        fields!(Group: overflow, entries),
    ]
}

/// Returns the tables of docs/layout.md: heading `### Name (N bytes)`, rows `| offset | size | name
/// | …`.
fn prose() -> Vec<ProseTable> {
    let text = include_str!("../docs/layout.md");
    let mut tables = Vec::new();
    for section in text.split("\n### ").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap();
        let (name, bytes) = heading.split_once(" (").unwrap();
        let bytes = bytes.trim_end_matches(" bytes)").parse().unwrap();
        let body = body.split("\n## ").next().unwrap();
        let rows = body.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let offset = cells.next()?.parse().ok()?;
            Some((offset, cells.next()?.parse().ok()?, cells.next()?.to_string()))
        });
        tables.push((name.to_string(), bytes, rows.collect()));
    }
    tables
}

#[test]
fn every_documented_table_matches_its_struct() {
    let (code, prose) = (code(), prose());
    assert_eq!(code.len(), prose.len());
    for ((name, bytes, fields), (prose_name, prose_bytes, rows)) in code.iter().zip(&prose) {
        assert_eq!(name, prose_name);
        assert_eq!(bytes, prose_bytes, "{name}");
        let fields: Vec<_> = fields.iter().map(|(o, s, n)| (*o, *s, n.to_string())).collect();
        assert_eq!(&fields, rows, "{name}");
        let end = fields.iter().try_fold(0, |at, (offset, size, _)| (at == *offset).then_some(at + size));
        assert_eq!(end, Some(*bytes), "{name} has a gap or an unlisted field");
    }
}

#[test]
fn the_frozen_bytes_are_the_ones_of_the_first_release() {
    assert_eq!(hotpool::__internal::layout::MAGIC_READY.to_le_bytes(), *b"HOTPOOL1");
    assert_eq!(hotpool::__internal::layout::MAGIC_MAKING.to_le_bytes(), *b"HOTPMAKE");
    assert_eq!(hotpool::__internal::layout::MAGIC_GONE.to_le_bytes(), *b"HOTPGONE");
    let _ = size_of_val(&hotpool::__internal::layout::LAYOUT_VERSION);
    assert_eq!(hotpool::__internal::layout::LAYOUT_VERSION, 1);
}
