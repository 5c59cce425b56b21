/* Chorus: amortized joint prediction, as a C library.
 *
 * A model reads observed rows once; what comes of it, a posterior, is asked as often as wanted. A posterior holds one context or
 * many, each of its own rows: every function works on all of them in one call, on all threads.
 *
 *   chorus_model *model = NULL;
 *   chorus_posterior *posterior = NULL;
 *   chorus_rows rows = {.inputs = x, .targets = y, .rows = n, .columns = 1};
 *   chorus_points points = {.inputs = at, .rows = k, .columns = 1};
 *   if (chorus_open("functions", 0, &model) || chorus_condition(model, &rows, NULL, &posterior) ||
 *       chorus_sample(posterior, &points, 100, NULL, NULL, 0, paths, NULL, NULL, NULL))
 *     fprintf(stderr, "%s\n", chorus_last_error());
 *   chorus_free(posterior);
 *   chorus_free(model);
 *
 * Answers are functions of the model, the rows, the request and the seed alone: no number of threads, contexts or paths changes a
 * byte. They are those of the program `chorus` of the same version, bit for bit on the same machine.
 *
 * Every function may be called from any thread, with the same handles; calls that share a model take turns on its threads. A
 * handle belongs to the process that made it: in a child after fork() it is refused, and the child opens its own.
 * Arrays are row-major, belong to the caller and are read or written during the call only.
 */
#ifndef CHORUS_H
#define CHORUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version that this header belongs to. Within a major version functions and fields are added, never changed. */
#define CHORUS_VERSION_MAJOR 0
#define CHORUS_VERSION_MINOR 1
#define CHORUS_VERSION_PATCH 0

/* What functions return: 0, or what kind of failure chorus_last_error() tells of in words. The numbers are the exit codes of the
 * program. */
enum chorus_code {
  CHORUS_OK = 0,
  CHORUS_USAGE = 64,      /* what was asked for cannot be done: a plan, a size, a handle that is none */
  CHORUS_DATA = 65,       /* rows, points or a file hold something wrong */
  CHORUS_MISSING = 66,    /* no such model or file */
  CHORUS_INTERNAL = 70,   /* a fault of the library */
  CHORUS_IO = 74,         /* the system refused to read or write */
  CHORUS_CANCELLED = 130  /* chorus_cancel() was called */
};

/* What a column holds. */
enum chorus_kind {
  CHORUS_NUMBER = 0,
  CHORUS_DATE = 1,    /* days since 1970-01-01T00:00 */
  CHORUS_CATEGORY = 2 /* numbers of levels, of which none means more than another: for a model of tables, and beside time */
};

typedef struct chorus_model chorus_model;
typedef struct chorus_posterior chorus_posterior;
typedef struct chorus_token chorus_token;

/* Observed rows of one context or several. */
typedef struct chorus_rows {
  const double *inputs;     /* [rows, columns] */
  const double *targets;    /* [rows] */
  int64_t rows;
  const int64_t *offsets;   /* [contexts + 1], rising from 0 to rows: context i has the rows from offsets[i] on, below
                               offsets[i + 1]; NULL: one context with all rows */
  int64_t contexts;         /* where there are offsets */
  const int32_t *kinds;     /* [columns] of enum chorus_kind; NULL: numbers */
  const char *const *names; /* [columns + 1] of the inputs, then of the target; NULL: without names */
  int32_t columns;
  int32_t levels;           /* how many levels the target has where it is a category: targets are then their numbers, from 0 on;
                               0: the target is a number */
} chorus_rows;

/* Inputs to predict at. */
typedef struct chorus_points {
  const double *inputs;   /* [rows, columns] */
  int64_t rows;
  const int64_t *offsets; /* [contexts + 1], as in chorus_rows; NULL: every context is asked at all points */
  int32_t columns;
} chorus_points;

