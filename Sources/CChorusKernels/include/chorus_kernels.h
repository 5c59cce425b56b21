// Kernels of Chorus: float32 arithmetic on row-major matrices, written once in clang vector
// extensions and compiled for several instruction sets, chosen at run time.
//
// Every kernel gives the same bytes for a row whatever the other rows of the call are: an output
// element is accumulated in one fixed order, in one accumulator per fixed block of the inner
// dimension. That is what makes results independent of batch, tiling and thread count.
//
// No kernel allocates. Where scratch is needed the caller passes it; `*_scratch` tells its size in
// floats. Pointers need no alignment. Sizes are trusted: Swift checks them before the call.
#ifndef CHORUS_KERNELS_H
#define CHORUS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- instruction sets ---------------------------------------------------------------------------

enum { CK_BASELINE = 0, CK_AVX2 = 1, CK_AVX512 = 2, CK_NEON = 3 };

/// The instruction set in use: the best one of the machine, or CHORUS_KERNELS=baseline|avx2|avx512|neon. Where that names
/// one, products of bfloat16 have the bytes that every machine has.
int ck_isa(void);
const char *ck_isa_name(int isa);
/// Selects an instruction set for the whole process; returns 0 when this machine or build lacks it.
int ck_select_isa(int isa);

// ---- matrix products ----------------------------------------------------------------------------

enum { CK_IDENTITY = 0, CK_GELU = 1, CK_RELU = 2 };  // GELU is x * Phi(x), by erf

/// Floats that a packed [k, n] right-hand side takes: panels [ceil(n/16)][k][16], zero-padded.
size_t ck_packed_count(int k, int n);
/// Packs b: [k, n] with row stride ldb, or (transposed != 0) stored as [n, k].
void ck_pack(int k, int n, const float *b, int ldb, int transposed, float *packed);

typedef struct {
  int m, k, n;
  const float *a;       // [m, k]
  int lda;
  const float *packed;  // [k, n] from ck_pack
  float *c;             // [m, n]
  int ldc;
  const float *bias;      // [n] or NULL
  int activation;         // CK_IDENTITY | CK_GELU | CK_RELU
  float *pre;             // [m, n], stride ldpre: a*b + bias before the activation; or NULL
  int ldpre;
  const float *residual;  // [m, n], stride ldres, added after the activation; or NULL; may be c
  int ldres;
  int accumulate;         // != 0: c += (...)
} ck_matmul_args;
/// c = activation(a * b + bias) + residual.
void ck_matmul(const ck_matmul_args *args);

/// c[m, n] (+)= transpose(a) * b with a: [rows, m], b: [rows, n] (gradients of weights).
void ck_matmul_tn(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                  int accumulate, float *scratch);
size_t ck_matmul_tn_scratch(int m, int n, int rows);
/// out[n] (+)= sum over rows of a[rows, n] (gradients of biases).
void ck_column_sum(int rows, int n, const float *a, int lda, float *out, int accumulate);

/// Small matrices that are used once, in float32.
typedef struct {
  int m, n, k;
  const float *a;  // [m, k], rows a_across apart, columns a_along apart: transposed or not
  ptrdiff_t a_across, a_along;
  const float *b;  // [k, n], or (transposed) stored as [n, k]
  int ldb, transposed;
  float *c;  // [m, n]
  int ldc;
  int accumulate;  // != 0: c += a * b
  float *scratch;  // ck_packed_count(k, n) floats where b is transposed or n is no multiple of 16, else not used
} ck_multiply_args;
void ck_multiply(const ck_multiply_args *args);
/// b [n, columns] := (I - L)^-1 b, or (transposed) (I - L)^-T b; of l only what lies below the diagonal is read.
void ck_solve_unit_lower(int n, const float *l, int ldl, int transposed, float *b, int columns, int ldb);
/// out[r] += scale * (row r of a [rows, n]) . (row r of b).
void ck_row_products(int rows, int n, const float *a, int lda, const float *b, int ldb, float scale, float *out);

