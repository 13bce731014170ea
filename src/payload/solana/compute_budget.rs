//! The compute budget: what a transaction may use, and what it pays for that.

use crate::payload::Undecodable;

/// What the instructions of a message set, none where none does.
#[derive(Default)]
pub(super) struct ComputeBudget {
    pub(super) unit_limit: Option<u32>,
    pub(super) unit_price: Option<u64>,
    heap_frame: Option<u32>,
    accounts_data_size_limit: Option<u32>,
}

const TWICE: Undecodable =
    Undecodable("no compute budget instruction may stand twice in one message");
const PRICE: Undecodable = Undecodable("a compute unit price is at most 2^63 - 1 micro-lamports");

impl ComputeBudget {
    /// Takes the data of one instruction; says whether that was exactly it.
    /// Validators read a value and ignore what follows, so that it counts here too.
    ///
    /// # Errors
    /// A value is set for the second time, or the price is too high.
    pub(super) fn set(&mut self, data: &[u8]) -> Result<bool, Undecodable> {
        let Some((number, fields)) = data.split_first() else { return Ok(false) };
        let exact = match *number {
            1 => set(&mut self.heap_frame, fields, u32::from_le_bytes),
            2 => set(&mut self.unit_limit, fields, u32::from_le_bytes),
            3 => set(&mut self.unit_price, fields, u64::from_le_bytes),
            4 => set(&mut self.accounts_data_size_limit, fields, u32::from_le_bytes),
            _ => Ok(false),
        }?;
        if self.unit_price.is_some_and(|price| i64::try_from(price).is_err()) {
            return Err(PRICE);
        }
        Ok(exact)
    }
}

/// Validators refuse a message that sets a value twice.
fn set<T, const N: usize>(
    value: &mut Option<T>,
    fields: &[u8],
    read: fn([u8; N]) -> T,
) -> Result<bool, Undecodable> {
    let Some((bytes, rest)) = fields.split_first_chunk() else { return Ok(false) };
    if value.replace(read(*bytes)).is_some() { Err(TWICE) } else { Ok(rest.is_empty()) }
}
