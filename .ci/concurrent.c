/* The C library from several threads at once, on handles that they share: the bytes and the words of one thread after another.
 * .ci/library runs it as it is shipped, .ci/tsan under ThreadSanitizer. */
#include <chorus.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 3, ROWS = 12, POINTS = 4, PATHS = 5 };

static const double at[POINTS] = {2.5, 12, 13, 14};
static chorus_model *model;
static chorus_posterior *shared;
static double expected[THREADS][ROUNDS][POINTS * PATHS];

static int32_t condition(double slope, chorus_posterior **posterior) {
  double inputs[ROWS], targets[ROWS];
  for (int i = 0; i < ROWS; i++) {
    inputs[i] = i;
    targets[i] = i * 5 % 7 + slope * i;
  }
  chorus_rows rows = {.inputs = inputs, .targets = targets, .rows = ROWS, .columns = 1};
  return chorus_condition(model, &rows, NULL, posterior);
}

static int32_t draw(const chorus_posterior *posterior, uint64_t seed, double *values) {
  chorus_points points = {.inputs = at, .rows = POINTS, .columns = 1};
  chorus_options options = {.seed = seed};
  return chorus_sample(posterior, &points, PATHS, &options, NULL, 0, values, NULL, NULL, NULL);
}

static const char *round_of(int thread, int round) {
  double values[POINTS * PATHS], again[POINTS * PATHS];
  if (draw(shared, (uint64_t)(thread * ROUNDS + round), values)) return chorus_last_error();
  if (memcmp(values, expected[thread][round], sizeof values)) return "other bytes than those of one thread alone";
  chorus_posterior *own;
  if (condition(thread, &own) || draw(own, 1, values) || draw(own, 1, again)) return chorus_last_error();
  if (memcmp(values, again, sizeof values)) return "a posterior of its own answers in two ways";
  chorus_free(own);
  /* What went wrong is told to the thread in which it did. */
  char name[16];
  chorus_model *none;
  snprintf(name, sizeof name, "nosuch%d", thread);
  if (!chorus_open(name, 1, &none)) return "a model that is nowhere was opened";
  return strstr(chorus_last_error(), name) ? NULL : "the words of another thread";
}

static void *work(void *argument) {
  int thread = (int)(intptr_t)argument;
  for (int round = 0; round < ROUNDS; round++) {
    const char *wrong = round_of(thread, round);
    if (!wrong) continue;
    fprintf(stderr, "error: thread %d, round %d: %s\n", thread, round, wrong);
    return argument ? argument : (void *)expected;
  }
  return NULL;
}

int main(void) {
  int failed = 0;
  for (int32_t pool = 1; pool <= 3; pool += 2) {
    if (chorus_open("functions", pool, &model) || condition(0, &shared)) {
      fprintf(stderr, "error: %s\n", chorus_last_error());
      return 1;
    }
    for (int thread = 0; thread < THREADS; thread++)
      for (int round = 0; round < ROUNDS; round++) draw(shared, (uint64_t)(thread * ROUNDS + round), expected[thread][round]);
    pthread_t threads[THREADS];
    for (int thread = 0; thread < THREADS; thread++) pthread_create(&threads[thread], NULL, work, (void *)(intptr_t)thread);
    for (int thread = 0; thread < THREADS; thread++) {
      void *wrong;
      pthread_join(threads[thread], &wrong);
      failed |= wrong != NULL;
    }
    chorus_free(shared);
    chorus_free(model);
  }
  if (!failed) printf("%d threads on one model and posterior: the bytes and words of one\n", THREADS);
  return failed;
}