// ---- matrix products of bfloat16 ------------------------------------------------------------------
//
// Both sides are rounded to the nearest bfloat16, of two that are as near to the even one, and what is below 2^-56 in
// magnitude to zero; sums, biases and activations are float32. Products of two such numbers are exact and their sums never
// denormal. By float32 and by pairs an element is the chain over k of the float32 kernels, and has the same bytes on every
// machine. By AMX it has bytes of its own, the same on all machines with AMX: a chain over blocks of 32 numbers of k, each
// the sum of the chains of its even and of its odd numbers.

enum { CK_BF16_BY_FLOAT32 = 0, CK_BF16_PAIRS = 1, CK_BF16_AMX = 2 };
/// How they are made: by tiles (AMX) where the processor has them and the system lets this process use them, by the
/// instruction for pairs where that is faster than float32, else by the float32 kernels, at what those cost. The first call
/// finds out, and asks the system; nothing does so before.
int ck_bf16_path(void);
const char *ck_bf16_path_name(int path);
/// The longest inner dimension of the following.
enum { CK_BF16_LONGEST = 4096 };
/// As ck_pack, into ck_packed_count floats; only ck_matmul_bf16 of the same path reads them.
void ck_pack_bf16(int k, int n, const float *b, int ldb, int transposed, float *packed);
/// As ck_matmul, k at most CK_BF16_LONGEST.
void ck_matmul_bf16(const ck_matmul_args *args);
/// As ck_matmul_tn, with as much scratch; the inner dimension, `rows`, is as long as you like.
void ck_matmul_tn_bf16(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                       int accumulate, float *scratch);

// ---- elementwise and norms ----------------------------------------------------------------------

void ck_exp(size_t n, const float *x, float *y);  // below the smallest normal number: 0
void ck_log(size_t n, const float *x, float *y);  // x > 0
void ck_softplus(size_t n, const float *x, float *y);
void ck_positive_elu(size_t n, const float *x, float *y);  // x + 1 above 0, exp(x) below
void ck_activate(int activation, size_t n, const float *x, float *y);
/// dx = dy * activation'(pre); dx may be dy.
void ck_activate_backward(int activation, size_t n, const float *pre, const float *dy, float *dx);
void ck_add(size_t n, const float *x, float *y);  // y += x
void ck_scale(size_t n, float s, float *x);       // x *= s
double ck_sum_squares(size_t n, const float *x);

/// y = (x - mean) * rstd * gain + bias per row; stats (or NULL) receives [rows, 2] = mean, rstd.
void ck_layer_norm(int rows, int d, const float *x, int ldx, const float *gain, const float *bias, float epsilon,
                   float *y, int ldy, float *stats);
/// dx (+)=, dgain += , dbias += .
void ck_layer_norm_backward(int rows, int d, const float *x, int ldx, const float *gain, const float *stats,
                            const float *dy, int lddy, float *dx, int lddx, int accumulate, float *dgain,
                            float *dbias);

/// y = x / sqrt(mean(x^2) + epsilon) * gain per row; scales (or NULL) receives [rows] = 1 / sqrt(...). y may be x.
void ck_rms_norm(int rows, int d, const float *x, int ldx, const float *gain, float epsilon, float *y, int ldy,
                 float *scales);
/// dx += , dgain += .
void ck_rms_norm_backward(int rows, int d, const float *x, int ldx, const float *gain, const float *scales,
                          const float *dy, int lddy, float *dx, int lddx, float *dgain);
/// y = silu(gate) * up, silu(x) = x / (1 + exp(-x)); y may be either.
void ck_gated_unit(size_t n, const float *gate, const float *up, float *y);
/// dgate += , dup += .
void ck_gated_unit_backward(size_t n, const float *gate, const float *up, const float *dy, float *dgate, float *dup);

