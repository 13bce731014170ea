//! Deadlines: the client's, or our own when it sets none.
//!
//! The gRPC library's timeout would end a request with CANCELLED; ours ends it
//! with DEADLINE_EXCEEDED and a reason.

use std::time::Duration;

use http::HeaderMap;

use crate::refusal::Refusal;

/// The header that carries a client's timeout.
const HEADER: &str = "grpc-timeout";

/// How long this request may take: what the client allows, at most `longest`,
/// and `own` when the client says nothing.
///
/// # Errors
/// The header is not a timeout as the gRPC protocol writes it: 1 to 8 digits and
/// one of `H M S m u n`.
pub fn allowed(headers: &HeaderMap, own: Duration, longest: Duration) -> Result<Duration, Refusal> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(own);
    };
    let malformed = Refusal::invalid(HEADER, "is 1 to 8 digits and one of H M S m u n");
    let timeout = value.to_str().ok().and_then(parse).ok_or(malformed)?;
    Ok(timeout.min(longest))
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let whole = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = whole.then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("99999999M"), Some(Duration::from_secs(5_999_999_940)));
        assert_eq!(parse("10S"), Some(Duration::from_secs(10)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("7u"), Some(Duration::from_micros(7)));
        assert_eq!(parse("0n"), Some(Duration::ZERO));
        for bad in ["", "S", "10", "123456789S", "+1S", "-1S", "1.5S", "1s", "1 S", "١S"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
