// Products with weights that stay as a GGUF file has them, in blocks of few-bit integers with scales, and are expanded
// on the way. The formats are those of ggml (enum ggml_type), whose numbers ck_products_args.type has.
//
// An output element is a dot product over the inner dimension in eight lanes, summed at the end: in one row (decoding)
// as in many (reading a prompt), so a row's bytes do not depend on the others.

typedef uint8_t b8 __attribute__((ext_vector_type(8)));
typedef int8_t s8 __attribute__((ext_vector_type(8)));
typedef uint16_t h8 __attribute__((ext_vector_type(8)));
typedef uint32_t u4 __attribute__((ext_vector_type(4)));
typedef b8 b8u __attribute__((aligned(1), may_alias));
typedef s8 s8u __attribute__((aligned(1), may_alias));
typedef h8 h8u __attribute__((aligned(1), may_alias));

INLINE v8 from_bytes(b8 x) { return __builtin_convertvector(x, v8); }
INLINE b8 bytes8(const uint8_t *p) { return *(const b8u *)p; }
INLINE i8 integers(const uint8_t *p) { return __builtin_convertvector(bytes8(p), i8); }

/// IEEE halves to floats, by placing their bits and scaling: exact for every finite half. The largest exponent, infinity and
/// NaN of the format, becomes 65536 and above.
INLINE v8 halves(i8 bits) {
  const v8 magnitude = __builtin_bit_cast(v8, (bits & 0x7fff) << 13) * splat(0x1p112f);
  return __builtin_bit_cast(v8, __builtin_bit_cast(i8, magnitude) | (bits & 0x8000) << 16);
}
/// One half in all lanes.
INLINE v8 half8(const uint8_t *p) { return halves((i8)((int32_t)p[0] | (int32_t)p[1] << 8)); }
INLINE float half_at(const uint8_t *p) { return half8(p)[0]; }
/// Two halves beside each other, each in all lanes.
INLINE void two_halves(const uint8_t *p, v8 *first, v8 *second) {
  uint32_t both;
  memcpy(&both, p, 4);
  const u4 words = (u4)(both);
  const v8 x = halves(__builtin_convertvector(__builtin_bit_cast(h8, words), i8));
  *first = __builtin_shufflevector(x, x, 0, 0, 2, 2, 4, 4, 6, 6);
  *second = __builtin_shufflevector(x, x, 1, 1, 3, 3, 5, 5, 7, 7);
}

// The 16 numbers that a nibble can stand for in a block are scale*0 + offset ... scale*15 + offset.
#define FIRST8 ((v8){0, 1, 2, 3, 4, 5, 6, 7})
#define NEXT8 ((v8){8, 9, 10, 11, 12, 13, 14, 15})

#if CK_LANES == 16  // AVX-512 picks from two registers: a table replaces a conversion and a product for each number
typedef struct { v8 low, high; } nibbles;
INLINE nibbles with_offset(v8 scale, v8 offset) {
  return (nibbles){FMA(scale, FIRST8, offset), FMA(scale, NEXT8, offset)};
}
INLINE nibbles around_8(v8 scale) { return (nibbles){scale * (FIRST8 - splat(8)), scale * (NEXT8 - splat(8))}; }
INLINE v8 low_nibble(nibbles of, i8 q) { return __builtin_ia32_vpermi2varps256(of.low, q, of.high); }
INLINE v8 high_nibble(nibbles of, i8 q) { return low_nibble(of, q >> 4); }
#else
typedef struct { v8 scale, offset; int centred; } nibbles;
INLINE nibbles with_offset(v8 scale, v8 offset) { return (nibbles){scale, offset, 0}; }
INLINE nibbles around_8(v8 scale) { return (nibbles){scale, splat(8), 1}; }
INLINE v8 nibble(nibbles of, i8 q) {
  const v8 x = __builtin_convertvector(q, v8);
  return of.centred ? of.scale * (x - of.offset) : FMA(of.scale, x, of.offset);
}
INLINE v8 low_nibble(nibbles of, i8 q) { return nibble(of, q & 15); }
INLINE v8 high_nibble(nibbles of, i8 q) { return nibble(of, q >> 4); }
#endif

