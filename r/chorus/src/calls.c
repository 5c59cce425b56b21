/* What R calls. Arrays come row after row. Every answer is a list that begins with a code of the library and its words. */
#include "library.h"

#include <R.h>
#include <R_ext/Rdynload.h>
#include <Rinternals.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

/* A handle of the library as R holds it; the tag has the process that it belongs to. */
static void let_go(SEXP pointer) {
  void *handle = R_ExternalPtrAddr(pointer);
  if (handle && INTEGER(R_ExternalPtrTag(pointer))[0] == (int)getpid()) library.chorus_free(handle);
  R_ClearExternalPtr(pointer);
}

static SEXP new_handle(void) {
  SEXP process = PROTECT(Rf_ScalarInteger((int)getpid()));
  SEXP pointer = PROTECT(R_MakeExternalPtr(NULL, process, R_NilValue));
  R_RegisterCFinalizerEx(pointer, let_go, TRUE);
  UNPROTECT(2);
  return pointer;
}

/* Whether a handle can be used by this process. */
static SEXP r_is_alive(SEXP pointer) {
  return Rf_ScalarLogical(
      R_ExternalPtrAddr(pointer) != NULL && INTEGER(R_ExternalPtrTag(pointer))[0] == (int)getpid());
}

/* A list with a code, words, and room for more. */
static SEXP answer(const struct call *call, int more) {
  SEXP list = PROTECT(Rf_allocVector(VECSXP, 2 + more));
  SET_VECTOR_ELT(list, 0, Rf_ScalarInteger(call->code));
  SET_VECTOR_ELT(list, 1, Rf_ScalarString(Rf_mkCharCE(call->words ? call->words : "", CE_UTF8)));
  free(call->words);
  UNPROTECT(1);
  return list;
}

/* Calls with a token, which is let go of. */
static void stoppable(struct call *call, chorus_options *options) {
  chorus_token *token = library.chorus_token_create();
  options->token = call->token = token;
  library_call(call);
  library.chorus_free(token);
}

static const char *text(SEXP value) { return Rf_isNull(value) ? NULL : Rf_translateCharUTF8(STRING_ELT(value, 0)); }
static double *numbers(SEXP value) { return Rf_isNull(value) ? NULL : REAL(value); }