/* What may be asked for beside the defaults, which are what an options of zeros, or NULL in its place, has. */
typedef struct chorus_options {
  const char *scale;           /* what values are seen as: "auto" (the default), "raw", "log" or "root" */
  const double *least;         /* the least that a value can be; NULL: anything */
  const double *most;          /* the largest */
  const chorus_points *asked;  /* points that will be asked for: of too many rows those near to them are read, of a series first */
  const char *plan;            /* how paths are drawn: NULL: "auto" (of a table, "sequential"), or as `chorus predict --plan` */
  uint64_t seed;
  double flop_limit;           /* plans that need more arithmetic are refused; 0: 2e13 */
  int32_t latent;              /* not 0: the noiseless curve in place of values with noise */
  int32_t orders;              /* over how many orders of the values a log-density is averaged; 0: 8 */
  const chorus_token *token;   /* by which another thread may stop the call */
  int32_t *codes;              /* [contexts], written: where given, a context that cannot be answered has its code here, its numbers
                                  are NaN, and the call goes on; NULL: the first such context ends it */
} chorus_options;

/* The version of the library, as "0.1.0". */
const char *chorus_version(void);

/* What went wrong in the last call of this thread that did not return CHORUS_OK. Valid until the next call of this thread. */
const char *chorus_last_error(void);

/* What to be careful about in the answer that the last call of this thread gave on a context, or why it has none; "" for nothing.
 * Valid until the next call of this thread. */
const char *chorus_notes(int64_t context);

/* Reads a model: one that is shipped, by name ("functions"), or a path. Shipped models are looked for in the folder named by
 * CHORUS_WEIGHTS, then in a folder `weights` beside the library, then as the program looks.
 *
 * threads: how many to work on; 0: as many as there are processors. */
int32_t chorus_open(const char *name, int32_t threads, chorus_model **model);

/* What a model is and takes, or what a posterior has seen, as a JSON object. Valid as long as the handle; NULL for no handle. */
const char *chorus_describe(const void *handle);

/* Reads the rows of every context. options: scale, least, most, asked, token, codes. A model of tables ("tables") takes any number of
 * columns, and NaN for a missing cell. Of a target that is a category it has estimators alone, each point by itself; "classes", which
 * takes no other target, judges what they say, and lets the points tell of each other. */
int32_t chorus_condition(
    const chorus_model *model, const chorus_rows *rows, const chorus_options *options, chorus_posterior **posterior);

/* The same for rows of which more is known than numbers, by a model of series ("functions"):
 *
 * errors: [rows], the standard deviation of the error that each value was measured with, in its unit, 0 for none; what is predicted is
 * what would be measured without. NULL: none is known, and noise is judged by how the rows scatter.
 *
 * The first column is time. Further ones are known beside it, at points too, like prices or weather: of kind number or category (a category
 * here has numbers of levels, from 0 on). What they move is estimated beside level and seasons. Rows are not added by chorus_append(), and
 * what has columns beside time is not kept by chorus_save(). options: scale, least, most, asked, token, codes. */
int32_t chorus_condition_series(
    const chorus_model *model, const chorus_rows *rows, const double *errors, const chorus_options *options,
    chorus_posterior **posterior);

/* A posterior that has seen further rows of every context, without reading the old ones again: close to reading all, at a small
 * part of the work. The posterior that it is made from stays as it is. options: token, codes. */
int32_t chorus_append(
    const chorus_posterior *posterior, const chorus_rows *rows, const chorus_options *options, chorus_posterior **longer);

/* Something known of values that are not observed: bounds of the value at an input, or of a number made of all values asked for. */
typedef struct chorus_known {
  const double *input; /* [columns]: where the value is; NULL: it is of the number */
  const char *number;  /* "sum", "mean", "max", "min" or "difference", where there is no input */
  double least;        /* bounds, themselves included; -INFINITY and INFINITY for none */
  double most;         /* the same as least for a value that is known itself */
} chorus_known;

/* A posterior of whose paths something is known, the same in every context: chorus_sample() draws paths given that they agree with
 * it. A known value is read as a row more. For bounds paths are drawn until enough agree: where fewer do than were asked for, the
 * last paths are NaN and the notes say so. There are then no densities and no laws of single values. options: token, codes. */
