//! Measures the ticks of a zone while images are taken for snapshots, and without them.
//!
//! Ticks begin 30 times a second. What a tick leaves of its time goes to the image, up to a limit. A
//! thread writes the bytes to a file with a checksum.

use crate::pin::Pin;
use crate::profile::{Profile, Zone};
use crate::report::time;
use crate::stats::quantile;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hotpool::pool::{Budget, ImagePiece};
use std::fs::File;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_nanos(33_333_333);
/// Bytes that the writing thread gets at once, and most of these that wait for it.
const CHUNK: usize = 1 << 20;
const WAITING: usize = 64;
/// Most time for the image in one tick, at 30 ticks a second and as fast as possible.
const SHARE: Duration = Duration::from_millis(27);
const FAST_SHARE: Duration = Duration::from_millis(1);

/// Writes what an image gives, in a thread of its own.
struct Writer {
    chunk: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<std::io::Result<u64>>,
}

impl Writer {
    fn new(pin: Pin) -> anyhow::Result<Self> {
        let (full, next) = sync_channel::<Vec<u8>>(WAITING);
        let (give_back, empty) = sync_channel(WAITING + 2);
        let mut file = tempfile::tempfile_in("/dev/shm")?;
        let thread = std::thread::spawn(move || {
            pin.leave()?;
            let (mut sum, mut bytes) = (0, 0);
            for chunk in next {
                sum = crc32c::crc32c_append(sum, &chunk);
                write(&mut file, &chunk, &mut bytes)?;
                let _ = give_back.send(chunk);
            }
            Ok(bytes)
        });
        Ok(Writer { chunk: Vec::with_capacity(CHUNK), full, empty, thread })
    }

    /// Takes a piece; returns an error if the thread has too much to do.
    fn take(&mut self, piece: ImagePiece<'_>) -> Result<(), Busy> {
        if self.chunk.len() + piece.bytes.len() > CHUNK {
            match self.full.try_send(std::mem::take(&mut self.chunk)) {
                Ok(()) => self.chunk = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK)),
                Err(TrySendError::Full(chunk) | TrySendError::Disconnected(chunk)) => {
                    self.chunk = chunk;
                    return Err(Busy);
                }
            }
            self.chunk.clear();
        }
        self.chunk.extend_from_slice(piece.bytes);
        Ok(())
    }
}

/// The writing thread has too much to do.
struct Busy;

/// Writes to the same part of the file again and again, so that it takes little memory.
fn write(file: &mut File, chunk: &[u8], bytes: &mut u64) -> std::io::Result<()> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(*bytes % (64 << 20)))?;
    file.write_all(chunk)?;
    *bytes += chunk.len() as u64;
    Ok(())
}

/// What a run has measured.
#[derive(Default)]
struct Measured {
    ticks: Vec<f64>,
    begins: Vec<f64>,
    images: usize,
    most_kept: u64,
    took: f64,
}

/// How images are taken in a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Never,
    /// One after the other, each of all pages.
    Whole,
    /// One after the other, each of the pages that have changed.
    Changed,
}

/// Runs ticks, 30 a second or as fast as possible.
fn measure(zone: &mut Zone, ticks: usize, how: How, is_paced: bool, pin: Pin) -> anyhow::Result<Measured> {
    let mut found = Measured::default();
    let mut writer = Writer::new(pin)?;
    let tracks = how != How::Never;
    let mut is_taken = false;
    if tracks {
        zone.pool.image_track();
        (0..3).try_for_each(|number| zone.tick(number))?;
        let _ = zone.pool.image_step(Budget::Time(Duration::from_secs(2)), |piece| writer.take(piece));
    }
    let began = Instant::now();
    for number in 0..ticks {
        let start = Instant::now();
        zone.tick(number)?;
        found.ticks.push(start.elapsed().as_nanos() as f64);
        if tracks && !is_taken {
            let start = Instant::now();
            zone.pool.image_begin(how == How::Changed, true);
            found.begins.push(start.elapsed().as_nanos() as f64);
            is_taken = true;
        }
        if is_taken {
            let left = TICK.saturating_sub(start.elapsed() + Duration::from_millis(2)).min(SHARE);
            let budget = Budget::Time(if is_paced { left } else { FAST_SHARE });
            if zone.pool.image_step(budget, |piece| writer.take(piece)).unwrap_or(false) {
                zone.pool.image_end();
                found.images += 1;
                is_taken = false;
            }
            found.most_kept = found.most_kept.max(zone.pool.image_kept());
        }
        if is_paced {
            std::thread::sleep(TICK.saturating_sub(start.elapsed()));
        }
    }
    found.took = began.elapsed().as_secs_f64();
    zone.pool.image_forget();
    drop(writer.full);
    drop(writer.empty);
    if let Ok(written) = writer.thread.join() {
        written?;
    }
    Ok(found)
}

/// Compares ticks with and without images.
pub fn run(profile: Profile, ticks: usize, pin: Pin) -> anyhow::Result<()> {
    // As in a server: an image is copied by several threads.
    pin.end()?;
    let mut zone = Zone::new(profile)?;
    (0..10).try_for_each(|number| zone.tick(number))?;
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["", "ticks/s", "p50", "p99", "p99.9", "slowest", "images", "begin", "kept at most"]);
    for (is_paced, pace) in [(true, "30 a second"), (false, "fast")] {
        for (how, name) in
            [(How::Never, "no images"), (How::Whole, "all pages"), (How::Changed, "changed pages")]
        {
            let mut found = measure(&mut zone, ticks, how, is_paced, pin)?;
            found.ticks.sort_by(f64::total_cmp);
            found.begins.sort_by(f64::total_cmp);
            let at = |place| time(quantile(&found.ticks, place));
            table.add_row([
                format!("{pace}, {name}"),
                format!("{:.1}", ticks as f64 / found.took),
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0),
                found.images.to_string(),
                if found.begins.is_empty() { String::new() } else { time(quantile(&found.begins, 1.0)) },
                format!("{} MiB", found.most_kept >> 20),
            ]);
        }
    }
    println!("{table}");
    Ok(zone.pool.destroy()?)
}
