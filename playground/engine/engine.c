// The network's forward pass as WebAssembly: the kernels of the library with four-lane registers, and what little of the
// library stands around them. `tools/playground` compiles it; engine.js calls what is exported here.
#include "chorus_kernels.h"
#include <string.h>

#define CK_FMA 0
#define CK_LANES 4
#define CK_ROWS 2
#define CK_PANELS 1
#pragma clang diagnostic ignored "-Wunused-function"
#include "body/base.h"
#include "body/functions.h"
#include "body/tiles.h"
#include "body/epilogue.h"
#include "body/matmul.h"
#include "body/bf16.h"
#include "body/elementwise.h"
#include "body/attention.h"
#include "body/float64.h"

#include "numbers.h"
#include "spline.h"
#include "network.h"
#include "law.h"

#define EXPORT(name) __attribute__((export_name(#name)))

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  return __builtin_memcpy(to, from, count);
}
void *memset(void *to, int byte, size_t count) { return __builtin_memset(to, byte, count); }

// ---- the model ----

static const float *next_weights;
static const float *vector(int count) {
  const float *p = next_weights;
  next_weights += count;
  return p;
}
static linear make_linear(int inputs, int outputs, int biased) {
  linear l = {.inputs = inputs, .outputs = outputs, .plain = vector(inputs * outputs)};
  l.packed = floats((outputs + 15) / 16 * 16 * inputs);
  if (!failed) pack(inputs, outputs, l.plain, outputs, 0, l.packed);
  if (biased) l.bias = vector(outputs);
  return l;
}
static perceptron make_perceptron(int inputs, int hidden, int outputs) {
  perceptron p;
  p.up = make_linear(inputs, hidden, 1), p.down = make_linear(hidden, outputs, 1);
  return p;
}
static embedder make_embedder(int features) {
  embedder e;
  e.in = make_linear(features, size.width, 1), e.rest = make_perceptron(size.width, size.embedder, size.width);
  return e;
}
static norm make_norm(void) {
  norm n;
  n.gain = vector(size.width), n.bias = vector(size.width);
  return n;
}

static unsigned char *after_model;

/// Room for all weights, in the order in which `finish_model` takes them (`parameterNames` of engine.js).
EXPORT(begin_model)
float *begin_model(int count, int width, int layers, int heads, int feed, int embedder, int head, int frequencies,
                   int components, int around, int neighbours, float floor) {
  size = (sizes){width, layers, heads, feed, embedder, head, frequencies, components, around, neighbours, floor};
  failed = layers < 1 || layers > MOST_LAYERS || heads < 1 || width % (4 * heads) || neighbours > MOST_NEAR ||
           components < 1 || components > MOST_COMPONENTS;
  free_from = NULL;
  float *weights = floats(count);
  next_weights = weights;
  return failed ? NULL : weights;
}

EXPORT(finish_model)
int finish_model(void) {
  const int d = size.width;
  net.x = make_embedder(2 + 2 * size.frequencies);
  net.y = make_embedder(1);
  if (size.neighbours) net.near = make_linear(TOLD, d, 0), net.near_row = make_linear(TOLD_ROW, d, 0);
  net.context = vector(d), net.buffer = vector(d), net.target = vector(d), net.empty = vector(d);
  for (int layer = 0; layer < size.layers; ++layer) {
    block *b = &net.blocks[layer];
    b->before = make_norm();
    b->query = make_linear(d, d, 0), b->stored = make_linear(d, 2 * d, 0), b->out = make_linear(d, d, 1);
    b->between = make_norm();
    b->feed = make_perceptron(d, size.feed, d);
  }
  net.last = make_norm();
  net.head = make_perceptron(d, size.head, 3 * size.components);
  after_model = free_from;
  return !failed;
}

// ---- requests ----

static unsigned char *after_context, *after_questions;
static float *row_x, *row_y, *asked_x;
static int row_count, asked_count;

/// Forgets the last context and makes room for `count` rows: inputs, then values.
EXPORT(begin_context)
float *begin_context(int count) {
  free_from = after_model;
  failed = 0;
  row_count = count;
  row_x = floats(2 * count + 1), row_y = row_x + count;
  return failed ? NULL : row_x;
}

EXPORT(read_rows)
int read_rows(void) {
  read_context(row_count, row_x, row_y);
  after_context = free_from;
  return !failed;
}

/// Forgets the last questions and makes room for the inputs of `count` targets.
EXPORT(begin_questions)
float *begin_questions(int count) {
  free_from = after_context;
  asked_count = count;
  asked_x = floats(count);
  return failed ? NULL : asked_x;
}

EXPORT(ask)
int ask(void) {
  questions.asked = asked_count, questions.x = asked_x;
  questions.embedded = floats(asked_count * size.width);
  if (!failed) embed_inputs(asked_count, asked_x, questions.embedded);
  after_questions = free_from;
  return !failed;
}

static float *raw_numbers;
static unit *raw_units;

static void make_room(int paths_count, int capacity, int most_rows) {
  failed = 0;
  branch(paths_count, capacity);
  raw_numbers = floats(most_rows * 3 * size.components);
  raw_units = take(sizeof(unit) * (size_t)most_rows);
}

