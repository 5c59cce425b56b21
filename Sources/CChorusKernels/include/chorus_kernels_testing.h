// Instance-level access to the kernels, for tests and benchmarks: the table of one instruction set,
// without switching the process to it.
#ifndef CHORUS_KERNELS_TESTING_H
#define CHORUS_KERNELS_TESTING_H

#include "chorus_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The products of numbers that are rounded to bfloat16.
typedef struct {
  int path;  // CK_BF16_BY_FLOAT32 | CK_BF16_PAIRS | CK_BF16_AMX
  void (*pack)(int k, int n, const float *b, int ldb, int transposed, float *packed);
  void (*matmul)(const ck_matmul_args *args);
  void (*matmul_tn)(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                    int accumulate, float *scratch);
  void (*pack_shared)(int first, int rows, int count, int heads, int width, const float *k, int ldk, const float *v,
                      int ldv, float *keys, float *values);
  void (*unpack_shared)(int count, int heads, int width, const float *keys, const float *values, float *k, int ldk,
                        float *v, int ldv);
  void (*attention)(const ck_attention_args *args);
} ck_bf16_kernels;

/// One function per kernel of chorus_kernels.h, with its signature.
typedef struct {
  int isa;
  void (*pack)(int k, int n, const float *b, int ldb, int transposed, float *packed);
  void (*matmul)(const ck_matmul_args *args);
  void (*matmul_tn)(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                    int accumulate, float *scratch);
  void (*column_sum)(int rows, int n, const float *a, int lda, float *out, int accumulate);
  void (*multiply)(const ck_multiply_args *args);
  void (*solve_unit_lower)(int n, const float *l, int ldl, int transposed, float *b, int columns, int ldb);
  void (*row_products)(int rows, int n, const float *a, int lda, const float *b, int ldb, float scale, float *out);
  void (*exp)(size_t n, const float *x, float *y);
  void (*log)(size_t n, const float *x, float *y);
  void (*softplus)(size_t n, const float *x, float *y);
  void (*positive_elu)(size_t n, const float *x, float *y);
  void (*activate)(int activation, size_t n, const float *x, float *y);
  void (*activate_backward)(int activation, size_t n, const float *pre, const float *dy, float *dx);
  void (*add)(size_t n, const float *x, float *y);
  void (*scale)(size_t n, float s, float *x);
  double (*sum_squares)(size_t n, const float *x);
  void (*layer_norm)(int rows, int d, const float *x, int ldx, const float *gain, const float *bias, float epsilon,
                     float *y, int ldy, float *stats);
  void (*layer_norm_backward)(int rows, int d, const float *x, int ldx, const float *gain, const float *stats,
                              const float *dy, int lddy, float *dx, int lddx, int accumulate, float *dgain,
                              float *dbias);
  void (*rms_norm)(int rows, int d, const float *x, int ldx, const float *gain, float epsilon, float *y, int ldy,
                   float *scales);
  void (*rms_norm_backward)(int rows, int d, const float *x, int ldx, const float *gain, const float *scales,
                            const float *dy, int lddy, float *dx, int lddx, float *dgain);
  void (*gated_unit)(size_t n, const float *gate, const float *up, float *y);
  void (*gated_unit_backward)(size_t n, const float *gate, const float *up, const float *dy, float *dgate,
                              float *dup);
  void (*rotate)(const ck_rotate_args *args);
  void (*expand)(int type, size_t count, const void *from, float *to);
  void (*products)(const ck_products_args *args);
  void (*pack_shared)(int first, int rows, int count, int heads, int width, const float *k, int ldk, const float *v,
                      int ldv, float *keys, float *values);
  void (*append_private)(int index, int capacity, int heads, int width, const float *k, const float *v,
                         float *keys, float *values);
  void (*attention)(const ck_attention_args *args);
  void (*attention_delta)(int rows, int heads, int width, const float *out, int ldo, const float *dout, int lddout,
                          float *delta);
  void (*attention_backward)(const ck_attention_backward_args *args);
  void (*factor_read)(const ck_factor_args *args);
  void (*local_linear)(const ck_local_linear_args *args);
  void (*mixture)(const ck_mixture_args *args);
  void (*adamw)(size_t n, float *w, const float *gradient, float *first, float *second, float gradient_scale,
                float rate, float beta1, float beta2, float correction1, float correction2, float epsilon,
                float decay, float *average, float keep);
  int (*cholesky_f64)(int n, double *a, int lda);
  void (*solve_lower_f64)(int n, const double *l, int ldl, int transposed, double *b, int columns, int ldb);
  int (*schur_f64)(int n, int rows, double *a, int lda);
  void (*multiply_lower_f64)(int n, const double *l, int ldl, const double *x, double *y);
  void (*multiply_f64)(const ck_multiply_f64_args *args);
  void (*exp_f64)(size_t n, const double *x, double *y);
  double (*probe_fma)(long rounds, float *sink);
  float (*probe_read)(size_t n, const float *x);
  ck_bf16_kernels bf16;
} ck_table;

/// The kernels of one instruction set, or NULL when this machine or build lacks it.
const ck_table *ck_table_for(int isa);
/// The products of bfloat16 that go with an instruction set, by one of the paths; or NULL.
const ck_bf16_kernels *ck_bf16_for(int isa, int path);
/// What CK_BF16_AMX gives, in plain loops: c[m, n] (+)= a[m, k] * b[k, n], both rounded.
void ck_tiles_reference(int m, int n, int k, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                        int accumulate);

#ifdef __cplusplus
}
#endif
#endif
