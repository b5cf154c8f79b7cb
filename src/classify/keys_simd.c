/* SPDX-License-Identifier: BSD-2-Clause */
/* keys_simd.c - keys.c for 8 or 16 IPv4 packets at once, where the processor can (x86 with AVX2 or AVX-512). */
#include "classify/keys.h"

#ifdef __x86_64__
#include <immintrin.h>

_Static_assert(offsetof(struct pkt, dst_port) == offsetof(struct pkt, src_port) + 2, "both ports are one load");
_Static_assert(offsetof(struct pkt, l4_proto) == offsetof(struct pkt, family) + 1, "and so are these");
_Static_assert(offsetof(struct pkt, has_ports) + 4 <= sizeof(struct pkt), "four bytes are loaded here");

/* AVX2 */
#define ISA __attribute__((target("avx2")))
#define LANES 8
#define lanes __m256i
#define v_all(x) _mm256_set1_epi32((int)(x))
#define v_count() _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)
#define v_mul(x, by) _mm256_mullo_epi32(x, v_all(by))
#define v_add(x, y) _mm256_add_epi32(x, y)
#define v_and(x, mask) _mm256_and_si256(x, v_all(mask))
#define v_shift_left(x, by) _mm256_slli_epi32(x, by)
#define v_shift_right(x, by) _mm256_srli_epi32(x, by)
#define v_gather(from, at) _mm256_i32gather_epi32((const int *)(const void *)(from), at, 1)
#define v_gather_signed(x, from, at) _mm256_mask_i32gather_epi32(x, (const int *)(from), at, x, 1) /* the others stay */
#define v_swap(x)                                                                                                                \
	_mm256_shuffle_epi8(x, _mm256_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0, 7, 6, 5, 4,    \
						11, 10, 9, 8, 15, 14, 13, 12))
#define v_all_equal(x, y) (_mm256_movemask_epi8(_mm256_cmpeq_epi32(x, v_all(y))) == -1)
#define v_store(to, x) _mm256_storeu_si256((__m256i *)(to), x)
#define v_field v_field_avx2
#define v_step v_step_avx2
#define v_class v_class_avx2
#define v_port_class v_port_class_avx2
#define v_find4 v_find4_avx2
#include "classify/keys_lanes.h"

#undef ISA
#undef LANES
#undef lanes
#undef v_all
#undef v_count
#undef v_mul
#undef v_add
#undef v_and
#undef v_shift_left
#undef v_shift_right
#undef v_gather
#undef v_gather_signed
#undef v_swap
#undef v_all_equal
#undef v_store
#undef v_field
#undef v_step
#undef v_class
#undef v_port_class
#undef v_find4

/* AVX-512 */
#define ISA __attribute__((target("avx512f,avx512bw,avx512dq")))
#define LANES 16
#define lanes __m512i
#define v_all(x) _mm512_set1_epi32((int)(x))
#define v_count() _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define v_mul(x, by) _mm512_mullo_epi32(x, v_all(by))
#define v_add(x, y) _mm512_add_epi32(x, y)
#define v_and(x, mask) _mm512_and_si512(x, v_all(mask))
#define v_shift_left(x, by) _mm512_slli_epi32(x, by)
#define v_shift_right(x, by) _mm512_srli_epi32(x, by)
#define v_gather(from, at) _mm512_i32gather_epi32(at, from, 1)
#define v_gather_signed(x, from, at) _mm512_mask_i32gather_epi32(x, _mm512_movepi32_mask(x), at, from, 1)
#define v_swap(x) _mm512_shuffle_epi8(x, _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203))
#define v_all_equal(x, y) (_mm512_cmpeq_epi32_mask(x, v_all(y)) == 0xffff)
#define v_store(to, x) _mm512_storeu_si512(to, x)
#define v_field v_field_avx512
#define v_step v_step_avx512
#define v_class v_class_avx512
#define v_port_class v_port_class_avx512
#define v_find4 v_find4_avx512
#include "classify/keys_lanes.h"

keys_find4 *keys_find4_at(unsigned index, const char **ret_name)
{
	bool has_avx512 =
		__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");

	if (has_avx512 && index == 0) {
		*ret_name = "avx512";
		return v_find4_avx512;
	}
	*ret_name = "avx2";
	return __builtin_cpu_supports("avx2") && index == (has_avx512 ? 1u : 0u) ? v_find4_avx2 : NULL;
}
#else
keys_find4 *keys_find4_at(unsigned index, const char **ret_name)
{
	(void)index, (void)ret_name;
	return NULL;
}
#endif