/// What every target's law is by the context alone: [targets, 3 components] of log-weights, means and deviations in the
/// network's units.
EXPORT(marginals)
double *marginals(void) {
  free_from = after_questions;
  make_room(1, 1, asked_count);
  call_row *rows = take(sizeof(call_row) * (size_t)asked_count);
  double *out = take(sizeof(double) * (size_t)(asked_count * 3 * size.components));
  if (failed) return NULL;
  for (int q = 0; q < asked_count; ++q) rows[q] = (call_row){.input = q};
  advance(asked_count, rows, raw_numbers, raw_units);
  if (failed) return NULL;
  for (int q = 0; q < asked_count; ++q) {
    double *law = out + q * 3 * size.components;
    write_law(raw_numbers + q * 3 * size.components, raw_units[q], law);
  }
  return out;
}

/// The quantile of a law that `marginals` wrote.
EXPORT(law_quantile)
double law_quantile(const double *law, double level) { return quantile(law, level); }

/// Independent draws of every target from the laws that `marginals` wrote: [count, targets].
EXPORT(draw_independent)
double *draw_independent(const double *laws, int count, uint32_t seed) {
  double *out = take(sizeof(double) * (size_t)(count * asked_count));
  if (failed) return NULL;
  for (int p = 0; p < count; ++p)
    for (int q = 0; q < asked_count; ++q) {
      stream s = stream_of(seed, STREAM_PATHS);
      fold(&s, (uint64_t)p), fold(&s, (uint64_t)q);
      out[p * asked_count + q] = draw_law(laws + q * 3 * size.components, &s);
    }
  return out;
}

/// Draws paths `first` ..< `first + count`: [count, targets] in the network's units. `calls` says how many targets each call
/// draws; `order` which target stands at each position, or NULL for a random order of each path's own. `order_out`
/// ([count, targets]) is told the orders. A path does not depend on those beside it.
EXPORT(draw_paths)
double *draw_paths(int first, int count, uint32_t seed, int calls, const int32_t *call_sizes, const int32_t *order,
                   int32_t *order_out) {
  const int n = asked_count;
  int widest = 0;
  for (int c = 0; c < calls; ++c) widest = max_int(widest, call_sizes[c]);
  make_room(count, n, count * widest);
  double *drawn = take(sizeof(double) * (size_t)(count * n));
  int32_t *orders = take(sizeof(int32_t) * (size_t)(count * n));
  call_row *rows = take(sizeof(call_row) * (size_t)(count * 2 * widest));
  if (failed) return NULL;
  for (int p = 0; p < count; ++p) {
    stream s = stream_of(seed, STREAM_ORDERS);
    fold(&s, (uint64_t)(first + p));
    int32_t *own = orders + p * n;
    for (int i = 0; i < n; ++i) own[i] = order ? order[i] : i;
    for (int i = 0; !order && i < n; ++i) {
      const int j = i + (int)below(&s, (uint64_t)(n - i));
      const int32_t t = own[i];
      own[i] = own[j], own[j] = t;
    }
    for (int i = 0; i < n; ++i) order_out[p * n + i] = own[i];
  }
  int done = 0, before = 0;  // positions drawn before this call, and those of them committed before it
  for (int c = 0; c < calls; ++c) {
    const int asked = call_sizes[c], commits = done - before;
    int total = 0;
    for (int p = 0; p < count; ++p) {
      const int32_t *own = orders + p * n;
      for (int i = 0; i < commits; ++i)
        rows[total++] = (call_row){.path = p, .input = own[before + i], .commits = 1, .limit = before + i + 1,
                                   .y = (float)drawn[p * n + own[before + i]]};
      for (int i = 0; i < asked; ++i) rows[total++] = (call_row){.path = p, .input = own[done + i], .limit = done};
    }
    advance(total, rows, raw_numbers, raw_units);
    if (failed) return NULL;
    for (int p = 0; p < count; ++p)
      for (int i = 0; i < asked; ++i) {
        const int target = orders[p * n + done + i], q = p * asked + i;
        stream s = stream_of(seed, STREAM_PATHS);
        fold(&s, (uint64_t)(first + p)), fold(&s, (uint64_t)target);
        drawn[p * n + target] = draw_raw(raw_numbers + q * 3 * size.components, raw_units[q], &s);
      }
    before = done, done += asked;
  }
  return drawn;
}

/// Room for the arguments of `draw_paths`; forgets what was drawn before.
EXPORT(begin_paths)
int32_t *begin_paths(int count) {
  free_from = after_questions;
  failed = 0;
  int32_t *place = take(sizeof(int32_t) * (size_t)count);
  return failed ? NULL : place;
}

// ---- for the test of parity ----

/// Keys and values of a layer, [rows, 2 width].
EXPORT(layer_state)
float *layer_state(int layer) { return context.plain[layer]; }
/// The embedded questions, [targets, width].
EXPORT(embedded)
float *embedded(void) { return questions.embedded; }
/// The head's raw numbers of the last call.
EXPORT(raw)
float *raw(void) { return raw_numbers; }