/// Turns pairs of each head's first 2*pairs numbers by angles, in place; the rest of a head stays.
typedef struct {
  int rows, heads, width, pairs;
  int neighbours;      // != 0: numbers 2i and 2i+1 are a pair, else i and i+pairs
  int back;            // != 0: by the opposite angles, which undoes it and is its derivative
  const float *turns;  // [rows][cosines of the pairs | sines]
  float *x;
  int ldx;
} ck_rotate_args;
void ck_rotate(const ck_rotate_args *args);

// ---- weights in blocks of few-bit integers --------------------------------------------------------

/// Formats of GGUF files by their numbers there (enum ggml_type).
enum {
  CK_F32 = 0, CK_F16 = 1, CK_Q4_0 = 2, CK_Q4_1 = 3, CK_Q8_0 = 8, CK_Q4_K = 12, CK_Q5_K = 13, CK_Q6_K = 14,
  CK_BF16 = 30
};
/// Values that a block holds and bytes that it takes; 0 for a format that is not known. F32, F16 and BF16 count in blocks
/// of 8, which is what the kernels take at a time.
int ck_block_values(int type);
int ck_block_bytes(int type);
/// `count` values, whole blocks of them.
void ck_expand(int type, size_t count, const void *from, float *to);

typedef struct {
  int m, k, n;  // k: whole blocks
  int type;
  const void *weights;  // [n] rows of k values
  size_t row_bytes;
  const float *a;  // [m, k]
  int lda;
  float *c;  // [m, n]
  int ldc;
  const float *residual;  // [m, n], stride ldres, added; or NULL; may be c
  int ldres;
  float *scratch;
} ck_products_args;
/// c = a * transpose(weights) + residual, weights expanded on the way.
void ck_products(const ck_products_args *args);
size_t ck_products_scratch(int m, int k);

// ---- attention ----------------------------------------------------------------------------------
//
// A row of queries, keys or values holds its heads side by side: head h is columns h*width ..< (h+1)*width.
// One softmax per row and head runs over [shared keys | the private keys of its path that it sees], computed
// online over fixed key blocks, so it equals the merge of both parts by their log-sum-exps. A row sees the first
// limits[row] private keys, or of these the ones whose bit is set in its mask; what a hidden key or value holds
// does not matter as long as it is finite. With fewer key heads than heads, so many heads in a row read the same one.

/// Shared keys and values, packed per head. Keys: panels [heads][ceil(count/16)][width][16], values
/// [heads][ceil(width/16)][count rounded up to 16][16], both zero-padded.
size_t ck_shared_keys_count(int count, int heads, int width);
size_t ck_shared_values_count(int count, int heads, int width);
/// Packs rows first ..< first + rows of `count`; k and v are of row `first`, which is a multiple of 16. Calls for
/// different rows may run side by side, and the rows at the end write the padding.
void ck_pack_shared(int first, int rows, int count, int heads, int width, const float *k, int ldk, const float *v,
                    int ldv, float *keys, float *values);
/// The rows that were packed, bit for bit: all `count` of them.
void ck_unpack_shared(int count, int heads, int width, const float *keys, const float *values, float *k, int ldk,
                      float *v, int ldv);

/// Private keys and values of ONE path. Keys [heads][ceil(capacity/8)][width][8]; values [heads][capacity][width].
size_t ck_private_keys_count(int capacity, int heads, int width);
size_t ck_private_values_count(int capacity, int heads, int width);
/// Writes one key and value row at `index` < capacity.
void ck_append_private(int index, int capacity, int heads, int width, const float *k, const float *v, float *keys,
                       float *values);

