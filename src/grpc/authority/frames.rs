//! Follows HTTP/2 frames and the field lines in them, as far as `:authority`.

/// Bytes of the client's connection preface (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// Bytes of a frame's header.
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// `:authority` in the static table (RFC 7541 appendix A).
const AUTHORITY_INDEX: usize = 1;
const AUTHORITY: &[u8] = b":authority";

/// Follows frames.
pub(super) struct Frames {
    part: Part,
    lines: Lines,
}

/// What the next byte belongs to.
enum Part {
    /// This many bytes to skip, then a frame's header.
    Skip(usize),
    /// A frame's header, so far.
    Header([u8; FRAME_HEADER], usize),
    /// The length of the padding of a HEADERS frame with flags and length.
    PadLength { flags: u8, length: usize },
    /// `skip` bytes of a priority, `block` bytes of field lines, then padding.
    Block { skip: usize, block: usize, padding: usize },
}

/// Follows the field lines of a block, across frames.
enum Lines {
    /// The first byte of a field line.
    Start,
    /// The rest of an integer, and what comes after it.
    Integer { value: usize, shift: u32, then: Then },
    /// The first byte of a string's length; `value_of` is none for a name.
    Length { value_of: Option<bool> },
    /// The bytes of a name, and whether it is `:authority` so far.
    Name { at: usize, left: usize, same: bool },
    /// The bytes of a value, and whether they are to be changed.
    Value { left: usize, change: bool },
    /// Something that is no field line: nothing is changed any more.
    Lost,
}

/// What an integer is.
#[derive(Clone, Copy)]
enum Then {
    /// A whole field line, or a table size: nothing follows.
    Nothing,
    /// The index of a name: a value follows.
    NameIndex,
    /// The length of a name, in Huffman code or not.
    NameLength { huffman: bool },
    /// The length of a value, to be changed or not.
    ValueLength { change: bool },
}

impl Frames {
    /// Before the preface.
    pub(super) fn new() -> Self {
        Self { part: Part::Skip(PREFACE), lines: Lines::Start }
    }

    /// Follows the bytes that were received, and changes what must be changed.
    pub(super) fn follow(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            bytes = bytes.get_mut(taken..).unwrap_or_default();
        }
    }

    /// Takes at least one byte.
    fn step(&mut self, bytes: &mut [u8]) -> usize {
        match &mut self.part {
            Part::Skip(left) => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                if *left == 0 {
                    self.part = Part::Header([0; FRAME_HEADER], 0);
                }
                taken
            }
            Part::Header(header, at) => {
                if let (Some(place), Some(byte)) = (header.get_mut(*at), bytes.first()) {
                    *place = *byte;
                }
                *at += 1;
                if *at == FRAME_HEADER {
                    self.part = Part::of_frame(*header, &mut self.lines);
                }
                1
            }
            Part::PadLength { flags, length } => {
                let padding = bytes.first().copied().unwrap_or_default();
                self.part = Part::block(*flags, length.saturating_sub(1), padding.into());
                1
            }
            Part::Block { skip, .. } if *skip > 0 => {
                let taken = bytes.len().min(*skip);
                *skip -= taken;
                taken
            }
            Part::Block { block, padding, .. } => {
                let taken = bytes.len().min(*block);
                for byte in bytes.iter_mut().take(taken) {
                    self.lines.follow(byte);
                }
                *block -= taken;
                if *block == 0 {
                    self.part = Part::skip(*padding);
                }
                taken
            }
        }
    }
}

impl Part {
    fn of_frame(header: [u8; FRAME_HEADER], lines: &mut Lines) -> Self {
        let [high, middle, low, kind, flags, ..] = header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS => {
                *lines = Lines::Start;
                if flags & PADDED != 0 && length > 0 {
                    return Self::PadLength { flags, length };
                }
                Self::block(flags, length, 0)
            }
            CONTINUATION => Self::block(0, length, 0),
            _ => Self::skip(length),
        }
    }

    fn block(flags: u8, length: usize, padding: usize) -> Self {
        let skip = if flags & PRIORITY != 0 { 5 } else { 0 };
        match length.checked_sub(skip + padding) {
            Some(block @ 1..) => Self::Block { skip, block, padding },
            // Empty, or shorter than it says: the library's affair.
            _ => Self::skip(length),
        }
    }

    fn skip(length: usize) -> Self {
        match length {
            0 => Self::Header([0; FRAME_HEADER], 0),
            _ => Self::Skip(length),
        }
    }
}

impl Lines {
    fn follow(&mut self, byte: &mut u8) {
        *self = match self {
            Self::Start => Self::of_line(*byte),
            Self::Integer { value, shift, then } => {
                // 21 bits are more than any length that the library accepts.
                if *shift > 14 {
                    Self::Lost
                } else {
                    let value = *value + (usize::from(*byte & 0x7f) << *shift);
                    match *byte & 0x80 {
                        0 => then.after(value),
                        _ => Self::Integer { value, shift: *shift + 7, then: *then },
                    }
                }
            }
            Self::Length { value_of } => {
                let huffman = *byte & 0x80 != 0;
                let then = match value_of {
                    None => Then::NameLength { huffman },
                    Some(authority) => Then::ValueLength { change: *authority && !huffman },
                };
                Self::integer(*byte, 0x7f, then)
            }
            Self::Name { at, left, same } => {
                let same = *same && AUTHORITY.get(*at) == Some(byte);
                match *left {
                    1 => Self::Length { value_of: Some(same && *at + 1 == AUTHORITY.len()) },
                    _ => Self::Name { at: *at + 1, left: *left - 1, same },
                }
            }
            Self::Value { left, change } => {
                if *change && !is_of_an_authority(*byte) {
                    *byte = b'-';
                }
                match *left {
                    1 => Self::Start,
                    _ => Self::Value { left: *left - 1, change: *change },
                }
            }
            Self::Lost => Self::Lost,
        };
    }

