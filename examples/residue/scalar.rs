//! How libraries hold a scalar, computed here and not by those libraries.

use super::needle::Curve;

/// Big-endian, as the standards write scalars.
pub type Scalar = [u8; 32];

impl Curve {
    /// The order of the group: SEC 2 §2.4.1 and §2.4.2, RFC 8032 §5.1.
    fn order(self) -> Scalar {
        let order = match self {
            Self::Secp256k1 => "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
            Self::P256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
            Self::Ed25519 => "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(order, &mut bytes).expect("written above");
        bytes
    }
}

/// The scalar times 2^256, reduced: Montgomery form with four limbs of 64 bits.
pub fn montgomery(curve: Curve, scalar: &Scalar) -> Scalar {
    let order = curve.order();
    let mut value = *scalar;
    for _ in 0..256 {
        value = doubled(&value, &order);
    }
    value
}

/// The order minus the scalar, which BIP-340 signs with where the public point
/// has an odd y.
pub fn negated(curve: Curve, scalar: &Scalar) -> Scalar {
    minus(&curve.order(), scalar).0
}

/// A number of 256 bits, reduced.
pub fn reduced(curve: Curve, number: &Scalar) -> Scalar {
    // From the highest bit down: double and add the bit, in the field.
    let order = curve.order();
    let mut value = [0; 32];
    for byte in number {
        for bit in (0..8).rev() {
            value = doubled(&value, &order);
            if byte >> bit & 1 == 1 {
                // The doubled value is even or was reduced; one more may reach
                // the order, never pass it.
                value = plus_one(&value);
                if value == order {
                    value = [0; 32];
                }
            }
        }
    }
    value
}

/// RFC 8032 §5.1.5, step 2, on the little-endian first half of the hash.
pub fn clamped(half: &[u8; 32]) -> [u8; 32] {
    let mut bytes = *half;
    bytes[0] &= 0b1111_1000;
    bytes[31] &= 0b0111_1111;
    bytes[31] |= 0b0100_0000;
    bytes
}

/// Five limbs of 52 bits in words of 64, least first.
pub fn limbs_52(scalar: &Scalar) -> Vec<u8> {
    let bit = |index: usize| {
        let byte = scalar.iter().rev().nth(index / 8).copied();
        u64::from(byte.unwrap_or(0) >> (index % 8) & 1)
    };
    (0..5)
        .flat_map(|limb| {
            let bits = (0..52).map(|at| bit(52 * limb + at) << at);
            bits.sum::<u64>().to_le_bytes()
        })
        .collect()
}

/// Sixteen to the power of i times digit i, least first; 0 to 15.
pub fn nibbles(scalar: &Scalar) -> Vec<u8> {
    let bytes = scalar.iter().rev();
    bytes.flat_map(|byte| [byte & 15, byte >> 4]).collect()
}

/// The same with digits from -8 to 7 and the last one up to 8, as the tables of
/// multiples of a base point are indexed.
pub fn signed_nibbles(scalar: &Scalar) -> Vec<u8> {
    let mut carry = 0;
    let mut digits = nibbles(scalar);
    let last = digits.len() - 1;
    for (at, digit) in digits.iter_mut().enumerate() {
        let value = *digit + carry;
        carry = u8::from(value >= 8 && at != last);
        *digit = value.wrapping_sub(carry << 4);
    }
    digits
}

fn doubled(value: &Scalar, order: &Scalar) -> Scalar {
    let mut twice = [0; 32];
    let mut carry = 0;
    for (out, byte) in twice.iter_mut().zip(value).rev() {
        *out = byte << 1 | carry;
        carry = byte >> 7;
    }
    // Below the order before, so that one subtraction is enough.
    match minus(&twice, order) {
        (less, borrow) if carry == 1 || !borrow => less,
        _ => twice,
    }
}

fn minus(one: &Scalar, other: &Scalar) -> (Scalar, bool) {
    let mut out = [0; 32];
    let mut borrow = false;
    for (out, (one, other)) in out.iter_mut().zip(one.iter().zip(other)).rev() {
        let (less, first) = one.overflowing_sub(*other);
        let (less, second) = less.overflowing_sub(borrow.into());
        (*out, borrow) = (less, first || second);
    }
    (out, borrow)
}

fn plus_one(value: &Scalar) -> Scalar {
    let mut out = *value;
    for byte in out.iter_mut().rev() {
        let (more, carry) = byte.overflowing_add(1);
        *byte = more;
        if !carry {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(value: u8) -> Scalar {
        let mut scalar = [0; 32];
        scalar[31] = value;
        scalar
    }

    /// 2^256 mod n, which is 2^256 - n, is the Montgomery form of one.
    #[test]
    fn one_in_montgomery_form() {
        let ones = [
            (Curve::Secp256k1, "000000000000000000000000000000014551231950b75fc4402da1732fc9bebf"),
            (Curve::P256, "00000000ffffffff00000000000000004319055258e8617b0c46353d039cdaaf"),
        ];
        for (curve, one) in ones {
            assert_eq!(hex::encode(montgomery(curve, &small(1))), one);
            let two = montgomery(curve, &small(2));
            assert_eq!(two, doubled(&montgomery(curve, &small(1)), &curve.order()));
        }
    }

    #[test]
    fn negated_twice_is_the_same() {
        let scalar = [0x5a; 32];
        let other = negated(Curve::Secp256k1, &scalar);
        assert_ne!(other, scalar);
        assert_eq!(negated(Curve::Secp256k1, &other), scalar);
    }

    /// RFC 8032 §7.1, test 1: what ed25519-dalek makes of the seed's hash.
    #[test]
    fn reduction_agrees_with_the_library() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
        let expanded = ed25519_dalek::hazmat::ExpandedSecretKey::from(&seed);
        let hash: [u8; 64] = <sha2::Sha512 as sha2::Digest>::digest(seed).into();
        let mut number = clamped(hash.first_chunk().unwrap());
        number.reverse();
        let mut ours = reduced(Curve::Ed25519, &number);
        ours.reverse();
        assert_eq!(ours, expanded.scalar.to_bytes());
    }

    #[test]
    fn limbs_and_digits_add_up() {
        let scalar: Scalar = std::array::from_fn(|at| (at * 7 + 3) as u8);
        let limbs = limbs_52(&scalar);
        let first = u64::from_le_bytes(*limbs.first_chunk().unwrap());
        let low = u64::from_be_bytes(*scalar.last_chunk().unwrap());
        assert_eq!(first, low & ((1 << 52) - 1));
        assert_eq!(limbs.len(), 40);
        let digits = nibbles(&scalar);
        assert_eq!((digits[0], digits[1], digits[63]), (0xc, 0xd, 0));
        let signed = signed_nibbles(&scalar);
        let value: i64 = (0..8).map(|at| i64::from(signed[at] as i8) << (4 * at)).sum();
        let low = i64::from(u32::from_be_bytes(*scalar.last_chunk().unwrap()));
        assert_eq!(value.rem_euclid(1 << 32), low);
        assert!(signed.iter().all(|digit| (-8..=8).contains(&(*digit as i8))));
    }
}