typedef struct {
  int rows, heads, width;
  int key_heads;  // heads that have keys and values of their own, a divisor of heads; 0: all
  float scale;    // of the scores, > 0, usually 1/sqrt(width)
  const float *q;
  int ldq;
  float *out;
  int ldo;
  float *lse;  // [heads, rows] log-sum-exp of the scaled scores, or NULL
  int shared_count;  // 0: none
  const float *shared_keys, *shared_values;
  const int32_t *paths;  // [rows]: the path of each row, rows of a path beside each other; NULL: all of path 0
  int capacity;
  const float *private_keys, *private_values;              // of path 0
  size_t private_keys_stride, private_values_stride;       // floats between paths
  const int32_t *limits;  // [rows]: private keys from the first on that a row may see; NULL: none
  // Masks, or NULL: row r's begins at word mask_starts[r], one bit a key, ceil(limits[r] / 64) words; where
  // mask_starts[r] is negative the row sees all keys below its limit.
  const uint64_t *masks;
  const int32_t *mask_starts;
  float *scratch;
} ck_attention_args;
/// A row that sees no key at all gets zeros and lse = -infinity.
void ck_attention(const ck_attention_args *args);
size_t ck_attention_scratch(int rows, int heads, int width, int shared_count);

/// The same with shared keys and values that are kept as bfloat16, and queries and weights rounded for their products with
/// them; the rest, private keys and values included, is float32. Buffers are of as many floats; what is unpacked is
/// what was packed, rounded.
void ck_pack_shared_bf16(int first, int rows, int count, int heads, int width, const float *k, int ldk, const float *v,
                         int ldv, float *keys, float *values);
void ck_unpack_shared_bf16(int count, int heads, int width, const float *keys, const float *values, float *k, int ldk,
                           float *v, int ldv);
void ck_attention_bf16(const ck_attention_args *args);
size_t ck_attention_bf16_scratch(int rows, int heads, int width, int shared_count);

/// Gradient of one segment (shared, or private with limits) given the row's whole log-sum-exp. Call once a
/// segment. Adds to dq, dk, dv. `delta` [heads, rows] = sum over width of dout*out, from ck_attention_delta.
typedef struct {
  int rows, heads, width;
  int key_heads;
  float scale;
  const float *q;
  int ldq;
  const float *dout;
  int lddout;
  const float *lse;    // [heads, rows]
  const float *delta;  // [heads, rows]
  int count;
  const float *k, *v;  // [count, key_heads*width], plain rows
  int ldk, ldv;
  const int32_t *limits;  // [rows] or NULL: all count keys
  float *dq;
  int lddq;
  float *dk, *dv;
  int lddk, lddv;
  float *scratch;
} ck_attention_backward_args;
void ck_attention_delta(int rows, int heads, int width, const float *out, int ldo, const float *dout, int lddout,
                        float *delta);
void ck_attention_backward(const ck_attention_backward_args *args);
size_t ck_attention_backward_scratch(int rows, int heads, int width, int count);

// ---- memories that are regressions ---------------------------------------------------------------

/// out[row, head] += sum over the private rows i that the row sees of s_i * values_i, s_i = probe · factors_i + shift.
/// Probes and outputs of heads lie probe_head and out_head floats apart. Rows see as in ck_attention.
typedef struct {
  int rows, heads, rank, width;
  const float *probes;
  int ld_probes, probe_head;
  const int32_t *paths, *limits;  // paths NULL: all of path 0
  const uint64_t *masks;          // or NULL
  const int32_t *mask_starts;
  int capacity;
  const float *factors, *values;  // of path 0: [heads][capacity][rank], [heads][capacity][width]
  size_t factors_stride, values_stride;
  float shift;
  float *out;
  int ld_out, out_head;
  float *sums, *squares;  // [rows, heads]: the sum of s_i and of their squares; or NULL
} ck_factor_args;
void ck_factor_read(const ck_factor_args *args);

/// Local linear fits: for each row and head the intercept of an affine function fitted around the
/// query, rows weighed by a softmax of scale * q·k, with `ridge[head]` on the slope relative to their total weight;
/// `steps` of conjugate gradients. Keys and values are plain rows, heads side by side. With `dout` not NULL the
/// gradients are added instead of the values written; they are those of the solved equation.
typedef struct {
  int rows, heads, width, steps;
  float scale;
  const float *ridge;  // [heads]
  const float *q;
  int ldq;
  int shared_count;
  const float *shared_keys, *shared_values;
  int ld_shared;
  const int32_t *paths, *limits;  // NULL: path 0, no private rows
  const uint64_t *masks;
  const int32_t *mask_starts;
  int capacity;
  const float *own_keys, *own_values;  // of path 0
  int ld_own;
  size_t own_stride;  // floats between paths
  float *out;
  int ldo;
  const float *dout;  // stride ldo
  float *dq;
  float *d_shared_keys, *d_shared_values, *d_own_keys, *d_own_values;  // strides of what they belong to
  float *dridge;                                                       // [heads]
  float *scratch;
} ck_local_linear_args;
void ck_local_linear(const ck_local_linear_args *args);
size_t ck_local_linear_scratch(int width, int shared_count, int capacity);

