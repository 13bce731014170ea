//! Clearing registers: round keys linger in vector registers long after the last
//! AES instruction, and a signal's frame would carry them to ordinary memory.

use std::arch::asm;

/// Zeroes every register that a function may leave something in: vector, mask and
/// caller-saved general ones. The others hold what the caller had there.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub fn clear() {
    let avx = u32::from(std::is_x86_feature_detected!("avx"));
    let avx512 = u32::from(std::is_x86_feature_detected!("avx512f"));
    // SAFETY: writes registers only, all declared as clobbered, and none that the
    // processor lacks. `vzeroall` zeroes the lower sixteen in their whole width.
    unsafe {
        asm!(
            "test {avx512:e}, {avx512:e}",
            "jz 2f",
            ".irp r, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n vpxorq zmm\\r, zmm\\r, zmm\\r\n .endr",
            ".irp r, 0,1,2,3,4,5,6,7\n kxorw k\\r, k\\r, k\\r\n .endr",
            "2: test {avx:e}, {avx:e}",
            "jz 3f",
            "vzeroall",
            "3:",
            ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n xorps xmm\\r, xmm\\r\n .endr",
            ".irp r, eax,ecx,edx,esi,edi,r8d,r9d,r10d,r11d\n xor \\r, \\r\n .endr",
            avx = in(reg) avx,
            avx512 = in(reg) avx512,
            clobber_abi("sysv64"),
            options(nomem, nostack),
        );
    }
}

/// As above.
#[cfg(target_arch = "aarch64")]
#[inline(never)]
pub fn clear() {
    // SAFETY: writes registers only, all declared as clobbered.
    unsafe {
        asm!(
            ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n movi v\\r\\().2d, #0\n .endr",
            ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n mov x\\r, xzr\n .endr",
            clobber_abi("C"),
            options(nomem, nostack),
        );
    }
}