// open_T: one block into registers.

INLINE void open_f32(const uint8_t *b, v8 *w) { w[0] = *(const v8u *)(const void *)b; }

INLINE void open_f16(const uint8_t *b, v8 *w) {
  w[0] = halves(__builtin_convertvector(*(const h8u *)b, i8));
}

INLINE void open_bf16(const uint8_t *b, v8 *w) {
  w[0] = __builtin_bit_cast(v8, __builtin_convertvector(*(const h8u *)b, i8) << 16);
}

INLINE void open_q8_0(const uint8_t *b, v8 *w) {
  const v8 d = half8(b);
  UNROLL for (int i = 0; i < 4; ++i) w[i] = d * __builtin_convertvector(*(const s8u *)(b + 2 + 8 * i), v8);
}

INLINE void open_q4_0(const uint8_t *b, v8 *w) {
  const nibbles numbers = around_8(half8(b));
  UNROLL for (int i = 0; i < 2; ++i) {
    const i8 q = integers(b + 2 + 8 * i);
    w[i] = low_nibble(numbers, q), w[i + 2] = high_nibble(numbers, q);
  }
}

INLINE void open_q4_1(const uint8_t *b, v8 *w) {
  v8 d, least;
  two_halves(b, &d, &least);
  const nibbles numbers = with_offset(d, least);
  UNROLL for (int i = 0; i < 2; ++i) {
    const i8 q = integers(b + 4 + 8 * i);
    w[i] = low_nibble(numbers, q), w[i + 2] = high_nibble(numbers, q);
  }
}

/// The scale and the offset, 6 bits each, of the eight groups of a block of Q4_K or Q5_K.
INLINE void group_scales(const uint8_t *s, int group, float d, float least, v8 *scale, v8 *offset) {
  int a, b;
  if (group < 4) {
    a = s[group] & 63, b = s[group + 4] & 63;
  } else {
    a = (s[group + 4] & 15) | (s[group - 4] >> 6) << 4;
    b = s[group + 4] >> 4 | (s[group] >> 6) << 4;
  }
  *scale = splat(d * (float)a), *offset = splat(-least * (float)b);
}

INLINE void open_q4_k(const uint8_t *b, v8 *w) {
  const float d = half_at(b), least = half_at(b + 2);
  UNROLL for (int j = 0; j < 4; ++j) {
    v8 low, low_offset, high, high_offset;
    group_scales(b + 4, 2 * j, d, least, &low, &low_offset);
    group_scales(b + 4, 2 * j + 1, d, least, &high, &high_offset);
    const nibbles lower = with_offset(low, low_offset), upper = with_offset(high, high_offset);
    UNROLL for (int i = 0; i < 4; ++i) {
      const i8 q = integers(b + 16 + 32 * j + 8 * i);
      w[8 * j + i] = low_nibble(lower, q), w[8 * j + i + 4] = high_nibble(upper, q);
    }
  }
}

INLINE void open_q5_k(const uint8_t *b, v8 *w) {
  const float d = half_at(b), least = half_at(b + 2);
  UNROLL for (int j = 0; j < 4; ++j) {
    v8 low, low_offset, high, high_offset;
    group_scales(b + 4, 2 * j, d, least, &low, &low_offset);
    group_scales(b + 4, 2 * j + 1, d, least, &high, &high_offset);
    UNROLL for (int i = 0; i < 4; ++i) {
      const b8 fifth = bytes8(b + 16 + 8 * i), q = bytes8(b + 48 + 32 * j + 8 * i);
      w[8 * j + i] = FMA(low, from_bytes((q & 15) | (fifth >> (2 * j) & 1) << 4), low_offset);
      w[8 * j + i + 4] = FMA(high, from_bytes(q >> 4 | (fifth >> (2 * j + 1) & 1) << 4), high_offset);
    }
  }
}