    /// RFC 7541 §6, by the first bits.
    fn of_line(byte: u8) -> Self {
        match byte {
            0x80.. => Self::integer(byte, 0x7f, Then::Nothing),
            0x40..0x80 => Self::integer(byte, 0x3f, Then::NameIndex),
            0x20..0x40 => Self::integer(byte, 0x1f, Then::Nothing),
            0x00..0x20 => Self::integer(byte, 0x0f, Then::NameIndex),
        }
    }

    /// RFC 7541 §5.1: `mask` is the prefix.
    fn integer(byte: u8, mask: u8, then: Then) -> Self {
        let value = usize::from(byte & mask);
        if byte & mask == mask {
            return Self::Integer { value, shift: 0, then };
        }
        then.after(value)
    }
}

impl Then {
    fn after(self, value: usize) -> Lines {
        match (self, value) {
            (Self::Nothing, _) => Lines::Start,
            (Self::NameIndex, 0) => Lines::Length { value_of: None },
            (Self::NameIndex, index) => Lines::Length { value_of: Some(index == AUTHORITY_INDEX) },
            (Self::NameLength { .. }, 0) => Lines::Length { value_of: Some(false) },
            (Self::NameLength { huffman }, left) => Lines::Name { at: 0, left, same: !huffman },
            (Self::ValueLength { .. }, 0) => Lines::Start,
            (Self::ValueLength { change }, left) => Lines::Value { left, change },
        }
    }
}

/// What stands in host names and ports; more than that no client here needs.
fn is_of_an_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u32;
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
        frame.extend_from_slice(payload);
        frame
    }

    fn string(text: &[u8]) -> Vec<u8> {
        let mut string = vec![text.len() as u8];
        string.extend_from_slice(text);
        string
    }

    /// A connection: preface, settings, headers with the path of a socket as
    /// authority in every form, data that looks like them.
    fn connection(authority: &[u8]) -> Vec<u8> {
        let other = [&[0x44][..], &string(b"/a/path%2F")].concat();
        let indexed = [&[0x41][..], &string(authority)].concat();
        let named = [&[0x40][..], &string(AUTHORITY), &string(authority)].concat();
        let never = [&[0x11][..], &string(authority)].concat();
        let near = [&[0x40][..], &string(b":authorit%"), &string(b"/x%")].concat();
        let block = [&[0x83, 0x86, 0x3f, 0xe1, 0x1f][..], &other, &indexed, &near].concat();
        let (one, two) = named.split_at(7);
        let padded = [&[3, 0, 0, 0, 0, 7][..], &never, b"%/%"].concat();
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(0x4, 0, &[0; 12]),
            frame(HEADERS, 0x4, &block),
            frame(0x0, 0, &indexed),
            frame(HEADERS, 0, one),
            frame(CONTINUATION, 0x4, two),
            frame(HEADERS, PADDED | PRIORITY | 0x4, &padded),
            frame(HEADERS, 0x4, &[]),
            frame(HEADERS, 0x4, &indexed),
        ]
        .concat()
    }

    fn follow(bytes: &mut [u8], step: usize) {
        let mut frames = Frames::new();
        for part in bytes.chunks_mut(step) {
            frames.follow(part);
        }
    }

    #[test]
    fn a_path_becomes_an_authority_wherever_it_is_cut() {
        let path = b"%2Frun%2Fcs/enclave.sock";
        let name = b"-2Frun-2Fcs-enclave.sock";
        let sent = connection(path);
        let mut expected = connection(name);
        // Data is none of its business.
        let data = frame(0x0, 0, &[&[0x41][..], &string(name)].concat());
        let at = expected.windows(data.len()).position(|w| w == data).unwrap();
        let original = frame(0x0, 0, &[&[0x41][..], &string(path)].concat());
        expected[at..at + data.len()].copy_from_slice(&original);
        for step in 1..sent.len() {
            let mut received = sent.clone();
            follow(&mut received, step);
            assert_eq!(received, expected, "in steps of {step}");
        }
    }

    #[test]
    fn authorities_stay_as_they_are() {
        for authority in ["localhost", "127.0.0.1:50051", "[::1]:1", "a_b-c.example"] {
            let sent = connection(authority.as_bytes());
            let mut received = sent.clone();
            follow(&mut received, 7);
            assert_eq!(received, sent);
        }
    }

    /// Whatever arrives, nothing panics and no byte is added or lost.
    #[test]
    fn nonsense_is_left_to_the_library() {
        let mut random = 1u32;
        let mut bytes: Vec<u8> = (0..200_000)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            })
            .collect();
        follow(&mut bytes, 1000);
    }
}