// ---- the mixture-of-Gaussians head --------------------------------------------------------------

/// params: [rows, 3*components] = weight logits | means | raw scales, sd = softplus(raw) + floor.
/// logp[r] = log sum_c w_c N(y; mu_c, sd_c). The first `local` components are in units of the row's own, local/units of them in
/// each, of which own_y is y and log_unit the logarithm: theirs is N(own_y; mu_c, sd_c)/unit. With dparams (stride 3*components, or NULL):
/// dparams = weight[r] * d(-logp[r])/dparams; weight NULL means 1.
typedef struct {
  int rows, components, local;
  int units;  // of a row, 1 as a rule
  float floor;
  const float *params, *y;
  const float *own_y, *log_unit;  // [rows, units]; NULL where local is 0
  float *logp;
  const float *weight;
  float *dparams;
} ck_mixture_args;
void ck_mixture(const ck_mixture_args *args);

// ---- optimiser ----------------------------------------------------------------------------------

/// AdamW (Loshchilov & Hutter 2019, Alg. 2) on n weights; decay is decoupled and already times the rate.
/// gradient is multiplied by gradient_scale first; average (or NULL) moves by average += (1-keep)*(w-average).
void ck_adamw(size_t n, float *w, const float *gradient, float *first, float *second, float gradient_scale, float rate,
              float beta1, float beta2, float correction1, float correction2, float epsilon, float decay,
              float *average, float keep);

// ---- float64 for oracles, priors and memories -------------------------------------------------------------

/// In-place lower Cholesky factor of the lower triangle of a [n, n], stride lda; the strict upper triangle is
/// not read or written. Returns n, or the index of the first pivot that is not positive.
int ck_cholesky_f64(int n, double *a, int lda);
/// b [n, columns] := L^-1 b, or (transposed) L^-T b.
void ck_solve_lower_f64(int n, const double *l, int ldl, int transposed, double *b, int columns, int ldb);
/// Gaussian elimination of the first n columns of a [rows, lda], lda a multiple of 4, with partial pivoting among the
/// first n rows: the other rows become the Schur complement, D - C A^-1 B of [A, B; C, D]; pivots are on the diagonal.
/// Returns n, or the first column without a pivot. For small systems: nothing is packed.
int ck_schur_f64(int n, int rows, double *a, int lda);
/// y [n] = L x for a lower-triangular L.
void ck_multiply_lower_f64(int n, const double *l, int ldl, const double *x, double *y);
typedef struct {
  int m, n, k;
  double alpha;
  const double *a;  // [m, k], rows a_across apart, columns a_along apart: transposed or not
  ptrdiff_t a_across, a_along;
  const double *b;  // [k, n], likewise
  ptrdiff_t b_across, b_along;
  double *c;  // [m, n]
  ptrdiff_t ldc;
} ck_multiply_f64_args;
/// c += alpha * a * b.
void ck_multiply_f64(const ck_multiply_f64_args *args);
void ck_exp_f64(size_t n, const double *x, double *y);

// ---- probes for benchmarks ----------------------------------------------------------------------

/// Runs `rounds` rounds of independent fused multiply-adds in registers; returns the flops done. The sink keeps
/// the work alive.
double ck_probe_fma(long rounds, float *sink);
/// Reads n floats and returns their sum (memory bandwidth).
float ck_probe_read(size_t n, const float *x);

#ifdef __cplusplus
}
#endif
#endif
