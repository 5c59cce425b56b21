// How products of bfloat16 are made where the kernels are those of AVX-512: told once, when they are first asked for. Nothing
// here runs, and no permission is asked for, while all products are of float32.
#include <stdatomic.h>
#include <stdlib.h>

#include "instances.h"

const char *ck_bf16_path_name(int path) {
  switch (path) {
    case CK_BF16_BY_FLOAT32: return "float32";
    case CK_BF16_PAIRS: return "pairs";
    case CK_BF16_AMX: return "amx";
    default: return "unknown";
  }
}

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/// Whether the processor has tiles and products of bfloat16 with them, and the system keeps their registers.
static int processor_has_tiles(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(1, 0, &a, &b, &c, &d) || !(c & 1u << 27)) return 0;  // the system tells what it keeps
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (1u << 22 | 1u << 24)) != (1u << 22 | 1u << 24)) return 0;
  if (!__get_cpuid_count(0x1d, 1, &a, &b, &c, &d)) return 0;  // tiles of 16 rows of 64 bytes, 8 of them
  if ((b & 0xffff) < 64 || b >> 16 < 8 || (c & 0xffff) < 16) return 0;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & (1u << 17 | 1u << 18)) == (1u << 17 | 1u << 18);
}

/// Asks Linux for room for the tiles of this process's threads, which it gives to those that ask (ARCH_REQ_XCOMP_PERM).
static int may_use_tiles(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
  return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
  return 0;
#endif
}

static int has_amx(void) {
  static atomic_int answer;  // 0: not asked
  int known = atomic_load(&answer);
  if (!known) atomic_store(&answer, known = processor_has_tiles() && may_use_tiles() ? 1 : -1);
  return known > 0;
}

static int has_pairs(void) { return __builtin_cpu_supports("avx512bf16") != 0; }

/// Where CHORUS_KERNELS names the instruction set, bfloat16 has the bytes that every machine has.
static int bytes_of_every_machine(void) {
  const char *wish = getenv("CHORUS_KERNELS");
  return wish && !strcmp(wish, ck_isa_name(CK_AVX512));
}
#endif

const ck_bf16_kernels *ck_bf16_for(int isa, int path) {
  const ck_table *table = ck_table_for(isa);
  if (!table) return NULL;
  if (path == CK_BF16_BY_FLOAT32) return &table->bf16;
#if defined(__x86_64__)
  if (isa == CK_AVX512 && path == CK_BF16_PAIRS && has_pairs()) return &ck_bf16_avx512;
  if (isa == CK_AVX512 && path == CK_BF16_AMX && has_pairs() && has_amx()) return &ck_bf16_amx;
#endif
  return NULL;
}

const ck_bf16_kernels *ck_bf16_best(const ck_table *table) {
#if defined(__x86_64__)
  static _Atomic(const ck_bf16_kernels *) best;
  if (table->isa != CK_AVX512 || !has_pairs()) return &table->bf16;
  const ck_bf16_kernels *now = atomic_load_explicit(&best, memory_order_acquire);
  if (now) return now;
  // Packed matrices are of one path, so racing first calls must agree: a probe could tell each another thing.
  const ck_bf16_kernels *choice =
      !bytes_of_every_machine() && has_amx() ? &ck_bf16_amx : ck_pairs_are_faster() ? &ck_bf16_avx512 : &table->bf16;
  const ck_bf16_kernels *none = NULL;
  return atomic_compare_exchange_strong(&best, &none, choice) ? choice : none;
#else
  return &table->bf16;
#endif
}
