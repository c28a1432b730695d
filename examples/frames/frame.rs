//! The contents of a frame: every row has the colour that follows from the number of the frame.

pub(crate) const WIDTH: usize = 1280;
pub(crate) const HEIGHT: usize = 720;
/// Bytes of a pixel: red, green and blue.
const PIXEL: usize = 3;
const ROW: usize = WIDTH * PIXEL;
pub(crate) const BYTES: usize = ROW * HEIGHT;

fn colour(frame: u64, row: usize) -> u8 {
    (frame.wrapping_mul(31) as usize).wrapping_add(row) as u8
}

/// Paints a frame into `pixels`.
pub(crate) fn paint(pixels: &mut [u8], frame: u64) {
    for (number, row) in pixels.chunks_exact_mut(ROW).enumerate() {
        row.fill(colour(frame, number));
    }
}

/// Returns whether every pixel has the colour of this frame.
pub(crate) fn is_whole(pixels: &[u8], frame: u64) -> bool {
    let mut wanted = [0; ROW];
    let is_right = |(number, row): (usize, &[u8])| {
        wanted.fill(colour(frame, number));
        row == wanted
    };
    pixels.len() == BYTES && pixels.chunks_exact(ROW).enumerate().all(is_right)
}
