// Types and helpers of the kernel bodies. The bodies are compiled once per instruction set, from the
// small isa_*.c files, which set:
//   CK_TABLE  name of the table of functions,      CK_ISA   its number,
//   CK_FMA    1 when fused multiply-add is native, CK_LANES floats of a register of the matrix kernels,
//   CK_PAIRS  1 when products of pairs of bfloat16 are native, CK_TILES 1 when they are made by AMX tiles,
//   CK_ROWS   most rows of a register tile,        CK_PANELS panels of 16 columns beside each other in it.
// Everything but the matrix tiles works on 8 floats at a time whatever the registers are.

// Contraction would round differently from one tile shape to the next; fused operations are spelled out.
#pragma clang fp contract(off)

// Where registers are shorter than 8 floats, vector arguments have no stable ABI; every function that takes
// one is inlined, so no such call exists.
#pragma clang diagnostic ignored "-Wpsabi"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

typedef float v8 __attribute__((ext_vector_type(8)));
typedef int32_t i8 __attribute__((ext_vector_type(8)));
typedef double v4d __attribute__((ext_vector_type(4)));
typedef int64_t i4d __attribute__((ext_vector_type(4)));
typedef float wide __attribute__((ext_vector_type(CK_LANES)));
typedef int32_t iwide __attribute__((ext_vector_type(CK_LANES)));
typedef v8 v8u __attribute__((aligned(4), may_alias));
typedef v4d v4du __attribute__((aligned(8), may_alias));
typedef wide wideu __attribute__((aligned(4), may_alias));

#define TN_STEPS 256  // most rows of a block of the inner dimension of matmul_tn; ck_matmul_tn_scratch knows it too
#define HALVES (16 / CK_LANES)  // registers of a panel's row

#if CK_FMA
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#else  // without the instruction the builtin becomes a call into libm
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

INLINE v8 splat(float x) { return (v8)(x); }
INLINE v8 load8(const float *p) { return *(const v8u *)p; }
INLINE void store8(float *p, v8 x) { *(v8u *)p = x; }
INLINE wide load_wide(const float *p) { return *(const wideu *)p; }
INLINE void store_wide(float *p, wide x) { *(wideu *)p = x; }
INLINE v4d load4d(const double *p) { return *(const v4du *)p; }
INLINE void store4d(double *p, v4d x) { *(v4du *)p = x; }

/// The first n < 8 floats at p, zeros behind them; reads nothing else.
INLINE v8 load_some(const float *p, int n) {
  v8 x = splat(0);
  UNROLL for (int i = 0; i < 7; ++i)
    if (i < n) x[i] = p[i];
  return x;
}
INLINE void store_some(float *p, v8 x, int n) {
  UNROLL for (int i = 0; i < 8; ++i)
    if (i < n) p[i] = x[i];
}
INLINE v8 load_upto8(const float *p, int n) { return n >= 8 ? load8(p) : load_some(p, n); }
INLINE void store_upto8(float *p, v8 x, int n) {
  if (n >= 8)
    store8(p, x);
  else
    store_some(p, x, n);
}

/// A NaN in x passes through max8(limit, x) and min8(limit, x).
INLINE v8 max8(v8 a, v8 b) { return a > b ? a : b; }
INLINE v8 min8(v8 a, v8 b) { return a < b ? a : b; }
INLINE v8 select8(i8 mask, v8 a, v8 b) { return mask ? a : b; }
INLINE v8 abs8(v8 x) { return __builtin_elementwise_abs(x); }
INLINE v8 sqrt8(v8 x) { return __builtin_elementwise_sqrt(x); }

INLINE float sum8(v8 x) {
  x += __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3);
  x += __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5);
  return x[0] + x[1];
}
INLINE float maximum8(v8 x) {
  x = max8(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3));
  x = max8(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5));
  return x[0] > x[1] ? x[0] : x[1];
}
INLINE double sum4d(v4d x) { return (x[0] + x[2]) + (x[1] + x[3]); }

INLINE i8 lanes8(void) { return (i8){0, 1, 2, 3, 4, 5, 6, 7}; }
INLINE int min_int(int a, int b) { return a < b ? a : b; }
INLINE int max_int(int a, int b) { return a > b ? a : b; }
INLINE int ceil_div(int a, int b) { return (a + b - 1) / b; }
INLINE int round_up(int a, int b) { return ceil_div(a, b) * b; }

/// Where part `index` of `count` things begins when they are spread evenly over `parts`.
INLINE int part_start(int count, int parts, int index) {
  int base = count / parts, more = count % parts;
  return index * base + min_int(index, more);
}

/// Rows r[0..<8] become columns.
INLINE void transpose8(v8 r[8]) {
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define FIRST(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define SECOND(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LEFT(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define RIGHT(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
  v8 s0 = LOW(r[0], r[1]), s1 = HIGH(r[0], r[1]), s2 = LOW(r[2], r[3]), s3 = HIGH(r[2], r[3]);
  v8 s4 = LOW(r[4], r[5]), s5 = HIGH(r[4], r[5]), s6 = LOW(r[6], r[7]), s7 = HIGH(r[6], r[7]);
  v8 t0 = FIRST(s0, s2), t1 = SECOND(s0, s2), t2 = FIRST(s1, s3), t3 = SECOND(s1, s3);
  v8 t4 = FIRST(s4, s6), t5 = SECOND(s4, s6), t6 = FIRST(s5, s7), t7 = SECOND(s5, s7);
  r[0] = LEFT(t0, t4), r[1] = LEFT(t1, t5), r[2] = LEFT(t2, t6), r[3] = LEFT(t3, t7);
  r[4] = RIGHT(t0, t4), r[5] = RIGHT(t1, t5), r[6] = RIGHT(t2, t6), r[7] = RIGHT(t3, t7);
#undef LOW
#undef HIGH
#undef FIRST
#undef SECOND
#undef LEFT
#undef RIGHT
}
