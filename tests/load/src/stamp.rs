//! What writers write: a text that says when it was sent, and can be found in a frame by whoever knows nothing of the frame's format.

use std::time::Instant;

use memchr::memmem::Finder;

/// Begins every stamp, and occurs in nothing else that a server sends.
const MARK: &str = "@sent@at";
/// Nanoseconds in hexadecimal.
const DIGITS: usize = 16;

/// Makes stamps, and reads them.
pub(crate) struct Stamps {
    began: Instant,
    mark: Finder<'static>,
}

impl Stamps {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), mark: Finder::new(MARK) }
    }

    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A text of `len` bytes, stamped with the time.
    pub(crate) fn text(&self, len: usize) -> String {
        let mut text = format!("{MARK}{:0DIGITS$x}", self.now());
        text.extend(std::iter::repeat_n('.', len.saturating_sub(text.len())));
        text
    }

    /// The times of all stamps in a frame.
    pub(crate) fn read<'f>(&'f self, frame: &'f [u8]) -> impl Iterator<Item = u64> + 'f {
        self.mark.find_iter(frame).filter_map(|at| {
            let digits = frame.get(at + MARK.len()..at + MARK.len() + DIGITS)?;
            u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stamp_in_a_frame_is_found() {
        let stamps = Stamps::new();
        let (one, two) = (stamps.text(100), stamps.text(30));
        assert_eq!((one.len(), two.len()), (100, 30));
        let frame = [&[0, 255, 3][..], one.as_bytes(), &[7], two.as_bytes()].concat();
        let times: Vec<u64> = stamps.read(&frame).collect();
        assert_eq!(times.len(), 2);
        assert!(times[0] <= times[1] && times[1] <= stamps.now());
        assert_eq!(stamps.read(&frame[..frame.len() - 20]).count(), 1, "a stamp that is cut off is none");
    }
}
