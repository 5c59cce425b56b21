#define _GNU_SOURCE
#include "library.h"

#include <R.h>
#include <Rinternals.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct library library;

struct worker {
  struct call *call;
  pthread_mutex_t mutex;
  pthread_cond_t over;
  int is_over;
};

static void *work(void *given) {
  struct worker *worker = given;
  struct call *call = worker->call;
  call->code = call->body(call);
  /* The words belong to the thread of the call. */
  const char *words = call->code ? library.chorus_last_error() : library.chorus_notes(0);
  call->words = strdup(words ? words : "");
  pthread_mutex_lock(&worker->mutex);
  worker->is_over = 1;
  pthread_cond_signal(&worker->over);
  pthread_mutex_unlock(&worker->mutex);
  return NULL;
}

static void check(void *unused) {
  (void)unused;
  R_CheckUserInterrupt();
}

void library_call(struct call *call) {
  struct worker worker = {.call = call, .is_over = 0};
  pthread_mutex_init(&worker.mutex, NULL);
  pthread_cond_init(&worker.over, NULL);
  /* Signals are R's. */
  sigset_t all, before;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failure = pthread_create(&thread, NULL, work, &worker);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failure) {
    call->code = CHORUS_IO;
    call->words = strdup(strerror(failure));
  } else {
    int is_stopped = 0;
    pthread_mutex_lock(&worker.mutex);
    while (!worker.is_over) {
      struct timespec until;
      clock_gettime(CLOCK_REALTIME, &until);
      until.tv_nsec += 50 * 1000 * 1000;
      if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
      }
      if (pthread_cond_timedwait(&worker.over, &worker.mutex, &until) != ETIMEDOUT || worker.is_over) continue;
      pthread_mutex_unlock(&worker.mutex);
      if (!is_stopped && !R_ToplevelExec(check, NULL)) {
        is_stopped = 1;
        if (call->token) library.chorus_cancel(call->token);
      }
      pthread_mutex_lock(&worker.mutex);
    }
    pthread_mutex_unlock(&worker.mutex);
    pthread_join(thread, NULL);
    /* A call that cannot be stopped has ended, and its answer is not wanted. */
    if (is_stopped) call->code = CHORUS_CANCELLED;
  }
  pthread_cond_destroy(&worker.over);
  pthread_mutex_destroy(&worker.mutex);
}
