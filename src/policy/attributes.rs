//! Attributes: records as Cedar takes them.

use cedar_policy::RestrictedExpression as Value;

/// The attributes of a record, in the making.
#[derive(Default)]
pub(super) struct Attributes(Vec<(String, Value)>);

impl Attributes {
    pub(super) fn text(self, name: &str, value: impl Into<String>) -> Self {
        self.value(name, Value::new_string(value.into()))
    }

    pub(super) fn some_text(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A number that its decoder keeps within a Long; one beyond is left out, which
    /// no policy can take for a small one.
    pub(super) fn long(self, name: &str, value: impl TryInto<i64>) -> Self {
        self.some_long(name, Some(value))
    }

    pub(super) fn some_long(self, name: &str, value: Option<impl TryInto<i64>>) -> Self {
        match value.and_then(|value| value.try_into().ok()) {
            Some(value) => self.value(name, Value::new_long(value)),
            None => self,
        }
    }

    pub(super) fn flag(self, name: &str, value: bool) -> Self {
        self.value(name, Value::new_bool(value))
    }

    pub(super) fn some_flag(self, name: &str, value: Option<bool>) -> Self {
        match value {
            Some(value) => self.flag(name, value),
            None => self,
        }
    }

    pub(super) fn texts(self, name: &str, values: impl IntoIterator<Item = String>) -> Self {
        self.value(name, Value::new_set(values.into_iter().map(Value::new_string)))
    }

    pub(super) fn records(self, name: &str, records: impl IntoIterator<Item = Self>) -> Self {
        let records = records.into_iter().filter_map(Self::into_record);
        self.value(name, Value::new_set(records))
    }

    pub(super) fn record(self, name: &str, record: Self) -> Self {
        match record.into_record() {
            Some(record) => self.value(name, record),
            None => self,
        }
    }

    pub(super) fn some_record(self, name: &str, record: Option<Self>) -> Self {
        match record {
            Some(record) => self.record(name, record),
            None => self,
        }
    }

    pub(super) fn value(mut self, name: &str, value: Value) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    pub(super) fn into_pairs(self) -> Vec<(String, Value)> {
        self.0
    }

    /// Always a record: the code that builds one names no attribute twice.
    fn into_record(self) -> Option<Value> {
        Value::new_record(self.0).ok()
    }
}