/* NULL, or why the library cannot be used. It stays open as long as the process lives. */
static SEXP r_open_library(SEXP path) {
  void *handle = dlopen(R_ExpandFileName(text(path)), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return Rf_mkString(dlerror());
#define CHORUS_FIND(name)                                                                                                        \
  *(void **)&library.name = dlsym(handle, #name);                                                                                \
  if (!library.name) {                                                                                                           \
    dlclose(handle);                                                                                                             \
    return Rf_mkString("it has no function " #name "; it is of another version");                                                \
  }
  CHORUS_FUNCTIONS(CHORUS_FIND)
#undef CHORUS_FIND
  return R_NilValue;
}

static SEXP r_version(void) { return Rf_mkString(library.chorus_version()); }

struct open_call {
  struct call call;
  const char *name;
  int32_t threads;
  chorus_model *model;
};

static int32_t open_body(struct call *given) {
  struct open_call *call = (struct open_call *)given;
  return library.chorus_open(call->name, call->threads, &call->model);
}

static SEXP r_open(SEXP name, SEXP threads) {
  SEXP pointer = PROTECT(new_handle());
  struct open_call call = {.call = {.body = open_body}, .name = text(name), .threads = Rf_asInteger(threads)};
  library_call(&call.call);
  R_SetExternalPtrAddr(pointer, call.model);
  SEXP list = PROTECT(answer(&call.call, 1));
  SET_VECTOR_ELT(list, 2, pointer);
  UNPROTECT(2);
  return list;
}

static SEXP r_describe(SEXP pointer) {
  const char *words = library.chorus_describe(R_ExternalPtrAddr(pointer));
  return Rf_ScalarString(Rf_mkCharCE(words ? words : "{}", CE_UTF8));
}

struct condition_call {
  struct call call;
  const chorus_model *model;
  chorus_rows rows;
  int is_series;
  const double *errors;
  chorus_options options;
  chorus_posterior *posterior;
};

static int32_t condition_body(struct call *given) {
  struct condition_call *call = (struct condition_call *)given;
  if (call->is_series)
    return library.chorus_condition_series(call->model, &call->rows, call->errors, &call->options, &call->posterior);
  return library.chorus_condition(call->model, &call->rows, &call->options, &call->posterior);
}

/* bounds: c(least, most). levels: of a category, else 0. asked: points that will be asked for, or NULL. series: whether the first column is
 * time, beside which the others are known; errors: of the values of a series, or NULL. */
static SEXP r_condition(
    SEXP model, SEXP x, SEXP y, SEXP kinds, SEXP names, SEXP levels, SEXP scale, SEXP bounds, SEXP asked, SEXP series,
    SEXP errors) {
  SEXP pointer = PROTECT(new_handle());
  const int columns = LENGTH(kinds);
  const char **texts = (const char **)R_alloc((size_t)columns + 1, sizeof(char *));
  for (int i = 0; i <= columns; i++) texts[i] = Rf_translateCharUTF8(STRING_ELT(names, i));
  const double least = REAL(bounds)[0], most = REAL(bounds)[1];
  chorus_points points = {.inputs = numbers(asked), .rows = Rf_isNull(asked) ? 0 : XLENGTH(asked) / columns, .columns = columns};
  struct condition_call call = {
      .call = {.body = condition_body},
      .model = R_ExternalPtrAddr(model),
      .rows = {.inputs = REAL(x), .targets = REAL(y), .rows = XLENGTH(y), .kinds = INTEGER(kinds), .names = texts,
               .columns = columns, .levels = Rf_asInteger(levels)},
      .is_series = Rf_asLogical(series) == 1,
      .errors = numbers(errors),
      .options = {.scale = text(scale), .least = R_FINITE(least) ? &least : NULL, .most = R_FINITE(most) ? &most : NULL,
                  .asked = Rf_isNull(asked) ? NULL : &points}};
  stoppable(&call.call, &call.options);
  R_SetExternalPtrAddr(pointer, call.posterior);
  SEXP list = PROTECT(answer(&call.call, 1));
  SET_VECTOR_ELT(list, 2, pointer);
  UNPROTECT(2);
  return list;
}

struct append_call {
  struct call call;
  const chorus_posterior *posterior;
  chorus_rows rows;
  chorus_options options;
  chorus_posterior *longer;
};

static int32_t append_body(struct call *given) {
  struct append_call *call = (struct append_call *)given;
  return library.chorus_append(call->posterior, &call->rows, &call->options, &call->longer);
}

static SEXP r_append(SEXP posterior, SEXP x, SEXP y, SEXP columns) {
  SEXP pointer = PROTECT(new_handle());
  struct append_call call = {
      .call = {.body = append_body},
      .posterior = R_ExternalPtrAddr(posterior),
      .rows = {.inputs = REAL(x), .targets = REAL(y), .rows = XLENGTH(y), .columns = Rf_asInteger(columns)}};
  stoppable(&call.call, &call.options);
  R_SetExternalPtrAddr(pointer, call.longer);
  SEXP list = PROTECT(answer(&call.call, 1));
  SET_VECTOR_ELT(list, 2, pointer);
  UNPROTECT(2);
  return list;
}

struct save_call {
  struct call call;
  const chorus_posterior *posterior;
  const char *path;
};

static int32_t save_body(struct call *given) {
  struct save_call *call = (struct save_call *)given;
  return library.chorus_save(call->posterior, 0, call->path);
}

static SEXP r_save(SEXP posterior, SEXP path) {
  struct save_call call = {
      .call = {.body = save_body}, .posterior = R_ExternalPtrAddr(posterior), .path = R_ExpandFileName(text(path))};
  library_call(&call.call);
  return answer(&call.call, 0);
}

struct load_call {
  struct call call;
  const chorus_model *model;
  const char *path;
  chorus_posterior *posterior;
};

static int32_t load_body(struct call *given) {
  struct load_call *call = (struct load_call *)given;
  return library.chorus_load(call->model, call->path, &call->posterior);
}

static SEXP r_load(SEXP model, SEXP path) {
  SEXP pointer = PROTECT(new_handle());
  struct load_call call = {
      .call = {.body = load_body}, .model = R_ExternalPtrAddr(model), .path = R_ExpandFileName(text(path))};
  library_call(&call.call);
  R_SetExternalPtrAddr(pointer, call.posterior);
  SEXP list = PROTECT(answer(&call.call, 1));
  SET_VECTOR_ELT(list, 2, pointer);
  UNPROTECT(2);
  return list;
}

struct given_call {
  struct call call;
  const chorus_posterior *posterior;
  chorus_known known;
  chorus_options options;
  chorus_posterior *informed;
};

static int32_t given_body(struct call *given) {
  struct given_call *call = (struct given_call *)given;
  return library.chorus_given(call->posterior, &call->known, 1, &call->options, &call->informed);
}

/* subject: an input, or the name of a number. */
static SEXP r_given(SEXP posterior, SEXP subject, SEXP bounds) {
  SEXP pointer = PROTECT(new_handle());
  const int is_number = Rf_isString(subject);
  struct given_call call = {
      .call = {.body = given_body},
      .posterior = R_ExternalPtrAddr(posterior),
      .known = {.input = is_number ? NULL : REAL(subject), .number = is_number ? text(subject) : NULL,
                .least = REAL(bounds)[0], .most = REAL(bounds)[1]}};
  stoppable(&call.call, &call.options);
  R_SetExternalPtrAddr(pointer, call.informed);
  SEXP list = PROTECT(answer(&call.call, 1));
  SET_VECTOR_ELT(list, 2, pointer);
  UNPROTECT(2);
  return list;
}

/* Any question about points. */
struct question {
  struct call call;
  const chorus_posterior *posterior;
  chorus_points points;
  chorus_options options;
  int64_t paths;
  const double *levels, *given;
  int32_t level_count;
  double *values, *means, *variances, *quantiles, *densities;
  int32_t *outside;
};

static struct question ask(int32_t (*body)(struct call *), SEXP posterior, SEXP x, SEXP columns) {
  const int count = Rf_asInteger(columns);
  return (struct question){
      .call = {.body = body},
      .posterior = R_ExternalPtrAddr(posterior),
      .points = {.inputs = REAL(x), .rows = XLENGTH(x) / count, .columns = count}};
}

static int32_t sample_body(struct call *given) {
  struct question *q = (struct question *)given;
  return library.chorus_sample(
      q->posterior, &q->points, q->paths, &q->options, q->levels, q->level_count, q->values, q->means, q->quantiles, q->outside);
}

/* levels: of the quantiles, or NULL where values alone are wanted. */
static SEXP r_sample(SEXP posterior, SEXP x, SEXP columns, SEXP paths, SEXP levels, SEXP plan, SEXP seed, SEXP latent) {
  struct question q = ask(sample_body, posterior, x, columns);
  q.paths = (int64_t)Rf_asReal(paths);
  q.options.plan = text(plan);
  q.options.seed = (uint64_t)Rf_asReal(seed);
  q.options.latent = Rf_asLogical(latent) == TRUE;
  SEXP values = PROTECT(Rf_allocVector(REALSXP, (R_xlen_t)(q.points.rows * q.paths)));
  SEXP outside = PROTECT(Rf_allocVector(INTSXP, (R_xlen_t)q.points.rows));
  SEXP means = R_NilValue, quantiles = R_NilValue;
  if (!Rf_isNull(levels)) {
    means = Rf_allocVector(REALSXP, (R_xlen_t)q.points.rows);
    PROTECT(means);
    quantiles = Rf_allocVector(REALSXP, (R_xlen_t)q.points.rows * LENGTH(levels));
    PROTECT(quantiles);
    q.levels = REAL(levels);
    q.level_count = LENGTH(levels);
  }
  q.values = REAL(values);
  q.outside = INTEGER(outside);
  q.means = numbers(means);
  q.quantiles = numbers(quantiles);
  stoppable(&q.call, &q.options);
  SEXP list = PROTECT(answer(&q.call, 4));
  SET_VECTOR_ELT(list, 2, values);
  SET_VECTOR_ELT(list, 3, outside);
  SET_VECTOR_ELT(list, 4, means);
  SET_VECTOR_ELT(list, 5, quantiles);
  UNPROTECT(Rf_isNull(levels) ? 3 : 5);
  return list;
}

static int32_t density_body(struct call *given) {
  struct question *q = (struct question *)given;
  return library.chorus_log_density(q->posterior, &q->points, q->given, &q->options, q->densities);
}

static SEXP r_log_density(SEXP posterior, SEXP x, SEXP columns, SEXP y, SEXP orders, SEXP plan, SEXP seed) {
  struct question q = ask(density_body, posterior, x, columns);
  double density = NA_REAL;
  q.given = REAL(y);
  q.densities = &density;
  q.options.plan = text(plan);
  q.options.seed = (uint64_t)Rf_asReal(seed);
  q.options.orders = Rf_asInteger(orders);
  stoppable(&q.call, &q.options);
  SEXP list = PROTECT(answer(&q.call, 1));
  SET_VECTOR_ELT(list, 2, Rf_ScalarReal(density));
  UNPROTECT(1);
  return list;
}

static int32_t marginals_body(struct call *given) {
  struct question *q = (struct question *)given;
  return library.chorus_marginals(
      q->posterior, &q->points, &q->options, q->levels, q->level_count, q->given, q->means, q->variances, q->quantiles,
      q->densities);
}

/* levels: of the quantiles, or NULL where no means, variances and quantiles are wanted. y: values whose log-densities are, or NULL. */
static SEXP r_marginals(SEXP posterior, SEXP x, SEXP columns, SEXP levels, SEXP y) {
  struct question q = ask(marginals_body, posterior, x, columns);
  const R_xlen_t count = (R_xlen_t)q.points.rows;
  SEXP means = R_NilValue, variances = R_NilValue, quantiles = R_NilValue, densities = R_NilValue;
  int protected = 0;
  if (!Rf_isNull(levels)) {
    means = PROTECT(Rf_allocVector(REALSXP, count));
    variances = PROTECT(Rf_allocVector(REALSXP, count));
    quantiles = PROTECT(Rf_allocVector(REALSXP, count * LENGTH(levels)));
    protected += 3;
    q.levels = REAL(levels);
    q.level_count = LENGTH(levels);
  }
  if (!Rf_isNull(y)) {
    densities = PROTECT(Rf_allocVector(REALSXP, count));
    protected++;
    q.given = REAL(y);
  }
  q.means = numbers(means);
  q.variances = numbers(variances);
  q.quantiles = numbers(quantiles);
  q.densities = numbers(densities);
  stoppable(&q.call, &q.options);
  SEXP list = PROTECT(answer(&q.call, 4));
  SET_VECTOR_ELT(list, 2, means);
  SET_VECTOR_ELT(list, 3, variances);
  SET_VECTOR_ELT(list, 4, quantiles);
  SET_VECTOR_ELT(list, 5, densities);
  UNPROTECT(protected + 1);
  return list;
}

static int32_t probabilities_body(struct call *given) {
  struct question *q = (struct question *)given;
  return library.chorus_probabilities(q->posterior, &q->points, &q->options, q->values);
}

static SEXP r_probabilities(SEXP posterior, SEXP x, SEXP columns, SEXP levels) {
  struct question q = ask(probabilities_body, posterior, x, columns);
  SEXP values = PROTECT(Rf_allocVector(REALSXP, (R_xlen_t)q.points.rows * Rf_asInteger(levels)));
  q.values = REAL(values);
  stoppable(&q.call, &q.options);
  SEXP list = PROTECT(answer(&q.call, 1));
  SET_VECTOR_ELT(list, 2, values);
  UNPROTECT(2);
  return list;
}

struct functionals_call {
  struct call call;
  const chorus_posterior *posterior;
  chorus_points points;
  int64_t paths;
  const double *values;
  const char *names;
  double *numbers;
};

static int32_t functionals_body(struct call *given) {
  struct functionals_call *call = (struct functionals_call *)given;
  return library.chorus_functionals(
      call->posterior, &call->points, call->paths, call->values, call->names, call->numbers);
}

/* values: paths as r_sample has them. names: separated by commas, count of them. */
static SEXP r_functionals(SEXP posterior, SEXP x, SEXP columns, SEXP paths, SEXP values, SEXP names, SEXP count) {
  const int width = Rf_asInteger(columns);
  const int64_t drawn = (int64_t)Rf_asReal(paths);
  SEXP numbers = PROTECT(Rf_allocVector(REALSXP, (R_xlen_t)drawn * Rf_asInteger(count)));
  struct functionals_call call = {
      .call = {.body = functionals_body},
      .posterior = R_ExternalPtrAddr(posterior),
      .points = {.inputs = REAL(x), .rows = XLENGTH(x) / width, .columns = width},
      .paths = drawn,
      .values = REAL(values),
      .names = text(names),
      .numbers = REAL(numbers)};
  library_call(&call.call);
  SEXP list = PROTECT(answer(&call.call, 1));
  SET_VECTOR_ELT(list, 2, numbers);
  UNPROTECT(2);
  return list;
}

struct horizon_call {
  struct call call;
  const double *values;
  int64_t count, steps;
  int32_t kind;
  const char *every;
  double *points;
};

static int32_t horizon_body(struct call *given) {
  struct horizon_call *call = (struct horizon_call *)given;
  return library.chorus_horizon(call->values, call->count, call->kind, NULL, call->steps, call->every, call->points);
}

static SEXP r_horizon(SEXP values, SEXP kind, SEXP steps, SEXP every) {
  SEXP points = PROTECT(Rf_allocVector(REALSXP, Rf_asInteger(steps)));
  struct horizon_call call = {
      .call = {.body = horizon_body}, .values = REAL(values), .count = XLENGTH(values), .steps = Rf_asInteger(steps),
      .kind = Rf_asInteger(kind), .every = text(every), .points = REAL(points)};
  library_call(&call.call);
  SEXP list = PROTECT(answer(&call.call, 1));
  SET_VECTOR_ELT(list, 2, points);
  UNPROTECT(2);
  return list;
}

#define CHORUS_ENTRY(name, count) {#name, (DL_FUNC)&name, count}
static const R_CallMethodDef entries[] = {
    CHORUS_ENTRY(r_open_library, 1), CHORUS_ENTRY(r_version, 0),     CHORUS_ENTRY(r_is_alive, 1),
    CHORUS_ENTRY(r_open, 2),         CHORUS_ENTRY(r_describe, 1),    CHORUS_ENTRY(r_condition, 11),
    CHORUS_ENTRY(r_append, 4),       CHORUS_ENTRY(r_save, 2),       CHORUS_ENTRY(r_load, 2),
    CHORUS_ENTRY(r_functionals, 7),
    CHORUS_ENTRY(r_given, 3),        CHORUS_ENTRY(r_sample, 8),      CHORUS_ENTRY(r_log_density, 7),
    CHORUS_ENTRY(r_marginals, 5),    CHORUS_ENTRY(r_probabilities, 4), CHORUS_ENTRY(r_horizon, 4),
    {NULL, NULL, 0}};

void R_init_chorus(DllInfo *info) {
  R_registerRoutines(info, NULL, entries, NULL, NULL);
  R_useDynamicSymbols(info, FALSE);
  R_forceSymbols(info, TRUE);
}
