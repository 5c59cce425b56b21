// All bodies and the table of one instruction set.
#include "base.h"
#include "functions.h"
#include "tiles.h"
#include "epilogue.h"
#include "matmul.h"
#include "bf16.h"
#include "elementwise.h"
#include "gated.h"
#include "quantised.h"
#include "attention.h"
#include "attention_backward.h"
#include "regression.h"
#include "small.h"
#include "mixture.h"
#include "float64.h"
#include "probes.h"

const ck_table CK_TABLE = {
    .isa = CK_ISA,
    .pack = pack,
    .matmul = matmul,
    .matmul_tn = matmul_tn,
    .column_sum = column_sum,
    .multiply = multiply,
    .solve_unit_lower = solve_unit_lower,
    .row_products = row_products,
    .exp = exp_all,
    .log = log_all,
    .softplus = softplus_all,
    .positive_elu = positive_elu_all,
    .activate = activate,
    .activate_backward = activate_backward,
    .add = add,
    .scale = scale,
    .sum_squares = sum_squares,
    .layer_norm = layer_norm,
    .layer_norm_backward = layer_norm_backward,
    .rms_norm = rms_norm,
    .rms_norm_backward = rms_norm_backward,
    .gated_unit = gated_unit,
    .gated_unit_backward = gated_unit_backward,
    .rotate = rotate,
    .expand = expand,
    .products = products,
    .pack_shared = pack_shared,
    .append_private = append_private,
    .attention = attention,
    .attention_delta = attention_delta,
    .attention_backward = attention_backward,
    .factor_read = factor_read,
    .local_linear = local_linear,
    .mixture = mixture,
    .adamw = adamw,
    .cholesky_f64 = cholesky_f64,
    .solve_lower_f64 = solve_lower_f64,
    .schur_f64 = schur_f64,
    .multiply_lower_f64 = multiply_lower_f64,
    .multiply_f64 = multiply_f64,
    .exp_f64 = exp_f64,
    .probe_fma = probe_fma,
    .probe_read = probe_read,
    .bf16 = BF16_KERNELS(CK_BF16_BY_FLOAT32, matmul_bf16, matmul_tn_bf16),
};