int32_t chorus_given(
    const chorus_posterior *posterior, const chorus_known *known, int32_t count, const chorus_options *options,
    chorus_posterior **informed);

/* Draws coherent paths through the points of every context. options: plan, seed, flop_limit, latent, token, codes.
 *
 * With k points in all contexts before a context (k = i * points->rows where there are no offsets), its numbers begin at
 *   values:    k * paths, then [paths, points of the context]
 *   means:     k, one a point: expected values
 *   quantiles: k * level_count, then [points of the context, level_count]; of the paths, type 7 of Hyndman & Fan (1996), of counts type 1
 *   outside:   k, one a point: a sum of 1 (context), 2 (inputs), 4 (targets drawn together) and 8 (reads) for what training has not
 *              shown
 * Each of them may be NULL. Of a category values are numbers of levels, and there are no means and no quantiles. */
int32_t chorus_sample(
    const chorus_posterior *posterior, const chorus_points *points, int64_t paths, const chorus_options *options,
    const double *levels, int32_t level_count, double *values, double *means, double *quantiles, int32_t *outside);

/* The joint log-density, in nats, of values at the points of every context: [contexts]; of a category the log-probability of levels.
 * options: plan, seed, flop_limit, orders, token, codes.
 *
 * values: one a point, laid out as the means of chorus_sample(). */
int32_t chorus_log_density(
    const chorus_posterior *posterior, const chorus_points *points, const double *values, const chorus_options *options,
    double *densities);

/* The law of the value at each point on its own, laid out as by chorus_sample(); log_densities are those of values. options: flop_limit,
 * token, codes. Each of means, variances, quantiles and log_densities may be NULL. */
int32_t chorus_marginals(
    const chorus_posterior *posterior, const chorus_points *points, const chorus_options *options, const double *levels,
    int32_t level_count, const double *values, double *means, double *variances, double *quantiles, double *log_densities);

/* How likely each level of a category is at each point: with k points before a context they begin at k * levels, then [points of the
 * context, levels]. Each point is by itself; how points go together chorus_sample() and chorus_log_density() tell. options: token,
 * codes. */
int32_t chorus_probabilities(
    const chorus_posterior *posterior, const chorus_points *points, const chorus_options *options, double *probabilities);

/* Numbers made of whole paths: [contexts, names, paths].
 *
 * names: separated by commas, of sum, mean, max, min, difference, difference:A..B (the value at input B less that at A, both
 * among the points), first-above:V and first-below:V.
 * values: paths as chorus_sample() has written them. */
int32_t chorus_functionals(
    const chorus_posterior *posterior, const chorus_points *points, int64_t paths, const double *values, const char *names,
    double *numbers);

/* The next inputs of a series: as many as steps, spaced as the values are.
 *
 * kind: of enum chorus_kind.
 * after: the input that they follow; NULL: the largest of values.
 * every: the step in place of the one found, as "1M", "1B", "30min" or "0.5"; NULL: as found. */
int32_t chorus_horizon(
    const double *values, int64_t count, int32_t kind, const double *after, int64_t steps, const char *every,
    double *points);

/* Keeps a context in a file, whole or not at all, which `chorus predict --context` reads as well. It reveals the data. */
int32_t chorus_save(const chorus_posterior *posterior, int64_t context, const char *path);

/* Reads a context that was kept; it answers as the one that was written. Only the model that wrote it can read it. */
int32_t chorus_load(const chorus_model *model, const char *path, chorus_posterior **posterior);

/* A token by which another thread stops calls; NULL where memory has run out. */
chorus_token *chorus_token_create(void);

/* Stops the calls that have this token in their options, and all later ones with it. */
void chorus_cancel(const chorus_token *token);

/* Lets go of a handle of any kind, once no call works with it; nothing happens to NULL. A posterior keeps what it needs of its
 * model. */
void chorus_free(void *handle);

#ifdef __cplusplus
}
#endif

#endif
