//! JSON (RFC 8259) as typed data needs it: no member twice in an object, and
//! integers of any size as they are written.
//!
//! A reader of our own, because serde_json cannot keep both rules here: its
//! `Value` silently takes the last of two equal members, and it reads an integer
//! of more than 64 bits as a float unless a feature is on that changes numbers for
//! every crate in the binary. Python writes 2²⁵⁶ − 1 as an integer.

use std::borrow::Cow;

use crate::payload::Undecodable;

/// How many arrays and objects stand inside each other at most: the outermost
/// object and 32 levels in it. Bounds the recursion here and in the encoder.
const DEPTH_MAX: usize = 33;

/// A JSON value. An integer is `-`, if negative, and digits without leading zeros.
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Integer(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The members of a JSON object, sorted by name; no name stands twice.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

const MALFORMED: Undecodable = Undecodable(
    "typed data is one JSON text (RFC 8259) with nothing after it; its numbers are integers",
);
const TOO_DEEP: Undecodable = Undecodable("typed data nests at most 32 arrays and objects");
const TWICE: Undecodable = Undecodable("no JSON member may stand twice in one object");

impl<'a> Object<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Json<'a>> {
        let at = self.0.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The members `names`; none of them if the object has any other.
    pub(super) fn exactly<const N: usize>(&self, names: [&str; N]) -> [Option<&Json<'a>>; N] {
        names.map(|name| self.get(name).filter(|_| self.len() == N))
    }
}

/// Reads a whole text.
///
/// # Errors
/// It is no JSON, a member stands twice, a number is no integer, or it nests too
/// deep.
pub(super) fn parse(text: &str) -> Result<Json<'_>, Undecodable> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.rest.is_empty() { Ok(value) } else { Err(MALFORMED) }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Json<'a>, Undecodable> {
        self.skip_space();
        match self.rest.as_bytes().first() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => Err(TOO_DEEP),
            Some(b'{') => self.object(depth + 1).map(Json::Object),
            Some(b'[') => self.array(depth + 1).map(Json::Array),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.integer().map(Json::Integer),
            _ if self.take("true") => Ok(Json::Bool(true)),
            _ if self.take("false") => Ok(Json::Bool(false)),
            _ if self.take("null") => Ok(Json::Null),
            _ => Err(MALFORMED),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object<'a>, Undecodable> {
        let mut members = Vec::new();
        self.list(["{", "}"], |reader| {
            let name = reader.string()?;
            reader.skip_space();
            reader.expect(":")?;
            members.push((name, reader.value(depth)?));
            Ok(())
        })?;
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let twice = members.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
        if twice { Err(TWICE) } else { Ok(Object(members)) }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Json<'a>>, Undecodable> {
        let mut items = Vec::new();
        self.list(["[", "]"], |reader| {
            items.push(reader.value(depth)?);
            Ok(())
        })?;
        Ok(items)
    }

    /// What stands between brackets, separated by commas.
    fn list(
        &mut self,
        [open, close]: [&str; 2],
        mut item: impl FnMut(&mut Self) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        self.expect(open)?;
        self.skip_space();
        if self.take(close) {
            return Ok(());
        }
        loop {
            self.skip_space();
            item(self)?;
            self.skip_space();
            if self.take(close) {
                return Ok(());
            }
            self.expect(",")?;
        }
    }

    /// A string. Escapes, and with them surrogates, are serde_json's to judge.
    fn string(&mut self) -> Result<Cow<'a, str>, Undecodable> {
        let (mut end, mut escaped) = (None, false);
        let mut bytes = self.rest.bytes().enumerate();
        if !matches!(bytes.next(), Some((0, b'"'))) {
            return Err(MALFORMED);
        }
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    end = Some(at + 1);
                    break;
                }
                b'\\' => (_, escaped) = (bytes.next(), true),
                0..0x20 => return Err(MALFORMED),
                _ => {}
            }
        }
        let token = self.split(end.ok_or(MALFORMED)?)?;
        if escaped {
            return serde_json::from_str(token).map(Cow::Owned).map_err(|_| MALFORMED);
        }
        let text = token.strip_prefix('"').and_then(|token| token.strip_suffix('"'));
        text.map(Cow::Borrowed).ok_or(MALFORMED)
    }

    fn integer(&mut self) -> Result<&'a str, Undecodable> {
        // All that a number could have, so that a fraction is no second token.
        let number = |byte: &u8| byte.is_ascii_alphanumeric() || b"-+.".contains(byte);
        let length = self.rest.as_bytes().iter().take_while(|byte| number(byte)).count();
        let token = self.split(length)?;
        let digits = token.strip_prefix('-').unwrap_or(token);
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = digits == "0" || !digits.starts_with('0');
        if plain && canonical && !digits.is_empty() { Ok(token) } else { Err(MALFORMED) }
    }

    fn skip_space(&mut self) {
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let length = self.rest.as_bytes().iter().take_while(|byte| space(byte)).count();
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => self.rest = rest,
            None => return false,
        }
        true
    }

    fn expect(&mut self, token: &str) -> Result<(), Undecodable> {
        if self.take(token) { Ok(()) } else { Err(MALFORMED) }
    }

    fn split(&mut self, at: usize) -> Result<&'a str, Undecodable> {
        let (token, rest) = self.rest.split_at_checked(at).ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(token)
    }
}
