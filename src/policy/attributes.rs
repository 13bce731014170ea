//! Attributes: records as Cedar takes them, as far as they are asked for.

use std::fmt::Display;

use cedar_policy::RestrictedExpression as Value;

use super::asked::Asked;

/// The attributes of a record, in the making. What is not asked for is left out, and
/// its text is never written.
pub(super) struct Attributes<'a> {
    asked: &'a Asked,
    pairs: Vec<(String, Value)>,
}

impl<'a> Attributes<'a> {
    /// None yet.
    pub(super) fn new(asked: &'a Asked) -> Self {
        Self { asked, pairs: Vec::new() }
    }

    pub(super) fn text(self, name: &str, value: impl Display) -> Self {
        self.value(name, |_| Some(Value::new_string(value.to_string())))
    }

    pub(super) fn some_text(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A number that its decoder keeps within a Long; one beyond is left out, which
    /// no policy can take for a small one.
    pub(super) fn long(self, name: &str, value: impl TryInto<i64>) -> Self {
        self.value(name, |_| value.try_into().ok().map(Value::new_long))
    }

    pub(super) fn some_long(self, name: &str, value: Option<impl TryInto<i64>>) -> Self {
        match value {
            Some(value) => self.long(name, value),
            None => self,
        }
    }

    pub(super) fn flag(self, name: &str, value: bool) -> Self {
        self.value(name, |_| Some(Value::new_bool(value)))
    }

    pub(super) fn some_flag(self, name: &str, value: Option<bool>) -> Self {
        match value {
            Some(value) => self.flag(name, value),
            None => self,
        }
    }

    pub(super) fn texts<T: Display>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let text = |value: T| Value::new_string(value.to_string());
        self.value(name, |_| Some(Value::new_set(values.into_iter().map(text))))
    }

    /// A set of records: compared as a whole, and so all that is in them is asked for.
    pub(super) fn records<T>(
        self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        record: impl Fn(T, Attributes<'_>) -> Attributes<'_>,
    ) -> Self {
        let record = |value| record(value, Attributes::new(&Asked::All)).into_record();
        self.value(name, |_| Some(Value::new_set(values.into_iter().filter_map(record))))
    }

    pub(super) fn record(
        self,
        name: &str,
        record: impl FnOnce(Attributes<'a>) -> Attributes<'a>,
    ) -> Self {
        self.value(name, |asked| record(Attributes::new(asked)).into_record())
    }

    pub(super) fn some_record<T>(
        self,
        name: &str,
        value: Option<T>,
        record: impl FnOnce(T, Attributes<'a>) -> Attributes<'a>,
    ) -> Self {
        match value {
            Some(value) => self.record(name, |attributes| record(value, attributes)),
            None => self,
        }
    }

    /// What `value` makes of what is asked of it, if it is asked for.
    pub(super) fn value(
        mut self,
        name: &str,
        value: impl FnOnce(&'a Asked) -> Option<Value>,
    ) -> Self {
        if let Some(value) = self.asked.part(name).and_then(value) {
            self.pairs.push((name.to_owned(), value));
        }
        self
    }

    pub(super) fn into_pairs(self) -> Vec<(String, Value)> {
        self.pairs
    }

    /// Always a record: the code that builds one names no attribute twice.
    fn into_record(self) -> Option<Value> {
        Value::new_record(self.pairs).ok()
    }
}
