// Chooses an instruction set at the first call and forwards the public functions to its table.
#include <stdatomic.h>
#include <stdlib.h>

#include "instances.h"

static _Atomic(const ck_table *) selected;

const char *ck_isa_name(int isa) {
  switch (isa) {
    case CK_BASELINE: return "baseline";
    case CK_AVX2: return "avx2";
    case CK_AVX512: return "avx512";
    case CK_NEON: return "neon";
    default: return "unknown";
  }
}

const ck_table *ck_table_for(int isa) {
  if (isa == CK_BASELINE) return &ck_table_baseline;
#if defined(__x86_64__)
  if (isa == CK_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &ck_table_avx2;
  if (isa == CK_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma"))
    return &ck_table_avx512;
#elif defined(__aarch64__)
  if (isa == CK_NEON) return &ck_table_neon;
#endif
  return NULL;
}

/// Racing first calls choose alike, so it does not matter whose store comes last.
static const ck_table *choose(void) {
  static const int order[] = {CK_AVX512, CK_AVX2, CK_NEON, CK_BASELINE};
  const int count = sizeof order / sizeof order[0];
  const char *wish = getenv("CHORUS_KERNELS");
  const ck_table *table = NULL;
  for (int i = 0; wish && !table && i < count; ++i)
    if (!strcmp(wish, ck_isa_name(order[i]))) table = ck_table_for(order[i]);
  for (int i = 0; !table && i < count; ++i) table = ck_table_for(order[i]);
  const ck_table *none = NULL;
  return atomic_compare_exchange_strong(&selected, &none, table) ? table : none;
}

static inline const ck_table *table(void) {
  const ck_table *now = atomic_load_explicit(&selected, memory_order_acquire);
  return now ? now : choose();
}

int ck_isa(void) { return table()->isa; }

static const ck_bf16_kernels *bf16(void) { return ck_bf16_best(table()); }

int ck_bf16_path(void) { return bf16()->path; }

int ck_select_isa(int isa) {
  const ck_table *wanted = ck_table_for(isa);
  if (!wanted) return 0;
  atomic_store(&selected, wanted);
  return 1;
}

// ---- sizes ----
//
// They hold for every instruction set, so that a selection never outgrows a buffer.

static size_t up(int count, int step) { return (size_t)((count + step - 1) / step) * (size_t)step; }

size_t ck_packed_count(int k, int n) { return up(n, 16) * (size_t)k; }

size_t ck_matmul_tn_scratch(int m, int n, int rows) {
  const size_t tall = up(m, 12) > up(m, 16) ? up(m, 12) : up(m, 16);
  return (tall + up(n, 16)) * (size_t)(rows < 256 ? rows : 256);
}

int ck_block_values(int type) {
  switch (type) {
    case CK_F32: case CK_F16: case CK_BF16: return 8;
    case CK_Q8_0: case CK_Q4_0: case CK_Q4_1: return 32;
    case CK_Q4_K: case CK_Q5_K: case CK_Q6_K: return 256;
    default: return 0;
  }
}

int ck_block_bytes(int type) {
  switch (type) {
    case CK_F32: return 32;
    case CK_F16: case CK_BF16: return 16;
    case CK_Q8_0: return 34;
    case CK_Q4_0: return 18;
    case CK_Q4_1: return 20;
    case CK_Q4_K: return 144;
    case CK_Q5_K: return 176;
    case CK_Q6_K: return 210;
    default: return 0;
  }
}

size_t ck_products_scratch(int m, int k) { return m == 1 ? 0 : 24 * (size_t)k; }

size_t ck_shared_keys_count(int count, int heads, int width) {
  return up(count, 16) * (size_t)heads * (size_t)width;
}

size_t ck_shared_values_count(int count, int heads, int width) {
  return up(count, 16) * (size_t)heads * up(width, 16);
}

size_t ck_private_keys_count(int capacity, int heads, int width) {
  return up(capacity, 8) * (size_t)heads * (size_t)width;
}

size_t ck_private_values_count(int capacity, int heads, int width) {
  return (size_t)capacity * (size_t)heads * (size_t)width;
}

size_t ck_attention_scratch(int rows, int heads, int width, int shared_count) {
  (void)heads, (void)shared_count;
  return (size_t)(rows < 48 ? rows : 48) * up(width, 16);
}

size_t ck_attention_bf16_scratch(int rows, int heads, int width, int shared_count) {
  return 2 * ck_attention_scratch(rows, heads, width, shared_count) + 18 * up(width, 16);
}

size_t ck_attention_backward_scratch(int rows, int heads, int width, int count) {
  (void)rows, (void)heads;
  return up(count, 16) * (2 * (size_t)width + 3 * up(width, 16)) + 48 * (3 * up(width, 16) + 2 * 64);
}

size_t ck_local_linear_scratch(int width, int shared_count, int capacity) {
  const size_t most = (size_t)shared_count + (size_t)capacity, w = (size_t)width;
  return most * (4 * sizeof(float *) / sizeof(float) + 2) + w * (w + 10);
}

// ---- kernels ----

void ck_pack(int k, int n, const float *b, int ldb, int transposed, float *packed) {
  table()->pack(k, n, b, ldb, transposed, packed);
}

void ck_matmul(const ck_matmul_args *args) { table()->matmul(args); }

void ck_matmul_tn(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                  int accumulate, float *scratch) {
  table()->matmul_tn(m, n, rows, a, lda, b, ldb, c, ldc, accumulate, scratch);
}

void ck_pack_bf16(int k, int n, const float *b, int ldb, int transposed, float *packed) {
  bf16()->pack(k, n, b, ldb, transposed, packed);
}

void ck_matmul_bf16(const ck_matmul_args *args) { bf16()->matmul(args); }

void ck_matmul_tn_bf16(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                       int accumulate, float *scratch) {
  bf16()->matmul_tn(m, n, rows, a, lda, b, ldb, c, ldc, accumulate, scratch);
}

void ck_column_sum(int rows, int n, const float *a, int lda, float *out, int accumulate) {
  table()->column_sum(rows, n, a, lda, out, accumulate);
}

void ck_exp(size_t n, const float *x, float *y) { table()->exp(n, x, y); }
void ck_log(size_t n, const float *x, float *y) { table()->log(n, x, y); }
void ck_softplus(size_t n, const float *x, float *y) { table()->softplus(n, x, y); }
void ck_positive_elu(size_t n, const float *x, float *y) { table()->positive_elu(n, x, y); }

void ck_activate(int activation, size_t n, const float *x, float *y) { table()->activate(activation, n, x, y); }

void ck_activate_backward(int activation, size_t n, const float *pre, const float *dy, float *dx) {
  table()->activate_backward(activation, n, pre, dy, dx);
}

void ck_add(size_t n, const float *x, float *y) { table()->add(n, x, y); }
void ck_scale(size_t n, float s, float *x) { table()->scale(n, s, x); }
double ck_sum_squares(size_t n, const float *x) { return table()->sum_squares(n, x); }

void ck_layer_norm(int rows, int d, const float *x, int ldx, const float *gain, const float *bias, float epsilon,
                   float *y, int ldy, float *stats) {
  table()->layer_norm(rows, d, x, ldx, gain, bias, epsilon, y, ldy, stats);
}

void ck_layer_norm_backward(int rows, int d, const float *x, int ldx, const float *gain, const float *stats,
                            const float *dy, int lddy, float *dx, int lddx, int accumulate, float *dgain,
                            float *dbias) {
  table()->layer_norm_backward(rows, d, x, ldx, gain, stats, dy, lddy, dx, lddx, accumulate, dgain, dbias);
}

void ck_rms_norm(int rows, int d, const float *x, int ldx, const float *gain, float epsilon, float *y, int ldy,
                 float *scales) {
  table()->rms_norm(rows, d, x, ldx, gain, epsilon, y, ldy, scales);
}

void ck_rms_norm_backward(int rows, int d, const float *x, int ldx, const float *gain, const float *scales,
                          const float *dy, int lddy, float *dx, int lddx, float *dgain) {
  table()->rms_norm_backward(rows, d, x, ldx, gain, scales, dy, lddy, dx, lddx, dgain);
}

void ck_gated_unit(size_t n, const float *gate, const float *up, float *y) { table()->gated_unit(n, gate, up, y); }

void ck_gated_unit_backward(size_t n, const float *gate, const float *up, const float *dy, float *dgate, float *dup) {
  table()->gated_unit_backward(n, gate, up, dy, dgate, dup);
}

void ck_rotate(const ck_rotate_args *args) { table()->rotate(args); }

void ck_expand(int type, size_t count, const void *from, float *to) { table()->expand(type, count, from, to); }
void ck_products(const ck_products_args *args) { table()->products(args); }

void ck_pack_shared(int first, int rows, int count, int heads, int width, const float *k, int ldk, const float *v,
                    int ldv, float *keys, float *values) {
  table()->pack_shared(first, rows, count, heads, width, k, ldk, v, ldv, keys, values);
}

// The layout is the same for every instruction set, and this is no kernel: it runs when a context is saved.
void ck_unpack_shared(int count, int heads, int width, const float *keys, const float *values, float *k, int ldk,
                      float *v, int ldv) {
  const size_t padded = up(count, 16), columns = up(width, 16);
  for (int h = 0; h < heads; ++h, keys += padded * (size_t)width, values += padded * columns) {
    for (int i = 0; i < count; ++i) {
      float *key = k + (ptrdiff_t)i * ldk + h * width, *value = v + (ptrdiff_t)i * ldv + h * width;
      for (int d = 0; d < width; ++d) {
        key[d] = keys[((size_t)(i / 16) * (size_t)width + (size_t)d) * 16 + (size_t)(i % 16)];
        value[d] = values[((size_t)(d / 16) * padded + (size_t)i) * 16 + (size_t)(d % 16)];
      }
    }
  }
}

void ck_append_private(int index, int capacity, int heads, int width, const float *k, const float *v, float *keys,
                       float *values) {
  table()->append_private(index, capacity, heads, width, k, v, keys, values);
}

void ck_attention(const ck_attention_args *args) { table()->attention(args); }

void ck_pack_shared_bf16(int first, int rows, int count, int heads, int width, const float *k, int ldk, const float *v,
                         int ldv, float *keys, float *values) {
  bf16()->pack_shared(first, rows, count, heads, width, k, ldk, v, ldv, keys, values);
}

void ck_unpack_shared_bf16(int count, int heads, int width, const float *keys, const float *values, float *k, int ldk,
                           float *v, int ldv) {
  bf16()->unpack_shared(count, heads, width, keys, values, k, ldk, v, ldv);
}

void ck_attention_bf16(const ck_attention_args *args) { bf16()->attention(args); }

void ck_attention_delta(int rows, int heads, int width, const float *out, int ldo, const float *dout, int lddout,
                        float *delta) {
  table()->attention_delta(rows, heads, width, out, ldo, dout, lddout, delta);
}

void ck_attention_backward(const ck_attention_backward_args *args) { table()->attention_backward(args); }

void ck_factor_read(const ck_factor_args *args) { table()->factor_read(args); }
void ck_local_linear(const ck_local_linear_args *args) { table()->local_linear(args); }

void ck_mixture(const ck_mixture_args *args) { table()->mixture(args); }

void ck_adamw(size_t n, float *w, const float *gradient, float *first, float *second, float gradient_scale,
              float rate, float beta1, float beta2, float correction1, float correction2, float epsilon, float decay,
              float *average, float keep) {
  table()->adamw(n, w, gradient, first, second, gradient_scale, rate, beta1, beta2, correction1, correction2, epsilon,
                 decay, average, keep);
}

int ck_cholesky_f64(int n, double *a, int lda) { return table()->cholesky_f64(n, a, lda); }

void ck_solve_lower_f64(int n, const double *l, int ldl, int transposed, double *b, int columns, int ldb) {
  table()->solve_lower_f64(n, l, ldl, transposed, b, columns, ldb);
}

int ck_schur_f64(int n, int rows, double *a, int lda) { return table()->schur_f64(n, rows, a, lda); }

void ck_multiply_lower_f64(int n, const double *l, int ldl, const double *x, double *y) {
  table()->multiply_lower_f64(n, l, ldl, x, y);
}

void ck_multiply(const ck_multiply_args *args) { table()->multiply(args); }
void ck_solve_unit_lower(int n, const float *l, int ldl, int transposed, float *b, int columns, int ldb) {
  table()->solve_unit_lower(n, l, ldl, transposed, b, columns, ldb);
}
void ck_row_products(int rows, int n, const float *a, int lda, const float *b, int ldb, float scale, float *out) {
  table()->row_products(rows, n, a, lda, b, ldb, scale, out);
}
void ck_multiply_f64(const ck_multiply_f64_args *args) { table()->multiply_f64(args); }

void ck_exp_f64(size_t n, const double *x, double *y) { table()->exp_f64(n, x, y); }
double ck_probe_fma(long rounds, float *sink) { return table()->probe_fma(rounds, sink); }
float ck_probe_read(size_t n, const float *x) { return table()->probe_read(n, x); }