INLINE void open_q6_k(const uint8_t *b, v8 *w) {
  const float d = half_at(b + 208);
  const int8_t *scales = (const int8_t *)(b + 192);
  UNROLL for (int half = 0; half < 2; ++half) {
    UNROLL for (int i = 0; i < 4; ++i) {
      const b8 a = bytes8(b + 64 * half + 8 * i), c = bytes8(b + 64 * half + 32 + 8 * i);
      const b8 top = bytes8(b + 128 + 32 * half + 8 * i);
      const b8 q[4] = {(a & 15) | (top & 3) << 4, (c & 15) | (top >> 2 & 3) << 4, a >> 4 | (top >> 4 & 3) << 4,
                       c >> 4 | (top >> 6) << 4};
      UNROLL for (int part = 0; part < 4; ++part)
        w[16 * half + 4 * part + i] =
            splat(d * (float)scales[8 * half + 2 * part + i / 2]) * (from_bytes(q[part]) - splat(32));
    }
  }
}

#define TOGETHER 4  // outputs of one row whose sums run side by side, so that none waits for itself
#define PANEL 24    // outputs expanded at a time, a multiple of 3; ck_products_scratch knows it
#define NEAR 98304  // floats of rows that meet a panel

#define FORMAT(T, VALUES, BYTES)                                                                                 \
  static void expand_##T(size_t count, const uint8_t *from, float *to) {                                         \
    for (size_t i = 0; i < count; i += (VALUES), from += (BYTES), to += (VALUES)) {                              \
      v8 w[(VALUES) / 8];                                                                                        \
      open_##T(from, w);                                                                                         \
      UNROLL for (int j = 0; j < (VALUES) / 8; ++j) store8(to + 8 * j, w[j]);                                    \
    }                                                                                                            \
  }                                                                                                              \
  static void one_row_##T(size_t k, const float *x, const uint8_t *const rows[TOGETHER], float sums[TOGETHER]) { \
    v8 sum[TOGETHER] = {splat(0), splat(0), splat(0), splat(0)};                                                 \
    for (size_t i = 0, at = 0; i < k; i += (VALUES), at += (BYTES)) {                                            \
      UNROLL for (int o = 0; o < TOGETHER; ++o) {                                                                \
        v8 w[(VALUES) / 8];                                                                                      \
        open_##T(rows[o] + at, w);                                                                               \
        UNROLL for (int j = 0; j < (VALUES) / 8; ++j) sum[o] = FMA(load8(x + i + 8 * j), w[j], sum[o]);          \
      }                                                                                                          \
    }                                                                                                            \
    UNROLL for (int o = 0; o < TOGETHER; ++o) sums[o] = sum8(sum[o]);                                            \
  }

FORMAT(f32, 8, 32)
FORMAT(f16, 8, 16)
FORMAT(bf16, 8, 16)
FORMAT(q8_0, 32, 34)
FORMAT(q4_0, 32, 18)
FORMAT(q4_1, 32, 20)
FORMAT(q4_k, 256, 144)
FORMAT(q5_k, 256, 176)
FORMAT(q6_k, 256, 210)
#undef FORMAT

#define FOR_FORMAT(type, CALL)            \
  switch (type) {                         \
    case CK_F32: CALL(f32); break;        \
    case CK_F16: CALL(f16); break;        \
    case CK_BF16: CALL(bf16); break;      \
    case CK_Q8_0: CALL(q8_0); break;      \
    case CK_Q4_0: CALL(q4_0); break;      \
    case CK_Q4_1: CALL(q4_1); break;      \
    case CK_Q4_K: CALL(q4_k); break;      \
    case CK_Q5_K: CALL(q5_k); break;      \
    case CK_Q6_K: CALL(q6_k); break;      \
    default: break;                       \
  }

