//! What commands are given: files, standard input, and text that stands for bytes.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};

/// Reads a file, or standard input for `-`, and of it `most` bytes and one more, for
/// whoever judges its length.
pub(super) fn read(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut source: Box<dyn Read> =
        if file.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(file)?) };
    let mut bytes = Vec::new();
    source.by_ref().take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Hexadecimal, with 0x before it or not.
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()
}

/// Hexadecimal or base64. What is both is hexadecimal: no message of some length is
/// base64 without a letter beyond F.
pub(super) fn hexadecimal_or_base64(text: &str) -> Option<Vec<u8>> {
    hexadecimal(text).or_else(|| STANDARD.decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_for_bytes() {
        assert_eq!(hexadecimal("0x00ff").unwrap(), [0, 255]);
        assert_eq!(hexadecimal("00FF").unwrap(), [0, 255]);
        assert_eq!(hexadecimal("0x").unwrap(), [0; 0]);
        for wrong in ["0", "0x0", "0X00", "AP8=", "00 ff", "é"] {
            assert_eq!(hexadecimal(wrong), None, "{wrong}");
        }
        assert_eq!(hexadecimal_or_base64("AP8=").unwrap(), [0, 255]);
        assert_eq!(hexadecimal_or_base64("0x00ff").unwrap(), [0, 255]);
        assert_eq!(hexadecimal_or_base64("AP8"), None);
    }
}
