//! The chain: how a record stands in a file.
//!
//! ```text
//! line  = link SP record LF
//! link  = lower-case hexadecimal of SHA-256(link before, 32 bytes || record)
//! ```
//! The first record of a log follows 32 zero bytes. A record is one JSON object without
//! a line feed; its bytes as they stand are what is hashed, here and in the tree.

use sha2::{Digest, Sha256};

use super::tree::Hash;

/// What comes before the first record of a log.
pub const START: Hash = [0; 32];

/// The longest line that is read, in bytes. What is written is far shorter.
pub const RECORD_MAX: usize = 1024 * 1024;

/// Characters of a link.
const LINK: usize = 64;

/// The link of a record that follows `before`.
pub fn link(before: &Hash, record: &[u8]) -> Hash {
    Sha256::new().chain_update(before).chain_update(record).finalize().into()
}

/// Appends the line of a record.
pub(super) fn write(line: &mut Vec<u8>, link: &Hash, record: &[u8]) {
    let mut digits = [0; LINK];
    // Its length is right.
    let _ = hex::encode_to_slice(link, &mut digits);
    line.extend_from_slice(&digits);
    line.push(b' ');
    line.extend_from_slice(record);
    line.push(b'\n');
}

/// The link and the record of a line, without its line feed; none if it is no line of a
/// log.
pub fn read(line: &[u8]) -> Option<(Hash, &[u8])> {
    let (digits, rest) = line.split_at_checked(LINK)?;
    let record = rest.strip_prefix(b" ")?;
    let mut link = [0; 32];
    hex::decode_to_slice(digits, &mut link).ok()?;
    let lower = digits.iter().all(|digit| !digit.is_ascii_uppercase());
    let object = record.first() == Some(&b'{') && record.last() == Some(&b'}');
    (lower && object).then_some((link, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let record = br#"{"seq":0}"#;
        let link = link(&START, record);
        let mut line = Vec::new();
        write(&mut line, &link, record);
        assert_eq!(line.pop(), Some(b'\n'));
        assert_eq!(read(&line), Some((link, &record[..])));
        // printf '%064d' 0 | xxd -r -p | cat - <(printf '{"seq":0}') | sha256sum
        let expected = "e8a6c792aa64f9982027bb2cd9a23a179d4c805c9974b0f8cfc9a6cd815bdf01";
        assert_eq!(hex::encode(link), expected);
        for end in 0..line.len() {
            assert_eq!(read(&line[..end]), None, "{end}");
        }
        for wrong in ["", " ", "{}", &"0".repeat(64), &format!("{}  {{}}", "0".repeat(64))] {
            assert_eq!(read(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(read(&line.to_ascii_uppercase()), None);
    }
}