static void expand(int type, size_t count, const void *from, float *to) {
#define EXPAND(T) expand_##T(count, from, to)
  FOR_FORMAT(type, EXPAND)
#undef EXPAND
}

INLINE void put(const ck_products_args *args, int row, int output, float sum) {
  const float *residual = args->residual ? args->residual + (ptrdiff_t)row * args->ldres + output : NULL;
  args->c[(ptrdiff_t)row * args->ldc + output] = residual ? sum + *residual : sum;
}

/// `rows` x 3 dot products of x with expanded weights w [3][k].
INLINE void dots(const int rows, const ck_products_args *args, int row, const float *w, int output, int outputs) {
  const size_t k = (size_t)args->k;
  const float *x = args->a + (ptrdiff_t)row * args->lda;
  v8 sum[4][3];
  UNROLL for (int r = 0; r < rows; ++r) UNROLL for (int o = 0; o < 3; ++o) sum[r][o] = splat(0);
  for (size_t i = 0; i < k; i += 8) {
    const v8 w0 = load8(w + i), w1 = load8(w + k + i), w2 = load8(w + 2 * k + i);
    UNROLL for (int r = 0; r < rows; ++r) {
      const v8 a = load8(x + (ptrdiff_t)r * args->lda + i);
      sum[r][0] = FMA(a, w0, sum[r][0]), sum[r][1] = FMA(a, w1, sum[r][1]), sum[r][2] = FMA(a, w2, sum[r][2]);
    }
  }
  UNROLL for (int r = 0; r < rows; ++r) UNROLL for (int o = 0; o < 3; ++o)
    if (o < outputs) put(args, row + r, output + o, sum8(sum[r][o]));
}

/// Rows begin ..< end of all, and outputs first ..< first + outputs.
static void panel(const ck_products_args *args, int begin, int end, int first, int outputs) {
  const size_t k = (size_t)args->k;
  for (int o = 0; o < round_up(outputs, 3); ++o)  // the last outputs of a tile may stand for nothing
    expand(args->type, k, (const uint8_t *)args->weights + (size_t)(first + min_int(o, outputs - 1)) * args->row_bytes,
           args->scratch + (size_t)o * k);
  for (int row = begin; row < end; row += 4) {
    for (int o = 0; o < outputs; o += 3) {
      const float *w = args->scratch + (size_t)o * k;
      switch (min_int(4, end - row)) {
        case 1: dots(1, args, row, w, first + o, outputs - o); break;
        case 2: dots(2, args, row, w, first + o, outputs - o); break;
        case 3: dots(3, args, row, w, first + o, outputs - o); break;
        default: dots(4, args, row, w, first + o, outputs - o);
      }
    }
  }
}

static void products(const ck_products_args *args) {
  const uint8_t *weights = args->weights;
  const size_t k = (size_t)args->k;
  if (args->m == 1) {
    for (int j = 0; j < args->n; j += TOGETHER) {
      const uint8_t *rows[TOGETHER];
      float sums[TOGETHER];
      for (int o = 0; o < TOGETHER; ++o)
        rows[o] = weights + (size_t)min_int(j + o, args->n - 1) * args->row_bytes;
#define ONE_ROW(T) one_row_##T(k, args->a, rows, sums)
      FOR_FORMAT(args->type, ONE_ROW)
#undef ONE_ROW
      for (int o = 0; o < min_int(TOGETHER, args->n - j); ++o) put(args, 0, j + o, sums[o]);
    }
    return;
  }
  // Rows that stay in the second cache meet one panel of expanded outputs after the other.
  const int block = max_int(32, NEAR / args->k / 4 * 4);
  for (int begin = 0; begin < args->m; begin += block)
    for (int first = 0; first < args->n; first += PANEL)
      panel(args, begin, min_int(args->m, begin + block), first, min_int(PANEL, args->n - first));
}
